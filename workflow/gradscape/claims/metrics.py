"""The numbers that claims compare: one for the runs of one seed and variant.

A metric takes those runs and returns a number, or None if they were not measured for it.
One of your own is named `path/file.py:function`. It may say more as its attributes, those
of `Metric` in `claims/sides.py`.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from gradscape.base.errors import GradscapeError
from gradscape.claims import theory
from gradscape.claims.calibration import calibration_error, confidence_beyond
from gradscape.claims.inference import Estimate
from gradscape.claims.smoothness import (
    band,
    bands,
    by_loss,
    proxy,
    ratio_at_equal_loss,
    width,
)
from gradscape.models.laws import SLOPE, normalised_gradient_growth
from gradscape.runs.run import TRAINED, FinishedRun, NotMeasured


def only(runs: list[FinishedRun]) -> FinishedRun:
    if len(runs) != 1:
        raise GradscapeError(
            f"claims: {len(runs)} runs match where one was expected: "
            f"{', '.join(run.record.run for run in runs)}"
        )
    return runs[0]


def known(function):
    """A function of runs, which is None where these lack what it is taken from."""

    def metric(runs: list[FinishedRun]):
        try:
            return function(runs)
        except NotMeasured:
            return None

    return metric


def of_one(function):
    """A metric from what is known of a single run."""
    return known(lambda runs: function(only(runs)))


def marked(metric, **attributes):
    """A metric that says more of itself."""
    vars(metric).update(attributes)
    return metric


def ratio(metric, **attributes):
    """A metric whose numbers are positive and compared by their ratio."""
    return marked(metric, log=True, **attributes)


def averaged(steps, average=np.median, **attributes):
    """The metric that averages the values of each step that `steps` has, if any."""

    def metric(runs: list[FinishedRun]) -> float | None:
        values = steps(runs)
        return float(average(values)) if values is not None and len(values) else None

    return marked(metric, steps=steps, **attributes)


def final_loss(run: FinishedRun) -> float:
    return run.metrics["train_loss"].iloc[-1]


def gap(column: str):
    """An accuracy on training images less that on validation images, in the last epoch."""

    def accuracies(runs: list[FinishedRun]) -> tuple[float | None, float]:
        last = only(runs).metrics.iloc[-1]
        return last.get(column), last["val_accuracy"]

    def metric(runs: list[FinishedRun]) -> float | None:
        train, validation = accuracies(runs)
        return None if train is None else float(train - validation)

    def shares(runs: list[FinishedRun]) -> list[tuple[int, int]]:
        data, scored = runs[0].record.data, runs[0].settings["score_training"]
        train = data.train if column == "train_accuracy" else min(scored, data.train)
        images = (train, data.validation)
        counted = zip(accuracies(runs), images, strict=True)
        return [(round(share * count), count) for share, count in counted]

    return marked(metric, shares=shares)


def gradient_ratio(run: FinishedRun) -> float:
    """The first layer's average gradient over the last layer's, in the last epoch."""
    last_epoch = run.gradients.iloc[-1]
    return float(last_epoch.iloc[0] / last_epoch.iloc[-1])


def share(*outcomes: Callable[[FinishedRun], bool]):
    """The share of runs with an outcome; of several outcomes that of the rarest."""

    def counts(runs: list[FinishedRun]) -> int:
        return min(sum(map(outcome, runs)) for outcome in outcomes)

    def metric(runs: list[FinishedRun]) -> float:
        return counts(runs) / len(runs)

    return marked(metric, counts=counts)


def ends_at_chance(run: FinishedRun) -> bool:
    return abs(final_loss(run) - run.chance_loss) <= 0.05


def trains(run: FinishedRun) -> bool:
    return -np.inf < final_loss(run) < run.chance_loss - TRAINED


def band_widths(runs: list[FinishedRun]) -> np.ndarray:
    """The width of the band of losses at each step, from the second epoch on."""
    low, high = band([run.step_losses for run in runs])
    return (high - low)[runs[0].steps_per_epoch :]


def median_width(kind: str, measure: str, lag: int | None = None):
    """Median of a measure over the steps from the second epoch on."""

    def steps(runs: list[FinishedRun]) -> np.ndarray | None:
        measures = proxy(runs, lag) if kind == "proxy" else bands(only(runs), kind)
        if measure not in measures:
            return None
        later = measures[measure][0] > runs[0].steps_per_epoch
        return width(measure, measures[measure])[later]

    return averaged(steps, ratio=True, log=True)


def at_equal_loss(kind: str, measure: str):
    """The measure of the model with the longer name (`vgg-a-bn`) over the other's (`vgg-a`)
    where their training losses are equal; geometric mean over the rates that both have."""

    def metric(runs: list[FinishedRun]) -> float | None:
        models = sorted({run.model for run in runs}, key=len)
        if len(models) != 2:
            return None
        rates: dict[float, dict[str, FinishedRun]] = {}
        for run in runs:
            rates.setdefault(run.learning_rate, {})[run.model] = run
        ratios = [
            ratio_at_equal_loss(*(by_loss(pair[model], kind, measure) for model in models))
            for pair in rates.values()
            if len(pair) == 2
        ]
        found = [ratio for ratio in ratios if ratio is not None]
        return float(np.exp(np.mean(np.log(found)))) if found else None

    return metric


def trainability(quantity: str, moment: str, average=np.mean):
    """A quantity of the probe `trainability`, averaged over layers."""
    return of_one(lambda run: float(average(theory.trainability(run, quantity, moment))))


def largest_share_below_epsilon(runs: list[FinishedRun]) -> float | None:
    shares = (METRICS["share_below_epsilon"]([run]) for run in runs)
    return max((share for share in shares if share is not None), default=None)


def fitted(estimate: Callable[[list[FinishedRun]], Estimate | None]):
    """A metric that is fitted to the runs of all seeds, with its own error."""
    estimate = known(estimate)

    def metric(runs: list[FinishedRun]) -> float | None:
        found = estimate(runs)
        return found and found.difference

    return marked(metric, estimate=estimate)


def curvature(quantity: str):
    def value(run: FinishedRun) -> float | None:
        table = run.measured("hessian")
        values = table[table["quantity"] == quantity]["value"]
        return abs(float(values.iloc[0])) if len(values) else None

    return of_one(value)


def filter_correlation(run: FinishedRun) -> float:
    """Median over the first convolution's filters of the correlation, over its weights, of
    a filter before training with itself after."""
    table = run.measured("filters")
    places = ["filter", "channel", "row", "column"]
    before, after = (
        table[table.moment == moment].set_index(places)["weight"]
        for moment in ("initialisation", "best")
    )
    pairs = pd.DataFrame({"before": before, "after": after}).groupby("filter")
    return float(pairs.apply(lambda pair: pair["before"].corr(pair["after"])).median())


def overconfidence(run: FinishedRun) -> float:
    """Mean confidence minus accuracy on the test images (Guo et al. 2017, section 1)."""
    return float(confidence_beyond(run).mean())


def beta_at(size: float):
    """Median over steps, from the second epoch on, of beta at one step size alone, which
    runs of several learning rates have in common."""

    def steps(runs: list[FinishedRun]) -> np.ndarray | None:
        run = only(runs)
        if "probed_size" not in run.steps:
            return None
        later = run.steps["probed_step"] > run.steps_per_epoch
        at = int(np.argmin(abs(run.steps["probed_size"][0] - size)))
        sizes = run.steps["probed_size"][later, at].astype(float)
        if not len(sizes) or not np.allclose(sizes, size, rtol=1e-3):
            return None
        moved = sizes * run.steps["probed_gradient_norm"][later]
        return run.steps["probed_gradient_distance"][later, at] / moved

    return averaged(steps, ratio=True, log=True)


# A key with words in braces stands for a metric for each word, which its function makes.
METRICS = {
    "final_train_loss": ratio(
        of_one(final_loss),
        steps=lambda runs: runs[0].step_losses[-runs[0].steps_per_epoch :],
    ),
    # Not a number is the worst loss, never the lowest, and never the best accuracy.
    "worst_final_train_loss": ratio(lambda runs: np.max([*map(final_loss, runs)])),
    "lowest_final_train_loss": ratio(
        lambda runs: np.fmin.reduce([*map(final_loss, runs)]), best=True
    ),
    "best_val_accuracy": marked(
        lambda runs: np.fmax.reduce([run.best["val_accuracy"] for run in runs]), best=True
    ),
    "test_accuracy": marked(
        of_one(lambda run: run.test["test_accuracy"]), images=lambda runs: runs[0].correct
    ),
    "final_test_accuracy": of_one(lambda run: run.last_test["test_accuracy"]),
    "final_gap": gap("train_accuracy"),
    # With training images as validation images are: not augmented, by the finished network.
    "clean_gap": gap("clean_train_accuracy"),
    "share_that_trains": share(trains),
    "share_of_the_rarer_end": share(trains, ends_at_chance),
    "initial_loss": ratio(of_one(lambda run: run.step_losses[0])),
    "parameters": marked(of_one(lambda run: run.record.parameters), fact=True),
    "gradient_ratio": ratio(of_one(gradient_ratio)),
    "mean_band_width": marked(
        lambda runs: float(np.mean(band_widths(runs))), steps=band_widths
    ),
    "median_{proxy,definition,step}_{loss,beta}": median_width,
    "median_{,relative_}{proxy,definition,step}_gradient": lambda relative, kind: (
        median_width(kind, f"{relative}gradient")
    ),
    "median_{,relative_}proxy_gradient_lag{1,5,20}": lambda relative, lag: median_width(
        "proxy", f"{relative}gradient", int(lag)
    ),
    "{definition,step}_{loss,beta}_at_equal_loss": at_equal_loss,
    "{,relative_}{proxy,definition,step}_gradient_at_equal_loss": lambda relative, kind: (
        at_equal_loss(kind, f"{relative}gradient")
    ),
    "beta_at_0.1": beta_at(0.1),
    "batch_sharpness": averaged(of_one(theory.batch_sharpness), np.mean),
    "largest_eigenvalue": ratio(curvature("largest_eigenvalue")),
    "hessian_trace": ratio(curvature("trace")),
    "filter_normalised_eigenvalue": curvature("filter_normalised_largest_eigenvalue"),
    "filter_normalised_trace": curvature("filter_normalised_trace"),
    "calibration_error": of_one(calibration_error),
    "overconfidence": marked(of_one(overconfidence), images=of_one(confidence_beyond)),
    "filter_correlation": of_one(filter_correlation),
    "{,predicted_,trained_}gradient_decades": lambda kind: of_one(
        lambda run: theory.decades_lost(run, kind)
    ),
    "gradient_range": of_one(theory.gradient_range),
    "gradient_growth": of_one(theory.gradient_growth),
    "growth_deviation": known(theory.growth_deviation),
    "isometry_ratio": ratio(of_one(theory.isometry_ratio)),
    "scatter_exponent": fitted(theory.scatter_exponent),
    "normalised_gradient_growth": marked(
        lambda runs: normalised_gradient_growth(SLOPE), fact=True
    ),
    "residual_deviation": of_one(theory.residual_deviation),
    "reduction_share": of_one(theory.reduction_share),
    "image_share": ratio(of_one(theory.image_share)),
    "{gradient_cosine,effective_rank}": lambda quantity: trainability(
        quantity, "initialisation"
    ),
    "trained_{gradient_cosine,effective_rank}": lambda quantity: trainability(
        quantity, "last"
    ),
    "relative_distance": ratio(trainability("relative_distance", "last", np.median)),
    "share_moved": trainability("moved", "last"),
    "initial_share_below_epsilon": of_one(theory.initial_share_below_epsilon),
    "share_below_epsilon": of_one(theory.share_below_epsilon),
    "largest_share_below_epsilon": largest_share_below_epsilon,
    "lesion_loss": of_one(theory.lesion_loss),
    "worst_lesion_loss": of_one(lambda run: theory.lesion_loss(run, np.min)),
}
