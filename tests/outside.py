"""Links, pipes and folders where a file was expected, and programs called pictures."""

import io
import os
import random
import shutil
import warnings
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
from PIL import Image

from chains import CONFIG, chain, check_end, end, lasting, said, start
from gradscape.data import own
from hostile import Executed, Lost
from spoil import sentences, spoil, standing

SECRET = "a-secret-of-mine"


def links(chance: random.Random, folder: Path) -> None:
    """A link, pipe or folder in place of a file or folder of the results: nothing outside
    changes, no secret is copied, nothing waits."""
    whole, steps = chain()
    place = shutil.copytree(whole, folder / "work")
    results = place / CONFIG["results"]
    outside = folder / "outside"
    outside.mkdir()
    names = {"victim", "metrics.csv", "run.json", "config.json", "surface.csv"}
    for name in names:
        (outside / name).write_text(SECRET)
    found = sorted(results.rglob("*"))
    found += [path.with_name(f".{path.name}") for path in found]
    found += [path / ".lock" for path in found if path.is_dir()]
    out = place / "out"
    for run in results.glob("runs/*/*"):
        copy = out / run.relative_to(results)
        copy.parent.mkdir(parents=True, exist_ok=True)
        found += [copy, copy.with_name(f".{copy.name}.new"), out / "config.json"]
    for path in chance.sample(found, chance.choice([1, 1, 2, 4])):
        replace(chance, path, outside)
    check_runs = standing(results)
    words = chance.choice(
        [
            ["publish", "--config", "config.json", "--out", "out"],
            ["publish", "--config", "config.json", "--out", str(results)],
            *(["report", "page", "claims", "tex"]),
            steps["train 0"].words,
            [*steps["train 0"].words, "--overwrite"],
            steps["probe 0"].words,
            steps["figure curves"].words,
        ]
    )
    if isinstance(words, str):
        words = [words, "--config", "config.json"]
    with patch.dict(os.environ, PATH=""):  # without LaTeX
        code = end(start(place, words))
    check_end(f"{words}", code, said(place))
    check_runs()
    found = {str(path.relative_to(outside)) for path in outside.rglob("*")}
    if found != names or any((outside / name).read_text() != SECRET for name in names):
        raise Lost(f"{words}: outside was written: {sorted(found)}")
    for path in sorted(place.rglob("*")):
        within = path.is_file() and outside not in path.resolve().parents
        if within and SECRET.encode() in path.read_bytes():
            raise Lost(f"{words}: the secret is in {path}")


def replace(chance: random.Random, path: Path, outside: Path) -> None:
    """Put something else where a file or folder is, or may be made."""
    if not path.parent.is_dir() or path.parent.is_symlink():
        return
    was_folder = path.is_dir() and not path.is_symlink()
    shutil.rmtree(path) if was_folder else path.unlink(missing_ok=True)
    match chance.randrange(5):
        case 0:
            os.mkfifo(path)
        case 1:
            path.mkdir()
        case 2:
            path.symlink_to(outside / "missing")
        case _:
            path.symlink_to(outside if was_folder else outside / "victim")


# Pictures

SIZE = 8  # pixels a side
FORMATS = ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO", "TGA", "PCX", "EPS"]
FORMATS += ["PDF", "SGI", "DDS", "ICNS", "JPEG2000", "MSP", "XBM", "SPIDER"]


@cache
def ghostscript() -> Path:
    """The folder of a `gs` that leaves a trace instead of drawing."""
    folder = lasting()
    (folder / "gs").write_text('#!/bin/sh\n: > "$CANARY"\n')
    (folder / "gs").chmod(0o755)
    return folder


def painted(chance: random.Random) -> bytes:
    """A picture in one of many formats, as Pillow writes it."""
    file = io.BytesIO()
    mode = chance.choice(["RGB", "RGB", "L", "1", "P", "RGBA", "CMYK", "I", "F"])
    side = chance.choice([SIZE] * 9 + [32])
    pixels = np.frombuffer(chance.randbytes(side * side * 3), np.uint8)
    image = Image.fromarray(pixels.reshape(side, side, 3)).convert(mode)
    try:
        image.save(file, chance.choice(FORMATS))
    except (OSError, KeyError, ValueError):  # not every format has every mode
        image.convert("RGB").save(file, "PNG")
    return file.getvalue()


def program(chance: random.Random, canary: Path) -> bytes:
    """What is a program to some reader."""
    postscript = (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n"
        b"(" + bytes(canary) + b") (w) file closefile\n{} loop\n"
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg"><script href="file://{canary}"/>'
        f'<image href="|touch {canary}"/></svg>'
    )
    huge = b"P6 30000 30000 255\n" + bytes(99)
    photoshop = b"8BPS\0\1" + bytes(6) + b"\0\3\0\0\0\x08\0\0\0\x08\0\x08\0\3"
    dos = b"\xc5\xd0\xd3\xc6" + (30).to_bytes(4, "little") + bytes(22) + postscript
    return chance.choice([postscript, svg.encode(), huge, photoshop, dos, b"", b"\0" * 999])


def pictures(chance: random.Random, folder: Path) -> None:
    """Anything at all as one's own images: a sentence or a dataset, and no program runs."""
    canary, photos = folder / "canary", folder / "photos"
    sound = Image.new("L", (SIZE, SIZE))
    paths = [photos / name / f"{n}.png" for name in ("cat", "dog") for n in range(4)]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        sound.save(path)
    for path in chance.sample(paths, chance.choice([1, 1, 2, 8])):
        path.unlink()
        path = path.with_suffix(chance.choice([".png", ".jpg", ".eps", ".svg", ".ico", ""]))
        match chance.randrange(12):
            case 0:
                os.mkfifo(path)
            case 1:
                path.symlink_to(
                    chance.choice(["/dev/zero", "/dev/full", folder, path.name])
                )
            case 2 | 3 | 4:
                path.write_bytes(program(chance, canary))
            case 5 | 6:
                path.write_bytes(painted(chance))
            case _:
                path.write_bytes(spoil(chance, painted(chance)))
    searched = f"{ghostscript()}{os.pathsep}{os.environ['PATH']}"
    with patch.dict(os.environ, PATH=searched, CANARY=str(canary)):
        for look in (own.facts, own.read):
            with sentences(), warnings.catch_warnings(action="ignore"):  # Pillow's
                look("photos" if chance.random() < 0.5 else str(photos))
    if canary.exists():
        raise Executed("a program called a picture")
