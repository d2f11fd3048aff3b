"""One training step: minibatch, forward, backward, update, and what is kept of it.

On CUDA the step is captured by hand as a graph, once for each minibatch size, and
replayed: the host then issues one call a step. Nothing in a step reads from the device.
"""

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from gradscape.engine.device import Backend
from gradscape.engine.minibatches import Minibatches

WARMUP_RUNS = 3  # before a capture, so that libraries have set themselves up


class TrainingStep:
    """Trains on the epoch that `minibatches` has drawn, one minibatch a call.

    `losses` and `accuracies` [steps] keep each minibatch's mean cross entropy and the
    fraction it had right, on the device; `index` is the next minibatch.
    """

    def __init__(
        self,
        model: nn.Module,
        optimiser: Optimizer,
        minibatches: Minibatches,
        backend: Backend,
    ):
        self.model = model
        self.optimiser = optimiser
        self.minibatches = minibatches
        self.backend = backend
        steps = len(minibatches.sizes)
        device = backend.device
        self.index = torch.zeros((), dtype=torch.int64, device=device)
        self.losses = torch.zeros(steps, device=device)
        self.accuracies = torch.zeros(steps, device=device)
        self.steps = torch.arange(steps, device=device)
        self.graphs: dict[int, torch.cuda.CUDAGraph] = {}

    def __call__(self, size: int) -> None:
        if size in self.graphs:
            self.graphs[size].replay()
        else:
            self.run(size)

    def run(self, size: int) -> None:
        """The step itself, kernel by kernel."""
        images, labels = self.minibatches.take(self.index, size)
        # A graph writes into the gradients it was captured with: keep them in place.
        self.optimiser.zero_grad(set_to_none=not self.backend.is_cuda)
        with self.backend.autocast():
            logits = self.model(images)
        loss = cross_entropy(logits.float(), labels)
        loss.backward()
        self.optimiser.step()
        right = (logits.argmax(1) == labels).float().mean()
        here = self.steps == self.index
        self.losses.copy_(torch.where(here, loss.detach(), self.losses))
        self.accuracies.copy_(torch.where(here, right, self.accuracies))
        self.index.add_(1)

    def capture(self) -> None:
        """Capture a graph for every minibatch size, leaving training where it was.

        Needs an epoch to have been drawn. Warm-up trains for real, so weights, running
        statistics, optimiser state, random state and `losses` are put back afterwards.
        """
        random_state = torch.cuda.get_rng_state()
        model_before = [tensor.clone() for tensor in self.model.state_dict().values()]
        optimiser_before = {
            key: tensor.clone() for key, tensor in self.optimiser_tensors().items()
        }
        kept = [t.clone() for t in (self.index, self.losses, self.accuracies)]
        sizes = sorted(set(self.minibatches.sizes))
        self.index.zero_()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for size in sizes * WARMUP_RUNS:
                self.index.zero_()
                self.run(size)
        torch.cuda.current_stream().wait_stream(side)
        for size in sizes:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self.run(size)
            self.graphs[size] = graph
        for tensor, before in zip(
            self.model.state_dict().values(), model_before, strict=True
        ):
            tensor.copy_(before)
        for key, tensor in self.optimiser_tensors().items():
            if key in optimiser_before:
                tensor.copy_(optimiser_before[key])
            else:  # made by the warm-up; every optimiser here starts from zero
                tensor.zero_()
        for tensor, before in zip(
            (self.index, self.losses, self.accuracies), kept, strict=True
        ):
            tensor.copy_(before)
        torch.cuda.set_rng_state(random_state)

    def optimiser_tensors(self) -> dict:
        return {
            (number, name): value
            for number, state in enumerate(self.optimiser.state.values())
            for name, value in state.items()
            if isinstance(value, torch.Tensor)
        }


@torch.no_grad()
def evaluate(
    model: nn.Module, minibatches: Minibatches, backend: Backend
) -> tuple[float, float]:
    """Mean cross entropy and accuracy over all images, in evaluation mode."""
    was_training = model.training
    model.eval()
    totals = torch.zeros(2, dtype=torch.float64, device=backend.device)
    step = torch.zeros((), dtype=torch.int64, device=backend.device)
    for size in minibatches.sizes:
        images, labels = minibatches.take(step, size)
        with backend.autocast():
            logits = model(images)
        loss = cross_entropy(logits.float(), labels, reduction="sum")
        totals += torch.stack([loss, (logits.argmax(1) == labels).sum()])
        step += 1
    model.train(was_training)
    loss, right = (totals / minibatches.count).tolist()
    return loss, right
