"""The two sides of a comparison: which runs they take, and what is measured of each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from gradscape.runs.run import FinishedRun, by_setting
from gradscape.spec.registry import find
from gradscape.spec.study import VARIANT, matches, varied_label

TRAINS = 0.05  # below a guess's loss, or a cell is at chance and not pooled with others
LENGTH = ("epochs", "train_items", "batch_size")  # of trainings that scatter alike

Pair = tuple[int | str, str]  # a seed, or "all" of them, and a variant
Chosen = list[Pair] | None  # None: a constant, which stands beside any


@dataclass(frozen=True)
class Metric:
    """What a metric's function says of itself, as its attributes."""

    log: bool = False  # its numbers are positive and compared by their ratio
    fact: bool = False  # it is no measurement, so that no interval is asked for
    best: bool = False  # it is that of the best of its runs
    images: Callable | None = None  # of the runs, the values per test image behind its mean
    steps: Callable | None = None  # likewise per step of training
    ratio: bool = False  # those of the steps are compared by their ratio
    shares: Callable | None = None  # the shares of images that it adds up, (right, images)
    counts: Callable | None = None  # how many of the runs it is the share of
    estimate: Callable | None = None  # an `Estimate`, from the runs of all seeds

    @classmethod
    def named(cls, name: str) -> "Metric":
        function = find("metric", name)
        told = [f.name for f in fields(cls) if hasattr(function, f.name)]
        return cls(**{name: getattr(function, name) for name in told})


class Measurements:
    """The metrics of a study's runs, each taken once; and those of `others`, studies whose
    runs its claims compare with, under their names. A run of those is called study/run."""

    def __init__(
        self,
        runs: list[FinishedRun],
        others: Mapping[str, list[FinishedRun]] | None = None,
        prefix: str = "",
    ):
        self.all, self.prefix = runs, prefix
        self.others = {
            n: Measurements(r, prefix=f"{n}/") for n, r in (others or {}).items()
        }
        self._values: dict[tuple, float | None] = {}
        self._named = {self.called(run): run for run in runs}
        for other in self.others.values():
            self._named |= other._named

    def called(self, run: FinishedRun) -> str:
        return f"{self.prefix}{run.path.name}"

    def value(self, metric: str, runs: list[FinishedRun]) -> float | None:
        key = (metric, *(run.path.name for run in runs))
        if key not in self._values:
            value = find("metric", metric)(runs)
            self._values[key] = None if value is None else float(value)
        return self._values[key]

    def run(self, name: str) -> FinishedRun:
        return self._named[name]

    @cached_property
    def exchanged(self) -> bool:
        """Whether some runs took the place of others while more of those stayed: somebody
        chose. A study that is made anew as a whole is tested anew."""
        old = {about.get("commit") for run in self.all for about in run.replaced}
        return None in old or not old.isdisjoint(run.commit for run in self.all)

    @cached_property
    def cells(self) -> list[list[FinishedRun]]:
        """The runs that differ in nothing but the seed and the device."""
        return list(by_setting(self.all).values())


