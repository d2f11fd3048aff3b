"""The networks. A new one is a file here whose `MODELS` names it, or the user's own file,
which a configuration names as `path/file.py:constructor`.

A constructor takes the number of classes, and by keyword whatever can be chosen, and
returns a module that maps images [n, channels, size, size] to logits [n, classes]. If it
has the keywords `channels` and `size`, it is told the images' shape. Its file says in plain
constants which images it takes: `SIZES`, the smallest and the largest side (`None`: any),
`SIZES_OF` for single names, and `CHANNELS`. Only `build` imports torch.
"""

import inspect
import random
from collections.abc import Collection
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from gradscape.base.errors import GradscapeError
from gradscape.data import Facts
from gradscape.spec.registry import declared, find, is_custom, names, options
from gradscape.spec.settings import MODEL_SETTINGS, Settings


@cache
def pretrained_files() -> dict[str, str]:
    """The networks that can start from ImageNet weights, and the names of their files."""
    declarations = [declared("model", name, "PRETRAINED", {}) for name in names("model")]
    return {name: file for files in declarations for name, file in files.items()}


def pretrained_file(name: str) -> str:
    """The name of a network's file of ImageNet weights."""
    files = pretrained_files()
    if name not in files:
        known = f"those have: {', '.join(files)}"
        raise GradscapeError(f"model {name}: has no pretrained weights ({known})")
    return files[name]


def named_after(file: Path) -> str | None:
    """The network whose file of ImageNet weights has the same name but for the digits."""
    name = file.name.rpartition("-")[0]
    files = pretrained_files().items()
    return next((known for known, own in files if own.rpartition("-")[0] == name), None)


class Takes(NamedTuple):
    """The images that a network takes: the ends of their size, and their channels."""

    smallest: int
    largest: int | None
    channels: int | None


@cache
def takes(name: str) -> Takes:
    sizes = declared("model", name, "SIZES", (1, None))
    sizes = declared("model", name, "SIZES_OF", {}).get(name, sizes)
    return Takes(*sizes, declared("model", name, "CHANNELS"))


def check_takes(name: str, settings: Settings, facts: Facts) -> None:
    """Raise `GradscapeError` if a network lacks a setting that is set, or does not take the
    images of the settings' dataset. Only reads source text."""
    keywords, known = options("model", name), takes(name)
    if keywords is not None:  # its source text tells
        chosen(name, settings, keywords)
    images, those = f"model {name}: takes images of", f"those of {settings.dataset}"
    size, low, high = facts.size, known.smallest, known.largest
    if size < low or (high is not None and size > high):
        most = "or more" if high is None else f"to {high}x{high}"
        raise GradscapeError(f"{images} {low}x{low} {most}, {those} are {size}x{size}")
    if known.channels not in (None, facts.channels):
        wanted = f"{known.channels} channels"
        raise GradscapeError(f"{images} {wanted}, {those} have {facts.channels}")


def chosen(name: str, settings: Settings | None, known: Collection[str]) -> dict:
    """The settings that change a network and are set, each a keyword that it has."""
    values = {key: getattr(settings, key, None) for key in MODEL_SETTINGS}
    values = {key: value for key, value in values.items() if value is not None}
    for setting in values:
        if setting not in known:
            raise GradscapeError(f"model {name}: has no {setting!r} to set")
    return values


def build(
    name: str,
    classes: int,
    settings: Settings | None = None,
    channels: int = 3,
    size: int = 32,
):
    """Construct the network `name` for `classes` classes, initialised by torch's RNG, or
    by Python's or numpy's, which start from torch's seed. Settings of the model that are
    set change it; raises `GradscapeError` for one that it does not have, or that its name
    already decides."""
    import numpy as np
    import torch

    make = find("model", name)
    first, *others = [*inspect.signature(make).parameters, ""]
    if "class" not in first and any("classes" in other for other in others):
        given = f"its first argument is `{first}`, where the number of classes is given"
        raise GradscapeError(f"model {name}: {given}")
    free = {first, *others}
    if isinstance(make, partial):
        free -= set(make.keywords)
    keywords = chosen(name, settings, free)
    shape = {"channels": channels, "size": size}
    keywords |= {key: value for key, value in shape.items() if key in free}
    random.seed(torch.initial_seed())
    np.random.seed(torch.initial_seed() % 2**32)
    try:
        model = make(classes, **keywords)
    except Exception as error:
        if isinstance(error, GradscapeError) or not is_custom(name):
            raise
        said = f"{type(error).__name__}: {error}"
        raise GradscapeError(f"model {name}: fails ({said}){hint(name)}") from error
    if not isinstance(model, torch.nn.Module) or hasattr(model, "_orig_mod"):
        given = "a compiled module" if hasattr(model, "_orig_mod") else repr(model)
        raise GradscapeError(
            f"model {name}: returns {given}, where a plain module is needed"
        )
    materialise(model, classes, channels, size)
    perturbation = getattr(settings, "perturbation", None)
    if perturbation is not None:
        from gradscape.models.blocks import flip_last_bit

        flip_last_bit(next(model.parameters()), perturbation)
    return model


def hint(name: str) -> str:
    """The end of a sentence about a network that fails: it may take something else where it
    is given the number of classes."""
    first = next(iter(inspect.signature(find("model", name)).parameters), "")
    return "" if "class" in first else f"; its `{first}` is given the number of classes"


def materialise(model, classes: int, channels: int, size: int) -> None:
    """Lazy layers get their weights, as they would from the first image."""
    from torch.nn.parameter import is_lazy

    if any(map(is_lazy, model.parameters())):
        from gradscape.models.anatomy import one_image

        one_image(model, classes, channels, size)
