"""One image through a network before anything trains: does it fit, what does it cost?"""

from collections import Counter
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from gradscape.base.errors import GradscapeError

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


@dataclass(frozen=True)
class DryRun:
    """`flops` of one image, multiply and add counted as two, in convolutions and linear
    layers; `calls` of each module."""

    flops: int
    calls: Counter


def dry_run(model: nn.Module, classes: int, channels: int = 3, size: int = 32) -> DryRun:
    """Send one image through, in evaluation mode.

    Raises `GradscapeError` for a network that does not turn [n, channels, size, size]
    into [n, classes].
    """
    calls: Counter = Counter()
    flops = 0

    # torch's own counter of operations loads its compiler, which takes a second or more.
    def count(module: nn.Module, inputs: tuple, output) -> None:
        nonlocal flops
        calls[module] += 1
        if isinstance(module, LAYERS):
            flops += 2 * output.numel() * module.weight[0].numel()

    was_training = model.training
    image = torch.zeros(1, channels, size, size, device=next(model.parameters()).device)
    hook = register_module_forward_hook(count)
    try:
        with torch.no_grad():
            shape = list(model.eval()(image).shape)
    except (RuntimeError, ValueError) as error:
        raise GradscapeError(
            f"the model does not take images of {channels}x{size}x{size}: "
            f"{str(error).splitlines()[0]}"
        ) from None
    finally:
        hook.remove()
    if shape != [1, classes]:
        raise GradscapeError(
            f"the model turns an image into {shape} where [1, {classes}] is needed"
        )
    model.train(was_training)
    return DryRun(flops, calls)
