"""Train one run from its settings to its directory, or resume it where it stopped."""

import signal
import time
from dataclasses import asdict
from pathlib import Path

from gradscape.base.files import say
from gradscape.base.paths import CHECKPOINT, EVENTS
from gradscape.data.store import Dataset
from gradscape.models.blocks import weights
from gradscape.spec.study import Run
from gradscape.training.checkpoint import SECONDS_BETWEEN, Checkpoint, fingerprint
from gradscape.training.device import configure
from gradscape.training.landscape import landscape_precision
from gradscape.training.loop import Training
from gradscape.training.progress import Progress, open_events
from gradscape.training.save import write_results


class Stopped(SystemExit):
    """A signal asked the training to stop; its place is saved."""


def train(
    run: Run,
    dataset: Dataset,
    out: Path,
    threads: int = 1,
    checkpoint_seconds: float = SECONDS_BETWEEN,
    tensorboard: bool = False,
    pretrained: Path | None = None,
) -> None:
    """Train a run and write its directory `out`; `run.json` is written last.

    `pretrained` is the file that a run with that setting takes its first weights from;
    `tensorboard` adds event files.

    A run that was stopped, by whatever means, resumes from its checkpoint (a hidden file in
    `out`) and ends with the same bytes as one that was not, on the same backend. SIGTERM
    and SIGINT save first. A run that diverges ends there and is a result like any other.

    Raises `GradscapeError` for a device or a precision that is not there.
    """
    start = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)  # better to find out now than after training
    settings = run.settings
    precision = landscape_precision(settings)
    backend = configure(settings.device, precision, settings.deterministic, threads)
    training = Training(settings, dataset, backend, pretrained)
    mark = fingerprint(settings, dataset.checksum, training.weights_sha256)
    checkpoint = Checkpoint(out / CHECKPOINT, mark, checkpoint_seconds, asdict(settings))
    progress = Progress(settings.epochs, training.train.count)
    saved = checkpoint.load()
    if saved is not None:
        try:
            training.restore(saved)
        except Exception as error:  # from another version of gradscape, of a network …
            checkpoint.set_aside(f"fits no longer ({type(error).__name__})")
            training = Training(settings, dataset, backend, pretrained)
    history = training.history
    if history.resumed:
        done = f"{history.epoch} epochs and {int(training.step.index)} steps"
        print(f"resumed after {done}", flush=True)
        for row, rates in zip(history.metrics, history.timing, strict=True):
            progress.epoch(row, rates["images_per_second"])
    if tensorboard:
        progress.events = open_events(out / EVENTS, history.epoch)
    signals: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, frame: signals.append(number))
        for number in (signal.SIGTERM, signal.SIGINT)
    }

    def between_steps(images: int = 0) -> None:
        progress.step(images)
        if signals or checkpoint.due():
            checkpoint.save(training.state())
        if signals:
            progress.close()
            say(f"{out}: stopped; the same command goes on from here")
            raise Stopped(128 + signals[0])

    try:
        while not training.finished:
            done = int(training.step.index) * settings.batch_size
            progress.start_epoch(history.epoch + 1, done)
            training.run_epoch(between_steps)
            left = {name: w.grad for name, w in weights(training.model).items()}
            rate = history.timing[-1]["images_per_second"]
            progress.epoch(history.metrics[-1], rate, left)
            if not training.finished:
                between_steps()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    write_results(training, run, dataset, out, time.perf_counter() - start)
    checkpoint.delete()
