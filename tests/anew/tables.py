"""The files beside the documents: tables, verdicts, and variants against none."""

import csv
import hashlib
import json
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd

from anew.metrics import smoothness
from anew.printing import average, setting_name, variant_name
from anew.problems import is_number
from anew.sentences import check_sentence
from anew.verdicts import decide_all


def check_results(study, problems):
    path = study.folder / "tables" / study.name / "results.csv"
    where = f"tables/{study.name}/results.csv"
    if not path.exists():
        problems.say(where, "is missing")
        return
    table = pd.read_csv(path)
    problems.compare(
        f"{where}: run", table["run"].tolist(), [run.name for run in study.runs]
    )
    rows = dict(zip(table["run"], table.to_dict("records"), strict=True))
    for run in study.runs:
        about = {"study": study.name, "model": run.model, "variant": run.variant}
        for name, value in (run.settings | run.scores | about).items():
            found = rows.get(run.name, {}).get(name)
            if name in table:
                if isinstance(value, bool) and isinstance(found, str):
                    found = found == "True"
                problems.compare(f"{where}: {run.name}, {name}", found, value)
            elif name not in run.settings:
                problems.say(where, f"has no column {name}")


PARTS = ("first epoch", "later epochs", "last epoch")


def smoothness_rows(study):
    """(model, seed, kind, measure, rate, part) → steps, infinite, mean, percentiles."""
    rows, groups = {}, {}
    for run in study.runs:
        groups.setdefault((run.model, run.seed), []).append(run)
    for (model, seed), runs in groups.items():
        series = [("proxy", None, runs)] if len(runs) > 1 else []
        series += [("definition", run.rate, [run]) for run in runs]
        for kind, rate, chosen in series:
            for measure in ("loss", "gradient", "beta"):
                found = smoothness(chosen, kind, measure)
                if found is None:
                    continue
                epochs = (found[0] - 1) // runs[0].epoch_steps
                inside = epochs == 0, epochs > 0, epochs == epochs.max()
                for part, rows_of in zip(PARTS, inside, strict=True):
                    values = found[1][rows_of].astype(float)
                    finite = values[np.isfinite(values)]
                    about = [len(values), len(values) - len(finite)]
                    if len(finite):
                        about += [finite.mean(), *np.percentile(finite, (5, 50, 95))]
                    rows[model, seed, kind, measure, rate, part] = about
    return rows


def check_smoothness(study, problems):
    path = study.folder / "tables" / study.name / "smoothness.csv"
    if "smoothness" not in study.config.get("tables", []):
        return {}
    where, ours = f"tables/{study.name}/smoothness.csv", smoothness_rows(study)
    table = pd.read_csv(path)
    columns = ["steps", "infinite", "mean", "p5", "p50", "p95"]
    theirs = {}
    for row in table.to_dict("records"):
        rate = (
            None if row["learning_rate"] != row["learning_rate"] else row["learning_rate"]
        )
        key = (row["model"], row["seed"], row["kind"], row["measure"], rate, row["part"])
        theirs[key] = [row[column] for column in columns]
    if set(ours) != set(theirs):
        problems.say(
            where, f"its rows are others: {sorted(map(str, set(ours) ^ set(theirs)))[:3]}"
        )
    for key in set(ours) & set(theirs):
        expected = ours[key] + [math.nan] * (6 - len(ours[key]))
        # fp32 medians may be rounded; the mean of many is good to this
        problems.compare(f"{where}: {key}", theirs[key], expected, 2e-5)
    return ours


