"""Minibatches cut from a split that lives on the device as one uint8 tensor.

Order and augmentation are drawn on the CPU from a generator seeded by (seed, epoch) alone:
all runs of a seed see the same minibatches, on every device and after a kill.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from gradscape.data.normalisation import moments
from gradscape.data.store import Dataset
from gradscape.spec.settings import Settings
from gradscape.training.augmentation import POLICIES, Colour, Geometric

PADDING = 4  # pixels on each side before a random crop, He et al. 2016, section 4.2


class Minibatches:
    """Images of a dataset on the device, uint8 [n, s, s, channels], and labels int64 [n].

    `draw` lays out an epoch, in minibatches of `sizes`; `take` cuts one, normalised and, if
    `augmented`, augmented: float32 [b, channels, s, s] in channels-last memory.
    """

    def __init__(
        self,
        dataset: Dataset,
        chosen: np.ndarray,
        batch_size: int,
        settings: Settings,
        device: str = "cpu",
        augmented: bool = False,
    ):
        images = np.asarray(dataset.images[chosen])
        labels = np.asarray(dataset.labels[chosen], np.int64)
        self.count, size = len(labels), images.shape[1]
        self.batch_size = batch_size
        full, rest = divmod(self.count, batch_size)
        self.sizes = [batch_size] * full + [rest] * (rest > 0)
        policy = POLICIES[settings.augmentation if augmented else "none"]
        self.cropped, self.flipped = "crop" in policy, "flip" in policy
        self.changes: list[Colour | Geometric] = []
        shared = self.count, settings.augmentation_strength, device
        if "colour" in policy:
            self.changes.append(Colour(*shared))
        if "geometric" in policy:
            self.changes.append(Geometric(*shared, size))
        pad = (PADDING, PADDING) if self.cropped else (0, 0)
        pixels = np.pad(images, [(0, 0), pad, pad, (0, 0)])  # black, before normalising
        self.images = torch.from_numpy(pixels).to(device)
        self.labels = torch.from_numpy(labels).to(device)
        mean, deviation = torch.tensor(
            moments(settings.normalisation, dataset), device=device
        )
        self.shift, self.scale = 255 * mean, 1 / (255 * deviation)
        self.order = torch.arange(self.count, device=device)
        self.offsets = torch.zeros(2, self.count, dtype=torch.int64, device=device)
        self.flips = torch.zeros(self.count, dtype=torch.bool, device=device)
        self.ramp = torch.arange(size, device=device)
        self.rows = torch.arange(batch_size, device=device)

    def draw(self, seed: int, epoch: int) -> None:
        """Lay out an epoch: a permutation, and how each image is augmented."""
        state = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(state[0]) >> 1)
        self.order.copy_(torch.randperm(self.count, generator=generator))
        if self.cropped:
            places, shape = 2 * PADDING + 1, self.offsets.shape
            self.offsets.copy_(torch.randint(0, places, shape, generator=generator))
        if self.flipped:
            self.flips.copy_(torch.rand(self.count, generator=generator) < 0.5)
        for change in self.changes:
            change.draw(generator)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return (self.take(step, size) for step, size in enumerate(self.sizes))

    def take(self, step: Tensor | int, size: int) -> tuple[Tensor, Tensor]:
        """Minibatch number `step`: a 0-d tensor where a CUDA graph has to read it."""
        at = self.rows[:size] + step * self.batch_size
        chosen = self.order[at]
        if self.flipped:  # as in every policy that crops
            top, left = self.offsets[:, at, None]
            across = torch.where(self.flips[at, None], self.ramp.flip(0), self.ramp) + left
            down = self.ramp + top
            images = self.images[chosen[:, None, None], down[:, :, None], across[:, None]]
        else:
            images = self.images[chosen]
        pixels = images.float()
        for change in self.changes:
            changed = change(pixels.permute(0, 3, 1, 2), at)
            pixels = changed.permute(0, 2, 3, 1).contiguous()
        pixels = (pixels - self.shift) * self.scale
        return pixels.permute(0, 3, 1, 2), self.labels[chosen]
