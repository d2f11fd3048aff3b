"""What a coursework or a paper asserts, decided on the measured runs.

`report/claims.yaml` holds the claims as data: a statement, its source, and the comparison
that decides it, made once a seed (and once a variant, where the grid varies more):

    left: {metric: best_val_accuracy, where: {model: vgg38-rc}}
    is: above                # or below, near or apart
    right: {metric: …, where: …}   # or a number, or chance_loss; `times: 2` scales it
    margin: 0.05             # by how much, or for near: at most how far; else 0
    relative_margin: 0.05    # the same as a share of the right side

    same: learning_rate      # a seed counts only if both sides have the same values of it

With `is: near` and `margin: seed_noise` the two means over seeds may differ by as much as
the larger standard deviation over seeds.

A claim holds where the comparison is true for every seed that has both sides.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gradscape.results.calibration import expected_calibration_error
from gradscape.config import matches, read_yaml
from gradscape.errors import GradscapeError
from gradscape.results.runs import FinishedRun
from gradscape.results.smoothness import MEASURES, band, definition, proxy, width

HOLDS, FAILS, MIXED = "holds", "does not hold", "holds for some seeds"
UNMEASURED = "not measured"
SEED_NOISE = "seed_noise"


def only(runs: list[FinishedRun]) -> FinishedRun:
    if len(runs) != 1:
        raise GradscapeError(
            f"claims.yaml: {len(runs)} runs match where one was expected: "
            f"{', '.join(run.record['run'] for run in runs)}"
        )
    return runs[0]


def final_gap(run: FinishedRun) -> float:
    """Training minus validation accuracy, in the last epoch."""
    last = run.metrics.iloc[-1]
    return float(last["train_accuracy"] - last["val_accuracy"])


def gradient_ratio(runs: list[FinishedRun]) -> float:
    """First layer's average gradient over the last layer's, after the first epoch."""
    first_epoch = only(runs).gradients.iloc[0]
    return float(first_epoch.iloc[0] / first_epoch.iloc[-1])


def mean_band_width(runs: list[FinishedRun]) -> float:
    """Mean over steps, from the second epoch on, of the loss band's width."""
    low, high = band([run.step_losses for run in runs])
    return float(np.mean((high - low)[runs[0].steps_per_epoch :]))


def median_width(kind: str, measure: str):
    """Median over steps of a measure, by proxy or by definition."""

    def metric(runs: list[FinishedRun]) -> float | None:
        measures = proxy(runs) if kind == "proxy" else definition(only(runs))
        if not measures or measure not in measures:
            return None
        return float(np.median(width(measure, measures[measure])))

    return metric


def curvature(quantity: str):
    def metric(runs: list[FinishedRun]) -> float | None:
        table = only(runs).probe("hessian")
        if table is None:
            return None
        return abs(float(table.set_index("quantity")["value"][quantity]))

    return metric


def calibration_error(runs: list[FinishedRun]) -> float | None:
    """On the test images, from 0 (its confidences are true) to 1."""
    table = only(runs).probe("predictions")
    return None if table is None else expected_calibration_error(table)


def gradient_decades(column: str):
    """Decades (in mean square) by which the gradient falls from the last convolution to
    the first behind the entry, at initialisation."""

    def metric(runs: list[FinishedRun]) -> float | None:
        table = only(runs).probe("signal")
        if table is None:
            return None
        squares = table[table.moment == "initialisation"][column].to_numpy()
        return float(np.log10(squares[-2] / squares[1]))

    return metric


# A metric takes the runs of one seed and variant that match, and returns one number, or
# None where they were not measured for it.
METRICS = {
    "final_train_loss": lambda runs: only(runs).metrics["train_loss"].iloc[-1],
    "worst_final_train_loss": lambda runs: max(
        run.metrics["train_loss"].iloc[-1] for run in runs
    ),
    "best_val_accuracy": lambda runs: max(run.best["val_accuracy"] for run in runs),
    "test_accuracy": lambda runs: only(runs).test["test_accuracy"],
    "final_test_accuracy": lambda runs: only(runs).last_test["test_accuracy"],
    "final_gap": lambda runs: final_gap(only(runs)),
    "parameters": lambda runs: only(runs).record["parameters"],
    "gradient_ratio": gradient_ratio,
    "mean_band_width": mean_band_width,
    **{
        f"median_{kind}_{measure}": median_width(kind, measure)
        for kind in ("proxy", "definition")
        for measure in MEASURES
    },
    "largest_eigenvalue": curvature("largest_eigenvalue"),
    "calibration_error": calibration_error,
    "gradient_decades": gradient_decades("gradient_mean_square"),
    "predicted_gradient_decades": gradient_decades("predicted_gradient_mean_square"),
}


@dataclass(frozen=True)
class Verdict:
    """A claim and what the runs say of it: `left` and `right` hold a number a seed."""

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


Pair = tuple[int, str]  # a seed and a variant: what has to agree for a fair comparison


def measure(side, runs: list[FinishedRun]) -> dict[Pair, float]:
    """One side of a comparison, by seed and variant."""
    if side == "chance_loss":
        return {(run.seed, run.variant): run.chance_loss for run in runs}
    if not isinstance(side, dict):
        return {(run.seed, run.variant): float(side) for run in runs}
    metric = METRICS[side["metric"]]
    measured = {pair: metric(chosen) for pair, chosen in by_pair(side, runs).items()}
    factor = side.get("times", 1)
    return {p: factor * float(value) for p, value in measured.items() if value is not None}


def by_pair(side: dict, runs: list[FinishedRun]) -> dict[Pair, list[FinishedRun]]:
    """The runs that one side of a comparison is about."""
    pairs: dict[Pair, list[FinishedRun]] = {}
    for run in runs:
        if matches(run.traits, side["where"]):
            pair = (run.seed, rest_of_variant(run.variant, side["where"]))
            pairs.setdefault(pair, []).append(run)
    return pairs


def rest_of_variant(variant: str, where: dict) -> str:
    """A variant without the settings that the claim itself names.

    >>> rest_of_variant("precision-bf16_schedule-cosine", {"precision": "bf16"})
    'schedule-cosine'
    """
    if "variant" in where:
        return ""
    named = tuple(f"{key.replace('_', '-')}-" for key in where)
    return "_".join(part for part in variant.split("_") if not part.startswith(named))


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
    """Do the means differ by less than a seed does: the larger standard deviation?"""
    noise = max(np.std(left, ddof=1), np.std(right, ddof=1))
    return bool(abs(np.mean(left) - np.mean(right)) <= noise)


def decide_all(path: Path, study: str, runs: list[FinishedRun]) -> dict[str, Verdict]:
    """Every claim about a study, by name."""
    claims = read_yaml(path).get(study, {})
    return {name: decide(name, claim, runs) for name, claim in claims.items()}
