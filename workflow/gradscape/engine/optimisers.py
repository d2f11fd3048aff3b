"""Optimisers by name, fused where torch has a fused kernel.

One of your own, `path/file.py:function`, is a function like these: it takes the list of
parameters that train, the run's settings, and whether its steps have to be capturable in
a CUDA graph (nothing read from the device, the rate in its groups' `lr` as a tensor), and
returns a `torch.optim.Optimizer` whose state starts from zeros. The schedule then sets
the rate of all its groups.
"""

import torch
from torch.nn import Parameter
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from gradscape.engine.muon import Muon
from gradscape.registry import find
from gradscape.settings import Settings


def adam(parameters: list[Parameter], settings: Settings, capturable: bool) -> Optimizer:
    return Adam(parameters, **shared(settings), fused=True, capturable=capturable)


def adamw(parameters: list[Parameter], settings: Settings, capturable: bool) -> Optimizer:
    return AdamW(parameters, **shared(settings), fused=True, capturable=capturable)


def rmsprop(parameters: list[Parameter], settings: Settings, capturable: bool) -> Optimizer:
    return RMSprop(parameters, **shared(settings), foreach=True, capturable=capturable)


def muon(parameters: list[Parameter], settings: Settings, capturable: bool) -> Optimizer:
    return Muon(parameters, **shared(settings), momentum=settings.momentum)


def sgd(parameters: list[Parameter], settings: Settings, capturable: bool) -> Optimizer:
    momentum = {"momentum": settings.momentum, "nesterov": settings.nesterov}
    return SGD(parameters, **shared(settings), **momentum, fused=True)


OPTIMISERS = {
    "adam": adam,
    "adamw": adamw,
    "sgd": sgd,
    "rmsprop": rmsprop,
    "muon": muon,
}


def shared(settings: Settings) -> dict:
    return {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}


def build_optimiser(
    parameters: list[Parameter], settings: Settings, device: str
) -> Optimizer:
    """The optimiser of a run. On CUDA the rate is a tensor, which a graph can re-read."""
    make = find("optimiser", settings.optimiser)
    optimiser = make(parameters, settings, device == "cuda")
    if device == "cuda":
        for group in optimiser.param_groups:
            group["lr"] = torch.tensor(settings.learning_rate, device=device)
    return optimiser


def set_learning_rate(optimiser: Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
