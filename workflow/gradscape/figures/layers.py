"""Names of layers as a reader knows them: `stages.9.conv2` → `stage 2, block 4, conv 2`."""

import re
from collections import Counter

from gradscape.runs.run import FinishedRun

STAGES = 3  # of the courseworks' VGG, whose blocks are one list
BLOCK = re.compile(r"(?P<block>(?P<list>\w+)\.\d+)\.(?P<part>[a-z]\w*)")
NUMBERED = re.compile(r"(?P<list>\w+)\.\d+(?:\.0)?")
LINEAR = {"classifier", "head", "fc"}
SCALE = "normalisation"
SHORT = {"convolution": "conv"}
PRINTED = {"entry": "first conv", "head": "output"}


def is_scale(name: str, before: str) -> bool:
    """Tell whether it is a normalisation's scale: named so, or straight after a layer in a
    list, in runs that did not record it.

    >>> is_scale("features.1", "features.0"), is_scale("features.4", "features.0")
    (True, False)
    """
    (head, _, number), (other, _, last) = name.rpartition("."), before.rpartition(".")
    both = head == other and number.isdecimal() and last.isdecimal()
    return "norm" in name or (both and int(number) == int(last) + 1)


def kinds_of(run: FinishedRun) -> dict[str, str]:
    """The kind of each layer, as the run recorded it, or as an older run's names tell."""
    table = run.gradients
    if table.attrs["kinds"] is not None:
        return table.attrs["kinds"]
    kinds = {}
    for before, name in zip(["", *table], table, strict=False):
        numbered = NUMBERED.fullmatch(name)
        is_linear = numbered is not None and numbered["list"] in LINEAR
        kinds[name] = "linear" if is_linear else "convolution"
        if is_scale(name, before):
            kinds[name] = SCALE
    return kinds


def split_scales(kinds: dict[str, str]) -> tuple[list[str], list[tuple[str, int]]]:
    """The layers with weights, and each normalisation's scale with the number among them
    of the layer that it follows."""
    layers, scales = [], []
    for name, kind in kinds.items():
        if kind == SCALE:
            scales.append((name, max(len(layers) - 1, 0)))
        else:
            layers.append(name)
    return layers, scales


def blocks(kinds: dict[str, str]) -> list[str]:
    """The block that each layer is in, as it is printed; a layer that is in none by its
    own name.

    >>> conv = dict.fromkeys(["entry", "stages.0.conv1", "stages.1.conv1"], "convolution")
    >>> blocks(conv | {"stages.2.conv1": "convolution", "head": "linear"})
    ['first conv', 'stage 1, block 1', 'stage 2, block 1', 'stage 3, block 1', 'output']
    >>> blocks({"features.0": "convolution", "features.2.conv1.0": "", "head.0": "linear"})
    ['conv 1', 'block 1', 'linear 1']
    """
    layers = list(kinds)
    places = [BLOCK.match(name) for name in layers]
    found = list(dict.fromkeys(place["block"] for place in places if place))
    each = len(found) // STAGES
    counts: Counter[str] = Counter()
    printed = []
    for name, place in zip(layers, places, strict=True):
        if place:
            number = found.index(place["block"])
            staged = place["list"] == "stages" and len(found) == each * STAGES
            stage, block = divmod(number, each) if staged else (0, number)
            printed.append(f"stage {stage + 1}, " * staged + f"block {block + 1}")
        elif NUMBERED.fullmatch(name):
            kind = SHORT.get(kinds[name], kinds[name])
            counts[kind] += 1
            printed.append(f"{kind} {counts[kind]}")
        else:
            printed.append(PRINTED.get(name, name.replace("_", " ")))
    return printed


def labels(kinds: dict[str, str]) -> dict[str, str]:
    """The name of each layer: its block, and its place in it.

    >>> labels({"features.0": "convolution", "features.2.conv1.0": "convolution"})
    {'features.0': 'conv 1', 'features.2.conv1.0': 'block 1, conv 1'}
    """
    named = dict(zip(kinds, blocks(kinds), strict=True))
    for name in kinds:
        if place := BLOCK.match(name):
            named[name] += ", " + re.sub(r"(\d+)$", r" \1", place["part"])
    return named
