"""Gradient flow: mean absolute gradient of each weight tensor, by layer and epoch."""

import re
import warnings

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gradscape.figures import style
from gradscape.figures.layers import blocks, split_scales
from gradscape.runs.run import FinishedRun, by_setting
from gradscape.spec.study import Figure

LABELS = 24  # blocks that can be read side by side in a column
SCALES = "scales of normalisations"
STAGED = re.compile(r"stage (\d+), block (\d+)")


def gradient_flow(figure: Figure, runs: list[FinishedRun]):
    """Above, the course's plot on a logarithmic axis, a line per epoch. Below, the same as
    a map of layer × epoch. Scales of normalisations stand apart, at the layer they follow.

    Geometric means over the seeds of one setting.
    """
    runs = next(iter(by_setting(runs).values()))
    names = list(runs[0].gradients.columns)
    flow = over_seeds([run.gradients.to_numpy() for run in runs])
    layers, scales = split_scales(names)
    weights, normed = (
        [names.index(name) for name in part]
        for part in (layers, [name for name, _ in scales])
    )
    parts = [("layers", weights, list(range(len(layers))))]
    if len(scales) > 1:
        parts.append(("scales", normed, [place for _, place in scales]))
    heights = [1.3, 0.65, 0.4][: len(parts) + 1]
    picture, axes = plt.subplots(
        *(len(heights), 1),
        figsize=(style.width(figure.wide), 0.9 + sum(heights)),
        height_ratios=heights,
        sharex=True,
    )
    draw_lines(picture, axes[0], flow, weights, normed, [place for _, place in scales])
    finite = flow[np.isfinite(flow)]
    norm = (
        LogNorm(finite.min(), max(finite.max(), 2 * finite.min())) if len(finite) else None
    )
    edges = np.arange(len(layers) + 1) - 0.5, np.arange(flow.shape[1] + 1) + 0.5
    for axis, (label, columns, places) in zip(axes[1:], parts, strict=True):
        cells = np.full((flow.shape[1], len(layers)), np.nan)
        cells[:, places] = np.exp(mean(np.log(flow[:, :, columns])))
        drawn = axis.pcolormesh(*edges, cells, norm=norm, cmap="magma", rasterized=True)
        axis.set_facecolor("#cccccc" if label == "layers" else "white")
        axis.grid(visible=False)
        axis.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
        axis.set_ylabel("epoch" if label == "layers" else "epoch\n(scales)")
    if norm is not None:
        look = {"label": "average gradient", "format": style.POWERS}
        picture.colorbar(drawn, ax=axes[1:], pad=0.01, **look)
    name_blocks(axes[-1], layers, LABELS * (2 if figure.wide else 1))
    return picture, facts(runs, flow, names, layers, len(scales))


def over_seeds(tables: list[np.ndarray]) -> np.ndarray:
    """[seeds, epochs, tensors]; not a number where a run had ended, or the gradient is an
    exact zero, which has no place on a logarithmic axis."""
    flow = np.full((len(tables), max(map(len, tables)), tables[0].shape[1]), np.nan)
    for place, table in zip(flow, tables, strict=True):
        place[: len(table)] = np.where(table > 0, table, np.nan)
    return flow


def mean(values: np.ndarray) -> np.ndarray:
    """Over the first axis, of what is a number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of nothing: not a number
        return np.nanmean(values, axis=0)


def draw_lines(picture, axis, flow, weights, normed, places) -> None:
    """A line per epoch; over several seeds a band at the last, smallest to largest."""
    lines = np.exp(mean(np.log(flow)))
    colours = plt.get_cmap("viridis")
    norm = Normalize(1, max(2, len(lines)))
    for epoch, line in enumerate(lines, start=1):
        look = {"color": colours(norm(epoch)), "alpha": 0.6}
        axis.plot(line[weights], lw=0.8, **look)
        axis.plot(places, line[normed], "x", ms=1.5, mew=0.4, **look)
    if len(flow) > 1:
        last = flow[:, -1][:, weights]
        low, high = np.fmin.reduce(last), np.fmax.reduce(last)
        axis.fill_between(
            range(len(weights)), low, high, color=colours(1.0), alpha=0.3, lw=0
        )
    style.log_scale(axis)
    axis.set_ylabel("average gradient")
    bar = picture.colorbar(ScalarMappable(norm, colours), ax=axis, pad=0.01, label="epoch")
    bar.locator = MaxNLocator(integer=True, nbins=6)
    bar.update_ticks()
    if normed:
        look = {"ls": "", "marker": "x", "ms": 3, "mew": 0.5, "color": "grey"}
        style.legend_below(picture, [Line2D([], [], label=SCALES, **look)], 1)


def name_blocks(axis, layers: list[str], most: int) -> None:
    """A tick label at the first layer of each block."""
    named = blocks(layers)
    first = [n for n, name in enumerate(named) if n == 0 or name != named[n - 1]]
    first = first[:: -(-len(first) // most)]
    if len(layers) > most and first[1:2] == [1]:
        del first[1]  # no room beside the first
    short = [STAGED.sub(r"\1.\2", named[n]) for n in first]
    axis.set_xticks(first, short, rotation=90, fontsize=6.5)
    axis.set_xlim(-0.5, len(layers) - 0.5)
    numbers = " (stage.block)" if short != [named[n] for n in first] else ""
    axis.set_xlabel(f"layer, from input to output{numbers}")


def facts(runs: list[FinishedRun], flow, names, layers, scales: int) -> str:
    seeds = style.seeds_sentence([run.seed for run in runs], bands=False)
    count = "the scale of one normalisation" if scales == 1 else f"{scales} {SCALES}"
    also = f" and {count} (crosses)" if scales else ""
    sentences = [
        f"Gradient flow in {runs[0].label}: mean absolute gradient of the last minibatch "
        f"of each epoch, in {len(layers)} layers' weights{also}; above as lines, "
        "below as a map.",
        seeds.replace("Mean", "Geometric mean"),
    ]
    if len(runs) > 1:
        sentences.append("Band: smallest to largest over seeds in the last epoch.")
    last = np.exp(mean(np.log(flow)))[-1]
    ends = [last[names.index(layer)] for layer in (layers[0], layers[-1])]
    if np.isfinite(ends).all():
        first, output = map(style.power, ends)
        sentences.append(
            f"In the last epoch the first layer gets {first}, the last {output}."
        )
    zeros = sum(int((run.gradients == 0).to_numpy().sum()) for run in runs)
    if zeros:
        sentences.append(f"{zeros:,} exact zeros are not drawn.")
    return " ".join(sentences)
