"""VGG-A for small images (Simonyan & Zisserman 2015, Table 1, column A), Fudan project 2:
eight convolutions with bias and ReLU, five max pools, three linear layers; Xavier-normal
weights and zero biases. The BN variant normalises after each convolution, before ReLU."""

from functools import partial

from torch import Tensor, nn

from gradscape.models.blocks import conv3x3, norm

POOL = "pool"
VGG_A = [64, POOL, 128, POOL, 256, 256, POOL, 512, 512, POOL, 512, 512, POOL]
LIGHT = [16, POOL, 32, POOL]


class VGG(nn.Module):
    """Images [n, channels, size, size] → logits [n, classes]. `layers` lists the widths of
    the convolutions, with `POOL` in between; `hidden` is the width of the two hidden linear
    layers, before each of which `dropout` comes."""

    def __init__(
        self,
        classes: int,
        layers: list = VGG_A,
        hidden: int = 512,
        batch_norm: bool = False,
        dropout: float = 0.0,
        channels: int = 3,
        size: int = 32,
    ):
        super().__init__()
        features: list[nn.Module] = []
        for width in layers:
            if width == POOL:
                features.append(nn.MaxPool2d(2))
                size //= 2
            else:
                conv = conv3x3(channels, width)
                features += [conv, norm(width, batch_norm), nn.ReLU()]
                channels = width
        self.features = nn.Sequential(*features)
        dense = [nn.Dropout(dropout), nn.Linear(channels * size * size, hidden), nn.ReLU()]
        dense += [nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.ReLU()]
        self.classifier = nn.Sequential(*dense, nn.Linear(hidden, classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_normal_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


MODELS = {
    "vgg-a": VGG,
    "vgg-a-bn": partial(VGG, batch_norm=True),
    "vgg-a-dropout": partial(VGG, dropout=0.5),
    "vgg-a-light": partial(VGG, layers=LIGHT, hidden=128),
}
SIZES = (32, None)  # five halvings, two in the light one
SIZES_OF = {"vgg-a-light": (4, None)}
