"""Checks of images and labels of the user's own, and a dataset from their parts."""

from pathlib import Path

import numpy as np

from gradscape.base.errors import GradscapeError
from gradscape.data.facts import Facts
from gradscape.data.store import Dataset, Part, joined

HELD_OUT = 6  # one image in six is for testing, where nothing else is
MAX_BYTES = 2**31  # of all pixels of a dataset, which a training keeps in memory


def check_size(where: str | Path, pixels: int) -> None:
    """Raise `GradscapeError` for more bytes of pixels than are read: a small file can
    stand for many."""
    if pixels > MAX_BYTES:
        raise GradscapeError(f"{where}: {pixels:,} bytes of pixels, above {MAX_BYTES:,}")


def shape_of_pixels(where: str, shape: tuple, dtype: np.dtype) -> tuple[int, int]:
    """Channels and size of images; raises `GradscapeError` if they are no images."""
    if dtype != np.uint8:
        raise GradscapeError(f"{where}: {dtype}, where uint8 is needed")
    if len(shape) not in (3, 4) or shape[1] != shape[2]:
        raise GradscapeError(
            f"{where}: {list(shape)}, where [n, size, size] or [n, size, size, channels] "
            "is needed"
        )
    channels = 1 if len(shape) == 3 else shape[3]
    if channels not in (1, 3):
        raise GradscapeError(f"{where}: {channels} channels, where 1 or 3 are needed")
    if 0 in shape:
        raise GradscapeError(f"{where}: holds no images")
    return channels, shape[1]


def check_labels(
    where: str, labels: np.ndarray, images: int, classes: int | None = None
) -> None:
    """Refuse all but whole numbers from 0, one per image, each a known class."""
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise GradscapeError(
            f"{where}: {labels.dtype} {list(labels.shape)}, where [n] whole numbers are "
            "needed"
        )
    if len(labels) != images:
        raise GradscapeError(f"{where}: {len(labels)} for {images} images")
    if labels.min() < 0:
        raise GradscapeError(f"{where}: one is {labels.min()}, where they begin at 0")
    if classes is not None and labels.max() >= classes:
        raise GradscapeError(
            f"{where}: one is {labels.max()}, where the {classes} classes are 0 to "
            f"{classes - 1}"
        )


def counted(
    name: str, channels: int, size: int, classes: int, train: int, test: int
) -> Facts:
    """The facts, with test images set aside from the training images if there are none."""
    if classes < 2:
        raise GradscapeError(f"{name}: two classes are the least, this has {classes}")
    if test == 0:
        test = train // HELD_OUT
        train -= test
    if train < 2 or test < 1:
        raise GradscapeError(
            f"{name}: too few images: {train} to train and {test} to test with"
        )
    return Facts(channels, size, classes, train, test)


def shuffled(images: np.ndarray, labels: np.ndarray) -> Part:
    order = np.random.RandomState(0).permutation(len(labels))
    return images[order], labels[order]


def assembled(
    name: str,
    source: str,
    classes: list[str],
    train: Part,
    test: Part | None = None,
) -> Dataset:
    """A dataset from its parts; without a test part, some images are set aside."""
    if test is None:
        images, labels = shuffled(*train)
        known = len(labels) - len(labels) // HELD_OUT
        train, test = (images[:known], labels[:known]), (images[known:], labels[known:])
    return joined(name, source, classes, train, test)
