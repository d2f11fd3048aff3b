"""What a claim compares, measured anew: from config/README.md and docs/theory.md."""

import itertools
import math
from dataclasses import dataclass
from functools import cache

import numpy as np


def one(runs):
    (run,) = runs
    return run


def last_loss(run):
    return run.metrics["train_loss"].iloc[-1]


@dataclass
class Metric:
    """`log`: compared by ratio. `images`, `steps`: what it is the mean or median of.
    `counts`: of how many of the runs it is the share; `fit`: to all seeds, with error;
    `shares`: those of images that it is a difference of, each with its images;
    `best`: of the best of the runs."""

    value: callable
    log: bool = False
    images: callable = None
    steps: callable = None
    by_ratio: bool = False
    fact: bool = False
    counts: callable = None
    fit: callable = None
    shares: callable = None
    best: bool = False


def inf_for_nan(values):
    values = np.array(values, float)
    values[~np.isfinite(values)] = np.inf
    return values


def envelope(series):
    """Smallest and largest at each step; a run that ended early is infinite from there."""
    longest = max(len(one) for one in series)
    rows = [np.append(inf_for_nan(one), [np.inf] * (longest - len(one))) for one in series]
    return np.min(rows, axis=0), np.max(rows, axis=0)


def over(values, by):
    with np.errstate(all="ignore"):
        return values / by


def smoothness(runs, kind, measure, lag=None):
    """The steps, counted from 1, and what is compared at each; None if not recorded.

    Kinds: the courses' `proxy` over runs that differ in the rate, the paper's `definition`
    along the gradient, and the same along the optimiser's own `step`."""
    if kind != "proxy":
        return along(one(runs), kind, measure)
    if measure == "loss":
        low, high = envelope([run.loss for run in runs])
        return np.arange(1, len(low) + 1), spread(low, high)
    lags = {run.settings["gradient_lag"] for run in runs}
    if len(lags) > 1 or None in lags:
        return None
    (own,) = lags
    name = "gradient_distance" + (f"_lag{lag}" if lag and lag != own else "")
    lag = lag or own
    by = {"gradient": None, "relative_gradient": "gradient_norm", "beta": "weight_distance"}
    divisor = by[measure]
    if measure == "beta" and lag != own:
        return None
    series = []
    for run in runs:
        if name not in run.steps or (divisor and divisor not in run.steps):
            return None
        distance = run.steps[name]
        series.append((over(distance, run.steps[divisor]) if divisor else distance)[lag:])
    _, high = envelope(series)
    return np.arange(lag + 1, lag + 1 + len(high)), high


def spread(low, high):
    with np.errstate(invalid="ignore"):
        return inf_for_nan(high - low)


def along(run, kind, measure):
    steps = run.steps
    name = {"definition": "probed", "step": "stepped"}[kind]
    if f"{name}_loss" not in steps:
        return None
    norm, distance = steps["probed_gradient_norm"], steps[f"{name}_gradient_distance"]
    if measure == "loss":
        values = inf_for_nan(
            steps["probed_loss" if kind == "definition" else "stepped_loss"]
        )
        return steps["probed_step"], spread(values.min(axis=1), values.max(axis=1))
    if measure == "gradient":
        values = distance
    elif measure == "relative_gradient":
        values = over(distance, norm[:, None])
    elif kind == "definition":
        values = over(distance, steps["probed_size"] * norm[:, None])
    else:  # half to four times the step's own length
        times = np.linspace(0.5, 4, distance.shape[1])
        values = over(distance, steps["stepped_length"][:, None] * times)
    return steps["probed_step"], inf_for_nan(values).max(axis=1)


def median_metric(kind, measure, lag=None):
    def later(runs):
        found = smoothness(runs, kind, measure, lag)
        return None if found is None else found[1][found[0] > runs[0].epoch_steps]

    return median_of(later)


def median_of(later):
    def median(runs):
        values = later(runs)
        return None if values is None or not len(values) else float(np.median(values))

    return Metric(median, log=True, steps=later, by_ratio=True)


