"""VGG-11 with batch normalisation as a backbone, and a head of two layers on top: Sapienza
AML exercise 2, question 4. The convolutions are torchvision's, so that its ImageNet weights
fit, without its pooling and classifier: from 32×32 images they leave 512×1×1."""

from torch import Tensor, nn
from torchvision.models import vgg11_bn

HIDDEN = 256


class VGG11(nn.Module):
    """Images [n, 3, s, s] → logits [n, classes]. `freeze` keeps the convolutional part from
    training: `weights` only its parameters, `backbone` also its running statistics, which
    training then uses as evaluation does."""

    def __init__(self, classes: int, freeze: str | None = None):
        super().__init__()
        self.features = vgg11_bn().features
        hidden = [nn.Linear(512, HIDDEN), nn.BatchNorm1d(HIDDEN), nn.ReLU()]
        self.head = nn.Sequential(*hidden, nn.Linear(HIDDEN, classes))
        self.freeze = freeze
        if freeze is not None:
            self.features.requires_grad_(False)

    def train(self, mode: bool = True) -> "VGG11":
        super().train(mode)
        if self.freeze == "backbone":
            self.features.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).flatten(1))


MODELS = {"vgg11-bn": VGG11}
SIZES = (32, 63)  # five halvings leave one position
CHANNELS = 3
PRETRAINED = {"vgg11-bn": "vgg11_bn-6002323d.pth"}  # as torchvision names the file
