"""A finished run's network, and the images to measure it on."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gradscape.base.errors import GradscapeError, is_short_of_memory
from gradscape.data.splits import split
from gradscape.data.store import load
from gradscape.models import build
from gradscape.models.anatomy import Calls, layers, one_image, output_layer
from gradscape.models.blocks import LAYOUTS, placed
from gradscape.models.sealed import read_weights
from gradscape.spec.registry import find, is_custom, short
from gradscape.spec.settings import Settings
from gradscape.training.device import configure
from gradscape.training.minibatches import Minibatches

BATCH = 100  # images at a time
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)  # not those that keep their statistics
KINDS = {"settings": dict, "classes": list, "best": dict, "last": dict}


class Trained:
    """The run in the directory `path`, read back: settings, weights, data. Its settings may
    name programs, which are run only if named here as well, as `own`. Raises
    `GradscapeError` for missing or damaged files."""

    def __init__(self, path: Path, data: Path, threads: int = 1, own: Collection[str] = ()):
        self.file = path / "model.pt"
        self.weights = read_weights(self.file)
        if not all(isinstance(self.weights.get(key), KINDS[key]) for key in KINDS):
            raise GradscapeError(f"{self.file}: holds no run's weights")
        settings = self.weights["settings"]
        for name in filter(is_custom, map(str, settings.values())):
            if name not in own:
                raise GradscapeError(
                    f"{self.file}: names the program {name!r}; if it is your own, "
                    f"add --own {name}"
                )
        try:
            # What is fused in training has no second derivative, nor layers to look at.
            self.settings = replace(Settings(**settings), fused=None)
        except TypeError as error:
            raise GradscapeError(f"{self.file}: settings: {error}") from None
        self.layout = self.weights.get("layout", LAYOUTS[0])
        self.class_names: list[str] = self.weights["classes"]
        self.classes = len(self.class_names)
        name = str(self.settings.dataset)
        self.dataset = load(data / short(name), name)
        # fp32 throughout: differences between nearly equal weights are what is measured.
        self.backend = configure(self.settings.device, "fp32", True, threads)
        on = {"settings": self.settings, "device": self.backend.device}
        self.cut = partial(Minibatches, self.dataset, **on)

    def network(self, moment: str) -> nn.Module:
        """The network at `initialisation`, or with its `best` or its `last` weights; raises
        `GradscapeError` for the initialisation of a run that had none of its own."""
        model_name, facts = self.settings.model, self.dataset.facts
        if moment == "initialisation" and self.settings.pretrained:
            raise self.unmeasurable(
                "this run started from pretrained weights, which it does not keep; probe "
                "its initialisation in a run without `pretrained`"
            )
        torch.manual_seed(self.settings.seed)
        model = build(model_name, self.classes, self.settings, facts.channels, facts.size)
        if moment != "initialisation":
            try:
                model.load_state_dict(self.weights[moment])
            except (RuntimeError, TypeError, AttributeError):
                raise GradscapeError(
                    f"{self.file}: holds weights of another network than {model_name}"
                ) from None
        if not isinstance(model, torch.jit.ScriptModule):  # which takes no hooks
            # One that changes its images in place is to leave ours as they are.
            model.register_forward_pre_hook(
                lambda _, given: tuple(x.clone() for x in given)
            )
        return placed(model, self.backend.device, self.layout)

    def calls(self, model: nn.Module) -> Calls:
        """The calls of a network for one image, in evaluation mode."""
        facts = self.dataset.facts
        return one_image(model, self.classes, facts.channels, facts.size)

    def layers(
        self, model: nn.Module, kinds: type | tuple[type, ...], needed: str
    ) -> dict[str, nn.Module]:
        """The layers of a kind that the network calls, by name, in order of depth. Raises
        `GradscapeError` if there are none: what is `needed`, and by which probe."""
        found = layers(model, kinds, self.calls(model))
        if not found:
            raise self.unmeasurable(f"calls no {needed}")
        return found

    def head(self, model: nn.Module, probe: str) -> nn.Linear:
        """The linear layer that gives the logits. Raises `GradscapeError` for none."""
        _, output = output_layer(model, self.calls(model))
        if not isinstance(output, nn.Linear):
            needed = f"linear layer, whose input is what `{probe}` measures"
            raise self.unmeasurable(f"ends in no {needed}")
        return output

    def unmeasurable(self, why: str) -> GradscapeError:
        """The error for a probe that cannot measure this network."""
        return GradscapeError(f"{self.settings.model}: {why}")

    def minibatches(self, count: int, size: int = BATCH) -> list[tuple[Tensor, Tensor]]:
        """The first `count` training images, normalised but not augmented, and labels, in
        minibatches [b, channels, s, s] and [b]."""
        settings = self.settings
        train = split(self.dataset, settings.split, settings.train_items)["train"][:count]
        return list(self.cut(train, min(size, len(train))))

    def test_images(self, chosen: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """The official test images, normalised, and their labels [n]."""
        test = split(self.dataset, self.settings.split)["test"][chosen]
        return self.cut(test, len(test)).take(0, len(test))

    def test_colours(self, numbers: list[int]) -> np.ndarray:
        """Some of these images for display: red, green, blue from 0 to 1, [n, s, s, 3]."""
        pixels = self.dataset.images[self.dataset.train :][numbers]
        return np.broadcast_to((pixels / 255).round(3), (*pixels.shape[:3], 3))

    def losses(self, model: nn.Module, count: int) -> list[Callable[[], Tensor]]:
        """For each of `minibatches(count)`, a function that returns its share of the mean
        cross entropy over all `count` images."""
        minibatches = self.minibatches(count)
        total = sum(len(labels) for _, labels in minibatches)

        def share(images: Tensor, labels: Tensor) -> Tensor:
            return cross_entropy(model(images), labels, reduction="sum") / total

        return [partial(share, *minibatch) for minibatch in minibatches]


def measured(probe: str, run: Trained, options: dict) -> list[dict]:
    """The rows of a probe, gradscape's or one's own. Raises `GradscapeError` where torch
    does not do with this network what one of gradscape's needs."""
    measure = find("probe", probe)
    try:
        return measure(run, **options)
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if is_custom(probe) or is_short_of_memory(error):
            raise
        said = " ".join(str(error).split()) or type(error).__name__
        why = f"`{probe}` cannot measure this network ({said})"
        raise run.unmeasurable(why) from error


