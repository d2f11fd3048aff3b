"""VGG08 and VGG38 of the Edinburgh MLP coursework 2, and their fixes.

Plain 3×3 networks of 32 filters in three stages. At 37 convolutions the plain one does
not train; batch normalisation (Ioffe & Szegedy 2015, section 3.2) and residual
connections (He et al. 2016, section 3.2) are the two cures the coursework compares.
"""

from functools import partial

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import avg_pool2d

from gradscape.models.blocks import conv3x3, norm

WIDTH = 32
STAGES = 3

# In place: neither a convolution nor a normalisation needs its own output again, and such
# passes over memory limit a step of VGG38. The bits are the same.
leaky_relu = partial(functional.leaky_relu, inplace=True)


class ProcessingBlock(nn.Module):
    """Two convolutions, size kept: [n, 32, s, s] → [n, 32, s, s].

    The residual connection runs from the block's input to before its last activation
    (He et al. 2016, Fig. 2).
    """

    def __init__(self, batch_norm: bool, residual: bool):
        super().__init__()
        self.conv1 = conv3x3(WIDTH, WIDTH, bias=False)
        self.norm1 = norm(WIDTH, batch_norm)
        self.conv2 = conv3x3(WIDTH, WIDTH, bias=False)
        self.norm2 = norm(WIDTH, batch_norm)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        out = leaky_relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        return leaky_relu(out + x if self.residual else out)


class ReductionBlock(nn.Module):
    """Halves the feature map: [n, 32, s, s] → [n, 32, s/2, s/2]. Never residual."""

    def __init__(self, batch_norm: bool):
        super().__init__()
        self.conv1 = conv3x3(WIDTH, WIDTH)
        self.norm1 = norm(WIDTH, batch_norm)
        self.conv2 = conv3x3(WIDTH, WIDTH)
        self.norm2 = norm(WIDTH, batch_norm)

    def forward(self, x: Tensor) -> Tensor:
        out = avg_pool2d(leaky_relu(self.norm1(self.conv1(x))), 2)
        return leaky_relu(self.norm2(self.conv2(out)))


class EdinburghVGG(nn.Module):
    """Three stages of `blocks` processing blocks and one reduction block each.

    Images [n, channels, s, s] → logits [n, classes].
    """

    def __init__(
        self,
        classes: int,
        blocks: int,
        batch_norm: bool = False,
        residual: bool = False,
        channels: int = 3,
    ):
        super().__init__()
        # The entry keeps its normalisation even in the "plain" networks.
        self.entry = conv3x3(channels, WIDTH, bias=False)
        self.entry_norm = nn.BatchNorm2d(WIDTH)
        stage = lambda: [  # noqa: E731
            *(ProcessingBlock(batch_norm, residual) for _ in range(blocks)),
            ReductionBlock(batch_norm),
        ]
        self.stages = nn.Sequential(*(b for _ in range(STAGES) for b in stage()))
        self.head = nn.Linear(WIDTH, classes)

    def forward(self, x: Tensor) -> Tensor:
        out = leaky_relu(self.entry_norm(self.entry(x)))
        # mean() rather than adaptive pooling, whose CUDA backward is not deterministic.
        return self.head(self.stages(out).mean((2, 3)))


vgg08 = partial(EdinburghVGG, blocks=0)
vgg38 = partial(EdinburghVGG, blocks=5)

MODELS = {
    "vgg08": vgg08,
    "vgg08-bn": partial(vgg08, batch_norm=True),
    "vgg08-rc": partial(vgg08, residual=True),
    "vgg08-bn-rc": partial(vgg08, batch_norm=True, residual=True),
    "vgg38": vgg38,
    "vgg38-bn": partial(vgg38, batch_norm=True),
    "vgg38-rc": partial(vgg38, residual=True),
    "vgg38-bn-rc": partial(vgg38, batch_norm=True, residual=True),
}
SIZES = (8, None)  # three halvings
