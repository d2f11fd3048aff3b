"""CIFAR, SVHN and Fashion-MNIST from their official files, local or downloaded. Nothing is
unpacked, unpickled or read before its md5, which torchvision knows, has been checked."""

import gzip
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from gradscape.base.download import Failed, fetch
from gradscape.base.errors import GradscapeError
from gradscape.base.files import say
from gradscape.data.store import Dataset, joined

ATTEMPTS = 3  # at a download

Files = dict[str, tuple[str, str]]  # by name, a file's address and its md5


@contextmanager
def files_of(name: str, files: Files, folder: Path | None) -> Iterator[Path]:
    """A folder with the official files, checked: the user's, or a temporary one."""
    from torchvision.datasets.utils import check_integrity  # slow: only where it is needed

    if folder is None:
        with tempfile.TemporaryDirectory(prefix="gradscape-") as scratch:
            download(name, files, Path(scratch))
            yield Path(scratch)
        return
    for file, (_, md5) in files.items():
        path = folder / file
        if not path.exists():
            without = f"{file}, so there is no {name} to read"
            raise GradscapeError(f"{folder}: holds no {without}")
        if not check_integrity(path, md5):
            raise GradscapeError(f"{path}: damaged: its md5 is not {md5}")
    yield folder


def download(name: str, files: Files, folder: Path) -> None:
    wanted, place = ", ".join(files), "in the environment as GRADSCAPE_DATA"
    say(f"{name}: downloading {wanted}; if it is on this machine, name its folder {place}")
    for file, (url, md5) in files.items():
        for attempt in range(1, ATTEMPTS + 1):
            try:
                fetch(url, folder / file, "md5", md5)
                break
            except Failed as error:
                if attempt == ATTEMPTS:
                    instead = f"put {wanted} into a folder and name that {place}"
                    sentence = f"{name}: the download failed ({error}); {instead}"
                    raise GradscapeError(sentence) from None
                time.sleep(2**attempt)


def origin(folder: Path | None, local: str = "local folder") -> str:
    return "downloaded" if folder is None else local


def cifar(name: str, folder: Path | None) -> Dataset:
    """CIFAR-10 and CIFAR-100 (Krizhevsky 2009), from the archive or its extracted form."""
    from torchvision.datasets import CIFAR10, CIFAR100
    from torchvision.datasets.utils import extract_archive

    kind = {"cifar10": CIFAR10, "cifar100": CIFAR100}[name]

    def read(folder: Path, source: str) -> Dataset:
        train, test = (kind(str(folder), train=part) for part in (True, False))
        parts = [(part.data, part.targets) for part in (train, test)]
        return joined(name, source, train.classes, *parts)

    if folder is not None and (folder / kind.base_folder).is_dir():
        listed = [*kind.train_list, *kind.test_list]
        listed.append([kind.meta["filename"], kind.meta["md5"]])
        extracted = {f"{kind.base_folder}/{file}": ("", md5) for file, md5 in listed}
        with files_of(name, extracted, folder):
            return read(folder, "local folder")
    if folder is not None and not (folder / kind.filename).exists():
        without = f"{kind.base_folder}/, so there is no {name} to read"
        raise GradscapeError(f"{folder}: holds neither {kind.filename} nor {without}")
    archive = {kind.filename: (kind.url, kind.tgz_md5)}
    with (
        files_of(name, archive, folder) as checked,
        tempfile.TemporaryDirectory(prefix="gradscape-") as scratch,
    ):
        extract_archive(str(checked / kind.filename), scratch)
        return read(Path(scratch), origin(folder, "local archive"))


def svhn(name: str, folder: Path | None) -> Dataset:
    """Street View House Numbers, cropped digits (Netzer et al. 2011), without the extras:
    `train_32x32.mat` and `test_32x32.mat`."""
    from torchvision.datasets import SVHN

    parts = [SVHN.split_list[part] for part in ("train", "test")]
    with files_of(name, {file: (url, md5) for url, file, md5 in parts}, folder) as checked:
        train, test = (SVHN(str(checked), split=part) for part in ("train", "test"))
    parts = [(part.data.transpose(0, 2, 3, 1), part.labels) for part in (train, test)]
    return joined(name, origin(folder), [str(digit) for digit in range(10)], *parts)


def fashion_mnist(name: str, folder: Path | None) -> Dataset:
    """Fashion-MNIST (Xiao et al. 2017): one channel, 28 × 28; four `.gz` files, which may
    lie in `FashionMNIST/raw/`, where torchvision puts them."""
    from torchvision.datasets import FashionMNIST

    mirror, resources = FashionMNIST.mirrors[0], FashionMNIST.resources
    files = {file: (mirror + file, md5) for file, md5 in resources}
    if folder is not None and (folder / "FashionMNIST/raw").is_dir():
        folder = folder / "FashionMNIST/raw"
    with files_of(name, files, folder) as checked:
        train, labels, test, test_labels = (idx(checked / file) for file in files)
    classes = list(FashionMNIST.classes)
    return joined(name, origin(folder), classes, (train, labels), (test, test_labels))


def idx(path: Path) -> np.ndarray:
    """The array in a packed file of MNIST's format: two zeros, its type (here uint8), its
    number of dimensions, these, its values."""
    content = gzip.decompress(path.read_bytes())
    dimensions = content[3]
    shape = np.frombuffer(content, ">i4", dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
