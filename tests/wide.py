"""Wide networks with random weights, which the laws are compared with."""

import math

import numpy as np
import torch
from torch import nn
from torch.autograd import grad
from torch.nn.functional import cross_entropy, leaky_relu

from gradscape.models import laws
from gradscape.models.vgg_edinburgh import EdinburghVGG


def normal(*shape) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64)


def squares_at_random(seed: int, blocks: int, width: int, **options) -> list[np.ndarray]:
    """The mean squares of z and of dL/dz of each layer of an Edinburgh network behind its
    entry, of 20 images of noise of 16 × 16 and as many labels of ten."""
    torch.manual_seed(seed)
    network, outputs = EdinburghVGG(10, blocks, width=width, **options).train(), []
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(lambda m, i, z: outputs.append(z) or z.clone())
    loss = cross_entropy(network(torch.randn(20, 3, 16, 16)), torch.randint(10, (20,)))
    gradients = grad(loss, outputs[1:])
    return [
        np.array([x.detach().double().square().mean() for x in tensors])
        for tensors in (outputs[1:], gradients)
    ]


def simulated(slope, norm, variance, independent=False) -> tuple[list, ...]:
    """By block of five in a residual stream that starts as φ(N(0, 1)): the mean square of
    what it is given, and of the gradient before its last rectifier and with respect to what
    it is given, if behind the last block that is 1; as if rectifiers were `independent`."""
    x = leaky_relu(normal(10**6), slope)
    given, sums, shares = [], [], []
    for _ in range(5):
        square, through = x.square().mean(), laws.let_through(slope)
        share = variance**2 * through
        added = 1 if norm else share * square
        if norm:
            v = through - (1 - slope) ** 2 / (2 * math.pi)
            share = share / (variance * x.var() * variance * v)
        given.append(square.item())
        shares.append(share)
        sums.append(x + added**0.5 * normal(len(x)))
        x = leaky_relu(sums[-1], slope)
    behind, before, above = torch.ones(len(x)), [], []
    for s, share in zip(reversed(sums), reversed(shares), strict=True):
        behind = torch.where(s > 0, 1, slope**2) * behind
        before.insert(0, behind.mean().item())
        behind = behind + share * behind.mean()
        above.insert(0, behind.mean().item())
        if independent:
            behind[:] = behind.mean()
    return given, before, above
