"""Values that were read, kept while there is room: 20,000 runs do not fit in memory."""

import copy
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import pandas as pd


class Cache:
    """Values by key; those used longest ago go when all are above `limit` bytes."""

    def __init__(self, limit: int):
        self.limit, self.bytes = limit, 0
        self.kept: dict[Hashable, tuple[Any, int]] = {}  # the one used last is the last

    def get(self, key: Hashable, read: Callable[[], Any]) -> Any:
        """The value of a key, read if it is not kept: a shallow copy, to which columns and
        arrays can be added."""
        value, size = self.kept.pop(key, (None, 0))
        if not size:
            value = read()
            size = size_of(value)
            self.bytes += size
        self.kept[key] = value, size
        while self.bytes > self.limit:
            self.bytes -= self.kept.pop(next(iter(self.kept)))[1]
        return copy.copy(value)


def size_of(value: pd.DataFrame | dict[str, np.ndarray]) -> int:
    """Roughly the bytes of a table or of arrays, never zero."""
    if isinstance(value, pd.DataFrame):  # which would take long to tell
        return 10_000 + 16 * value.size
    return 1 + sum(array.nbytes for array in value.values())
