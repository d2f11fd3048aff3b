"""The proxies and the paper's measures of smoothness, side by side.

Above, over learning rates, as Fudan project 2 asks (sections 2.3 and 2.4); below, along
the gradient of the same minibatch, as Santurkar et al. 2018 define them (Figure 4).
"""

from typing import Annotated

import numpy as np
from matplotlib.lines import Line2D

from gradscape.base.errors import GradscapeError
from gradscape.claims.smoothness import MEASURES, definition, proxy, smooth
from gradscape.figures import style
from gradscape.figures.cells import by_values
from gradscape.runs.run import FinishedRun
from gradscape.spec.labels import listing, model_label, noun
from gradscape.spec.options import Range, Unset
from gradscape.spec.quantity import Quantity
from gradscape.spec.study import Figure

WIDE = True
PROBE_WINDOW = 3  # of the definition's
TITLES = {
    "loss": "loss",
    "gradient": "gradient predictiveness",
    "beta": r'"effective" $\beta$-smoothness',
}


def smoothness(
    figure: Figure,
    runs: list[FinishedRun],
    window: Annotated[int, Range(1), "steps of the proxies' running median"] = 21,
    learning_rate: Annotated[
        float | None, Unset("the first probed"), "the rate whose probes are drawn"
    ] = None,
):
    """Rows of three panels, logarithmic; all models of the first seed in each. A proxy is
    drawn where a model has several learning rates. The definition is drawn at
    `learning_rate`, or else at the first that was probed."""
    runs, _ = style.smallest_seed(runs)
    by_values(figure, runs, "model", "learning_rate")  # or it cannot be drawn
    probed = [run for run in runs if "probed_step" in run.steps]
    rate = learning_rate or (probed[0].learning_rate if probed else None)
    models = dict.fromkeys(run.model for run in runs)
    groups = {name: [run for run in runs if run.model == name] for name in models}
    rows = 2 if any(len(group) > 1 for group in groups.values()) else 1
    look = {"sharex": True, "squeeze": False}
    picture, axes = style.panels(figure, 0.3 + 1.5 * rows, rows, 3, **look)
    facts = [
        f"Three measures of smoothness for {style.named(runs)}: bands from the smallest to "
        f"the largest value, and the largest β. {style.seeds(runs).capitalize()}."
    ]
    handles = []
    looks = style.looks((model, "") for model in groups)
    for model, group in groups.items():
        name, look = model_label(model), looks[model, ""]
        handles.append(Line2D([], [], color=look.colour, ls=look.line, label=name))
        if len(group) > 1:
            draw_row(axes[0], proxy(group), window, look)
        elif rows == 2:
            facts.append(f"{name} ran at only one learning rate and has no proxy.")
        for run in group:
            measures = definition(run) if run.learning_rate == rate else {}
            if infinite := draw_row(axes[-1], measures, PROBE_WINDOW, look):
                facts.append(f"{infinite} values of {name} overflowed; drawn at the top.")
    if not any(axis.lines for axis in axes.flat):
        raise GradscapeError(
            f"figure {figure.name}: none of its runs has another learning rate beside it, "
            "nor was any measured along its gradient (`landscape_every`)"
        )
    for axis in axes.flat:
        style.log_scale(axis)
    for measure, above, below in zip(MEASURES, axes[0], axes[-1], strict=True):
        above.set_title(TITLES[measure])
        below.set_xlabel("step")
    axes[0, 0].set_ylabel("over learning rates")
    axes[-1, 0].set_ylabel("along the gradient")
    style.legend_below(picture, handles, len(handles))
    if rows == 2:
        lag = min(run.settings["gradient_lag"] or 0 for run in runs)
        facts.append(
            f"Above, over learning rates {listing(style.rates(runs))}: gradients of the "
            f"output layer, {lag} {noun(lag, 'step')} apart; running medians of {window} "
            "steps."
        )
    if probed:
        settings, sizes = probed[0].settings, probed[0].steps["probed_size"].shape[1]
        facts.append(
            f"{'Below, along' if rows == 2 else 'Along'} the gradient: every "
            f"{settings['landscape_every']} steps at learning rate "
            f"{Quantity(rate, style='rate').text()}, "
            f"{sizes} step sizes from 1/2 to 4 times it, at most "
            f"{settings['landscape_cap']:g}; all parameters; running medians of "
            f"{PROBE_WINDOW} probes."
        )
    return picture, " ".join(facts)


def draw_row(axes, measures: dict, window: int, look: style.Look) -> int:
    """Draw bands, and beta's largest value as a line; return the number of infinities."""
    infinite = 0
    for name, axis in zip(MEASURES, axes, strict=True):
        if name not in measures:
            continue
        steps, low, high = measures[name]
        infinite += int((~np.isfinite(high)).sum())
        low, high = (smooth(capped(values), window) for values in (low, high))
        if name != "beta":
            axis.fill_between(steps, low, high, **look.fill)
            axis.plot(steps, low, color=look.colour, ls=look.line, lw=0.6)
        axis.plot(steps, high, color=look.colour, ls=look.line, lw=0.8)
    return infinite


def capped(values: np.ndarray) -> np.ndarray:
    """Infinite values as the largest finite one, so that they can be drawn."""
    finite = values[np.isfinite(values)]
    return np.minimum(values, finite.max() if len(finite) else 1.0)
