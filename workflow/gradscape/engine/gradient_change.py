"""How much the output layer's gradient changes as training proceeds: the proxy.

Fudan project 2, section 2.4: the l2 distance between the loss gradient at step i and at
step i - k of the same run, at the weight of the last linear layer; divided by the distance
that the weight has moved meanwhile, it is the brief's "effective" beta-smoothness. The two
gradients are of different minibatches, which `along_gradient` avoids.
"""

import torch
from torch import Tensor

NAMES = ["gradient_distance", "weight_distance"]


class GradientChange:
    """Measured at every step, on the device, before the update: `NAMES`.

    `memory` holds the last `lag` gradients and weights [lag, *weight.shape] and the steps
    done.
    """

    def __init__(self, weight: Tensor, lag: int):
        self.weight = weight
        self.lag = lag
        self.slots = torch.arange(lag, device=weight.device)
        self.slots = self.slots.reshape(-1, *[1] * weight.ndim)
        zeros = weight.new_zeros
        self.memory = {
            "past_gradient": zeros(lag, *weight.shape),
            "past_weight": zeros(lag, *weight.shape),
            "steps_done": zeros((), dtype=torch.int64),
        }

    @torch.no_grad()
    def measure(self) -> list[Tensor]:
        """How far the gradient and the weight have moved, 0-d; NaN in the first steps."""
        done = self.memory["steps_done"]
        slot = self.slots == done % self.lag  # a mask: a graph can read it
        values = {"gradient": self.weight.grad, "weight": self.weight}
        distances = []
        for name, value in values.items():
            past = self.memory[f"past_{name}"]
            oldest = torch.where(slot, past, 0).sum(dim=0)
            distance = torch.linalg.vector_norm(value - oldest)
            distances.append(torch.where(done >= self.lag, distance, torch.nan))
            past.copy_(torch.where(slot, value, past))
        done.add_(1)
        return distances
