"""The datasets by name, and what is known about each without reading it.

Besides the names below, a dataset can be the user's own images: `gradscape.data.own`.
"""

import os
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from gradscape.data.facts import Facts
from gradscape.spec.registry import short

if TYPE_CHECKING:
    from gradscape.data.store import Dataset


@dataclass(frozen=True)
class Entry:
    """The reader of a dataset, and the facts of what it reads.

    `reader` is a `module:function` of this folder, named as text because checking a
    configuration loads no numpy. The function takes the dataset's name and the user's
    folder of official files, None to download them.
    """

    reader: str
    facts: Facts


DATASETS = {
    "cifar10": Entry("official:cifar", Facts(3, 32, 10, 50_000, 10_000)),
    "cifar100": Entry("official:cifar", Facts(3, 32, 100, 50_000, 10_000)),
    "svhn": Entry("official:svhn", Facts(3, 32, 10, 73_257, 26_032)),
    "fashion-mnist": Entry("official:fashion_mnist", Facts(1, 28, 10, 60_000, 10_000)),
    "generated10": Entry("generated:generate", Facts(3, 32, 10, 10_000, 1_000)),
    "generated10-small": Entry("generated:generate", Facts(3, 16, 10, 10_000, 1_000)),
    "generated100": Entry("generated:generate", Facts(3, 32, 100, 10_000, 1_000)),
}


def facts(name: str) -> Facts:
    """Shape, classes and numbers of images, by the cheapest look at the user's own images.

    Raises `GradscapeError` for a name that is neither a dataset nor the user's own images.
    """
    return DATASETS[name].facts if name in DATASETS else facts_of_own(name, Path.cwd())


@cache
def facts_of_own(name: str, here: Path) -> Facts:
    """`here`, the folder that a relative path starts from, tells two calls apart."""
    from gradscape.data import own

    return own.facts(name)


def acquire(name: str, data_dir: str | None = None) -> "Dataset":
    """The dataset `name`, complete and checked.

    `data_dir`, or `GRADSCAPE_DATA` in the environment, is a folder that holds the
    official files; without either they are downloaded. Raises `GradscapeError` for a
    missing or damaged file and for a failed download.
    """
    if name not in DATASETS:
        from gradscape.data import own

        return replace(own.read(name), name=name)
    folder = data_dir or os.environ.get("GRADSCAPE_DATA")
    module, function = DATASETS[name].reader.split(":")
    read = getattr(import_module(f"gradscape.data.{module}"), function)
    return read(name, Path(folder).expanduser() if folder else None)


def prepared(name: str, root: Path) -> "Dataset":
    """The dataset in its folder below `root`, acquired first if it is not there."""
    from gradscape.data.store import load, save

    folder = root / short(name)
    if not (folder / "dataset.json").exists():
        save(acquire(name), folder)
    return load(folder, name)
