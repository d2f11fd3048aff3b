"""Verdicts on what a coursework or a paper asserts, from the runs and their scatter.

A study's claims are data: a statement, its source, and the comparison that decides it:

    left: {metric: test_accuracy, where: {model: vgg38-rc}}
    is: above                # or below, near, apart
    right: {metric: …, where: …}   # or a number, or chance_loss; `times: 2` scales it
    margin: 0.05             # by how much; for near, how far apart at most; default 0
    relative_margin: 0.05    # the same, as a share of the right side
    threshold: theirs        # the source sets the margin or the number; default ours
    same: learning_rate      # a seed counts only if both sides have the same values of it
    given: plain-trains      # where that claim does not hold, this one is not judged

Each side is one number a seed. `claims/evidence.py` tells what the difference of the two
rests on, and with which error. A study's claims that were registered before their runs form
a family, whose p values are adjusted by Holm; claims asked later are seen, not tested.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from gradscape.claims.evidence import FACT, METHODS, NETWORKS, Evidence, names_of, weigh
from gradscape.claims.inference import LEVEL, Estimate, holm, seeds_needed
from gradscape.claims.registered import OLD_DIGITS, digest
from gradscape.claims.sides import Measurements, Side
from gradscape.runs.run import FinishedRun
from gradscape.spec.quantity import Interval, Quantity
from gradscape.spec.study import grounds

HOLDS, FAILS, EQUAL = "holds", "does not hold", "equal within the margin"
UNDECIDED, UNMEASURED, SEEN = "undecided", "not measured", "seen, not tested"
REFUTED = (FAILS, EQUAL)
VERDICTS = (HOLDS, FAILS, EQUAL, UNDECIDED, UNMEASURED, SEEN)
# What became of a claim that was asked later.
OUTCOMES = {HOLDS: "as claimed", UNDECIDED: "open"}
OUTCOMES |= dict.fromkeys(REFUTED, "not as claimed")
SIDES = ("left", "right")
BEFORE, AFTER = "before", "after"  # the runs were made, a claim was registered
RESTS = (METHODS, NETWORKS, FACT, "")
QUESTION = ("left", "is", "right", "margin", "relative_margin", "same", "given")
# For each commit that runs were made at, the digests of the claims that stood then.
Stood = Mapping[str, Mapping[str, str]] | None


@dataclass(frozen=True)
class Verdict:
    """A claim and what the runs say.

    `left` and `right` hold one number a seed, `left_runs` and `right_runs` the names of the
    runs that each rests on, `left_out` those of runs that match but were made on another
    kind of device. `low` and `high` bound the difference (95 %), `basis` says what they
    rest on, and `rests` what is thereby spoken of: `methods`, the trained `networks` alone,
    or a `fact`, which needs no interval. `reading` is what the interval says by itself,
    `p` its p value and `adjusted` that in its family; `seeds` the seeds a side that would
    decide; `ratio` the bounds of left over right, where that is what is compared.
    `reversed`: the difference is beyond zero on the other side than claimed. `edge`: the
    sides whose number is the best of several learning rates, and that of the smallest or
    the largest.
    `threshold` says whose the deciding number is (`ours`, `theirs`, or empty where two
    measurements decide), `asked` whether the claim was registered `before` its runs or
    `after`, and `question` is the comparison as the claim has it. `sentence` says it all in
    words, where the claim has some.
    """

    name: str
    statement: str
    source: str
    style: str
    verdict: str
    left: list[float]
    right: list[float]
    low: float = np.nan
    high: float = np.nan
    basis: str = ""
    rests: str = ""
    reading: str = ""
    p: float = np.nan
    adjusted: float = np.nan
    seeds: int | None = None
    ratio: list[float] = field(default_factory=list)
    reversed: bool = False
    edge: list[str] = field(default_factory=list)
    threshold: str = ""
    asked: str = BEFORE
    left_runs: list[list[str]] = field(default_factory=list)
    right_runs: list[list[str]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    question: dict = field(default_factory=dict)
    sentence: str = ""

    @property
    def effect(self) -> float:
        """Left minus right, in the mean."""
        return float(np.mean(self.left) - np.mean(self.right)) if self.left else np.nan

    @property
    def interval(self) -> Interval:
        """The interval of the difference."""
        return Interval(self.low, self.high, self.style)

    @property
    def printed_interval(self) -> Interval:
        """The interval as tables print it: of the ratio where numbers are powers of ten."""
        if self.ratio and self.style == "power":
            return Interval(*self.ratio, "times")
        return self.interval

    @property
    def says(self) -> str:
        """The verdict; of a claim that is seen and not tested, what its interval says."""
        return self.reading if self.verdict == SEEN else self.verdict

    @property
    def by_correction(self) -> bool:
        """Is it undecided by Holm's correction alone?"""
        is_open = self.verdict == UNDECIDED != self.reading
        return is_open and self.adjusted > LEVEL

    @property
    def word(self) -> str:
        """The verdict as a table prints it: of what it speaks, its adjusted p value, or why
        it is open and which seeds might do; of what was asked later, how it came out."""
        more = f", p = {self.adjusted:.2g}" if self.adjusted == self.adjusted else ""
        if self.verdict == SEEN:
            more = f": {OUTCOMES[self.reading]}"
        elif self.verdict == UNDECIDED:
            more = more or ", no interval"
            more += f"; {self.seeds} seeds on one device might do" * bool(self.seeds)
        elif self.rests == FACT:
            more = ", a fact"
        elif self.rests == NETWORKS and self.verdict != UNMEASURED:
            more = f" for these networks{more}"
        return self.verdict + more + "; best rate at the edge" * bool(self.edge)

    def side(self, side: str) -> Quantity:
        """The `left` or the `right` number."""
        return Quantity.of(getattr(self, side), self.style)

    @property
    def cited(self) -> str:
        """The source, and whether the threshold is not its own but ours."""
        return self.source + (" (threshold: ours)" if self.threshold == "ours" else "")


