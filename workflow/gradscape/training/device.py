"""Device, precision and determinism of a run: chosen once and written to the record.

bf16 has fp32's range, so vanished gradients stay visible; fp16 is not offered because
VGG38's (1e-12) would fall below its range, and the gradient-flow plot would be wrong.
"""

import ctypes
import os
import time
import warnings
from contextlib import AbstractContextManager
from types import ModuleType

import torch

from gradscape.base.errors import GradscapeError
from gradscape.runs import record
from gradscape.training.lease import lease

# A CPU's own bf16 instructions, the fastest first, and how torch tells that it has them.
CPU_BF16 = {
    "AMX-bf16": "_is_amx_tile_supported",
    "AVX-512-bf16": "_is_avx512_bf16_supported",
}


class Backend(record.Backend):
    """The recorded backend of a run, and how to work with it."""

    @property
    def is_cuda(self) -> bool:
        return self.device == "cuda"

    def now(self) -> float:
        """The clock, once the device has finished its work."""
        if self.is_cuda:
            torch.cuda.synchronize()
        return time.perf_counter()

    @property
    def random(self) -> ModuleType:
        """The module with the device's `get_rng_state` and `set_rng_state`."""
        return torch.cuda if self.is_cuda else torch.random

    def autocast(self) -> AbstractContextManager:
        # No cache: each weight is used once per pass, and a graph must hold its own casts.
        wanted = {"enabled": self.precision == "bf16", "cache_enabled": False}
        return torch.autocast(self.device, torch.bfloat16, **wanted)


def configure(device: str, precision: str, deterministic: bool, threads: int) -> Backend:
    """Set torch up for a run and return what was set. Raises `GradscapeError` for a device
    that is not there and for a precision that it does not have."""
    # cuBLAS reads this when CUDA starts, so it is set before anything asks CUDA.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise GradscapeError("device cuda: torch finds no CUDA device here; use cpu")
    if device == "cuda":
        count = torch.cuda.device_count()  # a UUID names the same card in every process
        cards = [str(torch.cuda.get_device_properties(i).uuid) for i in range(count)]
        torch.cuda.set_device(lease(cards))
    if precision == "auto":
        precision = "bf16" if has_fast_bf16(device) else "fp32"
    if precision == "tf32" and device == "cpu":
        raise GradscapeError("precision tf32: CPUs have none; use fp32 or bf16")
    if precision == "bf16" and device == "cuda" and not torch.cuda.is_bf16_supported():
        raise GradscapeError("precision bf16: not supported by this cuda; use fp32")
    # use_deterministic_algorithms sets the same switch, but loads a compiler first: 4 s.
    torch.set_deterministic_debug_mode("error" if deterministic else "default")
    # Filling every new tensor is for finding bugs; here nothing reads before writing.
    torch.utils.deterministic.fill_uninitialized_memory = False
    if device == "cpu":
        # Have glibc reuse freed feature maps; a third of a step would be page faults.
        mallopt = getattr(ctypes.CDLL(None), "mallopt", lambda *_: None)
        trim_threshold, mmap_threshold = -1, -3  # glibc's malloc.h
        mallopt(mmap_threshold, 32 * 2**20)  # the largest that glibc accepts
        mallopt(trim_threshold, 2**31 - 1)
    else:
        allow_tf32(precision == "tf32")
        torch.backends.cudnn.deterministic = deterministic
        # The autotuner may pick another kernel on another day.
        torch.backends.cudnn.benchmark = not deterministic
    kind, threads = device_kind(device), threads if device == "cpu" else 0
    return Backend(device, kind, precision, deterministic, threads, str(torch.__version__))


def allow_tf32(allowed: bool) -> None:
    """Allow TF32 in matrix products and convolutions, or forbid it, by torch's older
    switches: they set the newer ones too, which set alone break what reads the older."""
    with warnings.catch_warnings(action="ignore"):
        torch.backends.cuda.matmul.allow_tf32 = allowed
        torch.backends.cudnn.allow_tf32 = allowed


def device_kind(device: str) -> str:
    """The GPU's name, or a CPU's widest vector instructions and the kind of its bf16: runs
    agree to the bit, and compare in speed, only within one kind."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    bf16 = [*cpu_bf16(), "no bf16"][0]
    return f"CPU {torch.backends.cpu.get_cpu_capability()}, {bf16}"


def cpu_bf16() -> list[str]:
    return [name for name, has in CPU_BF16.items() if getattr(torch.cpu, has, bool)()]


def has_fast_bf16(device: str) -> bool:
    """Tell whether bf16 pays: emulated it is slower."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(cpu_bf16())
