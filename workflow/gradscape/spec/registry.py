"""The names that a configuration may use, found without importing what they name.

Reading a configuration or drawing a figure must not load torch, so names and options are
read from the source text. A name is a key of a table that a module spells out, or a file
whose function has the file's name; in place of most, `path/file.py:function` names one of
the user's own.
"""

import ast
import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

from gradscape.base.errors import GradscapeError, suggest
from gradscape.base.paths import COURSES, PACKAGE
from gradscape.spec.options import Option, options_of

BESIDE: dict[str, str] = {}  # modules that files of the user's own imported: the folders
BRACES = re.compile(r"\{(.*?)\}")
# For each kind, the files and the table in them; without one, the file names the function.
TABLES = {
    "model": ("models/*.py", "MODELS"),
    "dataset": ("data/datasets.py", "DATASETS"),
    "split": ("data/splits.py", "SPLITS"),
    "activation": ("models/blocks.py", "ACTIVATIONS"),
    "augmentation": ("training/augmentation.py", "POLICIES"),
    "normalisation": ("data/normalisation.py", "NORMALISATIONS"),
    "loss": ("training/losses.py", "LOSSES"),
    "optimiser": ("training/optimisers.py", "OPTIMISERS"),
    "schedule": ("training/schedules.py", "SCHEDULES"),
    "metric": ("claims/metrics.py", "METRICS"),
    "table": ("claims/tables.py", "TABLES"),
    "probe": ("probes/*.py", None),
    "figure": ("figures/*.py", None),
    "course": (f"{COURSES}/*.py", None),
}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@cache
def defined(path: Path) -> dict[str, ast.AST]:
    """The definitions at a file's top level: functions, classes, the expressions that names
    are assigned, and imports."""
    found: dict[str, ast.AST] = {}
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            found |= {t.id: node.value for t in node.targets if isinstance(t, ast.Name)}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name: node for alias in node.names}
    return found


@cache
def names(kind: str) -> dict[str, Path]:
    """Every name of a kind that the package has, and the file that defines it."""
    pattern, table = TABLES[kind]
    found: dict[str, Path] = {}
    folder, _, files = pattern.rpartition("/")
    for path in sorted((PACKAGE / folder).glob(files)):
        text = path.read_text("utf-8")
        if table is None:
            if f"\ndef {path.stem}(" in text:
                found[path.stem] = path
        elif f"\n{table} = {{" in text:  # parsing takes longer
            entries = defined(path)[table]
            found |= {name: path for key in entries.keys for name in spelt(key.value)}
    return found


def spelt(key: str) -> dict[str, tuple[str, ...]]:
    """The names that a table's key stands for, with what each takes of its braces.

    >>> spelt("widest"), spelt("median_{loss,beta}")
    ({'widest': ()}, {'median_loss': ('loss',), 'median_beta': ('beta',)})
    """
    fixed, choices = BRACES.split(key)[::2], BRACES.findall(key)
    return {
        fixed[0] + "".join(map(str.__add__, words, fixed[1:])): words
        for words in product(*(choice.split(",") for choice in choices))
    }


def is_custom(name: str) -> bool:
    """Tell whether a name is one of the user's own, `path/file.py:function`."""
    return ".py:" in name


def own_names(settings: Mapping[str, object]) -> dict[str, str]:
    """The settings that name something of the user's own, with that name."""
    return {key: str(value) for key, value in settings.items() if is_custom(str(value))}


def short(name: str) -> str:
    """A name as it is used in file names: for the user's own, the function's.

    >>> short("mine/nets.py:wide"), short("photos/"), short("a/shapes.npz"), short("vgg08")
    ('wide', 'photos', 'shapes', 'vgg08')
    """
    return name.split(":")[-1] if is_custom(name) else Path(name).stem


