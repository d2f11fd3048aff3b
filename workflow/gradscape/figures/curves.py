"""Loss and accuracy by epoch, training and validation, mean over seeds."""

from itertools import cycle
from typing import Annotated

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gradscape.config.published import read_curves
from gradscape.figures import style
from gradscape.figures.cells import FACTORS, SCORES
from gradscape.runs.run import FinishedRun, by_setting
from gradscape.spec.labels import setting_label
from gradscape.spec.study import Figure

WIDE = True
LINES = ["-", "--", ":", "-."]
COLUMNS = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
TOGETHER = 2  # settings up to which training and validation share a panel
NAMED = 24  # settings up to which each has its colour, its band and a place in the legend
MAX_DIVERGED = 10  # runs that the caption names one by one


def curves(
    figure: Figure,
    runs: list[FinishedRun],
    reference: Annotated[
        str | None, "a CSV of published curves, also a course's `summary.csv`"
    ] = None,
):
    """Up to two settings: a loss and an accuracy panel, validation dashed. More: one panel
    each for training loss, validation loss, training and validation accuracy. Very many:
    thin lines without names, coloured by learning rate. Published curves, in the CSV
    `reference`, are drawn beside them."""
    groups = by_setting(runs)
    many, together = len(groups) > NAMED, len(groups) <= TOGETHER
    count = 2 if together else 4
    across = count if figure.wide else 2
    down = count // across
    picture, axes = style.panels(figure, 0.5 + 1.6 * down, down, across, squeeze=False)
    panels = dict(zip(COLUMNS, np.repeat(axes, 4 // count), strict=True))
    dashed = [column for column in panels if together and column.startswith("val")]
    rates = sorted({rate for _, rate, _ in groups})
    lines = dict(zip(rates, cycle(LINES), strict=False))
    shades = ScalarMappable(LogNorm(rates[0], rates[-1]), "viridis")
    handles = []
    looks = style.looks((model, variant) for model, _, variant in groups)
    for (model, rate, variant), group in groups.items():
        look = looks[model, variant].marks | {"ls": lines[rate]}
        if many:
            look = {"color": shades.to_rgba(rate), "lw": 0.4, "rasterized": True}
        else:
            label = group[0].label if len(rates) > 1 else setting_label(model, variant)
            handles.append(Line2D([], [], label=label, **look))
        for column, axis in panels.items():
            seeds = [run.metrics.set_index("epoch")[column] for run in group]
            table = FACTORS[column] * pd.concat(seeds, axis=1)
            line = {"ls": "--"} if column in dashed else {}
            every = {} if many else {"markevery": max(1, len(table) // 6)}
            plot_group(axis, table, not many, look | line | every)
    if many and len(rates) > 1:
        picture.colorbar(shades, ax=axes, pad=0.01, label="learning rate")
    if reference is not None:
        handles.append(draw_published(panels, read_curves(reference), dashed))
    chance, highest = runs[0].chance_loss, []
    longest = max(len(run.metrics) for run in runs)
    for column, axis in panels.items():
        part, quantity = SCORES[column]
        axis.set(title=quantity if together else f"{part} {quantity}", xlabel="epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        if longest == 1:
            axis.set(xlim=(0.5, 1.5), xticks=[1])
        if column.endswith("accuracy"):
            axis.set_ylim(bottom=0)
        else:
            highest += end_above(axis, chance)
    if together:
        for line, label in (("-", "training"), ("--", "validation")):
            handles.append(Line2D([], [], color="grey", ls=line, label=label))
    handles.append(Line2D([], [], color="grey", lw=0.8, ls=":", label="chance"))
    style.legend_below(picture, handles, 4 if figure.wide else 2)
    words = facts(runs, len(groups) if many else None)
    if highest:
        words += (
            f" The loss axis ends at {1.15 * chance:.2f}; the highest curve reaches "
            f"{max(highest):.2f}."
        )
    return picture, words


def draw_published(panels: dict, published: dict, dashed: list[str]) -> Line2D:
    for column, axis in panels.items():
        values = FACTORS[column] * np.array(published[column])
        look = {"color": "black", "ls": "--" if column in dashed else "-", "lw": 0.7}
        axis.plot(published["epoch"], values, **look)
    return Line2D([], [], color="black", lw=0.7, label="published")


def end_above(axis, chance: float) -> list[float]:
    """Draw chance, and end the axis above it, for a bad start hides the rest; the highest
    loss of each curve that this cuts off."""
    axis.axhline(chance, color="grey", lw=0.8, ls=":")
    if axis.get_ylim()[1] <= 1.15 * chance:
        return []
    lowest = min(np.nanmin(line.get_ydata()) for line in axis.lines)
    axis.set_ylim(lowest - 0.05 * (1.15 * chance - lowest), 1.15 * chance)
    tops = (np.nanmax(line.get_ydata()) for line in axis.lines[:-1])
    return [top for top in tops if top > 1.15 * chance]


def plot_group(axis, table: pd.DataFrame, band: bool, look: dict) -> None:
    """Mean over seeds, and a band, of a table of epoch × seed."""
    mean = table.mean(axis=1)
    axis.plot(mean.index, mean, **look)
    if band and table.shape[1] > 1:
        deviation = table.std(axis=1)
        low, high = mean - deviation, mean + deviation
        axis.fill_between(mean.index, low, high, color=look["color"], alpha=0.2, lw=0)


def facts(runs: list[FinishedRun], lines: int | None) -> str:
    """The caption's sentences; `lines` of them where they are too many to be named."""
    if lines is None:
        rates = style.rates(runs)
        at = f", learning rate {rates[0]}" if len(rates) == 1 else ""
        drawn, spread = f"{style.named(runs)}{at}", "bands"
    else:
        models = len({run.model for run in runs})
        drawn, spread = f"{lines:,} settings of {models} models, one line each", ""
    diverged = [run for run in runs if run.diverged]
    ended = [f"{run.label} diverged in epoch {run.diverged}." for run in diverged]
    if len(diverged) > MAX_DIVERGED:
        ended = [f"{len(diverged):,} of {len(runs):,} runs diverged."]
    lengths = [{len(run.metrics) for run in group} for group in by_setting(runs).values()]
    if any(len(of_seeds) > 1 for of_seeds in lengths):
        ended = [
            "Where a seed's training ends earlier, the mean is over the others.",
            *ended,
        ]
    return " ".join(
        [
            f"Training and validation curves: {drawn}.",
            f"{style.mean_over(runs, spread)} Dotted: the loss of a uniform guess.",
            *ended,
        ]
    )
