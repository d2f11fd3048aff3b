"""A network tried before it trains: steps on copies of it, as training will take them.

What cannot train should be said before the first epoch, not at its end. Nothing that
training starts from is touched, neither weights nor running statistics nor random numbers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from gradscape.base.errors import GradscapeError
from gradscape.data import Facts
from gradscape.models import hint
from gradscape.models.anatomy import (
    Calls,
    check_logits,
    one_image,
    output_layer,
    output_weight,
    printed,
    refusal,
    watch,
)
from gradscape.models.blocks import LAYOUTS, copied, placed, trainable
from gradscape.spec.settings import Settings
from gradscape.training.device import Backend
from gradscape.training.forward import Forward
from gradscape.training.gradients import GradientChange
from gradscape.training.optimisers import build_optimiser
from gradscape.training.step import TrainingStep

FEW = 2  # images, enough to tell whether a step can be taken
CHEAP = 1e9  # FLOPs of a forward pass, below which the last minibatch has its own size


@dataclass(frozen=True)
class Tried:
    """What was found: `flops` of one image in evaluation mode, the `calls` of a training
    step, the weights that no gradient reaches, one of `LAYOUTS`, and whether a step can
    be taken `together` (`Forward`) with autocast's own bits."""

    flops: int
    calls: Calls
    absent: frozenset[str]
    layout: str
    together: bool


class Watched(Forward):
    """A forward pass that remembers what it has `seen` called, and gives only logits."""

    seen = Calls()
    classes = 0

    def __call__(self, images: Tensor) -> Tensor:
        with watch(self.model) as self.seen:
            logits = super().__call__(images)
        check_logits(logits, len(images), self.classes, " in training mode")
        return logits


class Sample:
    """A minibatch of random images in the place of `Minibatches`."""

    def __init__(self, size: int, facts: Facts, device: str):
        pixels = torch.randn(size, facts.size, facts.size, facts.channels)
        self.sizes, self.images = [size], pixels.to(device).permute(0, 3, 1, 2)
        self.labels = (torch.arange(size) % facts.classes).to(device)

    def take(self, step: Tensor, size: int) -> tuple[Tensor, Tensor]:
        return self.images, self.labels


@dataclass
class Rehearsal:
    """Steps of a network on copies, in a layout; each starts from the same random state.
    `evaluated` is what one image calls in evaluation mode."""

    model: nn.Module
    settings: Settings
    backend: Backend
    facts: Facts
    layout: str
    evaluated: Calls | None = None

    def step(self, size: int, calls: Calls | None = None) -> TrainingStep:
        """The gradient of a step on `size` images, taken together if `calls` says how.
        Raises `GradscapeError` for what cannot be done, with the layer."""
        model = self.copy()
        if self.evaluated is None:
            shape = self.facts.classes, self.facts.channels, self.facts.size
            self.evaluated = one_image(model, *shape, self.backend.autocast())
        torch.manual_seed(0)
        forward = Watched(model.train(), self.backend, calls)
        forward.classes = self.facts.classes
        sample = Sample(size, self.facts, self.backend.device)
        step = training_step(forward, sample, self.settings, self.evaluated)
        self.refusing(step, partial(step.gradient, size))
        return step

    def copy(self) -> nn.Module:
        try:
            return placed(copied(self.model), self.backend.device, self.layout)
        except Exception as error:
            raise refusal("cannot be copied", error, self.model, Calls()) from None

    def refusing(self, step: TrainingStep, part: Callable) -> None:
        try:
            part()
        except Exception as error:
            what = f"does not train on minibatches of {step.minibatches.sizes[0]}"
            raise refusal(what, error, step.model, step.forward.seen) from None


def training_step(
    forward: Forward, minibatches, settings: Settings, calls: Calls
) -> TrainingStep:
    """The step of a training, which measures and clips what its settings say; `calls` tell
    the output layer. Raises `GradscapeError` if there is nothing to measure."""
    model, measures = forward.model, []
    if (lag := settings.gradient_lag) is not None:
        weight = output_weight(model, calls)
        if weight is None:
            raise GradscapeError("gradient_lag: the model's output layer does not train")
        measures.append(GradientChange(weight, lag))
    optimiser = build_optimiser(trainable(model), settings, forward.backend.device)
    output = output_layer(model, calls)[1]
    return TrainingStep(forward, optimiser, minibatches, settings, measures, output)


def dry_run(
    model: nn.Module,
    settings: Settings,
    backend: Backend,
    facts: Facts,
    sizes: Sequence[int],
) -> Tried:
    """Try a network that trains on minibatches of these `sizes`. Raises `GradscapeError` if
    it cannot, with the layer."""
    if not trainable(model):
        raise GradscapeError("the model has no parameter that trains")
    devices = [torch.cuda.current_device()] if backend.is_cuda else []
    with torch.random.fork_rng(devices):
        rehearsals = [
            Rehearsal(model, settings, backend, facts, layout) for layout in LAYOUTS
        ]
        try:
            return tried(rehearsals[0], sizes)
        except GradscapeError:
            pass
        try:
            return tried(rehearsals[1], sizes)
        except GradscapeError as error:
            raise GradscapeError(f"{error}{hint(settings.model)}") from error


def tried(rehearsal: Rehearsal, sizes: Sequence[int]) -> Tried:
    few, last = FEW, sizes[-1]
    try:
        plain = rehearsal.step(few)
    except GradscapeError:  # it may depend on the minibatches' own size
        few = sizes[0]
        plain = rehearsal.step(few)
    calls, flops = plain.forward.seen, rehearsal.evaluated.flops
    together = Forward(rehearsal.model, rehearsal.backend, calls).is_faster
    if together:
        try:
            same_bits = same(plain, rehearsal.step(few, calls))
            together = same_bits or not rehearsal.backend.deterministic
        except GradscapeError:
            together = False
    rehearsal.refusing(plain, plain.update)
    if few == FEW and flops * last > CHEAP:
        last = FEW + last % FEW
    if last != few:
        rehearsal.step(last, calls if together else None)
    known = plain.model.named_parameters()
    absent = frozenset(printed(name) for name, p in known if p.grad is None)
    return Tried(flops, calls, absent, rehearsal.layout, together)


def same(one: TrainingStep, other: TrainingStep) -> bool:
    """Did two steps have the same loss and the same gradients, to the bit?"""
    pairs = zip(one.model.parameters(), other.model.parameters(), strict=True)
    found = [(one.now, other.now), *((a.grad, b.grad) for a, b in pairs)]
    return all(
        a is b
        if a is None or b is None
        else torch.equal(a.isnan(), b.isnan())
        and torch.equal(a.nan_to_num(), b.nan_to_num())
        for a, b in found
    )
