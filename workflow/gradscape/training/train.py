"""Train one run from its settings to its directory, or resume it where it stopped."""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from gradscape.base.errors import is_shortage
from gradscape.base.files import say
from gradscape.base.paths import CHECKPOINT
from gradscape.data.store import Dataset
from gradscape.runs.live import epoch_line
from gradscape.runs.record import revision
from gradscape.spec.study import Run
from gradscape.training.checkpoint import Checkpoint, fingerprint
from gradscape.training.device import configure
from gradscape.training.landscape import landscape_precision
from gradscape.training.loop import Training
from gradscape.training.save import write_results
from gradscape.training.trackers import following


def train(
    run: Run,
    dataset: Dataset,
    out: Path,
    threads: int = 1,
    checkpoint_seconds: float = 20.0,
    trackers: Sequence[str] = (),
    pretrained: Path | None = None,
    code: str = "",
) -> None:
    """Train a run and write its directory `out`; `run.json` is written last.

    A run that was stopped resumes from its checkpoint (a hidden file in `out`, at most
    `checkpoint_seconds` old) and ends with the same bytes as one that was not, on the same
    backend; it does so only for the same `code`, a digest. SIGTERM and SIGINT save first
    and end in `SystemExit`. A run that diverges ends there and is a result. `pretrained` is
    the file of its first weights, if it wants any.
    Raises `GradscapeError` for a device or a precision that is not there.
    """
    start = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)  # better to find out now than after training
    settings = run.settings
    precision = landscape_precision(settings)
    backend = configure(settings.device, precision, settings.deterministic, threads)
    training = Training(settings, dataset, backend, pretrained)
    mark = fingerprint(settings, dataset.checksum, training.weights_sha256, code)
    checkpoint = Checkpoint(out / CHECKPOINT, mark, asdict(settings))
    saved = checkpoint.load()
    if saved is not None:
        try:
            training.restore(saved)
        except Exception as error:  # from another version of gradscape, of a network …
            if is_shortage(error):
                raise
            checkpoint.set_aside(f"fits no longer ({type(error).__name__})")
            training = Training(settings, dataset, backend, pretrained)
    history = training.history
    history.revision = history.revision or asdict(revision())
    steps, size = int(training.step.index), (settings.epochs, training.train.count)
    if history.resumed:
        print(f"resumed after {history.epoch} epochs and {steps} steps", flush=True)
    for row, timing in zip(history.metrics, history.timing, strict=True):
        print(epoch_line(row, timing["images_per_second"], *size), flush=True)

    def between_steps(images: int = 0) -> None:
        bar.update(images)
        if signals or checkpoint.due(checkpoint_seconds):
            checkpoint.save(training.state())
        if signals:
            bar.close()
            say(f"{out}: stopped; the same command goes on from here")
            raise SystemExit(128 + signals[0])

    with caught() as signals, following(trackers, run, out, history.metrics) as track:
        while not training.finished:
            with tqdm(
                total=training.train.count,
                initial=int(training.step.index) * settings.batch_size,
                desc=f"epoch {history.epoch + 1}/{settings.epochs}",
                unit=" images",
                leave=False,
                disable=None,  # but on a terminal
            ) as bar:
                training.run_epoch(between_steps)
            row, timing = history.metrics[-1], history.timing[-1]
            print(epoch_line(row, timing["images_per_second"], *size), flush=True)
            track(row, training.weights)
            if not training.finished:
                between_steps()
    write_results(training, run, dataset, out, time.perf_counter() - start)
    checkpoint.delete()


@contextmanager
def caught() -> Iterator[list[int]]:
    """The signals to stop that have come in."""
    signals: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, frame: signals.append(number))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield signals
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
