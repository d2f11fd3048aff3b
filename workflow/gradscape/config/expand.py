"""A study's mapping unfolded into runs, probes and figures, every name in it looked up.

Whatever is misspelt, missing or does not fit together is reported here, before any job.
"""

import csv
import dataclasses
import itertools
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

from gradscape.base.errors import GradscapeError, suggest
from gradscape.base.paths import SECTIONS, locate
from gradscape.config.schema import validate, validate_options
from gradscape.config.yaml import read_yaml
from gradscape.data.datasets import facts
from gradscape.data.facts import Facts
from gradscape.data.normalisation import check_normalises
from gradscape.models import check_takes, pretrained_file
from gradscape.spec import registry
from gradscape.spec.options import Named, coerce_integers
from gradscape.spec.sentences import check_sentences
from gradscape.spec.settings import SETTINGS, Settings
from gradscape.spec.study import (
    COMMON,
    VARIANT,
    Figure,
    Probe,
    Run,
    Study,
    matches,
    run_name,
    traits,
)

LONGEST_NAME = 200  # bytes of a run's folder, to which logs append
NAMED = {
    name: rule
    for name, option in SETTINGS.items()
    for rule in option.rules
    if isinstance(rule, Named)
}
# Of published numbers, the columns of numbers, and those that every file has.
PUBLISHED_NUMBERS = ["epochs", "train_images", "learning_rate", "final_test_accuracy"]
PUBLISHED_NUMBERS += [f"{part}_loss" for part in ("train", "val", "test")]
PUBLISHED_NUMBERS += [f"{part}_accuracy" for part in ("train", "val", "test")]
PUBLISHED_COLUMNS = ["model", "source", "dataset", "epochs", "train_images"]


def expand_study(name: str, study: dict, defaults: dict) -> Study:
    """A study with everything that belongs to it, every name in it looked up."""
    at = f"config: studies.{name}"
    runs = expand_runs(name, study, defaults)
    section, claims, published = study.get("section", "study"), {}, study.get("published")
    files = [section_file(section, f"{at}.section")]
    given = study.get("claims", {})
    if isinstance(given, str):
        path = existing(given, f"{at}.claims")
        files.append(path)
        claims = read_yaml(path)
        validate(claims, str(path), "claims")
    else:
        claims = given
    check_claims(claims, given if isinstance(given, str) else f"{at}.claims")
    if published:
        path = existing(published, f"{at}.published")
        check_columns(path)
        files.append(path)
    probes = expand_probes(study.get("probes", {}), runs, f"{at}.probes")
    tables = study.get("tables", ["results"])
    for table in tables:
        look_up("table", table, f"{at}.tables")
    return Study(
        name=name,
        title=study["title"],
        section=section,
        runs=runs,
        probes=probes,
        figures=expand_figures(name, study, runs, probes),
        tables=tables,
        claims=claims,
        published=published,
        files=[str(file) for file in files],
    )


def expand_runs(name: str, study: dict, defaults: dict) -> list[Run]:
    """Unfold a study's variants and grid, less its exceptions, into runs."""
    at = f"config: studies.{name}"
    shared = defaults | {k: v for k, v in study.items() if k in SETTINGS}
    shared = coerce_integers(shared, SETTINGS)
    check_names(shared, at)
    grid = coerce_integers(study.get("grid", {}), SETTINGS)
    for key in ("model", "dataset"):
        if key not in shared and key not in grid:
            raise GradscapeError(f"{at}: the key {key!r} is missing")
    variants = {None: {}} | study.get("variants", {})
    for label, changed in variants.items():
        if twice := [key for key in changed if key in grid]:
            raise GradscapeError(
                f"{at}.variants.{label}: {twice[0]!r} is varied by the grid already"
            )
    runs = []
    for (label, changed), *values in itertools.product(variants.items(), *grid.values()):
        chosen = dict(zip(grid, values, strict=True))
        varied = {k: v for k, v in chosen.items() if k not in COMMON}
        varied |= {VARIANT: label} if label else {}
        settings = Settings(**(shared | coerce_integers(changed, SETTINGS) | chosen))
        skipped = False
        for exception in study.get("exceptions", []):
            if matches(traits(vars(settings), varied), exception["where"]):
                skipped |= exception.get("skip", False)
                corrected = coerce_integers(exception.get("set", {}), SETTINGS)
                settings = dataclasses.replace(settings, **corrected)
        if not skipped:
            runs.append(Run(name, run_name(settings, varied), settings, varied))
    if not runs:
        raise GradscapeError(f"{at}: no runs are left: its exceptions skip them all")
    twice, count = Counter(run.name for run in runs).most_common(1)[0]
    if count > 1:
        raise GradscapeError(
            f"{at}: two runs are called {twice}: a value stands twice in its grid"
        )
    for run in runs:
        if len(run.name.encode()) > LONGEST_NAME:
            raise GradscapeError(f"{at}: the name {run.name[:40]}… of a run is too long")
        check_settings(run.settings, at)
    return runs


def check_settings(settings: Settings, at: str) -> None:
    """Look up every name that a run's settings use, and check what its model takes."""
    check_names(vars(settings), at)
    try:
        known = facts(settings.dataset)
        check_normalises(settings.normalisation, known.channels)
        if settings.pretrained:
            pretrained_file(settings.model)  # raises where there are none
        check_takes(settings.model, settings, known)
        check_together(settings, known)
    except GradscapeError as error:
        raise GradscapeError(f"{at}: {error}") from None


