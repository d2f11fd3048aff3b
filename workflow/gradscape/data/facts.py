"""What is known of a dataset before it is read. A module of its own: it needs no numpy."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """What is known of a dataset without reading it: shape, classes, numbers of images."""

    channels: int
    size: int
    classes: int
    train: int
    test: int
