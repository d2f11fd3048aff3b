"""Isometry: by how much a network stretches a small change of its image, in each direction.

The singular values of the Jacobian of the features that the output layer is given, by one
image's pixels (Saxe et al. 2014, section 3; of convolutions Xiao et al. 2018, section 2):
all alike where no direction is lost on the way.
"""

from typing import Annotated

import torch
from torch import Tensor, nn

from gradscape.probes.trained import Trained, calls, with_statistics_of
from gradscape.spec.options import Range

WORDS = "moment"
NUMBERS = "image index value"


def singular_values(model: nn.Module, head: nn.Linear, image: Tensor) -> Tensor:
    """The Jacobian's by an image [channels, s, s], the largest first, [features]: of what
    the layer `head` is given.

    One copy of the image for each feature, so that one backward pass gives all rows.
    """
    with torch.no_grad(), calls({"head": head}) as seen:
        model(image[None])
    features = seen[0].given.numel()
    images = image.expand(features, *image.shape).clone().requires_grad_()
    with calls({"head": head}) as seen:
        model(images)
    (rows,) = torch.autograd.grad(seen[0].given.flatten(1).diagonal().sum(), images)
    if not rows.isfinite().all():  # of a run that diverged
        return torch.full((features,), torch.nan)
    return torch.linalg.svdvals(rows.flatten(1).double())


def isometry(
    run: Trained,
    images: Annotated[int, Range(1), "training images"] = 4,
    statistics: Annotated[int, Range(2), "training images for running statistics"] = 100,
) -> list[dict]:
    """At initialisation and with the last weights, in evaluation mode, with batch
    normalisation's statistics estimated on one minibatch, whose first `images` are used."""
    ((pixels, _),) = run.minibatches(statistics, statistics)
    rows = []
    for moment in ("initialisation", "last"):
        model = run.network(moment)
        head = run.head(model, "isometry")
        with_statistics_of(model, [pixels])
        for image, picture in enumerate(pixels[:images]):
            for index, value in enumerate(singular_values(model, head, picture).tolist()):
                rows.append(
                    {"moment": moment, "image": image, "index": index, "value": value}
                )
    return rows
