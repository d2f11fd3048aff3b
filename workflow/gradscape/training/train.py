"""Train one run from its settings to its directory, or resume it where it stopped."""

import signal
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from gradscape.base.errors import GradscapeError
from gradscape.base.files import say
from gradscape.base.paths import CHECKPOINT, EVENTS
from gradscape.data.normalisation import moments
from gradscape.data.splits import split
from gradscape.data.store import Dataset
from gradscape.models import build
from gradscape.models.blocks import trainable, weights
from gradscape.models.pretrained import load_backbone
from gradscape.spec.settings import Settings
from gradscape.spec.study import Run
from gradscape.training.along_gradient import step_sizes
from gradscape.training.checkpoint import SECONDS_BETWEEN, Checkpoint, fingerprint
from gradscape.training.device import Backend, configure
from gradscape.training.dry_run import dry_run
from gradscape.training.forward import Forward
from gradscape.training.gradient_flow import mean_absolute_gradients
from gradscape.training.history import History
from gradscape.training.minibatches import Minibatches
from gradscape.training.optimisers import build_optimiser, set_learning_rate
from gradscape.training.progress import Progress, open_events
from gradscape.training.save import CLEAN, write_results
from gradscape.training.schedules import learning_rate
from gradscape.training.step import TrainingStep, evaluate

EVALUATION_BATCH = {"cpu": 100, "cuda": 1000}


