"""An option in one line: its type, its range and what it means, as an annotation.

    images: Annotated[int, Range(2), "training images to measure on"] = 500

Options of a probe or a figure are keywords of its function, written like this. A run's
settings are fields of dataclasses, with what they mean in a sentence below. From these
lines come the JSON schema, the command line and the tables in `config/README.md`.
"""

import ast
from dataclasses import astuple, dataclass, field
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

REQUIRED = object()  # in place of a default where there is none
LATER = object()  # marks a setting that is not in a fingerprint while it has its default
LIMITS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
KINDS = {bool: "boolean", int: "integer", float: "number", str: "string"}


@dataclass(frozen=True)
class Range:
    """The numbers that an option accepts."""

    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None


@dataclass(frozen=True)
class Named:
    """A name of this kind in the registry; where `own`, also `path/file.py:function`. Some
    are `stored` under another name in records."""

    kind: str
    own: bool = False
    stored: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Unset:
    """The meaning of an option that is left out, in words."""

    means: str


@dataclass(frozen=True)
class Option:
    """One option: its name, type (None, if that may be anything), default and rules."""

    name: str
    type: type | None
    default: Any
    help: str = ""
    unset: str = ""  # what None means
    words: tuple = ()  # the only ones accepted
    range: Range = Range()
    named: Named | None = None
    later: bool = False

    @property
    def required(self) -> bool:
        return self.default is REQUIRED

    def as_stored(self, value: Any) -> Any:
        """A value as records have it: in their words, and `1` where `1.0` is whole."""
        if self.type is int and isinstance(value, float) and value.is_integer():
            return int(value)
        is_name = self.named is not None and isinstance(value, str)
        return self.named.stored.get(value, value) if is_name else value

    def schema(self) -> dict:
        """Its JSON schema. Names are left to the registry, which can suggest one."""
        if self.words:
            return {"enum": list(self.words)}
        limits = zip(LIMITS, astuple(self.range), strict=True)
        rules = {"type": KINDS.get(self.type), **dict(limits)}
        return {name: rule for name, rule in rules.items() if rule is not None}


def option(name: str, annotation: Any, default: Any = REQUIRED, help: str = "") -> Option:
    """An option from its annotation: `Annotated[types, help and rules …]`, or types."""
    extras: list = []
    if get_origin(annotation) is Annotated:
        annotation, *extras = get_args(annotation)
    rules = {type(extra): extra for extra in extras}
    is_union = get_origin(annotation) in (Union, UnionType)
    types = get_args(annotation) if is_union else [annotation]
    words = [word for t in types if get_origin(t) is Literal for word in get_args(t)]
    kinds = [t for t in types if isinstance(t, type) and t is not NoneType]
    return Option(
        name=name,
        type=str if words else next(iter(kinds), None),
        default=default,
        help=help or rules.get(str, ""),
        unset=rules.get(Unset, Unset("")).means,
        words=tuple(words),
        range=rules.get(Range, Range()),
        named=rules.get(Named),
        later=LATER in extras,
    )


def options_of(function: ast.FunctionDef) -> dict[str, Option]:
    """A function's options, from its source: parameters with defaults or after a `*`."""
    given = function.args
    plain = [*given.posonlyargs, *given.args]
    pairs = [*zip(plain[len(plain) - len(given.defaults) :], given.defaults, strict=True)]
    pairs += zip(given.kwonlyargs, given.kw_defaults, strict=True)
    known = {}
    for each, written in pairs:
        default = evaluate(written) if written else REQUIRED
        known[each.arg] = option(each.arg, evaluate(each.annotation), default)
    return known


# All that an annotation or a default may say; anything else is not looked at.
KNOWN: dict[str, Any] = {"int": int, "float": float, "bool": bool, "str": str}
KNOWN |= {"Annotated": Annotated, "Literal": Literal, "Range": Range, "Unset": Unset}


def evaluate(node: ast.expr | None) -> Any:
    """The value of an annotation or a default, without running any code."""
    try:
        match node:
            case ast.Name(name):
                return KNOWN.get(name)
            case ast.BinOp(left, ast.BitOr(), right):
                kind, other = evaluate(left), evaluate(right)
                return kind | other if callable(kind) else other
            case ast.Subscript(ast.Name(name), inside) if name in KNOWN:
                parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
                return KNOWN[name][tuple(map(evaluate, parts))]
            case ast.Call(ast.Name(name), positional, keywords) if name in KNOWN:
                words = {k.arg: evaluate(k.value) for k in keywords if k.arg}
                return KNOWN[name](*map(evaluate, positional), **words)
        return ast.literal_eval(node)
    except (TypeError, ValueError):
        return None
