"""What a network is, as a forward pass shows it: what it calls, in which order.

Names and the order of a constructor tell little: a layer may be called anything, be defined
last and called first, or never. So depth is the order of first calls, and a normalisation
or a convolution is one by its type.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.overrides import TorchFunctionMode

from gradscape.base.errors import GradscapeError, is_short_of_memory

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
KINDS = {
    "convolution": _ConvNd,
    "linear": nn.Linear,
    "normalisation": (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm),
    "recurrent": (nn.RNNBase, nn.RNNCellBase),
    "attention": nn.MultiheadAttention,
}
PARAMETRISED = ".parametrizations."  # torch's own word within a parameter's name


@dataclass
class Calls:
    """The modules that a forward pass called, by name, in order; `open` are those that had
    not returned, the innermost last. `uses` are the parameters that an operation was given,
    with the number of the call that this was in, or in front of. `flops` are those of
    convolutions and linear layers, multiply and add counted as two."""

    names: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    uses: dict[str, int] = field(default_factory=dict)
    flops: int = 0

    @property
    def counts(self) -> Counter[str]:
        """How often each was called, in the order of first calls."""
        return Counter(self.names)

    def place(self, name: str) -> int:
        """The number of a module's first call, or if it has none of the one around it."""
        while name not in self.names and name:
            name = name.rpartition(".")[0]
        return self.names.index(name)


class Uses(TorchFunctionMode):
    """Notes where a network's parameters are first used."""

    def __init__(self, model: nn.Module, seen: Calls):
        super().__init__()
        self.names = {parameter: name for name, parameter in model.named_parameters()}
        self.seen = seen

    def __torch_function__(self, operation, types, args=(), kwargs=None):
        kwargs, seen = kwargs or {}, self.seen
        for value in (*args, *kwargs.values()):
            for part in value if isinstance(value, list | tuple) else [value]:
                if isinstance(part, nn.Parameter) and part in self.names:
                    within = seen.open[-1:] == seen.names[-1:]
                    seen.uses.setdefault(self.names[part], len(seen.names) - within)
        return operation(*args, **kwargs)


@contextmanager
def watch(model: nn.Module) -> Iterator[Calls]:
    """Watch what a network calls while the block runs."""
    seen, names = Calls(), {module: name for name, module in model.named_modules()}

    def begin(module: nn.Module, inputs: tuple) -> None:
        if module in names:
            seen.names.append(names[module])
            seen.open.append(names[module])

    # torch's own counter of operations loads its compiler, which takes a second or more.
    def end(module: nn.Module, inputs: tuple, output) -> None:
        if module in names:
            while seen.open.pop() != names[module]:  # one that failed, and was caught
                pass
            if isinstance(module, LAYERS):
                seen.flops += 2 * output.numel() * module.weight[0].numel()

    hooks = register_module_forward_pre_hook(begin), register_module_forward_hook(end)
    try:
        with Uses(model, seen):
            yield seen
    finally:
        for hook in hooks:
            hook.remove()


def one_image(
    model: nn.Module,
    classes: int,
    channels: int = 3,
    size: int = 32,
    around: AbstractContextManager | None = None,
) -> Calls:
    """Send one image through, in evaluation mode and the context `around`: what it calls.

    Raises `GradscapeError` for a network that does not turn [n, channels, size, size]
    into [n, classes], with the layer that fails.
    """
    trains = model.training
    image = torch.zeros(1, size, size, channels, device=next(model.parameters()).device)
    with watch(model) as seen, torch.no_grad(), around or nullcontext():
        try:
            logits = model.eval()(image.permute(0, 3, 1, 2))
        except Exception as error:
            shape = f"images of {channels}x{size}x{size}"
            raise refusal(f"does not take {shape}", error, model, seen) from None
        finally:
            model.train(trains)
    check_logits(logits, 1, classes)
    return seen


