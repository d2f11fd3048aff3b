"""The settings that decide the outcome of a run, each explained below itself.

The schema of a configuration, the options of the command line, the settings in `run.json`
and the table in `config/README.md` come from these lines. Groups are for readers: all else
holds the settings side by side, in this order.
"""

import ast
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, get_type_hints

from gradscape.spec.options import LATER, REQUIRED, Named, Option, Range, Unset, option

# Settings alone is made and compared, so the groups need no methods.
group = dataclass(frozen=True, init=False, repr=False, eq=False)


@group
class Task:
    """The network, and the images that it learns."""

    model: Annotated[str, Named("model", own=True)]
    """A name that `gradscape models` lists, or `path/file.py:constructor` of your own."""
    dataset: Annotated[str, Named("dataset", own=True)]
    """`cifar10`, `cifar100`, `svhn`, `fashion-mnist`, `generated10`, `generated10-small`,
    `generated100`, or your own images: a folder of class folders, an `.npz`, or
    `path/file.py:function`."""


@group
class Architecture:
    """Keywords of the model's constructor, which a model may take or lack."""

    width: Annotated[int | None, Range(1, 4096)] = None
    """Filters of the first convolution (`resnet-small`, the Edinburgh networks)."""
    activation: Annotated[str | None, Named("activation")] = None
    """`relu`, `leaky_relu`, `elu`, `gelu`, `tanh` or `sigmoid`."""
    dropout: Annotated[float | None, Range(0, below=1)] = None
    """Probability of dropping a unit."""
    batch_norm: bool | None = None
    """With or without batch normalisation."""
    skip: bool | None = None
    """With or without skip connections."""
    initialisation: Literal["default", "he", "zero-last", "delta-orthogonal"] | None = None
    """How the Edinburgh networks start: PyTorch's `default`; `he`, He et al.'s for
    rectifiers; `zero-last`, the same with each processing block's last convolution at zero;
    `delta-orthogonal`, Xiao et al.'s: an orthogonal matrix at each kernel's centre."""
    slope: Annotated[float | None, Range(0, 1), LATER] = None
    """Slope of the Edinburgh networks' leaky rectifiers below zero."""
    eta: Annotated[float | None, Range(above=0, below=1), Unset("off"), LATER] = None
    """Tailor that slope to the depth instead: orthogonal images end with this cosine
    (Zhang, Botev & Martens 2022)."""
    reduction_batch_norm: Annotated[bool | None, Unset("as `batch_norm`")] = None
    """Batch normalisation in the Edinburgh networks' reduction blocks, if not as in the
    others."""
    reduction_shortcut: Annotated[Literal["pooled", "strided"] | None, Unset("none")] = None
    """A residual connection through each of those blocks: `pooled`, the average-pooled
    identity; `strided`, a 1×1 convolution of stride 2."""
    pre_activation: bool | None = None
    """Normalise and activate before each convolution of a block, not after (Edinburgh
    networks)."""
    fold_after: Annotated[int | None, Range(0), Unset("never")] = None
    """Steps after which the Edinburgh networks' batch normalisation stops: the next
    minibatch's statistics stay as constants; `0` is initialisation from the first
    minibatch."""
    fused: Annotated[bool | None, LATER] = None
    """In steps on a GPU, normalise, add and rectify in one pass each way (Edinburgh
    networks; needs the package `triton`). Changes last bits; never timed so far."""
    freeze: Annotated[Literal["weights", "backbone"] | None, Unset("nothing")] = None
    """The pretrained part that does not train: its `weights`, or the whole `backbone` with
    its running statistics."""


