"""Where each run of a configuration stands: `gradscape runs`."""

import time

import pandas as pd

from gradscape.base.paths import CHECKPOINT, LOCK
from gradscape.config.experiment import Experiment
from gradscape.runs.live import progress
from gradscape.runs.run import sound, stamped

FINISHED, DAMAGED = "finished", "damaged"
RUNNING, STOPPED, WAITING = "running", "stopped", "waiting"
COLUMNS = ["run", "status", "epoch", "epochs", "best", "seconds_left"]
CLEAR = "\033[H\033[J"  # a terminal
SILENT = 600  # seconds without a line or a checkpoint, after which a run is not running


def status(experiment: Experiment) -> pd.DataFrame:
    """A row a run: `COLUMNS`; `best` is the validation accuracy of the best epoch, or of
    the last one while it trains."""
    rows = []
    for run in experiment.runs:
        row = {"run": run.id, "status": WAITING, "epochs": run.settings.epochs}
        if experiment.is_finished(run):
            study = experiment.studies[run.study]
            found = sound(*stamped(study, experiment.results, run.name))
            row["status"] = FINISHED if found else DAMAGED
            if found:
                row["best"] = found.scores["val_accuracy"]
                row["epoch"] = found.scores["epochs"]
        else:
            log = experiment.results.log("train", run.study, f"{run.name}.log")
            folder = experiment.directory(run)
            files = [path for path in (log, folder / CHECKPOINT) if path.exists()]
            changed = max((path.stat().st_mtime for path in files), default=0.0)
            if begun := files and folder.exists():
                silent = time.time() - changed > SILENT
                at_work = (folder / LOCK).exists() and not silent
                row["status"] = RUNNING if at_work else STOPPED
            if begun and (seen := progress(log)):
                row |= {"epoch": seen.epoch, "best": seen.val_accuracy}
                row["seconds_left"] = max(0.0, seen.left - (time.time() - changed))
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def show(experiment: Experiment, json: bool = False, watch: bool = False) -> None:
    """Print that table, with `watch` every two seconds until all runs are finished."""
    while True:
        table = status(experiment)
        text = table.to_json(orient="records") if json else as_text(table)
        print(CLEAR * watch + text, flush=True)
        if not watch or table["status"].isin([FINISHED, DAMAGED]).all():
            return
        time.sleep(2)


def as_text(table: pd.DataFrame) -> str:
    """The table as a reader wants it, and a line that counts the runs by status."""
    shown = pd.DataFrame({"run": table["run"], "status": table["status"]})
    epochs = table["epoch"].map("{:.0f}".format, na_action="ignore").fillna("–")
    shown["epoch"] = epochs + "/" + table["epochs"].astype(str)
    shown["val. acc."] = table["best"].map("{:.1%}".format, na_action="ignore")
    shown["s left"] = table["seconds_left"].map("{:.0f}".format, na_action="ignore")
    shown = shown.fillna("–")
    shown["run"] = shown["run"].str.ljust(shown["run"].str.len().max())
    counts = table["status"].value_counts()
    told = ", ".join(f"{count:,} {what}" for what, count in counts.items())
    return f"{shown.to_string(index=False)}\n{told}"
