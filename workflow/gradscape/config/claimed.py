"""Does each claim speak of runs that somebody plans?"""

from collections.abc import Iterator

from gradscape.base.errors import GradscapeError, suggest
from gradscape.base.paths import CONFIGS, locate
from gradscape.config.expand import expand_runs
from gradscape.config.experiment import Experiment, resolve
from gradscape.config.yaml import read_yaml
from gradscape.spec.study import Run, Study, matches


def check_claimed(experiment: Experiment, config: dict) -> None:
    """Raise `GradscapeError` for a claim about runs that nobody plans: neither the
    configuration, nor one that `config` extends, nor one of gradscape's with the same file
    of claims. A configuration may be cut down from these; a claim of which runs are cut
    away is not measured, but not wrong either."""
    for study in experiment.studies.values():
        file = experiment.config["studies"][study.name].get("claims")
        runs, others = [*study.runs], uncut(config)
        for at, where in wanted(study):
            while (sentence := missing(where, runs)) and (whole := next(others, None)):
                for name, given in whole.get("studies", {}).items():
                    if name == study.name or given.get("claims") == file:
                        runs += expand_runs(name, given, whole.get("defaults", {}))
            if sentence:
                raise GradscapeError(f"config: studies.{study.name}.claims.{at}{sentence}")


def wanted(study: Study) -> Iterator[tuple[str, dict]]:
    """Which runs each side of a study's claims is about."""
    for name, claim in study.claims.items():
        for side in ("left", "right"):
            if isinstance(claim[side], dict):
                yield f"{name}.{side}.where", claim[side]["where"]


def uncut(config: dict) -> Iterator[dict]:
    """The configurations that one extends, and gradscape's own."""
    while "extends" in config:
        config = read_yaml(locate(config["extends"]))
        yield resolve(config)
    for name in ("config.yaml", "engine.yaml"):
        yield resolve(read_yaml(CONFIGS / name))


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