def check_logits(logits, images: int, classes: int, mode: str = "") -> None:
    """Raise `GradscapeError` unless a network gave a tensor of [images, classes]."""
    wanted = [images, classes]
    is_tensor = isinstance(logits, Tensor)
    found = list(logits.shape) if is_tensor else f"a {type(logits).__name__}"
    if found != wanted:
        what = "an image" if images == 1 else f"{images} images"
        raise GradscapeError(
            f"the model turns {what}{mode} into {found} where {wanted} is needed"
        )


def refusal(what: str, error: Exception, model: nn.Module, seen: Calls) -> Exception:
    """The error to raise for what the model does not do, with the layer in which it failed;
    gradscape's own errors, and a lack of memory, as they are."""
    if isinstance(error, GradscapeError) or is_short_of_memory(error):
        return error
    where, text = "", str(error).strip().splitlines()
    if seen.open and (name := seen.open[-1]):
        where = f"{name} ({type(model.get_submodule(name)).__name__}): "
    said = text[0] if text else type(error).__name__
    return GradscapeError(f"the model {what}: {where}{said}")


class Weight(NamedTuple):
    """A weight tensor: its layer's name, kind and place among the calls."""

    parameter: nn.Parameter
    layer: str
    kind: str
    call: int


def weights(model: nn.Module, calls: Calls, train: bool = True) -> dict[str, Weight]:
    """The weight tensors that train (or do not), all parameters but biases, in the order in
    which the network lists them: the points of the coursework's gradient-flow plot. Where
    nothing but biases trains, those."""
    modules, found, biases = dict(model.named_modules()), {}, {}
    names: dict[nn.Parameter, list[str]] = {}  # several if layers share it
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, []).append(name)
    for parameter, (first, *_) in names.items():
        called = (name for name in names[parameter] if owner(name)[0] in calls.names)
        name = next(called, first)
        layer, own = owner(name)
        if parameter.requires_grad == train:
            call = calls.uses.get(first, calls.place(layer))
            kept = biases if "bias" in own else found
            kept[printed(name)] = Weight(parameter, layer, kind(modules[layer]), call)
    return found or (biases if train else {})


def owner(parameter: str) -> tuple[str, str]:
    """The layer that has a parameter, and its name there."""
    layer, _, own = parameter.rpartition(".")
    if PARAMETRISED in f".{parameter}":
        layer, _, own = f".{parameter}".partition(PARAMETRISED)
    return layer.removeprefix("."), own


def printed(parameter: str) -> str:
    """The name of a weight: its layer's, if it is called as nearly all are."""
    return parameter.removesuffix(".weight")


def by_depth(weights: dict[str, Weight]) -> dict[str, Weight]:
    """These weights by first calls, within one layer in the network's own order."""
    return dict(sorted(weights.items(), key=lambda item: item[1].call))


def kind(module: nn.Module) -> str:
    """A word of `KINDS`, by the module's type, or `other`."""
    return next((word for word, of in KINDS.items() if isinstance(module, of)), "other")


def layers(
    model: nn.Module, kinds: type | tuple[type, ...], calls: Calls
) -> dict[str, nn.Module]:
    """The modules of a kind that were called, by name, in order of their first calls."""
    modules = dict(model.named_modules())
    return {n: modules[n] for n in calls.counts if isinstance(modules[n], kinds)}


def output_layer(model: nn.Module, calls: Calls) -> tuple[str, nn.Module | None]:
    """The layer that gives the logits, the last that was called, and its name; None for a
    network of nothing but parameters and operations."""
    modules = dict(model.named_modules())
    for name in reversed(calls.names):
        if isinstance(modules[name], LAYERS):
            return name, modules[name]
    return "", None


def output_weight(model: nn.Module, calls: Calls) -> Tensor | None:
    """The output layer's weight, or without one the deepest; None if it does not train."""
    _, layer = output_layer(model, calls)
    own = set((layer or model).parameters())
    found = by_depth(weights(model, calls)).values()
    chosen = [weight.parameter for weight in found if weight.parameter in own]
    return chosen[-1] if chosen else None
