"""Gradients between the backward pass and the update: measured, compared and clipped."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from gradscape.models.blocks import trainable

LAGS = (1, 5, 20)  # in steps, measured besides the run's own
SMALLEST = 1e-3  # norm of a unit's weights to clip by, so that those at zero can move


def mean_absolute_gradients(weights: Iterable[Tensor]) -> list[float]:
    """Gradient flow: the mean |dL/dw| that a minibatch left in each weight tensor, NaN
    where it left none (Edinburgh MLP coursework 2, section 4.1). How far it falls from the
    last layer to the first is the vanishing gradient of Glorot & Bengio (2010)."""
    means = [
        torch.full((), torch.nan, device=weight.device)
        if weight.grad is None
        else weight.grad.float().abs().mean()
        for weight in weights
    ]
    return torch.stack(means).tolist() if means else []


class GradientChange:
    """The proxy: how far the output layer's gradient moves as training proceeds.

    Fudan project 2, section 2.4: the l2 distance between its gradients at step i and at
    step i - `lag`; over the distance that the weight has moved meanwhile it is the brief's
    "effective" beta-smoothness. The gradients are of different minibatches, which
    `landscape.py` avoids. `memory` holds gradients and weights [depth, *weight.shape].
    """

    def __init__(self, weight: Tensor, lag: int):
        self.weight = weight
        self.lag = lag
        self.others = [other for other in LAGS if other != lag]
        self.depth = max(lag, *self.others)
        self.names = ["gradient_distance", "weight_distance", "gradient_norm"]
        self.names += [f"gradient_distance_lag{other}" for other in self.others]
        slots = torch.arange(self.depth, device=weight.device)
        self.slots = slots.reshape(-1, *[1] * weight.ndim)
        self.memory = {
            "past_gradient": weight.new_zeros(self.depth, *weight.shape),
            "past_weight": weight.new_zeros(self.depth, *weight.shape),
            "steps_done": weight.new_zeros((), dtype=torch.int64),
        }

    @torch.no_grad()
    def measure(self) -> list[Tensor]:
        """The values of `names` before the update, 0-d; NaN until the past is that long."""
        gradient = self.weight.grad
        past, past_weight, done = self.memory.values()
        values = [
            self.distance(past, gradient, self.lag),
            self.distance(past_weight, self.weight, self.lag),
            torch.linalg.vector_norm(gradient),
            *(self.distance(past, gradient, other) for other in self.others),
        ]
        torch.where(self.slot(0), gradient, past, out=past)
        torch.where(self.slot(0), self.weight, past_weight, out=past_weight)
        done.add_(1)
        return values

    def slot(self, lag: int) -> Tensor:
        """A mask of the value from `lag` steps ago."""
        return self.slots == (self.memory["steps_done"] - lag) % self.depth

    def distance(self, past: Tensor, value: Tensor, lag: int) -> Tensor:
        earlier = torch.where(self.slot(lag), past, 0).sum(dim=0)
        distance = torch.linalg.vector_norm(value - earlier)
        return torch.where(self.memory["steps_done"] >= lag, distance, torch.nan)


@torch.no_grad()
def clip(model: nn.Module, limit: float, output: nn.Module | None) -> None:
    """Adaptive gradient clipping (Brock et al. 2021, section 4, equation 3): scale the
    gradient of each filter, row of a matrix, bias and scale to at most `limit` times the
    norm of its weights. The layer `output` is left alone, as in the paper."""

    def unit_norms(tensor: Tensor) -> Tensor:
        axes = tuple(range(1, tensor.ndim)) or (0,)
        return torch.linalg.vector_norm(tensor, dim=axes, keepdim=True)

    spared = set(output.parameters()) if output else set()
    for parameter in trainable(model):
        if parameter not in spared and parameter.grad is not None:
            largest = limit * unit_norms(parameter).clamp_min(SMALLEST)
            norms = unit_norms(parameter.grad).clamp_min(torch.finfo(torch.float32).tiny)
            parameter.grad.mul_((largest / norms).clamp_max(1))
