"""The datasets by name, and what is known of each without reading it.

Beside the names below a dataset is one's own images, as `gradscape.data.own` reads them.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from gradscape.data import generated, official, own
from gradscape.data.store import Dataset, Facts


@dataclass(frozen=True)
class Entry:
    """How a dataset is read, and what comes of it.

    `read` takes the name and the user's folder of official files, None to download them.
    """

    read: Callable[[str, Path | None], Dataset]
    facts: Facts


DATASETS = {
    "cifar10": Entry(official.cifar, Facts(3, 32, 10, 50_000, 10_000)),
    "cifar100": Entry(official.cifar, Facts(3, 32, 100, 50_000, 10_000)),
    "svhn": Entry(official.svhn, Facts(3, 32, 10, 73_257, 26_032)),
    "fashion-mnist": Entry(official.fashion_mnist, Facts(1, 28, 10, 60_000, 10_000)),
    "generated10": Entry(lambda *_: generated.generate(10), generated.facts(10)),
    "generated100": Entry(lambda *_: generated.generate(100), generated.facts(100)),
}


def facts(name: str) -> Facts:
    """Shape, classes and numbers of images, by the cheapest look at one's own images.

    Raises `GradscapeError` for a name that is neither a dataset nor one's own images.
    """
    return DATASETS[name].facts if name in DATASETS else facts_of_own(name, Path.cwd())


@cache
def facts_of_own(name: str, here: Path) -> Facts:
    """`here`, the folder that a relative path starts from, tells two calls apart."""
    return own.facts(name)


def acquire(name: str, data_dir: str | None = None) -> Dataset:
    """The dataset `name`, whole and checked.

    `data_dir`, or `GRADSCAPE_DATA` in the environment, is a folder that holds the
    official files; without either they are downloaded. Raises `GradscapeError` for a
    missing or damaged file and for a failed download.
    """
    if name not in DATASETS:
        return replace(own.read(name), name=name)
    folder = data_dir or os.environ.get("GRADSCAPE_DATA")
    return DATASETS[name].read(name, Path(folder).expanduser() if folder else None)
