"""Progress of a training: a bar on a terminal, one line an epoch in a log."""

import shutil
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from gradscape.base.errors import GradscapeError


class Progress:
    """`step` after each minibatch, `epoch` after each epoch.

    If there are `events`, each epoch's numbers also go there.
    """

    def __init__(self, epochs: int, images: int):
        self.epochs, self.images = epochs, images
        self.bar = tqdm(disable=True)
        self.events = None

    def start_epoch(self, epoch: int, done: int) -> None:
        self.bar = tqdm(
            total=self.images,
            initial=done,
            desc=f"epoch {epoch}/{self.epochs}",
            unit=" images",
            leave=False,
            smoothing=0.05,
            disable=None,  # but on a terminal
        )

    def step(self, images: int) -> None:
        self.bar.update(images)

    def close(self) -> None:
        self.bar.close()

    def epoch(
        self,
        row: dict,
        images_per_second: float,
        gradients: dict[str, Tensor] | None = None,
    ) -> None:
        """Show an epoch: its row of metrics.csv and, as events, the gradients that its last
        minibatch left, by layer in order of depth."""
        self.close()
        left = (self.epochs - row["epoch"]) * self.images / images_per_second
        print(
            f"epoch {row['epoch']:>3}/{self.epochs}  "
            f"loss {row['train_loss']:.4f}  accuracy {row['train_accuracy']:.4f}  "
            f"validation {row['val_loss']:.4f} {row['val_accuracy']:.4f}  "
            f"{images_per_second:,.0f} images/s  {left:.0f} s left",
            flush=True,
        )
        if self.events is not None:
            for name, value in row.items():
                if name != "epoch":
                    self.events.add_scalar(name, value, row["epoch"])
            for depth, (name, gradient) in enumerate((gradients or {}).items()):
                if gradient.isfinite().all():  # of others there is no histogram
                    tag = f"gradients/{depth:02} {name}"
                    self.events.add_histogram(tag, gradient, row["epoch"])
            self.events.flush()


def open_events(folder: Path, epochs: int):
    """TensorBoard's event files of a run that has completed this many epochs; older events
    in the folder are removed or, by TensorBoard, not shown."""
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
