"""One training step: minibatch, forward, backward, update, and what is kept of it.

On CUDA both halves are captured by hand as graphs, the gradient once for each minibatch
size, and replayed: the host issues two calls per step, which read nothing from the device.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from gradscape.base.errors import GradscapeError
from gradscape.spec.registry import find
from gradscape.spec.settings import Settings
from gradscape.training.device import Backend
from gradscape.training.forward import Forward
from gradscape.training.gradients import GradientChange, clip
from gradscape.training.losses import l1_penalty
from gradscape.training.minibatches import Minibatches

WARMUP_RUNS = 3  # before a capture, so that libraries have set themselves up


@dataclass(eq=False)
class TrainingStep:
    """Trains on the epoch that `minibatches` has drawn, one minibatch per call.

    `epoch` [names, steps] holds, on the device, what was minimised (`loss`), the fraction
    that was right (`accuracy`) and what the `measures` give between gradient and update.
    `memory` is all that a kill must not lose; its `index` is the next minibatch. Gradients
    may be clipped, but not those of the `output` layer.
    """

    forward: Forward
    optimiser: Optimizer
    minibatches: Minibatches
    settings: Settings
    measures: Sequence[GradientChange] = ()
    output: nn.Module | None = None

    def __post_init__(self):
        self.model, self.backend = self.forward.model, self.forward.backend
        self.loss = find("loss", self.settings.loss)
        self.names = ["loss", "accuracy"]
        self.names += [name for measure in self.measures for name in measure.names]
        with torch.device(self.backend.device):
            self.index = torch.zeros((), dtype=torch.int64)
            self.steps = torch.arange(len(self.minibatches.sizes))
            self.now = torch.zeros(len(self.names))
            self.epoch = torch.zeros(len(self.names), len(self.steps))
        self.memory = {"index": self.index, "epoch": self.epoch}
        for measure in self.measures:
            self.memory |= measure.memory
        self.graphs: dict[tuple, Callable] = {}
        # Gradients are new tensors each time, rather than set to zero and added to.
        self.anew = True

    def __call__(self, size: int, around: AbstractContextManager | None = None) -> None:
        """Train on the next minibatch, of `size` images, with the update in `around`."""
        if around is not None:
            self.size, self.random_state = size, self.backend.random.get_rng_state()
        self.part("gradient", size)()
        with around or nullcontext():
            self.part("update")()

    def part(self, name: str, *size: int) -> Callable:
        """A half of a step, or its graph's replay."""
        return self.graphs.get((name, *size)) or partial(getattr(self, name), *size)

    def gradient(self, size: int) -> None:
        images, labels = self.minibatches.take(self.index, size)
        self.optimiser.zero_grad(set_to_none=self.anew)
        logits = self.forward(images)
        loss = self.loss(logits.float(), labels, self.settings)
        if self.settings.l1 > 0:
            loss = loss + l1_penalty(self.model, self.settings.l1)
        loss.backward()
        accuracy = (logits.argmax(1) == labels).mean(dtype=torch.float32)
        torch.stack([loss.detach(), accuracy], out=self.now[:2])

    def update(self) -> None:
        measured = [value for measure in self.measures for value in measure.measure()]
        if measured:
            torch.stack(measured, out=self.now[2:])
        if self.settings.adaptive_clipping is not None:
            clip(self.model, self.settings.adaptive_clipping, self.output)
        self.optimiser.step()
        here = self.steps == self.index
        torch.where(here, self.now[:, None], self.epoch, out=self.epoch)
        self.index.add_(1)

    def again(self) -> Tensor:
        """Within `around`: the loss of the step's minibatch at the weights as they are now,
        and, left in the parameters, its gradient; the same units are dropped."""
        self.backend.random.set_rng_state(self.random_state)
        self.part("gradient", self.size)()
        return self.now[0]

    def capture(self) -> None:
        """Capture graphs of the update and of every minibatch size's gradient, once an
        epoch has been drawn. Warm-up trains for real; all that it changed is put back."""
        random_state = self.backend.random.get_rng_state()
        before = {key: tensor.clone() for key, tensor in self.tensors().items()}
        # The first graph makes the gradients, all others write where it put them, for which
        # they need more kernels: so the first is that of nearly all steps.
        sizes = sorted(set(self.minibatches.sizes), reverse=True)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for run in range(WARMUP_RUNS):
                self.anew = run == 0
                for size in sizes:
                    self.index.zero_()
                    self(size)
        torch.cuda.current_stream().wait_stream(side)
        for part in [*(("gradient", size) for size in sizes), ("update",)]:
            self.anew = not self.graphs
            graph = torch.cuda.CUDAGraph()
            try:
                with torch.cuda.graph(graph):
                    self.part(*part)()
            except RuntimeError as error:
                if "out of memory" in str(error):
                    raise
                said = str(error).strip().splitlines()[0]
                raise GradscapeError(
                    "a step of the model does not fit a CUDA graph, in which it may read "
                    f"nothing back from the GPU ({said})"
                ) from error
            self.graphs[part] = graph.replay
        for key, tensor in self.tensors().items():
            if key in before:
                tensor.copy_(before[key])
            else:  # made by the warm-up; every optimiser here starts from zero
                tensor.zero_()
        self.backend.random.set_rng_state(random_state)

    def tensors(self) -> dict[tuple, Tensor]:
        parts = {"model": self.model.state_dict(), "memory": self.memory}
        parts |= dict(enumerate(self.optimiser.state.values()))
        return {
            (part, name): value
            for part, state in parts.items()
            for name, value in state.items()
            if isinstance(value, Tensor)
        }


@torch.no_grad()
def evaluate(
    model: nn.Module, minibatches: Minibatches, backend: Backend
) -> tuple[float, float, Tensor]:
    """Mean cross entropy and accuracy over all images, in evaluation mode; and the logits,
    [n, classes]."""
    model.eval()
    totals = torch.zeros(2, dtype=torch.float64, device=backend.device)
    kept = []
    for images, labels in minibatches:
        with backend.autocast():
            logits = model(images)
        kept.append(logits.float())
        loss = cross_entropy(kept[-1], labels, reduction="sum")
        totals += torch.stack([loss, (kept[-1].argmax(1) == labels).sum()])
    model.train()
    loss, right = (totals / minibatches.count).tolist()
    return loss, right, torch.cat(kept)
