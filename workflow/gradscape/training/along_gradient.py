"""The loss and its gradient along the gradient, and along the optimiser's own step.

Santurkar et al. 2018, section 3.2 and Figure 4: at a step of training, on the same
minibatch, move from the weights w along the gradient g by several step sizes s, and
measure (a) the loss L(w - s g), (b) the distance |g(w - s g) - g(w)| over all parameters,
and (c) that distance over the distance moved, s |g|: "effective" beta-smoothness. The
same is measured along the step that the optimiser takes, which is another for all but
plain SGD, from 1/2 to 4 times its length.
"""

from collections.abc import Callable

import torch
from torch import Tensor

REACH = (0.5, 4.0)  # times the learning rate


def step_sizes(rate: float, points: int, cap: float) -> list[float]:
    """`points` sizes, evenly from 1/2 to 4 times the learning rate, none above `cap`.

    >>> step_sizes(0.1, 3, 0.3)
    [0.05, 0.225, 0.3]
    """
    return [min(factor * rate, cap) for factor in factors(points)]


def factors(points: int) -> list[float]:
    low, high = REACH
    return [low + (high - low) * i / max(points - 1, 1) for i in range(points)]


@torch.no_grad()
def along(
    parameters: list[Tensor],
    direction: list[Tensor],
    sizes: list[float],
    loss_here: Tensor,
    loss: Callable[[], Tensor],
) -> Tensor:
    """Measure at w + s d for each of the `sizes` s along the direction d.

    The parameters are at w and hold their gradient there. `loss()` computes the loss (0-d)
    and leaves its gradient, for wherever they are; afterwards they and their gradients are
    bit for bit what they were. Returns [2, 1 + points]: the loss here and at each size; the
    gradient's norm here and each distance from it. Costs one forward and backward pass per
    size.
    """
    start = [parameter.clone() for parameter in parameters]
    gradient = [parameter.grad.clone() for parameter in parameters]
    losses, distances = [loss_here.clone()], [norm(gradient)]
    for size in sizes:
        torch._foreach_copy_(parameters, start)
        torch._foreach_add_(parameters, direction, alpha=size)
        with torch.enable_grad():
            losses.append(loss().clone())
        there = [parameter.grad for parameter in parameters]
        distances.append(norm(torch._foreach_sub(there, gradient)))
    torch._foreach_copy_(parameters, start)
    for parameter, kept in zip(parameters, gradient, strict=True):
        parameter.grad.copy_(kept)
    return torch.stack([torch.stack(losses), torch.stack(distances)])


def norm(tensors: list[Tensor]) -> Tensor:
    """l2 norm over all of them together."""
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors)))
