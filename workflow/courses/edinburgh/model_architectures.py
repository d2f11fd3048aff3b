"""The networks of coursework 2: plain, with batch normalisation, with residual connections.

Takes the place of the framework's file. Blocks take and return feature maps
[n, channels, h, w]. Batch normalisation (Ioffe & Szegedy 2015) follows every convolution. A
residual connection (He et al. 2016, Fig. 2) runs from a processing block's input to before
its last leaky ReLU; reduction blocks have none.
"""

from functools import partial

from torch import nn
from torch.nn import functional as F


class EmptyBlock(nn.Module):
    """The identity, in place of either kind of block."""

    def __init__(self, input_shape=None, num_filters=None, **options):
        super().__init__()

    def forward(self, x):
        return x


class ConvolutionalProcessingBlock(nn.Module):
    """Two convolutions, size kept, each followed by a leaky ReLU."""

    def __init__(self, input_shape, num_filters, kernel_size, padding, bias, dilation):
        super().__init__()
        self.input_shape, self.num_filters = input_shape, num_filters
        self.options = {"kernel_size": kernel_size, "padding": padding}
        self.options |= {"bias": bias, "dilation": dilation}
        self.build_module()

    def build_module(self):
        channels, width = self.input_shape[1], self.num_filters
        self.layer_dict = nn.ModuleDict()
        for number, inputs in enumerate((channels, width)):
            self.layer_dict[f"conv_{number}"] = nn.Conv2d(inputs, width, **self.options)
            self.layer_dict[f"bn_{number}"] = self.build_norm()

    def build_norm(self):
        return nn.Identity()

    def layer(self, number, x):
        return self.layer_dict[f"bn_{number}"](self.layer_dict[f"conv_{number}"](x))

    def forward(self, x):
        return F.leaky_relu(self.layer(1, F.leaky_relu(self.layer(0, x))))


class ConvolutionalDimensionalityReductionBlock(ConvolutionalProcessingBlock):
    """A processing block with average pooling in the middle, which divides the size."""

    def __init__(
        self,
        input_shape,
        num_filters,
        kernel_size,
        padding,
        bias,
        dilation,
        reduction_factor,
    ):
        super().__init__(input_shape, num_filters, kernel_size, padding, bias, dilation)
        self.reduction_factor = reduction_factor

    def forward(self, x):
        out = F.avg_pool2d(F.leaky_relu(self.layer(0, x)), self.reduction_factor)
        return F.leaky_relu(self.layer(1, out))


class RCConvolutionalProcessingBlock(ConvolutionalProcessingBlock):
    """A processing block with a residual connection."""

    def forward(self, x):
        return F.leaky_relu(self.layer(1, F.leaky_relu(self.layer(0, x))) + x)


class BatchNormalised:
    """Puts batch normalisation after each convolution of a block."""

    def build_norm(self):
        return nn.BatchNorm2d(self.num_filters)


class BNConvolutionalProcessingBlock(BatchNormalised, ConvolutionalProcessingBlock):
    """A processing block with batch normalisation."""


class BNRCConvolutionalProcessingBlock(BatchNormalised, RCConvolutionalProcessingBlock):
    """A processing block with batch normalisation and a residual connection."""


class BNConvolutionalDimensionalityReductionBlock(
    BatchNormalised, ConvolutionalDimensionalityReductionBlock
):
    """A reduction block with batch normalisation."""


class EntryConvolutionalBlock(nn.Sequential):
    """A convolution, always normalised."""

    def __init__(self, input_shape, num_filters, kernel_size, padding, bias, dilation):
        options = {"padding": padding, "bias": bias, "dilation": dilation}
        conv = nn.Conv2d(input_shape[1], num_filters, kernel_size, **options)
        super().__init__(conv, nn.BatchNorm2d(num_filters), nn.LeakyReLU())


class ConvolutionalNetwork(nn.Module):
    """Images [n, channels, h, w] → logits [n, num_output_classes].

    An entry block; in each stage `num_blocks_per_stage` processing blocks and a reduction
    block, which alone has biases whatever `use_bias` says; the mean over positions; a
    linear layer.
    """

    def __init__(
        self,
        input_shape,
        num_output_classes,
        num_filters,
        num_blocks_per_stage,
        num_stages,
        use_bias=False,
        processing_block_type=ConvolutionalProcessingBlock,
        dimensionality_reduction_block_type=ConvolutionalDimensionalityReductionBlock,
    ):
        super().__init__()
        options = {"kernel_size": 3, "padding": 1, "dilation": 1}
        shape = (1, num_filters)
        entry = EntryConvolutionalBlock(input_shape, num_filters, bias=use_bias, **options)
        layers = {"input_conv": entry}
        for stage in range(num_stages):
            for number in range(num_blocks_per_stage):
                block = processing_block_type(shape, num_filters, bias=use_bias, **options)
                layers[f"block_{stage}_{number}"] = block
            layers[f"reduction_block_{stage}"] = dimensionality_reduction_block_type(
                shape, num_filters, bias=True, reduction_factor=2, **options
            )
        self.layer_dict = nn.ModuleDict(layers)
        self.logit_linear_layer = nn.Linear(num_filters, num_output_classes)

    def forward(self, x):
        for layer in self.layer_dict.values():
            x = layer(x)
        return self.logit_linear_layer(x.mean((2, 3)))

    def reset_parameters(self):
        """Draw all weights anew."""
        for module in self.modules():
            if module is not self and hasattr(module, "reset_parameters"):
                module.reset_parameters()


def vgg(classes, blocks, **block_types):
    """VGG08 with no processing block a stage, VGG38 with five."""
    return ConvolutionalNetwork((1, 3, 32, 32), classes, 32, blocks, 3, **block_types)


vgg08 = partial(vgg, blocks=0)
vgg38 = partial(vgg, blocks=5)
normalised = partial(
    vgg38, dimensionality_reduction_block_type=BNConvolutionalDimensionalityReductionBlock
)
vgg38_bn = partial(normalised, processing_block_type=BNConvolutionalProcessingBlock)
vgg38_rc = partial(vgg38, processing_block_type=RCConvolutionalProcessingBlock)
vgg38_bn_rc = partial(normalised, processing_block_type=BNRCConvolutionalProcessingBlock)
