"""The courseworks' loss landscape: the band of losses over learning rates, by step.

Fudan project 2, section 2.3.1: at each step the largest and the smallest minibatch loss
among the learning rates, with the space between filled: one band per model.
"""

from typing import Annotated

import matplotlib.pyplot as plt
import numpy as np

from gradscape.figures import style
from gradscape.options import Range
from gradscape.results.runs import FinishedRun, model_label
from gradscape.results.smoothness import band, smooth
from gradscape.study import Figure, format_learning_rate


def loss_band(
    figure: Figure,
    runs: list[FinishedRun],
    window: Annotated[int, Range(1), "steps of the moving average"] = 20,
):
    """The bands of all models in one picture, for the first seed; one rate has no band."""
    seed = min(run.seed for run in runs)
    runs = [run for run in runs if run.seed == seed]
    picture, axis = plt.subplots(figsize=(style.width(figure.wide), 2.3))
    facts = [f"Largest and smallest minibatch loss, moving average of {window} steps."]
    rates = sorted({format_learning_rate(r.learning_rate) for r in runs}, key=float)
    facts.append(f"Learning rates {style.listing(rates)}; seed {seed}.")
    for number, model in enumerate(dict.fromkeys(run.model for run in runs)):
        group = [run for run in runs if run.model == model]
        name, colour = model_label(model), style.colour(number)
        if len(group) == 1:
            facts.append(f"{name} ran at only one learning rate and has no band.")
            continue
        low, high = band([run.step_losses for run in group])
        low, high = smooth(low, window), smooth(high, window)
        steps = np.arange(1, len(low) + 1)
        axis.fill_between(steps, low, high, color=colour, alpha=0.35, lw=0, label=name)
        axis.plot(steps, low, color=colour, lw=0.7)
        axis.plot(steps, high, color=colour, lw=0.7)
        diverged = [format_learning_rate(r.learning_rate) for r in group if r.diverged]
        if diverged:
            facts.append(f"{name} diverged at {', '.join(diverged)}: its band is open.")
    axis.set_ylim(0, 1.5 * runs[0].chance_loss)
    axis.axhline(runs[0].chance_loss, color="grey", lw=0.8, ls=":", label="chance")
    axis.set_xlabel("step")
    axis.set_ylabel("minibatch loss")
    axis.legend(loc="upper right")
    return picture, " ".join(facts)
