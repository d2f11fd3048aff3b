"""The loss around trained weights, on a plane of two random directions.

Li et al. 2018, section 4: each filter of a direction is scaled to the norm of the
network's own filter, so that networks whose weights differ in scale can be compared.
Biases and the parameters of normalisations stay as they are.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

from gradscape.options import Range
from gradscape.probes.trained import Trained

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


def surface(
    run: Trained,
    images: Annotated[int, Range(2), "training images to measure on"] = 1000,
    points: Annotated[int, Range(3), "along each side of the plane"] = 21,
    span: Annotated[float, Range(above=0), "from the middle to a side"] = 1.0,
) -> list[dict]:
    """Rows `alpha,beta,loss`: the training loss on a grid of points × points, ± span.

    Weights of the best epoch, evaluation mode, `images` training images.
    Costs points² forward passes over them.
    """
    model = run.network("best").eval()
    shares = run.losses(model, images)
    generator = torch.Generator().manual_seed(SEED)
    directions = tuple(filter_normalised_direction(model, generator) for _ in range(2))
    coordinates = torch.linspace(-span, span, points, dtype=torch.float64).tolist()
    return on_plane(
        list(model.parameters()),
        directions,
        coordinates,
        lambda: sum(share() for share in shares),
    )
