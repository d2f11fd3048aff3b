"""A dataset on disk, written once: `images.npy` uint8 [n, size, size, channels],
`labels.npy` [n] (training images first, test images after), and `dataset.json` with names
of classes and checksums. The images lie channels-last, as the networks read them, and are
memory-mapped."""

import hashlib
import json
import math
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from gradscape.base.errors import GradscapeError, is_shortage
from gradscape.base.files import SEAL, atomic_write, seal, write_record
from gradscape.data import Facts
from gradscape.spec.registry import names

AT_ONCE = 2**22  # pixels that are counted together, in eight bytes each
HELD_OUT = 6  # one image in six is for testing, where nothing else is
Part = tuple[np.ndarray, np.ndarray]  # images and labels


@dataclass(frozen=True)
class Dataset:
    """images uint8 [n, s, s, c], labels from 0 [n]; the first `train` are for training.
    Images are square and have one channel or three."""

    name: str
    source: str
    classes: list[str]
    train: int
    images: np.ndarray
    labels: np.ndarray

    @property
    def facts(self) -> Facts:
        _, size, _, channels = self.images.shape
        test = len(self.labels) - self.train
        return Facts(channels, size, len(self.classes), self.train, test)

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of the images followed by the labels."""
        digest = hashlib.sha256(np.ascontiguousarray(self.images))
        digest.update(np.ascontiguousarray(self.labels))
        return digest.hexdigest()

    @cached_property
    def moments(self) -> tuple[list[float], list[float]]:
        """Mean and deviation of each channel of the training images, in [0, 1], from sums
        of integers, so to the last bit the same on every machine. The deviation of a
        channel that never changes is 1, so that one can divide by it."""
        values, channels = np.arange(256), self.images.shape[-1]
        pixels = self.images[: self.train].reshape(-1, channels)
        means, deviations = [], []
        for channel in range(channels):
            counts = np.zeros(256, int)
            for at in range(0, len(pixels), AT_ONCE):
                part = pixels[at : at + AT_ONCE, channel]
                counts += np.bincount(part, minlength=256)
            count, total = int(counts.sum()), int(counts @ values)
            spread = count * int(counts @ values**2) - total**2  # variance times count²
            means.append(total / (255 * count))
            deviations.append(math.sqrt(spread) / (255 * count) or 1.0)
        return means, deviations


def joined(
    name: str, source: str, classes: list[str], train: Part, test: Part | None = None
) -> Dataset:
    """A dataset from its images, [n, s, s] or [n, s, s, c], and labels [n]; some are set
    aside for testing if none are given. Labels take one byte each where that is enough."""
    if test is None:
        images, labels = shuffled(*train)
        known = len(labels) - len(labels) // HELD_OUT
    else:
        parts = [images.reshape(*images.shape[:3], -1) for images, _ in (train, test)]
        images, labels = np.concatenate(parts), np.concatenate([train[1], test[1]])
        known = len(train[1])
    pixels = np.ascontiguousarray(images.reshape(*images.shape[:3], -1))
    labels = labels.astype(np.min_scalar_type(len(classes) - 1))
    return Dataset(name, source, classes, known, pixels, labels)


def shuffled(images: np.ndarray, labels: np.ndarray) -> Part:
    order = np.random.RandomState(0).permutation(len(labels))
    return images[order], labels[order]


def save(dataset: Dataset, folder: Path) -> None:
    """Write a dataset so that every file appears whole or not at all. Raises
    `GradscapeError` for a folder that holds another dataset."""
    with suppress(OSError, ValueError, LookupError, TypeError):  # no sound one to lose
        held = json.loads((folder / "dataset.json").read_text("utf-8"))
        check_name(folder, held["name"], dataset.name)
    mean, deviation = dataset.moments
    record = {"name": dataset.name, "source": dataset.source, **asdict(dataset.facts)}
    record |= {"classes": dataset.classes, "mean": mean, "deviation": deviation}
    record["sha256"] = dataset.checksum
    for name, content in (("images", dataset.images), ("labels", dataset.labels)):
        with atomic_write(folder / f"{name}.npy") as partial:
            np.save(partial, content)
    write_record(folder / "dataset.json", record)


def load(folder: Path, name: str | None = None) -> Dataset:
    """Open a dataset and check it against its checksums. Raises `GradscapeError` if a file
    is missing or not as it was written, or the folder holds another dataset than `name`."""
    try:
        record = json.loads((folder / "dataset.json").read_text("utf-8"))
        if record.get(SEAL) != seal(record):
            raise ValueError("dataset.json is not as it was written")
        paths = (folder / "images.npy", folder / "labels.npy")
        arrays = [np.load(path, mmap_mode="r", allow_pickle=False) for path in paths]
        keys = ("name", "source", "classes", "train")
        dataset = Dataset(*(record[key] for key in keys), *arrays)
        if dataset.checksum != record["sha256"]:
            raise ValueError("its checksum is not the one in dataset.json")
    except FileNotFoundError as error:
        make = "make it with `gradscape data` and its name in the configuration"
        if folder.name in names("dataset"):
            make = f"make it with `gradscape data {folder.name}`"
        raise GradscapeError(f"{error.filename}: missing; {make}") from None
    except Exception as error:  # whatever a torn file makes its reader raise
        if is_shortage(error):
            raise
        raise GradscapeError(f"{folder}: damaged: {error}; delete it") from None
    if name is not None:
        check_name(folder, dataset.name, name)
    vars(dataset)["moments"] = record["mean"], record["deviation"]
    return dataset


def check_name(folder: Path, held: str, wanted: str) -> None:
    if held != wanted:
        which = f"{held!r}, not {wanted!r}; delete it or rename one of the two"
        raise GradscapeError(f"{folder}: holds the dataset {which}")
