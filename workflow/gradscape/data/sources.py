"""Where a dataset comes from: a local folder, a download, or the generator.

CIFAR is read by torchvision, which checks the md5 of every file before it unpickles it.
"""

import os
import tempfile
import time
import urllib.error
from pathlib import Path

import numpy as np

from gradscape.data import generated
from gradscape.data.store import Dataset
from gradscape.errors import GradscapeError

DOWNLOAD_ATTEMPTS = 3


def acquire(name: str, data_dir: str | None = None) -> Dataset:
    """The dataset `name`, whole and checked.

    `data_dir`, or `GRADSCAPE_DATA` in the environment, is a folder that holds the
    official archive or its extracted folder; without either the archive is downloaded.
    Raises `GradscapeError` for a missing or damaged archive and for a failed download.
    """
    if name.startswith("generated"):
        return generated.generate(int(name.removeprefix("generated")))
    folder = data_dir or os.environ.get("GRADSCAPE_DATA")
    if folder:
        return read_folder(name, Path(folder).expanduser())
    with tempfile.TemporaryDirectory(prefix="gradscape-") as scratch:
        download(name, scratch)
        return read_extracted(name, scratch, "downloaded")


def cifar(name: str):
    from torchvision.datasets import CIFAR10, CIFAR100  # slow: only where it is needed

    return {"cifar10": CIFAR10, "cifar100": CIFAR100}[name]


def read_folder(name: str, folder: Path) -> Dataset:
    """Read a dataset from a folder that holds its archive or its extracted form."""
    from torchvision.datasets.utils import check_integrity, extract_archive

    kind = cifar(name)
    archive = folder / kind.filename
    if (folder / kind.base_folder).is_dir():
        files = [*kind.train_list, *kind.test_list]
        files.append([kind.meta["filename"], kind.meta["md5"]])
        for file, md5 in files:
            path = folder / kind.base_folder / file
            if not path.exists():
                raise GradscapeError(f"{path}: missing from the extracted {name} archive")
            if not check_integrity(path, md5):
                raise GradscapeError(f"{path}: damaged: its md5 is not {md5}")
        return read_extracted(name, folder, "local folder")
    if archive.exists():
        if not check_integrity(archive, kind.tgz_md5):
            raise GradscapeError(f"{archive}: damaged: its md5 is not {kind.tgz_md5}")
        with tempfile.TemporaryDirectory(prefix="gradscape-") as scratch:
            extract_archive(str(archive), scratch)
            return read_extracted(name, scratch, "local archive")
    raise GradscapeError(
        f"{folder}: holds neither {kind.filename} nor {kind.base_folder}/, "
        f"so there is no {name} to read"
    )


def download(name: str, folder: str) -> None:
    kind = cifar(name)
    for attempt in range(1, DOWNLOAD_ATTEMPTS + 1):
        try:
            kind(folder, download=True)
            return
        except (urllib.error.URLError, OSError, RuntimeError) as error:
            if attempt == DOWNLOAD_ATTEMPTS:
                raise GradscapeError(
                    f"{name}: the download failed ({error}); put {kind.filename} into a "
                    "folder and name it as data_dir in the config or in GRADSCAPE_DATA"
                ) from None
            time.sleep(2**attempt)


def read_extracted(name: str, folder: str | Path, source: str) -> Dataset:
    train, test = (cifar(name)(str(folder), train=part) for part in (True, False))
    return Dataset(
        name=name,
        source=source,
        classes=train.classes,
        train=len(train.data),
        images=np.concatenate([train.data, test.data]),
        labels=np.concatenate([train.targets, test.targets]).astype(np.uint8),
    )
