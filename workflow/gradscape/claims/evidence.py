"""The evidence behind a comparison: seeds, the images or steps of single runs, or facts.

Runs of one comparison are made on one kind of device with one version of torch: where a
side has runs of several, those of the kind that both sides have most of count. Seeds are
independent, for those of two networks share no more than the order of images; two sides
that are measured on the same runs, images or steps are paired.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from gradscape.claims.inference import (
    Estimate,
    Variance,
    newcombe,
    of_seeds,
    pooled,
    variance,
    wilson,
)
from gradscape.claims.sides import Chosen, Pair, Side
from gradscape.claims.single import images, steps

METHODS, NETWORKS, FACT = "methods", "networks", "fact"


@dataclass(frozen=True)
class Evidence:
    """The numbers that a comparison takes, and the estimate of their difference if they
    allow one. `reference` is the right side's mean, geometric where ratios are compared;
    `variance` that of one of `sides` from seed to seed; `diverged`: `all` or `some` numbers
    are not finite."""

    left: np.ndarray
    right: np.ndarray
    pairs: tuple[Chosen, Chosen]
    reference: float
    basis: str = ""
    rests: str = ""
    estimate: Estimate | None = None
    variance: Variance | None = None
    sides: int | None = None
    diverged: str = ""
    left_out: list[str] = field(default_factory=list)
    bounds: tuple[float, float] = (np.nan, np.nan)  # of the difference of counted runs


def weigh(sides: Sequence[Side], same: str | None) -> Evidence | None:
    """The evidence of a claim's two sides; None if one of them was not measured."""
    if sides[1].constant is None:  # then a fact is a number a seed, like what it is beside
        sides[0].constant = None
    chosen = [sorted(side.values) if side.constant is None else None for side in sides]
    if same and None not in chosen:
        both = [p for p in chosen[0] if p in chosen[1]]
        both = [p for p in both if sides[0].rates(p, same) == sides[1].rates(p, same)]
        chosen = [both, both]
    if any(pairs == [] for pairs in chosen):
        return None
    matched = names_of(sides, chosen)
    chosen = one_device(sides, chosen)
    left, right = (side.of(pairs) for side, pairs in zip(sides, chosen, strict=True))
    out = sorted(matched - names_of(sides, chosen))
    pairs = chosen[0], chosen[1]
    found = Evidence(left, right, pairs, float(right.mean()), left_out=out)
    numbers = np.concatenate([left, right])
    if pairs == (None, None):
        return replace(found, rests=FACT, basis="a fact")
    single = [(s, p[0]) for s, p in zip(sides, pairs, strict=True) if p and len(p) == 1]
    if sides[0].metric.counts and single and all(side.metric.counts for side, _ in single):
        return counted(found, single)
    if not np.isfinite(numbers).all():
        some = all(np.isfinite(values).any() for values in (left, right))
        return replace(found, diverged="some" if some else "all", basis="diverged")
    return estimated(found, sides, numbers)


def names_of(sides: Sequence[Side], chosen: Sequence[Chosen]) -> set[str]:
    both = zip(sides, chosen, strict=True)
    return {name for side, pairs in both for group in side.runs(pairs) for name in group}


def one_device(sides: Sequence[Side], chosen: Sequence[Chosen]) -> list[Chosen]:
    """Each side's pairs of the device that both have most of; all if none serves."""
    both = list(zip(sides, chosen, strict=True))
    counts = [Counter(map(side.device, pairs)) for side, pairs in both if pairs]
    devices = set().union(*counts) - {None}

    def common(device: tuple) -> tuple:
        each = [count[device] for count in counts]
        return min(each), sum(each), device

    best = max(devices, key=common, default=None)
    if best is None or common(best)[0] == 0:
        return list(chosen)
    return [pairs and [p for p in pairs if side.device(p) == best] for side, pairs in both]


def is_mixed(measured: Sequence[tuple[Side, Pair]]) -> bool:
    """Tell whether numbers are from runs of several kinds of device, or of means."""
    return len(set().union(*(side.kinds(pair) for side, pair in measured))) > 1


