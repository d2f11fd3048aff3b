"""What training minimises, by name. Validation and test losses are cross entropy always."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

from gradscape.config import Settings
from gradscape.models.blocks import trainable

FOCUS = 2.0  # gamma of the focal loss, Lin et al. 2017, section 3.2


def training_loss(settings: Settings, logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over a minibatch: logits [b, classes] and labels [b] → 0-d, without penalties.

    `cross_entropy`, smoothed by `label_smoothing` (Szegedy et al. 2016, section 7);
    `squared_error`, of the logits against one-hot labels, summed over classes; `focal`
    (Lin et al. 2017), which turns down what is already right.
    """
    # A mask instead of indices, whose backward on CUDA would need sorting to be exact.
    right = labels[:, None] == torch.arange(logits.shape[1], device=labels.device)
    if settings.loss == "squared_error":
        return (logits - right.to(logits.dtype)).square().sum(dim=1).mean()
    if settings.loss == "focal":
        log_right = torch.where(right, log_softmax(logits, dim=1), 0).sum(dim=1)
        return -((1 - log_right.exp()) ** FOCUS * log_right).mean()
    return cross_entropy(logits, labels, label_smoothing=settings.label_smoothing)


def l1_penalty(model: nn.Module, factor: float) -> Tensor:
    """`factor` times the sum of absolute weights; biases and normalisations are free."""
    weights = [p for p in trainable(model) if p.ndim > 1]
    return factor * torch.stack([weight.abs().sum() for weight in weights]).sum()
