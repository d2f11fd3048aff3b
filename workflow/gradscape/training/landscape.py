"""The landscape: loss and gradient along the gradient, and along the optimiser's own step.

Santurkar et al. 2018, section 3.2 and Figure 4: at a step of training, on the same
minibatch, move from the weights w along the gradient g by several step sizes s, and measure
the loss L(w - s g) and the distance |g(w - s g) - g(w)| over all parameters, which over the
distance moved, s |g|, is "effective" beta-smoothness. The same is measured along the step
that the optimiser takes, from 1/2 to 4 times its length.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from gradscape.base.errors import GradscapeError
from gradscape.models.blocks import trainable
from gradscape.spec.settings import Settings
from gradscape.training.history import History
from gradscape.training.step import TrainingStep

REACH = (0.5, 4.0)  # times the learning rate


def landscape_precision(settings: Settings) -> str:
    """A run's precision: fp32 if its landscape is measured, because a step of a hundredth
    of a percent of a weight is lost in bf16's eight bits."""
    if settings.landscape_every is None:
        return settings.precision
    if settings.precision not in ("auto", "fp32"):
        raise GradscapeError(
            f"precision {settings.precision}: too coarse for landscape_every, which "
            "measures differences between nearly equal weights; use fp32"
        )
    return "fp32"


@contextmanager
def landscape(
    step: TrainingStep, settings: Settings, history: History, done: int, rate: float
) -> Iterator[None]:
    """Measure around the update of the step after `done` others, which ends in the same
    bits; append what `along` gives to the history, and count the time it took."""
    points = settings.landscape_points
    parameters = [p for p in trainable(step.model) if p.grad is not None]
    sizes = step_sizes(rate, points, settings.landscape_cap)

    def kept() -> list[Tensor]:  # running statistics among them; some may be replaced
        return [*step.model.buffers(), step.now]

    def measure(direction: list[Tensor], sizes: list[float]) -> Tensor:
        start, old = step.backend.now(), copies(kept())
        measured = along(parameters, direction, sizes, step.now[0], step.again)
        torch._foreach_copy_(kept(), old)
        history.seconds_probing += step.backend.now() - start
        return measured

    before, gradient = copies(parameters), copies(p.grad for p in parameters)
    measured = [measure(gradient, [-size for size in sizes])]
    yield
    if settings.landscape_step:
        after = copies(parameters)
        moved = torch._foreach_sub(after, before)
        step.index.sub_(1)  # the same minibatch again
        with torch.no_grad():
            torch._foreach_copy_(parameters, before)
            measured += [measure(moved, factors(points)), norm(moved)]
            torch._foreach_copy_(parameters, after)
        step.index.add_(1)
    measured = [tensor.cpu() for tensor in measured]
    history.probes.append({"step": done + 1, "sizes": sizes, "measured": measured})


def landscape_arrays(probes: list[dict]) -> dict[str, np.ndarray]:
    """A run's landscapes as arrays of steps.npz, infinite where a step was so long that it
    overflowed; config/README.md explains the names."""
    measurements = zip(*(probe["measured"] for probe in probes), strict=True)
    gradient, *step = [
        np.nan_to_num(torch.stack(parts).numpy(), nan=np.inf, posinf=np.inf)
        for parts in measurements
    ]
    arrays = {
        "probed_step": np.array([probe["step"] for probe in probes]),
        "probed_size": np.array([probe["sizes"] for probe in probes]),
        "probed_loss": gradient[:, 0, 1:],
        "probed_loss_here": gradient[:, 0, 0],
        "probed_gradient_distance": gradient[:, 1, 1:],
        "probed_gradient_norm": gradient[:, 1, 0],
    }
    if step:
        measured, length = step
        arrays["stepped_loss"] = measured[:, 0, 1:]
        arrays["stepped_gradient_distance"] = measured[:, 1, 1:]
        arrays["stepped_length"] = length
    return arrays


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

    The parameters are at w and hold their gradient, before and, bit for bit, afterwards;
    `loss()` computes the loss (0-d) and leaves its gradient, for wherever they are. Returns
    [2, 1 + points]: the loss here and at each size; the gradient's norm and its distances.
    """
    start = copies(parameters)
    gradient = copies(parameter.grad for parameter in parameters)
    losses, distances = [loss_here.clone()], [norm(gradient)]
    for size in sizes:
        torch._foreach_copy_(parameters, start)
        torch._foreach_add_(parameters, direction, alpha=size)
        with torch.enable_grad():
            losses.append(loss().clone())
        distances.append(norm(torch._foreach_sub(gradients(parameters), gradient)))
    torch._foreach_copy_(parameters, start)
    torch._foreach_copy_(gradients(parameters), gradient)
    return torch.stack([torch.stack(losses), torch.stack(distances)])


def gradients(parameters: list[Tensor]) -> list[Tensor]:
    """All of them; zero where a pass has left none."""
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    return [parameter.grad for parameter in parameters]


def copies(tensors: Iterable[Tensor]) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in tensors]


def norm(tensors: list[Tensor]) -> Tensor:
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors)))
