"""What a finished run leaves behind: its tables, its weights, and how it came about."""

import csv
import platform
import resource
import subprocess
from pathlib import Path

import numpy as np
import torch

from gradscape.base.errors import GradscapeError
from gradscape.base.files import atomic_write, sha256, write_record
from gradscape.base.paths import RECORD, SEALED
from gradscape.models import sealed
from gradscape.training.device import Backend


def write_csv(path: Path, rows: list[dict]) -> None:
    with atomic_write(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    with atomic_write(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)


def finish(folder: Path, record: dict) -> None:
    """Write a run's record, which seals its tables: from here on the run is finished."""
    tables = {name: sha256(folder / name) for name in SEALED}
    write_record(folder / RECORD, record | {"sha256": tables})


def write_weights(path: Path, content: dict) -> None:
    sealed.save(path, content)


def read_weights(path: Path) -> dict:
    """What `write_weights` wrote: a run's settings, its classes, its best and last weights.

    Raises `GradscapeError` for a missing or damaged file.
    """
    try:
        return sealed.load(path, unsealed=True)
    except FileNotFoundError:
        raise GradscapeError(f"{path}: missing; the run has to be trained") from None
    except sealed.Damaged as error:
        raise GradscapeError(
            f"{path}: damaged ({error}); delete the run's run.json and train it again"
        ) from None


def revision(here: Path = Path(__file__).parent) -> dict:
    """The git commit of the code, and whether its tracked files were changed.

    Results do not count, because published ones are tracked as well.
    """

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=here, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        code = (":(top)", ":(top,exclude)results")
        dirty = bool(git("status", "--porcelain", "--untracked-files=no", "--", *code))
        return {"commit": git("rev-parse", "HEAD"), "dirty": dirty}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}


def versions() -> dict:
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
    }


def peak_memory_bytes(backend: Backend) -> dict:
    """Peak memory of the process, and of the GPU where one was used."""
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    gpu = torch.cuda.max_memory_allocated() if backend.is_cuda else None
    return {"host": host, "gpu": gpu}