class Side:
    """One side of a comparison: a metric of the runs that match, by seed and variant, of
    the claim's study or of the `study` it names. Or a constant; of `chance_loss`, that of a
    uniform guess."""

    def __init__(self, side: dict | float | str, measured: Measurements):
        if isinstance(side, dict) and "study" in side:
            measured = measured.others.get(side["study"]) or Measurements([])
        self.measured, self.metric = measured, Metric()
        self.constant: float | None = None
        self.groups: dict[Pair, list[FinishedRun]] = {}
        self.values: dict[Pair, float] = {}
        if not isinstance(side, dict):
            chance = max((run.chance_loss for run in measured.all), default=np.nan)
            self.constant = chance if side == "chance_loss" else float(side)
            return
        where, self.factor = side["where"], side.get("times", 1)
        self.name, self.metric = side["metric"], Metric.named(side["metric"])
        for run in measured.all:
            if matches(run.traits, where):
                pair = (run.seed, varied_besides(where, run.varied))
                pair = ("all", pair[1]) if self.metric.counts else pair
                pair = ("all", "") if self.metric.estimate else pair
                self.groups.setdefault(pair, []).append(run)
        for pair, group in self.groups.items():
            value = measured.value(self.name, group)
            if value is not None:
                self.values[pair] = self.factor * value
        if self.values and self.metric.fact:
            self.constant = next(iter(self.values.values()))

    def of(self, pairs: Chosen) -> np.ndarray:
        """The numbers of these pairs, [pairs]; a constant is one."""
        if pairs is None:
            return np.array([self.constant])
        return np.array([self.values[pair] for pair in pairs])

    def runs(self, pairs: Chosen) -> list[list[str]]:
        chosen = sorted(self.groups) if pairs is None else pairs
        groups = [self.groups.get(pair, []) for pair in chosen]
        return [[self.measured.called(run) for run in group] for group in groups]

    def device(self, pair: Pair) -> tuple | None:
        """The kind of device and the torch of a pair's runs, if that is one."""
        kinds = {run.device for run in self.groups[pair]}
        return kinds.pop() if len(kinds) == 1 else None

    def kinds(self, pair: Pair) -> set[tuple]:
        """The kinds of device, versions of torch and kinds of means that its runs have."""
        records = (run.record for run in self.groups[pair])
        return {(r.backend.kind, r.backend.torch, r.by_minibatch) for r in records}

    def rates(self, pair: Pair, setting: str) -> set:
        return {run.settings[setting] for run in self.groups[pair]}

    def is_at_edge(self, pairs: Chosen) -> bool:
        """Tell whether its number is that of the best of several runs, and that one has the
        smallest or the largest learning rate that was tried."""
        groups = (self.groups.get(pair, []) for pair in pairs or [])
        return self.metric.best and any(map(self._is_at_edge, groups))

    def _is_at_edge(self, group: list[FinishedRun]) -> bool:
        tried = sorted({run.learning_rate for run in group})
        number = self.measured.value(self.name, group)
        best = [r for r in group if self.measured.value(self.name, [r]) == number]
        return len(tried) > 1 and any(
            run.learning_rate in (tried[0], tried[-1]) for run in best
        )

    @property
    def log(self) -> bool:
        """Whether its numbers are compared by their ratio."""
        return self.constant is not None or self.metric.log

    def pool(self, pairs: list[Pair]) -> list[np.ndarray]:
        """The study's cells that scatter as this one does, itself among them, [seeds] each:
        of its length and device, at chance if it is; none where it cannot be pooled."""
        own = [self.groups[pair][0] for pair in pairs]
        first = own[0]
        if any(len(self.groups[pair]) > 1 for pair in pairs):
            return []
        cells, is_among = [], len(own) == 1
        for cell in self.measured.cells:
            alike = [
                run
                for run in cell
                if run.device == first.device
                and all(run.settings[key] == first.settings[key] for key in LENGTH)
            ]
            if len(alike) > 1 and trains(alike) == trains(own):
                values = [self.measured.value(self.name, [run]) for run in alike]
                if all(value is not None and np.isfinite(value) for value in values):
                    cells.append(self.factor * np.array(values, float))
                    is_among |= first in alike
        return cells if is_among else []


def trains(runs: list[FinishedRun]) -> bool:
    """Tell whether a cell ends below a uniform guess's loss."""
    losses = [run.scores["final_train_loss"] for run in runs]
    return float(np.mean(losses)) < runs[0].chance_loss - TRAINS


def varied_besides(where: dict, varied: dict) -> str:
    """One text for what a run varies besides the settings that the claim itself names.

    >>> varied_besides({"precision": "bf16"}, {"precision": "bf16", "schedule": "cosine"})
    'schedule-cosine'
    >>> varied_besides({"variant": "wide"}, {"width": 64})
    ''
    """
    if VARIANT in where:
        return ""
    return varied_label({key: value for key, value in varied.items() if key not in where})
