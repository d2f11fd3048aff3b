"""Feature maps: one test image as convolutions at different depths put it out."""

from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn

from gradscape.base.errors import GradscapeError
from gradscape.probes.trained import Trained, calls
from gradscape.spec.options import Range

WORDS = "layer"
NUMBERS = "depth channel row column value"
LAYERS = 4  # convolutions shown, evenly from the first to the last


@torch.no_grad()
def convolution_outputs(
    model: nn.Module, convolutions: dict[str, nn.Module], image: Tensor
) -> dict[str, Tensor]:
    """The outputs of up to `LAYERS` convolutions, [channels, s, s], for one image."""
    chain = list(convolutions.items())
    shown = np.linspace(0, len(chain) - 1, min(LAYERS, len(chain))).round().astype(int)
    with calls(dict(chain[number] for number in shown)) as seen:
        model(image)
    return {call.name: call.gave[0] for call in seen}


def feature_maps(
    run: Trained,
    image: Annotated[int, Range(0), "number of the test image"] = 0,
    channels: Annotated[int, Range(1), "per layer, those that vary most"] = 8,
) -> list[dict]:
    """Outputs of convolutions, before normalisation and activation, with the weights of the
    best epoch in evaluation mode; of each, the `channels` that vary most. The layer
    `input`, at depth -1, is the image itself: channels 0, 1 and 2 are red, green and blue
    from 0 to 1, all equal for a grey image."""
    last = run.dataset.facts.test - 1
    if image > last:
        known = f"the last test image is {last}"
        raise GradscapeError(f"probe feature_maps: image {image}: {known}")
    model = run.network("best").eval()
    needed = "convolution, whose outputs are what `feature_maps` shows"
    convolutions = run.layers(model, nn.Conv2d, needed)
    colours = torch.tensor(run.test_colours([image])[0]).permute(2, 0, 1)
    tables = [("input", -1, range(3), colours)]
    normalised, _ = run.test_images(slice(image, image + 1))
    depths = list(convolutions)
    for name, maps in convolution_outputs(model, convolutions, normalised).items():
        spread = maps.flatten(1).std(dim=1, correction=0)
        liveliest = spread.argsort(descending=True, stable=True)[:channels].tolist()
        tables.append((name, depths.index(name), liveliest, maps.cpu()))
    return [
        {"layer": name, "depth": depth, "channel": channel}
        | {"row": row, "column": column, "value": float(value)}
        for name, depth, shown, maps in tables
        for channel in shown
        for (row, column), value in np.ndenumerate(maps[channel].numpy())
    ]
