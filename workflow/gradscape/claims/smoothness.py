"""How smooth the loss is for training: the courseworks' proxy and the paper's definition.

Both give these measures, each as its smallest and largest value at every step:

- loss: proxy, the minibatch losses of runs that differ in the learning rate; definition,
  the losses L(w - s g) at the probed step sizes s along the gradient g at w;
- gradient: proxy, the distance of the output layer's gradient from the one k steps
  before, over the same runs; definition, the distance of the whole gradient from g;
- beta: that distance over the distance moved; by definition over s times the norm of g;
- relative_gradient: that distance over the norm of the gradient itself.

Proxy: Fudan project 2, sections 2.3 and 2.4. Definition: Santurkar et al. 2018, section
3.2; the same is measured along the optimiser's own step. Values that are not finite, or
missing after a run diverged, count as infinite.

The first two are absolute: a network that sits where it started has small gradients, which
change little, and counts as smooth for that alone. By definition the last two are divided
by the gradient's norm, and the last is s times beta. The curvature of a plateau is small
as well, hence the comparison of two networks where their training losses are equal.
"""

from itertools import pairwise

import numpy as np
import pandas as pd

from gradscape.runs.run import FinishedRun

MEASURES = ["loss", "gradient", "beta"]  # the courses' and the paper's
REACH = (0.5, 4.0)  # times a step's length, as `training/landscape.py` goes
ARRAYS = {"definition": "probed", "step": "stepped"}  # what their names begin with
LEVELS = 10  # of the training loss, at which two runs are compared
MIN_LEVELS = 3  # of these levels that both must reach
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


def proxy(runs: list[FinishedRun], lag: int | None = None) -> dict[str, Band]:
    """The proxies over runs of one model; without a `gradient_lag` only the loss. Gradients
    `lag` steps apart: the runs' own lag, or 1, 5 or 20, which have no beta."""
    low, high = band([run.step_losses for run in runs])
    measures = {"loss": (np.arange(1, len(low) + 1), low, high)}
    lags = {run.settings["gradient_lag"] for run in runs}
    if len(lags) != 1 or None in lags:
        return measures
    (own,) = lags
    lag = lag or own
    name = "gradient_distance" if lag == own else f"gradient_distance_lag{lag}"
    arrays = [run.steps for run in runs]
    divisors = {"gradient": None, "relative_gradient": "gradient_norm"}
    if lag == own:
        divisors["beta"] = "weight_distance"
    for measure, divisor in divisors.items():
        if any(wanted and wanted not in a for a in arrays for wanted in (name, divisor)):
            continue  # not recorded
        # The first steps have nothing to compare with.
        values = [divided(a[name], a[divisor] if divisor else 1)[lag:] for a in arrays]
        low, high = band(values)
        measures[measure] = (np.arange(lag + 1, lag + 1 + len(low)), low, high)
    return measures


def definition(run: FinishedRun, kind: str = "definition") -> dict[str, Band]:
    """The paper's measures along one run's gradient or, of the kind `step`, along the
    optimiser's own step; none where they were not taken."""
    steps, name = run.steps, ARRAYS[kind]
    if f"{name}_loss" not in steps:
        return {}
    distance, norm = steps[f"{name}_gradient_distance"], steps["probed_gradient_norm"]
    if kind == "definition":
        moved = steps["probed_size"] * norm[:, None]
    else:
        multiples = np.linspace(*REACH, distance.shape[1])
        moved = steps["stepped_length"][:, None] * multiples
    values = {
        "loss": steps[f"{name}_loss"],
        "gradient": distance,
        "beta": divided(distance, moved),
        "relative_gradient": divided(distance, norm[:, None]),
    }
    return {
        measure: (steps["probed_step"], value.min(axis=1), value.max(axis=1))
        for measure, value in zip(values, map(finite_or_inf, values.values()), strict=True)
    }


def divided(values: np.ndarray, by: np.ndarray | int) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return values / by


def bands(run: FinishedRun, kind: str) -> dict[str, Band]:
    """One run's measures by a kind: `proxy`, `definition`, or `step` along its own step."""
    return proxy([run]) if kind == "proxy" else definition(run, kind)


def by_loss(run: FinishedRun, kind: str, measure: str) -> tuple[np.ndarray, np.ndarray]:
    """The minibatch's loss at each measured step, and the measure: [n] each."""
    measures = bands(run, kind)
    if measure not in measures:
        return np.empty(0), np.empty(0)
    values = width(measure, measures[measure])
    # That minibatch's alone: an average blurs a loss that falls fast.
    losses = run.step_losses[measures[measure][0] - 1]
    finite = np.isfinite(values) & np.isfinite(losses)
    return losses[finite], values[finite]


def ratio_at_equal_loss(first: tuple, second: tuple) -> float | None:
    """The second's values over the first's: medians at each of `LEVELS` levels of the loss
    that both reach, geometric mean over levels. None if fewer than `MIN_LEVELS` are. Each
    is losses and values, [n] each."""
    if not len(first[0]) or not len(second[0]):
        return None
    low = max(losses.min() for losses, _ in (first, second))
    high = min(losses.max() for losses, _ in (first, second))
    edges = np.linspace(low, high, LEVELS + 1)
    ratios = []
    for start, end in pairwise(edges):
        medians = [
            np.median(values[chosen])
            for losses, values in (first, second)
            if (chosen := (start <= losses) & (losses <= end)).any()
        ]
        if len(medians) == 2 and min(medians) > 0:
            ratios.append(np.log(medians[1] / medians[0]))
    return float(np.exp(np.mean(ratios))) if len(ratios) >= MIN_LEVELS else None


def width(name: str, measure: Band) -> np.ndarray:
    """The value that is compared at each step: the loss's range, the others' largest."""
    _, low, high = measure
    with np.errstate(invalid="ignore"):
        return finite_or_inf(high - low) if name == "loss" else high


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Running median over `window` values, centred; over fewer at the ends. Unlike a mean
    it keeps a single spike from spreading over the window."""
    series = pd.Series(np.nan_to_num(values, posinf=1e9))
    return series.rolling(window, center=True, min_periods=1).median().to_numpy()
