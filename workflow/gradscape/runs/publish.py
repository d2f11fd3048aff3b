"""Finished runs kept as tables: what the report needs, without weights."""

import json
import shutil
from pathlib import Path

from gradscape.base import files
from gradscape.base.errors import GradscapeError
from gradscape.base.paths import CHECKPOINT, PROBES, RECORD, REPLACED, SEALED, Results
from gradscape.config.experiment import Experiment
from gradscape.runs.run import FinishedRun


def publish(experiment: Experiment, out: Results) -> int:
    """Copy the tables of the finished runs to `out`, and the configuration; return how many
    of its runs are there. `gradscape report --results OUT` writes the report from them.
    Raises `GradscapeError` for a link, which could lead to anything: this is published; and
    where a run in `out` has been trained there, whose weights no copy could replace."""
    folders = {experiment.directory(r): out.run(r.study, r.name) for r in experiment.runs}
    for folder in folders.values():
        for name in ("model.pt", CHECKPOINT):
            if (folder / name).exists():
                why = "which would be lost; name another folder with --out"
                raise GradscapeError(f"{folder}: holds a training's {name}, {why}")
    for source, target in folders.items():
        copy_run(source, target)
    files.write_file(out.config, json.dumps(experiment.config) + "\n")
    if experiment.results.registered.exists():
        files.copy(files.plain_file(experiment.results.registered), out.registered)
    return sum(out.record(run.study, run.name).exists() for run in experiment.runs)


def copy_run(source: Path, target: Path) -> None:
    """Copy a finished run's tables, which appear all at once, with new dates, or Snakemake
    would train the run again. Another run with the same settings that they take the place
    of is written down beside them, so that no document keeps silent about it."""
    if not (source / RECORD).exists():
        return
    files.refuse_linked_results(target / RECORD)
    names = [name for name in (*SEALED, RECORD) if (source / name).exists()]
    names += [f"{PROBES}/{path.name}" for path in (source / PROBES).glob("[!.]*.csv")]
    beside = target.with_name(f".{target.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    for name in names:
        files.refuse_linked_results(source / name)
        files.copy(files.plain_file(source / name), beside / name)
    if replaced := exchanged(source, target):
        text = json.dumps(replaced, indent=1)
        (beside / REPLACED).write_text(f"{text}\n", "utf-8")
    if target.exists():
        files.replace_folder(beside, target)
    else:
        beside.rename(target)


def exchanged(source: Path, target: Path) -> list[dict]:
    """Facts about the runs that a copy takes, or has taken, the place of."""
    if not (target / RECORD).exists():
        return []
    new, old = FinishedRun(source), FinishedRun(target)
    is_other = (new.path / RECORD).read_bytes() != (old.path / RECORD).read_bytes()
    if not is_other or new.settings != old.settings:
        return old.replaced
    scores = {key: old.scores[key] for key in ("final_train_loss", "val_accuracy")}
    about = {"kind": old.record.backend.kind, "commit": old.commit}
    return [*old.replaced, about | scores]
