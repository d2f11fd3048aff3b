"""Functions named as text, `module:function`, so that a list of names imports nothing."""

from importlib import import_module


def load(reference: str):
    """The function that a registry's entry names.

    >>> load("math:sqrt")(9)
    3.0
    """
    module, function = reference.split(":")
    return getattr(import_module(module), function)


def source(reference: str) -> str:
    """The file that an entry's function is in, below the package's parent.

    >>> source("gradscape.models.vgg_a:vgg_a")
    'gradscape/models/vgg_a.py'
    """
    return reference.split(":")[0].replace(".", "/") + ".py"
