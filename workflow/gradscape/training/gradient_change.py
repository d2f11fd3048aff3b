"""The proxy: how far the output layer's gradient moves as training proceeds.

Fudan project 2, section 2.4: the l2 distance between the loss gradient at step i and at
step i - k of the same run, at the weight of the last linear layer; divided by the distance
that the weight has moved meanwhile, it is the brief's "effective" beta-smoothness. The two
gradients are of different minibatches, which `landscape.py` avoids.
"""

import torch
from torch import Tensor

LAGS = (1, 5, 20)  # in steps, measured besides the run's own


class GradientChange:
    """The `names`, measured at every step, on the device, before the update.

    The gradient's and the weight's distance over the run's own lag, the gradient's norm,
    and its distance over the other lags. `memory` holds the gradients and weights of the
    last `depth` steps, [depth, *weight.shape], and the number of steps done.
    """

    def __init__(self, weight: Tensor, lag: int):
        self.weight = weight
        self.lag = lag
        self.others = [other for other in LAGS if other != lag]
        self.depth = max(lag, *self.others)
        self.names = ["gradient_distance", "weight_distance", "gradient_norm"]
        self.names += [f"gradient_distance_lag{other}" for other in self.others]
        self.slots = torch.arange(self.depth, device=weight.device)
        self.slots = self.slots.reshape(-1, *[1] * weight.ndim)
        zeros = weight.new_zeros
        self.memory = {
            "past_gradient": zeros(self.depth, *weight.shape),
            "past_weight": zeros(self.depth, *weight.shape),
            "steps_done": zeros((), dtype=torch.int64),
        }

    @torch.no_grad()
    def measure(self) -> list[Tensor]:
        """The values of `names`, 0-d; a distance is NaN until the past is that long."""
        gradient = self.weight.grad
        distances = [self.distance("gradient", gradient, self.lag)]
        distances.append(self.distance("weight", self.weight, self.lag))
        distances.append(torch.linalg.vector_norm(gradient))
        distances += [self.distance("gradient", gradient, other) for other in self.others]
        slot = self.slot(0)
        for name, value in (("gradient", gradient), ("weight", self.weight)):
            past = self.memory[f"past_{name}"]
            past.copy_(torch.where(slot, value, past))
        self.memory["steps_done"].add_(1)
        return distances

    def slot(self, lag: int) -> Tensor:
        """A mask of the value from `lag` steps ago, which a CUDA graph can read."""
        return self.slots == (self.memory["steps_done"] - lag) % self.depth

    def distance(self, name: str, value: Tensor, lag: int) -> Tensor:
        earlier = torch.where(self.slot(lag), self.memory[f"past_{name}"], 0).sum(dim=0)
        distance = torch.linalg.vector_norm(value - earlier)
        return torch.where(self.memory["steps_done"] >= lag, distance, torch.nan)
