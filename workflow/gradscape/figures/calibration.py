"""Reliability diagrams: accuracy by confidence (Guo et al. 2017, section 2)."""

import matplotlib.pyplot as plt
from matplotlib.lines import Line2D

from gradscape.claims.calibration import BINS, expected_calibration_error, reliability
from gradscape.figures import style
from gradscape.runs.run import FinishedRun
from gradscape.spec.study import Figure

PROBES = ["predictions"]


def calibration(figure: Figure, runs: list[FinishedRun]):
    """Above: accuracy by confidence, a line per run. Below: each bin's share of images."""
    drawn, seed = style.smallest_seed(runs)
    picture, (above, below) = plt.subplots(
        *(2, 1),
        figsize=(style.width(figure.wide), 3.0),
        sharex=True,
        gridspec_kw={"height_ratios": [3, 1]},
    )
    above.plot([0, 100], [0, 100], color="grey", ls="--", lw=0.8)
    handles = []
    for number, run in enumerate(drawn):
        table = run.probe("predictions")
        bins, colour = reliability(table), style.colour(number)
        above.plot(
            100 * bins["confidence"], 100 * bins["accuracy"], ".-", color=colour, ms=4
        )
        below.plot(100 * bins["confidence"], 100 * bins["share"], ".-", color=colour, ms=4)
        error = expected_calibration_error(table)
        label = f"{run.label}: ECE {100 * error:.1f} %"
        handles.append(Line2D([], [], color=colour, marker=".", label=label))
    handles.append(Line2D([], [], color="grey", ls="--", lw=0.8, label="calibrated"))
    above.set_ylabel("accuracy (%)")
    above.set_xlim(0, 100)
    above.set_ylim(0, 100)
    below.set_ylim(bottom=0)
    below.set_ylabel("images (%)")
    below.set_xlabel("confidence (%)")
    style.legend_below(picture, handles, 3 if figure.wide else 1)
    facts = (
        f"Confidence and accuracy of {style.named(drawn)}. {seed} All test images, "
        f"in {BINS} bins of equal width; ECE is the expected calibration error, "
        "the mean distance from the dashed line over images."
    )
    return picture, facts
