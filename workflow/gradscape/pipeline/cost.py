"""The device-hours of a configuration, before it runs.

The times were measured, on the configuration's own finished runs and on those kept in
`results/published/`. For a kind of device that has none, they are guesses, and said to be.

On a GPU the guess is for an NVIDIA H200 that the run has to itself: a step takes some time
for each layer and each normalisation, whose kernels are too small to fill the GPU, and some
for its operations. The constants are fitted to the steps that were measured on one,
`docs/h200.csv`: all but one within a tenth, VGG38 in fp32 within three.
"""

from collections.abc import Collection

import torch

from gradscape.config.experiment import Experiment
from gradscape.data.datasets import facts
from gradscape.models import build
from gradscape.models.anatomy import one_image
from gradscape.models.blocks import layer_counts
from gradscape.pipeline.times import expected, passes_per_step, steps
from gradscape.spec.settings import Settings
from gradscape.spec.study import Run
from gradscape.training.device import device_kind

SECONDS_PER_STEP, SECONDS_PER_LAYER, SECONDS_PER_NORM = 240e-6, 48e-6, 37e-6
FLOPS_PER_SECOND, FLOPS_PER_SECOND_BF16 = 20e12, 270e12
SECONDS_TO_START = 10.0
PASSES = 3  # forward, and backward twice as much
BASIS_ON_CPU = "what they took on other CPUs, or the mean of the other runs"
BASIS_ON_GPU = "estimates for an H200 that each run has to itself, "
BASIS_ON_GPU += "and may be off by a quarter"


def estimated_seconds(settings: Settings) -> float:
    """How long a run should take on an H200, from its process's start."""
    known = facts(settings.dataset)
    shape = known.channels, known.size
    with torch.device("meta"):  # shapes without numbers
        model = build(settings.model, known.classes, settings, *shape)
    count = layer_counts(model)
    layers = count["convolutions"] + count["linear_layers"]
    step = SECONDS_PER_STEP + SECONDS_PER_LAYER * layers
    step += SECONDS_PER_NORM * count["batch_normalisations"]
    is_fp32 = settings.precision == "fp32" or settings.landscape_every is not None
    rate = FLOPS_PER_SECOND if is_fp32 else FLOPS_PER_SECOND_BF16
    flops = one_image(model, known.classes, *shape).flops
    step += PASSES * settings.batch_size * flops / rate
    return SECONDS_TO_START + steps(settings) * passes_per_step(settings) * step


def plan(experiment: Experiment, kind: str | None = None) -> str:
    """The cost of the runs that are not finished yet, as a few lines of text."""
    times, told = costs(experiment, kind)
    lines = [f"{'study':<20} {'runs':>6} {'to do':>6} {'hours':>9}"]
    for name, study in experiment.studies.items():
        to_do = [times[run.id] for run in study.runs if run.id in times]
        numbers = f"{len(study.runs):>6} {len(to_do):>6} {sum(to_do) / 3600:>9.2f}"
        lines.append(f"{name:<20} {numbers}")
    return "\n".join([*lines, "", *told])


def costs(
    experiment: Experiment, kind: str | None = None, runs: Collection[Run] | None = None
) -> tuple[dict[str, float], list[str]]:
    """The seconds of each run, by default of those to do, and the sum as lines of text."""
    known = experiment.runs if runs is None else runs
    devices = {run.settings.device for run in known}
    cuda = devices != {"cpu"} and torch.cuda.is_available()
    kind = kind or device_kind("cuda" if cuda else "cpu")
    times, guesses = expected(experiment, kind, runs)
    unit, basis = "CPU", BASIS_ON_CPU
    if not kind.startswith("CPU"):
        unit, basis = "GPU", BASIS_ON_GPU
        guessed = (run for run in known if run.id in guesses)
        times |= {run.id: estimated_seconds(run.settings) for run in guessed}
    lines = [f"time: {sum(times.values()) / 3600:.2f} {unit}-hours on {kind}"]
    if guesses:
        were = "run was" if len(guesses) == 1 else "runs were"
        said = f"{len(guesses)} {were} never measured on {kind}"
        lines.append(f"{said}: their times are {basis}")
    return times, lines
