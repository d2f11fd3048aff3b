"""Claims about runs that nobody plans are refused."""

from collections.abc import Iterator

from gradscape.base.errors import GradscapeError, suggest
from gradscape.base.paths import TEMPLATES, locate
from gradscape.config.expand import expand_runs, missing, unknown
from gradscape.config.experiment import Experiment, resolve
from gradscape.config.yaml import read_yaml


def check_claimed(experiment: Experiment, config: dict) -> None:
    """Raise `GradscapeError` for a claim about runs that neither the configuration plans
    nor one that `config` extends: it may be cut down from that, and then a claim is not
    measured, but not wrong. Gradscape's own files of claims serve any cut of its
    studies."""
    for study in experiment.studies.values():
        file = experiment.config["studies"][study.name].get("claims")
        own = TEMPLATES.resolve()
        if isinstance(file, str) and locate(file).resolve().is_relative_to(own):
            continue
        at = f"config: studies.{study.name}.claims"
        for key, side in study.sides:
            name, where = side.get("study", study.name), side["where"]
            if name not in experiment.studies:
                unknown_study = (
                    f"there is no study {name!r}{suggest(name, experiment.studies)}"
                )
                raise GradscapeError(f"{at}.{key}.study: {unknown_study}")
            runs, wholes = [*experiment.studies[name].runs], uncut(config)
            while sentence := unknown(where, runs) or missing(where, runs):
                if not (whole := next(wholes, None)):
                    raise GradscapeError(f"{at}.{key}.where{sentence}")
                if given := whole.get("studies", {}).get(name):
                    runs += expand_runs(name, given, whole.get("defaults", {}))


def uncut(config: dict) -> Iterator[dict]:
    """The configurations that one extends, the nearest first."""
    while "extends" in config:
        config = read_yaml(locate(config["extends"]))
        yield resolve(config)