@dataclass(frozen=True)
class Comparison:
    """A difference and its thresholds, on the scale of its estimate. `low` and `high` are
    the differences that lie a margin below the right side and above."""

    relation: str
    estimate: Estimate
    low: float
    high: float

    @property
    def ends(self) -> tuple[float, float]:
        """The bounds that the difference is to lie outside, or for a claim of `above` or
        `below` its threshold, twice."""
        low = self.high if self.relation == "above" else self.low
        return low, self.low if self.relation == "below" else self.high

    @property
    def is_inside(self) -> bool:
        low, high = self.ends
        return low <= self.estimate.difference <= high

    @property
    def p(self) -> float:
        """Two-sided for what lies outside; for equality the larger one-sided, doubled, so
        that the 95 % interval decides everywhere."""
        if self.relation in ("near", "apart") and self.is_inside:
            return self.p_of_equality
        low, high = self.ends
        return min(1.0, 2 * min(self.estimate.above(high), self.estimate.below(low)))

    @property
    def p_of_equality(self) -> float:
        """The p value of two one-sided tests of equality in the margin (Lakens 2017)."""
        larger = max(self.estimate.above(self.low), self.estimate.below(self.high))
        return min(1.0, 2 * larger)

    def word(self, level: float = LEVEL) -> str:
        """The verdict if each test is made at this level."""
        if self.p > level:
            return UNDECIDED
        if self.relation in ("near", "apart"):
            return HOLDS if self.is_inside == (self.relation == "near") else FAILS
        is_above = self.estimate.difference > max(self.ends)
        if is_above == (self.relation == "above"):
            return HOLDS
        return EQUAL if self.p_of_equality <= level else FAILS

    @property
    def distance(self) -> float:
        """The distance of the difference from the nearest of its ends."""
        return min(abs(self.estimate.difference - end) for end in self.ends)


class Decision(NamedTuple):
    """A claim's verdict by itself, what it rests on, and its test if there is one."""

    verdict: Verdict
    evidence: Evidence | None = None
    test: Comparison | None = None


def decide_all(
    claims: dict[str, dict],
    runs: list[FinishedRun],
    registered: Stood = None,
    others: Mapping[str, list[FinishedRun]] | None = None,
) -> dict[str, Verdict]:
    """The verdict on each of a study's claims, by name; `others` are the runs of studies
    that they compare with. Without `registered` every claim counts as asked before its
    runs."""
    measured = Measurements(runs, others)
    decided = {n: decide(n, claim, measured, registered) for n, claim in claims.items()}
    refuted = {name for name, found in decided.items() if found.verdict.reading in REFUTED}
    for name, (verdict, evidence, test) in decided.items():
        if test and refuted.intersection(grounds(claims, name)):
            untested = replace(verdict, reading=UNDECIDED, p=1.0, adjusted=1.0)
            decided[name] = Decision(untested, evidence)
    verdicts = adjust(decided)
    refuted = {name for name, verdict in verdicts.items() if verdict.says in REFUTED}
    for name in claims:
        if refuted.intersection(grounds(claims, name)):
            untold = {"reading": "", "p": np.nan, "adjusted": np.nan}
            verdicts[name] = replace(verdicts[name], verdict=UNMEASURED, **untold)
    return verdicts


