"""Adaptive gradient clipping (Brock et al. 2021, section 4, equation 3)."""

import torch
from torch import Tensor, nn

from gradscape.models.blocks import output_layer, trainable

SMALLEST = 1e-3  # norm of a unit's weights, so that those at zero can move


@torch.no_grad()
def clip(model: nn.Module, limit: float) -> None:
    """Scale each unit's gradient to at most `limit` times the norm of its weights.

    A unit is a row of a matrix or a filter of a convolution; a bias or a scale is clipped
    as a whole. The output layer is left alone, as in the paper.
    """
    spared = set(output_layer(model).parameters())
    for parameter in trainable(model):
        if parameter not in spared and parameter.grad is not None:
            largest = limit * unit_norms(parameter).clamp_min(SMALLEST)
            norms = unit_norms(parameter.grad).clamp_min(torch.finfo(torch.float32).tiny)
            parameter.grad.mul_((largest / norms).clamp_max(1))


def unit_norms(tensor: Tensor) -> Tensor:
    """The l2 norm of each unit, in a shape that multiplies the tensor."""
    axes = tuple(range(1, tensor.ndim)) or (0,)
    return torch.linalg.vector_norm(tensor, dim=axes, keepdim=True)
