"""What is known about a dataset before it is read; a module of its own, without numpy."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """What is known about a dataset without reading it."""

    channels: int
    size: int
    classes: int
    train: int
    test: int
