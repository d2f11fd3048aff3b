"""The tables of finished runs as they lie on disk, checked while they are read.

Whatever is missing, of the wrong kind or too large ends in a `Damaged` that names the file
and the column; nothing in them is ever run (numpy's pickles are refused).
"""

import zipfile
from collections.abc import Collection
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from gradscape.base.arrays import header
from gradscape.runs.record import MAX_BYTES, reading
from gradscape.spec import registry

METRICS = ["epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]
TEST = ["epoch", "test_loss", "test_accuracy"]


def read_table(path: Path, numbers: list[str], words: Collection[str] = ()) -> pd.DataFrame:
    """A CSV with at least one row, and in it columns of numbers and of words."""
    with reading(path):
        table = pd.read_csv(path)
        for column in [*numbers, *words]:
            if column not in table:
                raise ValueError(f"the column {column} is missing")
        if table.empty:
            raise ValueError("it has no rows")
        if "epoch" in numbers and not is_count(table["epoch"]):
            raise ValueError("the column epoch does not count epochs")
        for column in numbers:
            if table[column].dtype.kind not in "iuf":
                raise ValueError(f"the column {column} does not hold numbers alone")
        return table.astype(dict.fromkeys(words, str)) if words else table


def is_count(epochs: pd.Series) -> bool:
    return epochs.dtype.kind in "iu" and epochs.is_unique and bool((epochs > 0).all())


@cache
def columns_of(probe: str) -> tuple[list[str], list[str]]:
    """The columns that a probe's file declares as `NUMBERS` and as `WORDS`; none of a probe
    that is not at hand."""
    if not registry.is_custom(probe) and probe not in registry.names("probe"):
        return [], []
    kinds = (registry.declared("probe", probe, kind, "") for kind in ("NUMBERS", "WORDS"))
    numbers, words = (names.split() for names in kinds)
    return numbers, words


def read_probe(path: Path, probe: str) -> pd.DataFrame:
    """A probe's table, with all columns that its file declares."""
    return read_table(path, *columns_of(probe))


def read_arrays(path: Path, *needed: str) -> dict[str, np.ndarray]:
    """The arrays of an `.npz`, which hold numbers or text; those needed are among them."""
    with reading(path):
        with zipfile.ZipFile(path) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
        if size > MAX_BYTES:
            raise ValueError(f"it unpacks to {size:,} bytes")
        with np.load(path, allow_pickle=False) as packed:
            for key in packed.files:
                header(packed, key)
            arrays = {key: packed[key] for key in packed.files}
        for name in needed:
            if name not in arrays:
                raise ValueError(f"the array {name} is missing")
    return arrays


def read_steps(path: Path) -> dict[str, np.ndarray]:
    """The arrays that hold a value a step; config/README.md explains the names."""
    arrays = read_arrays(path, "loss", "steps_per_epoch")
    with reading(path):
        shapes = {name: array.shape for name, array in arrays.items()}
        if len(shapes["loss"]) != 1 or not arrays["loss"].size:
            raise ValueError("the array loss does not hold a number a step")
        if shapes["steps_per_epoch"] != () or not arrays["steps_per_epoch"] >= 1:
            raise ValueError("steps_per_epoch is no number of steps")
        check_distances(shapes)
        for name, array in arrays.items():
            check_numbers(name, array)
    return arrays


def check_numbers(name: str, array: np.ndarray) -> None:
    if array.dtype.kind not in "iuf":
        raise ValueError(f"the array {name} does not hold numbers")


def check_distances(shapes: dict[str, tuple[int, ...]]) -> None:
    """Do the arrays that belong together have the same lengths?"""
    wanted = {}
    if {"gradient_distance", "weight_distance"} & shapes.keys():
        wanted = dict.fromkeys(("gradient_distance", "weight_distance"), shapes["loss"])
    if "probed_step" in shapes:
        probes = shapes["probed_step"]
        points = shapes.get("probed_size", ())[1:]
        if len(probes) != 1 or len(points) != 1 or 0 in (*probes, *points):
            raise ValueError("the array probed_size is missing or empty")
        wanted["probed_gradient_norm"] = probes
        grids = ("probed_size", "probed_gradient_distance", "probed_loss")
        wanted |= dict.fromkeys(grids, (*probes, *points))
    for name, shape in wanted.items():
        if shapes.get(name) != shape:
            raise ValueError(f"the array {name} has not the shape {shape}")


def read_predictions(path: Path, classes: int) -> pd.DataFrame:
    """A row a test image: `predicted`, the class it is taken for; `confidence`, 0 to 1; and
    whether it is `right`."""
    kinds = {"predicted": "u", "confidence": "u", "right": "b"}
    arrays = read_arrays(path, *kinds)
    with reading(path):
        for name, kind in kinds.items():
            if arrays[name].dtype.kind != kind or arrays[name].ndim != 1:
                raise ValueError(f"the array {name} does not hold an answer an image")
        table = pd.DataFrame({name: arrays[name] for name in kinds})
        if table.empty or table["predicted"].max() >= classes:
            raise ValueError(f"the array predicted does not hold {classes} classes")
        return table.assign(confidence=table["confidence"] / 255)


def read_gradients(path: Path) -> pd.DataFrame:
    """Mean absolute gradient, a row an epoch, a column a weight tensor by depth.

    Not a number where a run ended before any was recorded.
    """
    arrays = read_arrays(path, "layer", "mean_absolute_gradient")
    with reading(path):
        layers = [str(name) for name in arrays["layer"].reshape(-1)]
        values = arrays["mean_absolute_gradient"]
        check_numbers("mean_absolute_gradient", values)
        if not layers:
            raise ValueError("the array layer is empty")
        epochs = values.reshape(-1, len(layers))
        none = np.full((1, len(layers)), np.nan)
        return pd.DataFrame(epochs if len(epochs) else none, columns=layers)
