"""Limits of a configuration: plain text and finite numbers, and not too much of either.

YAML reads more than that: dates, sets, bytes, infinities.
"""

import math
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gradscape.base.errors import GradscapeError
from gradscape.config.yaml import MAX_VALUES

MAX_CHARACTERS = 10_000  # of a text
MAX_IN_KEY = 200  # characters
MAX_IN_NAME = 255  # characters of a file or folder
MAX_DEPTH = 30  # of values in each other
FILES = {"results", "data_dir", "weights", "extends", "section", "claims", "literature"}
FILES |= {"model", "dataset"}


def check_plain(value: Any, at: str) -> None:
    """Raise `GradscapeError` for the first value that is no plain data, with its key."""
    for seen, (path, inner) in enumerate(walk(value)):
        if seen > MAX_VALUES or len(path) > MAX_DEPTH:
            raise GradscapeError(f"{at}: holds too many values, or too many in each other")
        names = [key for key in path if isinstance(key, str)]
        if wrong := wrong_with(inner, names[-1] if names else ""):
            raise GradscapeError(f"{place(at, path)}: {wrong}")


def walk(value: Any, path: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    """A value and all that is in it, each with its keys, from the outside in."""
    yield path, value
    if isinstance(value, dict | list | tuple):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            yield from walk(inner, (*path, key))


def place(at: str, path: tuple) -> str:
    """Where a value stands: `config: studies.mine.title`."""
    key = ".".join(map(str, path))
    return at if not key else f"{at}: {key}" if at == "config" else f"{at}.{key}"


def wrong_with(value: Any, key: str) -> str:
    """The fault of a value, but for what is in it; empty if it has none."""
    match value:
        case dict():
            return next(filter(None, map(wrong_with_key, value)), "")
        case str():
            return wrong_with_text(value, key)
        case float() if not math.isfinite(value):
            return f"{value} is no finite number"
        case int() if abs(value) >= 2**63:
            return "is too large a number"
        case int() | float() | None | list() | tuple():
            return ""
    return f"{str(value)[:60]} is a {type(value).__name__} to YAML; put it in quotes"


def wrong_with_key(key: Any) -> str:
    if not isinstance(key, str):
        return f"the key {key!r} is no text to YAML; put it in quotes"
    is_name = len(key) <= MAX_IN_KEY and not control(key)
    return "" if is_name else f"the key {key[:30]!r}… is no name"


def wrong_with_text(text: str, key: str) -> str:
    if len(text) > MAX_CHARACTERS:
        return f"has {len(text):,} characters, above {MAX_CHARACTERS:,}"
    if key in FILES and any(len(part) > MAX_IN_NAME for part in Path(text).parts):
        return f"has a name of more than {MAX_IN_NAME} characters in it"
    odd = control(text)
    return f"the report cannot print {odd!a} (a control character)" if odd else ""


def control(text: str) -> str:
    """The first character that no text has; empty if it has none."""
    kinds = ("Cc", "Cs", "Cn")
    odd = (c for c in text if unicodedata.category(c) in kinds and c not in "\n\t")
    return next(odd, "")
