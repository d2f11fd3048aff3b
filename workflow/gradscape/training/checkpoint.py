"""Checkpoints: saved at intervals, whole or not at all, and used only where they belong."""

import time
from pathlib import Path

from gradscape.base.errors import is_shortage
from gradscape.base.files import json_sha256, say, unfinished
from gradscape.models import sealed
from gradscape.spec.registry import beside, own_names, source
from gradscape.spec.settings import Settings, decisive, differences


def fingerprint(settings: Settings, *checksums: str | None) -> str:
    """A hash of everything that decides a run: settings, data, pretrained weights, and the
    user's own files that the settings name, with those that they import."""
    files = [source(key, name) for key, name in own_names(vars(settings)).items()]
    for path in files:
        files += sorted(beside(path) - {*files})
    code = [path.read_text("utf-8") for path in files]
    return json_sha256([decisive(settings), *checksums, *code])


class Checkpoint:
    """The state of one run, kept at `path` and loaded only for this `fingerprint`; its
    `settings` name what differs from another run's."""

    def __init__(self, path: Path, fingerprint: str, settings: dict | None = None):
        self.path = path
        self.run = {"fingerprint": fingerprint, "settings": settings or {}}
        self.saved_at = time.monotonic()

    def due(self, seconds: float) -> bool:
        return time.monotonic() - self.saved_at >= seconds

    def save(self, state: dict) -> None:
        """Write `state`; if the disk is full, say so and keep the previous one."""
        try:
            sealed.save(self.path, state | self.run)
        except (OSError, RuntimeError) as error:  # torch wraps a failed write
            say(f"{self.path}: checkpoint not saved ({error}); the previous one is kept")
        self.saved_at = time.monotonic()

    def load(self) -> dict | None:
        """The saved state, or None if there is none for this run."""
        try:
            state = sealed.load(self.path)
        except FileNotFoundError:
            return None
        except (sealed.Damaged, OSError) as error:
            if is_shortage(error):
                raise
            return self.set_aside(f"damaged ({error})")
        if state.get("fingerprint") != self.run["fingerprint"]:
            old = state.get("settings")
            other = old and differences(old, self.run["settings"])
            which = f" ({other})" if other else ""
            return self.set_aside(f"belongs to other settings, data or code{which}")
        return state

    def set_aside(self, reason: str) -> None:
        aside = self.path.with_name(self.path.name + ".set-aside")
        self.path.replace(aside)
        say(f"{self.path}: {reason}; set aside as {aside.name}, training starts afresh")

    def delete(self) -> None:
        for path in (self.path, unfinished(self.path)):
            path.unlink(missing_ok=True)
