"""Signal propagation: how large activations and gradients are, layer by layer.

At initialisation a plain network multiplies both by a known factor per layer, which
`models/laws.py` predicts (He et al. 2015, section 2.2).
"""

import math
from typing import Annotated

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gradscape.models import laws
from gradscape.probes.trained import Call, Trained, calls
from gradscape.spec.options import Range


def law_of(module: nn.Module, call: Call) -> laws.Layer:
    size = call.given.shape[-1] if call.given.ndim == 4 else 1
    return laws.Layer(size, module.weight[0].numel(), module.bias is not None)


def is_plain(model: nn.Module) -> bool:
    """Whether the law applies: only convolutions and leaky rectifiers, normalised at the
    entry and with PyTorch's default weights."""
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
        layers = {
            name: module
            for name, module in model.named_modules()
            if isinstance(module, nn.Conv2d | nn.Linear)
        }
        with calls(layers) as seen:
            loss = cross_entropy(model(pixels), labels)
        for call in seen:
            if call.gave.requires_grad:
                call.gave.retain_grad()
        loss.backward()
        by_name = {call.name: call for call in seen}
        chain = [by_name[name] for name in layers]  # in the network's own order
        activations = gradients = [math.nan] * len(chain)
        if moment == "initialisation" and is_plain(model):
            plain = [law_of(layers[call.name], call) for call in chain]
            activations = laws.activation_mean_squares(plain, model.slope)
            gradients = laws.gradient_mean_squares(
                plain, model.slope, run.classes, len(labels)
            )
        for depth, (name, given, z) in enumerate(chain):
            rows.append(
                {
                    "moment": moment,
                    "layer": name,
                    "depth": depth,
                    "size": z.shape[-1] if z.ndim == 4 else 1,
                    "input_mean_square": mean_square(given),
                    "activation_mean_square": mean_square(z),
                    "activation_variance": float(z.detach().double().var(dim=0).mean()),
                    "gradient_mean_square": mean_square(z.grad),
                    "predicted_activation_mean_square": activations[depth],
                    "predicted_gradient_mean_square": gradients[depth],
                }
            )
    return rows