def check_together(settings: Settings, known: Facts) -> None:
    """Raise `GradscapeError` for two values of which each is right, but not both."""
    items, lag = settings.train_items or 0, settings.gradient_lag or 0
    images = min(items or known.train, known.train)
    steps = settings.epochs * math.ceil(images / settings.batch_size)
    sgd = settings.optimiser == "sgd"
    wrong = {
        "nesterov: needs a momentum": sgd and settings.nesterov and not settings.momentum,
        "warmup_epochs: more than epochs": settings.warmup_epochs > settings.epochs,
        f"train_items: there are {known.train:,} images": items > known.train,
        f"gradient_lag: there are {steps:,} steps": lag >= steps,
    }
    for sentence, applies in wrong.items():
        if applies:
            raise GradscapeError(sentence)


def check_names(values: dict, at: str) -> None:
    """Look up the models, optimisers, … among settings, each one value or a list."""
    for key, rule in NAMED.items():
        wanted = values.get(key)
        for name in wanted if isinstance(wanted, list) else [wanted]:
            if name is None or rule.kind == "dataset":  # which may also be a folder
                continue
            if registry.is_custom(name) and not rule.own:
                raise GradscapeError(f"{at}.{key}: {name!r} cannot be one of your own")
            look_up(rule.kind, name, f"{at}.{key}")


def look_up(kind: str, name: str, at: str) -> None:
    try:
        registry.check(kind, name)
    except GradscapeError as error:
        raise GradscapeError(f"{at}: {error}") from None


def existing(path: str, at: str) -> Path:
    found = locate(path)
    if not found.is_file():
        raise GradscapeError(f"{at}: there is no file {path}")
    return found


def section_file(section: str, at: str) -> Path:
    """The template of a section: one of gradscape's by name, or the user's own file."""
    if section.endswith(".j2"):
        return existing(section, at)
    path = SECTIONS / f"{section}.tex.j2"
    if not path.is_file():
        raise GradscapeError(
            f"{at}: there is no section {section!r}, nor a file {path.name}"
        )
    return path


def check_columns(path: Path) -> None:
    """Does a file of published numbers have the columns that every such file has?"""
    at = f"published: {path}"
    try:
        with path.open(newline="") as file:
            table = csv.DictReader(file)
            rows, columns = list(table), table.fieldnames or []
    except (ValueError, csv.Error) as error:
        raise GradscapeError(f"{at}: cannot be parsed ({error})") from None
    for column in PUBLISHED_COLUMNS:
        if column not in columns:
            raise GradscapeError(f"{at}: the column {column} is missing")
    for number, row in enumerate(rows, start=2):
        for column, value in row.items():
            empty = not value and column in PUBLISHED_COLUMNS
            if empty or (column in PUBLISHED_NUMBERS and not is_number(value)):
                raise GradscapeError(f"{at}: line {number}: {column} is {value!r}")


def is_number(text: str | None) -> bool:
    try:
        return not text or math.isfinite(float(text))
    except ValueError:
        return False


def check_claims(claims: dict[str, dict], at: str) -> None:
    """Look up the metrics, models and so on that claims name, and read their sentences."""
    for name, claim in claims.items():
        check_sentences(claim, f"{at}.{name}")
        if "same" in claim and claim["same"] not in SETTINGS:
            raise GradscapeError(f"{at}.{name}.same: there is no setting {claim['same']!r}")
        if claim.get("given", name) not in claims:
            other = claim["given"]
            raise GradscapeError(
                f"{at}.{name}.given: there is no claim {other!r}{suggest(other, claims)}"
            )
        for side in ("left", "right"):
            if isinstance(claim[side], dict):
                look_up("metric", claim[side]["metric"], f"{at}.{name}.{side}")
                check_names(claim[side]["where"], f"{at}.{name}.{side}.where")


def expand_probes(probes: dict, runs: list[Run], at: str) -> dict[str, Probe]:
    unfolded = {}
    for name, spec in probes.items():
        measure, where = spec.get("measure", name), spec.get("where", {})
        options = {k: v for k, v in spec.items() if k not in ("measure", "where")}
        look_up("probe", measure, at)
        known = registry.options("probe", measure)
        validate_options(options, known, f"{at}.{name}")
        options = coerce_integers(options, known or {})
        require_match(runs, where, f"{at}.{name}")
        unfolded[name] = Probe(name, measure, where, options)
    return unfolded


def expand_figures(
    name: str, study: dict, runs: list[Run], probes: dict[str, Probe]
) -> list[Figure]:
    figures = [
        Figure(study=name, name=figure, **spec)
        for figure, spec in study.get("figures", default_figures()).items()
        if spec
    ]
    for figure in figures:
        at = f"config: studies.{name}.figures.{figure.name}"
        look_up("figure", figure.draw, at)
        options = registry.options("figure", figure.draw)
        validate_options(figure.options, options, f"{at}.options")
        figure.options.update(coerce_integers(figure.options, options or {}))
        missing = [option for option in (options or {}).values() if option.required]
        for option in missing:
            if option.name not in figure.options:
                raise GradscapeError(f"{at}.options: the key {option.name!r} is missing")
        needed = figure.probes[:1]
        if not set(needed) <= set(probes):
            raise GradscapeError(
                f"{at}: {figure.draw} draws the probe {needed[0]!r}, which the study's "
                "`probes` do not name"
            )
        require_match(runs, figure.where, at)
    return figures


def require_match(runs: list[Run], where: dict, at: str) -> None:
    if not any(matches(run.traits, where) for run in runs):
        raise GradscapeError(f"{at}: no run of the study matches {json.dumps(where)}")


def default_figures() -> dict[str, dict[str, Any]]:
    """What a study shows by default: all curves, and the best run's gradients."""
    return {
        "curves": {"draw": "curves", "wide": True},
        "gradient-flow": {"draw": "gradient_flow", "best": True},
    }
