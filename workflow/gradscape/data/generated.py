"""Generated images, of CIFAR's shape or half its side: oriented gratings. The class is a
grating's tilt and spatial frequency, and with 100 classes also its colour axis; the side it
tilts to (so that a horizontal flip keeps the class) and all else are nuisances."""

from itertools import product
from pathlib import Path

import numpy as np

from gradscape.data.store import Dataset

SEED = 2020
TRAIN, TEST = 10_000, 1_000
SIZE, SMALL = 32, 16
TILTS = (0.0, 22.5, 45.0, 67.5, 90.0)  # degrees between the stripes' normal and x
FREQUENCIES = (3.0, 6.0)  # periods across an image
NOISE = 0.05  # standard deviation, on a scale where the darkest pixel is 0, the lightest 1


def generate(name: str, folder: Path | None = None) -> Dataset:
    """10,000 training and 1,000 test images in 10 or 100 balanced classes, as `name` says;
    it may end in `-small`. `folder`, where other datasets' files are, is not used."""
    number, _, small = name.removeprefix("generated").partition("-")
    classes, size = int(number), SMALL if small else SIZE
    random = np.random.RandomState(SEED)
    labels = np.concatenate(
        [random.permutation(np.arange(n) % classes) for n in (TRAIN, TEST)]
    ).astype(np.uint8)
    images = np.empty((TRAIN + TEST, size, size, 3), np.uint8)
    for start in range(0, len(labels), 1000):
        images[start : start + 1000] = gratings(labels[start : start + 1000], size, random)
    axes = [f", colour axis {18 * i + 9}°" for i in range(10)] if classes == 100 else [""]
    kinds = product(axes, FREQUENCIES, TILTS)
    names = [f"{tilt:g}°, {frequency:g} periods{axis}" for axis, frequency, tilt in kinds]
    return Dataset(name, "generated", names, TRAIN, images, labels)


def gratings(labels: np.ndarray, size: int, random: np.random.RandomState) -> np.ndarray:
    """uint8 [n, size, size, 3], one a label: shape label % 10, colour label // 10."""
    n = len(labels)
    shape, colour = labels % 10, labels // 10
    tilt = np.asarray(TILTS)[shape % len(TILTS)] + random.uniform(-4.5, 4.5, n)
    angle = np.deg2rad(tilt) * random.choice([-1, 1], n)
    frequency = np.asarray(FREQUENCIES)[shape // len(TILTS)]
    phase = random.uniform(0, 2 * np.pi, n)
    y, x = np.mgrid[:size, :size] / size
    along = np.cos(angle)[:, None, None] * x + np.sin(angle)[:, None, None] * y
    wave = np.sin(2 * np.pi * frequency[:, None, None] * along + phase[:, None, None])
    # Half a turn: the opposite colour is the same grating half a period on.
    turn = random.uniform(0, 0.5, n) if labels.max() < 10 else (colour + 0.5) / 20
    thirds = np.arange(3) / 3
    axis = np.cos(2 * np.pi * (turn[:, None] - thirds))  # a direction in RGB
    contrast = random.uniform(0.25, 0.5, n)[:, None, None, None]
    background = random.uniform(0.35, 0.65, (n, 1, 1, 3))
    pixels = background + contrast * wave[..., None] * axis[:, None, None, :]
    pixels += NOISE * random.standard_normal(pixels.shape)
    return (255 * pixels.clip(0, 1)).round().astype(np.uint8)
