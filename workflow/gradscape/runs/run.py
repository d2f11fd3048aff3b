"""Finished runs, read back from their directories: what figures and tables start from."""

from collections.abc import Callable
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gradscape.base.errors import GradscapeError
from gradscape.base.files import say, sha256
from gradscape.base.paths import PROBES, RECORD, Results, probe_file
from gradscape.runs import record as stored
from gradscape.runs import tables
from gradscape.runs.cache import Cache
from gradscape.spec.labels import model_label, printed_variant
from gradscape.spec.quantity import rate
from gradscape.spec.settings import SETTINGS, Settings
from gradscape.spec.study import Run, Study, traits, varied_label

CACHE = Cache(2**28)  # bytes of tables and arrays, of all runs together


class FinishedRun:
    """One run's directory, whose files are read on demand.

    `measures` says by which function each of its probes was measured, if not by that of its
    own name. Raises `GradscapeError` for a run that is not finished, and `Damaged` for a
    file that is not as it was written.
    """

    def __init__(self, path: str | Path, measures: dict[str, str] | None = None):
        self.path = Path(path)
        if not (self.path / RECORD).exists():
            raise GradscapeError(f"{self.path}: not a finished run")
        self.record = stored.read(self.path / RECORD)
        self.measures = measures or {}
        self.settings: dict = self.record.settings
        self.varied: dict = self.record.varied
        self.model: str = self.settings["model"]
        self.learning_rate: float = self.settings["learning_rate"]
        self.seed: int = self.settings["seed"]
        self.sound: set[str] = set()  # the tables that have been hashed

    def __repr__(self) -> str:
        return f"FinishedRun({str(self.path)!r})"

    @property
    def synthetic(self) -> bool:
        """Were its images drawn by this program?"""
        return self.record.data.source == "generated"

    @property
    def variant(self) -> str:
        """The settings that the study varies besides model, rate and seed, as one text."""
        return varied_label(self.varied)

    @property
    def traits(self) -> dict:
        """The settings and `variant`, by which a `where` chooses runs."""
        return traits(self.settings, self.varied)

    @property
    def label(self) -> str:
        words = [model_label(self.model), f"lr {rate(self.learning_rate).text()}"]
        return ", ".join(filter(None, [*words, printed_variant(self.variant)]))

    @property
    def diverged(self) -> int | None:
        """The epoch in which the run diverged, if it did."""
        return self.record.diverged

    @property
    def chance_loss(self) -> float:
        """Cross entropy of a uniform guess, ln(classes)."""
        return float(np.log(self.record.data.classes))

    @property
    def metrics(self) -> pd.DataFrame:
        """A row an epoch; accuracies as fractions."""
        return self.read("metrics.csv", partial(tables.read_table, numbers=tables.METRICS))

    @property
    def tests(self) -> pd.DataFrame:
        """Loss and accuracy on the test images: of the epoch that validated best, and of
        the last if that is another."""
        return self.read("test.csv", partial(tables.read_table, numbers=tables.TEST))

    @property
    def test(self) -> pd.Series:
        """Loss and accuracy on the test images, of the epoch that validated best."""
        return self.tests.iloc[0]

    @property
    def last_test(self) -> pd.Series:
        """Loss and accuracy on the test images, of the last epoch."""
        table = self.tests.set_index("epoch", drop=False)
        return table.reindex([len(self.metrics)]).iloc[0]

    @property
    def best(self) -> pd.Series:
        """The epoch with the best validation accuracy; the first of equals, and where none
        is a number."""
        metrics = self.metrics
        return metrics.loc[metrics["val_accuracy"].fillna(-np.inf).idxmax()]

    @cached_property
    def scores(self) -> dict[str, float | None]:
        """The numbers of its row in the table of results: see `results_table`."""
        metrics, best, test, record = self.metrics, self.best, self.test, self.record
        last = metrics.iloc[-1]
        return {
            "parameters": record.parameters,
            "flops": record.flops,
            "epochs": len(metrics),
            "best_epoch": int(best["epoch"]),
            **{name: best[name] for name in tables.METRICS[1:]},
            **{name: test[name] for name in tables.TEST[1:]},
            "final_train_loss": last["train_loss"],
            "final_train_accuracy": last["train_accuracy"],
            "final_val_accuracy": last["val_accuracy"],
            "final_test_accuracy": self.last_test["test_accuracy"],
            "diverged": record.diverged,
            "seconds_training": record.seconds_training,
            "images_per_second": record.images_per_second,
        }

    @property
    def steps(self) -> dict[str, np.ndarray]:
        """The arrays that hold a value a step; config/README.md explains the names."""
        return self.read("steps.npz", tables.read_steps)

    @property
    def step_losses(self) -> np.ndarray:
        """Minibatch loss of every step, [steps]."""
        return self.steps["loss"]

    @property
    def steps_per_epoch(self) -> int:
        return int(self.steps["steps_per_epoch"])

    @property
    def gradients(self) -> pd.DataFrame:
        """Mean absolute gradient, a row an epoch, a column a weight tensor by depth.

        Not a number where a run ended before any was recorded.
        """
        return self.read("gradients.npz", tables.read_gradients)

    @property
    def predictions(self) -> pd.DataFrame | None:
        """The class that the best epoch's network takes each test image for, and with what
        confidence; None where that was not recorded."""
        if "predictions.npz" not in self.record.sha256:
            return None
        classes = self.record.data.classes
        return self.read(
            "predictions.npz", partial(tables.read_predictions, classes=classes)
        )

    @property
    def correct(self) -> np.ndarray | None:
        """Whether the best epoch's network gets each test image right, [images]; None where
        that was not recorded."""
        table = self.predictions
        return None if table is None else table["right"].to_numpy()

    def is_probed(self, name: str) -> bool:
        return probe_file(self.path, name).exists()

    def probe(self, name: str) -> pd.DataFrame | None:
        """A probe's table, or None if the run was not probed."""
        if not self.is_probed(name):
            return None
        path, measure = probe_file(self.path, name), self.measures.get(name, name)
        return CACHE.get((self, path), lambda: tables.read_probe(path, measure))

    def read(self, name: str, reader: Callable[[Path], Any]) -> Any:
        """One of its tables, if its bytes are those that were sealed. The file is hashed
        once; what is read of it is kept while there is room."""
        path = self.path / name
        if name not in self.sound:
            with stored.reading(path):
                if sha256(path) != self.record.sha256.get(name):
                    raise ValueError(stored.CHANGED)
            self.sound.add(name)
        return CACHE.get((self, name), lambda: reader(path))

    def rerun(self, **changes) -> Run:
        """This training once more, but for these settings."""
        settings = {name: self.settings[name] for name in SETTINGS} | changes
        return Run(self.record.study, self.path.name, Settings(**settings), self.varied)

    def check(self) -> None:
        """Read all of it once. Raises `Damaged` for the first file that is not sound."""
        steps = self.steps
        _ = self.metrics, self.tests, self.gradients, self.predictions
        if self.settings["gradient_lag"] and "gradient_distance" not in steps:
            file = self.path / "steps.npz"
            raise stored.Damaged(f"{file}: the array gradient_distance is missing")
        for file in sorted((self.path / PROBES).glob("[!.]*.csv")):
            self.probe(file.stem)


