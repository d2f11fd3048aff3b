"""Intervals and tests of a difference, from arrays alone; docs/statistics.md explains them.

An interval of the difference between two cells, each a setting trained with several seeds,
is Student's. Its variance is pooled over a study's cells unless Bartlett's test finds those
unequal; then it is Welch's (Welch 1947). What is measured on images or on training's steps
gives intervals for the trained networks themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import chdtrc, stdtr, stdtrit

LEVEL = 0.05  # of every test; intervals are of 95 %
UNEQUAL = 0.05  # Bartlett's level: below it, variances are not pooled
MAX_SEEDS = 1000  # that are counted up to
BATCHES = 8  # of neighbouring steps, whose means are taken for independent
MAX_CORRELATION = 0.4  # of a step with the next: beyond, they are not

Cells = Sequence[np.ndarray]  # the numbers of settings' runs, [seeds] each


@dataclass(frozen=True)
class Estimate:
    """A difference, its standard error and Student's degrees of freedom (inf: normal).
    `log`: the difference is of natural logarithms, so that it is a ratio's."""

    difference: float
    error: float
    freedom: float
    log: bool = False

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The interval of the difference, of which `level` is left outside."""
        half = float(stdtrit(min(self.freedom, 1e9), 1 - level / 2)) * self.error
        return self.difference - half, self.difference + half

    def above(self, threshold: float) -> float:
        """The one-sided p value of a difference above a threshold, against one at it."""
        distance = self.difference - threshold
        if self.error == 0:  # all values are equal
            return float(distance <= 0)
        return float(stdtr(min(self.freedom, 1e9), -distance / self.error))

    def below(self, threshold: float) -> float:
        return Estimate(-self.difference, self.error, self.freedom).above(-threshold)


class Variance(NamedTuple):
    """A variance from run to run, and the degrees of freedom that it is known with."""

    value: float
    freedom: int
    cells: int = 1  # that it is pooled over


def variance(values: np.ndarray) -> Variance:
    """A cell's own, [seeds]."""
    return Variance(float(values.var(ddof=1)), len(values) - 1)


def pooled(cells: Cells) -> Variance | None:
    """The variance that cells of several seeds have in common, [seeds] each; None for a
    single cell, or where Bartlett's test finds them unequal."""
    cells = [cell for cell in cells if len(cell) > 1]
    if len(cells) < 2 or bartlett(cells) < UNEQUAL:
        return None
    freedom = sum(len(cell) - 1 for cell in cells)
    total = sum((len(cell) - 1) * cell.var(ddof=1) for cell in cells)
    return Variance(float(total / freedom), freedom, len(cells))


def bartlett(cells: Cells) -> float:
    """The p value of equal variances (Bartlett 1937); 0 if only some cells have scatter."""
    freedom = np.array([len(cell) - 1 for cell in cells])
    variances = np.array([cell.var(ddof=1) for cell in cells])
    if not variances.all():
        return float(not variances.any())
    common = freedom @ variances / freedom.sum()
    statistic = freedom.sum() * np.log(common) - freedom @ np.log(variances)
    correction = (1 / freedom).sum() - 1 / freedom.sum()
    statistic /= 1 + correction / (3 * (len(cells) - 1))
    return float(chdtrc(len(cells) - 1, statistic))


def of_seeds(sides: Cells, variances: Sequence[Variance], log: bool = False) -> Estimate:
    """The difference of two cells' means, or of one cell's from zero, [seeds] each. Cells
    that share a pooled variance give it as the same object. Degrees of freedom are
    Satterthwaite's otherwise (1946)."""
    means = [float(side.mean()) for side in sides]
    difference = means[0] - (means[1] if len(means) == 2 else 0.0)
    parts = [v.value / len(s) for v, s in zip(variances, sides, strict=True)]
    total = sum(parts)
    freedom = float(variances[0].freedom)
    if len({id(v) for v in variances}) > 1 and total > 0:
        squares = (p**2 / v.freedom for p, v in zip(parts, variances, strict=True))
        freedom = total**2 / sum(squares)
    return Estimate(difference, total**0.5, freedom, log)


def of_images(differences: np.ndarray) -> Estimate:
    """The mean over images of what two networks get right, one less the other, [images]:
    McNemar's, which counts those that only one of them gets right (Dietterich 1998). Two
    images that neither gets right and two on which they differ are added, so that a share
    near nought or one has an interval, too (after Agresti and Min 2005)."""
    count = len(differences)
    mean = float(differences.mean())
    squares = float((differences.astype(float) ** 2).sum()) + 2
    error = ((squares / (count + 4) - mean**2) / (count + 4)) ** 0.5
    return Estimate(mean, error, np.inf)


def of_share(right: int, images: int) -> Variance:
    """The variance of a share of images, with one more of each (Agresti and Caffo 2000)."""
    share = (right + 1) / (images + 2)
    return Variance(share * (1 - share) / (images + 2), images)


def wilson(count: int, runs: int) -> tuple[float, float]:
    """The interval of a share of runs (Wilson 1927; Newcombe 1998, method 3)."""
    z = float(stdtrit(1e9, 1 - LEVEL / 2))
    share, weight = count / runs, 1 + z**2 / runs
    middle = (share + z**2 / (2 * runs)) / weight
    half = z * (share * (1 - share) / runs + z**2 / (4 * runs**2)) ** 0.5 / weight
    return middle - half, middle + half


def newcombe(one: tuple[int, int], two: tuple[int, int]) -> tuple[float, float]:
    """The interval of the difference of two shares of runs, (count, runs) each (Newcombe
    1998, "eleven methods", method 10)."""
    (low, high), (lower, higher) = wilson(*one), wilson(*two)
    first, second = one[0] / one[1], two[0] / two[1]
    below, above = first - low, high - first
    other_below, other_above = second - lower, higher - second
    difference = first - second
    return (
        difference - float(np.hypot(below, other_above)),
        difference + float(np.hypot(above, other_below)),
    )


def of_steps(differences: np.ndarray, log: bool = False) -> Estimate | None:
    """The mean over neighbouring steps, [steps], whose values depend on each other, from
    the means of batches of them (Schmeiser 1982). None for less than two steps a batch, or
    for steps that depend on each other too much."""
    if len(differences) < 2 * BATCHES or not np.isfinite(differences).all():
        return None
    around = differences - differences.mean()
    if around[1:] @ around[:-1] > MAX_CORRELATION * (around @ around):
        return None
    means = np.array([batch.mean() for batch in np.array_split(around, BATCHES)])
    error = means.std(ddof=1) / BATCHES**0.5
    return Estimate(float(differences.mean()), float(error), BATCHES - 1, log)


def holm(values: Sequence[float]) -> list[float]:
    """The p values of a family, adjusted for how many there are (Holm 1979)."""
    order = np.argsort(values)
    scaled = np.asarray(values)[order] * (len(values) - np.arange(len(values)))
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1) if len(values) else []
    return adjusted.tolist()


def seeds_needed(distance: float, known: Variance, sides: int, level: float) -> int | None:
    """The fewest seeds in each cell of the pool with which the interval at this level would
    just end where a difference of this size, less its margin, does; None if too many."""
    pools = known.cells if known.cells > 1 else sides
    for seeds in range(2, MAX_SEEDS + 1):
        quantile = float(stdtrit(pools * (seeds - 1), 1 - level / 2))
        if quantile * (sides * known.value / seeds) ** 0.5 <= distance:
            return seeds
    return None
