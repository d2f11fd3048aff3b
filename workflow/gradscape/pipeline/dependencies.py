"""The code files that a job's result depends on: its module, what that imports, and so on.

They are inputs of the job, compared by content, and read from the source text, because
importing takes seconds. Whatever cannot change a result is left out, or a better progress
bar would cost weeks of training.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from gradscape.base.paths import PACKAGE, nearby
from gradscape.spec import registry
from gradscape.spec.settings import SETTINGS
from gradscape.spec.study import Run

# Modules that a result does not depend on, or only through what is an input by itself:
# the data, which have a checksum, and settings, which are parameters of the rules.
WITHOUT_EFFECT = {"base/errors", "base/files", "base/paths", "base/download"}
WITHOUT_EFFECT |= {"spec/registry", "spec/options", "spec/settings", "spec/study"}
WITHOUT_EFFECT |= {"data/datasets", "data/store", "runs/live", "runs/record"}
WITHOUT_EFFECT |= {"models/sealed"}
WITHOUT_EFFECT |= {f"training/{m}" for m in ("checkpoint", "lease", "trackers")}

TRAINING, PROBING = "training/train", "probes/trained"
CALLED = ["model", "loss", "optimiser", "schedule", "split"]  # others are values

# Figures and tables that call metrics by their names.
BY_NAME = {name: ["claims/metrics"] for name in ("phase", "coordinates")}

IMPORT = re.compile(
    rf"^ *(?:import ({PACKAGE.name}[\w.]*)"
    rf"|from ({PACKAGE.name}[\w.]*) import (?:\(([\w\s,]*)\)|([\w ,]*)))",
    re.MULTILINE,
)


@cache
def imports(path: Path) -> frozenset[Path]:
    """The package's modules that a file imports, also inside its functions; of the user's
    own file also those beside it."""
    found = set() if path.is_relative_to(PACKAGE) else registry.beside(path)
    for whole, module, several, some in IMPORT.findall(path.read_text("utf-8")):
        names = re.findall(r"\w+", several or some)
        for name in [whole or module, *(f"{module}.{name}" for name in names)]:
            below = PACKAGE.joinpath(*name.split(".")[1:])
            found |= {below.with_suffix(".py"), below / "__init__.py"}
    return frozenset(path for path in found if path.is_file())


def closure(starts: list[Path], left_out: Callable[[Path], bool]) -> list[Path]:
    """These files and all that they import, without those that are left out."""
    found, waiting = set(), starts
    while waiting:
        path = waiting.pop()
        if path not in found and not left_out(path):
            found.add(path)
            waiting += imports(path)
    return sorted(found)


def own_files(kind: str, name: str) -> list[Path]:
    """The user's own file that a name stands for, and those beside it that it imports."""
    start = [registry.source(kind, name)]
    return closure(start, lambda path: path.is_relative_to(PACKAGE))


def listing(folder: Path) -> str:
    """How many files a folder holds, their bytes and the youngest's date; of no folder
    nothing."""
    paths = (Path(at, name) for at, _, names in os.walk(folder) for name in names)
    files = [path.stat() for path in paths if path.exists()]  # a link may lead nowhere
    newest = max((file.st_mtime_ns for file in files), default=0)
    size = sum(file.st_size for file in files)
    return f"{len(files)} files, {size} bytes, {newest}" if files else ""


def has_no_effect(path: Path) -> bool:
    """Tell whether no result depends on a module."""
    if not path.is_relative_to(PACKAGE):
        return False
    name = path.relative_to(PACKAGE).with_suffix("").as_posix()
    is_empty = path.stem == "__init__" and name != "models/__init__"
    return is_empty or name in WITHOUT_EFFECT


def of(*parts: str | tuple[str, str]) -> list[str]:
    """The code of modules (`"training/train"`), and of what names stand for (`("model",
    "vgg08")`), as the input of a rule: paths from the working directory."""
    return seen_from(Path.cwd(), *parts)


@cache
def seen_from(here: Path, *parts: str | tuple[str, str]) -> list[str]:
    starts = [
        PACKAGE / f"{part}.py" if isinstance(part, str) else registry.source(*part)
        for part in parts
    ]
    return [nearby(path) for path in closure(starts, has_no_effect)]


def called(run: Run, *settings: str) -> list[tuple[str, str]]:
    """The functions that these settings of a run name, by kind and name in the registry."""
    return [(SETTINGS[key].named.kind, getattr(run.settings, key)) for key in settings]


def of_training(run: Run) -> list[str]:
    """The code that a training calls."""
    return of(TRAINING, *called(run, *CALLED))


def beyond(module: str, *parts: tuple[str, str]) -> list[str]:
    """The code of what names stand for, without what the module imports itself."""
    imported = {*of(module)}
    return [file for file in of(module, *parts) if file not in imported]


def digest(files: Iterable[str]) -> str:
    """A digest of what files say, wherever they lie."""
    parts = sorted(hashlib.sha256(Path(file).read_bytes()).digest() for file in files)
    return hashlib.sha256(b"".join(parts)).hexdigest()