def equal_loss_metric(kind, measure):
    """At ten levels of the loss of both: medians, their ratio, geometric mean of at least
    three; geometric mean over the rates that both models have."""

    def points(run):
        found = smoothness([run], kind, measure)
        if found is None:
            return np.empty(0), np.empty(0)
        losses = run.loss[found[0] - 1]
        kept = np.isfinite(found[1]) & np.isfinite(losses)
        return losses[kept], found[1][kept]

    def ratio(plain, other):
        if not len(plain[0]) or not len(other[0]):
            return None
        low = max(plain[0].min(), other[0].min())
        high = min(plain[0].max(), other[0].max())
        edges, ratios = np.linspace(low, high, 11), []
        for start, end in itertools.pairwise(edges):
            inside = [v[(x >= start) & (x <= end)] for x, v in (plain, other)]
            if all(len(values) for values in inside):
                one, two = (float(np.median(values)) for values in inside)
                if min(one, two) > 0:
                    ratios.append(math.log(two / one))
        return np.mean(ratios) if len(ratios) >= 3 else None

    def value(runs):
        names = sorted({run.model for run in runs}, key=len)
        if len(names) != 2:
            return None
        by = {(run.rate, run.model): run for run in runs}
        rates = dict.fromkeys(run.rate for run in runs)
        pairs = [[by.get((rate, name)) for name in names] for rate in rates]
        logs = [ratio(*map(points, pair)) for pair in pairs if None not in pair]
        logs = [log for log in logs if log is not None]
        return math.exp(np.mean(logs)) if logs else None

    return Metric(value)


def beta_at(size):
    def later(runs):
        steps = one(runs).steps
        if "probed_size" not in steps:
            return None
        column = int(np.abs(steps["probed_size"][0] - size).argmin())
        rows = steps["probed_step"] > one(runs).epoch_steps
        sizes = steps["probed_size"][rows, column].astype(float)
        if not len(sizes) or (abs(sizes / size - 1) > 1e-3).any():
            return None
        distance = steps["probed_gradient_distance"][rows, column]
        return distance / (sizes * steps["probed_gradient_norm"][rows])

    return median_of(later)


