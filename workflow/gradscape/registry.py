"""Functions named as text, so that a list of names imports nothing.

`package.module:function`, or `path/file.py:function` for a user's own.
"""

from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from gradscape.errors import GradscapeError


def load(reference: str):
    """The function that a reference names.

    Raises `GradscapeError` where a user's own file, or the name in it, is missing.

    >>> load("math:sqrt")(9)
    3.0
    """
    module, function = reference.split(":")
    if not module.endswith(".py"):
        return getattr(import_module(module), function)
    if not Path(module).is_file():
        raise GradscapeError(f"{reference}: there is no file {module}")
    spec = spec_from_file_location(Path(module).stem, module)
    loaded = module_from_spec(spec)
    spec.loader.exec_module(loaded)
    if not hasattr(loaded, function):
        raise GradscapeError(f"{reference}: {module} defines no {function!r}")
    return getattr(loaded, function)


def source(reference: str) -> str:
    """The file that a function is in: of the package, below the package's parent.

    >>> source("gradscape.models.vgg_a:vgg_a"), source("my/nets.py:Tiny")
    ('gradscape/models/vgg_a.py', 'my/nets.py')
    """
    module = reference.split(":")[0]
    return module if module.endswith(".py") else module.replace(".", "/") + ".py"
