"""How long a run should take on an NVIDIA H200 that it has to itself.

A step takes some time for each layer and each normalisation, whose kernels are too small to
fill the GPU, and some for its operations. The constants are fitted to the steps that were
measured on one, `docs/h200.csv`: all but one within a tenth, VGG38 in fp32 within three.
A kind of GPU that has finished runs needs no estimate.
"""

from functools import cache
from types import SimpleNamespace

import torch
from torch import nn

from gradscape.data.facts import Facts
from gradscape.models import build
from gradscape.models.blocks import layer_counts
from gradscape.pipeline.work import passes_per_step, steps
from gradscape.spec.settings import MODEL_SETTINGS, Settings
from gradscape.training.dry_run import dry_run

SECONDS_PER_STEP, SECONDS_PER_LAYER, SECONDS_PER_NORM = 240e-6, 48e-6, 37e-6
FLOPS_PER_SECOND, FLOPS_PER_SECOND_BF16 = 20e12, 270e12
SECONDS_TO_START = 10.0
PASSES = 3  # forward, and backward twice as much


@cache
def network(model: str, known: Facts, *options) -> nn.Module:
    """A network of shapes without numbers, given the values of its settings."""
    settings = SimpleNamespace(**dict(zip(MODEL_SETTINGS, options, strict=True)))
    with torch.device("meta"):
        return build(model, known.classes, settings, known.channels, known.size)


def network_of(settings: Settings, known: Facts) -> nn.Module:
    options = [getattr(settings, option) for option in MODEL_SETTINGS]
    return network(settings.model, known, *options)


def estimated_seconds(settings: Settings, known: Facts) -> float:
    """What a run should take, from its process's start."""
    model = network_of(settings, known)
    count = layer_counts(model)
    layers = count["convolutions"] + count["linear_layers"]
    step = SECONDS_PER_STEP + SECONDS_PER_LAYER * layers
    step += SECONDS_PER_NORM * count["batch_normalisations"]
    flops = dry_run(model, known.classes, known.channels, known.size).flops
    is_fp32 = settings.precision == "fp32" or settings.landscape_every is not None
    rate = FLOPS_PER_SECOND if is_fp32 else FLOPS_PER_SECOND_BF16
    step += PASSES * settings.batch_size * flops / rate
    passes = steps(settings) * passes_per_step(settings)
    return SECONDS_TO_START + passes * step
