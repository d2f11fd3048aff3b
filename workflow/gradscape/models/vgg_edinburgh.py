"""VGG08 and VGG38 of the Edinburgh MLP coursework 2, their fixes, and further experiments.

Plain 3×3 networks of 32 filters in three stages: with b processing blocks a stage, 7 + 6b
convolutions and a linear layer. The plain VGG38 (b = 5) does not train; the course compares
two cures, batch normalisation (Ioffe & Szegedy 2015, section 3.2) and residual connections
(He et al. 2016, section 3.2). Other depths and further keywords are our own experiments.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscape.base.errors import GradscapeError
from gradscape.models.blocks import conv3x3, leaky_relu, norm, rectified
from gradscape.models.laws import SLOPE, tailored_slope

WIDTH = 32
STAGES = 3


class Block(nn.Module):
    """Two convolutions: [n, w, s, s] → the same, or [n, w, s/2, s/2] if it `reduces`. A
    shortcut runs from the block's input to before its last activation (He et al. 2016, Fig.
    2). With `pre_activation` normalisation and activation come before each convolution, and
    nothing after the addition (He et al. 2016b, Fig. 1)."""

    def __init__(
        self,
        norm: Callable[[], nn.Module],
        reduces: bool = False,
        shortcut: nn.Module | None = None,
        pre_activation: bool = False,
        width: int = WIDTH,
        slope: float = SLOPE,
    ):
        super().__init__()
        self.shortcut = shortcut
        self.slope = slope
        self.conv1 = conv3x3(width, width, bias=reduces)
        self.norm1 = norm()
        self.conv2 = conv3x3(width, width, bias=reduces)
        self.norm2 = norm()
        self.reduces = reduces
        self.residual = shortcut is not None
        self.pre_activation = pre_activation

    def forward(self, x: Tensor) -> Tensor:
        if self.pre_activation:
            # Not in place: the shortcut needs the block's input.
            out = self.conv1(functional.leaky_relu(self.norm1(x), self.slope))
            out = self.conv2(self.pool(leaky_relu(self.norm2(out), self.slope)))
            return out if self.shortcut is None else out + self.beside(x, out)
        out = self.conv2(self.pool(rectified(self.norm1, self.conv1(x), self.slope)))
        beside = None if self.shortcut is None else partial(self.beside, x, out)
        return rectified(self.norm2, out, self.slope, beside)

    def beside(self, x: Tensor, out: Tensor) -> Tensor:
        """What the shortcut gives; pooling leaves out an odd last row or column."""
        given, (h, w) = self.shortcut(x), out.shape[-2:]
        return given[..., :h, :w] if self.reduces else given

    def pool(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, 2) if self.reduces else x


class EdinburghVGG(nn.Module):
    """Three stages of `blocks` processing blocks and one reduction block each.

    Images [n, channels, s, s] → logits [n, classes]. `skip` gives the processing blocks
    identity shortcuts, `reduction_shortcut` gives the reduction blocks theirs.
    `initialisation` is `default` (PyTorch's), `he` (He et al. 2015, section 2.2: zero
    biases, linear layer untouched), `zero-last`: `he`, and the last convolution of each
    processing block zero (Zhang et al. 2019, Fixup, section 3), or `delta-orthogonal`: an
    orthogonal matrix at the centre of each kernel behind the entry, zero around it (Xiao et
    al. 2018, algorithm 2), scaled as `he` is. The rectifiers' `slope` may be given, or
    tailored by `eta` to their number. `fused` steps on a GPU normalise, add and rectify in
    one pass each way.

    Raises `GradscapeError` for a `fold_after` without batch normalisation, and for both a
    `slope` and an `eta`.
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
        width: int = WIDTH,
        slope: float | None = None,
        eta: float | None = None,
        fused: bool = False,
        channels: int = 3,
    ):
        super().__init__()
        if slope is not None and eta is not None:
            raise GradscapeError("slope and eta: the one replaces the other; leave one out")
        if eta is not None:
            # One rectifier behind each convolution: the entry's, and two in each block.
            slope = tailored_slope(eta, rectifiers=1 + STAGES * 2 * (blocks + 1))
        self.slope = SLOPE if slope is None else slope
        if reduction_batch_norm is None:
            reduction_batch_norm = batch_norm
        if fold_after is not None and not (batch_norm or reduction_batch_norm):
            raise GradscapeError("fold_after: there is no batch normalisation to fold")
        # The entry keeps its normalisation even in the "plain" networks.
        self.entry = conv3x3(channels, width, bias=False)
        self.entry_norm = norm(width, True, None, fused)
        within = partial(norm, width, batch_norm, fold_after, fused)
        between = partial(norm, width, reduction_batch_norm, fold_after, fused)
        block = partial(Block, pre_activation=pre_activation, width=width, slope=self.slope)
        stages: list[nn.Module] = []
        for _ in range(STAGES):
            for _ in range(blocks):
                stages.append(block(within, False, nn.Identity() if skip else None))
            across = reducing_shortcut(reduction_shortcut, between, width)
            stages.append(block(between, True, across))
        if pre_activation:
            stages += [within(), nn.LeakyReLU(self.slope)]
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(width, classes)
        self.initialisation = initialisation
        self.initialise(initialisation)

    def initialise(self, initialisation: str) -> None:
        convolutions = [m for m in self.modules() if isinstance(m, nn.Conv2d)]
        if initialisation in ("he", "zero-last"):
            for convolution in convolutions:
                nn.init.kaiming_normal_(convolution.weight, self.slope)
                if convolution.bias is not None:
                    nn.init.zeros_(convolution.bias)
        if initialisation == "delta-orthogonal":
            # Not of the entry: three channels cannot be kept apart and mixed by a square
            # matrix, and its normalisation undoes any scale.
            gain = nn.init.calculate_gain("leaky_relu", self.slope)
            for convolution in convolutions[1:]:
                delta_orthogonal(convolution, gain)
        if initialisation == "zero-last":
            for block in self.stages:
                if isinstance(block, Block) and not block.reduces:
                    nn.init.zeros_(block.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        out = rectified(self.entry_norm, self.entry(x), self.slope)
        # mean() rather than adaptive pooling, whose CUDA backward is not deterministic.
        return self.head(self.stages(out).mean((2, 3)))


def delta_orthogonal(conv: nn.Conv2d, gain: float) -> None:
    """Set a kernel [w, w, 3, 3] or [w, w, 1, 1] to an orthogonal matrix times `gain` at its
    centre and zero elsewhere, and its bias to zero (Xiao et al. 2018, algorithm 2)."""
    centre = conv.kernel_size[0] // 2
    matrix = nn.init.orthogonal_(torch.empty(conv.weight.shape[:2]), gain)
    nn.init.zeros_(conv.weight)
    with torch.no_grad():
        conv.weight[:, :, centre, centre] = matrix
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


def reducing_shortcut(
    kind: str | None, norm: Callable[[], nn.Module], width: int
) -> nn.Module | None:
    """Around a reduction block: [n, w, s, s] → [n, w, s/2, s/2] (He et al. 2016, 3.3)."""
    if kind == "strided":
        strided = nn.Conv2d(width, width, kernel_size=1, stride=2, bias=False)
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
