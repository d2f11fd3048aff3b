"""The runs of one claim, trained again: does it come out as before?

They train with the settings and the number of threads in their records. On the same kind of
device, with the same torch, their tables have the same bytes; elsewhere the claim's
difference should stay inside its published interval. A claim on probes is probed again.
"""

from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from gradscape.base.errors import GradscapeError, suggest
from gradscape.base.files import write_csv
from gradscape.base.paths import PROBES, RECORD, SEALED, Results, probe_file
from gradscape.claims.files import read_verdicts
from gradscape.claims.sides import Measurements
from gradscape.claims.verdicts import decide
from gradscape.config.checks import check_settings
from gradscape.config.experiment import Experiment
from gradscape.data.store import load
from gradscape.pipeline.once import train_once
from gradscape.runs import record as stored
from gradscape.runs.run import FinishedRun
from gradscape.runs.tables import read_arrays
from gradscape.spec.quantity import TEXT, Quantity
from gradscape.spec.registry import own_names, short
from gradscape.spec.study import Probe, Run

SAME, INSIDE, CHANGED = "same bytes", "inside the interval", "changed"
METRICS, TIMING = "metrics.csv", "timing.csv"  # the latter is never the same


class Reproduction:
    """A claim, `study/name`, and the runs that it rests on: as `published`, and as `runs`
    to train again. Raises `GradscapeError` for a claim that is not made or has no runs."""

    def __init__(self, experiment: Experiment, claim: str):
        studies = experiment.studies.values()
        known = [f"{study.name}/{name}" for study in studies for name in study.claims]
        if claim not in known:
            raise GradscapeError(f"{claim}: nobody claims that{suggest(claim, known)}")
        study, self.name = claim.split("/", 1)
        self.claim, self.experiment = claim, experiment
        self.study = experiment.studies[study]
        self.verdict = read_verdicts(self.study, experiment.results).claims[self.name]
        names = {*chain(*self.verdict.left_runs, *self.verdict.right_runs)}
        if not names or not self.verdict.left:
            raise GradscapeError(f"{claim}: rests on no runs ({self.verdict.verdict})")
        planned = [run for run in self.study.runs if run.name in names]
        for other in self.study.others.values():
            planned += [run for run in other.runs if run.id in names]
        self.published = [self.opened(run, experiment.directory(run)) for run in planned]
        self.runs = list(map(again, self.published, planned))

    def probes(self, run: Run) -> dict[str, Probe]:
        return self.experiment.studies[run.study].probes

    def opened(self, run: Run, folder: Path) -> FinishedRun:
        return FinishedRun(
            folder, dict(self.experiment.studies[run.study].measures[run.name])
        )

    def difference(self, runs: list[FinishedRun]) -> float:
        """Left minus right of these runs, as an interval has it."""
        claim = self.study.claims[self.name]
        of = {name: [] for name in (self.study.name, *self.study.others)}
        for run in runs:
            of[run.record.study].append(run)
        measured = Measurements(of.pop(self.study.name), of)
        verdict, found, _ = decide(self.name, claim, measured)
        if found is None or found.estimate is None:
            return verdict.effect
        size = found.estimate.difference
        return found.reference * np.expm1(size) if found.estimate.log else size

    def train(self, data: Path, out: Path) -> str:
        """Train the runs into the results folder `out`; say how each and the whole came
        out, and return that. Raises `GradscapeError` for images that are not at hand."""
        images = [images_of(run, data) for run in self.published]  # before any work
        was = self.difference(self.published)
        asked = {name for run in self.published for name in run.asked}
        new, differing = [], 0
        for old, run, dataset in zip(self.published, self.runs, images, strict=True):
            folder = Results(out).run(run.study, run.name)
            options = {"pretrained": self.experiment.pretrained(run)}
            options["threads"] = old.record.backend.threads or 1
            train_once(run, dataset, folder, **options)
            probes = sorted(asked & self.probes(run).keys())
            for name in filter(old.is_probed, probes):
                self.probe(name, run, folder, data, options["threads"])
            differ = differences(folder, old.path, probes)
            differing += bool(differ)
            said = f"other bytes in {', '.join(differ)}" if differ else SAME
            print(f"{run.id}: {said}", flush=True)
            new.append(self.opened(run, folder))
        now, interval = self.difference(new), self.verdict.interval
        inside = interval.low <= now <= interval.high  # not where there is none
        outcome = SAME if not differing else INSIDE if inside else CHANGED
        sizes = [Quantity(d, style=interval.style).signed(TEXT) for d in (now, was)]
        numbers = f"left minus right is {sizes[0]} and was {sizes[1]}"
        ends = f"95 % interval {interval.text()}" if interval.is_known else "no interval"
        print(f"{self.claim}: {outcome}; {numbers} ({ends})")
        return outcome

    def probe(self, name: str, run: Run, folder: Path, data: Path, threads: int) -> None:
        from gradscape.probes.trained import Trained, measured  # loads torch

        probe, own = self.probes(run)[name], own_names(vars(run.settings))
        trained = Trained(folder, data, threads, own.values())
        rows = measured(probe.measure, trained, probe.options)
        write_csv(probe_file(folder, name), rows)


def again(finished: FinishedRun, planned: Run) -> Run:
    """The training of a record, in the precision that `auto` was then; it names no program
    that its configuration does not."""
    run = finished.rerun(precision=finished.record.backend.precision)
    known = own_names(vars(planned.settings)).values()
    for name in own_names(vars(run.settings)).values():
        if name not in known:
            raise GradscapeError(f"{finished.path}: names a program of its own, {name!r}")
    check_settings(run.settings, f"{finished.path}: settings")
    return run


def images_of(finished: FinishedRun, data: Path):
    name = finished.settings["dataset"]
    images = load(data / short(name), name)
    if images.checksum != finished.record.data.sha256:
        raise GradscapeError(f"{data / short(name)}: other images than {finished.path} has")
    return images


def differences(ours: Path, theirs: Path, probes=()) -> list[str]:
    """The tables of a run's folder that are others in `ours`. More may be kept there than
    when `theirs` was made: tables or arrays that it lacks do not count."""
    names = [*SEALED, *(f"{PROBES}/{name}.csv" for name in probes)]
    there = [n for n in names if n != TIMING and (theirs / n).exists()]
    older = stored.read(theirs / RECORD).by_minibatch
    return [n for n in there if not is_same(ours / n, theirs / n, older)]


def is_same(ours: Path, theirs: Path, older: bool) -> bool:
    """Tell whether two tables have the same bytes, but for training means that were taken
    before they were means over images: those of every step are beside them."""
    if older and ours.name == METRICS:
        tables = [pd.read_csv(path, dtype=str) for path in (ours, theirs)]
        others = [t.drop(columns=["train_loss", "train_accuracy"]) for t in tables]
        return others[0].equals(others[1])
    if ours.suffix != ".npz":
        return ours.read_bytes() == theirs.read_bytes()
    one, other = read_arrays(ours), read_arrays(theirs)
    return all(key in one and one[key].tobytes() == other[key].tobytes() for key in other)
