"""How names of models, datasets, learning rates and variants are printed."""

import re
from collections.abc import Sequence

from gradscape.spec.settings import SETTINGS

PRINTED = {"vgg-a": "VGG-A", "resnet": "ResNet", "convnet": "ConvNet"}
PRINTED |= {"efficientnet-lite0": "EfficientNet-Lite0"}
SPELT = ["ReLU", "ELU", "GELU", "Adam", "AdamW", "SGD", "RMSprop", "Muon", "L1", "L2", "He"]
WORDS = {word.lower(): word for word in [*SPELT, "BN", "RC", "fine-tuned"]}
BETWEEN = re.compile(f"_(?=(?:{'|'.join(SETTINGS).replace('_', '-')})-)")  # two settings
DATASETS = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "svhn": "SVHN",
    "fashion-mnist": "Fashion-MNIST",
    "generated10": "Generated-10",
    "generated10-small": "Generated-10 (small)",
    "generated100": "Generated-100",
}


def model_label(name: str) -> str:
    """A model's name as it is printed: `vgg38-bn-rc` → `VGG38 BN+RC`."""
    bare = name.split(":")[-1]
    base = next((b for b in PRINTED if re.match(f"{b}(-|$)", bare)), bare.split("-")[0])
    rest = bare.removeprefix(base).split("-")[1:]
    cures = "+".join(w.upper() if len(w) == 2 else w for w in rest)
    base = PRINTED.get(base, base.replace("vgg", "VGG"))
    return f"{base} {cures}".strip()


def printed_variant(variant: str) -> str:
    """The printed form of what a run varies.

    >>> printed_variant("width-16"), printed_variant("no-l2"), printed_variant("")
    ('width 16', 'no L2', '')
    >>> printed_variant("width-8_weight-decay-0.01")
    'width 8, weight decay 0.01'
    """
    if variant in WORDS:
        return WORDS[variant]
    parts = [re.sub(r"(?<=[a-z])-|_", " ", part).split() for part in BETWEEN.split(variant)]
    return ", ".join(" ".join(WORDS.get(word, word) for word in part) for part in parts)


def variant_label(model: str, variant: str, models: set[str]) -> str:
    """A variant's name within its study; with the model if the models differ."""
    if len(models) > 1:
        return setting_label(model, variant)
    return printed_variant(variant) or "unchanged"


def setting_label(model: str, variant: str) -> str:
    """`VGG38 BN`, `ConvNet, width 16`."""
    return ", ".join(filter(None, [model_label(model), printed_variant(variant)]))


NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def in_words(number: int) -> str:
    """`three`, but `12`."""
    return NUMBERS[number] if number < len(NUMBERS) else f"{number:,}"


def noun(number: int, one: str) -> str:
    """`epoch` or `epochs`."""
    return one if number == 1 else f"{one}s"


MAX_LISTED = 20


def listing(words: Sequence[object]) -> str:
    """`a, b and c`; of very many only the first and the last.

    >>> listing(["a", "b", "c"]), listing(range(1000))
    ('a, b and c', '0 to 999 (1000 in all)')
    """
    if len(words) > MAX_LISTED:
        return f"{words[0]} to {words[-1]} ({len(words)} in all)"
    *first, last = map(str, words)
    return f"{', '.join(first)} and {last}" if first else last