def adjust(decided: dict[str, Decision]) -> dict[str, Verdict]:
    """The verdicts of a family, each at the level that Holm leaves it. All that was asked
    before and measured belongs to it, what has no interval with p = 1: whether a claim has
    one is known only after its runs. So has what asks on a ground that is refuted."""
    asked = {n: v for n, (v, *_) in decided.items() if v.asked == BEFORE}
    asked = {n: v for n, v in asked.items() if v.rests != FACT and v.verdict != UNMEASURED}
    family = {name: v.p if decided[name].test else 1.0 for name, v in asked.items()}
    adjusted = dict(zip(family, holm([*family.values()]), strict=True))
    verdicts = {}
    for name, (verdict, evidence, test) in decided.items():
        if verdict.asked == AFTER and verdict.rests != FACT and verdict.reading:
            verdict = replace(verdict, verdict=SEEN)
        if test and name in adjusted:
            p = adjusted[name]
            level = LEVEL * (verdict.p / p if p else 1)
            seeds, word = None, test.word(level)
            if word == UNDECIDED and evidence.variance and test.distance:
                known = evidence.variance, evidence.sides
                seeds = seeds_needed(test.distance, *known, level)
            verdict = replace(verdict, adjusted=p, verdict=word, seeds=seeds)
        verdicts[name] = verdict
    return verdicts


def decide(
    name: str, claim: dict, measured: Measurements, registered: Stood = None
) -> Decision:
    """The decision on a claim by itself."""
    sides = [Side(claim[side], measured) for side in SIDES]
    found = weigh(sides, claim.get("same"))
    pairs = found.pairs if found else (None, None)
    verdict = Verdict(
        name=name,
        statement=claim["statement"],
        source=claim["source"],
        style=claim.get("style", "loss"),
        verdict=UNMEASURED if found is None else UNDECIDED,
        left=[] if found is None else found.left.tolist(),
        right=[] if found is None else found.right.tolist(),
        threshold=claim.get("threshold", "ours") if is_threshold(claim) else "",
        left_runs=sides[0].runs(pairs[0]),
        right_runs=sides[1].runs(pairs[1]),
        question={key: claim[key] for key in QUESTION if key in claim},
    )
    if found is None:
        return Decision(verdict)
    # Those of another study may be older: this one's beside them are what is predicted.
    runs = [r for r in map(measured.run, names_of(sides, pairs)) if r in measured.all]
    is_chosen = measured.exchanged and any(run.replaced for run in runs)
    is_later = is_chosen or any(not stood(name, claim, r, registered) for r in runs)
    verdict = replace(
        verdict,
        basis=found.basis,
        rests=found.rests,
        left_out=found.left_out,
        edge=[SIDES[n] for n in (0, 1) if sides[n].is_at_edge(pairs[n])],
        asked=AFTER if is_later else BEFORE,
    )
    right = found.reference
    margin = claim.get("margin", 0) + claim.get("relative_margin", 0) * abs(right)
    is_counted = np.isfinite(found.bounds).all()
    if found.rests == FACT or is_counted or found.diverged:
        word = compare(float(found.left.mean()), claim["is"], right, margin)
        word = {"all": FAILS, "some": UNDECIDED}.get(found.diverged, word)
        low, high = found.bounds
        verdict = replace(verdict, verdict=word, reading=word, low=low, high=high)
        return Decision(verdict, found)
    if found.estimate is None:
        return Decision(replace(verdict, reading=UNDECIDED), found)
    estimate, low, high = found.estimate, -margin, margin
    ends = estimate.interval()
    if estimate.log:
        with np.errstate(divide="ignore", invalid="ignore"):
            low, high = (float(np.log1p(end / right)) for end in (low, high))
        low = -np.inf if np.isnan(low) else low
        verdict = replace(verdict, ratio=[float(np.exp(end)) for end in ends])
        ends = tuple(float(right * np.expm1(end)) for end in ends)
    test = Comparison(claim["is"], estimate, low, high)
    told = {"low": ends[0], "high": ends[1], "p": test.p, "reading": test.word()}
    against = {"above": ends[1] < 0, "below": ends[0] > 0}.get(test.relation, False)
    return Decision(replace(verdict, **told, reversed=against), found, test)


def stood(name: str, claim: dict, run: FinishedRun, registered: Stood) -> bool:
    """Tell whether a claim stood before a run was made."""
    if registered is None:
        return True
    known = registered.get(run.commit, {}).get(name)
    return known in (digest(claim), digest(claim, OLD_DIGITS))


def is_threshold(claim: dict) -> bool:
    """Tell whether a number decides the claim, not the order of two measurements."""
    number = isinstance(claim["right"], int | float)
    return number or "margin" in claim or "relative_margin" in claim


def compare(left: float, relation: str, right: float, margin: float) -> str:
    """The verdict on a claim of two facts."""
    difference = left - right
    agrees = {
        "above": difference > margin,
        "below": -difference > margin,
        "near": abs(difference) <= margin,
        "apart": abs(difference) > margin,
    }[relation]
    return HOLDS if agrees else FAILS
