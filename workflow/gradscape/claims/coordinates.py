"""Which property of a network before its first step tells whether it will train?

Each property is taken by itself: networks on one side of a threshold are said to train. The
threshold is that which is right most often, so a property is judged by studies that had no
part in finding it, one left out at a time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradscape.runs.run import TRAINED, FinishedRun
from gradscape.spec.registry import find

COORDINATES = {  # metrics, and what they are called in a table
    "gradient_range": "gradient, decades between its layers",
    "initial_share_below_epsilon": "share of weights below Adam's ε",
    "image_share": "share of the signal from the image",
    "effective_rank": "effective rank of the features",
    "gradient_cosine": "cosine of neighbouring gradients",
    "isometry_ratio": "largest over median singular value",
}
ABOUT = ["model", "variant", "trains"]


def coordinates_table(runs: Iterable[FinishedRun]) -> pd.DataFrame:
    """A row a network: whether it trains at the best of its learning rates, mean over
    seeds, and its coordinates before that, likewise; empty where no probe measured one."""
    groups: dict[tuple[str, str], list[FinishedRun]] = {}
    for run in runs:
        groups.setdefault((run.model, run.variant), []).append(run)
    rows = []
    for (model, variant), group in groups.items():
        losses: dict[float, list[float]] = {}
        for run in group:
            loss = run.scores["final_train_loss"]
            losses.setdefault(run.learning_rate, []).append(np.nan_to_num(loss, nan=np.inf))
        lowest = min(map(np.mean, losses.values()))
        trains = bool(lowest < group[0].chance_loss - TRAINED)
        row = {"model": model, "variant": variant, "trains": trains}
        for name in COORDINATES:
            metric = find("metric", name)
            values = [v for run in group if (v := metric([run])) is not None]
            row[name] = float(np.mean(values)) if values else np.nan
        rows.append(row)
    return pd.DataFrame(rows, columns=[*ABOUT, *COORDINATES])


@dataclass(frozen=True)
class Coordinate:
    """How well a property tells networks that train from others: `right` of `networks` by
    the threshold that suits all of them best, `elsewhere` by that of the other studies,
    `alike` by one answer for all. `above`: whether those above it are said to train."""

    name: str
    networks: int
    threshold: float
    above: bool
    right: int
    elsewhere: int
    alike: int


def judged(tables: Mapping[str, pd.DataFrame]) -> list[Coordinate]:
    """The coordinates of studies' tables, the best first: those with networks of either
    kind in two studies or more."""
    if not tables:
        return []
    every = pd.concat([table.assign(study=study) for study, table in tables.items()])
    found = []
    for name in COORDINATES:
        known = every[every[name].notna()]
        values, trains = known[name].to_numpy(), known["trains"].to_numpy(bool)
        if known["study"].nunique() < 2 or len(set(trains)) < 2:
            continue
        threshold, above = best_threshold(values, trains)
        elsewhere = 0
        for study in known["study"].unique():
            left_out = (known["study"] == study).to_numpy()
            rule = best_threshold(values[~left_out], trains[~left_out])
            elsewhere += right(values[left_out], trains[left_out], *rule)
        here = right(values, trains, threshold, above)
        alike = max(int(trains.sum()), int((~trains).sum()))
        found.append(Coordinate(name, len(known), threshold, above, here, elsewhere, alike))
    return sorted(found, key=lambda c: -c.elsewhere / c.networks)


def best_threshold(values: np.ndarray, trains: np.ndarray) -> tuple[float, bool]:
    """The threshold that is right most often, midway between two values, and whether the
    networks above it train."""
    known = np.unique(values)
    between = [-np.inf, *(known[:-1] + known[1:]) / 2, np.inf]
    rules = [(threshold, above) for above in (True, False) for threshold in between]
    return max(rules, key=lambda rule: right(values, trains, *rule))


def right(values: np.ndarray, trains: np.ndarray, threshold: float, above: bool) -> int:
    """How many networks a threshold sorts rightly."""
    return int((((values > threshold) == above) == trains).sum())
