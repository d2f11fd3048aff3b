"""Finished runs, read back from their directories: what figures and tables start from."""

from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from gradscape.base.errors import GradscapeError
from gradscape.base.files import say
from gradscape.base.paths import RECORD, Results, probe_file
from gradscape.runs import record as stored
from gradscape.spec.labels import model_label, printed_variant
from gradscape.spec.quantity import rate
from gradscape.spec.settings import DEFAULTS, SETTINGS, Settings
from gradscape.spec.study import (
    COMMON,
    VARIANT,
    Run,
    Study,
    run_name,
    traits,
    varied_label,
)


class FinishedRun:
    """One run's directory. Tables are read on demand and not kept: there may be thousands
    of runs."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not (self.path / RECORD).exists():
            raise GradscapeError(f"{self.path}: not a finished run")
        self.record = stored.read_record(self.path / RECORD)
        # A setting that is younger than the run had its default.
        self.settings: dict = DEFAULTS | self.record["settings"]
        known = "varied" in self.record
        self.varied: dict = self.record["varied"] if known else varied_before(self.record)
        self.model: str = self.settings["model"]
        self.learning_rate: float = self.settings["learning_rate"]
        self.seed: int = self.settings["seed"]

    def __repr__(self) -> str:
        return f"FinishedRun({str(self.path)!r})"

    @property
    def synthetic(self) -> bool:
        """Were its images drawn by this program?"""
        return self.record["data"]["source"] == "generated"

    @property
    def variant(self) -> str:
        """What the study varies besides model, rate and seed; empty if nothing."""
        return varied_label(self.varied)

    @property
    def traits(self) -> dict:
        """What a `where` chooses runs by: the settings, and `variant`."""
        return traits(self.settings, self.varied)

    @property
    def label(self) -> str:
        words = [model_label(self.model), f"lr {rate(self.learning_rate).text()}"]
        return ", ".join(filter(None, [*words, printed_variant(self.variant)]))

    @property
    def diverged(self) -> int | None:
        """The epoch in which the run diverged, if it did."""
        return self.record["diverged"]

    @property
    def chance_loss(self) -> float:
        """Cross entropy of a uniform guess, ln(classes)."""
        return float(np.log(self.record["data"]["classes"]))

    def file(self, name: str) -> Path:
        """One of its tables, with the bytes that its record says."""
        return stored.unchanged(self.path / name, self.record.get("sha256", {}).get(name))

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """A row an epoch; accuracies as fractions."""
        return stored.read_table(self.file("metrics.csv"), stored.METRICS)

    @cached_property
    def test(self) -> pd.Series:
        """Loss and accuracy on the test images, of the epoch that validated best."""
        return self._tests.iloc[0]

    @cached_property
    def last_test(self) -> pd.Series:
        """The same of the last epoch; NaN in runs older than this row."""
        table = self._tests.set_index("epoch", drop=False)
        return table.reindex([len(self.metrics)]).iloc[0]

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
        return stored.read_gradients(self.file("gradients.npz"))

    @property
    def steps(self) -> dict[str, np.ndarray]:
        """What was kept of every step; explained in config/README.md."""
        return stored.read_steps(self.file("steps.npz"))

    @property
    def predictions(self) -> pd.DataFrame | None:
        """What the best epoch's network takes each test image for; None in older runs."""
        path = self.path / "predictions.npz"
        classes = self.record["data"]["classes"]
        return stored.read_predictions(path, classes) if path.exists() else None

    def is_probed(self, name: str) -> bool:
        return probe_file(self.path, name).exists()

    def probe(self, name: str) -> pd.DataFrame | None:
        """A probe's table, or None if the run was not probed."""
        if not self.is_probed(name):
            return None
        return stored.read_probe(probe_file(self.path, name), name)

    @property
    def correct(self) -> np.ndarray | None:
        """Which test images the best epoch's network gets right; None in older runs."""
        table = self.predictions
        return None if table is None else table["right"].to_numpy()

    @cached_property
    def best(self) -> pd.Series:
        """The epoch with the best validation accuracy; the first of equals, and where none
        is a number."""
        metrics = self.metrics
        return metrics.loc[metrics["val_accuracy"].fillna(-np.inf).idxmax()]

    @cached_property
    def _tests(self) -> pd.DataFrame:
        return stored.read_table(self.file("test.csv"), stored.TEST)

    def rerun(self, **changes) -> Run:
        """The same training once more, but for these settings."""
        settings = {name: self.settings[name] for name in SETTINGS} | changes
        return Run(self.record["study"], self.path.name, Settings(**settings), self.varied)

    def check(self) -> None:
        """Read all of it once. Raises `Damaged` for the first file that is not sound."""
        steps = self.steps
        _ = self.metrics, self.last_test, self.gradients, self.predictions
        if self.settings["gradient_lag"] and "gradient_distance" not in steps:
            file = self.path / "steps.npz"
            raise stored.Damaged(f"{file}: the array gradient_distance is missing")
        for file in sorted((self.path / "probes").glob("[!.]*.csv")):
            stored.read_probe(file, file.stem)


def varied_before(record: dict) -> dict:
    """What a run varies whose record is older than `varied`: the settings that are in its
    name, and the rest of the name as the variant."""
    settings = DEFAULTS | record["settings"]
    known = {name: value for name, value in settings.items() if name in SETTINGS}
    rest = record["run"].removeprefix(run_name(Settings(**known)))
    parts = {k: f"_{varied_label({k: v})}" for k, v in known.items() if k not in COMMON}
    keys = sorted((k for k in parts if parts[k] in rest), key=lambda k: rest.find(parts[k]))
    for key in keys:
        rest = rest.replace(parts[key], "")
    varied = {key: known[key] for key in keys}
    return varied | ({VARIANT: rest.strip("_")} if rest.strip("_") else {})


def finished_runs(study: Study, results: Results) -> list[FinishedRun]:
    """The study's runs that have come to their end, in the order of its grid, without the
    damaged ones, each of which is said once."""
    folders = [results.run(run.study, run.name) for run in study.runs]
    finished = [folder for folder in folders if (folder / RECORD).exists()]
    return [FinishedRun(f) for f in finished if not damage(f, stamp(f))]


def stamp(folder: Path) -> tuple:
    """Changes with the files of a run."""
    stats = [path.stat() for path in sorted(folder.rglob("[!.]*")) if path.exists()]
    return tuple((s.st_ino, s.st_size, s.st_mtime_ns) for s in stats)


@cache
def damage(folder: Path, stamp: tuple) -> str:
    """What is wrong with a finished run's files; empty if nothing."""
    try:
        FinishedRun(folder).check()
    except stored.Damaged as error:
        say(f"{error}; the run is left out")
        return str(error)
    return ""


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


def best_setting(runs: list[FinishedRun]) -> list[FinishedRun]:
    """The runs of the setting with the highest validation accuracy, mean over seeds."""
    groups = by_setting(runs).values()
    return max(groups, key=mean_accuracy)


def mean_accuracy(runs: list[FinishedRun]) -> float:
    """The best epoch's validation accuracy, mean over the runs."""
    mean = float(np.mean([run.best["val_accuracy"] for run in runs]))
    return -np.inf if np.isnan(mean) else mean  # which no comparison would find the lowest
