"""The datasets by name, and what is known about each without reading it. Besides these, a
dataset can be the user's own images: `gradscape.data.own`."""

import os
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from gradscape.base.errors import GradscapeError
from gradscape.data import Facts
from gradscape.spec import registry

if TYPE_CHECKING:
    from gradscape.data.store import Dataset

# Each dataset's reader, and the facts of what it reads. Readers are functions of this
# folder, named as text because checking a configuration loads no numpy. They take the
# dataset's name and the user's folder of official files, None to download them.
DATASETS = {
    "cifar10": ("official:cifar", Facts(3, 32, 10, 50_000, 10_000)),
    "cifar100": ("official:cifar", Facts(3, 32, 100, 50_000, 10_000)),
    "svhn": ("official:svhn", Facts(3, 32, 10, 73_257, 26_032)),
    "fashion-mnist": ("official:fashion_mnist", Facts(1, 28, 10, 60_000, 10_000)),
    "generated10": ("generated:generate", Facts(3, 32, 10, 10_000, 1_000)),
    "generated10-small": ("generated:generate", Facts(3, 16, 10, 10_000, 1_000)),
    "generated100": ("generated:generate", Facts(3, 32, 100, 10_000, 1_000)),
}


def facts(name: str) -> Facts:
    """Shape, classes and numbers of images, by the cheapest look at the user's own. Raises
    `GradscapeError` for a name that is neither a dataset nor the user's own images."""
    return DATASETS[name][1] if name in DATASETS else facts_of_own(name, Path.cwd())


@cache
def facts_of_own(name: str, here: Path) -> Facts:
    """`here`, the folder that a relative path starts from, tells two calls apart."""
    return reader_of_own(name).facts(name)


def reader_of_own(name: str) -> ModuleType:
    """The module that reads the user's own function, folder or `.npz` file."""
    kind = "own"
    if not registry.is_custom(name):
        kind = "folder" if Path(name).is_dir() else "npz"
        if kind == "npz" and Path(name).suffix != ".npz":
            if "/" in name:
                raise GradscapeError(f"dataset {name!r}: no such folder")
            registry.check("dataset", name)
    return import_module(f"gradscape.data.{kind}")


def acquire(name: str, data_dir: str | None = None) -> "Dataset":
    """The dataset `name`, complete and checked. The official files are in `data_dir`, else
    in the folder `GRADSCAPE_DATA` of the environment, else downloaded. Raises
    `GradscapeError` for a missing or damaged file and for a failed download."""
    if name not in DATASETS:
        return replace(reader_of_own(name).read(name), name=name)
    folder = data_dir or os.environ.get("GRADSCAPE_DATA")
    module, function = DATASETS[name][0].split(":")
    read = getattr(import_module(f"gradscape.data.{module}"), function)
    return read(name, Path(folder).expanduser() if folder else None)


def prepared(name: str, root: Path) -> "Dataset":
    """The dataset in its folder below `root`, acquired first if it is not there."""
    from gradscape.data.store import load, save

    folder = root / registry.short(name)
    if not (folder / "dataset.json").exists():
        save(acquire(name), folder)
    return load(folder, name)
