"""A network's forward pass, run in fewer kernels."""

from collections import Counter

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gradscape.models.anatomy import Calls
from gradscape.models.blocks import FusedBatchNorm2d
from gradscape.training.device import Backend

# Layers that pass weight and bias to an operation that autocast runs in bf16; a class
# derived from one of them may not, and a hook may compute them from others.
CAST = (nn.Conv2d, nn.Linear)
COUNTED = (nn.BatchNorm1d, nn.BatchNorm2d, FusedBatchNorm2d)


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
    fp32. Without `calls` nothing is done together.
    """

    def __init__(self, model: nn.Module, backend: Backend, calls: Calls | None = None):
        self.model = model
        self.backend = backend
        shared = Counter(p for _, p in model.named_parameters(remove_duplicate=False))
        once = {name for name, count in calls.counts.items() if count == 1} if calls else {}
        named = {f"{name}.": m for name, m in model.named_modules() if name in once}
        self.weights = {
            prefix + name: parameter
            for prefix, module in named.items()
            if backend.precision == "bf16" and type(module) in CAST
            if not module._forward_pre_hooks
            for name, parameter in module.named_parameters(recurse=False)
            if parameter.requires_grad and shared[parameter] == 1
        }
        self.norms = {
            prefix + "num_batches_tracked": module
            for prefix, module in named.items()
            if type(module) in COUNTED
            if module.num_batches_tracked is not None and module.momentum is not None
        }

    @property
    def is_faster(self) -> bool:
        """Whether there is anything to do together."""
        return bool(self.weights or self.norms)

    def __call__(self, images: Tensor) -> Tensor:
        cast = Cast.apply(*self.weights.values()) if self.weights else ()
        others = dict(zip(self.weights, cast, strict=True)) | dict.fromkeys(self.norms)
        with self.backend.autocast():
            if not self.is_faster:
                return self.model(images)
            logits = functional_call(self.model, others, (images,), tie_weights=False)
        counts = [m.num_batches_tracked for m in self.norms.values() if m.training]
        if counts:
            torch._foreach_add_(counts, 1)
        return logits
