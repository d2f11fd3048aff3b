"""Whole files, sealed records, and folders that one process at a time writes."""

import csv
import ctypes
import errno
import fcntl
import hashlib
import json
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from gradscape.base.errors import GradscapeError, is_shortage
from gradscape.base.paths import LOCK

LITTLE = 2**20  # bytes: a disk with less is full
HIDING = ("requested and", "inline_container")  # numpy's, torch's: nothing could be written
SEAL = "record_sha256"  # of the other lines of a record


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A hidden path to write to, which becomes `path` when the block ends without error.

    Creates the folder if it is missing; after an error `path` is as it was before. Of two
    processes that write the same file, one waits. File and folder reach the disk before
    this returns, so that a power cut leaves the old file or the new one. Raises the
    system's `OSError` where it cannot be written, whatever numpy or torch call that, and
    `GradscapeError` where a results folder leads elsewhere through a link.
    """
    refuse_linked_results(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = unfinished(path)
    with suppress(FileNotFoundError):
        status = partial.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            partial.unlink()  # it leads to another file
    try:
        with locked(partial):
            try:
                yield partial
                flush(partial)
                partial.replace(path)
                flush(path.parent)
            except BaseException as error:
                number = number_of(error, path.parent)
                partial.unlink(missing_ok=True)
                if number is not None:
                    raise OSError(number, "") from error
                raise
    except OSError as error:
        if error.filename in (None, str(partial)) and error.errno is not None:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


def flush(path: Path) -> None:
    """Have the kernel write a file or folder to the disk; not every file system can."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(number)


def unfinished(path: Path) -> Path:
    """The file that `atomic_write` writes to, and that a kill may leave behind."""
    return path.with_name(f".{path.name}")


def replace_folder(new: Path, old: Path) -> None:
    """Put a folder in the place of another in one step, and delete what was there."""
    flush(new)
    exchange = getattr(ctypes.CDLL(None), "renameat2", None)  # Linux
    here, both = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    if exchange is None or exchange(here, os.fsencode(new), here, os.fsencode(old), both):
        # Not on this system; a kill in between leaves both, under other names.
        aside = old.with_name(f".{old.name}.old")
        shutil.rmtree(aside, ignore_errors=True)
        old.rename(aside)
        new.rename(old)
        new = aside
    flush(old.parent)
    shutil.rmtree(new)


def number_of(error: BaseException, folder: Path) -> int | None:
    """The system's number of an error that tells of a full disk, or in which numpy or torch
    hides that a file in `folder` cannot be written; None for any other."""
    number = getattr(error, "errno", None)
    if number is not None or not isinstance(error, OSError | RuntimeError):
        return errno.ENOSPC if number in (errno.ENOSPC, errno.EDQUOT) else None
    if "free space" in str(error) or shutil.disk_usage(folder).free < LITTLE:
        return errno.ENOSPC
    if not any(words in str(error) for words in HIDING):
        return None
    return getattr(error.__context__, "errno", None) or errno.EIO


def write_file(path: Path, content: str | bytes) -> None:
    """Write a whole file, text as UTF-8."""
    with atomic_write(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def write_record(path: Path, record: dict) -> None:
    """Write JSON with the checksum of what it says."""
    write_file(path, json.dumps(record | {SEAL: seal(record)}, indent=2) + "\n")


def write_csv(path: Path, rows: list[dict]) -> None:
    """Write a table, whose columns are the first row's keys."""
    with (
        atomic_write(path) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def seal(record: dict) -> str:
    return json_sha256({key: value for key, value in record.items() if key != SEAL})


def json_sha256(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy(source: Path, target: Path) -> None:
    """Copy a file, which appears whole and never through a link that lies at `target`."""
    with atomic_write(target) as partial:
        shutil.copyfile(source, partial)


def plain_file(path: Path) -> Path:
    """The path, if it is a file and no link, pipe or device, as strangers' folders hold."""
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        raise GradscapeError(f"{path}: cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(mode):
        raise GradscapeError(f"{path}: is a link or no file; a file is needed here")
    return path


def bounded_file(path: Path, most: int) -> Path:
    """The path, if it leads to a file of at most so many bytes: no pipe, which nobody may
    ever fill, and no `/dev/zero`, which has no end. Raises `FileNotFoundError` for none."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise GradscapeError(f"{path}: is no file that can be read as a whole")
    if status.st_size > most:
        raise GradscapeError(f"{path}: has {status.st_size:,} bytes, above {most:,}")
    return path


@contextmanager
def reading(
    path: Path, most: int, fault: str = "damaged", kind: type = GradscapeError
) -> Iterator[None]:
    """Turn whatever a torn or foreign file makes its reader raise into a `GradscapeError`,
    of a `kind`, that names it."""
    try:
        bounded_file(path, most)
        yield
    except FileNotFoundError:
        raise kind(f"{path}: missing") from None
    except GradscapeError as error:
        raise kind(str(error)) from None
    except Exception as error:
        if is_shortage(error):
            raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise kind(f"{path}: {fault} ({reason})") from None


# Folders of a results folder; the results folder itself may lie on another disk.
PARTS = {"runs", "figures", "tables", "claims", "report", "logs"}


def refuse_linked_results(path: Path) -> None:
    """Raise `GradscapeError` if a folder on the way from a results folder down to `path` is
    a link: what is written or published lies in the results folder itself."""
    parts = path.absolute().parts
    places = [place for place, part in enumerate(parts[:-1]) if part in PARTS]
    for end in range(places[-1] + 1 if places else len(parts), len(parts)):
        folder = Path(*parts[:end])
        if folder.is_symlink():
            why = "results are written and published where they lie, so remove the link"
            raise GradscapeError(f"{folder}: is a link to {folder.readlink()}; {why}")


@contextmanager
def folder_lock(folder: Path) -> Iterator[bool]:
    """Wait until no other process, on any node, is in a block for the same folder; yields
    whether it had to. The package `filelock` would leave its file behind, and without
    `flock` takes a file that outlives a killed process for a lock."""
    path = folder / LOCK
    refuse_linked_results(path)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(path, tell=True) as waited:
        try:
            yield waited
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, tell: bool = False) -> Iterator[bool]:
    """Lock a file, which is made if it is missing; yields whether another process held it.
    The kernel unlocks it when a process ends, however that happens. Where the file system
    has no locks (Lustre mounted without `flock`), nothing is locked. Both may be told."""
    waited = False
    while True:
        with os.fdopen(open_lock(path)) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if tell and not waited:
                    say(f"{path.parent}: another process is at work here; waiting for it")
                waited = True
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                if tell:
                    why = f"not locked ({error.strerror}): start no second process here"
                    say(f"{path.parent}: {why}")
            if is_at(file, path):  # and not moved by the process that held it
                yield waited
                return


def open_lock(path: Path) -> int:
    """Open a file to lock; it is made if it is missing, and never emptied. Raises
    `GradscapeError` if a link, a pipe or a device lies there."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        number = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):
            raise
    else:
        if stat.S_ISREG(os.fstat(number).st_mode):
            return number
        os.close(number)
    raise GradscapeError(f"{path}: is a link or no file, so it cannot be locked; remove it")


def is_at(file: IO, path: Path) -> bool:
    """Tell whether an open file is still the one that `path` names."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def say(sentence: str) -> None:
    print(f"gradscape: {sentence}", file=sys.stderr, flush=True)
