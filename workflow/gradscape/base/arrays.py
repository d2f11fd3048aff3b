"""The headers of an `.npz` file's arrays, read before the arrays are."""

import math

import numpy as np
from numpy.lib.npyio import NpzFile


def header(arrays: NpzFile, key: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an array, of which nothing else is read. Raises `ValueError` if it
    is of Python objects, or declares more than the file holds: memory for that would be
    taken before it is noticed."""
    form = np.lib.format
    with arrays.zip.open(f"{key}.npy") as file:
        is_first = form.read_magic(file) == (1, 0)
        read = form.read_array_header_1_0 if is_first else form.read_array_header_2_0
        shape, _, dtype = read(file)
    if dtype.hasobject:
        raise ValueError(f"{key}: Python objects, which are not read")
    if math.prod(shape) * dtype.itemsize > arrays.zip.getinfo(f"{key}.npy").file_size:
        raise ValueError(f"{key}: {list(shape)}, of which a part is missing")
    return shape, dtype
