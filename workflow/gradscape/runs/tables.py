"""The tables of finished runs as they lie on disk, checked while they are read: whatever is
missing, of the wrong kind or too large ends in a `Damaged` that names file and column."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from gradscape.base.arrays import header
from gradscape.runs.record import MAX_BYTES, reading
from gradscape.spec import registry

METRICS = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy")
TEST = ("epoch", "test_loss", "test_accuracy")


def read_table(
    path: Path, numbers: Collection[str], words: Collection[str] = ()
) -> pd.DataFrame:
    """A CSV with at least one row, and in it columns of numbers and of words."""
    with reading(path):
        table = pd.read_csv(path)
        for column in [*numbers, *words]:
            if column not in table:
                raise ValueError(f"the column {column} is missing")
        if table.empty:
            raise ValueError("it has no rows")
        for column in numbers:
            if table[column].dtype.kind not in ("iu" if column == "epoch" else "iuf"):
                raise ValueError(f"the column {column} does not hold numbers alone")
        if "epoch" in numbers and not (
            table["epoch"].is_unique and min(table["epoch"]) > 0
        ):
            raise ValueError("the column epoch does not count epochs")
        return table.astype(dict.fromkeys(words, str))


def read_probe(path: Path, probe: str) -> pd.DataFrame:
    """A probe's table, with all columns that its file declares as `NUMBERS` and as `WORDS`;
    none of a probe that is not at hand."""
    if not registry.is_custom(probe) and probe not in registry.names("probe"):
        return read_table(path, ())
    kinds = (registry.declared("probe", probe, kind, "") for kind in ("NUMBERS", "WORDS"))
    return read_table(path, *(names.split() for names in kinds))


def read_arrays(path: Path, *needed: str) -> dict[str, np.ndarray]:
    """The arrays of an `.npz`, which hold numbers or text; those needed are among them."""
    with reading(path):
        with np.load(path, allow_pickle=False) as packed:
            size = sum(entry.file_size for entry in packed.zip.infolist())
            if size > MAX_BYTES:
                raise ValueError(f"it unpacks to {size:,} bytes")
            for key in packed.files:
                header(packed, key)
            arrays = {key: packed[key] for key in packed.files}
        for name in needed:
            if name not in arrays:
                raise ValueError(f"the array {name} is missing")
    return arrays


def check_array(arrays: dict, name: str, kinds: str, shape: tuple | None = None) -> None:
    """Raise `ValueError` unless an array is of one of numpy's kinds and of a shape."""
    array = arrays.get(name, np.array(""))
    if array.dtype.kind not in kinds or shape not in (None, array.shape):
        raise ValueError(f"the array {name} is not of the kind or shape that it has to be")


def read_steps(path: Path) -> dict[str, np.ndarray]:
    """The arrays that hold a value a step; config/README.md explains the names."""
    arrays = read_arrays(path, "loss", "steps_per_epoch")
    with reading(path):
        steps = (arrays["loss"].size,)
        shapes = {"loss": steps, "steps_per_epoch": ()}
        if {"gradient_distance", "weight_distance"} & arrays.keys():
            shapes |= dict.fromkeys(("gradient_distance", "weight_distance"), steps)
        if "probed_step" in arrays:
            probes = arrays["probed_step"].size
            grid = (probes, arrays["probed_size"].size // max(probes, 1))
            grids = ("probed_size", "probed_gradient_distance", "probed_loss")
            shapes |= {"probed_step": (probes,), "probed_gradient_norm": (probes,)}
            shapes |= dict.fromkeys(grids, grid)
        for name in arrays | shapes:
            check_array(arrays, name, "iuf", shapes.get(name))
        if not all(arrays[name].size for name in shapes) or arrays["steps_per_epoch"] < 1:
            raise ValueError("no step is in one of the arrays, or in an epoch")
    return arrays


def read_predictions(path: Path, classes: int) -> pd.DataFrame:
    """A row a test image: the class `predicted`; `confidence`, 0 to 1; is it `right`?"""
    kinds = {"predicted": "u", "confidence": "u", "right": "b"}
    arrays = read_arrays(path, *kinds)
    with reading(path):
        for name, kind in kinds.items():
            check_array(arrays, name, kind, (arrays[name].size,))
        table = pd.DataFrame({name: arrays[name] for name in kinds})
        if table.empty or table["predicted"].max() >= classes:
            raise ValueError(f"the array predicted does not hold {classes} classes")
        return table.assign(confidence=table["confidence"] / 255)


def read_gradients(path: Path) -> pd.DataFrame:
    """Mean absolute gradient, a row an epoch, a column a weight tensor that a gradient
    reaches, by depth. In `attrs`, the `kinds` of these, None of an older run, and those
    that none reaches, `absent`."""
    arrays = read_arrays(path, "layer", "mean_absolute_gradient")
    with reading(path):
        check_array(arrays, "mean_absolute_gradient", "iuf")
        layers = [str(name) for name in arrays["layer"].reshape(-1)]
        if not layers:
            raise ValueError("the array layer is empty")
        epochs = arrays["mean_absolute_gradient"].reshape(-1, len(layers))
        none = np.full((1, len(layers)), np.nan)
        table = pd.DataFrame(epochs if len(epochs) else none, columns=layers)
        if "call" not in arrays:
            table.attrs = {"kinds": None, "absent": []}
            return table
        check_array(arrays, "call", "i", (len(layers),))
        check_array(arrays, "kind", "U", (len(layers),))
        calls = arrays["call"]
        depths = [n for n in np.argsort(calls, kind="stable") if calls[n] >= 0]
        kinds = {layers[n]: str(arrays["kind"][n]) for n in depths}
        frozen = [str(name) for name in arrays.get("frozen", [])]
        absent = [name for name in layers if name not in kinds]
        table = table[list(kinds)]
        table.attrs = {"kinds": kinds, "absent": [*frozen, *absent]}
        return table
