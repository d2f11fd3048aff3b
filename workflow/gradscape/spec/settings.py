# ruff: noqa: E501  (one line a setting, however long: a table is read by its rows)
"""All that decides the outcome of one run, one line per setting.

The schema of the configuration, the command line's options, what `run.json` records and the
table in `config/README.md` all come from these lines.
"""

import dataclasses
from dataclasses import dataclass
from typing import Annotated as A
from typing import get_type_hints

from gradscape.spec.options import (
    REQUIRED,
    Mark,
    Named,
    OneOf,
    Option,
    Range,
    Unset,
    option,
)

MODEL = Mark.MODEL  # a keyword that the model's constructor may take
LATER = Mark.LATER  # younger than the fingerprints of checkpoints that must still fit
MODELS_OWN = Unset("the model's")


# fmt: off
@dataclass(frozen=True)
class Settings:
    """What one run is trained with; the defaults are a coursework's."""

    model: A[str, Named("model", own=True), "a name that `gradscape models` lists, or `path/file.py:constructor` of your own"]
    dataset: A[str, Named("dataset", own=True), "`cifar10`, `cifar100`, `svhn`, `fashion-mnist`, `generated10`, `generated10-small`, `generated100`, or your own images: a folder of class folders, an `.npz`, or `path/file.py:function`"]
    width: A[int | None, Range(1, 4096), MODEL, MODELS_OWN, "filters of the first convolution, for models that let you choose (`resnet-small`, the Edinburgh networks)"] = None
    activation: A[str | None, Named("activation"), MODEL, MODELS_OWN, "`relu`, `leaky_relu`, `elu`, `gelu`, `tanh` or `sigmoid`, likewise"] = None
    dropout: A[float | None, Range(0, below=1), MODEL, MODELS_OWN, "probability of dropping a unit, likewise"] = None
    batch_norm: A[bool | None, MODEL, MODELS_OWN, "with or without batch normalisation, likewise"] = None
    skip: A[bool | None, MODEL, MODELS_OWN, "with or without skip connections, likewise"] = None
    initialisation: A[str | None, OneOf(("default", "he", "zero-last", "delta-orthogonal")), MODEL, MODELS_OWN, "of the Edinburgh networks: PyTorch's `default`; `he`, He et al.'s for rectifiers; `zero-last`, the same with each processing block's last convolution at zero; `delta-orthogonal`, Xiao et al.'s: an orthogonal matrix at each kernel's centre"] = None
    slope: A[float | None, Range(0, 1), MODEL, MODELS_OWN, LATER, "of the Edinburgh networks' leaky rectifiers"] = None
    eta: A[float | None, Range(above=0, below=1), MODEL, Unset("off"), LATER, "tailor that slope to the depth instead: orthogonal images end with this cosine (Zhang, Botev & Martens 2022)"] = None
    perturbation: A[int | None, Range(0), Unset("off"), LATER, "before training, flip the last bit of this weight, counted from 0, of the first layer: which runs does rounding decide?"] = None
    reduction_batch_norm: A[bool | None, MODEL, Unset("as `batch_norm`"), "batch normalisation in the Edinburgh networks' reduction blocks, if not as in the others"] = None
    reduction_shortcut: A[str | None, OneOf(("pooled", "strided")), MODEL, Unset("none"), "a residual connection through each of those blocks: `pooled`, the average-pooled identity; `strided`, a 1×1 convolution of stride 2"] = None
    pre_activation: A[bool | None, MODEL, MODELS_OWN, "normalise and activate before each convolution of a block, not after (Edinburgh networks)"] = None
    fold_after: A[int | None, Range(0), MODEL, Unset("never"), "steps after which the Edinburgh networks' batch normalisation stops: the next minibatch's statistics stay as constants; `0` is initialisation from the first minibatch"] = None
    pretrained: A[bool, "start the convolutions from ImageNet weights, if the model has any (`vgg11-bn`)"] = False
    freeze: A[str | None, OneOf(("weights", "backbone")), MODEL, Unset("nothing"), "what of the pretrained part does not train: its `weights`, or the whole `backbone` with its running statistics"] = None
    loss: A[str, Named("loss", own=True), "what is minimised: `cross_entropy`, `squared_error` or `focal`; validation and test losses are always cross entropy"] = "cross_entropy"
    label_smoothing: A[float, Range(0, below=1), "of the cross entropy"] = 0.0
    l1: A[float, Range(0), "factor of the sum of absolute weights added to the loss"] = 0.0
    learning_rate: A[float, Range(above=0), "base rate"] = 1e-3
    seed: A[int, Range(0, 10**13), "of initialisation, order and augmentation, but not of the split"] = 0
    epochs: A[int, Range(1, 10**6), "passes over the training images"] = 100
    patience: A[int | None, Range(1), Unset("never"), "early stopping: stop after this many epochs without a better validation accuracy"] = None
    batch_size: A[int, Range(2, 10**6), "images per minibatch; the last of an epoch may be smaller"] = 100
    split: A[str, Named("split", own=True), "which images validate: `edinburgh` (a random 5 %), `fudan` (the test images), `alberta` (the last 10 %), `sapienza` (2 % after the first 98 %)"] = "edinburgh"
    train_items: A[int | None, Range(2), Unset("all"), "use only this many training images of the split, the first"] = None
    validation_items: A[int | None, Range(1), Unset("all"), "likewise for validation"] = None
    augmentation: A[str, Named("augmentation"), "of training images: `none`; `flip`; `crop-flip`, a crop with 4 pixels of padding and a flip; `geometric`, a flip, rotation by up to 15°, shift by up to 4 pixels, zoom by up to 15 %; `colour`, brightness, contrast and saturation by up to 40 %, hue by up to 18°; `geometric-colour`"] = "crop-flip"
    augmentation_strength: A[float, Range(0), "multiplies those ranges of `geometric` and `colour`"] = 1.0
    normalisation: A[str, Named("normalisation"), "the mean and deviation to normalise by: of the `dataset`'s own training images, of `cifar10` or `imagenet`, or 0.5 and 0.5 (`half`)"] = "dataset"
    optimiser: A[str, Named("optimiser", own=True), "`adam`, `adamw`, `sgd`, `rmsprop`, or `muon`, this project's own"] = "adam"
    momentum: A[float, Range(0, below=1), "of `sgd` and `muon`"] = 0.9
    nesterov: A[bool, "of `sgd`"] = False
    weight_decay: A[float, Range(0), "decoupled with `adamw` and `muon`, an l2 term otherwise"] = 0.0
    adaptive_clipping: A[float | None, Range(above=0), Unset("off"), "adaptive gradient clipping: the largest norm of a unit's gradient, as a share of its weights' norm; not of the output layer"] = None
    schedule: A[str, Named("schedule", own=True), "`constant`, `cosine` (stepped once per epoch), `cosine_per_iteration` (the course's variant since 2023/24: stepped once per minibatch with a period counted in epochs, so the rate swings), `exponential` or `staircase`"] = "cosine"
    final_learning_rate: A[float, Range(0), "where a cosine ends"] = 2e-5
    decay: A[float, Range(above=0, maximum=1), "factor of `exponential` and `staircase`"] = 0.95
    decay_epochs: A[int, Range(1), "epochs between two steps of `staircase`"] = 1
    warmup_epochs: A[int, Range(0), "epochs in which the rate first rises linearly"] = 0
    device: A[str, OneOf(("auto", "cpu", "cuda")), "`cpu`, `cuda`, or CUDA where there is one"] = "auto"
    precision: A[str, OneOf(("auto", "fp32", "tf32", "bf16")), "`fp32`, `tf32` or `bf16`; `auto` is bf16 where the device computes it natively, else fp32, and fp32 with `landscape_every`"] = "auto"
    score_training: A[int | None, Range(1), Unset("off"), "score this many training images, the first, after each epoch as validation images are: not augmented, in evaluation mode; changes no byte of the training"] = None
    deterministic: A[bool, "use only algorithms that give the same bits every time"] = True
    gradient_lag: A[int | None, Range(1, 10**6), Unset("off"), "record, at every step, how far the output layer's gradient and weight are from those this many steps before, the gradient's norm, and its distance over 1, 5 and 20 steps"] = None
    landscape_every: A[int | None, Range(1), Unset("off"), "measure the loss along the gradient every this many steps; changes no byte of the training"] = None
    landscape_points: A[int, Range(1, 1000), "step sizes of that measurement, evenly from 1/2 to 4 times the learning rate; each costs a forward and a backward pass"] = 8
    landscape_step: A[bool, "measure it along the optimiser's own step as well, from 1/2 to 4 times its length, at as many points"] = False
    landscape_cap: A[float, Range(above=0), "the largest of those step sizes"] = 0.4
