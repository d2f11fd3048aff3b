"""What a coursework or a paper asserts, decided by the measured runs and their scatter.

A study's claims are data: a statement, its source, and the comparison that decides it, made
once per seed (and per value of whatever else the grid varies):

    left: {metric: test_accuracy, where: {model: vgg38-rc}}
    is: above                # or below, near, apart
    right: {metric: …, where: …}   # or a number, or chance_loss; `times: 2` scales it
    margin: 0.05             # by how much; for near, how far apart at most; default 0
    relative_margin: 0.05    # the same, as a share of the right side
    threshold: theirs        # the source sets the margin or the number; default ours
    same: learning_rate      # a seed counts only if both sides have the same values of it
    given: plain-trains      # where that claim does not hold, this one is not judged
    scatter: 0.07            # half the interval that one seed stands for, where it has none

The claim is decided by the 95 % interval of the difference. Over several seeds that is
Student's interval of the paired differences. One seed has no scatter: there an
accuracy's interval comes from the images it was measured on, paired by McNemar's count
of those that only one of the two networks gets right where the runs kept their
predictions (Dietterich 1998, section 2), and a median over steps has that of blocks of
steps drawn anew (Künsch 1989); any other number has the claim's `scatter`, or stands for
itself. The claim *holds* if the whole interval agrees with it, *does not
hold* if the whole interval contradicts it; otherwise the two sides *cannot be told
apart*. `near` asks for an interval within the margin (two one-sided tests).
"""

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import stdtrit

from gradscape.runs.run import FinishedRun
from gradscape.spec.quantity import Interval, Quantity
from gradscape.spec.registry import find
from gradscape.spec.study import VARIANT, matches, varied_label

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "cannot be told apart"
UNMEASURED = "not measured"
BEFORE, AFTER = "before", "after"  # the runs were seen, a claim was asked
NORMAL = 1.96  # standard errors of a 95 % interval
RESAMPLED = 2000  # times, for an interval to two digits
MIN_STEPS = 8  # for an interval from steps
QUESTION = ("left", "is", "right", "margin", "relative_margin", "scatter", "same", "given")
# The images that an accuracy is measured on, as a run's record counts them.
IMAGES = {
    "test_accuracy": "test",
    "final_test_accuracy": "test",
    "best_val_accuracy": "validation",
}


@dataclass(frozen=True)
class Verdict:
    """A claim and what the runs say.

    `left` and `right` hold one number per seed, `left_runs` and `right_runs` the names of
    the runs that each rests on; `low` and `high` bound the difference, and `basis` says
    what that interval rests on. `reversed`: the difference is beyond zero on the other side
    than claimed. `threshold` says whose the deciding number is (`ours`, `theirs`, or empty
    where two measurements decide), `asked` whether the claim was made `before` its runs
    were seen or `after`, and `question` is the comparison as the claim has it. `sentence`
    says it all in words, where the claim has some.
    """

    name: str
    statement: str
    source: str
    style: str
    verdict: str
    left: list[float]
    right: list[float]
    low: float
    high: float
    basis: str
    reversed: bool = False
    threshold: str = ""
    asked: str = BEFORE
    left_runs: list[list[str]] = field(default_factory=list)
    right_runs: list[list[str]] = field(default_factory=list)
    question: dict = field(default_factory=dict)
    sentence: str = ""

    @property
    def effect(self) -> float:
        """Left minus right, in the mean."""
        return float(np.mean(self.left) - np.mean(self.right)) if self.left else np.nan

    @property
    def interval(self) -> Interval:
        return Interval(self.low, self.high, self.style)

    def side(self, side: str) -> Quantity:
        """The `left` or the `right` number."""
        return Quantity.of(getattr(self, side), self.style)

    @property
    def cited(self) -> str:
        """The source, and whether the threshold is not its own but ours."""
        return self.source + (" (threshold: ours)" if self.threshold == "ours" else "")


Pair = tuple[int, str]  # a seed and a variant, which must agree for a fair comparison


