"""The networks. A new one is a file here, or anywhere importable, and a line below.

The registry holds `module:constructor` as text so that reading a config, drawing a figure
or listing names never imports torch. A constructor takes the number of classes and
returns a module that maps images [n, 3, 32, 32] to logits [n, classes].
"""

from importlib import import_module

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
    "convnet": "gradscape.models.convnet:convnet",
    "convnet-bn": "gradscape.models.convnet:convnet_bn",
}


def build(name: str, classes: int):
    """Construct the network `name` for `classes` classes, initialised by torch's RNG."""
    module, constructor = MODELS[name].split(":")
    return getattr(import_module(module), constructor)(classes)


def source_file(name: str) -> str:
    """The module a network is built by, as a path below the package's parent."""
    return MODELS[name].split(":")[0].replace(".", "/") + ".py"
