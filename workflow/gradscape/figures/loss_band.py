"""The courseworks' loss landscape: the band of losses over learning rates, by step.

Fudan project 2, section 2.3.1: at each step the largest and the smallest minibatch loss
among the learning rates, with the space between filled: one band per model.
"""

from typing import Annotated

import numpy as np

from gradscape.claims.smoothness import band, smooth
from gradscape.figures import style
from gradscape.figures.cells import by_values
from gradscape.runs.run import FinishedRun
from gradscape.spec.labels import listing, model_label
from gradscape.spec.options import Range
from gradscape.spec.quantity import rate
from gradscape.spec.study import Figure

WIDE = True


def loss_band(
    figure: Figure,
    runs: list[FinishedRun],
    window: Annotated[int, Range(1), "steps of the running median"] = 21,
):
    """The bands of all models in one picture, for the first seed; one rate has no band.
    Faint lines: the extremes of each step. The band lies between their running medians."""
    runs, _ = style.smallest_seed(runs)
    by_values(figure, runs, "model", "learning_rate")  # or it cannot be drawn
    picture, axis = style.panels(figure, 2.3)
    chance = runs[0].chance_loss
    top = 1.5 * chance
    drawn, over, facts = [], [], []
    for (model, _), look in style.looks((run.model, "") for run in runs).items():
        group = [run for run in runs if run.model == model]
        name, colour = model_label(model), look.colour
        if len(group) == 1:
            facts.append(f"{name} ran at only one learning rate and has no band.")
            continue
        drawn.append(name)
        extremes = band([run.step_losses for run in group])
        steps = np.arange(1, len(extremes[0]) + 1)
        for values in extremes:
            axis.plot(steps, values, color=colour, lw=0.3, alpha=0.45)
        low, high = (smooth(values, window) for values in extremes)
        axis.fill_between(steps, low, high, **look.fill, label=name)
        for edge in (low, high):
            axis.plot(steps, edge, color=colour, ls=look.line, lw=0.8)
        largest = extremes[1]
        beyond = np.flatnonzero(np.isfinite(largest) & (largest > top))
        if len(beyond):
            worst = beyond[largest[beyond].argmax()]
            count = "one step" if len(beyond) == 1 else f"{len(beyond):,} steps"
            at = f"up to {largest[worst]:.2f}, at step {worst + 1:,}"
            over.append(f"{name} at {count} ({at})")
        diverged = [rate(run.learning_rate).text() for run in group if run.diverged]
        if diverged:
            facts.append(f"{name} diverged at {', '.join(diverged)}: its band is open.")
    if drawn:
        facts.insert(
            0,
            f"Loss landscape of {listing(drawn)}: the largest and the smallest minibatch "
            f"loss over learning rates {listing(style.rates(runs))} at each step (faint), "
            f"and the band between their running medians over {window} steps; "
            f"{style.seeds(runs)}.",
        )
        facts.append("Dotted: the loss of a uniform guess.")
    if over:
        facts.append(f"The axis ends at {top:.2f}; beyond it lie {listing(over)}.")
    axis.axhline(chance, color="grey", lw=0.8, ls=":", label="chance")
    axis.set(ylim=(0, top), xlabel="step", ylabel="minibatch loss")
    axis.legend(loc="upper right")
    return picture, " ".join(facts)
