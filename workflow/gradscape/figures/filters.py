"""The first convolution's filters as colour pictures, before and after training."""

import numpy as np
import pandas as pd

from gradscape.figures import style
from gradscape.runs.run import FinishedRun
from gradscape.spec.labels import setting_label
from gradscape.spec.quantity import Quantity
from gradscape.spec.study import Figure

PROBES = ["filters"]
ACROSS = {False: 12, True: 32}  # filters side by side, in a column and on a page
MOMENTS = {"initialisation": "before training", "best": "after training"}


def filters(figure: Figure, runs: list[FinishedRun]):
    """Two panels per run: all filters at initialisation, below them at the best weights."""
    drawn, seed = style.smallest_seed(runs)
    tables = [arrays(run.probe("filters")) for run in drawn]
    across = ACROSS[figure.wide]
    rows = [-(-len(weights["best"]) // across) for weights in tables for _ in MOMENTS]
    width = style.width(figure.wide)
    height = sum(width * count / across + 0.2 for count in rows)
    picture, axes = style.panels(figure, height, len(rows), height_ratios=rows)
    facts = [
        f"Filters of the first convolution. {seed} Each is scaled from its own smallest to "
        "its own largest weight."
    ]
    for number, (run, weights) in enumerate(zip(drawn, tables, strict=True)):
        name, ends = setting_label(run.model, run.variant), []
        for axis, (moment, words) in zip(axes[2 * number :], MOMENTS.items(), strict=False):
            shown = weights[moment]
            style.show_pixels(axis, montage(shown, across))
            room = 0.9 * width * (1 + min(1, len(shown) / across)) / 2
            title = style.wrapped(f"{name}, {words}", room)
            axis.set_title(title, loc="left", pad=2)
            low, high = (Quantity(end).text() for end in (shown.min(), shown.max()))
            ends.append(f"{low} to {high}")
        facts.append(
            f"{name}: {len(weights['best'])} filters, weights {ends[0]} before and "
            f"{ends[1]} after."
        )
    return picture, " ".join(facts)


def arrays(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """The weights of each moment, [filters, height, width, colours]."""
    index = ["filter", "row", "column", "channel"]
    shape = table[index].max() + 1
    return {
        moment: part.sort_values(index)["weight"].to_numpy().reshape(shape)
        for moment, part in table.groupby("moment")
    }


def montage(weights: np.ndarray, across: int) -> np.ndarray:
    """Filters [n, h, w, 3] side by side, each scaled to 0 … 1, white between them. With one
    channel, [n, h, w, 1], they are grey."""
    count, height, width, _ = weights.shape
    low, high = (end(axis=(1, 2, 3), keepdims=True) for end in (weights.min, weights.max))
    scaled = (weights - low) / np.maximum(high - low, np.finfo(float).tiny)
    rows = -(-count // across)
    page = np.ones((rows * across, height + 1, width + 1, 3))
    page[:count, :height, :width] = scaled
    page = page.reshape(rows, across, height + 1, width + 1, 3).swapaxes(1, 2)
    return page.reshape(rows * (height + 1), across * (width + 1), 3)[:-1, :-1]
