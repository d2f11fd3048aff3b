"""YAML and JSON files as mappings, or one sentence that names the file."""

import json
from pathlib import Path
from typing import Any

import yaml

from gradscape.base.errors import GradscapeError
from gradscape.base.files import bounded_file

MAX_BYTES = 2**22
MAX_VALUES = 200_000  # that a file unfolds to: a few anchors can stand for billions
DEEPEST = 100
# What YAML raises for text that is none, beside its own errors.
NOT_YAML = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError)


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Plain data, of which no more than `MAX_VALUES`, however they are written."""

    def get_single_node(self):
        node = super().get_single_node()
        if count(node, {}) > MAX_VALUES:
            raise ValueError(f"its anchors unfold to more than {MAX_VALUES:,} values")
        return node


def parse_yaml(text: str) -> Any:
    """Text as data. The loader in C is ten times as fast, but crashes on deeply nested
    text, so the depth is checked first."""
    depth = 0
    for event in yaml.parse(text, Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} deep")
    return yaml.load(text, Loader)


def count(node: yaml.Node | None, known: dict[int, float]) -> float:
    """How many values a node unfolds to; endless where it contains itself."""
    if isinstance(node, yaml.ScalarNode) or node is None:
        return 1
    if id(node) not in known:
        known[id(node)] = float("inf")  # as long as it is counted
        mapping = isinstance(node, yaml.MappingNode)
        inner = [n for pair in node.value for n in pair] if mapping else node.value
        known[id(node)] = 1 + sum(count(n, known) for n in inner)
    return known[id(node)]


def read_yaml(path: Path) -> dict:
    try:
        text = bounded_file(path, MAX_BYTES).read_text()
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
