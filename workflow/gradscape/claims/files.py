"""Verdicts as files: `claims/<study>.json` of each study, `claims/claims.csv` of all.

What a report, its page or anyone's program says of a claim, it reads here. A study's file
has its `claims` and, beside them, `comparisons` that nobody claimed: each variant's test
accuracy against that of the unchanged network. All have the fields of a `Verdict` and
`effect`, left minus right; what is no finite number is null.
"""

import json
import math
from dataclasses import asdict, fields, replace
from typing import Any, NamedTuple

import pandas as pd

from gradscape.base.errors import GradscapeError
from gradscape.base.files import json_sha256, write_file
from gradscape.base.paths import REPORT, Results
from gradscape.claims import registered, verdicts
from gradscape.claims.sentences import said
from gradscape.claims.tables import DIGITS, as_csv, write_table
from gradscape.claims.verdicts import UNMEASURED, Verdict, decide_all
from gradscape.config.experiment import Experiment
from gradscape.runs.record import MAX_RECORD, Damaged, reading
from gradscape.runs.run import (
    FinishedRun,
    by_setting,
    finished_runs,
    opened,
    recorded,
    stamped,
)
from gradscape.spec.labels import variant_label
from gradscape.spec.study import Study

MAX_BYTES = 16 * MAX_RECORD
NUMBERS = ("low", "high", "p", "adjusted")
KNOWN = {
    "verdict": set(verdicts.VERDICTS),
    "reading": {"", *verdicts.VERDICTS},
    "rests": set(verdicts.RESTS),
    "style": {"loss", "accuracy", "significant", "count", "power"},
    "asked": {verdicts.BEFORE, verdicts.AFTER},
    "threshold": {"", "ours", "theirs"},
}
# A row a claim: these columns, after the study's and the claim's names.
COLUMNS = ["statement", "source", "threshold", "asked", "verdict", "reading", "reversed"]
COLUMNS += ["style", "left", "right", "effect", "low", "high", "p", "adjusted", "seeds"]
COLUMNS += ["basis", "rests", "sentence"]


class Decided(NamedTuple):
    """The verdicts on a study, by name, and the runs that they rest on or leave out."""

    claims: dict[str, Verdict]
    comparisons: dict[str, Verdict]
    runs: list[str]
    damaged: list[str]

    def as_json(self) -> dict:
        told = {"runs": self.runs, "damaged": self.damaged}
        for name in ("claims", "comparisons"):
            verdicts = getattr(self, name).values()
            told[name] = [finite(asdict(v) | {"effect": v.effect}) for v in verdicts]
        return told

    @classmethod
    def from_json(cls, content: dict) -> "Decided":
        return cls(
            claims={item["name"]: restored(item) for item in content["claims"]},
            comparisons={item["name"]: restored(item) for item in content["comparisons"]},
            runs=[str(name) for name in content["runs"]],
            damaged=[str(name) for name in content["damaged"]],
        )


def decide_study(study: Study, results: Results) -> Decided:
    """Decide a study's claims; write the verdicts, and the table of its finished runs.
    What it returns has the digits of the file."""
    finished, stood = finished_runs(study, results), registered.read(results)
    others = {name: finished_runs(s, results) for name, s in study.others.items()}
    names = [run.path.name for run in finished]
    stood = {commit: studies.get(study.name, {}) for commit, studies in stood.items()}
    found = decide_all(study.claims, finished, stood, others)
    decided = Decided(
        claims={
            name: replace(v, sentence=said(study.claims[name], v, study, finished))
            for name, v in found.items()
        },
        comparisons=compare_variants(study, finished),
        runs=names,
        damaged=[name for name in recorded(study, results) if name not in names],
    )
    content = {"study": study.name, "claims_sha256": json_sha256(study.claims)}
    if study.others:
        content["others"] = recorded_of_others(study, results)
    content |= decided.as_json()
    text = json.dumps(content, indent=1, ensure_ascii=False)
    write_file(results.claims(study.name), f"{text}\n")
    write_table("results", finished, results.table(study.name, "results"))
    return Decided.from_json(content)


def compare_variants(study: Study, finished: list[FinishedRun]) -> dict[str, Verdict]:
    """Whether each variant tests higher than its unchanged network, by variants' labels.
    Only for networks and variants that ran at one learning rate."""
    settings: dict[tuple[str, str], list[list[FinishedRun]]] = {}
    for (model, _, variant), runs in by_setting(finished).items():
        settings.setdefault((model, variant), []).append(runs)
    models = {run.settings.model for run in study.runs}
    claims = {}
    for (model, variant), groups in settings.items():
        unchanged = settings.get((model, ""), [])
        if not variant or len(groups) != 1 or len(unchanged) != 1:
            continue
        left, right = (
            {"metric": "test_accuracy", "where": {"model": model, "variant": name}}
            for name in (variant, "")
        )
        name = variant_label(model, variant, models)
        claim = {"left": left, "is": "above", "right": right, "style": "accuracy"}
        about = {"statement": f"{name} tests higher than unchanged.", "source": ""}
        claims[name] = claim | about
    found = decide_all(claims, finished)
    return {name: v for name, v in found.items() if v.verdict != UNMEASURED}