@group
class Training:
    """First weights, loss, rate and length."""

    pretrained: bool = False
    """Start the convolutions from ImageNet weights, if the model has any
    (`vgg11-bn`, `efficientnet-lite0`)."""
    perturbation: Annotated[int | None, Range(0), Unset("off"), LATER] = None
    """Before training, flip the last bit of this weight, counted from 0, of the first
    layer: which runs does rounding decide?"""
    loss: Annotated[str, Named("loss", own=True)] = "cross_entropy"
    """`cross_entropy`, `squared_error` or `focal`; validation and test losses are always
    cross entropy."""
    label_smoothing: Annotated[float, Range(0, below=1)] = 0.0
    """Label smoothing of the cross entropy."""
    l1: Annotated[float, Range(0)] = 0.0
    """Factor of the sum of absolute weights added to the loss."""
    learning_rate: Annotated[float, Range(above=0)] = 1e-3
    """Base rate of the schedule."""
    seed: Annotated[int, Range(0, 10**13)] = 0
    """Seed of initialisation, order and augmentation, but not of the split."""
    epochs: Annotated[int, Range(1, 10**6)] = 100
    """Passes over the training images."""
    patience: Annotated[int | None, Range(1), Unset("never")] = None
    """Early stopping: stop after this many epochs without a better validation accuracy."""
    batch_size: Annotated[int, Range(2, 10**6)] = 100
    """Images per minibatch; the last of an epoch may be smaller."""


# Records and fingerprints call each split by the course that set it.
SPLITS = {
    "random-5-percent": "edinburgh",
    "test-as-validation": "fudan",
    "last-10-percent": "alberta",
    "last-2-percent": "sapienza",
}


@group
class Data:
    """The images that train and validate, and how they are changed."""

    split: Annotated[str, Named("split", True, SPLITS)] = "edinburgh"
    """The images that validate: `random-5-percent`, `last-10-percent` or `last-2-percent`
    of the training images, or `test-as-validation`, the official test images. Records call
    these `edinburgh`, `alberta`, `sapienza` and `fudan`, after the courses."""
    train_items: Annotated[int | None, Range(2), Unset("all")] = None
    """Use only this many training images of the split, the first."""
    validation_items: Annotated[int | None, Range(1), Unset("all")] = None
    """Use only this many validation images of the split, the first."""
    augmentation: Annotated[str, Named("augmentation")] = "crop-flip"
    """Changes of training images: `none`; `flip`; `crop-flip`, a crop with 4 pixels of
    padding and a flip; `geometric`, a flip, rotation by up to 15°, shift by up to 4 pixels,
    zoom by up to 15 %; `colour`, brightness, contrast and saturation by up to 40 %, hue by
    up to 18°; `geometric-colour`."""
    augmentation_strength: Annotated[float, Range(0)] = 1.0
    """Multiplies those ranges of `geometric` and `colour`."""
    normalisation: Annotated[str, Named("normalisation")] = "dataset"
    """The mean and deviation to normalise by: of the `dataset`'s own training images, of
    `imagenet`, 0.5 and 0.5 (`half`), about the same (`efficientnet`, 127/255 and 128/255),
    or the courses' constants for `cifar10`, whose deviation (0.2023, …) is not that of
    CIFAR-10's images (0.2470, …)."""


@group
class Optimiser:
    """How a gradient becomes a step."""

    optimiser: Annotated[str, Named("optimiser", own=True)] = "adam"
    """`adam`, `adamw`, `sgd`, `rmsprop`, or `muon`, this project's own."""
    momentum: Annotated[float, Range(0, below=1)] = 0.9
    """Momentum of `sgd` and `muon`."""
    nesterov: bool = False
    """Nesterov's momentum, for `sgd`."""
    weight_decay: Annotated[float, Range(0)] = 0.0
    """Decoupled with `adamw` and `muon`, an l2 term otherwise."""
    adaptive_clipping: Annotated[float | None, Range(above=0), Unset("off")] = None
    """Adaptive gradient clipping: the largest norm of a unit's gradient, as a share of its
    weights' norm; not of the output layer."""


@group
class Schedule:
    """How the learning rate changes."""

    schedule: Annotated[str, Named("schedule", own=True)] = "cosine"
    """`constant`, `cosine` (stepped once per epoch), `cosine_per_iteration` (the course's
    variant since 2023/24: stepped once per minibatch with a period counted in epochs, so
    the rate swings), `exponential` or `staircase`."""
    final_learning_rate: Annotated[float, Range(0)] = 2e-5
    """Where a cosine ends."""
    decay: Annotated[float, Range(above=0, maximum=1)] = 0.95
    """Factor of `exponential` and `staircase`."""
    decay_epochs: Annotated[int, Range(1)] = 1
    """Epochs between two steps of `staircase`."""
    warmup_epochs: Annotated[int, Range(0)] = 0
    """Epochs in which the rate first rises linearly."""


