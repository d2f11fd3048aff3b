"""ConvNet of the Sapienza AML exercise 2: five blocks, each halving the feature map."""

from functools import partial

from torch import Tensor, nn

from gradscape.models.blocks import conv3x3, norm

WIDTHS = [128, 512, 512, 512, 512]


class ConvNet(nn.Module):
    """Images [n, channels, s, s] → logits [n, classes].

    A block is conv 3×3 → [BN] → max pool 2 → ReLU [→ dropout]. The linear layer starts
    from N(0, 1e-3) weights and zero bias.
    """

    def __init__(
        self,
        classes: int,
        batch_norm: bool = False,
        dropout: float = 0.0,
        channels: int = 3,
    ):
        super().__init__()
        layers = []
        for width in WIDTHS:
            layers += [conv3x3(channels, width), norm(width, batch_norm)]
            layers += [nn.MaxPool2d(2), nn.ReLU(), nn.Dropout(dropout)]
            channels = width
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(channels, classes)
        nn.init.normal_(self.head.weight, std=1e-3)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).flatten(1))


MODELS = {"convnet": ConvNet, "convnet-bn": partial(ConvNet, batch_norm=True)}
SIZES = (32, 63)  # five halvings leave one position
