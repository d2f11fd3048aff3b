"""What the networks share."""

from torch import Tensor, nn

ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


def conv3x3(inputs: int, outputs: int, bias: bool = True) -> nn.Conv2d:
    """A 3×3 convolution that keeps the size of the feature map."""
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=bias)


def norm(channels: int, batch_norm: bool) -> nn.Module:
    """Batch normalisation, or nothing in its place."""
    return nn.BatchNorm2d(channels) if batch_norm else nn.Identity()


def weights(model: nn.Module) -> dict[str, Tensor]:
    """The weight tensors that train, in order of depth, without the biases.

    These are the points of the coursework's gradient-flow plot: convolutions, batch
    normalisations' scales, linear layers.
    """
    return {
        name.removesuffix(".weight"): parameter
        for name, parameter in model.named_parameters()
        if name.endswith("weight") and parameter.requires_grad
    }


def output_layer(model: nn.Module) -> nn.Linear:
    """The linear layer that gives the logits: the last that the network lists."""
    return [module for module in model.modules() if isinstance(module, nn.Linear)][-1]


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that train: all but those of a frozen part."""
    return [p for p in model.parameters() if p.requires_grad]


def parameter_count(model: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in trainable(model))


def layer_counts(model: nn.Module) -> dict[str, int]:
    """How many convolutions, batch normalisations and linear layers a network has."""
    kinds = {
        "convolutions": nn.Conv2d,
        "batch_normalisations": nn.BatchNorm2d,
        "linear_layers": nn.Linear,
    }
    return {
        name: sum(isinstance(module, kind) for module in model.modules())
        for name, kind in kinds.items()
    }
