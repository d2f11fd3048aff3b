"""The signal that reaches each network's ends before it trains, and whether it trained."""

import numpy as np
from matplotlib.lines import Line2D

from gradscape.base.errors import GradscapeError
from gradscape.claims.theory import SMALLEST
from gradscape.figures import style
from gradscape.runs.run import TRAINED, FinishedRun, by_setting
from gradscape.spec.labels import setting_label
from gradscape.spec.registry import find
from gradscape.spec.study import Figure

PROBES = ["signal", "trainability"]
LINE = 1.2  # from one label to the next, as a ratio of decades
SIZES = (3.0, 9.0)  # of the markers, for cosines 0 and 1
COORDINATES = ("image_share", "gradient_range", "gradient_cosine", "final_train_loss")


def phase(figure: Figure, runs: list[FinishedRun]):
    """A point per model and variant: share of the last convolution's signal that depends on
    the image, range of the gradient over layers, both at initialisation; geometric means
    over seeds. Larger where input gradients are smooth, full where training succeeded. Of
    several learning rates, that with the lowest training loss."""
    points = points_of(runs)
    if all(share == 0 or decades == 0 for share, decades, *_ in points.values()):
        raise GradscapeError(
            f"figure {figure.name}: no network of it has two gradients to compare"
        )
    chance = runs[0].chance_loss
    picture, axis = style.panels(figure, 3.0)
    # Many start near each other: labels are pushed upwards, each a line above the last.
    highest = {True: 0.0, False: 0.0}
    upwards = sorted(points.items(), key=lambda item: np.nan_to_num(item[1][1]))
    for name, (share, decades, cosine, loss) in upwards:
        trained = loss < chance - TRAINED
        look = marker(trained, size(cosine))
        axis.plot(share, decades, zorder=2 if trained else 3, **look)
        left = share > np.sqrt(SMALLEST)  # where there is more room
        highest[left] = max(decades, highest[left] * LINE)
        pointer = {"arrowstyle": "-", "color": look["mec"], "lw": 0.4, "shrinkB": 4}
        words = {"ha": "right" if left else "left", "va": "center", "color": look["mec"]}
        words |= {"fontsize": style.SMALL, "arrowprops": pointer}
        beside = share * (0.1 if left else 10), highest[left]
        axis.annotate(name, (share, decades), beside, **words)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(style.POWERS)
    axis.set_xlim(SMALLEST / 10, 10)
    axis.margins(y=0.15)
    style.log_scale(axis)
    if (top := LINE * max(highest.values())) > axis.get_ylim()[1]:
        axis.set_ylim(top=top)
    axis.set_xlabel("share of the signal that depends on the image")
    axis.set_ylabel("range of the gradient (decades)")
    handles = [Line2D([], [], label="trained", **marker(True, 5))]
    handles.append(Line2D([], [], label="did not train", **marker(False, 5)))
    for cosine in (0, 1):
        look = {"ls": "", "marker": "o", "color": "grey", "ms": size(cosine)}
        handles.append(Line2D([], [], label=f"cosine {cosine}", **look))
    style.legend_below(picture, handles, 4)
    several = "geometric mean over " * (len({run.seed for run in runs}) > 1)
    facts = [
        f"At initialisation, {several}{style.seeds(runs)}. Trained: the last epoch's "
        f"training loss is more than {TRAINED} below that of a uniform guess, "
        f"{chance:.2f}. "
        "Larger: a larger cosine between input gradients at neighbouring points."
    ]
    if any(point[0] <= SMALLEST for point in points.values()):
        facts.append(f"Shares below {SMALLEST:.0e} are rounding, and drawn there.")
    return picture, " ".join(facts)


def points_of(runs: list[FinishedRun]) -> dict[str, np.ndarray]:
    """The coordinates of each model and variant, at the rate that trains best."""
    points: dict[str, np.ndarray] = {}
    for (model, _, variant), group in by_setting(runs).items():
        name = setting_label(model, variant)
        point = coordinates(group)
        if name not in points or ended(point) < ended(points[name]):
            points[name] = point
    return points


def coordinates(group: list[FinishedRun]) -> np.ndarray:
    """Image share, decades, cosine and loss, means over seeds; NaN where not measured."""
    rows = [[find("metric", name)([run]) for name in COORDINATES] for run in group]
    table = np.array(rows, dtype=float)
    table[:, 0] = np.log(table[:, 0])
    means = table.mean(axis=0)
    means[0] = np.exp(means[0])
    return means


def ended(point: np.ndarray) -> float:
    """The training loss; not a number is the worst."""
    return float(np.nan_to_num(point[-1], nan=np.inf))


def size(cosine: float) -> float:
    low, high = SIZES
    return low + (high - low) * float(np.clip(np.nan_to_num(cosine), 0, 1))


def marker(trained: bool, size: float) -> dict:
    """Full and blue where training succeeded, else empty and orange."""
    colour = style.COLOURS[1 if trained else 0]
    filled = colour if trained else "none"
    return {"ls": "", "marker": "o", "ms": size, "mec": colour, "mfc": filled}
