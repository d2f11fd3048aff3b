"""Theory as runs' tables have it, beside the predictions of `models/laws.py`. Where a run
lacks what a function takes, it raises `NotMeasured`."""

import numpy as np
import pandas as pd

from gradscape.claims.inference import Estimate
from gradscape.claims.smoothness import REACH
from gradscape.models.laws import SLOPE, normalised_gradient_growth, residual_mean_squares
from gradscape.runs.run import FinishedRun, NotMeasured

# Adam divides by sqrt(mean square of gradients) + ε: below ε a weight hardly moves.
EPSILON = {"adam": 1e-8, "adamw": 1e-8, "rmsprop": 1e-8}  # PyTorch's defaults
# The smallest share: rounding in fp32, whose squares are good to this.
SMALLEST = float(np.finfo(np.float32).eps) ** 2


# From the probe `signal`


def convolutions(run: FinishedRun) -> pd.DataFrame:
    """The convolutions that the probe `signal` measured at initialisation, in order,
    without those of shortcuts."""
    table = run.measured("signal")
    table = table[table.moment == "initialisation"].iloc[:-1]
    table = table[~table["layer"].str.contains("shortcut")]
    if table.empty:
        raise NotMeasured
    return table


def stages(run: FinishedRun) -> list[pd.DataFrame]:
    """These convolutions, by the size of the feature maps."""
    return [stage for _, stage in convolutions(run).groupby("size", sort=False)]


def decades(squares: pd.Series) -> float:
    """The powers of ten by which the first is below the last."""
    values = squares.to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.log10(values[-1] / values[0]))


def decades_lost(run: FinishedRun, kind: str = "") -> float:
    """Decades (in mean square) by which the gradient falls from the last convolution to
    the first after the entry, at initialisation; `predicted_`, or `trained_`: measured at
    the best weights."""
    table = run.measured("signal")
    moment = "best" if kind == "trained_" else "initialisation"
    column = f"{kind.removeprefix('trained_')}gradient_mean_square"
    squares = table[table.moment == moment][column].to_numpy()
    if len(squares) < 3 or squares[1] == 0:
        raise NotMeasured
    return float(np.log10(squares[-2] / squares[1]))


def image_share(run: FinishedRun) -> float:
    """The share of the last convolution's mean square that depends on the image; at least
    `SMALLEST`, below which it is rounding."""
    last = convolutions(run).iloc[-1]
    with np.errstate(invalid="ignore"):
        share = last["activation_variance"] / last["activation_mean_square"]
    return float(np.maximum(share, SMALLEST))


def gradient_range(run: FinishedRun) -> float:
    """Decades between the largest and the smallest mean square of the convolutions'
    gradients, without those that are zero, as in a branch whose last convolution is."""
    squares = convolutions(run)["gradient_mean_square"].sort_values()
    if not (squares > 0).any():
        raise NotMeasured
    return decades(squares[squares > 0])


def gradient_growth(run: FinishedRun) -> float:
    """The factor by which the gradient's mean square grows per convolution, backwards:
    geometric mean within the stages. A stage's first convolution does not count: what it
    normalises was pooled."""
    within = [s["gradient_mean_square"].iloc[1:] for s in stages(run) if len(s) > 2]
    if not within:
        raise NotMeasured
    falls = sum(decades(squares) for squares in within)
    return float(10 ** (-falls / sum(len(squares) - 1 for squares in within)))


def growth_deviation(runs: list[FinishedRun]) -> float:
    """The largest share by which that growth is off its closed form at a run's slope."""
    predicted = map(normalised_gradient_growth, map(slope, runs))
    growths = zip(map(gradient_growth, runs), predicted, strict=True)
    return max(abs(measured / law - 1) for measured, law in growths)


def slope(run: FinishedRun) -> float:
    """The slope of the network's rectifiers below zero."""
    return SLOPE if run.settings["slope"] is None else run.settings["slope"]


def isometry_ratio(run: FinishedRun) -> float:
    """The largest singular value of the Jacobian over the median one, at initialisation:
    geometric mean over images."""
    table = run.measured("isometry")
    values = table[table.moment == "initialisation"].groupby("image")["value"]
    return float(np.exp(np.log(values.max() / values.median()).mean()))


