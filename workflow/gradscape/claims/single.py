"""What the images or the steps of single runs tell of a difference: an estimate of it, and
what that rests on."""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from gradscape.claims.inference import Estimate, of_images, of_share, of_steps
from gradscape.claims.sides import Pair, Side

Measured = Sequence[tuple[Side, Pair]]
# Settings that two runs share if they see the same minibatches.
MINIBATCHES = ("seed", "dataset", "split", "train_items", "batch_size", "landscape_every")
# The images that an accuracy is measured on, as a run's record counts them.
IMAGES = {
    "test_accuracy": "test",
    "final_test_accuracy": "test",
    "best_val_accuracy": "validation",
}


def images(measured: Measured, difference: float) -> tuple[Estimate, str] | None:
    """The estimate from the images that means were measured on, such as accuracies; paired
    where both runs kept what they said of each."""
    kept, shares = [], []
    for side, pair in measured:
        group = side.groups[pair]
        if side.factor != 1 or (len(group) > 1 and side.name != "best_val_accuracy"):
            return None
        kept.append(side.metric.images(group) if side.metric.images else None)
        shares.append(shares_of(side, pair))
    if all(values is not None for values in kept):
        values = [np.asarray(k, float) for k in kept]
        count = f"{len(values[0]):,} images"
        datasets = {side.groups[pair][0].record.data.sha256 for side, pair in measured}
        if len(datasets) == 1 and len(values) == 2 and len(values[0]) == len(values[1]):
            return of_images(values[0] - values[1]), count
        if len(values) == 1 and not shares[0]:
            error = float(values[0].std(ddof=1) / len(values[0]) ** 0.5)
            return Estimate(difference, error, np.inf), count
    if not all(shares):
        return None
    counted = list(chain(*shares))
    error = sum(of_share(*share).value for share in counted) ** 0.5
    fewest = min(count for _, count in counted)
    return Estimate(difference, error, np.inf), f"{fewest:,} images"


def shares_of(side: Side, pair: Pair) -> list[tuple[int, int]]:
    """The shares of images that a number adds up, (right, images); none of any other."""
    group = side.groups[pair]
    if side.name in IMAGES:
        count = getattr(group[0].record.data, IMAGES[side.name])
        return [(round(side.values[pair] * count), count)]
    return side.metric.shares(group) if side.metric.shares else []


def steps(measured: Measured, right: np.ndarray) -> tuple[Estimate, str] | None:
    """The estimate from the steps that a metric is the median or mean of; paired where both
    runs were measured on the same minibatches."""
    series = []
    for side, pair in measured:
        values = side.metric.steps and side.metric.steps(side.groups[pair])
        if values is None:
            return None
        series.append(side.factor * np.asarray(values, float))
    ratio = all((values > 0).all() for values in (*series, right))
    ratio = ratio and all(side.metric.ratio for side, _ in measured)
    scale = np.log if ratio else np.asarray
    series = [scale(values) for values in series]
    count = min(map(len, series))
    if len(series) == 1:
        return named(of_steps(series[0] - scale(right[0]), ratio), count)
    first = [side.groups[pair][0].settings for side, pair in measured]
    paired = all(first[0].get(key) == first[1].get(key) for key in MINIBATCHES)
    if paired and len(series[0]) == len(series[1]):
        return named(of_steps(series[0] - series[1], ratio), count, ", paired")
    both = [of_steps(values, ratio) for values in series]
    if None in both:
        return None
    one, two = both
    error, freedom = float(np.hypot(one.error, two.error)), min(one.freedom, two.freedom)
    joint = Estimate(one.difference - two.difference, error, freedom, ratio)
    return named(joint, count)


def named(found: Estimate | None, count: int, how: str = "") -> tuple[Estimate, str] | None:
    return None if found is None else (found, f"{count:,} steps{how}")
