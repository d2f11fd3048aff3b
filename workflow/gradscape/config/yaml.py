"""YAML and JSON files as mappings, or one sentence that names the file."""

import json
import math
from pathlib import Path
from typing import Any

import yaml

from gradscape.base.errors import GradscapeError
from gradscape.base.files import bounded_file

MAX_BYTES = 2**22
MAX_VALUES = 200_000  # of a file, whose anchors can stand for billions
MAX_DEPTH = 100
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# YAML raises these for text that is none.
NOT_YAML = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError)


def parse_yaml(text: str) -> Any:
    check_size(text)
    return yaml.load(text, LOADER)


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
        if len(around) > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
    if size > MAX_VALUES:
        raise ValueError(f"its anchors unfold to more than {MAX_VALUES:,} values")


def read_yaml(path: Path) -> dict:
    """The mapping in a file. Raises `GradscapeError` if there is none."""
    try:
        text = bounded_file(path, MAX_BYTES).read_text("utf-8")
        # JSON by its own reader: to YAML, the 1e-05 that JSON writes is text.
        content = json.loads(text) if path.suffix == ".json" else parse_yaml(text)
    except OSError as error:
        raise GradscapeError(f"{path}: cannot be read ({error.strerror})") from None
    except RecursionError:
        raise GradscapeError(
            f"{path}: cannot be parsed (it is nested too deeply)"
        ) from None
    except NOT_YAML as error:
        reason = " ".join(str(error).split())
        raise GradscapeError(f"{path}: cannot be parsed ({reason})") from None
    if not isinstance(content, dict):
        raise GradscapeError(f"{path}: is not a mapping of keys to values")
    return content
