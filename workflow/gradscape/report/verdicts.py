"""What a coursework or a paper asserts, decided by the measured runs.

A study's claims are data: a statement, its source, and the comparison that decides it, made
once per seed (and per value of whatever else the grid varies):

    left: {metric: best_val_accuracy, where: {model: vgg38-rc}}
    is: above                # or below, near, apart
    right: {metric: …, where: …}   # or a number, or chance_loss; `times: 2` scales it
    margin: 0.05             # by how much; for near, how far apart at most; default 0
    relative_margin: 0.05    # the same, as a share of the right side
    same: learning_rate      # a seed counts only if both sides have the same values of it

With `is: near` and `margin: seed_noise` the two means over seeds may differ by as much as
the larger standard deviation over seeds.

A claim holds where the comparison is true for every seed that has both sides.
"""

from dataclasses import dataclass

import numpy as np

from gradscape.registry import find
from gradscape.results.runs import FinishedRun
from gradscape.study import VARIANT, matches, varied_label

HOLDS, FAILS, MIXED = "holds", "does not hold", "holds for some seeds"
UNMEASURED = "not measured"
SEED_NOISE = "seed_noise"


@dataclass(frozen=True)
class Verdict:
    """A claim and what the runs say: `left` and `right` hold one number per seed."""

    name: str
    statement: str
    source: str
    style: str
    verdict: str
    left: list[float]
    right: list[float]

    @property
    def holds(self) -> bool:
        return self.verdict == HOLDS

    @property
    def fails(self) -> bool:
        return self.verdict == FAILS


Pair = tuple[int, str]  # a seed and a variant, which must agree for a fair comparison


def measure(side, runs: list[FinishedRun]) -> dict[Pair, float]:
    """One side of a comparison, by seed and variant."""
    if side == "chance_loss":
        return {(run.seed, run.variant): run.chance_loss for run in runs}
    if not isinstance(side, dict):
        return {(run.seed, run.variant): float(side) for run in runs}
    metric = find("metric", side["metric"])
    measured = {pair: metric(chosen) for pair, chosen in by_pair(side, runs).items()}
    factor = side.get("times", 1)
    return {p: factor * float(value) for p, value in measured.items() if value is not None}


def by_pair(side: dict, runs: list[FinishedRun]) -> dict[Pair, list[FinishedRun]]:
    """The runs that one side of a comparison is about, by seed and variant."""
    pairs: dict[Pair, list[FinishedRun]] = {}
    for run in runs:
        if matches(run.traits, side["where"]):
            pair = (run.seed, varied_besides(side["where"], run.varied))
            pairs.setdefault(pair, []).append(run)
    return pairs


def varied_besides(where: dict, varied: dict) -> str:
    """What a run varies, apart from the settings that the claim itself names.

    >>> varied_besides({"precision": "bf16"}, {"precision": "bf16", "schedule": "cosine"})
    'schedule-cosine'
    """
    if VARIANT in where:
        return ""
    return varied_label({key: value for key, value in varied.items() if key not in where})


def decide(name: str, claim: dict, runs: list[FinishedRun]) -> Verdict:
    """Compare both sides for every seed and variant that has both."""
    left, right = measure(claim["left"], runs), measure(claim["right"], runs)
    pairs = sorted(left.keys() & right.keys())
    if "same" in claim:
        values = [
            {p: {run.settings[claim["same"]] for run in group} for p, group in side.items()}
            for side in (by_pair(claim["left"], runs), by_pair(claim["right"], runs))
        ]
        pairs = [pair for pair in pairs if values[0][pair] == values[1][pair]]
    margin = claim.get("margin", 0)
    if margin == SEED_NOISE:
        sides = [[side[pair] for pair in pairs] for side in (left, right)]
        true = [within_seed_noise(*sides)] if len(pairs) > 1 else []
    else:
        relative = claim.get("relative_margin", 0)
        true = [
            compare(left[p], claim["is"], right[p], margin + relative * abs(right[p]))
            for p in pairs
        ]
    if not true:
        verdict = UNMEASURED
    elif all(true):
        verdict = HOLDS
    else:
        verdict = MIXED if any(true) else FAILS
    return Verdict(
        name=name,
        statement=claim["statement"],
        source=claim["source"],
        style=claim.get("style", "loss"),
        verdict=verdict,
        left=[left[pair] for pair in pairs],
        right=[right[pair] for pair in pairs],
    )


def compare(left: float, relation: str, right: float, margin: float) -> bool:
    """NaN compares false with everything: a diverged run proves no claim."""
    if relation == "near":
        return abs(left - right) <= margin
    if relation == "apart":
        return abs(left - right) > margin
    return left > right + margin if relation == "above" else left < right - margin


def within_seed_noise(left: list[float], right: list[float]) -> bool:
    """Do the means differ by no more than the larger standard deviation over seeds?"""
    noise = max(np.std(left, ddof=1), np.std(right, ddof=1))
    return bool(abs(np.mean(left) - np.mean(right)) <= noise)


def decide_all(claims: dict[str, dict], runs: list[FinishedRun]) -> dict[str, Verdict]:
    """The verdict on each of a study's claims, by name."""
    return {name: decide(name, claim, runs) for name, claim in claims.items()}
