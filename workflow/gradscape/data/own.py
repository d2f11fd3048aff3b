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

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile

from gradscape.base.errors import GradscapeError
from gradscape.data.facts import Facts
from gradscape.data.store import Dataset
from gradscape.spec import registry

GREY = ("1", "L", "LA")  # Pillow's modes of one channel
DEEP = ("I", "F")  # first letters of the modes with more than 8 bits
Part = tuple[np.ndarray, np.ndarray]  # images and labels
HELD_OUT = 6  # one image in six is for testing, where nothing else is


def facts(name: str) -> Facts:
    """What there is, by the cheapest look: headers and labels, or names and one image."""
    if registry.is_custom(name):
        return read(name).facts
    path = located(name)
    if path.is_dir():
        classes, train, test = listing(path)
        return counted(name, *shape_of(train[0][0]), len(classes), len(train), len(test))
    with opened(path) as arrays:
        return layout(path, arrays)[0]


def read(name: str) -> Dataset:
    """The user's own dataset, complete and checked."""
    if registry.is_custom(name):
        return from_function(name)
    path = located(name)
    return from_folder(name, path) if path.is_dir() else from_npz(name, path)


def located(name: str) -> Path:
    """The folder or the file that a dataset's name stands for."""
    path = Path(name)
    if not path.is_dir() and path.suffix != ".npz":
        if "/" in name:
            raise GradscapeError(f"dataset {name!r}: no such folder")
        registry.check("dataset", name)
    return path


# What all images must be


def shape_of_pixels(where: str, shape: tuple, dtype: np.dtype) -> tuple[int, int]:
    """Channels and size of images; raises `GradscapeError` if they are no images."""
    if dtype != np.uint8:
        raise GradscapeError(f"{where}: {dtype}, where uint8 is needed")
    if len(shape) not in (3, 4) or shape[1] != shape[2]:
        raise GradscapeError(
            f"{where}: {list(shape)}, where [n, size, size] or [n, size, size, channels] "
            "is needed"
        )
    channels = 1 if len(shape) == 3 else shape[3]
    if channels not in (1, 3):
        raise GradscapeError(f"{where}: {channels} channels, where 1 or 3 are needed")
    if 0 in shape:
        raise GradscapeError(f"{where}: holds no images")
    return channels, shape[1]


def check_labels(
    where: str, labels: np.ndarray, images: int, classes: int | None = None
) -> None:
    """Refuse all but whole numbers from 0, one per image, each a known class."""
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise GradscapeError(
            f"{where}: {labels.dtype} {list(labels.shape)}, where [n] whole numbers are "
            "needed"
        )
    if len(labels) != images:
        raise GradscapeError(f"{where}: {len(labels)} for {images} images")
    if labels.min() < 0:
        raise GradscapeError(f"{where}: one is {labels.min()}, where they begin at 0")
    if classes is not None and labels.max() >= classes:
        raise GradscapeError(
            f"{where}: one is {labels.max()}, where the {classes} classes are 0 to "
            f"{classes - 1}"
        )


def counted(
    name: str, channels: int, size: int, classes: int, train: int, test: int
) -> Facts:
    """The facts, with test images set aside from the training images if there are none."""
    if classes < 2:
        raise GradscapeError(f"{name}: two classes are the least, this has {classes}")
    if test == 0:
        test = train // HELD_OUT
        train -= test
    if train < 2 or test < 1:
        raise GradscapeError(
            f"{name}: too few images: {train} to train and {test} to test with"
        )
    return Facts(channels, size, classes, train, test)


def shuffled(images: np.ndarray, labels: np.ndarray) -> Part:
    order = np.random.RandomState(0).permutation(len(labels))
    return images[order], labels[order]


def assembled(
    name: str,
    source: str,
    classes: list[str],
    train: Part,
    test: Part | None = None,
) -> Dataset:
    """A dataset from its parts; without a test part, some images are set aside.

    Labels take one byte each where that is enough.
    """
    if test is None:
        images, labels = shuffled(*train)
        known = len(labels) - len(labels) // HELD_OUT
    else:
        # [n, h, w] may stand beside [n, h, w, 1].
        parts = [pixels.reshape(*pixels.shape[:3], -1) for pixels, _ in (train, test)]
        images, labels = np.concatenate(parts), np.concatenate([train[1], test[1]])
        known = len(train[1])
    images = images.reshape(*images.shape[:3], -1)
    labels = labels.astype(np.min_scalar_type(len(classes) - 1))
    return Dataset(name, source, classes, known, images, labels)


# A function


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


# An .npz file

BROKEN = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


@contextmanager
def opened(path: Path) -> Iterator[NpzFile]:
    """The arrays of an `.npz` file; nothing in it is ever unpickled."""
    try:
        with path.open("rb") as file, NpzFile(file, allow_pickle=False) as arrays:
            yield arrays
    except FileNotFoundError:
        raise GradscapeError(f"{path}: missing") from None
    except BROKEN as error:
        raise GradscapeError(f"{path}: not a whole .npz of arrays ({error})") from None


def header(path: Path, arrays: NpzFile, key: str) -> tuple[tuple, np.dtype]:
    """Shape and type of an array; nothing else of it is read."""
    if key not in arrays.files:
        known = ", ".join(arrays.files) or "nothing"
        raise GradscapeError(f"{path}: has no `{key}` (it has: {known})")
    numpy_format = np.lib.format
    with arrays.zip.open(f"{key}.npy") as file:
        if numpy_format.read_magic(file) == (1, 0):
            shape, _, dtype = numpy_format.read_array_header_1_0(file)
        else:
            shape, _, dtype = numpy_format.read_array_header_2_0(file)
    if dtype.hasobject:
        raise GradscapeError(f"{path}: {key}: Python objects, which are not read")
    return shape, dtype


