"""Finished runs, read back from their directories: what figures and tables start from."""

import json
from collections.abc import Callable, Iterable
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gradscape.base.errors import GradscapeError
from gradscape.base.files import say, sha256
from gradscape.base.paths import PROBES, RECORD, REPLACED, Results, probe_file
from gradscape.runs import record as stored
from gradscape.runs import tables
from gradscape.spec.labels import model_label, printed_variant
from gradscape.spec.quantity import rate
from gradscape.spec.settings import SETTINGS, Settings
from gradscape.spec.study import Run, Study, traits, varied_label

Setting = tuple[str, float, str]  # model, learning rate, variant
TRAINED = 0.1  # below a uniform guess's loss, for a network to count as trained
RECORDED = ("parameters", "flops", "diverged", "seconds_training", "images_per_second")
FINAL = ("train_loss", "train_accuracy", "val_accuracy")
# Kinds of CPU as records named them before they told the kinds of bf16 apart.
OLD_KINDS = {"CPU AVX2": "CPU AVX2, no bf16", "CPU AVX512": None}


class NotMeasured(Exception):
    """A run lacks what a number is taken from."""


class FinishedRun:
    """One run's directory, read on demand. `measures` has the probes that its study wants
    of it, with their functions: tables of others are leftovers, and not read. None, where
    no study is known, takes all. Raises `GradscapeError` for a run that is not finished,
    and `Damaged` for a file that is not as it was written."""

    def __init__(self, path: str | Path, measures: dict[str, str] | None = None):
        self.path = Path(path)
        if not (self.path / RECORD).exists():
            raise GradscapeError(f"{self.path}: not a finished run")
        self.record = stored.read(self.path / RECORD)
        self.measures = measures
        self.settings: dict = self.record.settings
        self.varied: dict = self.record.varied
        self.model: str = self.settings["model"]
        self.learning_rate: float = self.settings["learning_rate"]
        self.seed: int = self.settings["seed"]
        self.diverged: int | None = self.record.diverged  # an epoch
        self.variant = varied_label(self.varied)
        self.sound: set[str] = set()  # the tables that have been hashed
        self.asked: set[str] = set()  # the probes that have been looked for

    def __repr__(self) -> str:
        return f"FinishedRun({str(self.path)!r})"

    @property
    def synthetic(self) -> bool:
        """Whether its images were drawn by this program."""
        return self.record.data.source == "generated"

    @property
    def traits(self) -> dict:
        """The settings and `variant`, by which a `where` chooses runs."""
        return traits(self.settings, self.varied)

    @property
    def label(self) -> str:
        words = [model_label(self.model), f"lr {rate(self.learning_rate).text()}"]
        return ", ".join(filter(None, [*words, printed_variant(self.variant)]))

    @property
    def chance_loss(self) -> float:
        """Cross entropy of a uniform guess, ln(classes)."""
        return float(np.log(self.record.data.classes))

    @property
    def device(self) -> tuple[str, str, bool] | None:
        """Kind of device, version of torch and how training means were taken, within which
        runs compare; None where an old record does not tell kinds of AVX-512 CPUs apart."""
        kind = self.record.backend.kind
        kind = OLD_KINDS.get(kind, kind)
        return kind and (kind, self.record.backend.torch, self.record.by_minibatch)

    @cached_property
    def replaced(self) -> list[dict]:
        """Facts about the runs whose place this published one has taken."""
        path = self.path / REPLACED
        if not path.exists():
            return []
        with stored.reading(path):
            runs = json.loads(path.read_text("utf-8"))
            for run in runs:
                float(run["final_train_loss"]), str(run["kind"])
        return runs

    @property
    def commit(self) -> str:
        """The revision of the code that trained it."""
        return self.record.revision.commit or "unknown"

    @property
    def metrics(self) -> pd.DataFrame:
        """A row an epoch; accuracies as fractions."""
        return self.read("metrics.csv", tables.read_table, tables.METRICS)

    @property
    def tests(self) -> pd.DataFrame:
        """The scores on the test images of the best epoch and of the last, if another."""
        return self.read("test.csv", tables.read_table, tables.TEST)

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
        """The epoch that validated best: the first of equals, or if none is a number."""
        metrics = self.metrics
        return metrics.loc[metrics["val_accuracy"].fillna(-np.inf).idxmax()]

    @cached_property
    def scores(self) -> dict[str, float | None]:
        """The numbers of its row in `results_table`."""
        metrics, best, test, record = self.metrics, self.best, self.test, self.record
        last = metrics.iloc[-1]
        return {
            "epochs": len(metrics),
            "best_epoch": int(best["epoch"]),
            **{name: getattr(record, name) for name in RECORDED},
            **{name: best[name] for name in tables.METRICS[1:]},
            **{name: test[name] for name in tables.TEST[1:]},
            **{f"final_{name}": last[name] for name in FINAL},
            "final_test_accuracy": self.last_test["test_accuracy"],
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
        """Mean absolute gradient, a row an epoch, a column a weight tensor by depth."""
        return self.read("gradients.npz", tables.read_gradients)

    @property
    def predictions(self) -> pd.DataFrame | None:
        """The best epoch's answers for the test images; None if not recorded."""
        if "predictions.npz" not in self.record.sha256:
            return None
        classes = self.record.data.classes
        return self.read("predictions.npz", tables.read_predictions, classes)

    @property
    def correct(self) -> np.ndarray | None:
        """Whether it gets each test image right, [images]; None where not recorded."""
        table = self.predictions
        return None if table is None else table["right"].to_numpy()

    def is_probed(self, name: str) -> bool:
        wanted = self.measures is None or name in self.measures
        return wanted and probe_file(self.path, name).exists()

    def probe(self, name: str) -> pd.DataFrame | None:
        """A probe's table, or None if the run was not probed."""
        self.asked.add(name)
        if not self.is_probed(name):
            return None
        measure = (self.measures or {}).get(name, name)
        return kept(self, probe_file(self.path, name), tables.read_probe, measure)

    def measured(self, probe: str) -> pd.DataFrame:
        """A probe's table. Raises `NotMeasured` if the run was not probed."""
        if (table := self.probe(probe)) is None:
            raise NotMeasured
        return table

    def read(self, name: str, reader: Callable, *given: object) -> Any:
        """One of its tables, if its bytes are those that were sealed; hashed once."""
        path = self.path / name
        if name not in self.sound:
            with stored.reading(path):
                if sha256(path) != self.record.sha256.get(name):
                    raise ValueError(stored.CHANGED)
            self.sound.add(name)
        return kept(self, path, reader, *given)

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


@lru_cache(maxsize=2000)  # tables, of all runs together: those of 20,000 runs do not fit
def kept(run: FinishedRun, path: Path, reader: Callable, *given: object) -> Any:
    return reader(path, *given)


def finished_runs(study: Study, results: Results) -> list[FinishedRun]:
    """The study's runs that have come to their end and are sound, in its grid's order."""
    runs = (sound(*stamped(study, results, name)) for name in recorded(study, results))
    return [run for run in runs if run is not None]


def recorded(study: Study, results: Results) -> list[str]:
    """The names of the study's runs that have come to their end, sound or not."""
    names = [run.name for run in study.runs]
    return [name for name in names if results.record(study.name, name).exists()]


def stamped(study: Study, results: Results, name: str) -> tuple[Path, tuple, tuple]:
    """A run's folder, what changes with its files, and the probes that it is to have."""
    folder = results.run(study.name, name)
    stats = [path.stat() for path in sorted(folder.rglob("[!.]*")) if path.exists()]
    stamp = tuple((s.st_ino, s.st_size, s.st_mtime_ns) for s in stats)
    return folder, stamp, study.measures[name]


@cache
def opened(folder: Path, stamp: tuple, measures: tuple) -> FinishedRun:
    """A run, opened once a process; of its files only the record is read."""
    return FinishedRun(folder, dict(measures))


@cache
def sound(folder: Path, stamp: tuple, measures: tuple) -> FinishedRun | None:
    """A run, checked once a process; None, and a sentence, if it is damaged."""
    try:
        run = opened(folder, stamp, measures)
        run.check()
    except stored.Damaged as error:
        say(f"{error}; the run is left out")
        return None
    return run


def by_setting(runs: Iterable[FinishedRun]) -> dict[Setting, list[FinishedRun]]:
    """Runs that differ in nothing but the seed, by (model, learning rate, variant): models
    and variants in the order of the runs, rates ascending."""
    groups: dict[Setting, list[FinishedRun]] = {}
    for run in runs:
        groups.setdefault((run.model, run.learning_rate, run.variant), []).append(run)
    places = {kind: n for n, kind in enumerate(dict.fromkeys(s[::2] for s in groups))}
    order = sorted(groups, key=lambda setting: (places[setting[::2]], setting[1]))
    return {setting: groups[setting] for setting in order}


def scores(runs: list[FinishedRun], name: str) -> list:
    """One of the `scores` of each run."""
    return [run.scores[name] for run in runs]


COLUMNS = ["study", "run", "model", "learning_rate", "variant", "seed", "parameters"]
COLUMNS += ["flops", "epochs", "best_epoch", *tables.METRICS[1:], *tables.TEST[1:]]
COLUMNS += [*(f"final_{name}" for name in FINAL), "final_test_accuracy", "diverged"]
COLUMNS += ["seconds_training", "images_per_second", "training_mean"]
COLUMNS += [name for name in SETTINGS if name not in COLUMNS]


def results_table(runs: Iterable[FinishedRun]) -> pd.DataFrame:
    """A row a run: losses and accuracies (as fractions) at the epoch that validated best.

    The test columns are its weights' scores on the official test images, the `final_…`
    columns those of the last epoch; `flops` one image's forward pass, multiply and add
    counted as two; `diverged` the epoch in which the run did; `training_mean` what the
    training columns are means over, `images`, or `minibatches` as older runs have it. All
    settings follow; `epochs` is how many were run.
    """
    rows = []
    for run in runs:
        named = {"study": run.record.study, "run": run.record.run, "variant": run.variant}
        named["training_mean"] = "minibatches" if run.record.by_minibatch else "images"
        rows.append(run.settings | run.scores | named)
    return pd.DataFrame(rows, columns=COLUMNS)


def best_setting(runs: list[FinishedRun]) -> list[FinishedRun]:
    """The runs of the setting with the highest validation accuracy, mean over seeds."""
    return max(by_setting(runs).values(), key=mean_accuracy)


def mean_accuracy(runs: list[FinishedRun]) -> float:
    """The best epoch's validation accuracy, mean over the runs."""
    mean = float(np.mean(scores(runs, "val_accuracy")))
    return -np.inf if np.isnan(mean) else mean  # which no comparison would find the lowest
