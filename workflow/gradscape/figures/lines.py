"""Accuracies or losses over a setting, and a line for each value of another."""

from typing import Annotated, Literal

import numpy as np
from matplotlib.ticker import EngFormatter

from gradscape.base.errors import GradscapeError
from gradscape.figures import style
from gradscape.figures.cells import SCORES, by_values, label, ordered, scores_of, words
from gradscape.runs.run import FinishedRun
from gradscape.spec.study import NETWORK, PARAMETERS, Figure

AXES = ["x", "by"]  # the options that name settings
LABELS = 5  # that have room side by side in a column
FACTOR = 50  # from the smallest to the largest, from which on powers are drawn
THREE = {"train_accuracy": ":", "val_accuracy": "--", "test_accuracy": "-"}


def lines(
    figure: Figure,
    runs: list[FinishedRun],
    *,
    x: Annotated[str, "a numeric setting, or `parameters`"],
    by: Annotated[str, "a setting, or `network`: a line for each value"] = "",
    score: Annotated[
        Literal[
            "test_accuracy", "val_accuracy", "train_accuracy", "val_loss", "train_loss"
        ],
        "what is drawn with `by`, at the best epoch",
    ] = "test_accuracy",
):
    """Over `x`, at the best epoch: with `by` one score, a line for each value; without it
    training, validation and test accuracy. Means over seeds, bands of one deviation. Raises
    `GradscapeError` for runs that differ in more than these and the seed."""
    groups = by_values(figure, runs, x, by) if by else by_values(figure, runs, x)
    for place in groups:
        if not isinstance(place[0], int | float):
            what = f"{place[0]!r} of {x} is no number, and it is drawn over numbers"
            raise GradscapeError(f"figure {figure.name}: {what}")
    picture, axis = style.panels(figure, 2.4 if by else 2.0)
    if by:
        kinds = ordered(place[1] for place in groups)
        named = "" if by == NETWORK else f"{words(by)} "
        drawn = [(named + label(by, kind), score, "-", (kind,)) for kind in kinds]
    else:
        drawn = [(SCORES[part][0], part, dash, ()) for part, dash in THREE.items()]
    for number, (name, part, dash, kind) in enumerate(drawn):
        places = sorted(place[0] for place in groups if place[1:] == kind)
        values = [scores_of(groups[place, *kind], part) for place in places]
        mean = np.array([np.mean(of) for of in values])
        deviation = np.array([np.std(of, ddof=1) if len(of) > 1 else 0 for of in values])
        look = style.look(number)
        marks = look.marks | {"ls": look.line} if by else {"color": look.colour}
        axis.plot(places, mean, label=name, **{"marker": ".", "ls": dash} | marks)
        low, high = mean - deviation, mean + deviation
        axis.fill_between(places, low, high, alpha=0.2, lw=0, color=look.colour)
    scale_x(axis, x, sorted({place[0] for place in groups}))
    of, unit = SCORES[score]
    axis.set(xlabel=words(x), ylabel=f"{of} {unit}" if by else unit)
    style.legend_below(picture, axis.get_legend_handles_labels()[0], 3)
    what = f"{of} {unit.split()[0]}".capitalize() if by else "Accuracy"
    for_each = f", a line for each {words(by)}" if by else ""
    return (
        picture,
        f"{what} at the best epoch against the {words(x)}{for_each}. "
        f"{style.mean_over(runs, axes=(x, by))}",
    )


def scale_x(axis, x: str, places: list[float]) -> None:
    """Powers of ten where what is drawn over grows by factors; nought stands before. Of
    many places those at powers alone have labels, else every other."""
    above = [place for place in places if place > 0]
    if x != PARAMETERS and (len(above) < 2 or above[-1] < FACTOR * above[0]):
        return
    has_none = {} if above == places else {"linthresh": above[0]}
    axis.set_xscale("symlog" if has_none else "log", **has_none)
    labelled = places
    if len(places) > LABELS:
        powers = [place for place in above if np.log10(place).round(9) % 1 == 0]
        labelled = powers if len(powers) > 1 else places[::2]
    axis.set_xticks(places, minor=False)
    short = EngFormatter(sep="")

    def printed(value: float, _) -> str:
        if value not in labelled:
            return ""
        return short(float(f"{value:.3g}")) if x == PARAMETERS else label(x, float(value))

    axis.xaxis.set_major_formatter(printed)
    axis.minorticks_off()
