"""Words that a configuration may use for others: those of earlier versions, and those that
records spell otherwise."""

from typing import Any

from gradscape.base.errors import GradscapeError
from gradscape.config.schema import validate
from gradscape.spec.settings import SETTINGS

RENAMED = {"seeds": "max_seeds", "most_runs": "max_runs"}
RENAMED_IN_STUDIES = {"published": "literature"}
STORED = {name: option.stored for name, option in SETTINGS.items() if option.stored}


def modernise(config: dict, at: str) -> dict:
    """A configuration in today's words, with the values of settings as records have them.

    Raises `GradscapeError` where an old word stands beside the one that replaces it.
    """
    config = rename(stored(config), RENAMED, at)
    studies = config.get("studies")
    if not isinstance(studies, dict):
        return config  # the schema says what is wrong with it
    return config | {
        "studies": {
            name: modernise_study(study, f"{at}: studies.{name}")
            if isinstance(study, dict)
            else study
            for name, study in studies.items()
        }
    }


def stored(value: Any, key: str = "") -> Any:
    """Data in which each setting's value is spelt as records spell it.

    >>> stored({"where": {"split": ["last-10-percent"]}, "title": "last-10-percent"})
    {'where': {'split': ['alberta']}, 'title': 'last-10-percent'}
    """
    if isinstance(value, dict):
        return {name: stored(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [stored(item, key) for item in value]
    return STORED[key].get(value, value) if key in STORED else value


def rename(mapping: dict, words: dict[str, str], at: str) -> dict:
    for old, new in words.items():
        if old in mapping and new in mapping:
            raise GradscapeError(f"{at}: {old!r} is the old word for {new!r}; drop it")
    return {words.get(key, key): value for key, value in mapping.items()}


def modernise_study(study: dict, at: str) -> dict:
    """A study whose `exceptions` are what it excludes and what it overrides."""
    study = rename(study, RENAMED_IN_STUDIES, at)
    if "exceptions" not in study:
        return study
    if both := study.keys() & {"exclude", "override"}:
        raise GradscapeError(
            f"{at}: 'exceptions' is an old word for {both.pop()!r}; drop it"
        )
    exceptions = study.pop("exceptions")
    if exceptions is None:
        return study | {"exclude": None, "override": None}
    validate(exceptions, f"{at}.exceptions", "exceptions")
    changed: set[str] = set()
    for exception in exceptions:
        if exception.get("skip") and changed & exception["where"].keys():
            raise GradscapeError(
                f"{at}.exceptions: skips by a setting that it has set before; write "
                "`exclude` and `override`, which apply in this order"
            )
        changed |= exception.get("set", {}).keys()
    return study | {
        "exclude": [e["where"] for e in exceptions if e.get("skip")],
        "override": [
            {"where": e["where"], "set": e["set"]}
            for e in exceptions
            if "set" in e and not e.get("skip")
        ],
    }