def finished_runs(study: Study, results: Results) -> list[FinishedRun]:
    """The study's runs that have come to their end, in the order of its grid, without the
    damaged ones, each of which is said once."""
    folders = [results.run(study.name, name) for name in recorded(study, results)]
    runs = (sound(folder, stamp(folder), measures_of(study)) for folder in folders)
    return [run for run in runs if run is not None]


def recorded(study: Study, results: Results) -> list[str]:
    """The names of the study's runs that have come to their end, sound or not."""
    names = [run.name for run in study.runs]
    return [name for name in names if results.record(study.name, name).exists()]


def measures_of(study: Study) -> tuple[tuple[str, str], ...]:
    return tuple((probe.name, probe.measure) for probe in study.probes.values())


def stamp(folder: Path) -> tuple:
    """Changes with the files of a run."""
    stats = [path.stat() for path in sorted(folder.rglob("[!.]*")) if path.exists()]
    return tuple((s.st_ino, s.st_size, s.st_mtime_ns) for s in stats)


@cache
def opened(
    folder: Path, stamp: tuple, measures: tuple[tuple[str, str], ...]
) -> FinishedRun:
    """A run, opened once a process; of its files only the record is read."""
    return FinishedRun(folder, dict(measures))


@cache
def sound(
    folder: Path, stamp: tuple, measures: tuple[tuple[str, str], ...]
) -> FinishedRun | None:
    """A run, checked once a process; None, and a sentence, if it is damaged."""
    try:
        run = opened(folder, stamp, measures)
        run.check()
    except stored.Damaged as error:
        say(f"{error}; the run is left out")
        return None
    return run


def by_setting(
    runs: list[FinishedRun],
) -> dict[tuple[str, float, str], list[FinishedRun]]:
    """Runs that differ in nothing but the seed, by (model, learning rate, variant).

    Models and variants in the order of the runs, rates ascending.
    """
    places: dict[tuple[str, str], int] = {}
    groups: dict[tuple[str, float, str], list[FinishedRun]] = {}
    for run in runs:
        places.setdefault((run.model, run.variant), len(places))
        groups.setdefault((run.model, run.learning_rate, run.variant), []).append(run)
    order = sorted(groups, key=lambda setting: (places[setting[::2]], setting[1]))
    return {setting: groups[setting] for setting in order}


def scores(runs: list[FinishedRun], name: str) -> list:
    """One of the `scores` of each run."""
    return [run.scores[name] for run in runs]


def best_setting(runs: list[FinishedRun]) -> list[FinishedRun]:
    """The runs of the setting with the highest validation accuracy, mean over seeds."""
    groups = by_setting(runs).values()
    return max(groups, key=mean_accuracy)


def mean_accuracy(runs: list[FinishedRun]) -> float:
    """The best epoch's validation accuracy, mean over the runs."""
    mean = float(np.mean(scores(runs, "val_accuracy")))
    return -np.inf if np.isnan(mean) else mean  # which no comparison would find the lowest
