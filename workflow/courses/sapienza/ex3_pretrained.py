"""Question 4: VGG-11 with batch normalisation, from ImageNet weights and from scratch.

    python ex3_pretrained.py                   Q4a: only the new layers train
    python ex3_pretrained.py --fine_tune       Q4b: all layers train
    python ex3_pretrained.py --from_scratch    Q4b: all layers, without ImageNet weights

The network is in gradscape/models/vgg11_bn.py.
"""

from pathlib import Path

from ex3_convnet import PrintModelSize, arguments, shared, train_and_report

from gradscape.models.blocks import parameter_count
from gradscape.models.pretrained import download
from gradscape.models.vgg11_bn import PRETRAINED, VGG11
from gradscape.spec.settings import Settings

MODEL = "vgg11-bn"


def main():
    parser = arguments(epochs=30)
    parser.add_argument("--fine_tune", action="store_true")
    parser.add_argument("--from_scratch", action="store_true")
    parser.add_argument("--weights", type=Path, help="torchvision's file, if it is here")
    known = parser.parse_args()
    freeze = None if known.fine_tune or known.from_scratch else "backbone"
    PrintModelSize(network := VGG11(10, freeze))
    print(f"of which {parameter_count(network):,} train")
    weights = None
    if not known.from_scratch:
        weights = known.weights or known.data / "weights" / PRETRAINED[MODEL]
        if not weights.exists():
            download(MODEL, weights)
    settings = Settings(
        model=MODEL,
        pretrained=weights is not None,
        freeze=freeze,
        augmentation="flip",
        normalisation="imagenet",
        learning_rate=1e-3,
        schedule="exponential",
        decay=0.99,
        **shared(known),
    )
    train_and_report(settings, known, weights)


if __name__ == "__main__":
    main()
