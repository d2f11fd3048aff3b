"""A network tried before it trains: steps of one built anew, as training will take them.

What cannot train should be said before the first epoch, not at its end. Nothing that
training starts from is touched, neither weights nor running statistics nor random numbers.
"""

import pickle
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gradscape.base.errors import GradscapeError
from gradscape.data import Facts
from gradscape.models import anatomy, build, hint
from gradscape.models.anatomy import Calls
from gradscape.models.blocks import LAYOUTS, placed, trainable
from gradscape.spec.settings import Settings
from gradscape.training.device import Backend
from gradscape.training.forward import Forward
from gradscape.training.gradients import GradientChange
from gradscape.training.optimisers import build_optimiser
from gradscape.training.step import TrainingStep

TRAINED = (torch.float32, torch.float64)
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
        with anatomy.watch(self.model) as self.seen:
            logits = super().__call__(images)
        anatomy.check_logits(logits, len(images), self.classes, " in training mode")
        if not logits.requires_grad:
            raise GradscapeError("the model's logits have no gradient in training mode")
        return logits


class Sample:
    """A minibatch of random images in the place of `Minibatches`."""

    def __init__(self, size: int, facts: Facts, device: str):
        pixels = torch.randn(size, facts.size, facts.size, facts.channels)
        self.sizes, self.images = [size], pixels.to(device).permute(0, 3, 1, 2)
        self.labels = (torch.arange(size) % facts.classes).to(device)

    def take(self, step: Tensor, size: int) -> tuple[Tensor, Tensor]:
        return self.images, self.labels


class Rehearsal:
    """Steps of a network in a layout, from the weights of the one that is to train, `start`
    and one random state. It is built anew: a copy's hooks may belong to the original."""

    def __init__(
        self, start: dict, settings: Settings, backend: Backend, facts: Facts, layout: str
    ):
        self.start, self.settings, self.backend = start, settings, backend
        self.facts, self.layout = facts, layout
        torch.manual_seed(settings.seed)
        shape = facts.channels, facts.size
        self.model = build(settings.model, facts.classes, settings, *shape)
        self.go_on_from(start)
        try:
            placed(self.model, backend.device, layout)
        except RuntimeError as error:
            what = f"cannot be {layout}"
            raise anatomy.refusal(what, error, self.model, Calls()) from None

    @cached_property
    def evaluated(self) -> Calls:
        """What one image calls in evaluation mode."""
        shape = self.facts.classes, self.facts.channels, self.facts.size
        return anatomy.one_image(self.model, *shape, self.backend.autocast())

    def go_on_from(self, state: dict) -> None:
        try:
            self.model.load_state_dict(state)
        except Exception as error:
            raise GradscapeError(
                "the model does not take its own state_dict, from which a stopped training "
                f"goes on ({' '.join(str(error).split())})"
            ) from None

    def twin(self) -> "Rehearsal":
        """The network built once more, as if a training had been stopped and goes on."""
        state = self.model.state_dict()
        twin = Rehearsal(state, self.settings, self.backend, self.facts, self.layout)
        twin.evaluated = self.evaluated
        return twin

    def prepared(self, size: int, calls: Calls | None = None) -> TrainingStep:
        calls_of_one = self.evaluated
        torch.manual_seed(0)
        self.model.zero_grad()
        forward = Watched(self.model.train(), self.backend, calls)
        forward.classes = self.facts.classes
        sample = Sample(size, self.facts, self.backend.device)
        return training_step(forward, sample, self.settings, calls_of_one)

    def logits(self, size: int) -> Tensor:
        step = self.prepared(size)
        logits = self.refusing(step, partial(step.forward, step.minibatches.images))
        return logits.detach().as_subclass(Tensor)

    def step(self, size: int, calls: Calls | None = None) -> TrainingStep:
        """The gradient of a step on `size` images, taken together if `calls` says how.
        Raises `GradscapeError` for what cannot be done, with the layer."""
        step, before = self.prepared(size, calls), self.unseen()
        self.refusing(step, partial(step.gradient, size))
        if self.unseen() != before:
            drawn = "Python's or numpy's random numbers, which no checkpoint holds"
            if self.backend.is_cuda:
                drawn = "random numbers on the host, or replaces a buffer, in no CUDA graph"
            raise GradscapeError(f"a step of the model draws {drawn}")
        return step

    def unseen(self) -> bytes:
        """What no checkpoint holds, nor a CUDA graph: the state of other generators, and
        where the buffers are."""
        host = [random.getstate(), np.random.get_state()]
        if self.backend.is_cuda:
            host += [torch.get_rng_state(), [b.data_ptr() for b in self.model.buffers()]]
        return pickle.dumps(host)

    def refusing(self, step: TrainingStep, part: Callable) -> Any:
        try:
            return part()
        except Exception as error:
            what = f"does not train on minibatches of {step.minibatches.sizes[0]}"
            raise anatomy.refusal(what, error, step.model, step.forward.seen) from None


