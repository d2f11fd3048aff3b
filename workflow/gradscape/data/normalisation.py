"""The mean and deviation that images are normalised by, for pixels scaled to [0, 1]."""

from typing import TYPE_CHECKING

from gradscape.base.errors import GradscapeError
from gradscape.spec.registry import find

if TYPE_CHECKING:
    from gradscape.data.store import Dataset

# Mean and deviation, one number per channel; a single number is for any channel.
NORMALISATIONS = {
    "dataset": None,  # the dataset's own, of its training images
    # The deviation of a widespread tutorial, a mean over images; over all pixels 0.2470.
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "half": ((0.5,), (0.5,)),
    "efficientnet": ((127 / 255,), (128 / 255,)),  # as its weights were trained
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


def check_normalises(name: str, channels: int) -> None:
    """Raise `GradscapeError` if a normalisation is not for that many channels."""
    known = find("normalisation", name)
    if known is not None and len(known[0]) not in (1, channels):
        why = f"for three channels, the images have {channels}; use dataset or half"
        raise GradscapeError(f"normalisation {name}: {why}")


def moments(name: str, dataset: "Dataset") -> tuple[list[float], list[float]]:
    """Mean and deviation for a dataset's images, one number per channel; raises
    `GradscapeError` if they are not for that many channels."""
    channels = dataset.facts.channels
    check_normalises(name, channels)
    if (known := find("normalisation", name)) is None:
        return dataset.moments
    mean, deviation = (list(v) * (channels // len(v)) for v in known)
    return mean, deviation