# fmt: on


def options_of_settings() -> dict[str, Option]:
    hints = get_type_hints(Settings, include_extras=True)
    missing = dataclasses.MISSING
    return {
        f.name: option(
            f.name, hints[f.name], REQUIRED if f.default is missing else f.default
        )
        for f in dataclasses.fields(Settings)
    }


SETTINGS = options_of_settings()
DEFAULTS = {name: o.default for name, o in SETTINGS.items() if not o.required}
# Those that a model's constructor may take as keywords of the same name.
MODEL_SETTINGS = [name for name, o in SETTINGS.items() if MODEL in o.marks]


def decisive(settings: Settings) -> dict:
    """The settings that identify a run: those younger than its checkpoint's format only
    where they are set."""
    return {
        name: value
        for name, value in dataclasses.asdict(settings).items()
        if LATER not in SETTINGS[name].marks or value != DEFAULTS[name]
    }


def differences(old: dict, new: dict) -> str:
    """In which settings two runs differ, in words; a setting that is missing had its
    default.

    >>> differences({"epochs": 5}, {"epochs": 2, "seed": 0})
    'epochs was 5 and is 2'
    """
    pairs = [(name, old.get(name, DEFAULTS.get(name)), new[name]) for name in new]
    return ", ".join(f"{n} was {was} and is {now}" for n, was, now in pairs if was != now)


def flags(settings: Settings) -> list[str]:
    """Settings as command-line arguments; those that are None are left out."""
    words = []
    for name, value in vars(settings).items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-", 1))
        elif value is not None:
            words += [flag, str(value)]
    return words
