"""Tables and weights as files."""

import csv
from pathlib import Path

import numpy as np

from gradscape.base.errors import GradscapeError
from gradscape.base.files import atomic_write
from gradscape.models import sealed


def write_csv(path: Path, rows: list[dict]) -> None:
    with (
        atomic_write(path) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    with atomic_write(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_weights(path: Path) -> dict:
    """A run's `settings` and `classes`, the weights of its `best` and its `last` epoch;
    raises `GradscapeError` for a missing or damaged file."""
    try:
        return sealed.load(path, unsealed=True)
    except FileNotFoundError:
        raise GradscapeError(f"{path}: missing; the run has to be trained") from None
    except sealed.Damaged as error:
        raise GradscapeError(
            f"{path}: damaged ({error}); delete the run's run.json and train it again"
        ) from None
