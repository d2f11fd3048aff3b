"""Signal propagation: how large activations and gradients are, layer by layer.

At initialisation a plain network multiplies both by a known factor per layer, which
`models/laws.py` predicts (He et al. 2015, section 2.2).
"""

import math
from typing import Annotated

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gradscape.models import laws
from gradscape.models.anatomy import LAYERS
from gradscape.probes.trained import Trained, calls
from gradscape.spec.options import Range

WORDS = "moment layer"
NUMBERS = (
    "depth size input_mean_square activation_mean_square activation_variance "
    "gradient_mean_square predicted_activation_mean_square "
    "predicted_gradient_mean_square"
)


def is_plain(model: nn.Module) -> bool:
    """Whether the law applies: only convolutions and leaky rectifiers, normalised at the
    entry and with PyTorch's default weights."""
    residual = any(getattr(module, "residual", False) for module in model.modules())
    default = getattr(model, "initialisation", None) == "default"
    norms = [n for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)]
    return norms == ["entry_norm"] and not residual and default


def side(tensor: Tensor) -> int:
    """The side of feature maps [n, c, s, s]; 1 for features [n, c]."""
    return tensor.shape[-1] if tensor.ndim == 4 else 1


def mean_square(tensor: Tensor | None) -> float:
    return math.nan if tensor is None else float(tensor.detach().double().square().mean())


def signal(
    run: Trained,
    images: Annotated[int, Range(2), "training images, in one minibatch"] = 100,
) -> list[dict]:
    """Mean squares at initialisation, best and last weights, on one minibatch in training
    mode, as in a step; `size` is the side of what the layer puts out, of a linear layer 1.
    The `predicted_…` columns follow the law, for a plain network at initialisation."""
    rows = []
    ((pixels, labels),) = run.minibatches(images, images)
    for moment in ("initialisation", "best", "last"):
        model = run.network(moment).train()
        needed = "convolution or linear layer, whose signal is what `signal` measures"
        chain = run.layers(model, LAYERS, needed)
        with calls(chain) as seen:
            loss = cross_entropy(model(pixels), labels)
        of = {call.name: call for call in reversed(seen)}  # of several calls the first
        chain = {name: layer for name, layer in chain.items() if name in of}
        for call in of.values():
            if call.gave.requires_grad:  # not in front of all that trains
                call.gave.retain_grad()
        loss.backward()
        activations = gradients = [math.nan] * len(chain)
        if moment == "initialisation" and is_plain(model):
            plain = [
                laws.Layer(side(of[name].given), m.weight[0].numel(), m.bias is not None)
                for name, m in chain.items()
            ]
            shape, counts = (plain, model.slope), (run.classes, len(labels))
            activations = laws.activation_mean_squares(*shape)
            gradients = laws.gradient_mean_squares(*shape, *counts)
        for depth, name in enumerate(chain):
            z = of[name].gave
            rows.append(
                {
                    "moment": moment,
                    "layer": name,
                    "depth": depth,
                    "size": side(z),
                    "input_mean_square": mean_square(of[name].given),
                    "activation_mean_square": mean_square(z),
                    "activation_variance": float(z.detach().double().var(dim=0).mean()),
                    "gradient_mean_square": mean_square(z.grad),
                    "predicted_activation_mean_square": activations[depth],
                    "predicted_gradient_mean_square": gradients[depth],
                }
            )
    return rows
