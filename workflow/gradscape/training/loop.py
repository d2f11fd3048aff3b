"""The training loop, in order: data, network, optimiser, steps, the end of an epoch."""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from gradscape.base.files import say
from gradscape.data.splits import split
from gradscape.data.store import Dataset
from gradscape.models import build
from gradscape.models.anatomy import weights
from gradscape.models.blocks import placed
from gradscape.models.pretrained import load_backbone
from gradscape.spec.settings import Settings
from gradscape.training.device import Backend
from gradscape.training.dry_run import dry_run, training_step
from gradscape.training.forward import Forward
from gradscape.training.gradients import mean_absolute_gradients
from gradscape.training.history import History
from gradscape.training.landscape import landscape
from gradscape.training.minibatches import Minibatches
from gradscape.training.optimisers import set_learning_rate
from gradscape.training.schedules import learning_rate
from gradscape.training.step import evaluate


class Training:
    """The state of one run between two steps, and how to advance it.

    Everything that a kill must not lose is in `state()`; everything else (order of the
    images, crops, learning rate) is a function of the settings, the epoch and the step.
    """

    def __init__(
        self,
        settings: Settings,
        dataset: Dataset,
        backend: Backend,
        pretrained: Path | None = None,
    ):
        self.settings, self.history = settings, History()

        # Data
        items = settings.train_items, settings.validation_items
        parts = split(dataset, settings.split, *items)
        at_once = 1000 if backend.is_cuda else 100
        cut = partial(Minibatches, dataset, settings=settings, device=backend.device)
        self.train = cut(parts["train"], settings.batch_size, augmented=True)
        self.scored = {"val": cut(parts["validation"], at_once)}  # by their columns
        if settings.score_training is not None:
            clean = parts["train"][: settings.score_training]
            self.scored["clean_train"] = cut(clean, at_once)
        self.test = partial(cut, parts["test"], at_once)  # needed once, at the end

        # Network
        torch.manual_seed(settings.seed)
        facts = dataset.facts
        model = build(settings.model, facts.classes, settings, facts.channels, facts.size)
        start = settings.pretrained
        self.weights_sha256 = load_backbone(model, pretrained) if start else None
        tried = dry_run(model, settings, backend, facts, self.train.sizes)
        self.tried = tried
        self.backend = replace(backend, layout=tried.layout)
        self.model = placed(model, backend.device, tried.layout).train()
        self.weights = weights(model, tried.calls)

        # Optimiser and step
        together = tried.calls if tried.together else None
        forward = Forward(model, self.backend, together)
        self.step = training_step(forward, self.train, settings, tried.calls)
        self.optimiser = self.step.optimiser
        self.learning_rate = learning_rate(settings)

    @property
    def finished(self) -> bool:
        history, patience = self.history, self.settings.patience
        waited = history.epoch - history.best["epoch"] if history.best else 0
        out_of_patience = patience is not None and waited >= patience
        return history.epoch == self.settings.epochs or history.diverged or out_of_patience

    def run_epoch(self, between_steps: Callable[[int], None]) -> None:
        """Train to the end of the current epoch and evaluate it; `between_steps(images)` is
        called where `state()` is consistent: between two steps, but not after the last,
        whose gradients the end of the epoch still needs."""
        history, sizes = self.history, self.train.sizes
        self.begin_epoch()
        earlier, start = history.seconds, time.perf_counter()
        for at in range(int(self.step.index), len(sizes)):
            rate = self.learning_rate(history.epoch, at, len(sizes))
            self.advance(at, rate)
            history.seconds = earlier + time.perf_counter() - start
            if at + 1 < len(sizes):
                between_steps(sizes[at])
        # The epoch's one read, which waits for the device.
        kept = self.step.epoch.to("cpu", copy=True)
        history.seconds = earlier + time.perf_counter() - start
        self.end_epoch(dict(zip(self.step.names, kept, strict=True)), rate)

    def begin_epoch(self) -> None:
        """Draw the epoch's minibatches; before the first on CUDA, capture the step."""
        self.train.draw(self.settings.seed, self.history.epoch)
        if int(self.step.index) == 0:  # mid-epoch, the checkpoint's own state applies
            torch.manual_seed(self.settings.seed * 1_000_003 + self.history.epoch)
        if self.backend.is_cuda and not self.step.graphs:
            self.step.capture()

    def advance(self, at: int, rate: float) -> None:
        """Train on minibatch `at` of the epoch; measure the landscape where it is due."""
        set_learning_rate(self.optimiser, rate)
        done = self.history.epoch * len(self.train.sizes) + at
        every, around = self.settings.landscape_every, None
        if every is not None and done % every == 0:
            around = landscape(self.step, self.settings, self.history, done, rate)
        self.step(self.train.sizes[at], around)

    def end_epoch(self, steps: dict[str, Tensor], rate: float) -> None:
        """Evaluate the network and add the epoch to the history."""
        history = self.history
        history.epoch += 1
        row = {"epoch": history.epoch} | self.training_means(steps)
        for name, images in self.scored.items():
            loss, accuracy, _ = evaluate(self.model, images, self.backend)
            row |= {f"{name}_loss": loss, f"{name}_accuracy": accuracy}
            row.setdefault("learning_rate", rate)  # the column after validation's
        history.metrics.append(row)
        timing = {"epoch": history.epoch, "seconds": history.seconds}
        timing["images_per_second"] = self.train.count / history.seconds
        history.timing.append(timing)
        tensors = (weight.parameter for weight in self.weights.values())
        history.gradients.append(mean_absolute_gradients(tensors))
        history.steps.append(steps)
        if history.best is None or row["val_accuracy"] > history.best["val_accuracy"]:
            best = {"epoch": history.epoch, "val_accuracy": row["val_accuracy"]}
            history.best = best | {"model": self.weights_now()}
        self.step.index.zero_()
        history.seconds = 0.0

    def training_means(self, steps: dict[str, Tensor]) -> dict[str, float]:
        """Means over an epoch's images of what are means over its minibatches; where these
        are of one size, their plain mean to the bit."""
        sizes = torch.tensor(self.train.sizes, dtype=torch.float64)
        shares = sizes / sizes[0]
        return {
            f"train_{name}": ((steps[name] * shares).sum() / shares.sum()).item()
            for name in ("loss", "accuracy")
        }

    def weights_now(self) -> dict[str, Tensor]:
        """A copy on the host, like a resumed run's: files record their tensors' device."""
        state = self.model.state_dict().items()
        return {name: tensor.to("cpu", copy=True) for name, tensor in state}

    def state(self) -> dict:
        """All that a checkpoint holds, for `restore`."""
        rng = {"cpu": torch.get_rng_state()}
        if self.backend.is_cuda:
            rng["cuda"] = torch.cuda.get_rng_state()
        return {
            "backend": asdict(self.backend),
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict()["state"],
            "rng": rng,
            "step": self.step.memory,
            "history": vars(self.history),
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
        for row, steps in zip(self.history.metrics, self.history.steps, strict=True):
            row |= self.training_means(steps)  # an older checkpoint has others
        self.history.resumed += 1
        if state["backend"] != asdict(self.backend):
            say(
                "the checkpoint was saved on another device, precision, thread count or "
                "torch version: training continues, but will not end with the same bytes"
            )
