"""Names of layers as a reader knows them: `stages.9.conv2` → `stage 2, block 4, conv 2`."""

import re
from collections import Counter

STAGES = 3  # of the courseworks' VGG, whose blocks are one list
BLOCK = re.compile(r"(?P<block>(?P<list>\w+)\.\d+)\.(?P<part>[a-z]\w*)")
NUMBERED = re.compile(r"(?P<list>\w+)\.\d+(?:\.0)?")
LINEAR = {"classifier", "head", "fc"}
PRINTED = {"entry": "first conv", "head": "output"}


def is_scale(name: str, before: str) -> bool:
    """Is it a normalisation's scale? Named so, or straight after a layer in a list.

    >>> is_scale("features.1", "features.0"), is_scale("features.4", "features.0")
    (True, False)
    """
    (head, _, number), (other, _, last) = name.rpartition("."), before.rpartition(".")
    both = head == other and number.isdecimal() and last.isdecimal()
    return "norm" in name or (both and int(number) == int(last) + 1)


def split_scales(names: list[str]) -> tuple[list[str], list[tuple[str, int]]]:
    """The layers with weights, and each normalisation's scale with the number among them
    of the layer that it follows."""
    layers, scales = [], []
    for before, name in zip(["", *names], names, strict=False):
        if is_scale(name, before):
            scales.append((name, max(len(layers) - 1, 0)))
        else:
            layers.append(name)
    return layers, scales


def blocks(layers: list[str]) -> list[str]:
    """The block that each layer is in, as it is printed; a layer that is in none by its
    own name.

    >>> blocks(["entry", "stages.0.conv1", "stages.1.conv1", "stages.2.conv1", "head"])
    ['first conv', 'stage 1, block 1', 'stage 2, block 1', 'stage 3, block 1', 'output']
    >>> blocks(["features.0", "features.2.conv1.0", "features.4.0", "head.0"])
    ['conv 1', 'block 1', 'conv 2', 'linear 1']
    """
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
        elif numbered := NUMBERED.fullmatch(name):
            kind = "linear" if numbered["list"] in LINEAR else "conv"
            counts[kind] += 1
            printed.append(f"{kind} {counts[kind]}")
        else:
            printed.append(PRINTED.get(name, name.replace("_", " ")))
    return printed


def labels(layers: list[str]) -> dict[str, str]:
    """The name of each layer: its block, and its place in it.

    >>> labels(["features.0", "features.2.conv1.0"])
    {'features.0': 'conv 1', 'features.2.conv1.0': 'block 1, conv 1'}
    """
    named = dict(zip(layers, blocks(layers), strict=True))
    for name in layers:
        if place := BLOCK.match(name):
            named[name] += ", " + re.sub(r"(\d+)$", r" \1", place["part"])
    return named
