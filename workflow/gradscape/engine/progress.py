"""How a training reports its progress: a bar on a terminal, one line per epoch in a log."""

import sys

from tqdm import tqdm

from gradscape.errors import GradscapeError


class Progress:
    """`step` after each minibatch, `epoch` after each epoch.

    If `tensorboard` names a folder, each epoch's numbers also go there as event files.
    """

    def __init__(self, epochs: int, images: int, tensorboard: str | None = None):
        self.epochs = epochs
        self.on_terminal = sys.stderr.isatty()
        self.images = images
        self.bar: tqdm | None = None
        self.events = open_events(tensorboard) if tensorboard else None

    def start_epoch(self, epoch: int, done: int) -> None:
        if self.on_terminal:
            self.bar = tqdm(
                total=self.images,
                initial=done,
                desc=f"epoch {epoch}/{self.epochs}",
                unit=" images",
                leave=False,
                smoothing=0.05,
            )

    def step(self, images: int) -> None:
        if self.bar is not None:
            self.bar.update(images)

    def epoch(self, row: dict, images_per_second: float) -> None:
        """Show an epoch; `row` is its row of metrics.csv."""
        if self.bar is not None:
            self.bar.close()
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
            self.events.flush()


def open_events(folder: str):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise GradscapeError(
            "--tensorboard: the package tensorboard is missing; pip install tensorboard"
        ) from None
    return SummaryWriter(folder)
