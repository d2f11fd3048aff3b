"""A score over two settings, as a map with numbers."""

from typing import Annotated, Literal

import numpy as np

from gradscape.figures import style
from gradscape.figures.cells import SCORES, by_values, label, ordered, scores_of, words
from gradscape.runs.run import FinishedRun
from gradscape.spec.study import NETWORK, Figure

AXES = ["x", "y"]  # the options that name settings
ROW = 0.22  # inches


def heat_map(
    figure: Figure,
    runs: list[FinishedRun],
    *,
    x: Annotated[str, "a setting, `network` or `parameters`"] = "learning_rate",
    y: Annotated[str, "likewise"] = "network",
    score: Annotated[
        Literal[
            "val_accuracy", "test_accuracy", "train_accuracy", "val_loss", "train_loss"
        ],
        "what is drawn, at the best epoch",
    ] = "val_accuracy",
):
    """Mean over seeds; empty cells were not trained, `diverged` where every seed did.
    Raises `GradscapeError` for runs that differ in more than `x`, `y` and the seed."""
    groups = by_values(figure, runs, y, x)
    rows, columns = (ordered(place[at] for place in groups) for at in (0, 1))
    values, texts = np.full((len(rows), len(columns)), np.nan), {}
    for (row, column), group in groups.items():
        place = rows.index(row), columns.index(column)
        values[place] = np.mean(scores_of(group, score))
        digits = 1 if score.endswith("accuracy") else 2
        ended = all(run.diverged for run in group)
        texts[place] = "diverged" if ended else f"{values[place]:.{digits}f}"
    picture, axis = style.panels(figure, 0.7 + ROW * len(rows))
    image = axis.imshow(values, cmap="Blues", vmin=0, aspect="auto")
    for (row, column), text in texts.items():
        look = {"ha": "center", "va": "center", "fontsize": style.SMALL}
        dark = values[row, column] > 0.55 * image.get_clim()[1]
        axis.text(column, row, text, color="white" if dark else "black", **look)
    axis.set_xticks(range(len(columns)), [label(x, one) for one in columns])
    axis.set_yticks(range(len(rows)), [label(y, one) for one in rows])
    axis.set_xlabel(words(x))
    if y != NETWORK:
        axis.set_ylabel(words(y))
    axis.grid(visible=False)
    of, unit = SCORES[score]
    picture.colorbar(image, ax=axis, pad=0.01, label=unit)
    percent = " (%)" * score.endswith("accuracy")
    what = f"{of} {unit.split()[0]}{percent}"
    what = f"Best {what}" if score == "val_accuracy" else f"{what} at the best epoch"
    empty = " Empty: not trained." if np.isnan(values).any() else ""
    told = f"{what[0].upper()}{what[1:]} by {words(y)} and {words(x)}."
    return picture, f"{told} {style.mean_over(runs, '', (x, y))}{empty}"
