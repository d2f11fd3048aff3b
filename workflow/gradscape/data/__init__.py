"""Where images come from, how they are kept, and how they are split."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """Everything that is known about a dataset without reading it."""

    channels: int
    size: int
    classes: int
    train: int
    test: int
