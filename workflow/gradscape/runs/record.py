"""The tables and records of finished runs as they lie on disk, checked while they are read.

A disk may have torn them, and somebody else may have sent them. Whatever is missing, of the
wrong kind, not to be read or too large to be one ends in a `Damaged` that names the file
and the field; nothing in them is ever run (numpy's pickles are refused).
"""

import json
import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gradscape.base.errors import GradscapeError, is_short_of_memory
from gradscape.base.files import bounded_file, is_as_written, say, sha256
from gradscape.base.paths import RECORD
from gradscape.spec.settings import SETTINGS

MAX_BYTES = 2**31  # of a table; a packed one may pretend to be small
MAX_RECORD = 2**20
CHANGED = "it is not as it was written"
NUMBER, WHOLE = (int, float), (int,)
NONE = type(None)

# What is used of a run's record, and what kind of value it is.
FIELDS: dict[str, tuple[type, ...]] = {
    "study": (str,),
    "run": (str,),
    "settings": (dict,),
    "settings.model": (str,),
    "settings.learning_rate": NUMBER,
    "settings.seed": WHOLE,
    "data.name": (str,),
    "data.source": (str,),
    "data.classes": WHOLE,
    "data.train": WHOLE,
    "data.test": WHOLE,
    "parameters": WHOLE,
    "diverged": (int, NONE),
    "seconds_training": NUMBER,
    "images_per_second": NUMBER,
    "revision.commit": (str, NONE),
    "revision.dirty": (bool, NONE),
}
OPTIONAL: dict[str, tuple[type, ...]] = {"varied": (dict,), "flops": (int, float, NONE)}
OPTIONAL |= {"sha256": (dict,), "seconds_probing": NUMBER}
POSITIVE = ("settings.learning_rate", "data.classes", "data.test")
POSITIVE += ("seconds_training", "images_per_second")

