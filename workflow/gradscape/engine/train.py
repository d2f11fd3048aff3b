"""Train one run from its settings to its directory, or go on where it was stopped."""

import math
import signal
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from gradscape.config import RUN_RECORD, Run, Settings
from gradscape.data.splits import split
from gradscape.data.store import Dataset
from gradscape.engine import record
from gradscape.engine.along_gradient import step_sizes
from gradscape.engine.checkpoint import (
    SECONDS_BETWEEN,
    Checkpoint,
    fingerprint,
)
from gradscape.engine.device import Backend, configure
from gradscape.engine.gradient_flow import mean_absolute_gradients
from gradscape.engine.minibatches import Minibatches
from gradscape.engine.optimisers import build_optimiser, set_learning_rate
from gradscape.engine.progress import Progress
from gradscape.engine.schedules import learning_rate
from gradscape.engine.step import TrainingStep, evaluate
from gradscape.errors import GradscapeError
from gradscape.files import say
from gradscape.models import build
from gradscape.models.blocks import forward_flops, parameter_count, trainable, weights
from gradscape.models.pretrained import load_backbone

EVALUATION_BATCH = {"cpu": 100, "cuda": 1000}


class Training:
    """The state of one run between two steps, and how to move it on.

    Everything that a kill must not lose is in `state()`; everything else (order of the
    images, crops, learning rate) is a function of the settings, the epoch and the step.
    """

    def __init__(
        self,
        settings: Settings,
        dataset: Dataset,
        backend: Backend,
        weights: Path | None = None,
    ):
        self.settings = settings
        self.backend = backend
        indices = split(
            dataset, settings.split, settings.train_items, settings.validation_items
        )

        def minibatches(part: str, batch_size: int, augmentation: str = "none"):
            return Minibatches(
                np.asarray(dataset.images[indices[part]]),
                np.asarray(dataset.labels[indices[part]]),
                batch_size,
                settings.normalisation,
                augmentation,
                backend.device,
                settings.augmentation_strength,
            )

        at_once = EVALUATION_BATCH[backend.device]
        self.train = minibatches("train", settings.batch_size, settings.augmentation)
        self.validation = minibatches("validation", at_once)
        self.test = lambda: minibatches("test", at_once)  # needed once, at the end

        torch.manual_seed(settings.seed)
        model = build(settings.model, len(dataset.classes), settings)
        self.weights_sha256 = load_backbone(model, weights) if settings.pretrained else None
        self.model = model.to(backend.device, memory_format=torch.channels_last).train()
        self.flops = forward_flops(self.model, len(dataset.classes))
        parameters = trainable(self.model)
        self.optimiser = build_optimiser(parameters, settings, backend.device)
        self.step = TrainingStep(self.model, self.optimiser, self.train, backend, settings)

        self.epoch = 0  # complete epochs
        self.seconds = 0.0  # spent in the current epoch, over all attempts
        self.resumed = 0
        self.metrics: list[dict] = []
        self.timing: list[dict] = []
        self.gradients: list[list[float]] = []
        self.steps: list[dict[str, torch.Tensor]] = []  # an epoch each
        self.probes: list[dict] = []
        self.seconds_probing = 0.0
        self.best: dict | None = None

    def state(self) -> dict:
        rng = {"cpu": torch.get_rng_state()}
        if self.backend.is_cuda:
            rng["cuda"] = torch.cuda.get_rng_state()
        return {
            "backend": self.backend.key(),
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict()["state"],
            "rng": rng,
            "epoch": self.epoch,
            "step": self.step.memory,
            "seconds": self.seconds,
            "resumed": self.resumed,
            "metrics": self.metrics,
            "timing": self.timing,
            "gradients": self.gradients,
            "steps": self.steps,
            "probes": self.probes,
            "seconds_probing": self.seconds_probing,
            "best": self.best,
        }

    def weights_now(self) -> dict[str, torch.Tensor]:
        """A copy on the host, where a resumed run's are too: a file says where they lay."""
        return {
            name: tensor.to("cpu", copy=True)
            for name, tensor in self.model.state_dict().items()
        }

    def restore(self, state: dict) -> None:
        if state["backend"] != self.backend.key():
            say(
                "the checkpoint was saved on another device, precision, thread count or "
                "torch version: training goes on, but not to the same bytes"
            )
        self.model.load_state_dict(state["model"])
        groups = self.optimiser.state_dict()["param_groups"]
        saved = {"state": state["optimiser"], "param_groups": groups}
        self.optimiser.load_state_dict(saved)
        torch.set_rng_state(state["rng"]["cpu"])
        if self.backend.is_cuda and "cuda" in state["rng"]:
            torch.cuda.set_rng_state(state["rng"]["cuda"])
        for name, tensor in self.step.memory.items():
            tensor.copy_(state["step"][name])
        for name in (
            "epoch",
            "seconds",
            "metrics",
            "timing",
            "gradients",
            "steps",
            "probes",
            "seconds_probing",
        ):
            setattr(self, name, state[name])
        self.best = state["best"]
        self.resumed = state["resumed"] + 1

    @property
    def diverged(self) -> bool:
        """Did the last epoch's loss leave the finite numbers?"""
        return bool(self.metrics) and not math.isfinite(self.metrics[-1]["train_loss"])

    @property
    def out_of_patience(self) -> bool:
        """Have so many epochs gone by without a better validation accuracy?"""
        patience = self.settings.patience
        return (
            patience is not None
            and self.best is not None
            and self.epoch - self.best["epoch"] >= patience
        )

    @property
    def finished(self) -> bool:
        done = self.epoch == self.settings.epochs
        return done or self.diverged or self.out_of_patience

    def run_epoch(self, between_steps) -> None:
        """Train to the end of the current epoch and score it.

        `between_steps(images)` is called when `state()` is whole: between two steps, but
        not behind the last, whose gradients the end of the epoch still needs.
        """
        sizes = self.train.sizes
        self.train.draw(self.settings.seed, self.epoch)
        first = int(self.step.index)
        if first == 0:  # mid-epoch, the checkpoint's own state stands
            torch.manual_seed(self.settings.seed * 1_000_003 + self.epoch)
        if self.backend.is_cuda and not self.step.graphs:
            self.step.capture()
        earlier, start = self.seconds, time.perf_counter()
        rate = None
        for at in range(first, len(sizes)):
            wanted = learning_rate(self.settings, self.epoch, at, len(sizes))
            if wanted != rate:
                rate = wanted
                set_learning_rate(self.optimiser, rate)
            if self.due_for_probe(at):
                self.probe(at, rate)
            else:
                self.step(sizes[at])
            self.seconds = earlier + time.perf_counter() - start
            if at + 1 < len(sizes):
                between_steps(sizes[at])
        # The epoch's one read, which waits for the device.
        steps = {name: kept.cpu().clone() for name, kept in self.step.epoch.items()}
        self.seconds = earlier + time.perf_counter() - start
        self.end_epoch(steps, rate)

    def due_for_probe(self, at: int) -> bool:
        every = self.settings.landscape_every
        done = self.epoch * len(self.train.sizes) + at
        return every is not None and done % every == 0

    def probe(self, at: int, rate: float) -> None:
        """Train on minibatch `at` and keep the landscape along its gradient."""
        settings = self.settings
        sizes = step_sizes(rate, settings.landscape_points, settings.landscape_cap)
        measured, seconds = self.step.probed(self.train.sizes[at], sizes)
        step = self.epoch * len(self.train.sizes) + at + 1
        self.probes.append({"step": step, "sizes": sizes, "measured": measured.cpu()})
        self.seconds_probing += seconds

    def end_epoch(self, steps: dict[str, torch.Tensor], rate: float) -> None:
        self.epoch += 1
        val_loss, val_accuracy = evaluate(self.model, self.validation, self.backend)
        row = {
            "epoch": self.epoch,
            "train_loss": steps["loss"].double().mean().item(),
            "train_accuracy": steps["accuracy"].double().mean().item(),
            "val_loss": val_loss,
            "val_accuracy": val_accuracy,
            "learning_rate": rate,
        }
        self.metrics.append(row)
        rates = {
            "epoch": self.epoch,
            "seconds": self.seconds,
            "images_per_second": self.train.count / self.seconds,
        }
        self.timing.append(rates)
        self.gradients.append(mean_absolute_gradients(self.model))
        self.steps.append(steps)
        if self.best is None or val_accuracy > self.best["val_accuracy"]:
            self.best = {
                "epoch": self.epoch,
                "val_accuracy": val_accuracy,
                "model": self.weights_now(),
            }
        self.step.index.zero_()
        self.seconds = 0.0


