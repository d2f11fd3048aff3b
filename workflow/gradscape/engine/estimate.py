"""How long a run should take on an NVIDIA H200, by counting; nothing here was measured.

The number of its kernels limits a small network's step, its operations a large one's. Both
are counted from the network's layers, with constants fitted to the four networks in
`docs/speed.md` whose kernels were counted one by one. Expect to be off by up to a third
either way. A kind of GPU that has finished runs needs no estimate.
"""

from functools import cache
from types import SimpleNamespace

import torch
from torch import nn

from gradscape.data.facts import Facts
from gradscape.engine.dry_run import dry_run
from gradscape.engine.work import passes_per_step, steps
from gradscape.models import build
from gradscape.models.blocks import layer_counts
from gradscape.settings import MODEL_SETTINGS, Settings

SECONDS_PER_KERNEL = 2.15e-6
KERNELS, KERNELS_PER_LAYER = 50, 6
KERNELS_PER_NORM = 12  # 8, and what their passes over memory take
FLOPS_PER_SECOND, FLOPS_PER_SECOND_BF16 = 25e12, 100e12  # of small convolutions
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
    kernels = KERNELS + KERNELS_PER_LAYER * layers
    kernels += KERNELS_PER_NORM * count["batch_normalisations"]
    flops = dry_run(model, known.classes, known.channels, known.size).flops
    is_fp32 = settings.precision == "fp32" or settings.landscape_every is not None
    rate = FLOPS_PER_SECOND if is_fp32 else FLOPS_PER_SECOND_BF16
    work = PASSES * settings.batch_size * flops / rate
    passes = steps(settings) * passes_per_step(settings)
    return SECONDS_TO_START + passes * (SECONDS_PER_KERNEL * kernels + work)
