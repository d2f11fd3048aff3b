"""Which classes are mistaken for which: the confusion matrix of the test images."""

import matplotlib.pyplot as plt
import pandas as pd

from gradscape.figures import style
from gradscape.runs.run import FinishedRun
from gradscape.spec.study import Figure

PROBES = ["predictions"]
NAMED = 3  # pairs, in the caption
SMALLEST = 3  # points; smaller numbers are unreadable and left out


def confusion(figure: Figure, runs: list[FinishedRun]):
    """One panel per run: the percentage of each class's images (row) put in each column."""
    drawn, seed = style.smallest_seed(runs)
    width = style.width(figure.wide) / len(drawn)
    picture, axes = plt.subplots(
        *(1, len(drawn)),
        figsize=(len(drawn) * width, width),
        layout="compressed",
        squeeze=False,
    )
    facts = [
        "Confusion matrix: the percentage of each class's test images (row) put in each "
        f"class (column). {seed}"
    ]
    for run, axis in zip(drawn, axes[0], strict=True):
        matrix = percentages(run.probe("predictions"))
        draw_matrix(axis, matrix, size=72 * 0.75 * width / len(matrix) * 0.4)
        axis.set_title(run.label)
        facts.append(f"{run.label} most often takes {listing(most_confused(matrix))}.")
    return picture, " ".join(facts)


def counts(predictions: pd.DataFrame) -> pd.DataFrame:
    """Images by class (rows) and prediction (columns), classes in alphabetical order."""
    classes = sorted({*predictions["label"], *predictions["predicted"]})
    table = pd.crosstab(predictions["label"], predictions["predicted"])
    return table.reindex(index=classes, columns=classes, fill_value=0)


def percentages(predictions: pd.DataFrame) -> pd.DataFrame:
    """The same in percent of the row; a class without images has none."""
    table = counts(predictions)
    return 100 * table.div(table.sum(axis=1).clip(lower=1), axis=0)


def most_confused(matrix: pd.DataFrame, count: int = NAMED) -> list[tuple[str, str, float]]:
    """Largest entries off the diagonal: class, what it is taken for, percent."""
    pairs = matrix.rename_axis(index="label", columns="predicted").stack()
    wrong = pairs[pairs.index.map(lambda pair: pair[0] != pair[1])]
    largest = wrong[wrong > 0].nlargest(count)
    return [(*pair, percent) for pair, percent in largest.items()]


def listing(pairs: list[tuple[str, str, float]]) -> str:
    words = [f"{label} for {taken} ({value:.1f} %)" for label, taken, value in pairs]
    return ", ".join(words) or "no class for another"


def draw_matrix(axis, matrix: pd.DataFrame, size: float) -> None:
    """The matrix with its numbers, `size` points high, where they can be read."""
    edge = len(matrix) - 0.5
    extent = (-0.5, edge, edge, -0.5)  # so that class number n is at n
    look = {"cmap": "Blues", "vmin": 0, "vmax": 100, "extent": extent}
    style.show_pixels(axis, matrix.to_numpy(), **look)
    axis.set_xlabel("predicted")
    axis.set_ylabel("class")
    if size < SMALLEST:
        return
    places, size = range(len(matrix)), min(size, 6)
    names = [style.plain(name) for name in matrix.index]
    axis.set_xticks(places, names, rotation=90, fontsize=size)
    axis.set_yticks(places, names, fontsize=size)
    for row in places:
        for column in places:
            value = matrix.iat[row, column]
            colour = "white" if value > 50 else "black"
            look = {"ha": "center", "va": "center", "color": colour, "fontsize": size}
            axis.text(column, row, f"{value:.0f}", **look)
