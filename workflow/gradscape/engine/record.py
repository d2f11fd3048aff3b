"""What a finished run leaves behind: its tables, its weights, and how it came about."""

import csv
import io
import json
import os
import platform
import resource
import subprocess
from pathlib import Path

import numpy as np
import torch

from gradscape.engine.device import Backend


def write_csv(path: Path, rows: list[dict]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write(path, text.getvalue().encode())


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write(path, content.getvalue())


def write_json(path: Path, record: dict) -> None:
    write(path, (json.dumps(record, indent=2) + "\n").encode())


def write_weights(path: Path, content: dict) -> None:
    partial = path.with_name(f".{path.name}")
    torch.save(content, partial)
    os.replace(partial, path)


def write(path: Path, content: bytes) -> None:
    """Write a file so that it appears whole or not at all."""
    partial = path.with_name(f".{path.name}")
    partial.write_bytes(content)
    os.replace(partial, path)


def revision() -> dict:
    """The git commit of the code, and whether files tracked in it were changed."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=here, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        dirty = bool(git("status", "--porcelain", "--untracked-files=no"))
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
