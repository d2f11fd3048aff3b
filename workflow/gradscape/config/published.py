"""CSVs of what others have published: curves, a row an epoch, and a study's literature, a
row a network. Accuracies are fractions."""

import csv
import math
from collections.abc import Collection
from pathlib import Path

from gradscape.base.errors import GradscapeError
from gradscape.base.files import bounded_file
from gradscape.base.paths import locate

MAX_BYTES = 2**24
CURVES = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
# Columns that literature must have, and those that hold numbers.
REQUIRED = ["model", "source", "dataset", "epochs", "train_images"]
NUMBERS = ["epochs", "train_images", "learning_rate", "final_test_accuracy"]
NUMBERS += [f"{p}_{of}" for p in ("train", "val", "test") for of in ("loss", "accuracy")]


def read_curves(path: str) -> dict[str, list[float]]:
    """The columns of `metrics.csv`, by name. A file without the column `epoch` has one row
    for each, from 1, and `acc` may stand for `accuracy`: so Edinburgh's framework writes
    its `summary.csv`. Raises `GradscapeError` for a file without these columns, or with
    other than numbers in them."""
    columns, rows = read_csv(locate(path), path, "read")
    if rows and "epoch" not in columns:
        rows = [{"epoch": number, **row} for number, row in enumerate(rows, start=1)]
        columns = [*columns, "epoch"]
    found = {}
    for column in ("epoch", *CURVES):
        short = column.replace("accuracy", "acc")
        name = column if column in columns else short
        if not rows or name not in columns:
            also = f" (or {short})" * (short != column)
            raise GradscapeError(f"{path}: the column {column}{also} is missing")
        found[column] = [number(row, name, n, path) for n, row in enumerate(rows, start=2)]
    return found


def check_literature(path: Path) -> None:
    """Raise `GradscapeError` if a file of published numbers lacks a column or a value."""
    at = f"literature: {path}"
    columns, rows = read_csv(path, at, "parsed")
    for column in REQUIRED:
        if column not in columns:
            raise GradscapeError(f"{at}: the column {column} is missing")
    for line, row in enumerate(rows, start=2):
        for column, value in row.items():
            if column in NUMBERS if value else column in REQUIRED:
                number(row, column, line, at)


def read_csv(path: Path, at: str, done: str) -> tuple[Collection[str], list[dict]]:
    """The columns of a CSV and its rows. Raises `GradscapeError`, which begins with `at`,
    for a file that cannot be `done` so."""
    try:
        with bounded_file(path, MAX_BYTES).open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            return table.fieldnames or [], list(table)
    except (OSError, ValueError, csv.Error) as error:
        raise GradscapeError(f"{at}: cannot be {done} ({error})") from None


def number(row: dict, column: str, line: int, at: str) -> float:
    """The number in a row's column. Raises `GradscapeError`, with its line, for none."""
    try:
        value = float(row[column])
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise GradscapeError(f"{at}: line {line}: {column} is {row[column]!r}")
    return value
