"""Muon: momentum whose matrices are made orthogonal before they are applied.

The update of a weight matrix is its momentum with all singular values brought near one
(0.7 to 1.2) by Newton-Schulz iterations (Jordan et al. 2024), which is steepest descent
under the spectral norm (Bernstein & Newhouse 2024).

`torch.optim.Muon` and the published recipe leave vectors and the first and last layer to
AdamW with a rate of its own; here one optimiser and one rate serve the whole network.
Vectors are divided by their root mean square. An orthogonal matrix [m, n] is scaled by
sqrt(max(m, n)), to a root mean square of one, theirs by sqrt(max(1, m / n)); a vanished
gradient is scaled up like any other; and the iterations run in fp32, theirs in bf16.
"""

import torch
from torch import Tensor
from torch.optim import Optimizer

QUINTIC = (3.4445, -4.7750, 2.0315)  # coefficients of the iteration, steep at zero
ITERATIONS = 5
TINY = 1e-30  # a zero gradient has no direction


def orthogonalised(matrix: Tensor) -> Tensor:
    """The singular vectors of `matrix` [m, n] with singular values near one."""
    a, b, c = QUINTIC
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / x.norm().clamp_min(TINY)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


class Muon(Optimizer):
    """Steps of root mean square near `lr` for every tensor, whatever its gradient's size.

    A convolution [out, in, k, k] is the matrix [out, in·k·k]. Nesterov momentum; weight
    decay is decoupled and for matrices only.
    """

    def __init__(self, parameters, lr=0.02, momentum: float = 0.95, weight_decay=0.0):
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self.move(parameter, group)

    def move(self, parameter: Tensor, group: dict) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"]
        momentum.lerp_(parameter.grad, 1 - group["momentum"])
        update = parameter.grad.lerp(momentum, group["momentum"])
        if parameter.ndim > 1:
            rows, columns = parameter.shape[0], parameter[0].numel()
            update = orthogonalised(update.reshape(rows, columns))
            # Singular values of one have this root mean square; bring it to one.
            update = update * max(rows, columns) ** 0.5
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
        else:
            update = update / update.square().mean().sqrt().clamp_min(TINY)
        parameter.sub_(group["lr"] * update.reshape(parameter.shape))
