"""Gradient flow: mean absolute gradient of each weight tensor, by layer and epoch."""

import re
import warnings

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gradscape.claims.theory import EPSILON
from gradscape.figures import style
from gradscape.figures.layers import blocks, kinds_of, split_scales
from gradscape.runs.run import FinishedRun, by_setting
from gradscape.spec.labels import listing
from gradscape.spec.quantity import Quantity, rate
from gradscape.spec.study import Figure

LETTERS = 20  # of a block's name, of which the end tells most
LABELS = 24  # blocks that can be read side by side in a column
SCALES = "scales of normalisations"
STAGED = re.compile(r"stage (\d+), block (\d+)")


def gradient_flow(figure: Figure, runs: list[FinishedRun]):
    """Above, the course's plot on a logarithmic axis, a line per epoch. Below, the same as
    a map of layer × epoch. Scales of normalisations stand apart, at the layer they follow.
    Geometric means over the seeds of one setting."""
    runs = next(iter(by_setting(runs).values()))
    names = list(runs[0].gradients.columns)
    flow = over_seeds([run.gradients.to_numpy() for run in runs])
    kinds = kinds_of(runs[0])
    layers, scales = split_scales(kinds)
    weights = [names.index(name) for name in layers]
    normed, places = [names.index(name) for name, _ in scales], [at for _, at in scales]
    parts = [("epoch", weights, range(len(layers)), "#cccccc")]
    if len(scales) > 1:
        parts.append(("epoch\n(scales)", normed, places, "white"))
    heights = [1.3, 0.65, 0.4][: len(parts) + 1]
    look = {"height_ratios": heights, "sharex": True}
    picture, axes = style.panels(figure, 0.9 + sum(heights), len(heights), **look)
    means = np.exp(mean(np.log(flow)))  # [epochs, tensors]
    draw_lines(picture, axes[0], means, weights, normed, places)
    if len(runs) > 1:
        last = flow[:, -1][:, weights]
        low, high = np.fmin.reduce(last), np.fmax.reduce(last)
        colour = plt.get_cmap("viridis")(1.0)
        axes[0].fill_between(range(len(weights)), low, high, color=colour, alpha=0.3, lw=0)
    style.log_scale(axes[0])
    finite = flow[np.isfinite(flow)]
    epsilon = EPSILON.get(runs[0].settings["optimiser"], 0)
    crossed = bool(len(finite) and finite.min() < epsilon < finite.max())
    if crossed:
        axes[0].axhline(epsilon, color="black", lw=0.8, ls=":")
    norm = (
        LogNorm(finite.min(), max(finite.max(), 2 * finite.min())) if len(finite) else None
    )
    edges = np.arange(len(layers) + 1) - 0.5, np.arange(len(means) + 1) + 0.5
    for axis, (label, columns, at, empty) in zip(axes[1:], parts, strict=True):
        cells = np.full((len(means), len(layers)), np.nan)
        cells[:, at] = means[:, columns]
        drawn = axis.pcolormesh(*edges, cells, norm=norm, cmap="magma", rasterized=True)
        axis.set(facecolor=empty, ylabel=label)
        axis.grid(visible=False)
        axis.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
    if norm is not None:
        look = {"label": "gradient", "format": style.POWERS}
        picture.colorbar(drawn, ax=axes[1:], pad=0.01, **look)
    named = blocks({name: kinds[name] for name in layers})
    name_blocks(axes[-1], named, LABELS * (2 if figure.wide else 1))
    ends = means[-1, [weights[0], weights[-1]]]
    dotted = f" Dotted: its optimiser's ε, {rate(epsilon).text()}." * crossed
    return picture, facts(runs, len(layers), len(scales), ends) + dotted


def over_seeds(tables: list[np.ndarray]) -> np.ndarray:
    """[seeds, epochs, tensors]; not a number where a run had ended, or the gradient is an
    exact zero, which has no place on a logarithmic axis."""
    flow = np.full((len(tables), max(map(len, tables)), tables[0].shape[1]), np.nan)
    for place, table in zip(flow, tables, strict=True):
        place[: len(table)] = np.where(table > 0, table, np.nan)
    return flow


def mean(values: np.ndarray) -> np.ndarray:
    """The mean over the first axis of what is a number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of nothing: not a number
        return np.nanmean(values, axis=0)


def draw_lines(picture, axis, means, weights, normed, places) -> None:
    """A line per epoch, and crosses for the scales at their places."""
    colours, norm = plt.get_cmap("viridis"), Normalize(1, max(2, len(means)))
    for epoch, line in enumerate(means, start=1):
        look = {"color": colours(norm(epoch)), "alpha": 0.6}
        axis.plot(line[weights], lw=0.8, **look)
        axis.plot(places, line[normed], "x", ms=1.5, mew=0.4, **look)
    axis.set_ylabel("average gradient")
    bar = picture.colorbar(ScalarMappable(norm, colours), ax=axis, pad=0.01, label="epoch")
    bar.locator = MaxNLocator(integer=True, nbins=6)
    bar.update_ticks()
    if normed:
        look = {"ls": "", "marker": "x", "ms": 3, "mew": 0.5, "color": "grey"}
        style.legend_below(picture, [Line2D([], [], label=SCALES, **look)], 1)


def name_blocks(axis, named: list[str], most: int) -> None:
    """A tick label at the first layer of each block."""
    first = [n for n, name in enumerate(named) if n == 0 or name != named[n - 1]]
    first = first[:: -(-len(first) // most)]
    if len(named) > most and first[1:2] == [1]:
        del first[1]  # no room beside the first
    names = [named[n] for n in first]
    short = [STAGED.sub(r"\1.\2", name) for name in names]
    short = [f"…{name[-LETTERS:]}" if len(name) > LETTERS else name for name in short]
    axis.set_xticks(first, short, rotation=90, fontsize=style.SMALL)
    axis.set_xlim(-0.5, len(named) - 0.5)
    numbers = " (stage.block)" if any(map(STAGED.search, names)) else ""
    axis.set_xlabel(f"layer, from input to output{numbers}")


def facts(runs: list[FinishedRun], layers: int, scales: int, ends: np.ndarray) -> str:
    """`ends`: the gradients of the first and the last layer in the last epoch."""
    count = "the scale of one normalisation" if scales == 1 else f"{scales} {SCALES}"
    also = f" and {count} (crosses)" if scales else ""
    sentences = [
        f"Gradient flow in {runs[0].label}: mean absolute gradient of the last minibatch "
        f"of each epoch, in {layers} layers' weights{also}; above as lines, "
        "below as a map.",
        style.mean_over(runs, "").replace("Mean", "Geometric mean"),
    ]
    if len(runs) > 1:
        sentences.append("Band: smallest to largest over seeds in the last epoch.")
    if np.isfinite(ends).all():
        first, output = (Quantity(end, style="scientific").text() for end in ends)
        sentences.append(
            f"In the last epoch the first layer gets {first}, the last {output}."
        )
    if absent := runs[0].gradients.attrs["absent"]:
        sentences.append(
            f"No gradient reaches {listing(absent)}: frozen, or not called in training."
        )
    zeros = sum(int((run.gradients == 0).to_numpy().sum()) for run in runs)
    if zeros:
        sentences.append(f"{zeros:,} exact zeros are not drawn.")
    return " ".join(sentences)
