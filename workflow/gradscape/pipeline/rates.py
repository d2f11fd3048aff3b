"""How much a run has to do, and how fast such runs were; loads no torch.

For `gradscape plan`, for the time left that the progress bar shows, and for the guard
against a week of work that was meant for a GPU.
"""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import mean, median

from gradscape.base.errors import GradscapeError
from gradscape.base.paths import PUBLISHED
from gradscape.config.experiment import Experiment
from gradscape.data import Facts
from gradscape.data.datasets import DATASETS, facts
from gradscape.data.splits import count_training_images
from gradscape.runs.record import read, sound_runs
from gradscape.spec.settings import Settings

ESTIMATED = "NVIDIA H200"  # the kind for which there are estimates besides


def training_images(settings: Settings) -> int:
    """How many images an epoch trains on."""
    return count_training_images(settings.dataset, settings.split, settings.train_items)


def steps(settings: Settings) -> int:
    """How many minibatches a run trains on."""
    return settings.epochs * -(-training_images(settings) // settings.batch_size)


def passes_per_step(settings: Settings) -> float:
    """Forward and backward passes of a step, with those that measure the landscape."""
    if settings.landscape_every is None:
        return 1
    directions = 1 + settings.landscape_step
    return 1 + directions * settings.landscape_points / settings.landscape_every


@dataclass(frozen=True)
class Measured:
    """The time of finished runs on one kind of device, or on all whose name starts like it.

    `seconds_per_image` is by model, its width, channels and size of the images, requested
    precision and CPU threads, and the quickest run's: other work on the machine slows a run
    down, nothing speeds it up. `overhead` is what a run takes besides its training steps:
    start-up, validation, test.
    """

    kind: str
    seconds_per_image: dict[tuple, float]
    overhead: float

    def seconds(self, settings: Settings, threads: int) -> float | None:
        """How long a run will take; None if nothing like it was ever measured."""
        threads = threads if self.kind.startswith("CPU") else 0
        key = measured_by(vars(settings), facts(settings.dataset), threads)
        if key not in self.seconds_per_image:
            return None
        images = settings.epochs * training_images(settings) * passes_per_step(settings)
        return self.overhead + images * self.seconds_per_image[key]


def measured_by(settings: dict, known: Facts, threads: int) -> tuple:
    """The properties that decide how long an image takes on one kind of device."""
    network = (settings["model"], settings["width"])
    return (*network, known.channels, known.size, settings["precision"], threads)


def measure(kind: str, folders: list[Path], datasets: Collection[str] = ()) -> Measured:
    """Gather what was measured on a kind of device (`"CPU"`: on any), with gradscape's
    datasets and these: another that a record names may be a program of somebody else."""
    trusted = {*DATASETS, *datasets}
    times: dict[tuple, list[float]] = {}
    overheads = []
    for record in chain.from_iterable(sound_runs(folder, read) for folder in folders):
        settings = record.settings
        if not record.backend.kind.startswith(kind) or settings["dataset"] not in trusted:
            continue
        try:
            known = facts(settings["dataset"])
        except GradscapeError:  # images that are no longer here
            continue
        key = measured_by(settings, known, record.backend.threads)
        training = record.seconds_training - (record.seconds_probing or 0.0)
        images = record.seconds_training * record.images_per_second
        times.setdefault(key, []).append(training / images)
        if not record.resumed:
            overheads.append(record.seconds_last_attempt - record.seconds_training)
    quickest = {key: min(values) for key, values in times.items()}
    return Measured(kind, quickest, median(overheads or [0]))


def known_folders(experiment: Experiment) -> list[Path]:
    """The configuration's own results and the published ones."""
    published = sorted(config.parent for config in PUBLISHED.glob("*/config.json"))
    return [experiment.results.root, *published]


def known_kind(experiment: Experiment, word: str) -> str:
    """The kind of device that a word names: `h200` is `NVIDIA H200`, `CPU` any that was
    measured. Raises `GradscapeError`, with the known ones, unless there is just one."""
    records = (sound_runs(folder, read) for folder in known_folders(experiment))
    measured = {record.backend.kind for record in chain.from_iterable(records)}
    kinds = sorted({"CPU", ESTIMATED, *measured})
    named = [kind for kind in kinds if word.lower() == kind.lower()]
    named = named or [kind for kind in kinds if word.lower() in kind.lower().split()]
    if len(named) != 1:
        raise GradscapeError(
            f"--on: {word!r} is no kind of device whose times are known "
            f"(known: {'; '.join(kinds)})"
        )
    return named[0]


def of(experiment: Experiment, kind: str) -> Measured:
    """The time that runs took which are known."""
    return measure(kind, known_folders(experiment), experiment.datasets.values())


def expected(experiment: Experiment, kind: str) -> tuple[dict[str, float | None], set[str]]:
    """The seconds that each run to do should take, and which of them are guesses.

    Where a network was never measured on a kind of CPU, that is what it took on any CPU,
    times how much slower this kind is in the others; where it never was on any, the mean of
    the other runs. On a GPU it is None.
    """
    measured = of(experiment, kind)
    to_do = {
        run.id: run.settings
        for run in experiment.runs
        if not experiment.is_finished(run) and not experiment.left_out(run)
    }
    threads = experiment.threads
    times = {run: measured.seconds(settings, threads) for run, settings in to_do.items()}
    guesses = {run for run, time in times.items() if time is None}
    if kind.startswith("CPU") and guesses:
        anywhere = measured if kind == "CPU" else of(experiment, "CPU")
        here, there = measured.seconds_per_image, anywhere.seconds_per_image
        slower = median([here[key] / there[key] for key in here] or [1])
        for run in guesses:
            time = anywhere.seconds(to_do[run], threads)
            times[run] = None if time is None else slower * time
        known = [time for time in times.values() if time is not None] or [60.0]
        times = {run: mean(known) if time is None else time for run, time in times.items()}
    return times, guesses


def cpu_seconds(experiment: Experiment) -> dict[str, float]:
    """The seconds that each run to do should take on a CPU, whichever was measured."""
    return expected(experiment, "CPU")[0]
