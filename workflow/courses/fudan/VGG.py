"""VGG-A for 32×32 images, and its variants: python VGG.py prints their parameters.

Each maps images [n, 3, 32, 32] to logits [n, classes]. The layers are in
gradscape/models/vgg_a.py.
"""

from functools import partial

from gradscape.models.blocks import parameter_count
from gradscape.models.vgg_a import LIGHT, VGG

VGG_A = partial(VGG, classes=10)
VGG_A_Dropout = partial(VGG_A, dropout=0.5)  # before the first two linear layers
VGG_A_Light = partial(VGG_A, layers=LIGHT, hidden=128)  # two convolutions of 16 and 32


class VGG_BatchNorm(VGG):
    """VGG-A with batch normalisation after each convolution, before ReLU."""

    def __init__(self, classes: int = 10, **options):
        super().__init__(classes, batch_norm=True, **options)


NETWORKS = {"VGG_A": VGG_A, "VGG_BatchNorm": VGG_BatchNorm}
NETWORKS |= {"VGG_A_Dropout": VGG_A_Dropout, "VGG_A_Light": VGG_A_Light}

if __name__ == "__main__":
    for name, network in NETWORKS.items():
        print(f"{name:<14} {parameter_count(network()):>10,} parameters")
