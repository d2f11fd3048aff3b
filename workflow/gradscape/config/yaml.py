"""YAML and JSON files as mappings of plain text and finite numbers, and not too much of
either, or one sentence that names the file and key. YAML reads more than that: dates, sets,
bytes, infinities."""

import json
import math
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from gradscape.base.errors import GradscapeError
from gradscape.base.files import bounded_file
from gradscape.config.keys import check_keys

MAX_BYTES = 2**22
MAX_VALUES = 200_000  # of a file, whose anchors can stand for billions
MAX_OPEN = 100  # collections of a file in each other
MAX_DEPTH = 30  # of a configuration's values in each other
MAX_CHARACTERS = 10_000  # of a text
MAX_IN_KEY = 200  # characters
MAX_IN_NAME = 255  # characters of a file or folder
FILES = {"results", "data_dir", "weights", "extends", "section", "claims", "literature"}
FILES |= {"model", "dataset"}
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# YAML raises these for text that is none.
NOT_YAML = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError)


def read_yaml(path: Path) -> dict:
    """The mapping in a file. Raises `GradscapeError` if there is none."""
    try:
        text = bounded_file(path, MAX_BYTES).read_text("utf-8")
        if path.suffix == ".json":  # to YAML, the 1e-05 that JSON writes is text
            content = json.loads(text)
        else:
            check_size(text)
            check_keys(text, LOADER)
            content = yaml.load(text, LOADER)
    except OSError as error:
        raise GradscapeError(f"{path}: cannot be read ({error.strerror})") from None
    except (RecursionError, *NOT_YAML) as error:
        deep = isinstance(error, RecursionError)
        reason = "it is nested too deeply" if deep else " ".join(str(error).split())
        raise GradscapeError(f"{path}: cannot be parsed ({reason})") from None
    if not isinstance(content, dict):
        raise GradscapeError(f"{path}: is not a mapping of keys to values")
    return content


def check_size(text: str) -> None:
    """Raise `ValueError` for text that unfolds to too many values, or is nested too deeply:
    the loader in C, ten times as fast as Python's, would crash."""
    sizes: dict[str, float] = {}  # values that each anchor stands for
    around: list[tuple[str | None, float]] = []  # anchor and size of what is open
    size: float = 0
    for event in yaml.parse(text, LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            around.append((event.anchor, size))
            sizes[event.anchor] = math.inf  # within itself
            size = 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = around.pop()
            sizes[anchor] = size
            size += before
        elif isinstance(event, yaml.AliasEvent):
            size += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.ScalarEvent):
            size += 1
            sizes[event.anchor] = 1
        if len(around) > MAX_OPEN:
            raise ValueError(f"it is nested more than {MAX_OPEN} deep")
    if size > MAX_VALUES:
        raise ValueError(f"its anchors unfold to more than {MAX_VALUES:,} values")


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
            for name in value:
                if not isinstance(name, str):
                    return f"the key {name!r} is no text to YAML; put it in quotes"
                if len(name) > MAX_IN_KEY or control(name):
                    return f"the key {name[:30]!r}… is no name"
        case str() if len(value) > MAX_CHARACTERS:
            return f"has {len(value):,} characters, above {MAX_CHARACTERS:,}"
        case str() if (
            key in FILES and max(map(len, Path(value).parts), default=0) > MAX_IN_NAME
        ):
            return f"has a name of more than {MAX_IN_NAME} characters in it"
        case str() if odd := control(value):
            return f"the report cannot print {odd!a} (a control character)"
        case float() if not math.isfinite(value):
            return f"{value} is no finite number"
        case int() if abs(value) >= 2**63:
            return "is too large a number"
        case str() | int() | float() | None | list() | tuple():
            return ""
        case _:
            kind = type(value).__name__
            return f"{str(value)[:60]} is a {kind} to YAML; put it in quotes"
    return ""


def control(text: str) -> str:
    """The first character that no text has; empty if it has none."""
    kinds = ("Cc", "Cs", "Cn")
    odd = (c for c in text if unicodedata.category(c) in kinds and c not in "\n\t")
    return next(odd, "")


def numbers(value):
    """A value with its numbers as numbers: 1e-3 is text to YAML."""
    if isinstance(value, list):
        return list(map(numbers, value))
    if isinstance(value, dict):
        return {key: numbers(entry) for key, entry in value.items()}
    with suppress(TypeError, ValueError):
        return float(value) if isinstance(value, str) else value
    return value
