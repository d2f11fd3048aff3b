"""An option in one line: its type, its range and what it means, as an annotation.

    images: Annotated[int, Range(2), "training images to measure on"] = 500

Options of a probe or a figure are keywords of its function, written like this. A run's
settings are fields of dataclasses, with what they mean in a sentence below. From these
lines come the JSON schema, the command line and the tables in `config/README.md`.
"""

import ast
from collections.abc import Callable
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
    """A name of this kind in the registry; where `own`, also `path/file.py:function`."""

    kind: str
    own: bool = False


@dataclass(frozen=True)
class Unset:
    """The meaning of an option that is left out, in words."""

    means: str


@dataclass(frozen=True)
class Spelt:
    """Words of a configuration, and how records spell them."""

    stored: dict[str, str]


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
    stored: dict = field(default_factory=dict)  # words, as records spell them
    later: bool = False

    @property
    def required(self) -> bool:
        return self.default is REQUIRED

    def as_stored(self, value: Any) -> Any:
        """A value as records have it: in their words, and `1` where `1.0` is whole."""
        if self.type is int and isinstance(value, float) and value.is_integer():
            return int(value)
        return self.stored.get(value, value) if isinstance(value, str) else value

    def schema(self) -> dict:
        """Its JSON schema. Names are left to the registry, which can suggest one."""
        if self.words:
            return {"enum": list(self.words)}
        limits = zip(LIMITS, astuple(self.range), strict=True)
        kind = {"type": KINDS[self.type]} if self.type in KINDS else {}
        return kind | {name: limit for name, limit in limits if limit is not None}


def option(name: str, annotation: Any, default: Any = REQUIRED, help: str = "") -> Option:
    """An option from its annotation: `Annotated[types, help and rules …]`, or types."""
    extras: list = []
    if get_origin(annotation) is Annotated:
        annotation, *extras = get_args(annotation)

    def given(kind: type, otherwise: Any) -> Any:
        return next((extra for extra in extras if isinstance(extra, kind)), otherwise)

    union = get_origin(annotation) in (Union, UnionType)
    types = [t for t in (get_args(annotation) if union else [annotation]) if t]
    literals = [t for t in types if get_origin(t) is Literal]
    kinds = [t for t in types if isinstance(t, type) and t is not NoneType]
    return Option(
        name=name,
        type=str if literals else next(iter(kinds), None),
        default=default,
        help=help or given(str, ""),
        unset=given(Unset, Unset("")).means,
        words=tuple(word for literal in literals for word in get_args(literal)),
        range=given(Range, Range()),
        named=given(Named, None),
        stored=given(Spelt, Spelt({})).stored,
        later=LATER in extras,
    )


def options_of(function: ast.FunctionDef) -> dict[str, Option]:
    """A function's options, from its source text: its parameters with defaults, and all
    after a `*`."""
    given = function.args
    plain = [*given.posonlyargs, *given.args]
    plain = plain[len(plain) - len(given.defaults) :]
    pairs = [*zip(plain, given.defaults, strict=True)]
    pairs += zip(given.kwonlyargs, given.kw_defaults, strict=True)
    return {
        each.arg: option(
            each.arg,
            evaluate(each.annotation),
            evaluate(default) if default else REQUIRED,
        )
        for each, default in pairs
    }


# All that an annotation or a default may say; anything else is not looked at.
WORDS: dict[str, Any] = {"int": int, "float": float, "bool": bool, "str": str}
CALLS: dict[str, Callable] = {"Range": Range, "Unset": Unset}
FORMS: dict[str, Any] = {"Annotated": Annotated, "Literal": Literal}


def evaluate(node: ast.expr | None) -> Any:
    """The value of an annotation or a default, without running any code."""
    match node:
        case ast.Name(name):
            return WORDS.get(name)
        case ast.BinOp(left, ast.BitOr(), right):
            kind, other = evaluate(left), evaluate(right)
            return kind | other if callable(kind) else other
        case ast.Subscript(ast.Name(name), inside) if name in FORMS:
            many = isinstance(inside, ast.Tuple)
            return FORMS[name][tuple(map(evaluate, inside.elts if many else [inside]))]
        case ast.Call(ast.Name(name), positional, keywords) if name in CALLS:
            words = {k.arg: evaluate(k.value) for k in keywords if k.arg}
            return CALLS[name](*map(evaluate, positional), **words)
    try:
        return ast.literal_eval(node) if node is not None else None
    except ValueError:
        return None
