"""One test image, and what convolutions at different depths make of it."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from gradscape.figures import style
from gradscape.figures.layers import kinds_of, labels, split_scales
from gradscape.runs.run import FinishedRun
from gradscape.spec.labels import noun
from gradscape.spec.study import Figure

PROBES = ["feature_maps"]
WIDE = True
TITLE = 0.15  # inches


def feature_maps(figure: Figure, runs: list[FinishedRun]):
    """The image, and to its right one row per layer, one map per channel. Draws one run."""
    drawn, seed = style.smallest_seed(runs)
    table = drawn[0].probe("feature_maps")
    # In the table's order: layers by depth, channels by how much they vary.
    layers = {name: maps(part) for name, part in table.groupby("layer", sort=False)}
    image = layers.pop("input")
    kinds = kinds_of(drawn[0])
    named = labels({name: kinds[name] for name in split_scales(kinds)[0]})
    across = max(map(len, layers.values()))
    width = style.width(figure.wide)
    panel = width / (across + 2)  # inches; the image is as wide as two
    height = len(layers) * (panel + TITLE)
    # By hand: constrained layout would make room for a title wider than its panel.
    picture = plt.figure(figsize=(width, height), layout="none")
    edges = {"left": 0, "right": 1, "bottom": 0, "top": 1 - TITLE / height}
    edges |= {"wspace": 0.06, "hspace": TITLE / panel}
    grid = picture.add_gridspec(len(layers), across + 2, **edges)
    style.show_pixels(picture.add_subplot(grid[:, :2]), np.stack(image, -1))
    for row, (name, channels) in enumerate(layers.items()):
        for column, pixels in enumerate(channels):
            axis = picture.add_subplot(grid[row, column + 2])
            style.show_pixels(axis, pixels, cmap="viridis")
            if column == 0:
                size = " × ".join(map(str, pixels.shape))
                text = f"{named.get(name, name)}: {size}"
                axis.set_title(text, loc="left", fontsize=style.SMALL, pad=2)
    return picture, (
        f"One test image, and the outputs of {len(layers)} "
        f"{noun(len(layers), 'convolution')} of "
        f"{drawn[0].label}. {seed} Of each, the channels that vary most over the image, "
        "each scaled from its smallest to its largest value."
    )


def maps(layer: pd.DataFrame) -> list[np.ndarray]:
    """The values of each channel, [height, width]."""
    return [
        part.pivot(index="row", columns="column", values="value").to_numpy()
        for _, part in layer.groupby("channel", sort=False)
    ]