METRICS = ["epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]
TEST = ["epoch", "test_loss", "test_accuracy"]
# Columns of gradscape's own probes; those in WORDS are text, all others numbers.
PROBES = {
    "explanations": "image label predicted confidence row column red green blue "
    "grad_cam occlusion",
    "feature_maps": "layer channel row column value",
    "filters": "moment filter channel row column weight",
    "hessian": "quantity value",
    "lesion": "block accuracy",
    "predictions": "label predicted confidence",
    "signal": "moment depth activation_mean_square gradient_mean_square "
    "predicted_activation_mean_square predicted_gradient_mean_square",
    "surface": "alpha beta loss",
    "trainability": "moment quantity layer value",
}
WORDS = {"block", "label", "predicted", "layer", "moment", "quantity"}


class Damaged(GradscapeError):
    """A file of a finished run is not what gradscape wrote."""


@contextmanager
def reading(path: Path, most: int = MAX_BYTES) -> Iterator[None]:
    """Whatever a torn file makes its reader raise, as one sentence that names it."""
    try:
        bounded_file(path, most)
        yield
    except FileNotFoundError:
        raise Damaged(f"{path}: missing") from None
    except GradscapeError as error:
        raise Damaged(str(error)) from None
    except Exception as error:
        if is_short_of_memory(error):  # the file may be sound
            raise
        reason = " ".join(str(error).split())[:200]
        raise Damaged(f"{path}: damaged ({reason or type(error).__name__})") from None


def read_record(path: Path, also: Mapping[str, tuple[type, ...]] = FIELDS) -> dict:
    """A run's record, with every field that is used of it, and those `also` wanted."""
    with reading(path, MAX_RECORD):
        record = json.loads(path.read_text())
        if isinstance(record, dict) and not is_as_written(record):
            raise ValueError(CHANGED)
        for field, kinds in {**FIELDS, **also}.items():
            check_field(field, look_up(record, field), kinds)
        for field, kinds in OPTIONAL.items():
            if field in record:
                check_field(field, record[field], kinds)
        for name, value in record["settings"].items():
            if name in SETTINGS and value is not None:
                kind = SETTINGS[name].type
                kinds = NUMBER if kind is float else (kind,) if kind else (object,)
                check_field(f"settings.{name}", value, kinds)
        for name, value in record.get("varied", {}).items():
            kinds = (str,) if name == "variant" else (str, int, float, bool, NONE)
            check_field(f"varied.{name}", value, kinds)
        return record


def unchanged(path: Path, digest: str | None) -> Path:
    """The path, if its bytes are those written; of older runs there is no digest."""
    with reading(path):
        if digest is not None and sha256(path) != digest:
            raise ValueError(CHANGED)
    return path


def sound_runs(folder: Path, read: Callable[[Path], Any]) -> Iterator[Any]:
    """What `read` makes of the record of each finished run below a results folder; those
    that are damaged are named and left out."""
    for path in sorted(folder.glob(f"runs/*/*/{RECORD}")):
        try:
            yield read(path)
        except Damaged as error:
            say(f"{error}; the run is left out")


def look_up(record: Any, field: str) -> Any:
    for key in field.split("."):
        if not isinstance(record, dict) or key not in record:
            raise ValueError(f"{field} is missing")
        record = record[key]
    return record


def check_field(field: str, value: Any, kinds: tuple[type, ...]) -> None:
    right = isinstance(value, kinds)
    if isinstance(value, bool):
        right = bool in kinds or object in kinds
    elif isinstance(value, int | float) and right:
        right = math.isfinite(value) and abs(value) < 2**63
        right &= field not in POSITIVE or value > 0
    if not right:
        raise ValueError(f"{field} is {str(value)[:60]!r}")


def read_table(path: Path, numbers: list[str], words: list[str] | None = None):
    """A CSV with at least one row, and in it columns of numbers and of words."""
    with reading(path):
        table = pd.read_csv(path)
        for column in [*numbers, *(words or [])]:
            if column not in table:
                raise ValueError(f"the column {column} is missing")
        if table.empty:
            raise ValueError("it has no rows")
        if "epoch" in numbers and not is_count(table["epoch"]):
            raise ValueError("the column epoch does not count epochs")
        for column in numbers:
            if table[column].dtype.kind not in "iuf":
                raise ValueError(f"the column {column} does not hold numbers alone")
        return table.astype(dict.fromkeys(words or [], str))


def is_count(epochs: pd.Series) -> bool:
    return epochs.dtype.kind in "iu" and epochs.is_unique and bool((epochs > 0).all())


def read_probe(path: Path, name: str) -> pd.DataFrame:
    columns = PROBES.get(name, "").split()
    words = [column for column in columns if column in WORDS]
    return read_table(path, [c for c in columns if c not in WORDS], words)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an `.npz`, which hold numbers or text."""
    with reading(path):
        with zipfile.ZipFile(path) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
        if size > MAX_BYTES:
            raise ValueError(f"it unpacks to {size:,} bytes")
        with np.load(path, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}


def read_steps(path: Path) -> dict[str, np.ndarray]:
    arrays = read_arrays(path)
    with reading(path):
        shapes = {name: array.shape for name, array in arrays.items()}
        for name in ("loss", "steps_per_epoch"):
            if name not in arrays:
                raise ValueError(f"the array {name} is missing")
        if len(shapes["loss"]) != 1 or not arrays["loss"].size:
            raise ValueError("the array loss does not hold a number a step")
        if shapes["steps_per_epoch"] != () or not arrays["steps_per_epoch"] >= 1:
            raise ValueError("steps_per_epoch is no number of steps")
        check_distances(shapes)
        if wrong := [name for name, a in arrays.items() if a.dtype.kind not in "iuf"]:
            raise ValueError(f"the array {wrong[0]} does not hold numbers")
    return arrays


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
    arrays = read_arrays(path)
    with reading(path):
        kinds = {"predicted": "u", "confidence": "u", "right": "b"}
        for name, kind in kinds.items():
            array = look_up(arrays, name)
            if array.dtype.kind != kind or array.ndim != 1:
                raise ValueError(f"the array {name} does not hold an answer an image")
        table = pd.DataFrame({name: arrays[name] for name in kinds})
        if table.empty or table["predicted"].max() >= classes:
            raise ValueError(f"the array predicted does not hold {classes} classes")
        return table.assign(confidence=table["confidence"] / 255)


def read_gradients(path: Path) -> pd.DataFrame:
    """Mean absolute gradient, a row an epoch, a column a weight tensor by depth."""
    arrays = read_arrays(path)
    with reading(path):
        layers = [str(name) for name in look_up(arrays, "layer").reshape(-1)]
        values = look_up(arrays, "mean_absolute_gradient")
        if values.dtype.kind not in "iuf":
            raise ValueError("the array mean_absolute_gradient does not hold numbers")
        if not layers:
            raise ValueError("the array layer is empty")
        epochs = values.reshape(-1, len(layers))
        return pd.DataFrame(
            epochs if len(epochs) else np.full((1, len(layers)), np.nan), columns=layers
        )
