"""NVIDIA's MPS, a daemon that lets kernels of several runs on one GPU work side by side.

CUDA finds it by folders that the environment names, which every job on this machine has
from Snakemake. It serves this workflow alone, and ends with it.
"""

import atexit
import os
import shutil
import subprocess
import tempfile

from gradscape.base.files import say
from gradscape.training.lease import RUNS_PER_GPU

CONTROL = "nvidia-cuda-mps-control"
PIPES, LOGS = "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"


def begin(runs_per_gpu: int) -> None:
    """Let so many runs share each GPU, through the daemon if it is there and the user has
    started none."""
    os.environ.setdefault(RUNS_PER_GPU, str(runs_per_gpu))
    if runs_per_gpu == 1 or PIPES in os.environ:
        return
    folder = tempfile.mkdtemp(prefix="gradscape-mps-")
    os.environ |= {PIPES: folder, LOGS: folder}
    atexit.register(end, folder, os.getpid())
    if error := control("-d"):
        say(f"runs take turns on their GPU, for there is no MPS ({error})")
        del os.environ[PIPES], os.environ[LOGS]


def end(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # not in a process that was forked
        if PIPES in os.environ:
            control(said="quit\n")
        shutil.rmtree(folder, ignore_errors=True)


def control(*options: str, said: str = "") -> str:
    """What went wrong, or nothing."""
    try:
        heard = {"input": said, "capture_output": True, "text": True, "timeout": 60}
        done = subprocess.run([CONTROL, *options], **heard)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (done.stderr or done.stdout).strip() if done.returncode else ""
