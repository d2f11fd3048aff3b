"""Words that a configuration may use for others: those of earlier versions, and those that
records spell otherwise."""

from typing import Any

from gradscape.base.errors import GradscapeError
from gradscape.config.schema import validate
from gradscape.spec.settings import SETTINGS

RENAMED = {"seeds": "max_seeds", "most_runs": "max_runs"}
RENAMED_IN_STUDIES = {"published": "literature"}
RENAMED_FIGURES = {"against": "lines", "rate_map": "heat_map"}


def modernise(config: dict, at: str) -> dict:
    """A configuration in today's words, with the values of settings as records have them.
    Raises `GradscapeError` where an old word stands beside the one that replaces it."""
    config = rename(stored(config), RENAMED, at)
    studies = config.get("studies")
    if isinstance(studies, dict):
        for name, study in studies.items():
            if isinstance(study, dict):  # else the schema says so
                where = f"{at}: studies.{name}"
                study = rename(study, RENAMED_IN_STUDIES, where)
                studies[name] = with_figures(split_exceptions(study, where))
    return config


def with_figures(study: dict) -> dict:
    """A study whose figures are drawn by today's functions."""
    figures = study.get("figures")
    if not isinstance(figures, dict):
        return study
    for name, figure in figures.items():
        if isinstance(figure, dict) and isinstance(figure.get("draw"), str):
            draw = RENAMED_FIGURES.get(figure["draw"], figure["draw"])
            figures[name] = figure | {"draw": draw}
    return study


def stored(value: Any, key: str = "") -> Any:
    """Data in which each setting's value is as records have it, wherever it stands.

    >>> stored({"grid": {"split": ["last-10-percent"], "epochs": [5.0], "decay": [1.0]}})
    {'grid': {'split': ['alberta'], 'epochs': [5], 'decay': [1.0]}}
    """
    if isinstance(value, dict):
        return {name: stored(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [stored(item, key) for item in value]
    return SETTINGS[key].as_stored(value) if key in SETTINGS else value


def rename(mapping: dict, words: dict[str, str], at: str) -> dict:
    for old, new in words.items():
        if old in mapping and new in mapping:
            raise GradscapeError(f"{at}: {old!r} is an old word for {new!r}; drop it")
    return {words.get(key, key): value for key, value in mapping.items()}


def split_exceptions(study: dict, at: str) -> dict:
    """A study with its `exceptions`, `{where: …, skip: true}` and `{where: …, set: …}`, as
    what it excludes and what it overrides."""
    if "exceptions" not in study:
        return study
    for new in ("exclude", "override"):
        rename(study, {"exceptions": new}, at)
    exceptions = study.pop("exceptions")
    if exceptions is None:
        return study | {"exclude": None, "override": None}
    at = f"{at}.exceptions"
    validate(exceptions, at, "exceptions")
    exclude, override, changed = [], [], set()
    for exception in exceptions:
        where = exception["where"]
        if not exception.get("skip"):
            override.append({"where": where, "set": exception.get("set", {})})
            changed |= override[-1]["set"].keys()
        elif changed & where.keys():
            instead = "write `exclude` and `override`, which apply in this order"
            raise GradscapeError(
                f"{at}: skips by a setting that it has set before; {instead}"
            )
        else:
            exclude.append(where)
    return study | {"exclude": exclude, "override": override}
