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
    many = {
        name: {"type": "array", "minItems": 1, "items": spec} for name, spec in one.items()
    }
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
        raise GradscapeError(describe(closest(errors), at))


def closest(errors: list[ValidationError]) -> ValidationError:
    """The most telling error: of the outermost, a misspelt key before a missing one. In a
    value that may have several forms, the error in the form that has its type."""
    error = min(errors, key=lambda e: (len(e.path), e.validator != UNKNOWN, e.message))
    forms = [e for e in error.context or [] if e.path or e.validator not in FORM]
    return closest(forms) if forms else error


def describe(error: ValidationError, at: str) -> str:
    """One sentence for a JSON-schema error, naming the key where it stands."""
    key = place(at, tuple(error.absolute_path))
    if error.validator == UNKNOWN:
        known = error.schema.get("properties", {})
        unknown = [name for name in error.instance if name not in known]
        hint = suggest(unknown[0], known) if known else " (there are no options)"
        return f"{key}: unknown key {unknown[0]!r}{hint}"
    if error.validator == "pattern" and "propertyNames" in error.absolute_schema_path:
        return f"{key}: {error.instance!r} is not a name: use up to 64 of a-z, 0-9 and '-'"
    if error.validator == "pattern":
        why = "it has braces, or starts with '-'"
        return f"{key}: {error.instance!r} cannot be used: {why}"
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"{key}: the key {missing[0]!r} is missing"
    if error.validator == "enum":
        words = [str(word) for word in error.validator_value]
        return f"{key}: unknown value {error.instance!r}{suggest(error.instance, words)}"
    if error.validator in ("type", "anyOf") and isinstance(error.instance, str):
        with suppress(ValueError):
            number = f"{float(error.instance):.1e}"
            return (
                f"{key}: {error.instance!r} is text to YAML, not a number; write {number}"
            )
    if error.validator in ("minItems", "minProperties"):
        return f"{key}: is empty, so there is nothing to run"
    if error.context:
        forms = ", ".join(str(e.validator_value) for e in error.context)
        return f"{key}: {error.instance!r} is none of {forms}"
    return f"{key}: {error.message}"
