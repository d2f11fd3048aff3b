"""Which files of code a job's result depends on: what its module imports, and so on.

They are inputs of the job, judged by content, so that a change in a network trains its
runs again and a change in a figure draws that figure. Read from the source text, because
importing takes seconds. Whatever cannot change a result is left out, or a better progress
bar would cost weeks of training.
"""

import ast
from functools import cache
from pathlib import Path

from gradscape import registry
from gradscape.layout import PACKAGE, nearby

# Modules that a result does not depend on, or only through what is an input by itself.
WITHOUT_EFFECT = {
    "__init__",  # the version
    "errors",  # sentences
    "files",  # writing whole files, locking
    "registry",  # finds modules, which are listed by themselves
    "options",  # describes settings and options, which are parameters of the rules
    "settings",
    "study",
    "layout",  # paths, likewise
    "data/datasets",  # the data itself is an input, checked by its checksum
    "data/store",
    "engine/checkpoint",  # resuming ends in the same bytes
    "engine/lease",
    "engine/progress",
    "engine/record",
}


@cache
def imports(path: Path) -> frozenset[Path]:
    """The package's modules that a file imports, also inside its functions."""
    found = set()
    for node in ast.walk(registry.tree(path)):
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            wanted = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
        else:
            continue
        for name in wanted:
            first, *rest = name.split(".")
            if first == PACKAGE.name:
                below = PACKAGE.joinpath(*rest)
                found |= {below.with_suffix(".py"), below / "__init__.py"}
    return frozenset(path for path in found if path.is_file())


def closure(*starts: Path) -> list[Path]:
    """These files and all that they import, without what has no effect on results."""
    found, waiting = set(), list(starts)
    while waiting:
        path = waiting.pop()
        if path not in found and not has_no_effect(path):
            found.add(path)
            waiting += imports(path)
    return sorted(found)


def has_no_effect(path: Path) -> bool:
    if not path.is_relative_to(PACKAGE):
        return False
    return path.relative_to(PACKAGE).with_suffix("").as_posix() in WITHOUT_EFFECT


def modules(*names: str) -> list[str]:
    """The closure of the package's modules `engine/train`, …, as a rule's input."""
    return [nearby(p) for p in closure(*(PACKAGE / f"{name}.py" for name in names))]


def named(kind: str, *names: str) -> list[str]:
    """The closure of what the names of that kind stand for, as a rule's input."""
    return [nearby(p) for p in closure(*(registry.source(kind, name) for name in names))]
