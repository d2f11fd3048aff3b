"""Gradient flow: how much gradient reaches each layer's weights.

Edinburgh MLP coursework 2, section 4.1 (`plot_grad_flow`): after an epoch, the mean
absolute gradient that its last minibatch left in each weight tensor. How far it falls
from the last layer to the first is the vanishing gradient of Glorot & Bengio (2010).
"""

import torch
from torch import nn

from gradscape.models.blocks import weights


def mean_absolute_gradients(model: nn.Module) -> list[float]:
    """Mean |dL/dw| of each weight tensor, in order of depth; biases are left out."""
    means = [parameter.grad.float().abs().mean() for parameter in weights(model).values()]
    return torch.stack(means).tolist()
