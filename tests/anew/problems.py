"""What is wrong in a published folder, and what counts as the same value."""

import math

import numpy as np


class Problems(list):
    def say(self, where, text):
        self.append(f"{where}: {text}")

    def compare(self, where, found, expected, rtol=1e-6, atol=1e-12):
        """Two values of a file, numbers to a millionth."""
        if not same(found, expected, rtol, atol):
            self.say(where, f"has {short(found)}, the runs say {short(expected)}")


def short(value):
    return str(value) if len(str(value)) < 160 else f"{str(value)[:160]}…"


def same(found, expected, rtol=1e-6, atol=1e-12):
    if isinstance(expected, list | tuple):
        pairs = zip(found, expected, strict=False)
        is_list = isinstance(found, list | tuple) and len(found) == len(expected)
        return is_list and all(same(f, e, rtol, atol) for f, e in pairs)
    numbers = [v for v in (found, expected) if is_number(v)]
    if len(numbers) == 2:
        if not math.isfinite(expected):
            return not math.isfinite(found)
        return math.isclose(found, expected, rel_tol=rtol, abs_tol=atol)
    blank = [v is None or v == "" or (is_number(v) and v != v) for v in (found, expected)]
    return all(blank) or found == expected


def is_number(value):
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)
