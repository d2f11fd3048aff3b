"""The tables: tidy CSVs, one observation per row."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from gradscape.base.files import write_file
from gradscape.base.paths import Results
from gradscape.claims.coordinates import coordinates_table
from gradscape.claims.smoothness import MEASURES, Band, definition, proxy, width
from gradscape.runs.run import FinishedRun, results_table
from gradscape.spec.registry import find
from gradscape.spec.study import Study

DIGITS = "%.12g"  # the last few of a double differ from processor to processor
LOOK = "<style>body{font:14px sans-serif}table{border-collapse:collapse}</style>"


def smoothness_table(runs: Iterable[FinishedRun]) -> pd.DataFrame:
    """A row per model, variant, seed, kind (`proxy` or `definition`), measure and part of
    training: the first epoch, the epochs after it, and the last. Of the loss's range and
    the others' largest values: mean and percentiles over the finite steps, and how many
    steps were not finite. A proxy covers all learning rates and names none."""
    rows = []
    groups: dict[tuple[str, str, int], list[FinishedRun]] = {}
    for run in runs:
        groups.setdefault((run.model, run.variant, run.seed), []).append(run)
    for (model, variant, seed), group in groups.items():
        kinds = [("proxy", np.nan, proxy(group))] if len(group) > 1 else []
        kinds += [("definition", run.learning_rate, definition(run)) for run in group]
        for kind, rate, measures in kinds:
            shown = {m: values for m, values in measures.items() if m in MEASURES}
            for measure, values in shown.items():
                about = {"model": model, "variant": variant, "seed": seed, "kind": kind}
                about |= {"measure": measure, "learning_rate": rate}
                parts = parts_of_training(values, measure, group[0].steps_per_epoch)
                rows += [about | part for part in parts]
    return pd.DataFrame(rows, columns=SMOOTHNESS_COLUMNS)


SMOOTHNESS_COLUMNS = ["model", "variant", "seed", "kind", "measure", "learning_rate"]
SMOOTHNESS_COLUMNS += ["part", "steps", "infinite", "mean", "p5", "p50", "p95"]


def parts_of_training(values: Band, measure: str, steps_per_epoch: int) -> list[dict]:
    steps, widths = values[0], width(measure, values)
    epochs = (steps - 1) // steps_per_epoch
    rows = []
    for part, chosen in (
        ("first epoch", epochs == 0),
        ("later epochs", epochs > 0),
        ("last epoch", epochs == epochs.max()),
    ):
        finite = widths[chosen & np.isfinite(widths)]
        infinite = int(chosen.sum()) - len(finite)
        row = {"part": part, "steps": int(chosen.sum()), "infinite": infinite}
        if len(finite):
            row["mean"] = finite.mean()
            percentiles = np.percentile(finite, (5, 50, 95))
            row |= dict(zip(("p5", "p50", "p95"), percentiles, strict=True))
        rows.append(row)
    return rows


def as_csv(table: pd.DataFrame, digits: str | None = DIGITS) -> str:
    """The table as CSV, with no text that a spreadsheet would take for a formula, for names
    may come from somebody else's runs."""

    def plain(cell):
        is_formula = isinstance(cell, str) and cell.startswith(("=", "+", "-", "@"))
        return f"'{cell}" if is_formula else cell

    texts = table.select_dtypes(["object", "string"]).columns
    table = table.assign(**{column: table[column].map(plain) for column in texts})
    return table.to_csv(index=False, float_format=digits)


def write_table(name: str, runs: Iterable[FinishedRun], path: Path) -> None:
    """Write the table `name` of these runs as CSV, and beside it as HTML to look at."""
    table = find("table", name)(runs)
    digits = None if name == "results" else DIGITS  # of records, all that they have
    write_file(path, as_csv(table, digits))
    shown = table.to_html(index=False, na_rep="", float_format="{:.4g}".format)
    page = f'<!doctype html><meta charset="utf-8">{LOOK}{shown}\n'
    write_file(path.with_suffix(".html"), page)


def write_tables(study: Study, finished: list[FinishedRun], results: Results) -> None:
    """Write what a study names beside `results`, which is written with its verdicts."""
    for table in study.tables:
        if table != "results":
            write_table(table, finished, results.table(study.name, table))


TABLES = {
    "results": results_table,
    "smoothness": smoothness_table,
    "coordinates": coordinates_table,
}
