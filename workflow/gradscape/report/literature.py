"""Published accuracies of the same networks beside those that the runs measured.

A study's `published` file has one row per network. `source`, `dataset`, `epochs` and
`train_images` say where it comes from and what was trained; `model`, and `learning_rate`
and `variant` if given, which of our runs to compare it with, of several settings that which
validates best. `name` is what its authors call the network, `note` says what else differs.
All other columns are results, named as in the table of results, accuracies as fractions.
"""

from collections.abc import Iterator

import pandas as pd

from gradscape.report import prose as words
from gradscape.report.escape import Tex
from gradscape.runs.run import FinishedRun, best_setting, scores
from gradscape.spec.labels import model_label
from gradscape.spec.quantity import Quantity, rate
from gradscape.spec.study import matches

CHOOSING = ("model", "learning_rate", "variant", "dataset")  # our runs
# The first of these that a row has is compared.
METRICS = {
    "final_test_accuracy": "test, last epoch",
    "test_accuracy": "test, best epoch",
    "val_accuracy": "validation, best epoch",
}


def published_rows(table: pd.DataFrame) -> Iterator[tuple[dict, dict]]:
    """Each row without what it lacks, and the traits of the runs that it is about."""
    for row in table.to_dict("records"):
        row = {key: value for key, value in row.items() if not pd.isna(value)}
        yield row, {key: row[key] for key in CHOOSING if key in row}


def compare(study: str, table: pd.DataFrame, finished: list[FinishedRun]) -> Iterator[list]:
    """A row for each published accuracy with finished runs on its data: network, our rate
    and schedule, what was measured, theirs, ours, the difference, and its reasons."""
    for row, where in published_rows(table):
        runs = [run for run in finished if matches(run.traits, where)]
        metric = next((name for name in METRICS if name in row), None)
        if not runs or metric is None:
            continue
        runs = best_setting(runs)
        ours = scores(runs, metric)
        reasons = [row["source"], lengths(row, runs[0]), row.get("note")]
        yield [
            row.get("name", model_label(row["model"])),
            rate(runs[0].learning_rate),
            runs[0].settings["schedule"].replace("_", " "),
            METRICS[metric],
            Tex(rf"\emph{{{100 * row[metric]:.2f}}}"),
            words.link(study, runs, Quantity.of(ours, "accuracy")),
            words.points(sum(ours) / len(ours) - row[metric]),
            "; ".join(filter(None, reasons)),
        ]


def lengths(row: dict, run: FinishedRun) -> str:
    """How long and on how much the run trained, if the published one did otherwise."""
    epochs, images = run.scores["epochs"], run.record.data.train
    if (epochs, images) == (row["epochs"], row["train_images"]):
        return ""
    theirs = f"theirs {row['epochs']} of {row['train_images']:,}"
    return f"ours {words.count(epochs, 'epoch')} of {images:,} images, {theirs}"