def sharpness(runs):
    """(2 / s²) (L(w - s g) - L(w) + s |g|²) / |g|², in units of two over the rate."""
    steps = one(runs).steps
    if "probed_loss_here" not in steps:
        return None
    rows = max(1, len(steps["probed_step"]) // 4)
    s, norm, there, here = (
        steps[name][-rows:].astype(float)
        for name in (
            "probed_size",
            "probed_gradient_norm",
            "probed_loss",
            "probed_loss_here",
        )
    )
    s, there = s[:, 0], there[:, 0]
    curvature = 2 / s**2 * (there - here + s * norm**2) / norm**2
    return curvature * (2 * s) / 2  # the smallest step is half the rate


def signal(run):
    """At initialisation, the convolutions but for shortcuts, first to last."""
    table = run.probe("signal")
    if table is None:
        return None
    rows = table[table["moment"] == "initialisation"]
    rows = rows.iloc[: len(rows) - 1]
    return rows[[("shortcut" not in layer) for layer in rows["layer"]]]


def fall(squares):
    squares = list(squares)
    with np.errstate(all="ignore"):
        return float(np.log10(np.float64(squares[-1]) / np.float64(squares[0])))


def decades(column, moment="initialisation"):
    def value(runs):
        table = one(runs).probe("signal")
        if table is None:
            return None
        squares = table.loc[table["moment"] == moment, column].tolist()
        if len(squares) < 2 or squares[1] == 0:
            return None
        return math.log10(squares[-2] / squares[1])

    return Metric(value)


def gradient_range(runs):
    table = signal(one(runs))
    if table is None:
        return None
    squares = [s for s in table["gradient_mean_square"] if s > 0]
    return math.log10(max(squares) / min(squares)) if squares else None


def by_size(run):
    table = signal(run)
    if table is None:
        return []
    return [table[table["size"] == size] for size in dict.fromkeys(table["size"])]


def gradient_growth(runs):
    total = layers = 0
    for stage in by_size(one(runs)):
        squares = stage["gradient_mean_square"].tolist()[1:]
        if len(squares) > 1:
            total += fall(squares)
            layers += len(squares) - 1
    return 10 ** (-total / layers) if layers else None


@cache
def residual_stream(blocks, slope):
    """x → φ(x + N(0, 1)) from 0, in a million draws: what the prediction is."""
    draw, x, squares = np.random.default_rng(0), np.zeros(10**6), []
    for _ in range(blocks):
        x += draw.standard_normal(10**6)
        x[x < 0] *= slope
        squares.append((x * x).mean())
    return np.array(squares)


def residual_deviation(runs):
    stages = by_size(one(runs))
    if not stages:
        return None
    given = [layer.endswith("conv1") for layer in stages[0]["layer"]]
    given = stages[0].loc[given, "input_mean_square"].to_numpy()
    if not len(given):
        return None
    slope = one(runs).settings.get("slope")
    return float(abs(given / residual_stream(len(given), slope or 0.01) - 1).max())


def reduction_share(runs):
    stages = by_size(one(runs))
    if len(stages) < 2:
        return None
    squares = [s for stage in stages for s in stage["gradient_mean_square"]]
    ends = list(itertools.accumulate(len(stage) for stage in stages[:-1]))
    lost = sum(fall(squares[max(0, end - 2) : end + 1]) for end in ends)
    return lost / fall(squares[1:])


def image_share(runs):
    table = signal(one(runs))
    if table is None:
        return None
    end = table.iloc[-1]
    share = end["activation_variance"] / end["activation_mean_square"]
    return max(share, 2.0**-46)  # the square of fp32's spacing at one


def trainability(quantity, moment, average=np.mean):
    def value(runs):
        table = one(runs).probe("trainability")
        if table is None:
            return None
        rows = (table["quantity"] == quantity) & (table["moment"] == moment)
        return float(average(table.loc[rows, "value"]))

    return value


def below_epsilon(run, slopes):
    """PyTorch's defaults of ε, 1e-8 for all three that have one."""
    if run.settings["optimiser"] not in ("adam", "adamw", "rmsprop"):
        return None
    return float((np.abs(slopes) < 1e-8).mean())


def initially_below(runs):
    table = one(runs).probe("trainability")
    if table is None:
        return None
    chosen = table["quantity"].eq("mean_absolute_gradient")
    chosen &= table["moment"].eq("initialisation")
    return below_epsilon(one(runs), table.loc[chosen, "value"].to_numpy())


def lately_below(run):
    return below_epsilon(run, run.gradients[0][-1])


def largest_below(runs):
    shares = [share for run in runs if (share := lately_below(run)) is not None]
    return max(shares) if shares else None


def lesion(kept):
    def value(runs):
        table = one(runs).probe("lesion")
        if table is None:
            return None
        guess = 1 / one(runs).data["classes"]
        whole = table.loc[table["block"] == "none", "accuracy"].iloc[0] - guess
        others = table.loc[table["block"] != "none", "accuracy"] - guess
        return float(1 - kept(others) / whole) if whole > guess else None

    return Metric(value)


def hessian(quantity, log=False):
    def value(runs):
        table = one(runs).probe("hessian")
        if table is None or quantity not in set(table["quantity"]):
            return None
        return abs(float(table.loc[table["quantity"] == quantity, "value"].iloc[0]))

    return Metric(value, log=log)


def filter_correlation(runs):
    table = one(runs).probe("filters")
    if table is None:
        return None
    found = []
    for _, part in table.groupby("filter"):
        order = part.sort_values(["channel", "row", "column"])
        before, after = (
            order.loc[order["moment"] == m, "weight"] for m in ("initialisation", "best")
        )
        found.append(np.corrcoef(before, after)[0, 1])
    return float(np.median(found))


def calibration(runs):
    """Fifteen bins of equal width, each closed above."""
    table = one(runs).probe("predictions")
    if table is None:
        return None
    right = (table["label"] == table["predicted"]).to_numpy(float)
    confidence = table["confidence"].to_numpy()
    bins = np.ceil(confidence * 15)
    gaps = [abs((right - confidence)[bins == b].sum()) for b in set(bins)]
    return float(sum(gaps) / len(table))


def excess(runs):
    table = one(runs).probe("predictions")
    if table is None:
        return None
    return (
        table["confidence"].to_numpy() - (table["label"] == table["predicted"]).to_numpy()
    )


def clean_gap(runs):
    table = one(runs).metrics
    if "clean_train_accuracy" not in table:
        return None
    return table["clean_train_accuracy"].iloc[-1] - table["val_accuracy"].iloc[-1]


def both_parts(column):
    """The last epoch's share of the training images and that of the validation images."""

    def shares(run):
        last, images = run.metrics.iloc[-1], run.data["train"]
        if column == "clean_train_accuracy":
            images = min(images, run.settings["score_training"])
        return [
            (last[column], images),
            (last["val_accuracy"], run.data["validation"]),
        ]

    return shares


def band(runs):
    low, high = envelope([run.loss for run in runs])
    return (high - low)[runs[0].epoch_steps :]


def mean_of(function):
    def value(runs):
        values = function(runs)
        return None if values is None else float(np.mean(values))

    return value


def of_gradients(runs):
    table = one(runs).gradients[0]
    return float(table[-1, 0] / table[-1, -1])


def share_metric(*outcomes):
    """Of several outcomes that of the rarest."""

    def counts(runs):
        return min(sum(bool(outcome(run)) for run in runs) for outcome in outcomes)

    return Metric(lambda runs: counts(runs) / len(runs), counts=counts)


def ends_below(run):
    return last_loss(run) < run.chance - 0.1  # never of what is no number


def ends_at_chance(run):
    return abs(last_loss(run) - run.chance) <= 0.05


def growth_deviation(runs):
    measured = [gradient_growth([run]) for run in runs]
    if None in measured:
        return None
    slopes = [run.settings.get("slope") or 0.01 for run in runs]
    return max(abs(m / growth_law(a) - 1) for m, a in zip(measured, slopes, strict=True))


def isometry(runs):
    table = one(runs).probe("isometry")
    if table is None:
        return None
    table = table[table["moment"] == "initialisation"]
    logs = [
        math.log(max(part["value"]) / np.median(part["value"]))
        for _, part in table.groupby("image")
    ]
    return math.exp(np.mean(logs))


def scatter_fit(runs):
    """By least squares: log deviation of a log gradient over log depth, and its error."""
    logs = {}
    for run in runs:
        table = signal(run)
        if table is None:
            return None
        square = table["gradient_mean_square"].tolist()[1]
        logs.setdefault(len(table), []).append(math.log(square))
    if len(logs) < 3 or min(len(values) for values in logs.values()) < 3:
        return None
    x = np.log(list(logs))
    y = [math.log(np.std(values, ddof=1)) for values in logs.values()]
    variances = [1 / (2 * len(values) - 2) for values in logs.values()]
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    return float(weights @ y), math.sqrt(weights**2 @ variances)


def growth_law(a=0.01):
    """(1 + a²)/2 over that less (1 - a)²/(2π)."""
    passed = (1 + a * a) / 2
    return passed / (passed - (1 - a) ** 2 / (2 * math.pi))


METRICS = {
    "final_train_loss": Metric(
        lambda runs: last_loss(one(runs)),
        True,
        steps=lambda runs: runs[0].loss[-runs[0].epoch_steps :],
    ),
    "worst_final_train_loss": Metric(lambda runs: np.max([*map(last_loss, runs)]), True),
    "lowest_final_train_loss": Metric(
        lambda runs: np.nanmin([*map(last_loss, runs)]), True, best=True
    ),
    "best_val_accuracy": Metric(
        lambda runs: np.nanmax([r.metrics["val_accuracy"].max() for r in runs]), best=True
    ),
    "test_accuracy": Metric(
        lambda runs: one(runs).scores["test_accuracy"], images=lambda runs: runs[0].right
    ),
    "final_test_accuracy": Metric(lambda runs: one(runs).scores["final_test_accuracy"]),
    "final_gap": Metric(
        lambda runs: (
            one(runs).scores["final_train_accuracy"]
            - one(runs).scores["final_val_accuracy"]
        ),
        shares=both_parts("train_accuracy"),
    ),
    "clean_gap": Metric(clean_gap, shares=both_parts("clean_train_accuracy")),
    "initial_loss": Metric(lambda runs: float(one(runs).loss[0]), True),
    "parameters": Metric(lambda runs: one(runs).record["parameters"], fact=True),
    "gradient_ratio": Metric(of_gradients, True),
    "mean_band_width": Metric(mean_of(band), steps=band),
    "beta_at_0.1": beta_at(0.1),
    "batch_sharpness": Metric(mean_of(sharpness), steps=sharpness),
    "largest_eigenvalue": hessian("largest_eigenvalue", True),
    "hessian_trace": hessian("trace", True),
    "filter_normalised_eigenvalue": hessian("filter_normalised_largest_eigenvalue"),
    "filter_normalised_trace": hessian("filter_normalised_trace"),
    "calibration_error": Metric(calibration),
    "overconfidence": Metric(mean_of(excess), images=excess),
    "filter_correlation": Metric(filter_correlation),
    "gradient_decades": decades("gradient_mean_square"),
    "predicted_gradient_decades": decades("predicted_gradient_mean_square"),
    "trained_gradient_decades": decades("gradient_mean_square", "best"),
    "gradient_range": Metric(gradient_range),
    "gradient_growth": Metric(gradient_growth),
    "growth_deviation": Metric(growth_deviation),
    "isometry_ratio": Metric(isometry, True),
    "scatter_exponent": Metric(
        lambda runs: (found := scatter_fit(runs)) and found[0], fit=scatter_fit
    ),
    "share_that_trains": share_metric(ends_below),
    "share_of_the_rarer_end": share_metric(ends_below, ends_at_chance),
    "normalised_gradient_growth": Metric(lambda runs: growth_law(), fact=True),
    "residual_deviation": Metric(residual_deviation),
    "reduction_share": Metric(reduction_share),
    "image_share": Metric(image_share, True),
    "relative_distance": Metric(trainability("relative_distance", "last", np.median), True),
    "share_moved": Metric(trainability("moved", "last")),
    "initial_share_below_epsilon": Metric(initially_below),
    "share_below_epsilon": Metric(lambda runs: lately_below(one(runs))),
    "largest_share_below_epsilon": Metric(largest_below),
    "lesion_loss": lesion(np.median),
    "worst_lesion_loss": lesion(np.min),
}
for _quantity in ("gradient_cosine", "effective_rank"):
    METRICS[_quantity] = Metric(trainability(_quantity, "initialisation"))
    METRICS[f"trained_{_quantity}"] = Metric(trainability(_quantity, "last"))
for _kind in ("proxy", "definition", "step"):
    for _measure in ("loss", "beta", "gradient", "relative_gradient"):
        _name = f"{_kind}_{_measure}"
        if _measure == "relative_gradient":
            _name = f"relative_{_kind}_gradient"
        METRICS[f"median_{_name}"] = median_metric(_kind, _measure)
        METRICS[f"{_name}_at_equal_loss"] = equal_loss_metric(_kind, _measure)
for _lag in (1, 5, 20):
    METRICS[f"median_proxy_gradient_lag{_lag}"] = median_metric("proxy", "gradient", _lag)
    METRICS[f"median_relative_proxy_gradient_lag{_lag}"] = median_metric(
        "proxy", "relative_gradient", _lag
    )
