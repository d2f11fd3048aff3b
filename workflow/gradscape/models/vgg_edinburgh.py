"""VGG08 and VGG38 of the Edinburgh MLP coursework 2, their fixes, and what else was tried.

Plain 3×3 networks of 32 filters in three stages. With b processing blocks a stage there
are 7 + 6b convolutions and a linear layer, which makes 8 in VGG08 and 38 in VGG38, b = 5.
The plain VGG38 does not train; batch normalisation (Ioffe & Szegedy 2015, section 3.2) and
residual connections (He et al. 2016, section 3.2) are the two cures the coursework
compares. The depths in between and the further keywords are experiments of our own.
"""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import avg_pool2d

from gradscape.errors import GradscapeError
from gradscape.models.blocks import conv3x3, norm

WIDTH = 32
STAGES = 3
SLOPE = 0.01

# In place: neither a convolution nor a normalisation needs its own output again, and such
# passes over memory limit a step of VGG38. The bits are the same.
leaky_relu = partial(functional.leaky_relu, negative_slope=SLOPE, inplace=True)


class Block(nn.Module):
    """Two convolutions: [n, 32, s, s] → the same, or [n, 32, s/2, s/2] if it `reduces`.

    The shortcut, where there is one, runs from the block's input to before its last
    activation (He et al. 2016, Fig. 2). With `pre_activation` normalisation and activation
    come before each convolution, and nothing after the addition (He et al. 2016b, Fig. 1).
    """

    def __init__(
        self,
        norm: Callable[[], nn.Module],
        reduces: bool = False,
        shortcut: nn.Module | None = None,
        pre_activation: bool = False,
    ):
        super().__init__()
        self.shortcut = shortcut
        self.conv1 = conv3x3(WIDTH, WIDTH, bias=reduces)
        self.norm1 = norm()
        self.conv2 = conv3x3(WIDTH, WIDTH, bias=reduces)
        self.norm2 = norm()
        self.reduces = reduces
        self.residual = shortcut is not None
        self.pre_activation = pre_activation

    def forward(self, x: Tensor) -> Tensor:
        if self.pre_activation:
            # Not in place: the shortcut needs the block's input.
            out = self.conv1(functional.leaky_relu(self.norm1(x), SLOPE))
            out = self.conv2(self.pool(leaky_relu(self.norm2(out))))
        else:
            out = self.pool(leaky_relu(self.norm1(self.conv1(x))))
            out = self.norm2(self.conv2(out))
        if self.shortcut is not None:
            beside, (h, w) = self.shortcut(x), out.shape[-2:]
            # Pooling leaves out an odd last row or column.
            out = out + (beside[..., :h, :w] if self.reduces else beside)
        return out if self.pre_activation else leaky_relu(out)

    def pool(self, x: Tensor) -> Tensor:
        return avg_pool2d(x, 2) if self.reduces else x


class EdinburghVGG(nn.Module):
    """Three stages of `blocks` processing blocks and one reduction block each.

    Images [n, channels, s, s] → logits [n, classes]. `skip` gives the processing blocks
    identity shortcuts, `reduction_shortcut` gives the reduction blocks theirs.
    `initialisation` is `default` (PyTorch's), `he` (He et al. 2015, section 2.2: zero
    biases, linear layer untouched) or `zero-last`: `he`, and the last convolution of each
    processing block zero (Zhang et al. 2019, Fixup, section 3).

    Raises `GradscapeError` for a `fold_after` without batch normalisation.
    """

    def __init__(
        self,
        classes: int,
        blocks: int,
        batch_norm: bool = False,
        skip: bool = False,
        reduction_batch_norm: bool | None = None,
        reduction_shortcut: str | None = None,
        pre_activation: bool = False,
        fold_after: int | None = None,
        initialisation: str = "default",
        channels: int = 3,
    ):
        super().__init__()
        if reduction_batch_norm is None:
            reduction_batch_norm = batch_norm
        if fold_after is not None and not (batch_norm or reduction_batch_norm):
            raise GradscapeError("fold_after: there is no batch normalisation to fold")
        # The entry keeps its normalisation even in the "plain" networks.
        self.entry = conv3x3(channels, WIDTH, bias=False)
        self.entry_norm = nn.BatchNorm2d(WIDTH)
        within = partial(norm, WIDTH, batch_norm, fold_after)
        between = partial(norm, WIDTH, reduction_batch_norm, fold_after)
        stages: list[nn.Module] = []
        for _ in range(STAGES):
            for _ in range(blocks):
                identity = nn.Identity() if skip else None
                stages.append(Block(within, False, identity, pre_activation))
            across = reducing_shortcut(reduction_shortcut, between)
            stages.append(Block(between, True, across, pre_activation))
        if pre_activation:
            stages += [within(), nn.LeakyReLU(SLOPE)]
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(WIDTH, classes)
        self.initialisation = initialisation
        if initialisation != "default":
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, SLOPE)
                    if module.bias is not None:
                        nn.init.zeros_(module.bias)
        if initialisation == "zero-last":
            for block in stages:
                if isinstance(block, Block) and not block.reduces:
                    nn.init.zeros_(block.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        out = leaky_relu(self.entry_norm(self.entry(x)))
        # mean() rather than adaptive pooling, whose CUDA backward is not deterministic.
        return self.head(self.stages(out).mean((2, 3)))


def reducing_shortcut(kind: str | None, norm: Callable[[], nn.Module]) -> nn.Module | None:
    """Around a reduction block: [n, 32, s, s] → [n, 32, s/2, s/2] (He et al. 2016, 3.3)."""
    if kind == "strided":
        strided = nn.Conv2d(WIDTH, WIDTH, kernel_size=1, stride=2, bias=False)
        return nn.Sequential(strided, norm())
    return nn.AvgPool2d(2) if kind == "pooled" else None


vgg08 = partial(EdinburghVGG, blocks=0)
vgg38 = partial(EdinburghVGG, blocks=5)

MODELS = {
    "vgg08": vgg08,
    "vgg08-bn": partial(vgg08, batch_norm=True),
    "vgg08-rc": partial(vgg08, skip=True),
    "vgg08-bn-rc": partial(vgg08, batch_norm=True, skip=True),
    "vgg14": partial(EdinburghVGG, blocks=1),
    "vgg20": partial(EdinburghVGG, blocks=2),
    "vgg26": partial(EdinburghVGG, blocks=3),
    "vgg32": partial(EdinburghVGG, blocks=4),
    "vgg38": vgg38,
    "vgg38-bn": partial(vgg38, batch_norm=True),
    "vgg38-rc": partial(vgg38, skip=True),
    "vgg38-bn-rc": partial(vgg38, batch_norm=True, skip=True),
}
SIZES = (8, None)  # three halvings
