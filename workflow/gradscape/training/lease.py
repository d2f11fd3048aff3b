"""Leases of GPUs: a run gets the first that no other run on this machine has.

Snakemake counts GPUs but does not assign them. Each run locks a file of its GPU, which the
kernel unlocks with the process, however that ends; Slurm assigns GPUs itself.
"""

import fcntl
import os
import tempfile
import time
from itertools import count
from pathlib import Path

from gradscape.base.errors import GradscapeError
from gradscape.base.files import open_lock, say

RETRY_SECONDS = 1.0
RUNS_PER_GPU = "GRADSCAPE_RUNS_PER_GPU"
MAX_RUNS_PER_GPU = 64
LOCKED = {}  # open files by path: closing one would unlock it, locking it again deadlock


def lease(names: list[str], folder: Path | None = None) -> int:
    """Index of the first of `names` (GPUs) with a free slot, of as many as
    GRADSCAPE_RUNS_PER_GPU says; waits until there is one. Asked again, it answers the same.

    Raises `GradscapeError` for what is no such number, and where the folder of the locks,
    in the machine's folder for temporary files, is another user's.
    """
    if "SLURM_JOB_ID" in os.environ:
        return 0
    slots = os.environ.get(RUNS_PER_GPU, "1")
    if not slots.isdecimal() or not 1 <= int(slots) <= MAX_RUNS_PER_GPU:
        raise GradscapeError(
            f"{RUNS_PER_GPU}={slots}: must be a whole number from 1 to {MAX_RUNS_PER_GPU}"
        )
    folder = folder or Path(tempfile.gettempdir()) / f"gradscape-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise GradscapeError(
            f"{folder}: belongs to somebody else; set TMPDIR to a folder of yours"
        )
    files = {
        folder / f"{name}.{slot}.lock": index
        for slot in range(int(slots))
        for index, name in enumerate(names)
    }
    if held := LOCKED.keys() & files:
        return files[held.pop()]
    for attempt in count():
        for path, index in files.items():
            file = os.fdopen(open_lock(path))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
            else:
                LOCKED[path] = file
                return index
        if attempt == 0:
            say("every GPU is taken by another run; waiting for one")
        time.sleep(RETRY_SECONDS)
