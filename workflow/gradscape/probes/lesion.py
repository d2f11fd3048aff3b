"""Lesions: how much accuracy a trained network loses with one of its blocks.

Veit et al. 2016, section 4.1: one block at a time is replaced by the identity. A plain
network falls to chance; one with residual connections hardly notices, like an ensemble of
shallower ones. Batch normalisation's statistics are estimated anew each time.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

from gradscape.probes.trained import Trained, calls, probabilities, with_statistics_of
from gradscape.spec.options import Range

WORDS = "block"
NUMBERS = "accuracy"


def removable(model: nn.Module, image: Tensor) -> list[str]:
    """The blocks that keep the shape of what they are given, by name, in order: modules in
    an `nn.Sequential` that hold at least two convolutions."""
    blocks = {
        f"{parent}.{name}": child
        for parent, sequence in model.named_modules()
        if type(sequence) is nn.Sequential
        for name, child in sequence.named_children()
        if sum(isinstance(module, nn.Conv2d) for module in child.modules()) > 1
    }
    with calls(blocks) as seen, torch.no_grad():
        model(image)
    found = [c.name for c in seen if c.given is not None and c.given.shape == c.gave.shape]
    return list(dict.fromkeys(found))


def lesion(
    run: Trained,
    images: Annotated[int, Range(1), "test images to classify"] = 1000,
    statistics: Annotated[
        int, Range(2), "training images to estimate the statistics on"
    ] = 500,
) -> list[dict]:
    """The accuracy of the network without each block, first without none (`none`); weights
    of the best epoch, evaluation mode. Costs one forward pass of all images per block.
    Raises `GradscapeError` for a network without such blocks."""
    model = run.network("best").eval()
    pixels, labels = run.test_images(slice(images))
    training = [images for images, _ in run.minibatches(statistics)]
    blocks = removable(model, pixels[:1])
    if not blocks:
        needed = "block that keeps the shape of its input"
        raise run.unmeasurable(f"has no {needed}, which is what `lesion` removes")
    rows = []
    for block in ("none", *blocks):
        injured = run.network("best")
        if block != "none":
            injured.set_submodule(block, nn.Identity())
        with_statistics_of(injured, training)
        right = probabilities(injured, pixels).argmax(1) == labels
        rows.append({"block": block, "accuracy": float(right.float().mean())})
    return rows