def check_csv(folder, studies, problems):
    """claims.csv: every claim of the configuration, a row each."""
    path = folder / "claims" / "claims.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = {(row["study"], row["claim"]): row for row in csv.DictReader(file)}
    expected = {(s.name, name): (s, f) for s in studies for name, f in s.found.items()}
    for key in expected.keys() ^ rows.keys():
        problems.say(
            "claims/claims.csv", f"{'/'.join(key)} stands in one of table and runs"
        )
    for key in expected.keys() & rows.keys():
        study, fields = expected[key][0], expected[key][1].fields
        row, printed = rows[key], study.by_name[key[1]]
        for name, text in row.items():
            if name in ("study", "claim"):
                continue
            value = fields.get(name)
            if name in ("left", "right"):
                value = average(value, fields["style"]) if value else math.nan
            if name == "sentence":
                value = printed["sentence"]
            if is_number(value):
                text = float(text) if text else math.nan
            elif isinstance(value, bool):
                value = str(value)
            if isinstance(value, str) and text.startswith("'"):
                text = text[1:]
            problems.compare(
                f"claims/claims.csv: {'/'.join(key)}, {name}", text, value, tolerance(name)
            )


def tolerance(name):
    return 1e-3 if name in ("p", "adjusted") else 1e-5


def check_claims(study, registered, problems):
    """claims/<study>.json: every field of every claim, and each variant's comparison."""
    where, printed = f"claims/{study.name}.json", study.printed
    study.found = decide_all(study.claims, study, registered)
    if printed is None:
        problems.say(where, "is missing")
        study.by_name, study.comparisons = {}, {}
        return
    text = json.dumps(study.claims, sort_keys=True)
    problems.compare(
        f"{where}: claims_sha256",
        printed["claims_sha256"],
        hashlib.sha256(text.encode()).hexdigest(),
    )
    problems.compare(
        f"{where}: runs", sorted(printed["runs"]), sorted(r.name for r in study.runs)
    )
    study.by_name = {item["name"]: item for item in printed["claims"]}
    problems.compare(f"{where}: names", list(study.by_name), list(study.found))
    study.comparisons = variants_against_unchanged(study)
    others = {item["name"]: item for item in printed["comparisons"]}
    problems.compare(f"{where}: comparisons", sorted(others), sorted(study.comparisons))
    for items, found in ((study.by_name, study.found), (others, study.comparisons)):
        for name in items.keys() & found.keys():
            for key, value in found[name].fields.items():
                at = f"{where}: {name}, {key}"
                problems.compare(at, items[name][key], value, tolerance(key))
    for name in study.by_name.keys() & study.found.keys():
        item, claim = study.by_name[name], study.claims[name]
        asked = {k: claim[k] for k in QUESTION if k in claim}
        problems.compare(f"{where}: {name}, question", item["question"], asked)
        fields = study.found[name].fields
        check_sentence(
            item["sentence"], study, claim, fields, f"{where}: {name}, sentence", problems
        )


QUESTION = ("left", "is", "right", "margin", "relative_margin", "same", "given")


def variants_against_unchanged(study):
    """Each variant's test accuracy against the unchanged network's, at one rate each."""
    cells, claims = {}, {}
    for model, _, variant in study.cells:
        cells[model, variant] = cells.get((model, variant), 0) + 1
    models = {model for model, _ in planned(study)}
    for (model, variant), rates in cells.items():
        if not variant or rates != 1 or cells.get((model, "")) != 1:
            continue
        name = setting_name(model, variant) if len(models) > 1 else variant_name(variant)
        left, right = (
            {"metric": "test_accuracy", "where": {"model": model, "variant": v}}
            for v in (variant, "")
        )
        about = {"statement": f"{name} tests higher than unchanged.", "source": ""}
        claims[name] = about | {
            "left": left,
            "is": "above",
            "right": right,
            "style": "accuracy",
        }
    found = decide_all(claims, study, Everything())
    return {name: f for name, f in found.items() if f.fields["verdict"] != "not measured"}


class Everything(dict):
    """Registers whatever is asked: comparisons are made of every study alike."""

    def get(self, key, default=None):
        return SimpleNamespace(get=lambda *_: SimpleNamespace(get=lambda *_: ANY))


class Any_:
    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False


ANY = Any_()


def planned(study):
    """Model and variant of each planned run that its runs or its grid name."""
    found = {(run.model, run.variant) for run in study.runs}
    grids = study.config.get("grid", {})
    grids = grids if isinstance(grids, list) else [grids]
    return found | {(model, "") for grid in grids for model in grid.get("model", [])}
