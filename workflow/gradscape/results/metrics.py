"""What a claim compares: one number for the runs of one seed and variant.

A metric takes those runs and returns a number, or None if they were not measured for it.
One of your own is named `path/file.py:function`.
"""

import numpy as np

from gradscape.errors import GradscapeError
from gradscape.results.calibration import expected_calibration_error
from gradscape.results.runs import FinishedRun
from gradscape.results.smoothness import band, definition, proxy, width


def only(runs: list[FinishedRun]) -> FinishedRun:
    if len(runs) != 1:
        raise GradscapeError(
            f"claims: {len(runs)} runs match where one was expected: "
            f"{', '.join(run.record['run'] for run in runs)}"
        )
    return runs[0]


def final_gap(run: FinishedRun) -> float:
    """Training minus validation accuracy, in the last epoch."""
    last = run.metrics.iloc[-1]
    return float(last["train_accuracy"] - last["val_accuracy"])


def gradient_ratio(runs: list[FinishedRun]) -> float:
    """The first layer's average gradient over the last layer's, after the first epoch."""
    first_epoch = only(runs).gradients.iloc[0]
    return float(first_epoch.iloc[0] / first_epoch.iloc[-1])


def mean_band_width(runs: list[FinishedRun]) -> float:
    """Mean over steps, from the second epoch on, of the loss band's width."""
    low, high = band([run.step_losses for run in runs])
    return float(np.mean((high - low)[runs[0].steps_per_epoch :]))


def median_width(kind: str, measure: str):
    """Median over steps of a measure, by proxy or by definition."""

    def metric(runs: list[FinishedRun]) -> float | None:
        measures = proxy(runs) if kind == "proxy" else definition(only(runs))
        if not measures or measure not in measures:
            return None
        return float(np.median(width(measure, measures[measure])))

    return metric


def curvature(quantity: str):
    def metric(runs: list[FinishedRun]) -> float | None:
        table = only(runs).probe("hessian")
        if table is None:
            return None
        values = table[table["quantity"] == quantity]["value"]
        return abs(float(values.iloc[0])) if len(values) else None

    return metric


def calibration_error(runs: list[FinishedRun]) -> float | None:
    """On the test images, from 0 (its confidences are right) to 1."""
    table = only(runs).probe("predictions")
    return None if table is None else expected_calibration_error(table)


def gradient_decades(column: str):
    """Decades (in mean square) by which the gradient falls from the last convolution to
    the first after the entry, at initialisation."""

    def metric(runs: list[FinishedRun]) -> float | None:
        table = only(runs).probe("signal")
        if table is None:
            return None
        squares = table[table.moment == "initialisation"][column].to_numpy()
        if len(squares) < 2:
            return None
        return float(np.log10(squares[-2] / squares[1]))

    return metric


METRICS = {
    "final_train_loss": lambda runs: only(runs).metrics["train_loss"].iloc[-1],
    # Not a number is the worst loss, and never the best accuracy.
    "worst_final_train_loss": lambda runs: np.max(
        [run.metrics["train_loss"].iloc[-1] for run in runs]
    ),
    "best_val_accuracy": lambda runs: np.fmax.reduce(
        [run.best["val_accuracy"] for run in runs]
    ),
    "test_accuracy": lambda runs: only(runs).test["test_accuracy"],
    "final_test_accuracy": lambda runs: only(runs).last_test["test_accuracy"],
    "final_gap": lambda runs: final_gap(only(runs)),
    "parameters": lambda runs: only(runs).record["parameters"],
    "gradient_ratio": gradient_ratio,
    "mean_band_width": mean_band_width,
    "median_proxy_loss": median_width("proxy", "loss"),
    "median_proxy_gradient": median_width("proxy", "gradient"),
    "median_proxy_beta": median_width("proxy", "beta"),
    "median_definition_loss": median_width("definition", "loss"),
    "median_definition_gradient": median_width("definition", "gradient"),
    "median_definition_beta": median_width("definition", "beta"),
    "largest_eigenvalue": curvature("largest_eigenvalue"),
    "calibration_error": calibration_error,
    "gradient_decades": gradient_decades("gradient_mean_square"),
    "predicted_gradient_decades": gradient_decades("predicted_gradient_mean_square"),
}
