"""Is a configuration well formed? If not, one sentence names the key."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from gradscape.base import paths
from gradscape.base.errors import GradscapeError, suggest
from gradscape.config.limits import check_plain, place
from gradscape.config.yaml import read_yaml
from gradscape.spec.options import Option
from gradscape.spec.settings import SETTINGS


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
    definitions = whole["$defs"]
    definitions["settings"]["properties"] = one
    definitions["where"]["properties"] = either
    study = whole["properties"]["studies"]["additionalProperties"]["properties"]
    study["grid"]["properties"] = many
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


def validate_options(given: Mapping, options: dict[str, Option] | None, at: str) -> None:
    """Check a probe's or a figure's options against what its function takes."""
    if options is not None:
        properties = {name: option.schema() for name, option in options.items()}
        rules = {"type": "object", "additionalProperties": False, "properties": properties}
        check(Draft202012Validator(rules), dict(given), at)


def check(rules: Draft202012Validator, config: Any, at: str) -> None:
    check_plain(config, at)
    errors = list(rules.iter_errors(config))
    if errors:
        error = min(errors, key=lambda e: (len(e.path), e.message))
        raise GradscapeError(describe(closest(error), at))


def closest(error: ValidationError) -> ValidationError:
    """If a value may have several forms, what is wrong with the one it resembles most,
    judged by its type."""
    wrong_types = {e.schema_path[0] for e in error.context or [] if e.validator == "type"}
    wrong_types |= {e.schema_path[0] for e in error.context or [] if e.validator == "const"}
    inside = [e for e in error.context or [] if e.schema_path[0] not in wrong_types]
    if error.validator != "anyOf" or not inside:
        return error
    return closest(min(inside, key=lambda e: len(e.path)))


def describe(error: ValidationError, at: str) -> str:
    """One sentence for a JSON-schema error, naming the key where it stands."""
    key = place(at, tuple(error.absolute_path))
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        unknown = [name for name in error.instance if name not in known]
        hint = suggest(unknown[0], known) if known else " (there are no options)"
        return f"{key}: unknown key {unknown[0]!r}{hint}"
    if error.validator == "pattern" and "propertyNames" in error.absolute_schema_path:
        return f"{key}: {error.instance!r} is not a name: use up to 64 of a-z, 0-9 and '-'"
    if error.validator == "pattern":
        return (
            f"{key}: {error.instance!r} cannot be used: it has braces, or starts with '-'"
        )
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"{key}: the key {missing[0]!r} is missing"
    if error.validator == "enum":
        words = [str(word) for word in error.validator_value]
        return f"{key}: unknown value {error.instance!r}{suggest(error.instance, words)}"
    if error.validator in ("type", "anyOf") and isinstance(error.instance, str):
        try:
            number = float(error.instance)
            return (
                f"{key}: {error.instance!r} is text to YAML, not a number; "
                f"write {number:.1e}"
            )
        except ValueError:
            pass
    if error.validator in ("minItems", "minProperties"):
        return f"{key}: is empty, so there is nothing to run"
    return f"{key}: {error.message}"