def probed_precision(settings: Settings) -> str:
    """The run's precision: fp32 where the landscape along the gradient is measured.

    A step of a hundredth of a percent of a weight is lost in bf16's eight bits.
    """
    if settings.landscape_every is None:
        return settings.precision
    if settings.precision not in ("auto", "fp32"):
        raise GradscapeError(
            f"precision {settings.precision}: too coarse for landscape_every, which "
            "measures differences between nearly equal weights; use fp32"
        )
    return "fp32"


class Stopped(SystemExit):
    """A signal asked the training to stop; its place is saved."""


def train(
    run: Run,
    dataset: Dataset,
    out: Path,
    threads: int = 1,
    checkpoint_path: Path | None = None,
    checkpoint_seconds: float = SECONDS_BETWEEN,
    tensorboard: str | None = None,
    pretrained: Path | None = None,
) -> None:
    """Train a run and write its directory `out`; `run.json` is written last.

    `pretrained` is the file that a run with that setting takes its first weights from.

    A run that was stopped, by whatever means, goes on from its checkpoint (a hidden file
    in `out` unless another path is given) and ends with the bytes of one that was not, on
    the same backend. SIGTERM and SIGINT save first. A run whose loss leaves the finite
    numbers ends there and is a result like any other.

    Raises `GradscapeError` for a device or a precision that is not there.
    """
    start = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)  # better found out now than after training
    settings = run.settings
    precision = probed_precision(settings)
    backend = configure(settings.device, precision, settings.deterministic, threads)
    training = Training(settings, dataset, backend, pretrained)
    path = checkpoint_path or out / ".checkpoint.pt"
    mark = fingerprint(settings, dataset.checksum, training.weights_sha256)
    checkpoint = Checkpoint(path, mark, checkpoint_seconds)
    progress = Progress(settings.epochs, training.train.count, tensorboard)
    saved = checkpoint.load()
    if saved is not None:
        training.restore(saved)
        done = f"{training.epoch} epochs and {int(training.step.index)} steps"
        print(f"resumed after {done}", flush=True)
        for row, rates in zip(training.metrics, training.timing, strict=True):
            progress.epoch(row, rates["images_per_second"])
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
            raise Stopped(128 + signals[0])

    try:
        while not training.finished:
            done = int(training.step.index) * settings.batch_size
            progress.start_epoch(training.epoch + 1, done)
            training.run_epoch(between_steps)
            progress.epoch(training.metrics[-1], training.timing[-1]["images_per_second"])
            if not training.finished:
                between_steps()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    write_results(training, run, dataset, out, time.perf_counter() - start)
    checkpoint.delete()


