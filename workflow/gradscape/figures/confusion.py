"""The confusion matrix of the test images: which classes are mistaken for which."""

import numpy as np
import pandas as pd

from gradscape.figures import style
from gradscape.runs.run import FinishedRun
from gradscape.spec.study import Figure

PROBES = ["predictions"]
NAMED = 3  # pairs, in the caption
ACROSS = {False: 2, True: 4}  # panels side by side, in a column and on a page
SHORT = 18  # letters; names of more push the matrix, and what is above it, aside
SMALLEST = 3  # points; smaller numbers are unreadable and left out


def confusion(figure: Figure, runs: list[FinishedRun]):
    """One panel per run: the percentage of each class's images (row) put in each column."""
    drawn, seed = style.smallest_seed(runs)
    across = min(len(drawn), ACROSS[figure.wide])
    down = -(-len(drawn) // across)
    width = style.width(figure.wide) / across
    titles = [style.wrapped(run.label, 0.8 * width) for run in drawn]
    lines = max(title.count("\n") + 1 for title in titles)
    height, shape = down * (width + 0.15 * (lines - 1)), (down, across)
    look = {"layout": "compressed", "squeeze": False}
    picture, axes = style.panels(figure, height, *shape, **look)
    for axis in axes.flat[len(drawn) :]:
        axis.remove()
    facts = [
        "Confusion matrix: the percentage of each class's test images (row) put in each "
        f"class (column). {seed}"
    ]
    alone = len(drawn) == 1
    room = 72 * (0.75 if alone else 0.45) * width
    for run, axis, title in zip(drawn, axes.flat, titles, strict=False):
        matrix = percentages(run.probe("predictions"))
        draw_matrix(axis, matrix, size=room / len(matrix) * 0.42)
        centred = alone and max(map(len, matrix.index)) < SHORT
        axis.set_title(title, loc="center" if centred else "right")
        pairs = most_confused(matrix)
        words = [f"{label} for {taken} ({value:.1f} %)" for label, taken, value in pairs]
        listed = ", ".join(words) or "no class for another"
        facts.append(f"{run.label} most often takes {listed}.")
    return picture, " ".join(facts)


def percentages(predictions: pd.DataFrame) -> pd.DataFrame:
    """Percent of each class's images (rows) by prediction (columns), both by name."""
    classes = sorted({*predictions["label"], *predictions["predicted"]})
    counts = pd.crosstab(predictions["label"], predictions["predicted"])
    table = counts.reindex(index=classes, columns=classes, fill_value=0)
    return 100 * table.div(table.sum(axis=1).clip(lower=1), axis=0)


def most_confused(matrix: pd.DataFrame) -> list[tuple[str, str, float]]:
    """Largest entries off the diagonal: class, what it is taken for, percent."""
    pairs = matrix.rename_axis(index="label", columns="predicted").stack()
    wrong = pairs[pairs.index.map(lambda pair: pair[0] != pair[1])]
    largest = wrong[wrong > 0].nlargest(NAMED)
    return [(*pair, percent) for pair, percent in largest.items()]


def draw_matrix(axis, matrix: pd.DataFrame, size: float) -> None:
    """The matrix with its numbers, `size` points high, where they can be read."""
    edge = len(matrix) - 0.5
    extent = (-0.5, edge, edge, -0.5)  # so that class number n is at n
    look = {"cmap": "Blues", "vmin": 0, "vmax": 100, "extent": extent}
    style.show_pixels(axis, matrix.to_numpy(), **look)
    axis.set(xlabel="predicted", ylabel="class")
    if size < SMALLEST:
        return
    places, size = range(len(matrix)), min(size, style.SMALL)
    names = [style.plain(name) for name in matrix.index]
    axis.set_xticks(places, names, rotation=90, fontsize=size)
    axis.set_yticks(places, names, fontsize=size)
    for (row, column), value in np.ndenumerate(matrix):
        colour = "white" if value > 50 else "black"
        look = {"ha": "center", "va": "center", "color": colour, "fontsize": size}
        axis.text(column, row, f"{value:.0f}", **look)
