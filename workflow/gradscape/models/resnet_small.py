"""A small residual network of this project's own, for accuracy per parameter.

Four stages of widths w, 2w, 4w, 4w, each with one residual block (He et al. 2016, section
3.2); between stages a max pool of 2 and a convolution to the next width; then the mean over
positions, dropout and a linear layer. Every convolution but the first is normalised (Ioffe
& Szegedy 2015), all start from He et al.'s weights (2015); each block's last normalisation
starts at zero, so that a block starts as the identity (Goyal et al. 2017, section 5.1).
"""

from torch import Tensor, nn

from gradscape.models.blocks import ACTIVATIONS, conv3x3, norm

STAGES = (1, 2, 4, 4)  # widths, as multiples of the first


def convolution(inputs: int, outputs: int, batch_norm: bool) -> nn.Sequential:
    """Convolution and normalisation, or a bias in its place."""
    convolved = conv3x3(inputs, outputs, bias=not batch_norm)
    return nn.Sequential(convolved, norm(outputs, batch_norm))


class ResidualBlock(nn.Module):
    """Two convolutions, size and width kept: [n, c, s, s] → [n, c, s, s]."""

    def __init__(self, width: int, activation: str, batch_norm: bool, skip: bool):
        super().__init__()
        self.conv1 = convolution(width, width, batch_norm)
        self.conv2 = convolution(width, width, batch_norm)
        self.activation = ACTIVATIONS[activation]()
        self.skip = skip
        if skip and batch_norm:
            nn.init.zeros_(self.conv2[1].weight)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv2(self.activation(self.conv1(x)))
        return self.activation(out + x if self.skip else out)


class ResNetSmall(nn.Module):
    """Images [n, channels, s, s] → logits [n, classes]."""

    def __init__(
        self,
        classes: int,
        width: int = 56,
        activation: str = "relu",
        dropout: float = 0.1,
        batch_norm: bool = True,
        skip: bool = True,
        channels: int = 3,
    ):
        super().__init__()
        layers: list[nn.Module] = [conv3x3(channels, width), ACTIVATIONS[activation]()]
        before = width
        for number, factor in enumerate(STAGES):
            after = factor * width
            if number > 0:
                layers += [nn.MaxPool2d(2), convolution(before, after, batch_norm)]
                layers.append(ACTIVATIONS[activation]())
            layers.append(ResidualBlock(after, activation, batch_norm, skip))
            before = after
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(before, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dropout(self.features(x).mean((2, 3))))


MODELS = {"resnet-small": ResNetSmall}
SIZES = (8, None)  # three halvings
