"""How smooth the loss is for training: the courseworks' proxy and the paper's definition.

Both give three measures, each as its smallest and largest value at every step:

- loss: proxy, the minibatch losses of runs that differ in the learning rate; definition,
  the losses L(w - s g) at the probed step sizes s along the gradient g at w;
- gradient: proxy, the distance of the output layer's gradient from the one k steps
  before, over the same runs; definition, the distance of the whole gradient from g;
- beta: that distance over the distance moved; by definition over s times the norm of g.

Proxy: Fudan project 2, sections 2.3 and 2.4. Definition: Santurkar et al. 2018, section
3.2. Values that are not finite, or missing after a run diverged, count as infinite.
"""

import numpy as np
import pandas as pd

from gradscape.results.runs import FinishedRun

MEASURES = ["loss", "gradient", "beta"]
Band = tuple[np.ndarray, np.ndarray, np.ndarray]  # steps, smallest, largest: [n] each


def band(values: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest of several runs at each step, both [steps] of the longest."""
    steps = max(map(len, values))
    table = np.full((len(values), steps), np.inf)
    for row, run in zip(table, values, strict=True):
        row[: len(run)] = finite_or_inf(run)
    return table.min(axis=0), table.max(axis=0)


def finite_or_inf(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.inf)


def proxy(runs: list[FinishedRun]) -> dict[str, Band]:
    """The proxies over runs of one model; without a `gradient_lag` only the loss."""
    low, high = band([run.step_losses for run in runs])
    measures = {"loss": (np.arange(1, len(low) + 1), low, high)}
    lags = {run.settings.get("gradient_lag") for run in runs}
    if len(lags) == 1 and None not in lags:
        (lag,) = lags  # the first steps have nothing to compare with
        distances = [run.steps["gradient_distance"][lag:] for run in runs]
        moved = [run.steps["weight_distance"][lag:] for run in runs]
        with np.errstate(divide="ignore", invalid="ignore"):
            betas = [d / m for d, m in zip(distances, moved, strict=True)]
        for name, values in (("gradient", distances), ("beta", betas)):
            low, high = band(values)
            measures[name] = (np.arange(lag + 1, lag + 1 + len(low)), low, high)
    return measures


def definition(run: FinishedRun) -> dict[str, Band] | None:
    """The paper's measures along one run's gradient; None if it has none."""
    steps = run.steps
    if "probed_step" not in steps:
        return None
    moved = steps["probed_size"] * steps["probed_gradient_norm"][:, None]
    distance = steps["probed_gradient_distance"]
    with np.errstate(divide="ignore", invalid="ignore"):
        values = {
            "loss": steps["probed_loss"],
            "gradient": distance,
            "beta": distance / moved,
        }
    return {
        name: (steps["probed_step"], *extremes(finite_or_inf(value)))
        for name, value in values.items()
    }


def extremes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return values.min(axis=1), values.max(axis=1)


def width(name: str, measure: Band) -> np.ndarray:
    """What is compared at each step: the loss's range, the others' largest value."""
    _, low, high = measure
    with np.errstate(invalid="ignore"):
        return finite_or_inf(high - low) if name == "loss" else high


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Running median over `window` values, centred; over fewer at the ends.

    Unlike a mean it keeps a single spike from spreading over the window.
    """
    series = pd.Series(np.nan_to_num(values, posinf=1e9))
    return series.rolling(window, center=True, min_periods=1).median().to_numpy()
