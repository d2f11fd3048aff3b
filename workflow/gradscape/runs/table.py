"""Finished runs as a table, a row a run."""

from collections.abc import Iterable

import pandas as pd

from gradscape.runs.run import FinishedRun
from gradscape.spec.settings import SETTINGS

COLUMNS = ["study", "run", "model", "learning_rate", "variant", "seed", "parameters"]
COLUMNS += ["flops", "epochs", "best_epoch", "train_loss", "train_accuracy", "val_loss"]
COLUMNS += ["val_accuracy", "test_loss", "test_accuracy", "final_train_loss"]
COLUMNS += ["final_train_accuracy", "final_val_accuracy", "final_test_accuracy", "diverged"]
COLUMNS += ["seconds_training", "images_per_second"]
FURTHER = [name for name in SETTINGS if name not in COLUMNS]


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
        named = {"study": run.record.study, "run": run.record.run, "variant": run.variant}
        rows.append(run.settings | run.scores | named)
    return pd.DataFrame(rows, columns=[*COLUMNS, *FURTHER])
