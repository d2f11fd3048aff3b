"""Claims about runs that nobody plans are refused."""

from collections.abc import Iterator

from gradscape.base.errors import GradscapeError
from gradscape.base.paths import TEMPLATES, locate
from gradscape.config.expand import expand_runs, missing, unknown
from gradscape.config.experiment import Experiment, resolve
from gradscape.config.yaml import read_yaml
from gradscape.spec.study import Study


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
        runs, others = [*study.runs], uncut(config)
        for side, where in wanted(study):
            while sentence := unknown(where, runs) or missing(where, runs):
                if not (whole := next(others, None)):
                    raise GradscapeError(f"{at}.{side}{sentence}")
                if given := whole.get("studies", {}).get(study.name):
                    runs += expand_runs(study.name, given, whole.get("defaults", {}))


def wanted(study: Study) -> Iterator[tuple[str, dict]]:
    """The `where` of each side of a study's claims, and its key."""
    for name, claim in study.claims.items():
        for side in ("left", "right"):
            if isinstance(claim[side], dict):
                yield f"{name}.{side}.where", claim[side]["where"]


def uncut(config: dict) -> Iterator[dict]:
    """The configurations that one extends, the nearest first."""
    while "extends" in config:
        config = read_yaml(locate(config["extends"]))
        yield resolve(config)
