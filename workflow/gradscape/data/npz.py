"""The user's own images in an `.npz` file; nothing in it is ever unpickled."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile

from gradscape.base import arrays as arrays_of
from gradscape.base.errors import GradscapeError, is_short_of_memory
from gradscape.base.files import bounded_file
from gradscape.data.checks import (
    MAX_BYTES,
    assembled,
    check_labels,
    check_size,
    counted,
    shape_of_pixels,
)
from gradscape.data.facts import Facts
from gradscape.data.store import Dataset


@contextmanager
def opened(path: Path) -> Iterator[NpzFile]:
    """The arrays of the file. Whatever a torn, encrypted or foreign one makes its readers
    raise ends in a `GradscapeError`."""
    try:
        bounded_file(path, MAX_BYTES)
        with path.open("rb") as file, NpzFile(file, allow_pickle=False) as arrays:
            yield arrays
    except FileNotFoundError:
        raise GradscapeError(f"{path}: missing") from None
    except GradscapeError:
        raise
    except Exception as error:
        if is_short_of_memory(error):  # the file may be sound
            raise
        reason = str(error) or type(error).__name__
        raise GradscapeError(f"{path}: not a whole .npz of arrays ({reason})") from None


def facts(path: Path) -> Facts:
    """Facts from headers and labels."""
    with opened(path) as arrays:
        return layout(path, arrays)[0]


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
    """Facts, names of the classes, and the labels of each part, checked."""
    parts = [""]
    if {"test_images", "test_labels"} & {*arrays.files}:
        parts.append("test_")
    shapes, labels = [], []
    for part in parts:
        images = header(path, arrays, f"{part}images")
        shapes.append(shape_of_pixels(f"{path}: {part}images", *images))
        labels.append(array(path, arrays, f"{part}labels"))
        check_labels(f"{path}: {part}labels", labels[-1], images[0][0])
    if shapes[-1] != shapes[0]:
        (channels, size), (others, other) = shapes
        raise GradscapeError(
            f"{path}: test_images: {others}x{other}x{other}, where images are "
            f"{channels}x{size}x{size}"
        )
    if "classes" in arrays.files:
        classes = [str(name) for name in array(path, arrays, "classes").ravel()]
    else:
        classes = numbered(path, labels[0])
    for part, of_part in zip(parts, labels, strict=True):
        check_labels(f"{path}: {part}labels", of_part, len(of_part), len(classes))
    train, test = [*map(len, labels), 0][:2]
    return counted(str(path), *shapes[0], len(classes), train, test), classes, labels


def numbered(path: Path, labels: np.ndarray) -> list[str]:
    """The classes by number, if they have no names; each must have an image."""
    found = np.unique(labels)
    empty = np.flatnonzero(found != np.arange(len(found)))
    if len(empty):
        raise GradscapeError(
            f"{path}: labels: none is {empty[0]}, where they begin at 0; name the classes "
            "in `classes` if one has no images"
        )
    return [str(number) for number in found]


def read(name: str, path: Path) -> Dataset:
    with opened(path) as arrays:
        _, classes, labels = layout(path, arrays)
        images = [array(path, arrays, k) for k in ("images", "test_images")[: len(labels)]]
    return assembled(name, "own file", classes, *zip(images, labels, strict=True))
