"""The cost of a configuration, before it runs: device-hours, disk and the longest chain.

The times were measured, on the configuration's own finished runs and on those kept in
`results/published/`. For a kind of device that has none, they are guesses, and said to be.

On a GPU the guess is for an NVIDIA H200 that the run has to itself: a step takes some time
for each layer and each normalisation, whose kernels are too small to fill the GPU, and some
for its operations. The constants are fitted to the steps that were measured on one,
`docs/h200.csv`: all but one within a tenth, VGG38 in fp32 within three.
"""

from functools import cache

import torch
from torch import nn

from gradscape.config.experiment import Experiment
from gradscape.data.datasets import facts
from gradscape.models import build
from gradscape.models.blocks import layer_counts
from gradscape.pipeline.rates import expected, passes_per_step, steps
from gradscape.spec.settings import MODEL_SETTINGS, Settings
from gradscape.training.device import device_kind
from gradscape.training.forward import dry_run

SECONDS_PER_STEP, SECONDS_PER_LAYER, SECONDS_PER_NORM = 240e-6, 48e-6, 37e-6
FLOPS_PER_SECOND, FLOPS_PER_SECOND_BF16 = 20e12, 270e12
SECONDS_TO_START = 10.0
PASSES = 3  # forward, and backward twice as much
BASIS_ON_CPU = "what they took on other CPUs, or the mean of the other runs"
BASIS_ON_GPU = (
    "estimates for an H200 that each run has to itself, and may be off by a quarter"
)


def network(settings: Settings) -> nn.Module:
    """A network of shapes without numbers."""
    names = ("model", "dataset", *MODEL_SETTINGS)
    return built(Settings(**{name: getattr(settings, name) for name in names}))


@cache
def built(settings: Settings) -> nn.Module:
    known = facts(settings.dataset)
    with torch.device("meta"):
        return build(settings.model, known.classes, settings, known.channels, known.size)


def estimated_seconds(settings: Settings) -> float:
    """How long a run should take on an H200, from its process's start."""
    model, known = network(settings), facts(settings.dataset)
    count = layer_counts(model)
    layers = count["convolutions"] + count["linear_layers"]
    step = SECONDS_PER_STEP + SECONDS_PER_LAYER * layers
    step += SECONDS_PER_NORM * count["batch_normalisations"]
    flops, _ = dry_run(model, known.classes, known.channels, known.size)
    is_fp32 = settings.precision == "fp32" or settings.landscape_every is not None
    rate = FLOPS_PER_SECOND if is_fp32 else FLOPS_PER_SECOND_BF16
    step += PASSES * settings.batch_size * flops / rate
    return SECONDS_TO_START + steps(settings) * passes_per_step(settings) * step


def disk_bytes(settings: Settings) -> int:
    """The size of what a run leaves: its best and last weights, every step's loss."""
    tensors = network(settings).state_dict().values()
    return 2 * sum(tensor.nbytes for tensor in tensors) + 4 * steps(settings)


def plan(experiment: Experiment, kind: str | None = None) -> str:
    """The cost of the runs that are not finished yet, as a few lines of text."""
    devices = {run.settings.device for run in experiment.runs}
    cuda = devices != {"cpu"} and torch.cuda.is_available()
    kind = kind or device_kind("cuda" if cuda else "cpu")
    on_cpu = kind.startswith("CPU")
    times, guesses = expected(experiment, kind)
    settings = {run.id: run.settings for run in experiment.runs if run.id in times}
    if not on_cpu:
        times |= {run: estimated_seconds(settings[run]) for run in guesses}
    disk = {run: disk_bytes(settings[run]) for run in times}
    lines = [f"{'study':<20} {'runs':>6} {'to do':>6} {'hours':>9} {'disk':>9}"]
    for name, study in experiment.studies.items():
        to_do = [run.id for run in study.runs if run.id in times]
        hours, room = (sum(map(each.get, to_do)) for each in (times, disk))
        line = f"{name:<20} {len(study.runs):>6} {len(to_do):>6} {hours / 3600:>9.2f} "
        lines.append(f"{line}{size(room):>9}")
    datasets = [facts(name) for name in experiment.datasets.values()]
    data = sum((d.train + d.test) * d.channels * d.size**2 for d in datasets)
    left = size(sum(disk.values()))
    lines.append(f"\ndisk: {left} for the runs to do, {size(data)} for the datasets")
    if times:
        total, longest = sum(times.values()), max(times, key=times.get)
        lines += [
            f"time: {total / 3600:.2f} {'C' if on_cpu else 'G'}PU-hours on {kind}",
            f"longest chain: data, train {longest} ({times[longest] / 60:.0f} min), "
            "figure, tex, pdf; more devices do not shorten it",
        ]
    if guesses:
        runs = "run was" if len(guesses) == 1 else "runs were"
        basis = BASIS_ON_CPU if on_cpu else BASIS_ON_GPU
        lines.append(
            f"{len(guesses)} {runs} never measured on {kind}: their times are {basis}"
        )
    return "\n".join(lines)


def size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
