"""Finished runs kept as tables: what the report needs of them, without weights."""

import json
import shutil
from pathlib import Path

from gradscape.config import Experiment
from gradscape.files import whole
from gradscape.results.runs import is_finished

LEFT_BEHIND = shutil.ignore_patterns("model.pt", ".*")


def publish(experiment: Experiment, results: Path, out: Path) -> int:
    """Copy the tables of the finished runs below `results` to `out`, and the configuration.

    `gradscape report --config OUT/config.json --results OUT` writes the report from them.
    Returns how many runs `out` holds of the configuration's.
    """
    for run in experiment.runs:
        copy_run(results, out, run.id)
    with whole(out / "config.json") as partial:
        partial.write_text(json.dumps(experiment.config) + "\n")
    return sum(is_finished(out, run.id) for run in experiment.runs)


def copy_run(source: Path, target: Path, run: str) -> None:
    """Copy a finished run's tables; one that is not finished is left alone.

    The copies are new files by their date, or Snakemake would train the run again.
    """
    if is_finished(source, run):
        shutil.copytree(
            source / "runs" / run,
            target / "runs" / run,
            ignore=LEFT_BEHIND,
            copy_function=shutil.copyfile,
            dirs_exist_ok=True,
        )
