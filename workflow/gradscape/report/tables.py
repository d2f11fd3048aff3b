"""Results tables: one tidy CSV a study, a row a run."""

from pathlib import Path

import pandas as pd

from gradscape.files import whole
from gradscape.runs import FinishedRun

COLUMNS = [
    "study",
    "run",
    "model",
    "learning_rate",
    "seed",
    "parameters",
    "epochs",
    "best_epoch",
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "test_loss",
    "test_accuracy",
    "final_train_loss",
    "diverged",
    "seconds_training",
    "images_per_second",
]


def results_table(runs: list[FinishedRun]) -> pd.DataFrame:
    """A row a run: losses and accuracies (fractions) at the epoch that validated best.

    The test columns are that epoch's weights on the official test images, as the courses
    ask; `diverged` is the epoch in which the loss left the finite numbers, if it did.
    """
    rows = []
    for run in runs:
        best = run.best
        rows.append(
            {
                **{key: run.record[key] for key in ("study", "run", "parameters")},
                **{key: run.settings[key] for key in ("model", "learning_rate", "seed")},
                "epochs": len(run.metrics),
                "best_epoch": int(best["epoch"]),
                **{
                    key: best[key]
                    for key in (
                        "train_loss",
                        "train_accuracy",
                        "val_loss",
                        "val_accuracy",
                    )
                },
                "test_loss": run.test["test_loss"],
                "test_accuracy": run.test["test_accuracy"],
                "final_train_loss": run.metrics["train_loss"].iloc[-1],
                "diverged": run.diverged,
                "seconds_training": run.record["seconds_training"],
                "images_per_second": run.record["images_per_second"],
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def write_table(table: pd.DataFrame, path: Path) -> None:
    with whole(path) as partial:
        table.to_csv(partial, index=False)
