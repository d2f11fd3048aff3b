"""Does each claim speak of runs that somebody plans?"""

from collections.abc import Iterator

from gradscape.base.errors import GradscapeError, suggest
from gradscape.base.paths import locate
from gradscape.config.expand import expand_runs
from gradscape.config.experiment import Experiment, resolve
from gradscape.config.yaml import read_yaml
from gradscape.spec.study import Run, matches


def check_claimed(experiment: Experiment, config: dict) -> None:
    """Raise `GradscapeError` for a claim about runs that neither the configuration plans
    nor any that `config` extends: it may be a cut of that one, and a claim of which runs
    are cut away is not measured, but not wrong either."""
    for study in experiment.studies.values():
        sides = [
            (f"config: studies.{study.name}.claims.{name}.{side}.where", claim[side])
            for name, claim in study.claims.items()
            for side in ("left", "right")
            if isinstance(claim[side], dict)
        ]
        unplanned = [(at, side) for at, side in sides if missing(side["where"], study.runs)]
        runs = [*study.runs, *uncut(study.name, config)] if unplanned else []
        for at, side in unplanned:
            if sentence := missing(side["where"], runs):
                raise GradscapeError(f"{at}{sentence}")


def missing(where: dict, runs: list[Run]) -> str:
    """The end of a sentence about a value that no run has, or that none has all of them;
    empty if some run does."""
    for key, wanted in where.items():
        known = {run.traits[key] for run in runs}
        for value in wanted if isinstance(wanted, list) else [wanted]:
            if value not in known:
                hint = suggest(value, map(str, known - {""}))
                return f".{key}: no run of the study has {value!r}{hint}"
    if any(matches(run.traits, where) for run in runs):
        return ""
    return f": no run of the study has all of {where}"


def uncut(study: str, config: dict) -> Iterator[Run]:
    """A study's runs in each of the configurations that one extends."""
    while "extends" in config:
        config = read_yaml(locate(config["extends"]))
        whole = resolve(config)
        if given := whole.get("studies", {}).get(study):
            yield from expand_runs(study, given, whole.get("defaults", {}))
