"""Accuracy against a number that a study varies: a setting, or the parameters."""

from typing import Annotated

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.ticker import EngFormatter

from gradscape.base.errors import GradscapeError
from gradscape.figures import style
from gradscape.runs.run import FinishedRun
from gradscape.spec.study import Figure

LABELS = {
    "parameters": "number of parameters",
    "dropout": "probability of dropping a unit",
    "augmentation_strength": "strength of the augmentation",
}
LINES = {"train": ("training", ":"), "val": ("validation", "--"), "test": ("test", "-")}


def against(
    figure: Figure,
    runs: list[FinishedRun],
    *,
    x: Annotated[str, "a numeric setting, or `parameters`"],
):
    """Training, validation and test accuracy at the best epoch, over the option `x`: means
    over seeds, bands of one deviation. Raises `GradscapeError` for runs that differ in more
    than `x` and the seed: nothing else is averaged over."""
    rows = [
        {
            "x": run.record.parameters if x == "parameters" else run.settings[x],
            "seed": run.seed,
            "test_accuracy": run.test["test_accuracy"],
            **run.best[["train_accuracy", "val_accuracy"]],
        }
        for run in runs
    ]
    table = pd.DataFrame(rows)
    for value in table[table.duplicated(["x", "seed"])]["x"]:
        raise GradscapeError(
            f"figure {figure.name}: several runs of one seed have {x} {value} and differ "
            "in something else, which it would average over; choose by `where`"
        )
    groups = table.drop(columns="seed").groupby("x")
    means, deviations = 100 * groups.mean(), 100 * groups.std(ddof=1).fillna(0)
    picture, axis = plt.subplots(figsize=(style.width(figure.wide), 2.0))
    for colour, (part, (label, line)) in zip(style.COLOURS, LINES.items(), strict=False):
        mean, deviation = (table[f"{part}_accuracy"] for table in (means, deviations))
        axis.plot(means.index, mean, line, marker=".", color=colour, label=label)
        low, high = mean - deviation, mean + deviation
        axis.fill_between(means.index, low, high, color=colour, alpha=0.2, lw=0)
    if x == "parameters":
        axis.set_xscale("log")
        axis.set_xticks(means.index, minor=False)
        short = EngFormatter(sep="")
        axis.xaxis.set_major_formatter(lambda value, _: short(float(f"{value:.3g}")))
        axis.minorticks_off()
    words = LABELS.get(x, x.replace("_", " "))
    axis.set(xlabel=words, ylabel="accuracy (%)")
    style.legend_below(picture, axis.get_legend_handles_labels()[0], 3)
    return (
        picture,
        f"Accuracy at the best epoch against the {words}. {style.mean_over(runs)}",
    )