def scatter_exponent(runs: list[FinishedRun]) -> Estimate:
    """The power of the number of convolutions by which, from seed to seed, the standard
    deviation of the logarithm of the gradient's mean square behind the entry grows; by
    least squares. A deviation of n seeds is itself known to 1 / sqrt(2 (n - 1))."""
    found: dict[int, list[float]] = {}
    for run in runs:
        table = convolutions(run)
        square = table["gradient_mean_square"].iloc[1]
        found.setdefault(len(table), []).append(float(np.log(square)))
    if len(found) < 3 or min(map(len, found.values())) < 3:
        raise NotMeasured
    depths = np.log(list(found))
    depths -= depths.mean()
    scatter = np.log([np.std(logs, ddof=1) for logs in found.values()])
    errors = np.array([1 / (2 * (len(logs) - 1)) for logs in found.values()])
    weights = depths / (depths @ depths)
    return Estimate(float(weights @ scatter), float((weights**2 @ errors) ** 0.5), np.inf)


def residual_deviation(run: FinishedRun) -> float:
    """The largest relative deviation from `residual_mean_squares`, over what the blocks of
    the first stage and the reduction behind it are given."""
    first = stages(run)[0]
    measured = first[first["layer"].str.endswith("conv1")]["input_mean_square"].to_numpy()
    if not len(measured):
        raise NotMeasured
    predicted = residual_mean_squares(len(measured), slope(run))
    return float(np.abs(measured / np.array(predicted) - 1).max())


def reduction_share(run: FinishedRun) -> float:
    """The share that the reduction blocks have in the decades that the gradient's mean
    square loses from the last convolution to the first behind the entry. Such a block ends
    in the first convolution of a smaller size, and begins after the last but one of the
    larger."""
    parts = stages(run)
    if len(parts) < 2:
        raise NotMeasured
    squares = pd.concat(parts)["gradient_mean_square"].reset_index(drop=True)
    ends = np.cumsum([len(stage) for stage in parts[:-1]])
    lost = sum(decades(squares[max(end - 2, 0) : end + 1]) for end in ends)
    return lost / decades(squares[1:])


# From the probes `trainability` and `lesion`


def trainability(run: FinishedRun, quantity: str, moment: str) -> np.ndarray:
    """The values of a quantity, one a layer."""
    table = run.measured("trainability")
    chosen = (table["quantity"] == quantity) & (table["moment"] == moment)
    return table[chosen]["value"].to_numpy()


def initial_share_below_epsilon(run: FinishedRun) -> float:
    return share_below(run, trainability(run, "mean_absolute_gradient", "initialisation"))


def share_below_epsilon(run: FinishedRun) -> float:
    """The share of weight tensors whose last mean gradient is below the optimiser's ε."""
    return share_below(run, run.gradients.iloc[-1].to_numpy())


def share_below(run: FinishedRun, slopes: np.ndarray) -> float:
    if (optimiser := run.settings["optimiser"]) not in EPSILON:
        raise NotMeasured
    return float(np.mean(abs(slopes) < EPSILON[optimiser]))


def lesion_loss(run: FinishedRun, kept=np.median) -> float:
    """The share of its accuracy above a guess's that the network loses with a block, median
    over blocks, or what `kept` makes of them. One with next to none has nothing to lose."""
    table = run.measured("lesion")
    chance = 1 / run.record.data.classes
    above = table.set_index("block")["accuracy"] - chance
    if not above["none"] > chance:
        raise NotMeasured
    return float(1 - kept(above.drop("none")) / above["none"])


# From every step


def batch_sharpness(run: FinishedRun) -> np.ndarray:
    """Curvature of the minibatch's loss along its own gradient g, gᵀHg / |g|², at each
    probed step in the last quarter of training, [steps], times half the rate. Its mean
    (Andreyev & Beneventano 2024, from version 3 on) is 1 at the edge of stability, where
    the curvature is 2 over the rate.

    From the loss at the smallest probed step s, half the learning rate: L(w - s g) =
    L - s |g|² + s²/2 gᵀHg. So it is the curvature averaged over that step. Where the
    landscape's cap shortened it, the rate cannot be told from it.
    """
    steps = run.steps
    if "probed_loss_here" not in steps:
        raise NotMeasured
    last = slice(-max(1, len(steps["probed_step"]) // 4), None)
    size = steps["probed_size"][last, 0].astype(float)
    if size.max() >= run.settings["landscape_cap"]:
        raise NotMeasured
    squares = steps["probed_gradient_norm"][last].astype(float) ** 2
    change = steps["probed_loss"][last, 0].astype(float) - steps["probed_loss_here"][last]
    curved = 2 * (change + size * squares) / size**2
    rate = size / REACH[0]
    return curved / squares * rate / 2
