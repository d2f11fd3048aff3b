"""One training step: minibatch, forward, backward, update, and what is kept of it.

On CUDA the step is captured by hand as a graph, once for each minibatch size, and
replayed: the host then issues one call per step. Nothing in a step reads from the device.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from gradscape.spec.registry import find
from gradscape.spec.settings import Settings
from gradscape.training.clipping import clip
from gradscape.training.device import Backend
from gradscape.training.forward import Forward
from gradscape.training.gradient_change import GradientChange
from gradscape.training.losses import l1_penalty
from gradscape.training.minibatches import Minibatches

WARMUP_RUNS = 3  # before a capture, so that libraries have set themselves up


class TrainingStep:
    """Trains on the epoch that `minibatches` has drawn, one minibatch per call.

    `epoch` [names, steps] holds, on the device, what was minimised (`loss`), the fraction
    of the minibatch that was right (`accuracy`) and what the `measures` give, which are
    taken at every step between its gradient and its update. `memory` is all that a kill
    must not lose; its `index` is the next minibatch.
    """

    def __init__(
        self,
        forward: Forward,
        optimiser: Optimizer,
        minibatches: Minibatches,
        backend: Backend,
        settings: Settings,
        measures: Sequence[GradientChange] = (),
    ):
        self.forward = forward
        self.model = forward.model
        self.optimiser = optimiser
        self.minibatches = minibatches
        self.backend = backend
        self.settings = settings
        self.loss = find("loss", settings.loss)
        steps, device = len(minibatches.sizes), backend.device
        self.index = torch.zeros((), dtype=torch.int64, device=device)
        self.steps = torch.arange(steps, device=device)
        self.measures = measures
        self.names = ["loss", "accuracy", *(name for m in measures for name in m.names)]
        self.now = torch.zeros(len(self.names), device=device)
        self.epoch = torch.zeros(len(self.names), steps, device=device)
        self.memory = {"index": self.index, "epoch": self.epoch}
        for measure in measures:
            self.memory |= measure.memory
        self.graphs: dict[tuple[str, int], Callable] = {}
        # Gradients are new tensors each time, rather than set to zero and added to.
        self.anew = True

    def __call__(self, size: int, around: Sequence[AbstractContextManager] = ()) -> None:
        """Train on the next minibatch, of `size` images.

        The contexts `around` are entered between gradient and update and left behind it.
        """
        if not around:
            self.part("whole", size)()
            return
        self.size, self.random_state = size, self.backend.random_state()
        self.part("gradient", size)()
        with ExitStack() as contexts:
            for context in around:
                contexts.enter_context(context)
            self.part("update", size)()

    def part(self, name: str, size: int) -> Callable:
        """A step or one of its halves as a call: a graph's replay where there is one."""
        return self.graphs.get((name, size)) or partial(getattr(self, name), size)

    def whole(self, size: int) -> None:
        self.gradient(size)
        self.update(size)

    def gradient(self, size: int) -> None:
        """Loss, accuracy and gradient of the minibatch at the current weights."""
        images, labels = self.minibatches.take(self.index, size)
        self.optimiser.zero_grad(set_to_none=self.anew)
        logits = self.forward(images)
        loss = self.loss(logits.float(), labels, self.settings)
        if self.settings.l1 > 0:
            loss = loss + l1_penalty(self.model, self.settings.l1)
        loss.backward()
        accuracy = (logits.argmax(1) == labels).mean(dtype=torch.float32)
        torch.stack([loss.detach(), accuracy], out=self.now[:2])

    def update(self, size: int) -> None:
        """Move the weights along that gradient and keep a record of the step."""
        measured = [value for measure in self.measures for value in measure.measure()]
        if measured:
            torch.stack(measured, out=self.now[2:])
        if self.settings.adaptive_clipping is not None:
            clip(self.model, self.settings.adaptive_clipping)
        self.optimiser.step()
        here = self.steps == self.index
        torch.where(here, self.now[:, None], self.epoch, out=self.epoch)
        self.index.add_(1)

    def again(self) -> Tensor:
        """The loss of the minibatch of a measured step, and, left in the parameters, its
        gradient, wherever the weights are now; the same units are dropped."""
        self.backend.set_random_state(self.random_state)
        self.part("gradient", self.size)()
        return self.now[0]

    def capture(self) -> None:
        """Capture graphs for every minibatch size, leaving training where it was.

        A run that measures around its updates has graphs of both halves of a step as well.

        Needs an epoch to have been drawn. Warm-up trains for real, so weights, running
        statistics, optimiser state, random state and `memory` are put back afterwards.
        """
        random_state = self.backend.random_state()
        kept = [*self.model.state_dict().values(), *self.memory.values()]
        before = [tensor.clone() for tensor in kept]
        optimiser_before = {
            key: tensor.clone() for key, tensor in self.optimiser_tensors().items()
        }
        # The first graph makes the gradients, all others write where it put them, for which
        # they need more kernels: so the first is that of nearly all steps.
        sizes = sorted(set(self.minibatches.sizes), reverse=True)
        halves = () if self.settings.landscape_every is None else ("gradient", "update")
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for run in range(WARMUP_RUNS):
                self.anew = run == 0
                for size in sizes:
                    self.index.zero_()
                    self(size)
        torch.cuda.current_stream().wait_stream(side)
        for size in sizes:
            for name in ("whole", *halves):
                self.anew = not self.graphs
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph):
                    getattr(self, name)(size)
                self.graphs[name, size] = graph.replay
        for tensor, old in zip(kept, before, strict=True):
            tensor.copy_(old)
        for key, tensor in self.optimiser_tensors().items():
            if key in optimiser_before:
                tensor.copy_(optimiser_before[key])
            else:  # made by the warm-up; every optimiser here starts from zero
                tensor.zero_()
        self.backend.set_random_state(random_state)

    def optimiser_tensors(self) -> dict:
        return {
            (number, name): value
            for number, state in enumerate(self.optimiser.state.values())
            for name, value in state.items()
            if isinstance(value, torch.Tensor)
        }


@torch.no_grad()
def evaluate(
    model: nn.Module,
    minibatches: Minibatches,
    backend: Backend,
    kept: list[Tensor] | None = None,
) -> tuple[float, float]:
    """Mean cross entropy and accuracy over all images, in evaluation mode.

    Appends the logits of each minibatch, [b, classes], to `kept`.
    """
    was_training = model.training
    model.eval()
    totals = torch.zeros(2, dtype=torch.float64, device=backend.device)
    step = torch.zeros((), dtype=torch.int64, device=backend.device)
    for size in minibatches.sizes:
        images, labels = minibatches.take(step, size)
        with backend.autocast():
            logits = model(images)
        loss = cross_entropy(logits.float(), labels, reduction="sum")
        if kept is not None:
            kept.append(logits.float())
        totals += torch.stack([loss, (logits.argmax(1) == labels).sum()])
        step += 1
    model.train(was_training)
    loss, right = (totals / minibatches.count).tolist()
    return loss, right