def training_step(
    forward: Forward, minibatches, settings: Settings, calls: Calls
) -> TrainingStep:
    """The step of a training, which measures and clips what its settings say; `calls` tell
    the output layer. Raises `GradscapeError` if there is nothing to measure."""
    model, measures = forward.model, []
    if (lag := settings.gradient_lag) is not None:
        weight = anatomy.output_weight(model, calls)
        if weight is None:
            raise GradscapeError("gradient_lag: the model's output layer does not train")
        measures.append(GradientChange(weight, lag))
    optimiser = build_optimiser(trainable(model), settings, forward.backend.device)
    output = anatomy.output_layer(model, calls)[1]
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
    start = model.state_dict()
    check_state(model, start)
    devices = [torch.cuda.current_device()] if backend.is_cuda else []
    for layout in LAYOUTS:
        with torch.random.fork_rng(devices):
            try:
                return tried(Rehearsal(start, settings, backend, facts, layout), sizes)
            except GradscapeError as error:
                refused = error
    raise GradscapeError(f"{refused}{hint(settings.model)}") from refused


def check_state(model: nn.Module, state: dict) -> None:
    """Raise `GradscapeError` for weights that cannot be trained, measured or kept."""
    if not trainable(model):
        raise GradscapeError("the model has no parameter that trains")
    if (returned := model.train()) is not model:
        raise GradscapeError(
            f"the model's `train` returns {returned}, where itself is needed"
        )
    for name, value in state.items():
        if not isinstance(value, Tensor) or value.is_meta:
            found = f"{name!r}, which is no tensor with values"
            raise GradscapeError(f"the model's state_dict holds {found}")
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and parameter.dtype not in TRAINED:
            kind = str(parameter.dtype).removeprefix("torch.")
            hint = "float32 is needed; `precision` chooses what it is computed in"
            raise GradscapeError(f"the model's {name} is {kind}, where {hint}")


def tried(rehearsal: Rehearsal, sizes: Sequence[int]) -> Tried:
    few, last = FEW, sizes[-1]
    try:
        step = rehearsal.step(few)
    except GradscapeError:  # it may depend on the minibatches' own size
        few = sizes[0]
        rehearsal.go_on_from(rehearsal.start)
        step = rehearsal.step(few)
    calls, flops, first = step.forward.seen, rehearsal.evaluated.flops, found(step)
    rehearsal.refusing(step, step.update)
    if few == FEW and flops * last > CHEAP:
        last = FEW + last % FEW
    if last != few:
        rehearsal.step(last)
    else:  # a forward pass is enough for what counts or averages
        rehearsal.logits(few)
    deterministic, twin = rehearsal.backend.deterministic, rehearsal.twin()
    if deterministic and not same([rehearsal.logits(few)], [twin.logits(few)]):
        raise GradscapeError(
            "the model does not go on from its state_dict as it would have without a stop: "
            "what it counts, averages or keeps has to be in buffers"
        )
    together = Forward(rehearsal.model, rehearsal.backend, calls).is_faster
    if together:
        twin.go_on_from(rehearsal.start)
        try:
            together = same(first, found(twin.step(few, calls))) or not deterministic
        except GradscapeError:
            together = False
    known = zip(rehearsal.model.named_parameters(), first[1:], strict=True)
    absent = frozenset(
        anatomy.printed(name) for (name, _), gradient in known if gradient is None
    )
    return Tried(flops, calls, absent, rehearsal.layout, together)


def found(step: TrainingStep) -> list[Tensor | None]:
    """A step's loss and accuracy, and its gradients, which clipping would change."""
    gradients = (parameter.grad for parameter in step.model.parameters())
    return [step.now.clone(), *(None if g is None else g.clone() for g in gradients)]


def same(one: list[Tensor | None], other: list[Tensor | None]) -> bool:
    """Tell whether two are equal to the bit."""
    return all(
        a is b
        if a is None or b is None
        else torch.allclose(a.to_dense(), b.to_dense(), rtol=0, atol=0, equal_nan=True)
        for a, b in zip(one, other, strict=True)
    )
