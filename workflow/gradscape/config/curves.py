"""Curves that somebody else has published: a CSV with a row an epoch."""

import csv
import math

from gradscape.base.errors import GradscapeError
from gradscape.base.files import bounded_file
from gradscape.base.paths import locate

MAX_BYTES = 2**24
COLUMNS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


def read_curves(path: str) -> dict[str, list[float]]:
    """The columns of `metrics.csv`, by name, accuracies as fractions. A file without the
    column `epoch` has one row for each, from 1, and `acc` may stand for `accuracy`: so
    Edinburgh's framework writes its `summary.csv`. Raises `GradscapeError` for a file
    without these columns, or with other than numbers in them."""
    try:
        with bounded_file(locate(path), MAX_BYTES).open(
            newline="", encoding="utf-8-sig"
        ) as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise GradscapeError(f"{path}: cannot be read ({error})") from None
    found: dict[str, list[float]] = {}
    for column in ("epoch", *COLUMNS):
        short = column.replace("accuracy", "acc")
        name = column if rows and column in rows[0] else short
        if column == "epoch" and rows and column not in rows[0]:
            found[column] = [float(number) for number in range(1, len(rows) + 1)]
            continue
        if not rows or name not in rows[0]:
            also = f" (or {short})" * (short != column)
            raise GradscapeError(f"{path}: the column {column}{also} is missing")
        for number, row in enumerate(rows, start=2):
            try:
                value = float(row[name])
            except (TypeError, ValueError):
                value = math.nan
            if not math.isfinite(value):
                raise GradscapeError(f"{path}: line {number}: {name} is {row[name]!r}")
            found.setdefault(column, []).append(value)
    return found
