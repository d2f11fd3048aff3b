"""Which learning rates a network tolerates: best validation accuracy, model × rate."""

import matplotlib.pyplot as plt
import numpy as np

from gradscape.figures import style
from gradscape.runs.run import FinishedRun, by_setting
from gradscape.spec.labels import setting_label
from gradscape.spec.study import Figure

ROW = 0.22  # inches


def rate_map(figure: Figure, runs: list[FinishedRun]):
    """A heat map with numbers: the best epoch's validation accuracy, mean over seeds.

    Empty cells were not trained; `diverged` where every seed did.
    """
    groups = by_setting(runs)
    rates = sorted({rate for _, rate, _ in groups})
    names = list(dict.fromkeys(setting_label(model, name) for model, _, name in groups))
    cells, words = np.full((len(names), len(rates)), np.nan), {}
    for (model, rate, variant), group in groups.items():
        place = names.index(setting_label(model, variant)), rates.index(rate)
        cells[place] = np.mean([100 * run.best["val_accuracy"] for run in group])
        ended = all(run.diverged for run in group)
        words[place] = "diverged" if ended else f"{cells[place]:.1f}"
    size = (style.width(figure.wide), 0.7 + ROW * len(names))
    picture, axis = plt.subplots(figsize=size)
    image = axis.imshow(cells, cmap="Blues", vmin=0, aspect="auto")
    for (row, column), text in words.items():
        look = {"ha": "center", "va": "center", "fontsize": style.SMALL}
        dark = cells[row, column] > 0.55 * image.get_clim()[1]
        axis.text(column, row, text, color="white" if dark else "black", **look)
    axis.set_xticks(range(len(rates)), style.rates(runs))
    axis.set_yticks(range(len(names)), names)
    axis.set_xlabel("learning rate")
    axis.grid(visible=False)
    picture.colorbar(image, ax=axis, pad=0.01, label="accuracy (%)")
    empty = " Empty: not trained." if np.isnan(cells).any() else ""
    best = "Best validation accuracy (%) by network and learning rate."
    return picture, f"{best} {style.mean_over(runs, '')}{empty}"
