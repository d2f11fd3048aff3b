"""The user's own images as a folder with a folder for each class."""

import warnings
from pathlib import Path

import numpy as np

from gradscape.base.errors import GradscapeError
from gradscape.base.files import reading, say
from gradscape.data import Facts
from gradscape.data.own import MAX_FILE, check_size, counted
from gradscape.data.store import Dataset, joined, shuffled
from gradscape.spec.labels import listing

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
GREY = ("1", "L", "LA")  # Pillow's modes of one channel
DEEP = ("I", "F")  # first letters of the modes with more than 8 bits
PARTS = ("train", "training", "test", "testing", "val", "valid", "validation")
LEFT_BY_SYSTEMS = ("Thumbs.db", "desktop.ini", "__MACOSX")
Listed = list[tuple[Path, int]]  # an image's file and its label


def images_by_class(folder: Path) -> tuple[list[str], Listed, Listed]:
    """Names of the classes, and the images to train and to test with."""
    parts = [folder / "train", folder / "test"]
    if not all(part.is_dir() for part in parts):
        parts = [folder]
        found = [path.name for path in visible(folder, folders=True)]
        if found and all(name.lower() in PARTS for name in found):
            hint = "rename them (a `split` takes the validation images from train/)"
            has = listing([f"{name}/" for name in found])
            raise GradscapeError(
                f"{folder}: has {has}, where train/ and test/ are needed; {hint}"
            )
    names = [path.name for path in visible(parts[0], folders=True)]
    if len(names) < 2:
        number = f"{len(names)} class folders"
        raise GradscapeError(f"{parts[0]}: {number}, where two are the least")
    found: list[Listed] = [[], []]
    for images, part in zip(found, parts, strict=False):
        for path in visible(part, folders=True):
            if path.name not in names:
                raise GradscapeError(f"{path}: a class that {parts[0]} does not have")
            inside = visible(path)
            if not inside:
                raise GradscapeError(f"{path}: holds no images")
            images += [(image, names.index(path.name)) for image in inside]
    if len(parts) == 2 and not found[1]:
        raise GradscapeError(f"{parts[1]}: holds no images")
    return names, *found


def visible(folder: Path, folders: bool = False) -> list[Path]:
    """The files and folders in a folder, or its folders only, by name; none that are hidden
    or left by operating systems."""
    inside = [path for path in folder.iterdir() if path.is_dir() or not folders]
    shown = (path for path in inside if path.name not in LEFT_BY_SYSTEMS)
    return sorted(path for path in shown if path.name[0] != ".")


def pixels_of(path: Path) -> np.ndarray:
    """An image, uint8 [h, w, channels]: one channel if the file is grey. Formats that are
    not listed above are programs (PostScript starts Ghostscript) or call some."""
    from PIL import Image

    if path.is_dir():
        raise GradscapeError(f"{path}: a folder where an image was expected")
    bomb = Image.DecompressionBombWarning  # above 89 million pixels
    with (
        reading(path, MAX_FILE, "not an image that can be read"),
        warnings.catch_warnings(action="error", category=bomb),
        Image.open(path, formats=FORMATS) as image,
    ):
        if image.mode.startswith(DEEP):
            raise ValueError("more than 8 bits a pixel")
        check_size(path, image.width * image.height * len(image.getbands()))
        grey = image.mode in GREY
        pixels = np.asarray(image.convert("L" if grey else "RGB"))
    return pixels[..., None] if grey else pixels


def facts(name: str) -> Facts:
    """Facts from names and the first image."""
    classes, train, test = images_by_class(Path(name))
    path = train[0][0]
    height, width, channels = pixels_of(path).shape
    if height != width:
        raise GradscapeError(f"{path}: {width}x{height} pixels, where a square is needed")
    check_size(name, (len(train) + len(test)) * channels * height**2)
    return counted(Path(name), channels, height, len(classes), len(train), len(test))


def read(name: str) -> Dataset:
    known = facts(name)
    classes, *parts = images_by_class(Path(name))
    kept = {path for part in parts for path, _ in part}
    kept |= {folder for path in kept for folder in path.parents}
    others = (path for path in Path(name).rglob("*") if path not in kept)
    if left := sorted({path.name for path in others if path.parent in kept}):
        say(f"{name}: passed over {listing(left)}, which are none of its images")
    first, size = parts[0][0][0], known.size
    read = []
    for part in filter(None, parts):
        images = np.empty((len(part), size, size, known.channels), np.uint8)
        for image, (path, _) in zip(images, part, strict=True):
            pixels = pixels_of(path)
            height, width, channels = pixels.shape
            if (height, width) != (size, size):
                found = f"{width}x{height} pixels, where {first} has {size}x{size}"
                raise GradscapeError(f"{path}: {found}")
            if channels > known.channels:
                raise GradscapeError(f"{path}: in colours, where {first} is grey")
            image[:] = pixels  # a grey image among colour ones: the same in each channel
        read.append((images, np.array([label for _, label in part])))
    if len(read) == 2:
        read = [shuffled(*part) for part in read]
    return joined(name, "own folder", classes, *read)
