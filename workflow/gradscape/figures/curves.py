"""Loss and accuracy by epoch, training and validation, mean over seeds."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gradscape.config import Figure, locate
from gradscape.figures import style
from gradscape.runs import FinishedRun, by_setting

LINES = ["-", "--", ":", "-."]
TOGETHER = 2  # settings up to which training and validation share a panel


def curves(figure: Figure, runs: list[FinishedRun]):
    """Up to two settings: loss and accuracy panels, validation dashed. More: a panel
    each for training loss, validation loss, training and validation accuracy.

    The option `reference` names a CSV of published curves to draw beside them.
    """
    groups = by_setting(runs)
    together = len(groups) <= TOGETHER
    columns = ["train_loss", "val_loss", "train_accuracy", "val_accuracy"]
    count = 2 if together else 4
    picture, axes = plt.subplots(1, count, figsize=(style.width(figure.wide), 1.9))
    panels = dict(zip(columns, np.repeat(axes, 4 // count), strict=True))
    models = list(dict.fromkeys((model, variant) for model, _, variant in groups))
    rates = sorted({rate for _, rate, _ in groups})
    handles = []
    for number, ((model, rate, variant), group) in enumerate(groups.items()):
        if together:
            colour, line = style.COLOURS[number], "-"
        else:
            colour = style.COLOURS[models.index((model, variant)) % len(style.COLOURS)]
            line = LINES[rates.index(rate) % len(LINES)]
        for column, axis in panels.items():
            dashed = together and column.startswith("val")
            plot_group(axis, group, column, colour, "--" if dashed else line)
        handles.append(Line2D([], [], color=colour, ls=line, label=group[0].label))
    reference = figure.options.get("reference")
    if reference is not None:
        published = pd.read_csv(locate(reference)).set_index("epoch")
        for column, axis in panels.items():
            line = "--" if together and column.startswith("val") else "-"
            axis.plot(published[column], color="black", ls=line, lw=0.7)
        handles.append(Line2D([], [], color="black", lw=0.7, label="published"))
    chance = runs[0].chance_loss
    for column, axis in panels.items():
        part = {"train": "training", "val": "validation"}[column.split("_")[0]]
        quantity = column.split("_")[1]
        axis.set_title(quantity if together else f"{part} {quantity}")
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        if quantity == "loss":
            axis.axhline(chance, color="grey", lw=0.8, ls=":")
            top = axis.get_ylim()[1]
            axis.set_ylim(top=min(top, 1.15 * chance))  # a bad start hides the rest
        else:
            axis.set_ylim(bottom=0)
    if together:
        for line, label in (("-", "training"), ("--", "validation")):
            handles.append(Line2D([], [], color="grey", ls=line, label=label))
    handles.append(Line2D([], [], color="grey", lw=0.8, ls=":", label="chance"))
    style.legend_below(picture, handles, 4 if figure.wide else 2)
    return picture, facts(runs)


def plot_group(axis, group: list[FinishedRun], column: str, colour: str, line: str):
    table = pd.concat([run.metrics.set_index("epoch")[column] for run in group], axis=1)
    mean, deviation = table.mean(axis=1), table.std(axis=1)
    alone = len(table) == 1
    axis.plot(mean.index, mean, color=colour, ls=line, marker="." if alone else None)
    if len(group) > 1:
        low, high = mean - deviation, mean + deviation
        axis.fill_between(mean.index, low, high, color=colour, alpha=0.2, lw=0)


def facts(runs: list[FinishedRun]) -> str:
    sentences = [style.seeds_sentence([run.seed for run in runs])]
    sentences.append("Dotted: the loss of a uniform guess.")
    for run in runs:
        if run.diverged:
            sentences.append(f"{run.label} diverged in epoch {run.diverged}.")
    return " ".join(sentences)