class Side:
    """One side of a comparison: a metric of the runs that match, by seed and variant.

    Or a constant, which stands beside whatever pairs the other side has; of `chance_loss`,
    that of a uniform guess.
    """

    def __init__(self, side: dict | float | str, runs: list[FinishedRun]):
        self.constant = not isinstance(side, dict)
        self.groups: dict[Pair, list[FinishedRun]] = {}
        self.values: dict[Pair, float] = {}
        if not isinstance(side, dict):
            chance = max((run.chance_loss for run in runs), default=np.nan)
            self.number = chance if side == "chance_loss" else float(side)
            return
        where, self.factor = side["where"], side.get("times", 1)
        self.name, self.metric = side["metric"], find("metric", side["metric"])
        for run in runs:
            if matches(run.traits, where):
                pair = (run.seed, varied_besides(where, run.varied))
                self.groups.setdefault(pair, []).append(run)
        for pair, group in self.groups.items():
            value = self.metric(group)
            if value is not None:
                self.values[pair] = self.factor * float(value)

    def of(self, pairs: list[Pair]) -> np.ndarray:
        return np.array([self.number if self.constant else self.values[p] for p in pairs])

    def runs(self, pairs: list[Pair]) -> list[list[str]]:
        return [[run.path.name for run in self.groups.get(pair, [])] for pair in pairs]

    def has(self, setting: str) -> dict[Pair, set]:
        """Which values a setting takes among a pair's runs."""
        groups = self.groups.items()
        return {pair: {run.settings[setting] for run in group} for pair, group in groups}


def varied_besides(where: dict, varied: dict) -> str:
    """What a run varies, apart from the settings that the claim itself names.

    >>> varied_besides({"precision": "bf16"}, {"precision": "bf16", "schedule": "cosine"})
    'schedule-cosine'
    """
    if VARIANT in where:
        return ""
    return varied_label({key: value for key, value in varied.items() if key not in where})


def decide(name: str, claim: dict, runs: list[FinishedRun]) -> Verdict:
    """Compare both sides over the seeds and variants that have both."""
    sides = [Side(claim[side], runs) for side in ("left", "right")]
    measured = [set(side.values) for side in sides if not side.constant]
    pairs = sorted(set.intersection(*measured)) if measured else []
    if "same" in claim:
        left, right = (side.has(claim["same"]) for side in sides)
        pairs = [pair for pair in pairs if left.get(pair) == right.get(pair)]
    left, right = (side.of(pairs) for side in sides)
    scatter = claim.get("scatter")
    noise, rests_on = scatter, basis(pairs, sides, scatter)
    if len(pairs) == 1:
        counted = image_noise(sides, pairs[0]) or step_noise(sides, pairs[0])
        noise, rests_on = counted or (noise, rests_on)
    margin = claim.get("margin", 0) + claim.get("relative_margin", 0) * np.abs(right)
    with np.errstate(invalid="ignore"):
        low, high = interval(left - right, noise) if pairs else (np.nan, np.nan)
    return Verdict(
        name=name,
        statement=claim["statement"],
        source=claim["source"],
        style=claim.get("style", "loss"),
        verdict=compare(left, claim["is"], right, margin, noise) if pairs else UNMEASURED,
        left=left.tolist(),
        right=right.tolist(),
        low=low,
        high=high,
        basis=rests_on,
        reversed={"above": high < 0, "below": low > 0}.get(claim["is"], False),
        threshold=claim.get("threshold", "ours") if is_threshold(claim) else "",
        asked=AFTER if "after the fact" in claim["source"] else BEFORE,
        left_runs=sides[0].runs(pairs),
        right_runs=sides[1].runs(pairs),
        question={key: claim[key] for key in QUESTION if key in claim},
    )


def is_threshold(claim: dict) -> bool:
    """Does a number decide the claim, rather than the order of two measurements?"""
    number = isinstance(claim["right"], int | float)
    return number or "margin" in claim or "relative_margin" in claim


def compare(left, relation: str, right, margin, noise: float | None = None) -> str:
    """The verdict from both sides and the margin, [pairs] each.

    A diverged run proves no claim: where none of the differences is finite, the claim does
    not hold; where some are not, there is no interval.
    """
    with np.errstate(invalid="ignore"):
        difference = left - right
    finite = np.isfinite(difference)
    if not finite.any():
        return FAILS
    if not finite.all():
        return UNDECIDED
    if relation in ("near", "apart"):
        signs = [sign(margin - difference, noise), sign(margin + difference, noise)]
        decided = min(signs) * (1 if relation == "near" else -1)
    else:
        decided = sign((difference if relation == "above" else -difference) - margin, noise)
    return {1: HOLDS, 0: UNDECIDED, -1: FAILS}[decided]


