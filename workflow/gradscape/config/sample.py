"""Random points of a study's grid, drawn when the configuration is read: the same from the
same seed, so that a search stays a plan of runs with names."""

import math
import random
import re

import yaml

from gradscape.base.errors import GradscapeError, suggest
from gradscape.config.schema import validate
from gradscape.config.spelling import stored
from gradscape.config.yaml import numbers
from gradscape.spec.settings import SETTINGS

DRAWN = re.compile(r"(uniform|loguniform|integers|choice)\(([^()]+)\)")
DIGITS = 3  # of a drawn number, which stands in the run's name


def sampled(sample: dict, at: str) -> list[dict]:
    """`n` points, setting → value, of `loguniform(1e-4, 1e-1)`, `uniform(0, 0.5)`,
    `integers(8, 64)` or `choice(adam, sgd)`; one empty point without a `sample`. Raises
    `GradscapeError`, which names the setting."""
    if not sample:
        return [{}]
    drawn = {key: text for key, text in sample.items() if key not in ("n", "seed")}
    for key in drawn:
        if key not in SETTINGS:
            raise GradscapeError(f"{at}: unknown setting {key!r}{suggest(key, SETTINGS)}")
    chance = random.Random(sample.get("seed", 0))
    points = [
        stored({key: draw(text, chance, f"{at}.{key}") for key, text in drawn.items()})
        for _ in range(sample["n"])
    ]
    for point in points:
        validate(point, at, "settings")
    return points


def draw(text: str, chance: random.Random, at: str):
    found = DRAWN.fullmatch(text.strip())
    if found is None:
        raise GradscapeError(
            f"{at}: {text!r} is none of uniform, loguniform, integers, choice"
        )
    try:
        kind, words = found[1], [numbers(yaml.safe_load(w)) for w in found[2].split(",")]
    except yaml.YAMLError:
        raise GradscapeError(f"{at}: {text!r} holds what is no YAML") from None
    if kind == "choice":
        return chance.choice(words)
    try:
        low, high = (math.log(w) if kind == "loguniform" else float(w) for w in words)
    except (TypeError, ValueError):
        raise GradscapeError(f"{at}: {text!r} needs two numbers") from None
    if low > high:
        raise GradscapeError(f"{at}: {text!r} has its larger number first")
    if kind == "integers":
        return chance.randint(int(low), int(high))
    value = chance.uniform(low, high)
    return float(f"{math.exp(value) if kind == 'loguniform' else value:.{DIGITS}g}")
