"""A run's history so far."""

import math
from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class History:
    """All fields go into a checkpoint, so they hold only what `torch.load` accepts as data:
    numbers, text, lists, dictionaries and tensors on the host."""

    epoch: int = 0  # complete epochs
    seconds: float = 0.0  # spent in the current epoch, over all attempts
    seconds_probing: float = 0.0
    resumed: int = 0
    metrics: list[dict] = field(default_factory=list)  # rows of metrics.csv
    timing: list[dict] = field(default_factory=list)  # rows of timing.csv
    gradients: list[list[float]] = field(default_factory=list)  # one list per epoch
    steps: list[dict[str, Tensor]] = field(default_factory=list)  # one dict per epoch
    probes: list[dict] = field(default_factory=list)  # the landscapes along gradients
    best: dict | None = None  # epoch, val_accuracy and weights of the best epoch
    revision: dict | None = None  # of the code when the training began

    @property
    def diverged(self) -> bool:
        """Whether the last epoch's loss is infinite or not a number."""
        return bool(self.metrics) and not math.isfinite(self.metrics[-1]["train_loss"])
