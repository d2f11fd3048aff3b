"""Facts of a dataset, in a module of their own that needs no numpy."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """Everything that is known about a dataset without reading it."""

    channels: int
    size: int
    classes: int
    train: int
    test: int
