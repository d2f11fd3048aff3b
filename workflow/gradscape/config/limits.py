"""Is a configuration plain data: text, finite numbers, and not too much of either?

YAML reads more than that: dates, sets, bytes, infinities.
"""

import math
import unicodedata
from pathlib import Path
from typing import Any

from gradscape.base.errors import GradscapeError
from gradscape.config.yaml import MAX_VALUES

MAX_LETTERS = 10_000  # of a text
MAX_LETTERS_OF_KEY = 200
MAX_IN_NAME = 255  # of a file or folder
DEEPEST = 30
FILES = {"results", "data_dir", "weights", "extends", "section", "claims", "literature"}
FILES |= {"model", "dataset"}


def check_plain(value: Any, at: str) -> None:
    """Raise `GradscapeError` for the first value that is no plain data, with its key."""
    waiting: list[tuple[Any, tuple]] = [(value, ())]
    seen = 0
    while waiting:
        value, path = waiting.pop()
        seen += 1
        if seen > MAX_VALUES or len(path) > DEEPEST:
            raise GradscapeError(f"{at}: holds too many values, or too many in each other")
        try:
            if isinstance(value, dict):
                for key in value:
                    check_key(key)
                waiting += [(inner, (*path, key)) for key, inner in value.items()]
            elif isinstance(value, list | tuple):
                waiting += [(inner, (*path, n)) for n, inner in enumerate(value)]
            elif isinstance(value, str):
                keys = [key for key in path if isinstance(key, str)]
                check_text(value, keys[-1] if keys else "")
            else:
                check_value(value)
        except GradscapeError as error:
            raise GradscapeError(f"{place(at, path)}: {error}") from None


def place(at: str, path: tuple) -> str:
    """Where a value stands: `config: studies.mine.title`."""
    key = ".".join(map(str, path))
    return at if not key else f"{at}: {key}" if at == "config" else f"{at}.{key}"


def check_key(key: Any) -> None:
    if not isinstance(key, str):
        raise GradscapeError(f"the key {key!r} is no text to YAML; put it in quotes")
    if len(key) > MAX_LETTERS_OF_KEY or control(key):
        raise GradscapeError(f"the key {key[:30]!r}… is no name")


def check_text(text: str, key: str) -> None:
    if len(text) > MAX_LETTERS:
        raise GradscapeError(f"has {len(text):,} characters, above {MAX_LETTERS:,}")
    if key in FILES and any(len(p) > MAX_IN_NAME for p in Path(text).parts):
        raise GradscapeError(f"has a name of more than {MAX_IN_NAME} characters in it")
    if odd := control(text):
        raise GradscapeError(f"the report cannot print {odd!a} (a control character)")


def control(text: str) -> str:
    """The first character that no text has; empty if it has none."""
    kinds = ("Cc", "Cs", "Cn")
    odd = (c for c in text if unicodedata.category(c) in kinds and c not in "\n\t")
    return next(odd, "")


def check_value(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise GradscapeError(f"{value} is no finite number")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise GradscapeError("is too large a number")
    if not isinstance(value, int | float | bool | None):
        kind = type(value).__name__
        raise GradscapeError(f"{str(value)[:60]} is a {kind} to YAML; put it in quotes")
