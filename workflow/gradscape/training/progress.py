"""Progress of a training: one line an epoch in a log, and events for TensorBoard."""

import shutil
from pathlib import Path

from gradscape.base.errors import GradscapeError
from gradscape.models.anatomy import Weight, by_depth
from gradscape.runs.live import epoch_line


def print_epoch(row: dict, images_per_second: float, epochs: int, images: int) -> None:
    print(epoch_line(row, images_per_second, epochs, images), flush=True)


def open_events(folder: Path, epochs: int):
    """TensorBoard's event files of a run that has completed this many epochs; later events
    in the folder are removed or not shown."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise GradscapeError(
            "tensorboard: the package is missing; `make` installs it, elsewhere `pip "
            "install tensorboard` or `uv pip install tensorboard` does"
        ) from None
    if not epochs:
        shutil.rmtree(folder, ignore_errors=True)
    return SummaryWriter(folder, purge_step=epochs + 1 if epochs else None)


def add_events(events, row: dict, weights: dict[str, Weight]) -> None:
    """An epoch's row of metrics.csv, and the gradients that its last minibatch left, by
    layer in order of depth."""
    for name, value in row.items():
        if name != "epoch":
            events.add_scalar(name, value, row["epoch"])
    for depth, (name, weight) in enumerate(by_depth(weights).items()):
        gradient = weight.parameter.grad
        if gradient is not None and gradient.isfinite().all():  # or there is no histogram
            tag = f"gradients/{depth:02} {name}"
            events.add_histogram(tag, gradient, row["epoch"])
    events.flush()
