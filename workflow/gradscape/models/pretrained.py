"""ImageNet weights for a network's convolutions: downloaded or local, checked by hash.

A file of weights carries the first digits of its SHA-256 in its name, as torchvision's
do: `vgg11_bn-6002323d.pth`.
"""

import hashlib
import re
from pathlib import Path

import torch
from torch import nn

from gradscape.errors import GradscapeError
from gradscape.files import whole
from gradscape.models import pretrained_file

BACKBONE = "features."  # the prefix of the convolutional part's weights


def download(model: str, path: Path) -> None:
    """Fetch torchvision's ImageNet weights for `model`; they appear whole or not at all."""
    from torchvision.models import get_model_weights

    url = get_model_weights(model.replace("-", "_"))["IMAGENET1K_V1"].url
    with whole(path) as partial:
        try:
            torch.hub.download_url_to_file(url, str(partial), digits(path))
        except (OSError, RuntimeError) as error:  # no network, or another hash
            raise GradscapeError(
                f"{model}: the download of its weights failed ({error}); put "
                f"{pretrained_file(model)} on this machine and name it as weights in the "
                "config"
            ) from None


def digits(path: Path) -> str:
    """The digits of its hash in a weights file's name."""
    found = re.fullmatch(r".*-([0-9a-f]{8,64})\.pth", path.name)
    if found is None:
        raise GradscapeError(
            f"{path}: a weights file is called <name>-<first digits of its SHA-256>.pth"
        )
    return found[1]


def load_backbone(model: nn.Module, path: Path) -> str:
    """Give a network's convolutional part the weights in `path`; return their SHA-256.

    Raises `GradscapeError` for a missing file, a hash other than its name says, or weights
    of other shapes.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise GradscapeError(f"{path}: the pretrained weights are missing") from None
    if not digest.startswith(digits(path)):
        raise GradscapeError(f"{path}: damaged: its SHA-256 begins with {digest[:8]}")
    saved = torch.load(path, map_location="cpu", weights_only=True)
    # Files older than torch 0.4 lack the running statistics' step counts.
    wanted = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if name.startswith(BACKBONE) and not name.endswith("num_batches_tracked")
    }
    for name, tensor in wanted.items():
        shape = list(saved[name].shape) if name in saved else "missing"
        if shape != list(tensor.shape):
            raise GradscapeError(
                f"{path}: weights of another network: {name} is {shape}, "
                f"where {list(tensor.shape)} is needed"
            )
    model.load_state_dict({name: saved[name] for name in wanted}, strict=False)
    return digest
