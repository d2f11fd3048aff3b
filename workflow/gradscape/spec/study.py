"""A study as data: its runs, and what is measured on them and drawn from them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from gradscape.spec.quantity import format_learning_rate
from gradscape.spec.registry import declared, is_custom, short
from gradscape.spec.settings import SETTINGS, Settings, changed

VARIANT = "variant"
# A figure may draw over these besides settings: a model with its variant, and its size.
NETWORK, PARAMETERS = "network", "parameters"
AXES = [*SETTINGS, VARIANT, NETWORK, PARAMETERS]


@dataclass(frozen=True)
class Run:
    """One training. `varied` is what tells the run from others of its study besides model,
    learning rate and seed: settings that the grid varies, and as `variant` its name."""

    study: str
    name: str
    settings: Settings
    varied: dict = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.study}/{self.name}"

    @property
    def traits(self) -> dict:
        return traits(vars(self.settings), self.varied)

    @property
    def spec(self) -> dict:
        """The run as `gradscape train --spec` takes it."""
        return vars(self) | {"settings": changed(self.settings)}


@dataclass(frozen=True)
class Figure:
    """One figure of a study. `where` selects its runs (setting → value or list of values);
    `best` keeps of them only the model and rate with the highest validation accuracy."""

    study: str
    name: str
    draw: str
    where: dict = field(default_factory=dict)
    best: bool = False
    caption: str = ""
    wide: bool = False
    options: dict = field(default_factory=dict)

    @property
    def probes(self) -> list[str]:
        """The probes that it draws; only the first is required."""
        return declared("figure", self.draw, "PROBES", [])

    @property
    def sentence(self) -> str:
        """The caption with its full stop."""
        caption = self.caption.rstrip()
        return f"{caption}." if caption and caption[-1] not in ".:;!?" else caption

    def heading(self, facts: str = "") -> str:
        """A short name: the first words of the caption, else of the facts."""
        words = self.caption or facts or self.name.replace("-", " ")
        return re.split(r"[:.](?:\s|$)", words)[0]


@dataclass(frozen=True)
class Probe:
    """One measurement: of which trained networks, with which options."""

    name: str
    measure: str
    where: dict
    options: dict


@dataclass(frozen=True)
class Study:
    """One question: a grid of runs, and all that belongs to it."""

    name: str
    title: str
    section: str
    runs: list[Run]
    probes: dict[str, Probe]
    figures: list[Figure]
    tables: list[str]
    claims: dict[str, dict]
    literature: str | None  # a CSV of published numbers
    files: list[str]  # the user's or gradscape's, that its report is made from
    others: dict[str, "Study"] = field(default_factory=dict)  # that its claims compare with

    @cached_property
    def measures(self) -> dict[str, tuple[tuple[str, str], ...]]:
        """The probes that each run is to have, and their functions, by the run's name."""
        probes = self.probes.values()
        return {
            run.name: tuple(
                (p.name, p.measure) for p in probes if matches(run.traits, p.where)
            )
            for run in self.runs
        }

    @property
    def runs_compared(self) -> list[Run]:
        """Its runs, and those of the studies that its claims compare with."""
        return [run for study in (self, *self.others.values()) for run in study.runs]

    @property
    def sides(self) -> Iterator[tuple[str, dict]]:
        """Each side of a claim that is measured, and its key: `my-claim.left`."""
        for name, claim in self.claims.items():
            for side in ("left", "right"):
                if isinstance(claim[side], dict):
                    yield f"{name}.{side}", claim[side]


def grounds(claims: dict[str, dict], name: str) -> list[str]:
    """The claim that a claim is `given`, that which this one is, and so on."""
    found: list[str] = []
    while (name := claims.get(name, {}).get("given")) and name not in found:
        found.append(name)
    return found


def traits(settings: dict, varied: dict) -> dict:
    """The settings of a run and its `variant`: all that a `where` can select it by."""
    return settings | {VARIANT: varied_label(varied)}


def varied_label(varied: dict) -> str:
    """One text for what a run varies: a variant's name, a setting's name and value.

    >>> varied_label({"schedule": "constant", "variant": "long"}), varied_label({})
    ('schedule-constant_long', '')
    """
    parts = []
    for key, value in varied.items():
        is_path = isinstance(value, str) and ("/" in value or is_custom(value))
        if is_path and key != VARIANT:
            value = short(value)
        parts.append(value if key == VARIANT else f"{key.replace('_', '-')}-{value}")
    return "_".join(parts)


def matches(traits: dict, where: dict) -> bool:
    """Tell whether a run has the wanted traits, each one value or a list of them."""
    lists = {key: w if isinstance(w, list) else [w] for key, w in where.items()}
    return all(traits[key] in wanted for key, wanted in lists.items())


def run_name(settings: Settings, varied: dict | None = None) -> str:
    """Directory name of a run: `vgg38-bn_lr1e-2_seed0`, then what else is varied."""
    rate = format_learning_rate(settings.learning_rate)
    parts = [short(settings.model), f"lr{rate}", f"seed{settings.seed}"]
    return "_".join(filter(None, [*parts, varied_label(varied or {})]))
