"""The user's own images in an `.npz` file; nothing in it is ever unpickled."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile

from gradscape.base import arrays as arrays_of
from gradscape.base.errors import GradscapeError
from gradscape.base.files import reading
from gradscape.data import Facts
from gradscape.data.own import MAX_FILE, check_labels, check_size, counted, shape_of_pixels
from gradscape.data.store import Dataset, joined


@contextmanager
def opened(path: Path) -> Iterator[NpzFile]:
    with (
        reading(path, MAX_FILE, "not a whole .npz of arrays"),
        path.open("rb") as file,
        NpzFile(file, allow_pickle=False) as arrays,
    ):
        yield arrays


def facts(name: str) -> Facts:
    """Facts from headers and labels."""
    with opened(Path(name)) as arrays:
        return layout(Path(name), arrays)[0]


def header(path: Path, arrays: NpzFile, key: str) -> tuple[tuple, np.dtype]:
    """Shape and type of an array; nothing else of it is read."""
    if key not in arrays.files:
        known = ", ".join(arrays.files) or "nothing"
        raise GradscapeError(f"{path}: has no `{key}` (it has: {known})")
    try:
        shape, dtype = arrays_of.header(arrays, key)
    except ValueError as error:
        raise GradscapeError(f"{path}: {error}") from None
    check_size(f"{path}: {key}", math.prod(shape) * dtype.itemsize)
    return shape, dtype


def array(path: Path, arrays: NpzFile, key: str) -> np.ndarray:
    header(path, arrays, key)
    return arrays[key]


def layout(path: Path, arrays: NpzFile) -> tuple[Facts, list[str], list[np.ndarray]]:
    """Facts, names of the classes, and the labels of each part, checked. Classes without
    names are called by number, and each must have an image."""
    has_test = {"test_images", "test_labels"} & {*arrays.files}
    parts = ["", "test_"] if has_test else [""]
    shapes, labels = [], []
    for part in parts:
        images = header(path, arrays, f"{part}images")
        shapes.append(shape_of_pixels(f"{path}: {part}images", *images))
        labels.append(array(path, arrays, f"{part}labels"))
        check_labels(f"{path}: {part}labels", labels[-1], images[0][0])
    if shapes[-1] != shapes[0]:
        (channels, size), (others, other) = shapes
        found = f"{others}x{other}x{other}, where images are {channels}x{size}x{size}"
        raise GradscapeError(f"{path}: test_images: {found}")
    if "classes" in arrays.files:
        classes = array(path, arrays, "classes").ravel().astype(str).tolist()
    else:
        found = np.unique(labels[0])
        if len(empty := np.flatnonzero(found != np.arange(len(found)))):
            hint = "name the classes in `classes` if one has no images"
            wrong = f"none is {empty[0]}, where they begin at 0; {hint}"
            raise GradscapeError(f"{path}: labels: {wrong}")
        classes = list(map(str, found))
    for part, of_part in zip(parts, labels, strict=True):
        check_labels(f"{path}: {part}labels", of_part, len(of_part), len(classes))
    train, test = [*map(len, labels), 0][:2]
    return counted(path, *shapes[0], len(classes), train, test), classes, labels


def read(name: str) -> Dataset:
    path = Path(name)
    with opened(path) as arrays:
        _, classes, labels = layout(path, arrays)
        images = [array(path, arrays, k) for k in ("images", "test_images")[: len(labels)]]
    return joined(name, "own file", classes, *zip(images, labels, strict=True))
