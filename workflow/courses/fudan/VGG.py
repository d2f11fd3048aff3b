"""VGG-A for 32×32 images, and its variants: python VGG.py prints their parameters.

The layers are in gradscape/models/vgg_a.py.
"""

from gradscape.models.blocks import parameter_count
from gradscape.models.vgg_a import LIGHT, VGG


class VGG_A(VGG):
    """Images [n, 3, 32, 32] → logits [n, num_classes]."""

    def __init__(self, num_classes=10, **options):
        super().__init__(num_classes, **options)


class VGG_BatchNorm(VGG_A):
    """Batch normalisation after each convolution, before ReLU."""

    def __init__(self, num_classes=10):
        super().__init__(num_classes, batch_norm=True)


class VGG_A_Dropout(VGG_A):
    """Dropout of 0.5 before the first two linear layers."""

    def __init__(self, num_classes=10):
        super().__init__(num_classes, dropout=0.5)


class VGG_A_Light(VGG_A):
    """Two convolutions of 16 and 32 filters and linear layers of 128."""

    def __init__(self, num_classes=10):
        super().__init__(num_classes, layers=LIGHT, hidden=128)


if __name__ == "__main__":
    for network in (VGG_A, VGG_BatchNorm, VGG_A_Dropout, VGG_A_Light):
        print(f"{network.__name__:<14} {parameter_count(network()):>10,} parameters")
