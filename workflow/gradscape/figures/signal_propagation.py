"""Mean square of pre-activations and gradients by depth, with the law's prediction."""

from typing import Annotated, Literal

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from gradscape.figures import style
from gradscape.runs.run import FinishedRun, by_setting
from gradscape.spec.labels import setting_label
from gradscape.spec.options import Unset
from gradscape.spec.study import Figure

PROBES = ["signal"]
WIDE = True
QUANTITIES = {"activation": "pre-activations", "gradient": "gradients"}
LAW = {"color": "black", "ls": ":", "lw": 1.2}
MOMENTS = {"initialisation": " at initialisation", "best": " at the best weights"}


def signal_propagation(
    figure: Figure,
    runs: list[FinishedRun],
    moment: Annotated[
        Literal["initialisation", "best"] | None, Unset("both"), "weights to show"
    ] = None,
):
    """Points: one per layer and seed. Lines: the geometric mean over seeds and, where the
    network is plain and at initialisation, the law."""
    panels = [(at, quantity) for at in MOMENTS for quantity in QUANTITIES]
    panels = [panel for panel in panels if moment in (None, panel[0])]
    if moment is None:
        panels.remove(("best", "activation"))
    picture, axes = style.panels(figure, 2.5, columns=len(panels))
    handles, predicted_any = [], False
    facts = (
        f"Signal propagation through {style.named(runs)}: mean squares by depth. "
        f"{style.seeds(runs).capitalize()}. Lines: geometric means over seeds."
    )
    looks = style.looks((run.model, run.variant) for run in runs)
    several = len({run.learning_rate for run in runs}) > 1
    for (model, _, variant), group in by_setting(runs).items():
        look = looks[model, variant]
        colour, point = look.colour, look.marks | {"ls": "", "ms": 1.8, "alpha": 0.7}
        shown = look.marks | {"ls": look.line, "lw": 0.7}
        label = group[0].label if several else setting_label(model, variant)
        handles.append(Line2D([], [], **shown, label=label))
        tables = [run.probe("signal") for run in group]
        for axis, (when, quantity) in zip(axes, panels, strict=True):
            chosen = [table[table.moment == when].set_index("depth") for table in tables]
            column = f"{quantity}_mean_square"
            values = pd.concat([table[column] for table in chosen], axis=1)
            values = values.where(values > 0)  # zero has no place on a log axis
            for _, seed in values.items():
                axis.plot(seed.index, seed, **point)
            mean = np.exp(np.log(values).mean(axis=1))
            axis.plot(mean.index, mean, color=colour, ls=look.line, lw=0.7)
            predicted = chosen[0][f"predicted_{column}"]
            if predicted.notna().any():
                axis.plot(predicted.index, predicted, **LAW)
                predicted_any = True
    for axis, (when, quantity) in zip(axes, panels, strict=True):
        style.log_scale(axis)
        axis.set_title(QUANTITIES[quantity] + MOMENTS[when])
        axis.set_xlabel("layer, from input to output")
    axes[0].set_ylabel("mean square")
    if predicted_any:
        handles.append(Line2D([], [], **LAW, label="law for plain networks"))
        facts += " Points: single seeds. Dotted: the law of variances, with nothing fitted."
    style.legend_below(picture, handles, 5)
    return picture, facts