def step_arrays(training: Training) -> dict[str, np.ndarray]:
    """What was kept of every step; the names are explained in config/README.md."""
    kept = [name for name in training.steps[0] if name != "accuracy"]
    arrays = {
        name: torch.cat([epoch[name] for epoch in training.steps]).numpy() for name in kept
    }
    arrays["steps_per_epoch"] = np.array(len(training.train.sizes))
    if training.probes:
        measured = torch.stack([probe["measured"] for probe in training.probes]).numpy()
        # A step so far that something overflowed went to infinity.
        measured = np.nan_to_num(measured, nan=np.inf, posinf=np.inf)
        arrays["probed_step"] = np.array([probe["step"] for probe in training.probes])
        arrays["probed_size"] = np.array([probe["sizes"] for probe in training.probes])
        arrays["probed_loss"] = measured[:, 0, 1:]
        arrays["probed_loss_here"] = measured[:, 0, 0]
        arrays["probed_gradient_distance"] = measured[:, 1, 1:]
        arrays["probed_gradient_norm"] = measured[:, 1, 0]
    return arrays


def test_scores(training: Training) -> list[dict]:
    """Loss and accuracy on the test images: of the epoch that validated best, as the
    courses ask, and of the last, where that is another."""
    images, scores = training.test(), []
    best, last = training.best["epoch"], training.epoch
    if best != last:
        scores.append((last, *evaluate(training.model, images, training.backend)))
    training.model.load_state_dict(training.best["model"])
    scores.append((best, *evaluate(training.model, images, training.backend)))
    columns = ["epoch", "test_loss", "test_accuracy"]
    return [dict(zip(columns, score, strict=True)) for score in reversed(scores)]


def write_results(
    training: Training, run: Run, dataset: Dataset, out: Path, wall_seconds: float
) -> None:
    model, last = training.model, training.metrics[-1]
    last_weights = training.weights_now()
    record.write_csv(out / "metrics.csv", training.metrics)
    record.write_csv(out / "timing.csv", training.timing)
    record.write_csv(out / "test.csv", test_scores(training))
    record.write_arrays(out / "steps.npz", **step_arrays(training))
    record.write_arrays(
        out / "gradients.npz",
        mean_absolute_gradient=np.array(training.gradients, dtype=np.float32),
        layer=np.array(list(weights(model))),
    )
    record.write_weights(
        out / "model.pt",
        {
            "settings": asdict(run.settings),
            "classes": dataset.classes,
            "best": training.best["model"],
            "last": last_weights,
        },
    )
    seconds = sum(row["seconds"] for row in training.timing)
    record.write_json(
        out / RUN_RECORD,
        {
            "study": run.study,
            "run": run.name,
            "settings": asdict(run.settings),
            "data": {
                "name": dataset.name,
                "source": dataset.source,
                "classes": len(dataset.classes),
                "sha256": dataset.checksum,
                "train": training.train.count,
                "validation": training.validation.count,
                "test": len(dataset.labels) - dataset.train,
            },
            "parameters": parameter_count(model),
            "flops": training.flops,
            "pretrained_sha256": training.weights_sha256,
            "best_epoch": training.best["epoch"],
            "diverged": None if not training.diverged else last["epoch"],
            "backend": training.backend.key(),
            "seconds_training": seconds,
            "seconds_probing": training.seconds_probing,
            "seconds_last_attempt": wall_seconds,
            "images_per_second": training.train.count * len(training.timing) / seconds,
            "peak_memory_bytes": record.peak_memory_bytes(training.backend),
            "resumed": training.resumed,
            "revision": record.revision(),
            "versions": record.versions(),
        },
    )
