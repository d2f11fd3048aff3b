"""Reliability diagrams: accuracy by confidence (Guo et al. 2017, section 2)."""

from matplotlib.lines import Line2D

from gradscape.claims.calibration import BINS, expected_calibration_error, reliability
from gradscape.figures import style
from gradscape.runs.run import FinishedRun
from gradscape.spec.study import Figure

PROBES = ["predictions"]


def calibration(figure: Figure, runs: list[FinishedRun]):
    """Above: accuracy by confidence, a line per run. Below: each bin's share of images."""
    drawn, seed = style.smallest_seed(runs)
    shape = {"sharex": True, "height_ratios": [3, 1]}
    picture, (above, below) = style.panels(figure, 3.0, rows=2, **shape)
    above.plot([0, 100], [0, 100], color="grey", ls="--", lw=0.8)
    handles = []
    for number, run in enumerate(drawn):
        table = run.probe("predictions")
        look = {"color": style.look(number).colour, "ms": 4}
        bins = 100 * reliability(table)
        above.plot(bins["confidence"], bins["accuracy"], ".-", **look)
        below.plot(bins["confidence"], bins["share"], ".-", **look)
        label = f"{run.label}: ECE {100 * expected_calibration_error(table):.1f} %"
        handles.append(Line2D([], [], color=look["color"], marker=".", label=label))
    handles.append(Line2D([], [], color="grey", ls="--", lw=0.8, label="calibrated"))
    above.set(ylabel="accuracy (%)", xlim=(0, 100), ylim=(0, 100))
    below.set(ylabel="images (%)", xlabel="confidence (%)")
    below.set_ylim(bottom=0)
    style.legend_below(picture, handles, 3 if figure.wide else 1)
    return picture, (
        f"Confidence and accuracy of {style.named(drawn)}. {seed} All test images, "
        f"in {BINS} bins of equal width; ECE is the expected calibration error, "
        "the mean distance from the dashed line over images."
    )
