"""CIFAR, SVHN and Fashion-MNIST from their official files, local or downloaded.

torchvision knows their names, addresses and md5s; nothing is unpacked, unpickled or read
before its md5 is right.
"""

import gzip
import struct
import tempfile
import time
import urllib.error
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from gradscape.data.store import Dataset
from gradscape.errors import GradscapeError

DOWNLOAD_ATTEMPTS = 3

Files = dict[str, tuple[str, str]]  # by name, where a file lies in the net, and its md5


def check(path: Path, md5: str) -> None:
    from torchvision.datasets.utils import check_integrity  # slow: only where it is needed

    if not check_integrity(path, md5):
        raise GradscapeError(f"{path}: damaged: its md5 is not {md5}")


@contextmanager
def files_of(name: str, files: Files, folder: Path | None) -> Iterator[Path]:
    """A folder that holds the official files, checked: the user's, or for a while ours."""
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="gradscape-") as scratch:
            download(name, files, scratch)
            yield Path(scratch)
        return
    for file, (_, md5) in files.items():
        if not (folder / file).exists():
            raise GradscapeError(
                f"{folder}: holds no {file}, so there is no {name} to read"
            )
        check(folder / file, md5)
    yield folder


def download(name: str, files: Files, folder: str) -> None:
    from torchvision.datasets.utils import download_url

    for file, (url, md5) in files.items():
        for attempt in range(1, DOWNLOAD_ATTEMPTS + 1):
            try:
                download_url(url, folder, file, md5)
                break
            except (urllib.error.URLError, OSError, RuntimeError) as error:
                if attempt == DOWNLOAD_ATTEMPTS:
                    wanted = ", ".join(files)
                    raise GradscapeError(
                        f"{name}: the download failed ({error}); put {wanted} into a "
                        "folder and name it as data_dir in the config or in GRADSCAPE_DATA"
                    ) from None
                time.sleep(2**attempt)


def origin(folder: Path | None, local: str = "local folder") -> str:
    return "downloaded" if folder is None else local


def cifar(name: str, folder: Path | None) -> Dataset:
    """CIFAR-10 and CIFAR-100 (Krizhevsky 2009), from the archive or its extracted form."""
    from torchvision.datasets import CIFAR10, CIFAR100
    from torchvision.datasets.utils import extract_archive

    kind = {"cifar10": CIFAR10, "cifar100": CIFAR100}[name]
    if folder is not None and (folder / kind.base_folder).is_dir():
        files = [*kind.train_list, *kind.test_list]
        files.append([kind.meta["filename"], kind.meta["md5"]])
        for file, md5 in files:
            path = folder / kind.base_folder / file
            if not path.exists():
                raise GradscapeError(f"{path}: missing from the extracted {name} archive")
            check(path, md5)
        return read_cifar(name, kind, folder, "local folder")
    if folder is not None and not (folder / kind.filename).exists():
        raise GradscapeError(
            f"{folder}: holds neither {kind.filename} nor {kind.base_folder}/, "
            f"so there is no {name} to read"
        )
    archive = {kind.filename: (kind.url, kind.tgz_md5)}
    with (
        files_of(name, archive, folder) as checked,
        tempfile.TemporaryDirectory(prefix="gradscape-") as scratch,
    ):
        extract_archive(str(checked / kind.filename), scratch)
        return read_cifar(name, kind, Path(scratch), origin(folder, "local archive"))


def read_cifar(name: str, kind, folder: Path, source: str) -> Dataset:
    train, test = (kind(str(folder), train=part) for part in (True, False))
    return Dataset(
        name=name,
        source=source,
        classes=train.classes,
        train=len(train.data),
        images=np.concatenate([train.data, test.data]),
        labels=np.concatenate([train.targets, test.targets]).astype(np.uint8),
    )


def svhn(name: str, folder: Path | None) -> Dataset:
    """Street View House Numbers, cropped digits (Netzer et al. 2011); not the extra ones.

    `folder` holds `train_32x32.mat` and `test_32x32.mat`, in which the digit 0 is 10.
    """
    from torchvision.datasets import SVHN

    parts = [SVHN.split_list[part] for part in ("train", "test")]
    with files_of(name, {file: (url, md5) for url, file, md5 in parts}, folder) as checked:
        arrays = [matlab((checked / file).read_bytes()) for _, file, _ in parts]
    return Dataset(
        name=name,
        source=origin(folder),
        classes=[str(digit) for digit in range(10)],
        train=len(arrays[0]["y"]),
        images=np.ascontiguousarray(
            np.concatenate([part["X"].transpose(3, 0, 1, 2) for part in arrays])
        ),
        labels=np.concatenate([part["y"].ravel() % 10 for part in arrays]).astype(np.uint8),
    )


def fashion_mnist(name: str, folder: Path | None) -> Dataset:
    """Fashion-MNIST (Xiao et al. 2017): one channel, 28 × 28.

    `folder` holds the four `.gz` files, or `FashionMNIST/raw/` with them, as torchvision
    leaves them.
    """
    from torchvision.datasets import FashionMNIST

    files = {
        file: (FashionMNIST.mirrors[0] + file, md5) for file, md5 in FashionMNIST.resources
    }
    if folder is not None and (folder / "FashionMNIST/raw").is_dir():
        folder = folder / "FashionMNIST/raw"
    with files_of(name, files, folder) as checked:
        arrays = [idx(gzip.decompress((checked / file).read_bytes())) for file in files]
    images, labels, test_images, test_labels = arrays
    return Dataset(
        name=name,
        source=origin(folder),
        classes=list(FashionMNIST.classes),
        train=len(labels),
        images=np.concatenate([images, test_images])[..., None],
        labels=np.concatenate([labels, test_labels]),
    )


def idx(content: bytes) -> np.ndarray:
    """The array of an idx file of bytes: two zeros, 8, the rank, the shape, the values."""
    rank = content[3]
    shape = struct.unpack(f">{rank}i", content[4 : 4 + 4 * rank])
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


# Of MATLAB's "Level 5 MAT-File Format": numbers by their type, and two kinds of elements.
MATLAB_NUMBERS = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4"}
MATLAB_NUMBERS |= {9: "<f8", 12: "<i8", 13: "<u8"}
COMPRESSED, HEADER = 15, 128


def matlab(content: bytes) -> dict[str, np.ndarray]:
    """The real arrays of a level-5 MAT-file: all that SVHN needs of scipy."""
    arrays = {}
    for kind, data in elements(memoryview(content)[HEADER:]):
        if kind == COMPRESSED:
            ((_, data),) = elements(memoryview(zlib.decompress(data)))
        _, (_, shape), (_, name), (number, values) = elements(data)
        array = np.frombuffer(values, MATLAB_NUMBERS[number])
        arrays[bytes(name).decode()] = array.reshape(np.frombuffer(shape, "<i4"), order="F")
    return arrays


def elements(content: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Type and bytes of each data element; all but compressed ones are padded to 8."""
    at = 0
    while at < len(content):
        kind, length = struct.unpack_from("<II", content, at)
        start, end = at + 8, at + 8 + length
        if kind >> 16:  # a small one: its length beside its type, its bytes behind
            kind, start, end = kind & 0xFFFF, at + 4, at + 4 + (kind >> 16)
        yield kind, content[start:end]
        at = end if kind == COMPRESSED else -(-end // 8) * 8
