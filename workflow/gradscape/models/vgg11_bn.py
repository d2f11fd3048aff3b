"""VGG-11 with batch normalisation as a backbone, and a head of two layers on top: Sapienza
AML exercise 2, question 4. The convolutions are torchvision's, so that its ImageNet weights
fit, without its pooling and classifier: from 32×32 images they leave 512×1×1."""

from torch import nn
from torchvision.models import vgg11_bn

from gradscape.models.backbone import WithBackbone

HIDDEN = 256


class VGG11(WithBackbone):
    """Images [n, 3, s, s] → logits [n, classes]."""

    def __init__(self, classes: int, freeze: str | None = None):
        hidden = [nn.Linear(512, HIDDEN), nn.BatchNorm1d(HIDDEN), nn.ReLU()]
        head = nn.Sequential(*hidden, nn.Linear(HIDDEN, classes))
        super().__init__(vgg11_bn().features, head, freeze)


MODELS = {"vgg11-bn": VGG11}
SIZES = (32, 63)  # five halvings leave one position
CHANNELS = 3
PRETRAINED = {"vgg11-bn": "vgg11_bn-6002323d.pth"}  # as torchvision names the file
