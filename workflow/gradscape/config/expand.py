"""A study's mapping expanded into runs, probes and figures: whatever is misspelt, missing
or does not fit together is reported here, before any job."""

from collections import Counter
from dataclasses import replace
from itertools import product

from gradscape.base.errors import GradscapeError, suggest
from gradscape.config.checks import (
    check_names,
    check_settings,
    existing,
    look_up,
    section_file,
)
from gradscape.config.published import check_literature, read_curves
from gradscape.config.sample import sampled
from gradscape.config.schema import check_options, validate
from gradscape.config.spelling import stored
from gradscape.config.yaml import read_yaml
from gradscape.spec import registry
from gradscape.spec.sentences import check_sentences
from gradscape.spec.settings import SETTINGS, Settings
from gradscape.spec.study import (
    AXES,
    VARIANT,
    Figure,
    Probe,
    Run,
    Study,
    grounds,
    matches,
    run_name,
)

COMMON = ("model", "learning_rate", "seed")  # what every run's name begins with
DEFAULT_FIGURES = {"curves": {"draw": "curves"}}
DEFAULT_FIGURES["gradient-flow"] = {"draw": "gradient_flow", "best": True}
MAX_NAME = 200  # bytes of a run's folder, to which logs append


def expand_study(name: str, study: dict, defaults: dict) -> Study:
    """A study with everything that belongs to it, every name in it looked up."""
    at = f"config: studies.{name}"
    runs = expand_runs(name, study, defaults)
    section = study.get("section", "study")
    files = [section_file(section, f"{at}.section")]
    claims, claims_at = study.get("claims", {}), f"{at}.claims"
    if isinstance(claims, str):
        files.append(existing(claims, claims_at))
        claims, claims_at = stored(read_yaml(files[-1])), claims
        validate(claims, str(files[-1]), "claims")
    check_claims(claims, claims_at)
    if "literature" in study:
        files.append(existing(study["literature"], f"{at}.literature"))
        check_literature(files[-1])
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
        literature=study.get("literature"),
        files=[str(file) for file in files],
    )


def grids(study: dict) -> list[dict]:
    """A study's grids: its `grid` is one or a list of them."""
    given = study.get("grid", {})
    return given if isinstance(given, list) else [given]


def expand_runs(name: str, study: dict, defaults: dict) -> list[Run]:
    """Every variant of a study over each of its grids, less what it excludes."""
    at = f"config: studies.{name}"
    shared = defaults | {key: value for key, value in study.items() if key in SETTINGS}
    check_names(shared, at)
    # A smaller grid may have cut away what they are about, but no name that is misspelt.
    for key in ("exclude", "override"):
        for number, rule in enumerate(study.get(key, [])):
            check_names(rule.get("where", rule), f"{at}.{key}.{number}")
    variants = {None: {}} | study.get("variants", {})
    runs = []
    points = sampled(study.get("sample", {}), f"{at}.sample")
    for (label, changed), grid, point in product(variants.items(), grids(study), points):
        fixed = shared | changed
        for key in [key for key in changed if key in grid or key in point]:
            where = f"{at}.variants.{label}"
            raise GradscapeError(f"{where}: {key!r} is varied by the grid already")
        for key in ("model", "dataset"):
            if key not in fixed and key not in grid and key not in point:
                raise GradscapeError(f"{at}: the key {key!r} is missing")
        for values in product(*grid.values()):
            chosen = dict(zip(grid, values, strict=True)) | point
            varied = {k: v for k, v in chosen.items() if k not in COMMON}
            varied |= {VARIANT: label} if label else {}
            run = Run(name, "", Settings(**(fixed | chosen)), varied)
            if not any(matches(run.traits, where) for where in study.get("exclude", [])):
                runs.append(overridden(run, study.get("override", [])))
    check_runs(runs, at)
    return runs


def overridden(run: Run, overrides: list[dict]) -> Run:
    """A run with the settings that overrides give it, and its name."""
    for override in overrides:
        if matches(run.traits, override["where"]):
            run = replace(run, settings=replace(run.settings, **override["set"]))
    return replace(run, name=run_name(run.settings, run.varied))


