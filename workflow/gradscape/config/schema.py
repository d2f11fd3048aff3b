"""The form of a configuration: one sentence names a key or value that it cannot have."""

from contextlib import suppress
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from gradscape.base import paths
from gradscape.base.errors import GradscapeError, suggest
from gradscape.config.yaml import check_plain, place, read_yaml
from gradscape.spec.registry import options
from gradscape.spec.settings import SETTINGS

UNKNOWN = "additionalProperties"  # what JSON schema calls a key that it does not know
FORM = ("type", "const")


@cache
def schema() -> dict:
    """The schema of a configuration, with every setting wherever one is allowed."""
    whole = read_yaml(paths.SCHEMA)
    one = {name: option.schema() for name, option in SETTINGS.items()}
    several = {"type": "array", "minItems": 1}
    many = {name: several | {"items": spec} for name, spec in one.items()}
    either = {name: {"anyOf": [one[name], many[name]]} for name in one}
    text = {"type": "string"}
    either["variant"] = {"anyOf": [text, {"type": "array", "items": text}]}
    for name, settings in (("settings", one), ("where", either), ("grid", many)):
        whole["$defs"][name]["properties"] = settings
    study = whole["properties"]["studies"]["additionalProperties"]["properties"]
    study |= one
    return whole


@cache
def validator(part: str = "") -> Draft202012Validator:
    """For a whole configuration, or for a part that has a name in its `$defs`."""
    whole = schema()
    if part:
        whole = {"$ref": f"#/$defs/{part}", "$defs": whole["$defs"]}
    return Draft202012Validator(whole)


def validate(config: Any, at: str = "config", part: str = "") -> None:
    """Raise `GradscapeError` with the most telling error in `config`, if any."""
    check(validator(part), config, at)


def check_options(kind: str, name: str, given: dict, at: str) -> dict:
    """The options of a probe or a figure, as its function takes them; raises
    `GradscapeError` for one that is unknown, missing or of another form."""
    known = options(kind, name)
    if known is None:
        return given
    rules = {
        "type": "object",
        "additionalProperties": False,
        "properties": {key: option.schema() for key, option in known.items()},
        "required": [key for key, option in known.items() if option.required],
    }
    check(Draft202012Validator(rules), given, at)
    return {key: known[key].as_stored(value) for key, value in given.items()}


def check(rules: Draft202012Validator, config: Any, at: str) -> None:
    check_plain(config, at)
    if errors := list(rules.iter_errors(config)):
        error = closest(errors)
        raise GradscapeError(f"{place(at, tuple(error.absolute_path))}: {describe(error)}")


def closest(errors: list[ValidationError]) -> ValidationError:
    """The most telling error: of the outermost, a misspelt key before a missing one. In a
    value that may have several forms, the error in the form that has its type."""
    error = min(errors, key=lambda e: (len(e.path), e.validator != UNKNOWN, e.message))
    forms = [e for e in error.context or [] if e.path or e.validator not in FORM]
    return closest(forms) if forms else error


def describe(error: ValidationError) -> str:
    """The fault that a JSON-schema error stands for, as the end of a sentence."""
    value = error.instance
    match error.validator:
        case "additionalProperties":
            known = error.schema.get("properties", {})
            unknown = next(name for name in value if name not in known)
            hint = suggest(unknown, known) if known else " (there are no options)"
            return f"unknown key {unknown!r}{hint}"
        case "pattern" if "propertyNames" in error.absolute_schema_path:
            return f"{value!r} is not a name: use up to 64 of a-z, 0-9 and '-'"
        case "pattern":
            wrong = "has braces or a line break, starts with '-', or is too long or empty"
            return f"{value!r} cannot be used: it {wrong}"
        case "required":
            missing = next(name for name in error.validator_value if name not in value)
            return f"the key {missing!r} is missing"
        case "enum":
            known = map(str, error.validator_value)
            return f"unknown value {value!r}{suggest(value, known)}"
        case "minItems" | "minProperties":
            return "is empty, so there is nothing to run"
        case "type" | "anyOf" if isinstance(value, str):
            with suppress(ValueError):
                return f"{value!r} is text to YAML, not a number; write {float(value):.1e}"
    if error.context:
        forms = ", ".join(str(e.validator_value) for e in error.context)
        return f"{value!r} is none of {forms}"
    return error.message
