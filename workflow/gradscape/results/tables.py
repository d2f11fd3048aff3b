"""The tables: tidy CSVs, one observation per row."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from gradscape.files import whole
from gradscape.registry import find
from gradscape.results.runs import FinishedRun
from gradscape.results.smoothness import MEASURES, Band, definition, proxy, width
from gradscape.settings import SETTINGS

COLUMNS = [
    "study",
    "run",
    "model",
    "learning_rate",
    "variant",
    "seed",
    "parameters",
    "flops",
    "epochs",
    "best_epoch",
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "test_loss",
    "test_accuracy",
    "final_train_loss",
    "final_train_accuracy",
    "final_val_accuracy",
    "final_test_accuracy",
    "diverged",
    "seconds_training",
    "images_per_second",
]
FURTHER = [name for name in SETTINGS if name not in COLUMNS]

LOOK = "<style>body{font:14px sans-serif}table{border-collapse:collapse}</style>"


def results_table(runs: Iterable[FinishedRun]) -> pd.DataFrame:
    """One row per run: losses and accuracies (as fractions) at the best epoch.

    That is the one with the best validation accuracy. The test columns are its weights'
    scores on the official test images, as the courses ask; the `final_…` columns are those
    of the last epoch. `flops` are one image's forward pass, multiply and add counted as
    two. `diverged` is the epoch in which the run diverged, if it did. All settings follow;
    `epochs` is how many were run.
    """
    rows = []
    for run in runs:
        best, last = run.best, run.metrics.iloc[-1]
        rows.append(
            {
                **{key: run.record[key] for key in ("study", "run", "parameters")},
                **{key: run.settings[key] for key in ("model", "learning_rate", "seed")},
                "variant": run.variant,
                "flops": run.record.get("flops"),
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
                "final_train_loss": last["train_loss"],
                "final_train_accuracy": last["train_accuracy"],
                "final_val_accuracy": last["val_accuracy"],
                "final_test_accuracy": run.last_test["test_accuracy"],
                "diverged": run.diverged,
                "seconds_training": run.record["seconds_training"],
                "images_per_second": run.record["images_per_second"],
                **{name: run.settings[name] for name in FURTHER},
            }
        )
    return pd.DataFrame(rows, columns=[*COLUMNS, *FURTHER])


def smoothness_table(runs: Iterable[FinishedRun]) -> pd.DataFrame:
    """A row per model, seed, kind (`proxy` or `definition`), measure and part of training.

    Parts are the first epoch, the epochs after it, and the last. Of the loss's range and
    the others' largest values: mean and percentiles over the finite steps, and how many
    steps were not finite. A proxy covers all learning rates and names none.
    """
    rows = []
    groups: dict[tuple[str, int], list[FinishedRun]] = {}
    for run in runs:
        groups.setdefault((run.model, run.seed), []).append(run)
    for (model, seed), group in groups.items():
        kinds = [("proxy", np.nan, proxy(group))] if len(group) > 1 else []
        kinds += [("definition", run.learning_rate, definition(run)) for run in group]
        for kind, rate, measures in kinds:
            shown = {m: values for m, values in (measures or {}).items() if m in MEASURES}
            for measure, values in shown.items():
                about = {"model": model, "seed": seed, "kind": kind, "measure": measure}
                about["learning_rate"] = rate
                parts = parts_of_training(values, measure, group[0].steps_per_epoch)
                rows += [about | part for part in parts]
    return pd.DataFrame(rows, columns=SMOOTHNESS_COLUMNS)


SMOOTHNESS_COLUMNS = ["model", "seed", "kind", "measure", "learning_rate", "part"]
SMOOTHNESS_COLUMNS += ["steps", "infinite", "mean", "p5", "p50", "p95"]


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
            row |= dict(
                zip(("p5", "p50", "p95"), np.percentile(finite, (5, 50, 95)), strict=True)
            )
        rows.append(row)
    return rows


def write_table(name: str, runs: Iterable[FinishedRun], path: Path) -> None:
    """Write the table `name` of these runs as CSV, and beside it as HTML to look at."""
    table = find("table", name)(runs)
    with whole(path) as partial:
        table.to_csv(partial, index=False)
    with whole(path.with_suffix(".html")) as partial:
        shown = table.to_html(index=False, na_rep="", float_format="{:.4g}".format)
        partial.write_text(f'<!doctype html><meta charset="utf-8">{LOOK}{shown}\n')


TABLES = {"results": results_table, "smoothness": smoothness_table}