def sign(values: np.ndarray, noise: float | None) -> int:
    """1 or -1 where the whole interval of their mean is on one side of zero, else 0."""
    low, high = interval(values, noise)
    return int(low > 0) - int(high < 0)


def interval(values: np.ndarray, noise: float | None = None) -> tuple[float, float]:
    """The 95 % interval of the mean of `values`, [n]: Student's; of one value, ± noise."""
    half = noise or 0.0
    if len(values) > 1:
        error = values.std(ddof=1) / np.sqrt(len(values))
        half = stdtrit(len(values) - 1, 0.975) * error
    return float(values.mean() - half), float(values.mean() + half)


Noise = tuple[float, str]  # half the 95 % interval of a difference, and what it rests on


def image_noise(sides: list[Side], pair: Pair) -> Noise | None:
    """Of a difference of accuracies or other means over images, from the images that they
    were measured on; None if a side is measured otherwise."""
    variance, right, images = 0.0, [], 0
    for side in sides:
        if side.constant:
            continue
        if side.factor != 1:
            return None
        group = side.groups[pair]
        if hasattr(side.metric, "images"):  # a mean over them
            values = side.metric.images(group)
            images, variance = len(values), variance + values.var() / len(values)
            continue
        if side.name not in IMAGES:
            return None
        images = getattr(group[0].record.data, IMAGES[side.name])
        if not images:
            return None
        share = (side.values[pair] * images + 2) / (images + 4)  # Agresti and Coull
        variance += share * (1 - share) / images
        if side.name == "test_accuracy":
            right.append(group[0].correct)
    if len(right) == 2 and right[0] is not None and right[1] is not None:
        difference = right[0].astype(float) - right[1]
        variance = difference.var() / len(difference)
    return NORMAL * float(np.sqrt(variance)), f"{images:,} images"


def step_noise(sides: list[Side], pair: Pair) -> Noise | None:
    """Of a difference of medians over steps, from moving blocks of n^(1/3) neighbouring
    steps drawn anew; None if a side is something else, or too short."""
    medians, counts, random = [], [], np.random.default_rng(0)
    for side in sides:
        if side.constant or not hasattr(side.metric, "steps"):
            return None
        values = side.metric.steps(side.groups[pair])
        if values is None or len(values) < MIN_STEPS:
            return None
        length = round(len(values) ** (1 / 3))
        starts = random.integers(
            len(values) - length + 1, size=(RESAMPLED, -(-len(values) // length), 1)
        )
        drawn = (starts + np.arange(length)).reshape(RESAMPLED, -1)[:, : len(values)]
        medians.append(side.factor * np.median(values[drawn], axis=1))
        counts.append(len(values))
    with np.errstate(invalid="ignore"):
        low, high = np.quantile(medians[0] - medians[1], [0.025, 0.975])
    if not np.isfinite(high - low):
        return None
    return float(high - low) / 2, f"{min(counts):,} steps"


def basis(pairs: list[Pair], sides: list[Side], scatter: float | None) -> str:
    """What the interval of the difference rests on, for the table of claims."""
    if not pairs:
        return ""
    if len(pairs) > 1:
        same = len({variant for _, variant in pairs}) == 1
        return f"{len(pairs)} {'seeds' if same else 'pairs'}"
    runs_each = "one run" if any(side.constant for side in sides) else "one run each"
    return runs_each + (f" (± {scatter})" if scatter else "")


def decide_all(claims: dict[str, dict], runs: list[FinishedRun]) -> dict[str, Verdict]:
    """The verdict on each of a study's claims, by name."""
    verdicts = {name: decide(name, claim, runs) for name, claim in claims.items()}
    for name, claim in claims.items():
        if "given" in claim and verdicts[claim["given"]].verdict == FAILS:
            verdicts[name] = replace(verdicts[name], verdict=UNMEASURED)
    return verdicts
