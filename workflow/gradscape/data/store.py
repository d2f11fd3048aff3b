"""A dataset on disk: uint8 images, labels, class names and checksums, written once.

`results/data/<dataset>/` holds `images.npy` [n, 32, 32, 3], `labels.npy` [n] (both uint8,
official training images first, test images after) and `dataset.json`. The images lie
channels-last, as the networks read them, and are memory-mapped.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from gradscape.errors import GradscapeError
from gradscape.files import whole


@dataclass(frozen=True)
class Dataset:
    """images uint8 [n, 32, 32, 3], labels uint8 [n]; the first `train` are for training."""

    name: str
    source: str
    classes: list[str]
    train: int
    images: np.ndarray
    labels: np.ndarray

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of the images followed by the labels."""
        digest = hashlib.sha256(np.ascontiguousarray(self.images))
        digest.update(np.ascontiguousarray(self.labels))
        return digest.hexdigest()


def save(dataset: Dataset, folder: Path) -> None:
    """Write a dataset so that every file appears whole or not at all."""
    record = {
        "name": dataset.name,
        "source": dataset.source,
        "train": dataset.train,
        "test": len(dataset.labels) - dataset.train,
        "classes": dataset.classes,
        "sha256": dataset.checksum,
    }
    for name, content in (("images", dataset.images), ("labels", dataset.labels)):
        with whole(folder / f"{name}.npy") as partial:
            np.save(partial, content)
    with whole(folder / "dataset.json") as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n")


def load(folder: Path) -> Dataset:
    """Open a dataset and check it against its checksum.

    Raises `GradscapeError` when a file is missing or its bytes are not those written.
    """
    try:
        record = json.loads((folder / "dataset.json").read_text())
        images = np.load(folder / "images.npy", mmap_mode="r")
        labels = np.load(folder / "labels.npy", mmap_mode="r")
    except FileNotFoundError as error:
        raise GradscapeError(
            f"{error.filename}: missing; make it with `gradscape data {folder.name}`"
        ) from None
    except ValueError as error:
        raise GradscapeError(f"{folder}: damaged ({error}); delete it") from None
    dataset = Dataset(
        name=record["name"],
        source=record["source"],
        classes=record["classes"],
        train=record["train"],
        images=images,
        labels=labels,
    )
    if dataset.checksum != record["sha256"]:
        raise GradscapeError(
            f"{folder}: damaged: its checksum is not the one in dataset.json; delete it"
        )
    return dataset