def check(kind: str, name: str) -> None:
    """Raise `GradscapeError` unless there is such a model, probe, … by that name."""
    if not is_custom(name):
        if name not in names(kind):
            raise GradscapeError(f"unknown {kind} {name!r}{suggest(name, names(kind))}")
        return
    path = source(kind, name)
    if not path.is_file():
        raise GradscapeError(f"unknown {kind} {name!r}: no file {path}")
    try:
        known = defined(path)
    except (SyntaxError, ValueError) as error:
        raise GradscapeError(f"{kind} {name!r}: {path} is not Python ({error})") from None
    if short(name) not in known:
        raise GradscapeError(f"unknown {kind} {name!r}: {path} defines no {short(name)!r}")


def source(kind: str, name: str) -> Path:
    """The file that defines a name: `path/file.py` of the user's own."""
    return Path(name.rpartition(":")[0]) if is_custom(name) else names(kind)[name]


def find(kind: str, name: str) -> Any:
    """The function, class or value that a name stands for; imports what defines it. Raises
    `GradscapeError` for an unknown name."""
    check(kind, name)
    path, table = source(kind, name), TABLES[kind][1]
    if is_custom(name) or not path.is_relative_to(PACKAGE):
        return getattr(own_module(path), short(name))
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    module = import_module(".".join(parts))
    if table is None:
        return getattr(module, name)
    entries = getattr(module, table)
    if name in entries:
        return entries[name]
    chosen = ((make, spelt(key)) for key, make in entries.items())
    return next(make(*words[name]) for make, words in chosen if name in words)


@cache
def own_module(path: Path) -> ModuleType:
    """A file of the user's own, which may import others from beside itself, as a script
    may; one of the same name beside another file is not taken for it."""
    folder = str(path.parent.resolve())
    for name in [n for n, of in BESIDE.items() if of != folder]:
        if (path.parent / f"{name}.py").exists():
            sys.modules.pop(name, None)
    known = set(sys.modules)
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        raise GradscapeError(f"{path}: cannot be imported ({error})") from error
    finally:
        sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)  # for imports inside functions, behind all others
    BESIDE.update(dict.fromkeys(sys.modules.keys() - known, folder))
    return module


def beside(path: Path) -> set[Path]:
    """The files beside one of the user's own that it imports, also inside its functions."""
    names = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    folders = [path.parent.joinpath(*name.split(".")) for name in names]
    files = {f.with_suffix(".py") for f in folders} | {f / "__init__.py" for f in folders}
    return {file for file in files if file.is_file()}


@cache
def options(kind: str, name: str) -> dict[str, Option] | None:
    """The keywords of a name's function; None if the source text does not tell. Raises
    `GradscapeError` for an unknown name."""
    check(kind, name)
    path, table = source(kind, name), TABLES[kind][1]
    if table is None or is_custom(name):
        return keywords(ast.Name(short(name)), path)
    entries = defined(path)[table]
    pairs = zip(entries.keys, entries.values, strict=True)
    return keywords(next(value for key, value in pairs if key.value == name), path)


def keywords(made: ast.AST | None, path: Path) -> dict[str, Option] | None:
    """Those of a function, of a class's `__init__`, or of `partial(function, width=8)` but
    for `width`, as `path` defines them; None for anything else."""
    match made:
        case ast.FunctionDef():
            return options_of(made)
        case ast.Name(id):
            return keywords(defined(path).get(id), path)
        case ast.ClassDef(body=body):
            inits = (node for node in body if getattr(node, "name", "") == "__init__")
            return keywords(next(inits, None), path)
        case ast.Call(args=[function, *_], keywords=given):
            known, decided = keywords(function, path), {word.arg for word in given}
            return known and {n: known[n] for n in known if n not in decided}
    return None


def declared(kind: str, name: str, constant: str, default: Any = None) -> Any:
    """A plain value that the file of a name assigns to `constant` at its top level."""
    value = defined(source(kind, name)).get(constant)
    return default if value is None else ast.literal_eval(value)
