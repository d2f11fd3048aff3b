"""A results folder, brought in line with what Snakemake believes of it.

Snakemake goes by dates, and by `.done` for a training: an empty file with a date is fine to
it. So before it looks, what a power cut has emptied counts as not made; and runs from
before there was a `.done` get theirs, since nothing has to be trained again.
"""

import json
import stat
from contextlib import suppress
from functools import cache
from pathlib import Path

from gradscape.base.files import json_sha256, say
from gradscape.base.paths import CODE, DONE, PROBES, RUN_FILES
from gradscape.config.experiment import Experiment
from gradscape.pipeline import dependencies
from gradscape.pipeline.once import keep_code
from gradscape.spec.study import Study

# Files of Snakemake's that are never empty, as a figure is that cannot be drawn.
REPORTED = ["*.pdf", "report.html", "*.tar.gz", "report/*.tex", "claims/*", "tables/*/*"]


def bring_in_line(experiment: Experiment) -> None:
    """Look at every run and document; a folder that cannot be written stays as it is."""
    digest, results = cache(dependencies.digest), experiment.results
    for run in experiment.runs:
        folder = experiment.directory(run)
        done = folder / DONE
        if not experiment.is_finished(run):
            if done.exists():
                forget(folder, done, "its record is missing")
        elif empty := [name for name in RUN_FILES if is_empty(folder / name)]:
            forget(folder, done, f"{empty[0]} is empty")
        elif not (folder / CODE).exists() and not done.exists():
            adopt(folder, digest(tuple(dependencies.of_training(run))))
        for _, probe in experiment.probed([run]):
            table = results.probe(run.study, run.name, probe)
            done = results.probed(run.study, run.name, probe)
            if done.exists() and (is_empty(table) or not table.exists()):
                forget(table, done, "it is missing or empty")
    for study in experiment.studies.values():
        path = results.claims(study.name)
        if path.exists() and not is_empty(path) and not is_of_today(study, path):
            forget(path, path, "it was decided of other claims or runs")
            with suppress(OSError):  # a target, without which the other would not be missed
                results.claims_csv.unlink(missing_ok=True)
    for path in (path for kind in REPORTED for path in results.root.glob(kind)):
        if is_empty(path):
            forget(path, path, "it is empty")


def is_of_today(study: Study, path: Path) -> bool:
    """Tell whether verdicts are on a study's claims, and on no run that it no longer has.
    Snakemake compares no parameters of a job that follows one which has to run, as these
    follow the configuration's."""
    try:
        decided = json.loads(path.read_text("utf-8"))
        runs = {*decided["runs"], *decided["damaged"]}
        return decided["claims_sha256"] == json_sha256(study.claims) and runs <= {
            run.name for run in study.runs
        }
    except (OSError, LookupError, TypeError, ValueError):
        return True  # whoever reads it says so


def is_empty(path: Path) -> bool:
    """Tell whether this is an empty file, and none that a link leads to."""
    with suppress(OSError):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode) and not status.st_size:
            return not path.parent.is_symlink()
    return False


def adopt(folder: Path, code: str) -> None:
    """Date a finished run today."""
    with suppress(OSError):
        keep_code(folder, code)
        (folder / DONE).touch()
        for table in sorted((folder / PROBES).glob("[!.]*.csv")):
            table.with_name(f".{table.stem}{DONE}").touch()


def forget(path: Path, made: Path, reason: str) -> None:
    with suppress(OSError):
        made.unlink(missing_ok=True)
        say(f"{path}: {reason}, so it is made again")
