"""Question 4: VGG-11 with batch normalisation, from ImageNet weights and from scratch.

    python ex3_pretrained.py                   Q4a: only the new layers train
    python ex3_pretrained.py --fine_tune       Q4b: all layers train
    python ex3_pretrained.py --from_scratch    Q4b: all layers, without ImageNet weights

The weights are torchvision's, which are downloaded, or read from the file that `--weights`
names, whatever it is called. The network is in gradscape/models/vgg11_bn.py.
"""

from pathlib import Path

from ex3_convnet import PrintModelSize, arguments, parsed, train_and_report

from gradscape.base.files import copy
from gradscape.models.blocks import parameter_count
from gradscape.models.pretrained import download
from gradscape.models.vgg11_bn import PRETRAINED, VGG11

MODEL = "vgg11-bn"


def main():
    parser = arguments(epochs=30)
    parser.add_argument("--fine_tune", action="store_true")
    parser.add_argument("--from_scratch", action="store_true")
    parser.add_argument("--weights", type=Path, help="torchvision's file, if it is here")
    known = parsed(parser, "pretrained")
    freeze = None if known.fine_tune or known.from_scratch else "backbone"
    PrintModelSize(network := VGG11(10, freeze))
    print(f"of which {parameter_count(network):,} train")
    weights = None
    if not known.from_scratch:
        weights = known.data / "weights" / PRETRAINED[MODEL]
        if known.weights:
            copy(known.weights, weights)  # under the name that says what it has to be
        elif not weights.exists():
            download(MODEL, weights)
    settings = {"model": MODEL, "pretrained": weights is not None, "freeze": freeze}
    settings |= {"augmentation": "flip", "normalisation": "imagenet"}
    settings |= {"learning_rate": 1e-3, "schedule": "exponential", "decay": 0.99}
    train_and_report(known, weights, **settings)


if __name__ == "__main__":
    main()
