"""Questions 1 to 3: the ConvNet, batch normalisation, early stopping, regularisation.

    python ex3_convnet.py                                   Q1: size, filters, training
    python ex3_convnet.py --norm_layer BN                   Q2a
    python ex3_convnet.py --norm_layer BN --epochs 50       Q2b: best against last epoch
    python ex3_convnet.py --norm_layer BN --augmentation geometric        Q3a
    python ex3_convnet.py --norm_layer BN --dropout 0.3     Q3b

Each writes to a folder of its own in trained/. The layers are in
gradscape/models/convnet.py, the augmentation is in gradscape/training/augmentation.py.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt

from gradscape.data.datasets import prepared
from gradscape.figures.filters import montage
from gradscape.models.convnet import ConvNet
from gradscape.pipeline.once import train_once
from gradscape.probes.trained import Trained
from gradscape.runs.run import FinishedRun
from gradscape.spec.registry import short
from gradscape.spec.settings import Settings
from gradscape.spec.study import Run
from gradscape.training.augmentation import POLICIES

PLACES = ("data", "out", "weights")  # options that change no result


def PrintModelSize(model, disp=True):
    """Count the parameters of a network, print and return the number."""
    size = sum(parameter.numel() for parameter in model.parameters())
    if disp:
        print(f"{type(model).__name__}: {size:,} parameters")
    return size


def VisualizeFilter(model, file="filters.png"):
    """Show the filters of the first convolution as one colour picture, saved to `file`."""
    weights = model.features[0].weight.detach().cpu().permute(0, 2, 3, 1).numpy()
    plt.figure(figsize=(8, 4))
    plt.imshow(montage(weights, across=16))
    plt.axis("off")
    plt.savefig(file, bbox_inches="tight")
    plt.close()


def arguments(epochs):
    """The options of both scripts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--batch_size", type=int, default=200)
    parser.add_argument("--train_items", type=int, help="train on the first images alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--data", type=Path, default=Path("data"), help="its folder")
    parser.add_argument("--out", type=Path, help="folder (default: by the options given)")
    return parser


def parsed(parser, name):
    """The command line's options. Where `--out` is not among them, it is a folder in
    trained/ with the script's name and all options that are not at their default."""
    known = parser.parse_args()
    given = {k: v for k, v in vars(known).items() if k not in PLACES}
    given["dataset"] = short(known.dataset)
    words = [f"{k}-{v}" for k, v in given.items() if v != parser.get_default(k)]
    known.out = known.out or Path("trained", "_".join([name, *words]))
    return known


def train_and_report(known, weights=None, **settings):
    """Train, and print how the best epoch on validation compares with the last one."""
    names = ("epochs", "batch_size", "train_items", "seed", "dataset")
    shared = {name: getattr(known, name) for name in names} | {"split": "sapienza"}
    run = Run("command-line", known.out.name, Settings(**shared, **settings))
    dataset = prepared(known.dataset, known.data)
    train_once(run, dataset, known.out, pretrained=weights)
    done = FinishedRun(known.out)
    rows = (("best", done.best, done.test), ("last", done.metrics.iloc[-1], done.last_test))
    for name, row, test in rows:
        accuracies = [row["train_accuracy"], row["val_accuracy"], test["test_accuracy"]]
        text = "{} epoch {:.0f}: train {:.4f}, validation {:.4f}, test {:.4f}"
        print(text.format(name, row["epoch"], *accuracies))


def main():
    parser = arguments(epochs=20)
    parser.add_argument("--norm_layer", choices=["None", "BN"], default="None")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--augmentation", choices=POLICIES, default="none")
    text = "multiplies the ranges of geometric and colour changes"
    parser.add_argument("--augmentation_strength", type=float, default=1.0, help=text)
    known = parsed(parser, "convnet")
    batch_norm = known.norm_layer == "BN"
    PrintModelSize(ConvNet(10, batch_norm))
    names = ("dropout", "augmentation", "augmentation_strength")
    settings = {name: getattr(known, name) for name in names}
    settings |= {"normalisation": "half", "learning_rate": 2e-3, "weight_decay": 1e-3}
    settings |= {"schedule": "exponential", "decay": 0.95}
    train_and_report(known, model="convnet-bn" if batch_norm else "convnet", **settings)
    trained = Trained(known.out, known.data)
    for moment, name in (("initialisation", "before"), ("best", "after")):
        VisualizeFilter(trained.network(moment), known.out / f"filters_{name}.png")
    print(f"the run and its filters are in {known.out}")


if __name__ == "__main__":
    main()
