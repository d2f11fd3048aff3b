"""An option in one line: its type, its range and what it means, as an annotation.

    learning_rate: Annotated[float, Range(above=0), "base rate"] = 1e-3

A run's settings are fields of a dataclass written like this; options of a probe or figure
are keywords of its function. The JSON schema, the command line and the tables in
`config/README.md` are made from these lines.
"""

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import NoneType, UnionType
from typing import Annotated, Any, get_args, get_origin

import yaml

REQUIRED = object()  # in place of a default where there is none


@dataclass(frozen=True)
class Range:
    """Which numbers are accepted."""

    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None

    def schema(self) -> dict:
        keywords = {
            "minimum": self.minimum,
            "maximum": self.maximum,
            "exclusiveMinimum": self.above,
            "exclusiveMaximum": self.below,
        }
        return {key: value for key, value in keywords.items() if value is not None}


@dataclass(frozen=True)
class OneOf:
    """Which words are accepted."""

    words: tuple[str, ...]

    def schema(self) -> dict:
        return {"enum": list(self.words)}


@dataclass(frozen=True)
class Named:
    """A name of that kind in the registry; where `own`, also `path/file.py:function`."""

    kind: str
    own: bool = False

    def schema(self) -> dict:
        return {}  # the registry checks it, and can suggest a name


@dataclass(frozen=True)
class Unset:
    """What it means if the option is left out."""

    means: str


class Mark(Enum):
    """What else there is to know about a setting."""

    MODEL = auto()  # a keyword of the model's constructor
    LATER = auto()  # not part of a fingerprint while it has its default


@dataclass(frozen=True)
class Option:
    """Name, types (with NoneType, if it may be unset), default and rules of one option."""

    name: str
    types: tuple[type, ...]
    default: Any
    rules: tuple[Range | OneOf | Named, ...] = ()
    help: str = ""
    unset: str = ""
    marks: tuple[Mark, ...] = ()

    @property
    def required(self) -> bool:
        return self.default is REQUIRED

    @property
    def type(self) -> type | None:
        """The type of its values; None if that may be anything."""
        return next((t for t in self.types if t is not NoneType), None)

    def schema(self) -> dict:
        """Its JSON schema."""
        kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
        schema = {"type": kinds[self.type]} if self.type in kinds else {}
        for rule in self.rules:
            schema |= rule.schema()
        if "enum" in schema:
            del schema["type"]
        return schema


def option(name: str, annotation: Any, default: Any = REQUIRED) -> Option:
    """An option from its annotation: `Annotated[types, rules and help …]`, or types."""
    extras: list = []
    if get_origin(annotation) is Annotated:
        annotation, *extras = get_args(annotation)

    def of(*kinds: type) -> tuple:
        return tuple(extra for extra in extras if isinstance(extra, kinds))

    union = isinstance(annotation, UnionType)
    types = get_args(annotation) if union else (annotation,)
    return Option(
        name=name,
        types=tuple(t for t in types if isinstance(t, type)),
        default=default,
        rules=of(Range, OneOf, Named),
        help="".join(of(str)),
        unset="".join(unset.means for unset in of(Unset)),
        marks=of(Mark),
    )


def options_of(function: ast.FunctionDef) -> dict[str, Option]:
    """What a function takes by keyword, from its source text: its parameters with defaults,
    and those after a `*`."""
    arguments = function.args
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + arguments.defaults
    pairs = [*zip(plain, defaults, strict=True)]
    given = [default or REQUIRED for default in arguments.kw_defaults]
    pairs += zip(arguments.kwonlyargs, given, strict=True)
    return {
        argument.arg: option(
            argument.arg,
            evaluate(argument.annotation),
            REQUIRED if default is REQUIRED else evaluate(default),
        )
        for argument, default in pairs
        if default is not None
    }


# All that an annotation or a default may say; anything else is not looked at.
WORDS: dict[str, Any] = {"int": int, "float": float, "bool": bool, "str": str}
CALLS: dict[str, Callable] = {"Range": Range, "Unset": Unset}


def evaluate(node: ast.expr | None) -> Any:
    """The value of an annotation or a default, without running any code."""
    if isinstance(node, ast.Name):
        return WORDS.get(node.id)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        left, right = evaluate(node.left), evaluate(node.right)
        return left | right if left and isinstance(left, type) else right
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
        if isinstance(node.value, ast.Name) and node.value.id == "Annotated":
            return Annotated[tuple(map(evaluate, node.slice.elts))]
        return None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        words = {k.arg: evaluate(k.value) for k in node.keywords if k.arg}
        call = CALLS.get(node.func.id)
        return call(*map(evaluate, node.args), **words) if call else None
    try:
        return ast.literal_eval(node) if node is not None else None
    except ValueError:
        return None


def coerce_integers(values: dict, options: Mapping[str, Option]) -> dict:
    """The values, with `1` for `1.0` where a whole number is wanted; a schema takes it."""

    def whole(value: Any) -> Any:
        if isinstance(value, list):
            return [whole(item) for item in value]
        is_whole = isinstance(value, float) and value.is_integer()
        return int(value) if is_whole else value

    wanted = {name for name, option in options.items() if option.type is int}
    return {k: whole(v) if k in wanted else v for k, v in values.items()}


def table(options: Iterable[Option]) -> str:
    """The options as rows of a Markdown table: key, default, meaning."""
    rows = ["| key | default | meaning |", "|---|---|---|"]
    rows += [f"| `{o.name}` | {default_text(o)} | {o.help} |" for o in options]
    return "\n".join(rows)


def default_text(option: Option) -> str:
    """The default as Markdown: as YAML writes it, or in words."""
    if option.required:
        return "required"
    if option.default is None:
        return option.unset or "none"
    return f"`{yaml.safe_dump(option.default).splitlines()[0]}`"
