"""The loss around trained weights, on a plane of two random directions.

Li et al. 2018, section 4: each filter of a direction is scaled to the norm of the
network's own filter, so that networks whose weights differ in scale can be compared.
Biases and the parameters of normalisations stay as they are.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

from gradscape.probes.trained import Trained
from gradscape.spec.options import Range

SEED = 0  # of the directions


def filter_normalised_direction(model: nn.Module, generator: torch.Generator) -> list:
    """A random direction, a tensor per parameter, each filter as long as the network's."""
    direction = []
    for parameter in model.parameters():
        if parameter.ndim <= 1:
            direction.append(torch.zeros_like(parameter))
            continue
        drawn = torch.randn(parameter.shape, generator=generator).to(parameter.device)
        scale = filter_norms(parameter) / filter_norms(drawn)
        direction.append((drawn * scale).detach())
    return direction


def filter_norms(weight: Tensor) -> Tensor:
    """l2 norm of each filter (each row of a linear layer), shaped to multiply `weight`."""
    norms = weight.detach().flatten(1).norm(dim=1)
    return norms.reshape(-1, *[1] * (weight.ndim - 1))


@torch.no_grad()
def on_plane(
    parameters: list[Tensor],
    directions: tuple[list[Tensor], list[Tensor]],
    coordinates: list[float],
    loss,
) -> list[dict]:
    """`loss()` at w + alpha d1 + beta d2 for every pair of coordinates; w is put back."""
    start = [parameter.clone() for parameter in parameters]
    rows = []
    for alpha in coordinates:
        for beta in coordinates:
            torch._foreach_copy_(parameters, start)
            torch._foreach_add_(parameters, directions[0], alpha=alpha)
            torch._foreach_add_(parameters, directions[1], alpha=beta)
            rows.append({"alpha": alpha, "beta": beta, "loss": float(loss())})
    torch._foreach_copy_(parameters, start)
    return rows


def way(model: nn.Module, to: nn.Module) -> list[Tensor]:
    """The direction from one network's parameters to another's."""
    pairs = zip(model.parameters(), to.parameters(), strict=True)
    return [(end - start).detach() for start, end in pairs]


def projected(step: list[Tensor], directions: tuple[list, list]) -> tuple[float, float]:
    """The alpha and beta whose point on the plane comes closest to w + step."""
    first, second, to = (
        torch.cat([part.flatten() for part in tensors]).double()
        for tensors in (*directions, step)
    )
    products = torch.stack([first, second]) @ torch.stack([first, second, to], dim=1)
    return tuple(torch.linalg.solve(products[:, :2], products[:, 2]).tolist())


NUMBERS = "alpha beta loss"


def surface(
    run: Trained,
    images: Annotated[int, Range(2), "training images to measure on"] = 1000,
    points: Annotated[int, Range(3, 1001), "along each side of the plane"] = 21,
    span: Annotated[float, Range(above=0), "from the middle to a side"] = 1.0,
    along_path: Annotated[bool, "alpha leads back to the first weights, at 1"] = False,
) -> list[dict]:
    """Rows `alpha,beta,loss,moment`: the loss on a `grid` of points × points, ± span.

    Training loss, weights of the best epoch, evaluation mode, `images` training images.
    Then a row for the `initialisation`, the `best` and the `last` weights: where they fall
    on the plane, and their own loss. Random directions show next to nothing of the way
    between them (Li et al. 2018, section 7), so `along_path` takes it as the first. Costs
    points² + 3 forward passes over the images.
    """
    model = run.network("best").eval()
    shares = run.losses(model, images)
    generator = torch.Generator().manual_seed(SEED)
    first, second = (filter_normalised_direction(model, generator) for _ in range(2))
    if along_path:
        first = way(model, run.network("initialisation"))
    coordinates = torch.linspace(-span, span, points, dtype=torch.float64).tolist()
    rows = on_plane(
        list(model.parameters()),
        (first, second),
        coordinates,
        lambda: sum(share() for share in shares),
    )
    rows = [row | {"moment": "grid"} for row in rows]
    for moment in ["initialisation"] * (not run.settings.pretrained) + ["best", "last"]:
        network = run.network(moment).eval()
        alpha, beta = projected(way(model, network), (first, second))
        with torch.no_grad():
            loss = float(sum(share() for share in run.losses(network, images)))
        rows.append({"alpha": alpha, "beta": beta, "loss": loss, "moment": moment})
    return rows
