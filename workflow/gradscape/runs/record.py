"""A run's record, `run.json`: what someone needs to believe the run, read and written here.

It holds the digests of the run's tables and, last, that of its other lines. A disk may have
torn it, and somebody else may have sent it: what is missing or of the wrong kind ends in a
`Damaged` that names the file and the field.
"""

import csv
import json
import math
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from gradscape.base import files
from gradscape.base.errors import GradscapeError
from gradscape.base.files import SEAL, say, seal, sha256, write_record
from gradscape.base.paths import RECORD, SEALED
from gradscape.spec.settings import DEFAULTS, SETTINGS

MAX_BYTES = 2**31  # of a table; guards against decompression bombs
MAX_RECORD = 2**20
MAX_TEXT = 1000  # letters of a name or a path in a record
CHANGED = "it is not as it was written"
MIGRATION = "migration"
VERSION = 2  # of the records that are written today


@dataclass(frozen=True, slots=True)
class Data:
    """The images that a run saw: their digest, and how many were in which part."""

    name: str
    source: str
    classes: int
    sha256: str
    train: int
    validation: int
    test: int


@dataclass(frozen=True)
class Backend:
    """Two runs whose backends are equal and exact have the same bytes in metrics.csv."""

    device: str
    kind: str
    precision: str
    deterministic: bool
    threads: int
    torch: str
    layout: str = "channels_last"


@dataclass(frozen=True, slots=True)
class Revision:
    """The git commit of the code, and whether tracked files were changed."""

    commit: str | None
    dirty: bool | None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The fields of `run.json`, in its order; null is what was not recorded.

    `flops` are of one image's forward pass. `diverged` is an epoch. `sha256` holds the
    digest of each table that the run has, which `write` fills in. `sealed_at` is set where
    the digests were made later than the tables: on `migration`, from an older format.
    From `version` 2 on, an epoch's training loss and accuracy are means over its images,
    before over its minibatches, of which the last may be smaller.
    """

    study: str
    run: str
    varied: dict
    settings: dict
    data: Data
    parameters: int
    flops: float | None
    pretrained_sha256: str | None
    best_epoch: int
    diverged: int | None
    backend: Backend
    seconds_training: float
    seconds_probing: float | None
    seconds_last_attempt: float
    images_per_second: float
    peak_memory_bytes: dict
    resumed: int
    revision: Revision
    versions: dict
    sha256: dict = field(default_factory=dict)
    sealed_at: str | None = None
    version: int = 1

    @property
    def by_minibatch(self) -> bool:
        """Whether images of a smaller last minibatch count for more in training means."""
        size, images = self.settings["batch_size"], self.data.train
        return self.version == 1 and images > size and images % size > 0


POSITIVE = {"settings.learning_rate", "data.classes", "data.test"}
POSITIVE |= {"seconds_training", "images_per_second"}
NEEDED = ("model", "learning_rate", "seed")  # of the settings; others have defaults


class Damaged(GradscapeError):
    """A file of a finished run is not what gradscape wrote."""


def revision(here: Path = Path(__file__).parent) -> Revision:
    """The git commit of the code, and whether its tracked files were changed; results do
    not count, because published ones are tracked as well."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=here, capture_output=True, encoding="utf-8", check=True
        ).stdout.strip()

    try:
        code = (":(top)", ":(top,exclude)results")
        dirty = bool(git("status", "--porcelain", "--untracked-files=no", "--", *code))
        return Revision(git("rev-parse", "HEAD"), dirty)
    except (OSError, subprocess.CalledProcessError):
        return Revision(None, None)


def reading(path: Path, most: int = MAX_BYTES) -> AbstractContextManager[None]:
    """Turn whatever a torn file makes its reader raise into a `Damaged` that names it."""
    return files.reading(path, most, kind=Damaged)


def read(path: Path) -> RunRecord:
    """The record of a finished run, with its seal unbroken and every field checked; younger
    settings have their defaults. Raises `Damaged`."""
    with reading(path, MAX_RECORD):
        content = json.loads(path.read_text("utf-8"))
        record = decoded(RunRecord, content)
        check_choices(record)
        if content.get(SEAL) != seal(content):
            raise ValueError(CHANGED)
        return replace(record, settings=DEFAULTS | record.settings)


def write(path: Path, record: RunRecord) -> None:
    """Write a run's record, which seals the tables beside it: it is finished."""
    tables = [path.with_name(name) for name in SEALED]
    digests = {table.name: sha256(table) for table in tables if table.exists()}
    content = asdict(record) | {"sha256": digests}
    for name, unset in (("sealed_at", None), ("version", 1)):
        if content[name] == unset:
            del content[name]
    write_record(path, content)


def summary(folder: Path) -> str:
    """A finished run in a line: `study/run: test accuracy 9.85 % after 81 s`."""
    record = read(folder / RECORD)
    with (folder / "test.csv").open(newline="", encoding="utf-8") as file:
        accuracy = float(next(csv.DictReader(file))["test_accuracy"])
    line = f"{record.study}/{record.run}: test accuracy {100 * accuracy:.2f} %"
    line += f" after {record.seconds_training:.0f} s"
    return f"{line}, diverged in epoch {record.diverged}" if record.diverged else line


def sound_runs(folder: Path, reader: Callable[[Path], Any]) -> Iterator[Any]:
    """Each finished run below a results folder, as `reader` reads it from its record's
    path; damaged ones are named and left out."""
    for path in sorted(folder.glob(f"runs/*/*/{RECORD}")):
        try:
            yield reader(path)
        except Damaged as error:
            say(f"{error}; the run is left out")


def decoded(kind: type, content: Any, within: str = "") -> Any:
    """A dataclass from JSON; raises `ValueError` for a field that is missing or wrong."""
    values = {}
    for known in fields(kind):
        at = within + known.name
        if isinstance(content, dict) and known.name in content:
            value = content[known.name]
            if is_dataclass(known.type):
                value = decoded(known.type, value, f"{at}.")
            else:
                check_kind(at, value, get_args(known.type) or (known.type,))
            values[known.name] = value
        elif MISSING is known.default is known.default_factory:
            raise ValueError(f"{at} is missing")
    return kind(**values)


def check_choices(record: RunRecord) -> None:
    """Raise `ValueError` for a setting, or one that the study varies, of a wrong kind."""
    for name in NEEDED:
        if name not in record.settings:
            raise ValueError(f"settings.{name} is missing")
    for name, value in record.settings.items():
        if name in NEEDED or (name in SETTINGS and value is not None):
            check_kind(f"settings.{name}", value, (SETTINGS[name].type or object,))
    for name, value in record.varied.items():
        kinds = (str,) if name == "variant" else (str, float, bool, NoneType)
        check_kind(f"varied.{name}", value, kinds)


def check_kind(at: str, value: Any, kinds: tuple[type, ...]) -> None:
    if isinstance(value, bool):
        right = bool in kinds or object in kinds
    elif isinstance(value, int | float):
        right = float in kinds or isinstance(value, kinds)
        right &= math.isfinite(value) and (isinstance(value, float) or abs(value) < 2**63)
        right &= at not in POSITIVE or value > 0
    else:
        right = isinstance(value, kinds)
        if isinstance(value, str):  # half a surrogate pair is no letter of any report
            right &= len(value) <= MAX_TEXT and not re.search("[\ud800-\udfff]", value)
    if not right:
        raise ValueError(f"{at} is {str(value)[:60]!r}")
