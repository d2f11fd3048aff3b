"""Signal propagation: how large activations and gradients are, layer by layer.

At initialisation a plain network multiplies both by a known factor per layer, which
`models/laws.py` predicts (He et al. 2015, section 2.2).
"""

import math
from typing import Annotated

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gradscape.models import laws
from gradscape.probes.trained import Trained
from gradscape.spec.options import Range


class Layer:
    """A convolution or linear layer of a running network, and what it was given and made.

    `law` is what `models/laws.py` has to know of it.
    """

    def __init__(self, name: str, module: nn.Module):
        self.name, self.module = name, module
        module.register_forward_hook(self.keep)

    def keep(self, module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        size = inputs[0].shape[-1] if output.ndim == 4 else 1
        fan_in, bias = module.weight[0].numel(), module.bias is not None
        self.law = laws.Layer(size, fan_in, bias)
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
    """Does the law apply: only convolutions and leaky rectifiers, normalised at the entry
    and with PyTorch's default weights?"""
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    residual = any(getattr(module, "residual", False) for module in model.modules())
    default = getattr(model, "initialisation", None) == "default"
    return hasattr(model, "entry_norm") and norms == 1 and not residual and default


def mean_square(tensor: Tensor) -> float:
    return float(tensor.detach().double().square().mean())


WORDS = "moment layer"
NUMBERS = (
    "depth size input_mean_square activation_mean_square activation_variance "
    "gradient_mean_square predicted_activation_mean_square "
    "predicted_gradient_mean_square"
)


def signal(
    run: Trained,
    images: Annotated[int, Range(2), "training images, in one minibatch"] = 100,
) -> list[dict]:
    """Rows `moment,layer,depth,size,…`: mean squares at initialisation, best and last
    weights; `size` is the side of what the layer puts out, of a linear layer 1.

    One minibatch of `images` training images, in training mode as in a step. The
    `predicted_…` columns follow the law, for a plain network at initialisation.
    """
    rows = []
    ((pixels, labels),) = run.minibatches(images, images)
    for moment in ("initialisation", "best", "last"):
        model = run.network(moment).train()
        chain = layers(model)
        cross_entropy(model(pixels), labels).backward()
        activations = gradients = [math.nan] * len(chain)
        if moment == "initialisation" and is_plain(model):
            plain = [layer.law for layer in chain]
            activations = laws.activation_mean_squares(plain, model.slope)
            gradients = laws.gradient_mean_squares(
                plain, model.slope, run.classes, len(labels)
            )
        for depth, layer in enumerate(chain):
            z = layer.output
            rows.append(
                {
                    "moment": moment,
                    "layer": layer.name,
                    "depth": depth,
                    "size": z.shape[-1] if z.ndim == 4 else 1,
                    "input_mean_square": layer.input_mean_square,
                    "activation_mean_square": mean_square(z),
                    "activation_variance": float(z.detach().double().var(dim=0).mean()),
                    "gradient_mean_square": mean_square(z.grad),
                    "predicted_activation_mean_square": activations[depth],
                    "predicted_gradient_mean_square": gradients[depth],
                }
            )
    return rows
