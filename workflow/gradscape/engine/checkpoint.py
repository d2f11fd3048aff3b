"""Checkpoints: saved by time, whole or not at all, and only used where they belong."""

import hashlib
import json
import os
import time
from dataclasses import asdict
from pathlib import Path

import torch

from gradscape.config import Settings
from gradscape.files import say, whole

SECONDS_BETWEEN = 20.0  # at most this much work is lost to a kill


def fingerprint(settings: Settings, *checksums: str | None) -> str:
    """A hash of all that decides a run: its settings, its data, its pretrained weights."""
    content = json.dumps([asdict(settings), *checksums], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


class Checkpoint:
    """The place in training of one run, at `path`, for runs with `fingerprint` only."""

    def __init__(self, path: Path, fingerprint: str, seconds: float = SECONDS_BETWEEN):
        self.path = path
        self.fingerprint = fingerprint
        self.seconds = seconds
        self.saved_at = time.monotonic()

    def due(self) -> bool:
        return time.monotonic() - self.saved_at >= self.seconds

    def save(self, state: dict) -> None:
        """Write `state`; on a full disk say so, keep the previous one and go on."""
        try:
            with whole(self.path) as partial, partial.open("wb") as file:
                torch.save(state | {"fingerprint": self.fingerprint}, file)
                file.flush()
                os.fsync(file.fileno())
        except (OSError, RuntimeError) as error:  # torch wraps a failed write
            say(f"{self.path}: checkpoint not saved ({error}); the previous one is kept")
        self.saved_at = time.monotonic()

    def load(self) -> dict | None:
        """The saved state, or None where there is none for this run."""
        if not self.path.exists():
            return None
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:  # whatever a torn file makes the reader raise
            return self.set_aside(f"cannot be read ({type(error).__name__})")
        if not isinstance(state, dict) or state.get("fingerprint") != self.fingerprint:
            return self.set_aside("belongs to other settings or other data")
        return state

    def set_aside(self, reason: str) -> None:
        aside = self.path.with_name(self.path.name + ".set-aside")
        self.path.replace(aside)
        say(f"{self.path}: {reason}; set aside as {aside.name}, training starts afresh")

    def delete(self) -> None:
        self.path.unlink(missing_ok=True)
