"""Finished runs kept as tables: what the report needs, without weights."""

import json
import shutil
from pathlib import Path

from gradscape.base.files import atomic_write
from gradscape.base.paths import EVENTS, RECORD, Results
from gradscape.config.experiment import Experiment

LEFT_BEHIND = shutil.ignore_patterns("model.pt", EVENTS, ".*")


def publish(experiment: Experiment, out: Results) -> int:
    """Copy the tables of the finished runs to `out`, and the configuration.

    `gradscape report --config OUT/config.json --results OUT` writes the report from them.
    Returns how many of the configuration's runs are in `out`.
    """
    for run in experiment.runs:
        copy_run(experiment.directory(run), out.run(run.study, run.name))
    with atomic_write(out.config) as partial:
        partial.write_text(json.dumps(experiment.config) + "\n")
    return sum(out.record(run.study, run.name).exists() for run in experiment.runs)


def copy_run(source: Path, target: Path) -> None:
    """Copy a finished run's tables; leave an unfinished one alone.

    The copies get new dates, or Snakemake would train the run again.
    """
    if (source / RECORD).exists():
        shutil.copytree(
            source,
            target,
            ignore=LEFT_BEHIND,
            copy_function=shutil.copyfile,
            dirs_exist_ok=True,
        )
