"""The first convolution's filters as colour pictures, before and after training."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from gradscape.figures import style
from gradscape.results.runs import FinishedRun
from gradscape.study import Figure

PROBES = ["filters"]
ACROSS = 16  # filters side by side
MOMENTS = {"initialisation": "before training", "best": "after training"}


def filters(figure: Figure, runs: list[FinishedRun]):
    """One row of panels per run: all filters at initialisation, and at the best weights."""
    drawn, seed = style.smallest_seed(runs)
    tables = [arrays(run.probe("filters")) for run in drawn]
    rows = [-(-len(weights["best"]) // ACROSS) for weights in tables]
    width = style.width(figure.wide)
    picture, axes = plt.subplots(
        *(len(drawn), 2),
        figsize=(width, sum(width / 2 * count / ACROSS + 0.3 for count in rows)),
        gridspec_kw={"height_ratios": rows},
        squeeze=False,
    )
    facts = [f"{seed} Each panel is scaled from its smallest to its largest weight."]
    for run, weights, panels in zip(drawn, tables, axes, strict=True):
        for (moment, words), axis in zip(MOMENTS.items(), panels, strict=True):
            style.show_pixels(axis, montage(weights[moment]))
            axis.set_title(words, loc="left", pad=2)
        panels[0].set_title(f"{run.label}\n{MOMENTS['initialisation']}", loc="left", pad=2)
        before, after = (weights[moment] for moment in MOMENTS)
        facts.append(
            f"{run.label}: {len(after)} filters, weights {before.min():.2f} to "
            f"{before.max():.2f} before and {after.min():.2f} to {after.max():.2f} after."
        )
    return picture, " ".join(facts)


def arrays(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """By moment, the weights [filters, height, width, colours]."""
    index = ["filter", "row", "column", "channel"]
    shape = table[index].max() + 1
    return {
        moment: part.sort_values(index)["weight"].to_numpy().reshape(shape)
        for moment, part in table.groupby("moment")
    }


def montage(weights: np.ndarray) -> np.ndarray:
    """Filters [n, h, w, 3] side by side, scaled jointly to 0 … 1, white between them.

    With one channel, [n, h, w, 1], they are grey.
    """
    count, height, width, _ = weights.shape
    low, high = weights.min(), weights.max()
    scaled = (weights - low) / max(high - low, np.finfo(float).tiny)
    rows = -(-count // ACROSS)
    page = np.ones((rows * ACROSS, height + 1, width + 1, 3))
    page[:count, :height, :width] = scaled
    page = page.reshape(rows, ACROSS, height + 1, width + 1, 3).swapaxes(1, 2)
    return page.reshape(rows * (height + 1), ACROSS * (width + 1), 3)[:-1, :-1]
