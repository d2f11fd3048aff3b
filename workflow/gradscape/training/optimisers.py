"""Optimisers by name, fused where torch has a fused kernel.

One of your own is a function like these, of an optimiser whose state starts from zeros;
where it is `capturable`, in a CUDA graph, its steps read nothing from the device and the
rate is a tensor in its groups' `lr`.
"""

import inspect

import torch
from torch.nn import Parameter
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from gradscape.spec.registry import find
from gradscape.spec.settings import Settings
from gradscape.training.muon import Muon

Parameters = list[Parameter]


def adam(parameters: Parameters, settings: Settings, capturable: bool) -> Optimizer:
    return light(Adam, parameters, settings, fused=True, capturable=capturable)


def adamw(parameters: Parameters, settings: Settings, capturable: bool) -> Optimizer:
    return light(AdamW, parameters, settings, fused=True, capturable=capturable)


def rmsprop(parameters: Parameters, settings: Settings, capturable: bool) -> Optimizer:
    return light(RMSprop, parameters, settings, foreach=True, capturable=capturable)


def muon(parameters: Parameters, settings: Settings, capturable: bool) -> Optimizer:
    return light(Muon, parameters, settings, momentum=settings.momentum)


def sgd(parameters: Parameters, settings: Settings, capturable: bool) -> Optimizer:
    momentum = {"momentum": settings.momentum, "nesterov": settings.nesterov}
    return light(SGD, parameters, settings, **momentum, fused=True)


OPTIMISERS = {"adam": adam, "adamw": adamw, "sgd": sgd, "rmsprop": rmsprop, "muon": muon}


def light(kind: type[Optimizer], parameters, settings: Settings, **options) -> Optimizer:
    """An optimiser whose methods torch has not wrapped for its compiler, which would be
    loaded, in a second or more, even where nothing is compiled."""
    names = ("step", "zero_grad", "add_param_group", "state_dict", "load_state_dict")
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in names}
    methods["step"] = torch.no_grad()(methods["step"])
    options |= {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    return type(kind.__name__, (kind,), methods)(parameters, **options)


def build_optimiser(parameters: Parameters, settings: Settings, device: str) -> Optimizer:
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
