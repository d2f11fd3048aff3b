"""Gradient flow: mean absolute gradient of each weight tensor, one line per epoch."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import Normalize

from gradscape.figures import style
from gradscape.results.runs import FinishedRun
from gradscape.study import Figure

LABELS = 40  # tick labels that can be read side by side


def gradient_flow(figure: Figure, runs: list[FinishedRun]):
    """The course's plot with a logarithmic axis, on which vanishing can be seen."""
    run = min(runs, key=lambda run: run.seed)
    gradients = run.gradients
    picture, axis = plt.subplots(figsize=(style.width(figure.wide), 2.1))
    colours = plt.get_cmap("viridis")
    norm = Normalize(1, max(2, len(gradients)))
    for epoch, row in enumerate(gradients.to_numpy(), start=1):
        visible = np.where(row > 0, row, np.nan)  # a zero has no place on a log axis
        axis.plot(visible, color=colours(norm(epoch)), alpha=0.5, lw=0.8)
    axis.set_yscale("log")
    axis.set_ylabel("average gradient")
    every = -(-gradients.shape[1] // (LABELS * (2 if figure.wide else 1)))
    places = range(0, gradients.shape[1], every)
    names = [short(gradients.columns[place]) for place in places]
    axis.set_xticks(places, names, rotation=90, fontsize=4.5)
    axis.set_xlim(-0.5, gradients.shape[1] - 0.5)
    axis.set_xlabel("layer, from input to output")
    scale = plt.cm.ScalarMappable(norm, colours)
    bar = picture.colorbar(scale, ax=axis, pad=0.01, label="epoch")
    bar.locator = plt.MaxNLocator(integer=True, nbins=6)
    bar.update_ticks()
    last = gradients.iloc[-1]
    zeros = int((gradients == 0).to_numpy().sum())
    facts = [
        f"{run.label}, seed {run.seed}, {gradients.shape[1]} weight tensors; after each "
        "epoch, the gradient of its last minibatch.",
        f"In the last epoch the first layer gets {power(last.iloc[0])}, the last "
        f"{power(last.iloc[-1])}.",
    ]
    if zeros:
        facts.append(f"{zeros} exact zeros are not drawn.")
    return picture, " ".join(facts)


def power(value: float) -> str:
    if not np.isfinite(value):
        return "no finite gradient"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def short(name: str) -> str:
    """`stages.3.conv1` → `3.conv1`: the last two parts of a layer's name."""
    return ".".join(name.split(".")[-2:])