def counted(found: Evidence, measured: list[tuple[Side, Pair]]) -> Evidence:
    """The evidence of a share of runs, of all seeds, or of the difference of two."""
    if is_mixed(measured):
        return replace(found, basis="runs of several devices")
    groups = [(side.metric.counts, side.groups[pair]) for side, pair in measured]
    shares = [(counts(group), len(group)) for counts, group in groups]
    basis = f"{' + '.join(str(len(group)) for _, group in groups)} runs, counted"
    if len(shares) == 2:
        return replace(found, rests=METHODS, basis=basis, bounds=newcombe(*shares))
    low, high = (end - found.reference for end in wilson(*shares[0]))
    return replace(found, rests=METHODS, basis=basis, bounds=(low, high))


def estimated(found: Evidence, sides: Sequence[Side], numbers: np.ndarray) -> Evidence:
    """The evidence with an estimate of the difference, if there is one, and its basis."""
    both = zip(sides, found.pairs, strict=True)
    measured = [(side, pairs) for side, pairs in both if pairs is not None]
    if any(len({variant for _, variant in pairs}) > 1 for _, pairs in measured):
        return replace(found, basis="several settings, not averaged over")
    if all(len(pairs) == 1 for _, pairs in measured):
        return of_one(found, [(side, pairs[0]) for side, pairs in measured])
    count = basis = " + ".join(str(len(pairs)) for _, pairs in measured) + " seeds"
    devices = {side.device(pair) for side, pairs in measured for pair in pairs}
    if len(devices) > 1 or None in devices:
        return replace(found, basis=f"{basis}, several or unknown devices")
    log = all(side.log for side in sides) and bool((numbers > 0).all())
    scale = np.log if log else np.asarray
    runs = [side.runs(pairs) for side, pairs in measured]
    if len(runs) == 2 and runs[0] == runs[1]:
        values = [scale(found.left) - scale(found.right)]
        variances, basis = [variance(values[0])], f"{len(values[0])} seeds, paired"
    else:
        values = [scale(side.of(pairs)) for side, pairs in measured]
        variances, method = seed_variances(measured, values, scale)
        if not variances:
            return replace(found, basis=basis)
        basis += method
        if (constant := sides[1].constant) is not None:
            values[0] = values[0] - scale(constant)
    if not any(v.value for v in variances):  # how they scatter is then unknown
        return replace(found, basis=f"{count}, all alike")
    if log:
        found = replace(found, reference=float(np.exp(np.log(found.right).mean())))
    found = replace(found, rests=METHODS, basis=basis, sides=len(values))
    largest = max(variances, key=lambda v: v.value)
    return replace(found, estimate=of_seeds(values, variances, log), variance=largest)


def seed_variances(measured, values, scale) -> tuple[list[Variance], str]:
    """The variance of each measured cell, pooled or its own, and how it was found; none if
    a cell of one seed has no pool."""
    known = []
    for (side, pairs), seeds in zip(measured, values, strict=True):
        with np.errstate(divide="ignore", invalid="ignore"):  # a cell's zero has no ratio
            cells = [scale(cell) for cell in side.pool(pairs)]
        common = pooled([cell for cell in cells if np.isfinite(cell).all()])
        if common is None and len(seeds) == 1:
            return [], ""
        known.append(common or variance(seeds))
    if known[0] == known[-1] and known[0].cells > 1:
        known = known[:1] * len(known)  # one pool; cells at chance have one of their own
    cells = sorted({v.cells for v in known if v.cells > 1})
    if cells:
        return known, f", σ of {' and '.join(map(str, cells))} cells"
    return known, ", Welch" * (len(known) > 1)


def of_one(found: Evidence, measured: list[tuple[Side, Pair]]) -> Evidence:
    """The evidence with what the images or the steps of single runs tell of these trained
    networks."""
    if is_mixed(measured):
        return replace(found, basis="runs of several devices")
    side, pair = measured[0]
    if side.metric.estimate and len(measured) == 1:
        group = side.groups[pair]
        fit = side.metric.estimate(group)
        fit = replace(fit, difference=fit.difference - float(found.right[0]))
        basis = f"a fit to {len(group)} runs"
        return replace(found, rests=METHODS, basis=basis, estimate=fit)
    difference = float(found.left.mean() - found.right.mean())
    of = images(measured, difference) or steps(measured, found.right)
    if of is None:
        return replace(found, basis="one run" if len(measured) == 1 else "one run each")
    return replace(found, rests=NETWORKS, estimate=of[0], basis=of[1])
