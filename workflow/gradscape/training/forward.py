"""A network's forward pass: tried once before it trains, and run in fewer kernels."""

from collections import Counter

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.module import register_module_forward_hook

from gradscape.base.errors import GradscapeError
from gradscape.training.device import Backend

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
# Layers that pass weight and bias to an operation that autocast runs in bf16; a class
# derived from one of them may not.
CAST = (nn.Conv2d, nn.Linear)
COUNTED = (nn.BatchNorm1d, nn.BatchNorm2d)


def dry_run(
    model: nn.Module, classes: int, channels: int = 3, size: int = 32
) -> tuple[int, Counter]:
    """Send one image through, in evaluation mode: its FLOPs in convolutions and linear
    layers, multiply and add counted as two, and the calls of each module.

    Raises `GradscapeError` for a network that does not turn [n, channels, size, size]
    into [n, classes].
    """
    flops, calls = 0, Counter()

    # torch's own counter of operations loads its compiler, which takes a second or more.
    def count(module: nn.Module, inputs: tuple, output) -> None:
        nonlocal flops
        calls[module] += 1
        if isinstance(module, LAYERS):
            flops += 2 * output.numel() * module.weight[0].numel()

    image = torch.zeros(1, channels, size, size, device=next(model.parameters()).device)
    hook = register_module_forward_hook(count)
    try:
        with torch.no_grad():
            shape = list(model.eval()(image).shape)
    except (RuntimeError, ValueError) as error:
        raise GradscapeError(
            f"the model does not take images of {channels}x{size}x{size}: "
            f"{str(error).splitlines()[0]}"
        ) from None
    finally:
        hook.remove()
        model.train()
    if shape != [1, classes]:
        raise GradscapeError(
            f"the model turns an image into {shape} where [1, {classes}] is needed"
        )
    return flops, calls


class Cast(torch.autograd.Function):
    """Tensors to bf16, and their gradients back to fp32, as autocast does one by one."""

    @staticmethod
    def forward(context, *weights: Tensor) -> tuple[Tensor, ...]:
        context.set_materialize_grads(False)  # what is unused has no gradient
        return copied(weights, torch.bfloat16)

    @staticmethod
    def backward(context, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        given = iter(copied([g for g in gradients if g is not None], torch.float32))
        return tuple(None if g is None else next(given) for g in gradients)


def copied(tensors, dtype: torch.dtype) -> tuple[Tensor, ...]:
    copies = tuple(torch.empty_like(tensor, dtype=dtype) for tensor in tensors)
    torch._foreach_copy_(copies, tensors)
    return copies


class Forward:
    """Call it with images [b, channels, s, s] for logits [b, classes].

    Under autocast every layer casts its own weight to bf16 and its gradient back, and every
    batch normalisation counts its own minibatches: a fifth of a small network's step on a
    GPU. Here each is done once, with the same bits, for all layers of those classes that
    `calls` found to be called once per pass: autocast adds up the gradients of others in
    fp32.
    """

    def __init__(self, model: nn.Module, backend: Backend, calls: Counter):
        self.model = model
        self.backend = backend
        shared = Counter(p for _, p in model.named_parameters(remove_duplicate=False))
        named = {f"{name}.": m for name, m in model.named_modules() if calls[m] == 1}
        self.weights = {
            prefix + name: parameter
            for prefix, module in named.items()
            if backend.precision == "bf16" and type(module) in CAST
            for name, parameter in module.named_parameters(recurse=False)
            if parameter.requires_grad and shared[parameter] == 1
        }
        self.norms = {
            prefix + "num_batches_tracked": module
            for prefix, module in named.items()
            if type(module) in COUNTED
            if module.num_batches_tracked is not None and module.momentum is not None
        }

    def __call__(self, images: Tensor) -> Tensor:
        cast = Cast.apply(*self.weights.values()) if self.weights else ()
        others = dict(zip(self.weights, cast, strict=True)) | dict.fromkeys(self.norms)
        with self.backend.autocast():
            logits = functional_call(self.model, others, (images,), tie_weights=False)
        counts = [m.num_batches_tracked for m in self.norms.values() if m.training]
        if counts:
            torch._foreach_add_(counts, 1)
        return logits
