"""The user's own images: a folder, an `.npz` file or a function.

    photos/                  one folder per class; or train/ and test/, each with these
    shapes.npz               images [n, h, w] or [n, h, w, c] uint8 and labels [n] from 0;
                             test_images, test_labels and the names in classes are optional
    mine/data.py:function    returns a `gradscape.data.store.Dataset`

Images are square, all of one size, with one channel or three. If there are no test images,
the last sixth of a permutation by `RandomState(0)` is set aside for testing. A folder's
images are always put in that order: sorted by class, they would be split by class. This
module reads functions, and checks all three.
"""

from pathlib import Path

import numpy as np

from gradscape.base.errors import GradscapeError
from gradscape.data import Facts
from gradscape.data.store import HELD_OUT, Dataset, joined
from gradscape.spec import registry

MAX_FILE = 2**31  # bytes
MAX_BYTES = 2**31  # of all pixels of a dataset, which a training keeps in memory


def facts(name: str) -> Facts:
    return read(name).facts


def read(name: str) -> Dataset:
    """The dataset that the user's own function returns."""
    made = registry.find("dataset", name)()
    if not isinstance(made, Dataset):
        found = f"{type(made).__name__}, where a gradscape.data.store.Dataset is needed"
        raise GradscapeError(f"dataset {name}: returns {found}")
    images, labels, train = np.asarray(made.images), np.asarray(made.labels), made.train
    where = f"dataset {name}"
    shape = shape_of_pixels(f"{where}: images", images.shape, images.dtype)
    check_labels(f"{where}: labels", labels, len(images), len(made.classes))
    if not 0 < train <= len(images):
        raise GradscapeError(f"{where}: train is {train}, of {len(images)} images")
    counted(where, *shape, len(made.classes), train, len(images) - train)
    test = (images[train:], labels[train:]) if train < len(images) else None
    return joined(name, made.source, made.classes, (images[:train], labels[:train]), test)


def check_size(where: str | Path, pixels: int) -> None:
    """Raise `GradscapeError` for too many pixels, for which a small file can stand."""
    if pixels > MAX_BYTES:
        raise GradscapeError(f"{where}: {pixels:,} bytes of pixels, above {MAX_BYTES:,}")


def shape_of_pixels(where: str, shape: tuple, dtype: np.dtype) -> tuple[int, int]:
    """Channels and size of images; raises `GradscapeError` if they are no images."""
    channels = 1 if len(shape) == 3 else shape[-1] if shape else 0
    if dtype != np.uint8:
        wrong = f"{dtype}, where uint8 is needed"
    elif len(shape) not in (3, 4) or shape[1] != shape[2]:
        forms = "[n, size, size] or [n, size, size, channels]"
        wrong = f"{list(shape)}, where {forms} is needed"
    elif channels not in (1, 3):
        wrong = f"{channels} channels, where 1 or 3 are needed"
    elif 0 in shape:
        wrong = "holds no images"
    else:
        return channels, shape[1]
    raise GradscapeError(f"{where}: {wrong}")


def check_labels(
    where: str, labels: np.ndarray, images: int, classes: int | None = None
) -> None:
    """Refuse all but whole numbers from 0, one per image, each a known class."""
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        found = f"{labels.dtype} {list(labels.shape)}"
        raise GradscapeError(f"{where}: {found}, where [n] whole numbers are needed")
    if len(labels) != images:
        raise GradscapeError(f"{where}: {len(labels)} for {images} images")
    if labels.min() < 0:
        raise GradscapeError(f"{where}: one is {labels.min()}, where they begin at 0")
    if classes is not None and (most := labels.max()) >= classes:
        known = f"the {classes} classes are 0 to {classes - 1}"
        raise GradscapeError(f"{where}: one is {most}, where {known}")


def counted(
    name: str | Path, channels: int, size: int, classes: int, train: int, test: int
) -> Facts:
    """The facts, with test images set aside from the training images if there are none."""
    if classes < 2:
        raise GradscapeError(f"{name}: two classes are the least, this has {classes}")
    if test == 0:
        test = train // HELD_OUT
        train -= test
    if train < 2 or test < 1:
        found = f"{train} to train and {test} to test with"
        raise GradscapeError(f"{name}: too few images: {found}")
    return Facts(channels, size, classes, train, test)
