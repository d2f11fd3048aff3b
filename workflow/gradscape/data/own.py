"""The user's own images: a folder, an `.npz` file or a function.

    photos/                  one folder per class; or train/ and test/, each with these
    shapes.npz               images [n, h, w] or [n, h, w, c] uint8 and labels [n] from 0;
                             test_images, test_labels and the names in classes are optional
    mine/data.py:function    returns a `gradscape.data.store.Dataset`

Images are square, all of one size, with one channel or three. If there are no test images,
the last sixth of a permutation by `RandomState(0)` is set aside for testing. A folder's
images are always put in that permutation's order: sorted by class, they would be split by
class. Paths start from the working directory.
"""

from pathlib import Path

import numpy as np

from gradscape.base.errors import GradscapeError
from gradscape.data import folder, npz
from gradscape.data.checks import assembled, check_labels, counted, shape_of_pixels
from gradscape.data.facts import Facts
from gradscape.data.store import Dataset
from gradscape.spec import registry


def facts(name: str) -> Facts:
    """Facts by the cheapest look: at headers and labels, or at names and one image."""
    if registry.is_custom(name):
        return read(name).facts
    path = located(name)
    return (folder if path.is_dir() else npz).facts(path)


def read(name: str) -> Dataset:
    """The user's own dataset, complete and checked."""
    if registry.is_custom(name):
        return from_function(name)
    path = located(name)
    return (folder if path.is_dir() else npz).read(name, path)


def located(name: str) -> Path:
    """The folder or the file that a dataset's name stands for."""
    path = Path(name)
    if not path.is_dir() and path.suffix != ".npz":
        if "/" in name:
            raise GradscapeError(f"dataset {name!r}: no such folder")
        registry.check("dataset", name)
    return path


def from_function(name: str) -> Dataset:
    dataset = registry.find("dataset", name)()
    if not isinstance(dataset, Dataset):
        raise GradscapeError(
            f"dataset {name}: returns {type(dataset).__name__}, where a "
            "gradscape.data.store.Dataset is needed"
        )
    images, labels = np.asarray(dataset.images), np.asarray(dataset.labels)
    classes, train = [str(name) for name in dataset.classes], int(dataset.train)
    where = f"dataset {name}"
    channels, size = shape_of_pixels(f"{where}: images", images.shape, images.dtype)
    check_labels(f"{where}: labels", labels, len(images), len(classes))
    if not 0 < train <= len(images):
        raise GradscapeError(f"{where}: train is {train}, of {len(images)} images")
    counted(where, channels, size, len(classes), train, len(images) - train)
    parts = [(images[:train], labels[:train]), (images[train:], labels[train:])]
    return assembled(name, dataset.source, classes, *parts[: 1 + (train < len(images))])
