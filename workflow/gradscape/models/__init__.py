"""The networks. A new one is a file here and a line below, or a file of the user's own,
which a config names as `path/file.py:constructor`.

The registry holds `module:constructor` as text so that reading a config, drawing a figure
or listing names never imports torch. A constructor takes the number of classes and
returns a module that maps images [n, 3, 32, 32] to logits [n, classes].
"""

import inspect
from functools import partial

from gradscape.errors import GradscapeError
from gradscape.registry import find as load, source

MODELS = {
    "vgg08": "gradscape.models.vgg_edinburgh:vgg08",
    "vgg08-bn": "gradscape.models.vgg_edinburgh:vgg08_bn",
    "vgg08-rc": "gradscape.models.vgg_edinburgh:vgg08_rc",
    "vgg08-bn-rc": "gradscape.models.vgg_edinburgh:vgg08_bn_rc",
    "vgg38": "gradscape.models.vgg_edinburgh:vgg38",
    "vgg38-bn": "gradscape.models.vgg_edinburgh:vgg38_bn",
    "vgg38-rc": "gradscape.models.vgg_edinburgh:vgg38_rc",
    "vgg38-bn-rc": "gradscape.models.vgg_edinburgh:vgg38_bn_rc",
    "vgg-a": "gradscape.models.vgg_a:vgg_a",
    "vgg-a-bn": "gradscape.models.vgg_a:vgg_a_bn",
    "vgg-a-dropout": "gradscape.models.vgg_a:vgg_a_dropout",
    "vgg-a-light": "gradscape.models.vgg_a:vgg_a_light",
    "resnet-small": "gradscape.models.resnet_small:ResNetSmall",
    "convnet": "gradscape.models.convnet:convnet",
    "convnet-bn": "gradscape.models.convnet:convnet_bn",
    "vgg11-bn": "gradscape.models.vgg11_bn:VGG11",
}

# Networks that can start from ImageNet weights: the file, as torchvision names it.
PRETRAINED = {"vgg11-bn": "vgg11_bn-6002323d.pth"}


def pretrained_file(name: str) -> str:
    """The name of a network's file of ImageNet weights."""
    if name not in PRETRAINED:
        raise GradscapeError(
            f"model {name}: has no pretrained weights (those have: {', '.join(PRETRAINED)})"
        )
    return PRETRAINED[name]


# Settings that a constructor may take as keywords of the same name.
OPTIONS = ["width", "activation", "dropout", "batch_norm", "skip", "freeze"]


def build(name: str, classes: int, settings=None):
    """Construct the network `name` for `classes` classes, initialised by torch's RNG.

    Of `settings` the `OPTIONS` that are set change it. Raises `GradscapeError` for one
    that this network does not have, or that its name has decided.
    """
    make = load(MODELS.get(name, name))
    values = {option: getattr(settings, option, None) for option in OPTIONS}
    wanted = {option: value for option, value in values.items() if value is not None}
    free = set(inspect.signature(make).parameters)
    if isinstance(make, partial):
        free -= set(make.keywords)
    for option in wanted:
        if option not in free:
            raise GradscapeError(f"model {name}: has no {option!r} to set")
    return make(classes, **wanted)


def source_file(name: str) -> str:
    """The module a network is built by, as a path from the repository."""
    return f"workflow/{source(MODELS[name])}" if name in MODELS else source(name)
