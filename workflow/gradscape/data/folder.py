"""The user's own images as a folder with a folder for each class."""

from pathlib import Path

import numpy as np

from gradscape.base.errors import GradscapeError, is_short_of_memory
from gradscape.base.files import bounded_file
from gradscape.data.checks import MAX_BYTES, assembled, check_size, counted, shuffled
from gradscape.data.facts import Facts
from gradscape.data.store import Dataset

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
GREY = ("1", "L", "LA")  # Pillow's modes of one channel
DEEP = ("I", "F")  # first letters of the modes with more than 8 bits
LEFT_BY_SYSTEMS = ("Thumbs.db", "desktop.ini", "__MACOSX")
Listed = list[tuple[Path, int]]  # an image's file and its label


def listing(folder: Path) -> tuple[list[str], Listed, Listed]:
    """Names of the classes, and the images to train and to test with."""
    parts = [folder / "train", folder / "test"]
    if parts[0].is_dir() and (folder / "val").is_dir() and not parts[1].is_dir():
        raise GradscapeError(
            f"{folder}: has train/ and val/, where test/ is needed; rename val/ to test/ "
            "(a `split` takes the validation images from train/)"
        )
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
    """Files and folders in a folder, or its folders only, by name, without those that are
    hidden or left by operating systems."""
    inside = [
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and path.name not in LEFT_BY_SYSTEMS
    ]
    return sorted(path for path in inside if path.is_dir() or not folders)


def pixels_of(path: Path) -> np.ndarray:
    """An image, uint8 [h, w, channels]: one channel if the file is grey.

    Pillow may read it as one of `FORMATS` only: others are programs (PostScript starts
    Ghostscript) or call some.
    """
    from PIL import Image

    if path.is_dir():
        raise GradscapeError(f"{path}: a folder where an image was expected")
    try:
        bounded_file(path, MAX_BYTES)
        with Image.open(path, formats=FORMATS) as image:
            if image.mode.startswith(DEEP):
                raise ValueError("more than 8 bits a pixel")
            check_size(path, image.width * image.height * len(image.getbands()))
            grey = image.mode in GREY
            pixels = np.asarray(image.convert("L" if grey else "RGB"))
    except GradscapeError:
        raise
    except Exception as error:  # a torn file makes Pillow raise anything
        if is_short_of_memory(error):
            raise
        reason = str(error) or type(error).__name__
        raise GradscapeError(f"{path}: not an image that can be read ({reason})") from None
    return pixels[..., None] if grey else pixels


def shape_of(path: Path) -> tuple[int, int]:
    """Channels and size of an image, which must be square."""
    height, width, channels = pixels_of(path).shape
    if height != width:
        raise GradscapeError(f"{path}: {width}x{height} pixels, where a square is needed")
    return channels, height


def read(name: str, folder: Path) -> Dataset:
    classes, *parts = listing(folder)
    first = parts[0][0][0]
    channels, size = shape_of(first)
    check_size(folder, sum(map(len, parts)) * channels * size**2)
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


def facts(folder: Path) -> Facts:
    """Facts from names and the first image."""
    classes, train, test = listing(folder)
    return counted(str(folder), *shape_of(train[0][0]), len(classes), len(train), len(test))