@group
class Device:
    """Where it is computed, and how exactly."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`cpu`, `cuda`, or CUDA where there is one."""
    precision: Literal["auto", "fp32", "tf32", "bf16"] = "auto"
    """`fp32`, `tf32` or `bf16`; `auto` is bf16 where the device computes it natively, else
    fp32, and fp32 with `landscape_every`."""
    deterministic: bool = True
    """Use only algorithms that give the same bits every time."""


@group
class Measures:
    """Measures taken while the network trains, besides losses and accuracies."""

    score_training: Annotated[int | None, Range(1), Unset("off")] = None
    """Score this many training images, the first, after each epoch as validation images
    are: not augmented, in evaluation mode; changes no byte of the training."""
    gradient_lag: Annotated[int | None, Range(1, 10**6), Unset("off")] = None
    """Record, at every step, how far the output layer's gradient and weight are from those
    this many steps before, the gradient's norm, and its distance over 1, 5 and 20 steps."""
    landscape_every: Annotated[int | None, Range(1), Unset("off")] = None
    """Measure the loss along the gradient every this many steps; changes no byte of the
    training."""
    landscape_points: Annotated[int, Range(1, 1000)] = 8
    """Step sizes of that measurement, evenly from 1/2 to 4 times the learning rate; each
    costs a forward and a backward pass."""
    landscape_step: bool = False
    """Measure it along the optimiser's own step as well, from 1/2 to 4 times its length, at
    as many points."""
    landscape_cap: Annotated[float, Range(above=0)] = 0.4
    """The largest of those step sizes."""


# A dataclass takes the fields of its last base first.
@dataclass(frozen=True)
class Settings(Measures, Device, Schedule, Optimiser, Data, Training, Architecture, Task):
    """All settings of one run; the defaults are a coursework's."""


def explanations() -> dict[str, str]:
    """The sentence below each field, from the source text: Python does not keep it."""
    found = {}
    for group in ast.parse(Path(__file__).read_text("utf-8")).body:
        lines = group.body if isinstance(group, ast.ClassDef) else []
        for field, below in pairwise(lines):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id)), ast.Expr(ast.Constant(str(text))):
                    found[id] = " ".join(text.split())
    return found


def options_of_settings() -> Iterator[Option]:
    hints, help = get_type_hints(Settings, include_extras=True), explanations()
    for field in fields(Settings):
        name, default = field.name, REQUIRED if field.default is MISSING else field.default
        made = option(name, hints[name], default, help[name])
        is_models = name in MODEL_SETTINGS and not made.unset
        yield replace(made, unset="the model's") if is_models else made


MODEL_SETTINGS = [field.name for field in fields(Architecture)]
SETTINGS = {option.name: option for option in options_of_settings()}
DEFAULTS = {name: o.default for name, o in SETTINGS.items() if not o.required}


def decisive(settings: Settings) -> dict:
    """The settings that identify a run: those younger than its checkpoint's format only
    where they are set."""
    younger = {name for name, option in SETTINGS.items() if option.later}
    unset = {name for name in younger if getattr(settings, name) == DEFAULTS[name]}
    return {name: value for name, value in vars(settings).items() if name not in unset}


def differences(old: dict, new: dict) -> str:
    """The settings in which two runs differ, in words; one that is missing had its default.

    >>> differences({"epochs": 5}, {"epochs": 2, "seed": 0})
    'epochs was 5 and is 2'
    """
    pairs = [(name, old.get(name, DEFAULTS.get(name)), new[name]) for name in new]
    return ", ".join(f"{n} was {was} and is {now}" for n, was, now in pairs if was != now)


def changed(settings: Settings) -> dict:
    """The settings that do not have their defaults."""
    values = vars(settings).items()
    return {n: v for n, v in values if n not in DEFAULTS or v != DEFAULTS[n]}


def flags(settings: Settings) -> list[str]:
    """The settings that do not have their defaults, as command-line arguments."""
    words = []
    for name, value in changed(settings).items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            words += [flag, str(value)]
    return words
