"""Optimisers by name, fused where torch has a fused kernel."""

import torch
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from gradscape.config import Settings
from gradscape.engine.muon import Muon


def build_optimiser(parameters, settings: Settings, device: str) -> Optimizer:
    """The optimiser of a run. On CUDA the rate is a tensor, which a graph can re-read."""
    optimiser = _named(parameters, settings, device == "cuda")
    if device == "cuda":
        for group in optimiser.param_groups:
            group["lr"] = torch.tensor(settings.learning_rate, device=device)
    return optimiser


def _named(parameters, settings: Settings, capturable: bool) -> Optimizer:
    shared = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    if settings.optimiser == "adam":
        return Adam(parameters, **shared, fused=True, capturable=capturable)
    if settings.optimiser == "adamw":
        return AdamW(parameters, **shared, fused=True, capturable=capturable)
    if settings.optimiser == "rmsprop":
        return RMSprop(parameters, **shared, foreach=True, capturable=capturable)
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
