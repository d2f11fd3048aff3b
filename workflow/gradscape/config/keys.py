"""A key that stands twice in a mapping: YAML would keep the last without a word."""

from collections import Counter

import yaml


def check_keys(text: str, loader: type) -> None:
    """Raise `ValueError` for the first such key of a YAML text."""
    waiting, seen = [yaml.compose(text, loader)], set()
    while waiting:
        node = waiting.pop()
        if not isinstance(node, yaml.CollectionNode) or id(node) in seen:
            continue
        seen.add(id(node))
        inner = node.value
        if isinstance(node, yaml.MappingNode):
            names = Counter(key.value for key, _ in inner if isinstance(key.value, str))
            names["<<"] = 0  # merging twice is no mistake
            if twice := [name for name, count in names.items() if count > 1]:
                line = node.start_mark.line + 1
                raise ValueError(f"the key {twice[0]!r} stands twice below line {line}")
            inner = [one for pair in inner for one in pair]
        waiting += inner
