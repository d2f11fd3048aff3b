"""The datasets that a benchmark needs."""

from collections.abc import Iterable
from pathlib import Path

from gradscape.cli import parser
from gradscape.spec.registry import short


def make(names: Iterable[str], folder: Path) -> None:
    """Get those that are missing; one that cannot be had ends the program in a sentence."""
    for name in sorted({*names}):
        if not (folder / short(name) / "dataset.json").exists():
            parser.main(["data", name, "--out", str(folder / short(name))])