def check_runs(runs: list[Run], at: str) -> None:
    """Raise `GradscapeError` unless there are runs, under names of their own."""
    if not runs:
        raise GradscapeError(f"{at}: no runs are left: `exclude` matches them all")
    twice, count = Counter(run.name for run in runs).most_common(1)[0]
    if count > 1:
        why = "a value stands twice in its grid, or was drawn twice"
        raise GradscapeError(f"{at}: two runs are called {twice}: {why}")
    for run in runs:
        if len(run.name.encode()) > MAX_NAME:
            raise GradscapeError(f"{at}: the name {run.name[:40]}… of a run is too long")
        check_settings(run.settings, at)


def check_claims(claims: dict[str, dict], at: str) -> None:
    """Look up the metrics, models and so on that claims name, and read their sentences."""
    for name, claim in claims.items():
        check_sentences(claim, f"{at}.{name}")
        if "same" in claim and claim["same"] not in SETTINGS:
            raise GradscapeError(f"{at}.{name}.same: there is no setting {claim['same']!r}")
        if claim.get("margin", 0) < 0 and claim["is"] in ("near", "apart"):
            wrong = f"{claim['margin']} is below 0, where two sides are {claim['is']}"
            raise GradscapeError(f"{at}.{name}.margin: {wrong}")
        if (other := claim.get("given", name)) not in claims:
            unknown = f"there is no claim {other!r}{suggest(other, claims)}"
            raise GradscapeError(f"{at}.{name}.given: {unknown}")
        if name in grounds(claims, name):
            raise GradscapeError(f"{at}.{name}.given: goes round in a circle")
        for side in ("left", "right"):
            if isinstance(claim[side], dict):
                look_up("metric", claim[side]["metric"], f"{at}.{name}.{side}")
                check_names(claim[side]["where"], f"{at}.{name}.{side}.where")


def expand_probes(probes: dict, runs: list[Run], at: str) -> dict[str, Probe]:
    expanded = {}
    for name, spec in probes.items():
        measure, where = spec.get("measure", name), spec.get("where", {})
        options = {k: v for k, v in spec.items() if k not in ("measure", "where")}
        look_up("probe", measure, at)
        options = check_options("probe", measure, options, f"{at}.{name}")
        if sentence := missing(where, runs):
            raise GradscapeError(f"{at}.{name}.where{sentence}")
        expanded[name] = Probe(name, measure, where, options)
    return expanded


def expand_figures(
    name: str, study: dict, runs: list[Run], probes: dict[str, Probe]
) -> list[Figure]:
    figures = []
    for figure_name, spec in study.get("figures", DEFAULT_FIGURES).items():
        at = f"config: studies.{name}.figures.{figure_name}"
        draw, options = spec["draw"], spec.get("options", {})
        look_up("figure", draw, at)
        options = check_options("figure", draw, options, f"{at}.options")
        if options.get("reference") is not None and draw == "curves":
            try:
                read_curves(options["reference"])
            except GradscapeError as error:
                raise GradscapeError(f"{at}.options.reference: {error}") from None
        for key in registry.declared("figure", draw, "AXES", []):
            if (setting := options.get(key, VARIANT)) not in AXES:
                unknown = f"there is no setting {setting!r}{suggest(setting, AXES)}"
                raise GradscapeError(f"{at}.options.{key}: {unknown}")
        wide = registry.declared("figure", draw, "WIDE", False)
        figure = Figure(name, figure_name, **({"wide": wide} | spec | {"options": options}))
        for needed in figure.probes[:1]:
            if needed not in probes:
                which = f"the probe {needed!r}, which the study's `probes` do not name"
                raise GradscapeError(f"{at}: {draw} draws {which}")
        if sentence := missing(figure.where, runs):
            raise GradscapeError(f"{at}.where{sentence}")
        figures.append(figure)
    return figures


def missing(where: dict, runs: list[Run]) -> str:
    """The end of a sentence about a `where` that no run meets; empty if one does. Another
    value of a list may then be of runs that are cut away."""
    if any(matches(run.traits, where) for run in runs):
        return ""
    return unknown(where, runs) or f": no run of the study has all of {where}"


def unknown(where: dict, runs: list[Run]) -> str:
    """The end of a sentence about a value that no run has; empty if there is none."""
    for key, wanted in where.items():
        known = {run.traits[key] for run in runs}
        for value in wanted if isinstance(wanted, list) else [wanted]:
            if value not in known:
                hint = suggest(value, map(str, known - {""}))
                return f".{key}: no run of the study has {value!r}{hint}"
    return ""