class Training:
    """The state of one run between two steps, and how to advance it.

    Everything that a kill must not lose is in `state()`: the network, its optimiser, the
    random state, what steps keep, and `history`. Everything else (order of the images,
    crops, learning rate) is a function of the settings, the epoch and the step.
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

        normalisation, facts = moments(settings.normalisation, dataset), dataset.facts

        def minibatches(part: str, batch_size: int, augmentation: str = "none"):
            return Minibatches(
                np.asarray(dataset.images[indices[part]]),
                np.asarray(dataset.labels[indices[part]]),
                batch_size,
                normalisation,
                augmentation,
                backend.device,
                settings.augmentation_strength,
            )

        at_once = EVALUATION_BATCH[backend.device]
        self.train = minibatches("train", settings.batch_size, settings.augmentation)
        self.validation = minibatches("validation", at_once)
        self.clean = None  # training images to score without augmentation
        if settings.score_training is not None:
            indices["clean"] = indices["train"][: settings.score_training]
            self.clean = minibatches("clean", at_once)
        self.test = lambda: minibatches("test", at_once)  # needed once, at the end

        torch.manual_seed(settings.seed)
        shape = (facts.channels, facts.size)
        model = build(settings.model, facts.classes, settings, *shape)
        self.weights_sha256 = load_backbone(model, weights) if settings.pretrained else None
        dry = dry_run(model, facts.classes, *shape)
        self.flops = dry.flops
        self.model = model.to(backend.device, memory_format=torch.channels_last).train()
        parameters = trainable(self.model)
        self.optimiser = build_optimiser(parameters, settings, backend.device)
        forward = Forward(self.model, backend, dry.calls)
        self.step = TrainingStep(forward, self.optimiser, self.train, backend, settings)
        self.learning_rate = learning_rate(settings)
        self.history = History()

    def state(self) -> dict:
        rng = {"cpu": torch.get_rng_state()}
        if self.backend.is_cuda:
            rng["cuda"] = torch.cuda.get_rng_state()
        return {
            "backend": self.backend.key(),
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict()["state"],
            "rng": rng,
            "step": self.step.memory,
            "history": vars(self.history),
        }

    def weights_now(self) -> dict[str, torch.Tensor]:
        """A copy on the host, like a resumed run's: files record their tensors' device."""
        return {
            name: tensor.to("cpu", copy=True)
            for name, tensor in self.model.state_dict().items()
        }

    def restore(self, state: dict) -> None:
        """Continue from what `state()` returned; an error leaves this object unusable."""
        assert not self.step.graphs  # they would keep using the optimiser's old tensors
        self.model.load_state_dict(state["model"])
        groups = self.optimiser.state_dict()["param_groups"]
        saved = {"state": state["optimiser"], "param_groups": groups}
        self.optimiser.load_state_dict(saved)
        torch.set_rng_state(state["rng"]["cpu"])
        if self.backend.is_cuda and "cuda" in state["rng"]:
            torch.cuda.set_rng_state(state["rng"]["cuda"])
        for name, tensor in self.step.memory.items():
            tensor.copy_(state["step"][name])
        self.history = History(**state["history"])
        self.history.resumed += 1
        if state["backend"] != self.backend.key():
            say(
                "the checkpoint was saved on another device, precision, thread count or "
                "torch version: training continues, but will not end with the same bytes"
            )

    @property
    def finished(self) -> bool:
        return (
            self.history.epoch == self.settings.epochs
            or self.history.diverged
            or self.history.out_of_patience(self.settings.patience)
        )

    def run_epoch(self, between_steps) -> None:
        """Train to the end of the current epoch and evaluate it.

        `between_steps(images)` is called when `state()` is consistent: between two steps,
        but not after the last, whose gradients the end of the epoch still needs.
        """
        history, sizes = self.history, self.train.sizes
        self.train.draw(self.settings.seed, history.epoch)
        first = int(self.step.index)
        if first == 0:  # mid-epoch, the checkpoint's own state applies
            torch.manual_seed(self.settings.seed * 1_000_003 + history.epoch)
        if self.backend.is_cuda and not self.step.graphs:
            self.step.capture()
        earlier, start = history.seconds, time.perf_counter()
        rate = None
        for at in range(first, len(sizes)):
            wanted = self.learning_rate(history.epoch, at, len(sizes))
            if wanted != rate:
                rate = wanted
                set_learning_rate(self.optimiser, rate)
            if self.due_for_probe(at):
                self.probe(at, rate)
            else:
                self.step(sizes[at])
            history.seconds = earlier + time.perf_counter() - start
            if at + 1 < len(sizes):
                between_steps(sizes[at])
        # The epoch's one read, which waits for the device.
        kept = self.step.epoch.to("cpu", copy=True)
        steps = dict(zip(self.step.names, kept, strict=True))
        history.seconds = earlier + time.perf_counter() - start
        self.end_epoch(steps, rate)

    def due_for_probe(self, at: int) -> bool:
        every = self.settings.landscape_every
        done = self.history.epoch * len(self.train.sizes) + at
        return every is not None and done % every == 0

    def probe(self, at: int, rate: float) -> None:
        """Train on minibatch `at` and keep the landscape along its gradient."""
        settings = self.settings
        sizes = step_sizes(rate, settings.landscape_points, settings.landscape_cap)
        measured, seconds = self.step.probed(self.train.sizes[at], sizes)
        step = self.history.epoch * len(self.train.sizes) + at + 1
        landscape = {"step": step, "sizes": sizes, "measured": [m.cpu() for m in measured]}
        self.history.probes.append(landscape)
        self.history.seconds_probing += seconds

    def end_epoch(self, steps: dict[str, torch.Tensor], rate: float) -> None:
        history = self.history
        history.epoch += 1
        val_loss, val_accuracy = evaluate(self.model, self.validation, self.backend)
        row = {
            "epoch": history.epoch,
            "train_loss": steps["loss"].double().mean().item(),
            "train_accuracy": steps["accuracy"].double().mean().item(),
            "val_loss": val_loss,
            "val_accuracy": val_accuracy,
            "learning_rate": rate,
        }
        if self.clean is not None:
            clean = evaluate(self.model, self.clean, self.backend)
            row |= dict(zip(CLEAN, clean, strict=True))
        history.metrics.append(row)
        rates = {
            "epoch": history.epoch,
            "seconds": history.seconds,
            "images_per_second": self.train.count / history.seconds,
        }
        history.timing.append(rates)
        history.gradients.append(mean_absolute_gradients(self.model))
        history.steps.append(steps)
        if history.best is None or val_accuracy > history.best["val_accuracy"]:
            history.best = {
                "epoch": history.epoch,
                "val_accuracy": val_accuracy,
                "model": self.weights_now(),
            }
        self.step.index.zero_()
        history.seconds = 0.0


def probed_precision(settings: Settings) -> str:
    """The run's precision: fp32 if the landscape along the gradient is measured.

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
    precision = probed_precision(settings)
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
