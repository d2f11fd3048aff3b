"""Trainability: gradients, features and moves, which theory says decide whether it trains.

`mean_absolute_gradient` is |dL/dw| of each weight tensor before the first step; `moves`
gives `moved` and `relative_distance`; the functions below explain the other quantities.
"""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, cross_entropy

from gradscape.models.anatomy import Weight, by_depth, weights
from gradscape.probes.trained import Trained, calls, with_statistics_of
from gradscape.spec.options import Range
from gradscape.training.gradients import mean_absolute_gradients

WORDS = "moment quantity layer"
NUMBERS = "value"
MOMENTS = ("initialisation", "last")
POINTS = 50  # on the line between two images


def gradient_cosine(model: nn.Module, first: Tensor, second: Tensor, label: int) -> float:
    """Mean cosine of a logit's gradients by the image at neighbours of `POINTS` points
    between two images [channels, s, s] (Balduzzi et al. 2017, section 2): near 1 where the
    gradient can be followed, 0 where it is white noise."""
    share = torch.linspace(0, 1, POINTS, device=first.device).reshape(-1, 1, 1, 1)
    images = torch.lerp(first, second, share).requires_grad_()
    (gradient,) = torch.autograd.grad(model(images)[:, label].sum(), images)
    # In doubles: squares of a vanished gradient leave the range of fp32.
    rows = gradient.flatten(1).double()
    return float(cosine_similarity(rows[:-1], rows[1:], eps=0).nan_to_num().mean())


def effective_rank(features: Tensor) -> float:
    """exp of the entropy of the singular values' shares (Roy & Vetterli 2007), of [images,
    features]: 1 if all images look alike (Daneshmand et al. 2020), NaN if not finite."""
    if not features.isfinite().all():
        return float("nan")
    values = torch.linalg.svdvals(features.double())
    return float(torch.special.entr(values / values.sum()).sum().exp())


@torch.no_grad()
def pooled_features(model: nn.Module, head: nn.Linear, images: Tensor) -> Tensor:
    """The features that the output layer is given, [images, features]."""
    with calls({"head": head}) as seen:
        model(images)
    return seen[0].given.flatten(1)


@torch.no_grad()
def moves(
    start: dict[str, Weight], end: dict[str, Weight]
) -> tuple[dict[str, float], dict[str, float]]:
    """Each tensor's share of changed weights, and its distance over its norm at first."""
    changed, distance = {}, {}
    for layer, (before, *_) in start.items():
        after = end[layer].parameter
        changed[layer] = float((before != after).float().mean())
        distance[layer] = float((after - before).norm() / before.norm())
    return changed, distance


def trainability(
    run: Trained,
    images: Annotated[int, Range(2), "training images, in one minibatch"] = 100,
    pairs: Annotated[int, Range(1), "pairs of these images to go between"] = 10,
) -> list[dict]:
    """At initialisation and with the last weights; input gradients and features in
    evaluation mode, with batch normalisation's statistics estimated on the `images`. Costs
    about a training step per two pairs."""
    found = []

    def add(moment: str, quantity: str, values: dict[str, float]) -> None:
        about = {"moment": moment, "quantity": quantity}
        found.extend(about | {"layer": on, "value": value} for on, value in values.items())

    ((pixels, labels),) = run.minibatches(images, images)
    start, end = run.network("initialisation"), run.network("last")
    heads = [run.head(model, "trainability") for model in (start, end)]
    known, after = (by_depth(weights(m, run.calls(m))) for m in (start, end))
    changed, distance = moves(known, after)
    add("last", "moved", changed)
    add("last", "relative_distance", distance)
    cross_entropy(start.train()(pixels), labels).backward()
    slopes = mean_absolute_gradients(weight.parameter for weight in known.values())
    found_at = dict(zip(known, slopes, strict=True))
    add("initialisation", "mean_absolute_gradient", found_at)
    lines = list(zip(pixels[::2], pixels[1::2], labels[::2].tolist(), strict=False))
    for moment, model, head in zip(MOMENTS, (start, end), heads, strict=True):
        with_statistics_of(model, [pixels])
        cosines = [gradient_cosine(model, *line) for line in lines[:pairs]]
        rank = effective_rank(pooled_features(model, head, pixels))
        add(moment, "gradient_cosine", {"all": sum(cosines) / len(cosines)})
        add(moment, "effective_rank", {"all": rank})
    return found
