"""How far a training has come: each epoch's line in its log, written and read back."""

import os
import re
from pathlib import Path
from typing import NamedTuple

LINE = (
    "epoch {epoch:>3}/{epochs}  loss {train_loss:.4f}  accuracy {train_accuracy:.4f}  "
    "validation {val_loss:.4f} {val_accuracy:.4f}  {images_per_second:,.0f} images/s  "
    "{left:.0f} s left"
)
FIGURES = re.compile(
    r"^epoch +(\d+)/(\d+)  loss (\S+)  accuracy \S+  validation \S+ (\S+) .* (\d+) s left$",
    re.MULTILINE,
)
LAST = 4096  # bytes of a log, which hold its last lines


class Progress(NamedTuple):
    epoch: int
    epochs: int
    train_loss: float
    val_accuracy: float
    left: float  # seconds, when the epoch ended


def epoch_line(row: dict, images_per_second: float, epochs: int, images: int) -> str:
    """An epoch's row of metrics.csv, of `epochs` of so many images, as one line."""
    left = (epochs - row["epoch"]) * images / images_per_second
    told = {"epochs": epochs, "images_per_second": images_per_second, "left": left}
    return LINE.format(**row, **told)


def progress(log: Path) -> Progress | None:
    """The numbers of the last epoch's line in a log; None before there is one."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LAST))
            found = FIGURES.findall(file.read().decode("utf-8", "replace"))
    except OSError:
        return None
    if not found:
        return None
    epoch, epochs, *numbers = found[-1]
    return Progress(int(epoch), int(epochs), *map(float, numbers))