def finite(value: Any) -> Any:
    """A value with null for all that is no finite number, which JSON does not have, and
    the digits of others that processors agree on."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    if isinstance(value, float):
        return float(DIGITS % value) if math.isfinite(value) else None
    return value


def read_verdicts(study: Study, results: Results) -> Decided:
    """A study's verdicts from its file. Raises `GradscapeError` if that is missing,
    damaged, or was decided of other claims or runs than there are now."""
    path = results.claims(study.name)
    again = f"`gradscape claims --results {results}` decides"
    if not path.exists():
        raise GradscapeError(f"{path}: missing; {again}")
    with reading(path, MAX_BYTES):
        content = json.loads(path.read_text("utf-8"))
        asked = content["claims_sha256"]
        decided = Decided.from_json(content)
        others = content.get("others", {})
    now, then = sorted(recorded(study, results)), sorted(decided.runs + decided.damaged)
    now_others = recorded_of_others(study, results)
    if (asked, then, others) != (json_sha256(study.claims), now, now_others):
        raise Damaged(f"{path}: was decided of other claims or runs; {again} anew")
    return decided


def recorded_of_others(study: Study, results: Results) -> dict[str, list[str]]:
    """The runs at hand of the studies that a study's claims compare with."""
    return {name: recorded(other, results) for name, other in study.others.items()}


def decided_runs(study: Study, results: Results, decided: Decided) -> list[FinishedRun]:
    """The runs that a study's verdicts rest on, with their scores from the table that was
    written with these: of the runs themselves only the records are read."""
    path, runs = results.table(study.name, "results"), []
    with reading(path):
        rows = pd.read_csv(path).to_dict("records")
        for name, row in zip(decided.runs, rows, strict=True):
            run = opened(*stamped(study, results, name))
            run.scores = row
            runs.append(run)
    return runs


def restored(item: dict) -> Verdict:
    """A verdict from a file, which somebody else may have written."""
    for key, known in KNOWN.items():
        if item[key] not in known:
            raise ValueError(f"{key} is {str(item[key])[:60]!r}")
    values = {field.name: item[field.name] for field in fields(Verdict)}
    values |= {side: [number(value) for value in item[side]] for side in ("left", "right")}
    values |= {key: number(item[key]) for key in NUMBERS}
    values |= {
        key: str(item[key]) for key in ("name", "statement", "source", "basis", "sentence")
    }
    return Verdict(**values)


def number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def decide_studies(
    experiment: Experiment, document: str = REPORT, anew: bool = True
) -> dict[str, Decided]:
    """The verdicts on a document's studies, from their finished runs or, unless `anew`,
    as it was before; of all, write the table."""
    decide, results = decide_study if anew else read_verdicts, experiment.results
    decided = {s.name: decide(s, results) for s in experiment.documents(document)}
    if document == REPORT:
        write_csv(results, decided)
    return decided


def write_csv(results: Results, decided: dict[str, Decided]) -> None:
    """All studies' verdicts as one table, a row a claim; sides are means over seeds."""
    rows = []
    for study, found in decided.items():
        for name, verdict in found.claims.items():
            values = vars(verdict) | {"effect": verdict.effect}
            for side in ("left", "right"):
                given = getattr(verdict, side)
                values[side] = verdict.side(side).value if given else math.nan
            chosen = {column: values[column] for column in COLUMNS}
            rows.append({"study": study, "claim": name, **chosen})
    table = pd.DataFrame(rows, columns=["study", "claim", *COLUMNS])
    write_file(results.claims_csv, as_csv(table))


def as_lines(decided: dict[str, Decided]) -> list[str]:
    """The verdicts as lines for a terminal: of each claim the numbers, then the words."""
    rows = [["claim", "left", "right", "difference, 95 %", "rests on", "verdict"]]
    sentences = [""]
    for study, found in decided.items():
        for name, verdict in found.claims.items():
            sides = [
                verdict.side(side).text(unit=True) if verdict.left else "–"
                for side in ("left", "right")
            ]
            interval = verdict.printed_interval.text()
            rows.append([f"{study}/{name}", *sides, interval, verdict.basis, verdict.word])
            sentences.append(verdict.sentence)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = (map(str.ljust, row, widths) for row in rows)
    lines = ["  ".join(row).rstrip() for row in padded]
    both = zip(lines, sentences, strict=True)
    return [part for line, words in both for part in (line, f"  {words}") if part.strip()]
