"""A claim's verdict in words: the sentence that suits it, with its numbers."""

from collections import Counter
from collections.abc import Iterable

from gradscape.claims.evidence import FACT, METHODS, NETWORKS
from gradscape.claims.verdicts import (
    BEFORE,
    EQUAL,
    FAILS,
    HOLDS,
    REFUTED,
    SEEN,
    UNDECIDED,
    UNMEASURED,
    Verdict,
)
from gradscape.runs.run import FinishedRun
from gradscape.spec.labels import in_words, noun
from gradscape.spec.quantity import TEXT, Notation, Quantity
from gradscape.spec.registry import options
from gradscape.spec.sentences import COMPARED, choose, plain
from gradscape.spec.study import Study, matches

KINDS = {
    HOLDS: ("holds",),
    FAILS: ("fails",),
    EQUAL: ("equal", "fails"),
    UNDECIDED: ("undecided",),
    UNMEASURED: ("unmeasured",),
}
# Signs of what a sentence may not be taken for, explained where a document begins.
NOT_TESTED, NETWORKS_ONLY, AT_EDGE = r"$^\dagger$", r"$^\ddagger$", r"$^\S$"
MISSING = "(not measured)"


def sentence(claim: dict, verdict: Verdict, telling: str = "") -> str:
    """The sentence that suits a verdict, as it is written; empty where there is none."""
    told = claim.get(telling, {}) if telling else claim
    if "holds" not in told:
        return ""
    suited = ["seen"] if verdict.verdict == SEEN else []
    suited += ["reversed"] if verdict.says in REFUTED and verdict.reversed else []
    turned = {"above": verdict.effect < 0, "below": verdict.effect > 0}
    against = bool(verdict.left) and turned.get(claim["is"], False)
    more = ", the other way round" * against
    more += corrected(verdict) or "; no interval" * (not verdict.interval.is_known)
    suited += ["uncorrected"] if verdict.by_correction and verdict.reading == HOLDS else []
    text = choose(told, (*suited, *KINDS[verdict.says]), claim["statement"], more)
    return text + "".join(signs_of(verdict)) if text else ""


def signs_of(verdict: Verdict) -> list[str]:
    """Tell a finding that was not tested from one that was, one about two trained networks
    from one about methods, and a best rate that is the last tried."""
    is_narrow = verdict.rests == NETWORKS and verdict.says not in (UNDECIDED, UNMEASURED)
    applies = {NOT_TESTED: verdict.verdict == SEEN, NETWORKS_ONLY: is_narrow}
    applies[AT_EDGE] = bool(verdict.edge) and verdict.says != UNMEASURED
    return [sign for sign, is_due in applies.items() if is_due]


def said(claim: dict, verdict: Verdict, study: Study, finished: list[FinishedRun]) -> str:
    """The sentence as plain text with its numbers."""

    def fill(name: str) -> str:
        if name in COMPARED:
            return compared(name, verdict)
        if name.startswith("figure "):
            return f"figure “{name.removeprefix('figure ')}”"
        return "the table" if name == "table" else about(name, claim, study, finished)

    return plain(sentence(claim, verdict), fill)


def compared(name: str, verdict: Verdict, notation: Notation = TEXT) -> str:
    """A number of the comparison as it stands in a sentence."""
    if not verdict.left:
        return MISSING
    if name in ("left", "right"):
        return verdict.side(name).written(notation, unit=True)
    if name == "points":
        return f"{verdict.side('left').written(notation)} points"
    size = Quantity.of([abs(verdict.effect)], verdict.style).written(notation)
    unit = " points" if verdict.style == "accuracy" else ""
    bounds = verdict.interval.turned() if verdict.effect < 0 else verdict.interval
    interval = f"95{notation.percent} interval {bounds.written(notation)}"
    interval += corrected(verdict)
    return size + unit + f" ({interval})" * bounds.is_known


def corrected(verdict: Verdict) -> str:
    """The p value that leaves a comparison open, if only Holm's correction does."""
    p = f"; p = {verdict.adjusted:.2g} after Holm's correction"
    return p * verdict.by_correction


def about(name: str, claim: dict, study: Study, finished: list[FinishedRun]) -> str:
    """The value of a placeholder that is about a claim's first runs, or its study's."""
    sides = (side for side in (claim["left"], claim["right"]) if isinstance(side, dict))
    where = next((side["where"] for side in sides if "study" not in side), {})
    probe, _, option = name.partition(" ")
    if option:
        default = (options("probe", probe) or {})[option].default
        measured = (p for p in study.probes.values() if p.measure == probe)
        return printed(probe.options.get(option, default) for probe in measured)
    if name == "rates":
        many = len({run.settings.learning_rate for run in study.runs})
        return f"{in_words(many)} {noun(many, 'rate')}"
    if name == "classes":
        return printed(run.record.data.classes for run in finished)
    if name == "images":
        chosen = (run for run in finished if matches(run.traits, where))
        return f"{printed(run.record.data.train for run in chosen)} images"
    planned = [run.settings for run in study.runs if matches(run.traits, where)]
    values = printed(getattr(settings, name) for settings in planned)
    return f"{values} epoch{'s' * (values != '1')}" if name == "epochs" else values


def printed(values: Iterable) -> str:
    """One value as it is, several as a list, each once."""
    written = [f"{v:,}" if isinstance(v, int) else str(v) for v in dict.fromkeys(values)]
    return ", ".join(written) or MISSING


def tally(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """How many claims stood before their runs, and what became of them, with `alone`:
    without Holm's correction; resting on what; and how many were asked later."""
    every = list(verdicts)
    before = [v for v in every if v.asked == BEFORE]
    counts = Counter(v.verdict for v in before if v.rests != FACT)
    decided = [v for v in before if v.verdict in (HOLDS, *REFUTED)]
    tested = [v for v in before if v.verdict != UNMEASURED and v.rests != FACT]
    return {
        "measured": sum(v.verdict != UNMEASURED for v in every),
        "tested": len(tested),
        "before": len(before),
        "holds": counts[HOLDS],
        "fails": counts[FAILS],
        "equal": counts[EQUAL],
        "undecided": counts[UNDECIDED],
        "without": sum(v.verdict == UNDECIDED and v.p != v.p for v in tested),
        "unmeasured": counts[UNMEASURED],
        "facts": sum(v.rests == FACT for v in before),
        "alone": sum(v.reading in (HOLDS, *REFUTED) for v in tested),
        "decided": sum(v.rests != FACT for v in decided),
        "methods": sum(v.rests == METHODS for v in decided),
        "networks": sum(v.rests == NETWORKS for v in decided),
        "after": len(every) - len(before),
        "seen": sum(v.verdict == SEEN and v.p == v.p for v in every),
    }
