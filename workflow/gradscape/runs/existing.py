"""A run's folder before a training writes there and after."""

import csv
import shutil
from dataclasses import asdict
from pathlib import Path

from gradscape.base.errors import GradscapeError
from gradscape.base.paths import EVENTS, PROBES, RECORD, RUN_FILES
from gradscape.runs.record import Damaged, read
from gradscape.spec.settings import Settings, differences


def is_finished(out: Path, settings: Settings, checksum: str, overwrite: bool) -> bool:
    """Does `out` hold this very run, of images with this checksum, finished?

    With `overwrite`, a finished run is removed first, with all that was measured on it; a
    checkpoint is not: it may be that of the run that overwrites. Raises `GradscapeError`
    for another run.
    """
    if overwrite and (out / RECORD).exists():
        for folder in (PROBES, EVENTS):
            shutil.rmtree(out / folder, ignore_errors=True)
        for name in reversed(RUN_FILES):  # the record first: what is left is no run
            (out / name).unlink(missing_ok=True)
    try:
        record = read(out / RECORD)
    except Damaged:
        return False
    other = differences(record.settings, asdict(settings))
    if not other and record.data.sha256 != checksum:
        other = "its images are others"
    if other:
        raise GradscapeError(
            f"{out}: holds a finished run ({other}); name another folder with --out, or "
            "replace that run with --overwrite"
        )
    return True


def summary(out: Path) -> str:
    """A finished run in a line: `study/run: test accuracy 9.85 % after 81 s`."""
    record = read(out / RECORD)
    with (out / "test.csv").open(newline="") as file:
        accuracy = float(next(csv.DictReader(file))["test_accuracy"])
    line = f"{record.study}/{record.run}: test accuracy {100 * accuracy:.2f} %"
    line += f" after {record.seconds_training:.0f} s"
    return f"{line}, diverged in epoch {record.diverged}" if record.diverged else line