def small(path: Path, arrays: NpzFile, key: str) -> np.ndarray:
    header(path, arrays, key)
    return arrays[key]


def layout(path: Path, arrays: NpzFile) -> tuple[Facts, list[str], list[np.ndarray]]:
    """Facts, names of the classes, and the labels of each part, checked."""
    parts = [""]
    if {"test_images", "test_labels"} & {*arrays.files}:
        parts.append("test_")
    shapes, labels = [], []
    for part in parts:
        images = header(path, arrays, f"{part}images")
        shapes.append(shape_of_pixels(f"{path}: {part}images", *images))
        labels.append(small(path, arrays, f"{part}labels"))
        check_labels(f"{path}: {part}labels", labels[-1], images[0][0])
    if shapes[-1] != shapes[0]:
        (channels, size), (others, other) = shapes
        raise GradscapeError(
            f"{path}: test_images: {others}x{other}x{other}, where images are "
            f"{channels}x{size}x{size}"
        )
    if "classes" in arrays.files:
        classes = [str(name) for name in small(path, arrays, "classes").ravel()]
    else:
        classes = numbered(path, labels[0])
    for part, of_part in zip(parts, labels, strict=True):
        check_labels(f"{path}: {part}labels", of_part, len(of_part), len(classes))
    train, test = [*map(len, labels), 0][:2]
    return counted(str(path), *shapes[0], len(classes), train, test), classes, labels


def numbered(path: Path, labels: np.ndarray) -> list[str]:
    """The classes by number, if they have no names; each must have an image."""
    found = np.unique(labels)
    empty = np.flatnonzero(found != np.arange(len(found)))
    if len(empty):
        raise GradscapeError(
            f"{path}: labels: none is {empty[0]}, where they begin at 0; name the classes "
            "in `classes` if one has no images"
        )
    return [str(number) for number in found]


def from_npz(name: str, path: Path) -> Dataset:
    with opened(path) as arrays:
        _, classes, labels = layout(path, arrays)
        images = [arrays[key] for key in ("images", "test_images")[: len(labels)]]
    return assembled(name, "own file", classes, *zip(images, labels, strict=True))


# A folder

Listed = list[tuple[Path, int]]  # an image's file and its label


def listing(folder: Path) -> tuple[list[str], Listed, Listed]:
    """Names of the classes, and the images to train and to test with."""
    parts = [folder / "train", folder / "test"]
    if not all(part.is_dir() for part in parts):
        parts = [folder]
    classes = visible(parts[0], folders=True)
    names = [path.name for path in classes]
    if len(names) < 2:
        raise GradscapeError(
            f"{parts[0]}: {len(names)} class folders, where two are the least"
        )
    found: list[Listed] = [[], []]
    for images, part in zip(found, parts, strict=False):
        for path in visible(part, folders=True):
            if path.name not in names:
                raise GradscapeError(f"{path}: a class that {parts[0]} does not have")
            images += [(image, names.index(path.name)) for image in visible(path)]
            if not images or images[-1][0].parent != path:
                raise GradscapeError(f"{path}: holds no images")
    if len(parts) == 2 and not found[1]:
        raise GradscapeError(f"{parts[1]}: holds no images")
    return names, *found


def visible(folder: Path, folders: bool = False) -> list[Path]:
    """What is in a folder, by name, without hidden files; or only the folders in it."""
    inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
    return sorted(path for path in inside if path.is_dir() or not folders)


def pixels_of(path: Path) -> np.ndarray:
    """An image, uint8 [h, w, channels]: one channel if the file is grey."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode.startswith(DEEP):
                raise ValueError("more than 8 bits a pixel")
            grey = image.mode in GREY
            pixels = np.asarray(image.convert("L" if grey else "RGB"))
    except IsADirectoryError:
        raise GradscapeError(f"{path}: a folder where an image was expected") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise GradscapeError(f"{path}: not an image that can be read ({error})") from None
    return pixels[..., None] if grey else pixels


def shape_of(path: Path) -> tuple[int, int]:
    """Channels and size of an image, which must be square."""
    height, width, channels = pixels_of(path).shape
    if height != width:
        raise GradscapeError(f"{path}: {width}x{height} pixels, where a square is needed")
    return channels, height


def from_folder(name: str, folder: Path) -> Dataset:
    classes, *parts = listing(folder)
    first = parts[0][0][0]
    channels, size = shape_of(first)
    counted(name, channels, size, len(classes), *map(len, parts))
    read = []
    for part in filter(None, parts):
        images = np.empty((len(part), size, size, channels), np.uint8)
        labels = np.array([label for _, label in part])
        for image, (path, _) in zip(images, part, strict=True):
            pixels = pixels_of(path)
            if pixels.shape[:2] != (size, size):
                height, width, _ = pixels.shape
                raise GradscapeError(
                    f"{path}: {width}x{height} pixels, where {first} has {size}x{size}"
                )
            if pixels.shape[2] > channels:
                raise GradscapeError(f"{path}: in colours, where {first} is grey")
            image[:] = pixels  # a grey image among colour ones: the same in each channel
        read.append((images, labels))
    if len(read) == 2:
        read = [shuffled(*part) for part in read]
    return assembled(name, "own folder", classes, *read)
