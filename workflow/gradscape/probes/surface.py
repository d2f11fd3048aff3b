"""The loss around trained weights, on a plane of two random directions.

Li et al. 2018, section 4: each filter of a direction is scaled to the norm of the
network's own, so that networks whose weights differ in scale can be compared; biases and
normalisations stay as they are.
"""

from collections.abc import Callable
from itertools import product
from typing import Annotated

import torch
from torch import Tensor, nn

from gradscape.probes.trained import Trained
from gradscape.spec.options import Range

NUMBERS = "alpha beta loss"
SEED = 0  # of the directions
Direction = list[Tensor]  # one tensor per parameter


def filter_norms(weight: Tensor) -> Tensor:
    """l2 norm of each filter (each row of a linear layer), shaped to multiply `weight`."""
    norms = weight.detach().flatten(1).norm(dim=1)
    return norms.reshape(-1, *[1] * (weight.ndim - 1))


@torch.no_grad()
def filter_normalised_direction(model: nn.Module, generator: torch.Generator) -> Direction:
    """A random direction, each filter as long as the network's."""
    direction = []
    for parameter in model.parameters():
        drawn = torch.zeros_like(parameter)
        if parameter.ndim > 1:
            drawn = torch.randn(parameter.shape, generator=generator).to(parameter.device)
            drawn *= filter_norms(parameter) / filter_norms(drawn)
        direction.append(drawn)
    return direction


@torch.no_grad()
def on_plane(
    parameters: list[Tensor],
    directions: tuple[Direction, Direction],
    coordinates: list[float],
    loss: Callable[[], Tensor],
) -> list[dict]:
    """`loss()` at w + alpha d1 + beta d2 for every pair of coordinates; w is put back."""
    start = [parameter.clone() for parameter in parameters]
    rows = []
    for alpha, beta in product(coordinates, repeat=2):
        torch._foreach_copy_(parameters, start)
        torch._foreach_add_(parameters, directions[0], alpha=alpha)
        torch._foreach_add_(parameters, directions[1], alpha=beta)
        rows.append({"alpha": alpha, "beta": beta, "loss": float(loss())})
    torch._foreach_copy_(parameters, start)
    return rows


@torch.no_grad()
def way(start: nn.Module, end: nn.Module) -> Direction:
    return torch._foreach_sub(list(end.parameters()), list(start.parameters()))


def projected(step: Direction, directions: tuple[Direction, Direction]) -> list[float]:
    """The alpha and beta whose point on the plane comes closest to w + step."""
    first, second, to = (
        torch.cat([part.flatten() for part in tensors]).double()
        for tensors in (*directions, step)
    )
    products = torch.stack([first, second]) @ torch.stack([first, second, to], dim=1)
    return torch.linalg.solve(products[:, :2], products[:, 2]).tolist()


def surface(
    run: Trained,
    images: Annotated[int, Range(2), "training images to measure on"] = 1000,
    points: Annotated[int, Range(3, 1001), "along each side of the plane"] = 21,
    span: Annotated[float, Range(above=0), "from the middle to a side"] = 1.0,
    along_path: Annotated[bool, "alpha leads back to the first weights, at 1"] = False,
) -> list[dict]:
    """The training loss on a `grid` of points × points, ± span around the best epoch's
    weights, in evaluation mode. Then a row for the `initialisation`, the `best` and the
    `last` weights: where they fall on the plane, and their own loss. Random directions show
    next to nothing of the way between them (Li et al. 2018, section 7), so `along_path`
    takes it as the first. Costs points² + 3 forward passes over the images."""

    def loss_of(network: nn.Module) -> Callable[[], Tensor]:
        shares = run.losses(network, images)
        return lambda: sum(share() for share in shares)

    model = run.network("best").eval()
    generator = torch.Generator().manual_seed(SEED)
    first, second = (filter_normalised_direction(model, generator) for _ in range(2))
    if along_path:
        first = way(model, run.network("initialisation"))
    plane = first, second
    coordinates = torch.linspace(-span, span, points, dtype=torch.float64).tolist()
    rows = on_plane(list(model.parameters()), plane, coordinates, loss_of(model))
    rows = [row | {"moment": "grid"} for row in rows]
    for moment in ["initialisation"] * (not run.settings.pretrained) + ["best", "last"]:
        network = run.network(moment).eval()
        alpha, beta = projected(way(model, network), plane)
        with torch.no_grad():
            loss = float(loss_of(network)())
        rows.append({"alpha": alpha, "beta": beta, "loss": loss, "moment": moment})
    return rows