@torch.no_grad()
def with_statistics_of(model: nn.Module, minibatches: list[Tensor]) -> nn.Module:
    """The network in evaluation mode, its batch normalisations' statistics estimated anew:
    the mean of those of the minibatches, [b, channels, s, s] each."""
    norms = [m for m in model.eval().modules() if type(m) in BATCH_NORMS]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # which makes it a plain mean
        norm.train()
    for images in minibatches if norms else []:
        model(images)
    return model.eval()


@torch.no_grad()
def probabilities(model: nn.Module, images: Tensor) -> Tensor:
    """Softmax of the logits, [n, classes], of images [n, channels, s, s]."""
    return torch.cat([model(batch).softmax(1) for batch in images.split(BATCH)])


class Call(NamedTuple):
    """A module's name, and the tensors that it was `given` first, if any, and `gave`."""

    name: str
    given: Tensor | None
    gave: Tensor


@contextmanager
def calls(modules: dict[str, nn.Module]) -> Iterator[list[Call]]:
    """The calls of these modules that give a tensor, in order, while the block runs. The
    network goes on with a copy: activations in place must not reach what is kept."""
    seen: list[Call] = []

    def record(name: str, _: nn.Module, inputs: tuple, output):
        if not isinstance(output, Tensor):
            return output
        given = inputs[0] if inputs and isinstance(inputs[0], Tensor) else None
        seen.append(Call(name, given, output))
        return output.clone()

    hooks = [m.register_forward_hook(partial(record, name)) for name, m in modules.items()]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
