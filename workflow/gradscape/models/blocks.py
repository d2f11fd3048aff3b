"""Layers and counts that the networks share."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscape.base.errors import GradscapeError

ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


def conv3x3(inputs: int, outputs: int, bias: bool = True) -> nn.Conv2d:
    """A 3×3 convolution that keeps the size of the feature map."""
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=bias)


class FoldedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation [n, c, h, w] that stops after `fold_after` training steps: the
    next minibatch's statistics stay as constants of an affine map, whose scale and shift
    still train. With 0 that is initialisation from the first minibatch (Salimans & Kingma
    2016, section 3; Mishkin & Matas 2016)."""

    def __init__(self, channels: int, fold_after: int):
        super().__init__(channels)
        self.fold_after = fold_after

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        # Selected by tensors, not by `if`: a CUDA graph cannot branch on the step.
        step = self.num_batches_tracked
        normalises = step < self.fold_after
        variance, mean = torch.var_mean(x.float(), (0, 2, 3), correction=0)
        with torch.no_grad():
            momentum = self.momentum * normalises + (step == self.fold_after)
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance, momentum)
            step.add_(1)
        mean = torch.where(normalises, mean, self.running_mean)
        variance = torch.where(normalises, variance, self.running_var)
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        return (x * scale[:, None, None] + shift[:, None, None]).to(x.dtype)


class FusedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation [n, c, h, w] that in steps on a GPU also adds and rectifies."""

    def forward(self, x: Tensor, slope: float | None = None, beside: Tensor | None = None):
        if slope is None:
            return super().forward(x)
        try:
            from gradscape.models.kernels import rectified_norm
        except ImportError:
            hint = "`pip install triton` or `uv pip install triton` installs it"
            raise GradscapeError(f"fused: the package triton is missing; {hint}") from None
        return rectified_norm(self, x, slope, beside)


def norm(
    channels: int, batch_norm: bool, fold_after: int | None = None, fused: bool = False
) -> nn.Module:
    """Batch normalisation, perhaps folded after some steps, or nothing in its place."""
    if not batch_norm:
        return nn.Identity()
    if fold_after is not None:
        return FoldedBatchNorm2d(channels, fold_after)
    return (FusedBatchNorm2d if fused else nn.BatchNorm2d)(channels)


def rectified(
    norm: nn.Module, x: Tensor, slope: float, beside: Callable[[], Tensor] | None = None
) -> Tensor:
    """The leaky rectifier of what `norm` makes of x, plus what comes from `beside` it."""
    if isinstance(norm, FusedBatchNorm2d) and norm.training and x.is_cuda:
        return norm(x, slope, beside and beside())
    out = norm(x)
    return leaky_relu(out + beside() if beside else out, slope)


def leaky_relu(x: Tensor, slope: float) -> Tensor:
    """In place, since passes over memory limit a step; no layer needs its output again."""
    return functional.leaky_relu(x, slope, inplace=True)


def flip_last_bit(weights: Tensor, index: int) -> None:
    """Change one of a tensor's weights, counted from 0 through all dimensions, by the last
    bit of its mantissa; raises `GradscapeError` if there is no such weight."""
    if index >= weights.numel():
        known = f"the first layer's last weight is {weights.numel() - 1}"
        raise GradscapeError(f"perturbation {index}: {known}")
    weights.detach().view(-1).view(torch.int32)[index] ^= 1


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that train: all but those of a frozen part."""
    return [p for p in model.parameters() if p.requires_grad]


LAYOUTS = ("channels_last", "contiguous")


def placed(model: nn.Module, device: str, layout: str) -> nn.Module:
    """The network on a device, in one of the `LAYOUTS`, and so the images that it is given,
    which come as channels-last."""
    if layout == "channels_last":
        return model.to(device, memory_format=torch.channels_last)
    model.register_forward_pre_hook(lambda _, given: tuple(x.contiguous() for x in given))
    return model.to(device)


def parameter_count(model: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in trainable(model))


def layer_counts(model: nn.Module) -> dict[str, int]:
    """Numbers of convolutions, batch normalisations and linear layers."""
    kinds = {
        "convolutions": nn.Conv2d,
        "batch_normalisations": nn.BatchNorm2d,
        "linear_layers": nn.Linear,
    }
    modules = [*model.modules()]
    return {n: sum(isinstance(m, kind) for m in modules) for n, kind in kinds.items()}
