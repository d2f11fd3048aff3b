"""Optimisers by name, fused where torch has a fused kernel."""

import torch
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from gradscape.config import Settings
from gradscape.engine.muon import Muon


def build_optimiser(parameters, settings: Settings, device: str) -> Optimizer:
    """The optimiser of a run. On CUDA the rate is a tensor, which a graph can re-read."""
    cuda = device == "cuda"
    rate = torch.tensor(settings.learning_rate, device=device) if cuda else 0.0
    shared = {"lr": rate, "weight_decay": settings.weight_decay}
    if settings.optimiser == "adam":
        return Adam(parameters, **shared, fused=True, capturable=cuda)
    if settings.optimiser == "adamw":
        return AdamW(parameters, **shared, fused=True, capturable=cuda)
    if settings.optimiser == "rmsprop":
        return RMSprop(parameters, **shared, foreach=True, capturable=cuda)
    if settings.optimiser == "muon":
        return Muon(parameters, **shared, momentum=settings.momentum)
    return SGD(
        parameters,
        **shared,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        fused=True,
    )


def set_learning_rate(optimiser: Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
