"""Signal propagation: how large activations and gradients are, layer by layer.

At initialisation a plain network multiplies both by a known factor per layer (He et al.
2015, section 2.2). For a convolution of `fan_in` inputs with weights of variance
1/(3 fan_in), which is PyTorch's default, after a leaky ReLU of slope a, the mean square
over weights of the pre-activations z obeys

    E[z_l²] = (1 + a²)/2 · 1/3 · E[z_(l-1)²] + Var[bias]

where the mean on the right is over the taps. Zero padding leaves fewer of them at the
border, so each position has its own mean square. Gradients obey the same law from
the last layer to the first, without the bias. The factor is 1/6 in the interior.
"""

from functools import partial
from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy, interpolate, pad

from gradscape.probes.trained import Trained
from gradscape.spec.options import Range

SLOPE = 0.01  # of the leaky ReLU
HALF = (
    1 + SLOPE**2
) / 2  # the share of a symmetric mean square that a leaky ReLU lets through
VARIANCE = 1 / 3  # fan_in times the variance of PyTorch's default weights


class Layer:
    """A convolution or linear layer in a running network: input's side and mean square,
    output, name."""

    def __init__(self, name: str, module: nn.Module):
        self.name, self.module = name, module
        module.register_forward_hook(self.keep)

    def keep(self, module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        self.size = inputs[0].shape[-1]
        self.input_mean_square = mean_square(inputs[0])
        self.output = output
        if output.requires_grad:
            output.retain_grad()
        return output.clone()  # activations in place must not reach what is kept


def layers(model: nn.Module) -> list[Layer]:
    """All convolutions and linear layers, hooked, in the order of the network's list."""
    return [
        Layer(name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]


def is_plain(model: nn.Module) -> bool:
    """Does the law apply: only convolutions and leaky ReLUs, normalised at the entry and
    with PyTorch's default weights?"""
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    residual = any(getattr(module, "residual", False) for module in model.modules())
    default = getattr(model, "initialisation", "default") == "default"
    default = default and getattr(model, "slope", None) == SLOPE
    return hasattr(model, "entry_norm") and norms == 1 and not residual and default


def taps(squares: Tensor) -> Tensor:
    """Mean over the 3 × 3 taps at each position of [1, 1, s, s], zero outside."""
    return avg_pool2d(squares, 3, stride=1, padding=1)


def predicted_activations(chain: list[Layer]) -> list[float]:
    """Mean square of each layer's pre-activations, from the entry's, normalised to 1.

    Pooling is taken to average equal values: after many layers that is what biases leave.
    The law does not say what the entry is before its normalisation, so that is NaN.
    """
    squares = torch.ones(1, 1, chain[0].size, chain[0].size, dtype=torch.float64)
    means = [float("nan")]
    for layer in chain[1:]:
        fan_in = layer.module.weight[0].numel()
        bias = 0.0 if layer.module.bias is None else VARIANCE / fan_in
        if isinstance(layer.module, nn.Linear):
            squares = squares.mean()
        else:
            squares = taps(avg_pool2d(squares, 2 if squares.shape[-1] > layer.size else 1))
        squares = HALF * VARIANCE * squares + bias
        means.append(float(squares.mean()))
    return means


def predicted_gradients(chain: list[Layer], classes: int, images: int) -> list[float]:
    """Mean square of dL/dz of each layer, from the logits of a uniform guess backwards."""
    size = chain[-2].size
    logits = (1 - 1 / classes) / (classes * images**2)
    head = classes * VARIANCE / chain[-1].module.weight[0].numel() * logits
    squares = torch.full((1, 1, size, size), HALF * head / size**4, dtype=torch.float64)
    means = [logits, float(squares.mean())]
    for before, layer in reversed(list(pairwise(chain[1:-1]))):
        squares = VARIANCE * taps(squares)
        if before.size > layer.size:  # there is an average pool of 2 × 2 in between
            squares = interpolate(squares, scale_factor=2) / 16
            # An odd last row or column is not pooled.
            squares = pad(squares, (0, before.size % 2) * 2)
        squares = HALF * squares
        means.append(float(squares.mean()))
    return [float("nan"), *reversed(means)]


def mean_squares(model: nn.Module, chain: list[Layer], loss) -> list[dict]:
    """For each layer, the mean squares of input, pre-activation and gradient, and what is
    left of the pre-activation's variance over images."""
    model.zero_grad()
    loss().backward()
    return [
        {
            "input_mean_square": layer.input_mean_square,
            "activation_mean_square": mean_square(layer.output),
            "activation_variance": float(layer.output.detach().double().var(dim=0).mean()),
            "gradient_mean_square": mean_square(layer.output.grad),
        }
        for layer in chain
    ]


def mean_square(tensor: Tensor) -> float:
    return float(tensor.detach().double().square().mean())


def signal(
    run: Trained,
    images: Annotated[int, Range(2), "training images, in one minibatch"] = 100,
) -> list[dict]:
    """Rows `moment,layer,depth,size,…`: mean squares at initialisation, best and last
    weights; `size` is the side of what the layer puts out, of a linear layer 1.

    One minibatch of `images` training images, in training mode as in a step. The
    `predicted_…` columns follow the law above, for a plain network at initialisation.
    """
    rows = []
    ((pixels, labels),) = run.minibatches(images, images)
    for moment in ("initialisation", "best", "last"):
        model = run.network(moment).train()
        chain = layers(model)
        loss = partial(lambda m: cross_entropy(m(pixels), labels), model)
        measured = mean_squares(model, chain, loss)
        predicted = [[float("nan")] * len(chain)] * 2
        if moment == "initialisation" and is_plain(model):
            predicted = [
                predicted_activations(chain),
                predicted_gradients(chain, run.classes, len(labels)),
            ]
        for depth, layer in enumerate(chain):
            rows.append(
                {"moment": moment, "layer": layer.name, "depth": depth}
                | {"size": layer.output.shape[-1] if layer.output.ndim == 4 else 1}
                | measured[depth]
                | {
                    "predicted_activation_mean_square": predicted[0][depth],
                    "predicted_gradient_mean_square": predicted[1][depth],
                }
            )
    return rows
