"""How long a run will take: what it has to do, and how fast such runs were; loads no torch.

For `gradscape plan`, the time left beside the progress bar, and the guard against a GPU's
week of work on a CPU.
"""

from collections.abc import Collection, Iterable
from contextlib import suppress
from statistics import mean, median

from gradscape.base.errors import GradscapeError
from gradscape.base.paths import PUBLISHED
from gradscape.config.experiment import Experiment
from gradscape.data.datasets import DATASETS, facts
from gradscape.data.splits import count_training_images
from gradscape.runs.record import RunRecord, read, sound_runs
from gradscape.spec.settings import Settings
from gradscape.spec.study import Run

ESTIMATED = "NVIDIA H200"  # the kind for which there are estimates besides
MAX_CPU_HOURS = 24.0  # of a configuration that asks for a GPU, without one


def too_long(experiment: Experiment) -> str:
    """What is to be said of a configuration that is too much for a CPU, if it is."""
    hours = sum(expected(experiment, "CPU")[0].values()) / 3600
    if hours <= MAX_CPU_HOURS:
        return ""
    return (
        "there is no GPU here, and on a CPU this configuration takes about "
        f"{hours:,.0f} CPU-hours (`gradscape plan` says it for yours); use "
        "--configfile config/cpu.yaml, which is cut down, or, if you mean it, "
        "--config allow_cpu=true"
    )


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


class Measured:
    """The time of recorded runs on one kind of device, or on all whose name starts like it.
    `seconds_per_image` is the quickest run's: other work only slows a run down. `overhead`
    is start-up, validation and test. Runs on other than these datasets are passed over:
    what their records name may be a program of somebody else."""

    def __init__(self, kind: str, records: list[RunRecord], datasets: Collection[str]):
        self.kind = kind
        times: dict[tuple, list[float]] = {}
        overheads = []
        for record in records:
            given, seen = record.settings, record.settings["epochs"] * record.data.train
            # A single step says how long starting takes, not training.
            is_told = given["dataset"] in datasets and seen > given["batch_size"]
            if not (is_told and record.backend.kind.startswith(kind)):
                continue
            with suppress(GradscapeError):  # its images are no longer here
                training = record.seconds_training - (record.seconds_probing or 0.0)
                images = record.seconds_training * record.images_per_second
                # The precision that `auto` came to may be asked for by name, too.
                for precision in {record.settings["precision"], record.backend.precision}:
                    settings = record.settings | {"precision": precision}
                    key = self.what_decides(settings, record.backend.threads)
                    times.setdefault(key, []).append(training / images)
                if not record.resumed:
                    overheads.append(record.seconds_last_attempt - record.seconds_training)
        self.seconds_per_image = {key: min(values) for key, values in times.items()}
        self.overhead = median(overheads or [0])

    def what_decides(self, settings: dict, threads: int) -> tuple:
        """The properties that decide how long an image takes on one kind of device."""
        known = facts(settings["dataset"])
        network = (settings["model"], settings["width"], known.channels, known.size)
        on_cpu = self.kind.startswith("CPU")
        return (*network, settings["precision"], threads if on_cpu else 0)

    def seconds(self, settings: Settings, threads: int) -> float | None:
        """How long a run will take; None if nothing like it was ever measured."""
        key = self.what_decides(vars(settings), threads)
        if key not in self.seconds_per_image:
            return None
        images = settings.epochs * training_images(settings) * passes_per_step(settings)
        return self.overhead + images * self.seconds_per_image[key]


def known_records(experiment: Experiment) -> list[RunRecord]:
    """The records in the configuration's own results and in the published ones."""
    published = sorted(config.parent for config in PUBLISHED.glob("*/config.json"))
    folders = [experiment.results.root, *published]
    return [record for folder in folders for record in sound_runs(folder, read)]


def known_kind(experiment: Experiment, word: str) -> str:
    """The kind of device that a word names: `h200` is `NVIDIA H200`, `CPU` any that was
    measured. Raises `GradscapeError`, with the known ones, unless there is just one."""
    measured = {record.backend.kind for record in known_records(experiment)}
    kinds = sorted({"CPU", ESTIMATED, *measured})
    named = [kind for kind in kinds if word.lower() == kind.lower()]
    named = named or [kind for kind in kinds if word.lower() in kind.lower().split()]
    if len(named) == 1:
        return named[0]
    known = f"known ({'; '.join(kinds)})"
    raise GradscapeError(f"--on: {word!r} is no kind of device whose times are {known}")


def expected(
    experiment: Experiment, kind: str, runs: Iterable[Run] | None = None
) -> tuple[dict[str, float | None], set[str]]:
    """The seconds that each of these runs should take, by default all that are to do, and
    which of them are guesses. For a network never measured on a kind of CPU: what it took
    on any, times how much slower this kind is in the others; else the mean of the other
    runs. On a GPU: None."""
    known = known_records(experiment), {*DATASETS, *experiment.datasets.values()}
    measured, threads = Measured(kind, *known), experiment.threads
    if runs is None:
        waiting = (run for run in experiment.runs if not experiment.is_finished(run))
        runs = (run for run in waiting if not experiment.left_out(run))
    to_do = {run.id: run.settings for run in runs}
    times = {run: measured.seconds(settings, threads) for run, settings in to_do.items()}
    guesses = {run for run, time in times.items() if time is None}
    if kind.startswith("CPU") and guesses:
        anywhere = Measured("CPU", *known)
        here, there = measured.seconds_per_image, anywhere.seconds_per_image
        slower = median([here[key] / there[key] for key in here] or [1])
        elsewhere = {run: anywhere.seconds(to_do[run], threads) for run in guesses}
        times |= {run: slower * time for run, time in elsewhere.items() if time is not None}
        usual = mean([time for time in times.values() if time is not None] or [60.0])
        times = {run: usual if time is None else time for run, time in times.items()}
    return times, guesses
