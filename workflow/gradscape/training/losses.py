"""Training losses by name. Validation and test losses are always cross entropy.

One of your own is a function like these: of logits [b, classes] in fp32, labels [b] and the
run's settings; on CUDA it reads nothing from the device.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscape.models.blocks import trainable
from gradscape.spec.settings import Settings

FOCUS = 2.0  # gamma of the focal loss, Lin et al. 2017, section 3.2


def cross_entropy(logits: Tensor, labels: Tensor, settings: Settings) -> Tensor:
    """Cross entropy, smoothed by `label_smoothing` (Szegedy et al. 2016, section 7)."""
    smoothing = settings.label_smoothing
    return functional.cross_entropy(logits, labels, label_smoothing=smoothing)


def squared_error(logits: Tensor, labels: Tensor, settings: Settings) -> Tensor:
    """Squared distance of the logits from one-hot labels, summed over classes."""
    wanted = one_hot(labels, logits).to(logits.dtype)
    return (logits - wanted).square().sum(dim=1).mean()


def focal(logits: Tensor, labels: Tensor, settings: Settings) -> Tensor:
    """Cross entropy that weights down what is already right (Lin et al. 2017)."""
    log_probabilities = functional.log_softmax(logits, dim=1)
    log_right = torch.where(one_hot(labels, logits), log_probabilities, 0).sum(dim=1)
    return -((1 - log_right.exp()) ** FOCUS * log_right).mean()


LOSSES = {"cross_entropy": cross_entropy, "squared_error": squared_error, "focal": focal}


def one_hot(labels: Tensor, logits: Tensor) -> Tensor:
    """A mask [b, classes]; the exact backward pass of indices on CUDA sorts them."""
    return labels[:, None] == torch.arange(logits.shape[1], device=labels.device)


def l1_penalty(model: nn.Module, factor: float) -> Tensor:
    """`factor` times the sum of absolute weights; biases and normalisations are free."""
    weights = [p for p in trainable(model) if p.ndim > 1]
    sums = [weight.abs().sum() for weight in weights]
    return factor * torch.stack(sums).sum() if sums else torch.zeros(())
