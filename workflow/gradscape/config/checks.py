"""What a configuration names is looked up: settings, functions, files."""

import math
from pathlib import Path

from gradscape.base.errors import GradscapeError
from gradscape.base.paths import SECTIONS, locate
from gradscape.data import Facts
from gradscape.data.datasets import facts
from gradscape.data.normalisation import check_normalises
from gradscape.models import check_takes, pretrained_file
from gradscape.spec import registry
from gradscape.spec.settings import SETTINGS, Settings

NAMED = {name: option.named for name, option in SETTINGS.items() if option.named}


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
        neither = f"no section {section!r}, nor a file {path.name}"
        raise GradscapeError(f"{at}: there is {neither}")
    return path
