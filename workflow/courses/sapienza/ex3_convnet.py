"""Questions 1 to 3: the ConvNet, batch normalisation, early stopping, regularisation.

    python ex3_convnet.py                                   Q1: size, filters, training
    python ex3_convnet.py --norm_layer BN                   Q2a
    python ex3_convnet.py --norm_layer BN --epochs 50       Q2b: best against last epoch
    python ex3_convnet.py --norm_layer BN --augmentation geometric        Q3a
    python ex3_convnet.py --norm_layer BN --dropout 0.3     Q3b

The layers are in gradscape/models/convnet.py, augmentation in gradscape/engine.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt

from gradscape.data.datasets import acquire
from gradscape.data.store import load, save
from gradscape.figures.filters import montage
from gradscape.models.convnet import ConvNet
from gradscape.probes.trained import Trained
from gradscape.runs.run import FinishedRun
from gradscape.spec.settings import Settings
from gradscape.spec.study import Run
from gradscape.training.augmentation import POLICIES
from gradscape.training.train import train


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
    """What both scripts take."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--batch_size", type=int, default=200)
    parser.add_argument("--train_items", type=int, help="train on the first images alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--data", type=Path, default=Path("data"), help="its folder")
    parser.add_argument("--out", type=Path, default=Path("trained"))
    return parser


def train_and_report(settings, known, weights=None):
    """Train, and print how the best epoch on validation compares with the last one."""
    folder = known.data / known.dataset
    if not (folder / "dataset.json").exists():
        save(acquire(known.dataset), folder)
    dataset = load(folder, known.dataset)
    train(
        Run("command-line", known.out.name, settings),
        dataset,
        known.out,
        pretrained=weights,
    )
    run = FinishedRun(known.out)
    last = run.metrics.iloc[-1]
    for name, row, test in (("best", run.best, run.test), ("last", last, run.last_test)):
        print(
            f"{name} epoch {row['epoch']:.0f}: train {row['train_accuracy']:.4f}, "
            f"validation {row['val_accuracy']:.4f}, test {test['test_accuracy']:.4f}"
        )


def shared(known):
    """The settings that come from the command line."""
    names = ("epochs", "batch_size", "train_items", "seed", "dataset")
    return {name: getattr(known, name) for name in names} | {"split": "sapienza"}


def main():
    parser = arguments(epochs=20)
    parser.add_argument("--norm_layer", choices=["None", "BN"], default="None")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--augmentation", choices=POLICIES, default="none")
    known = parser.parse_args()
    batch_norm = known.norm_layer == "BN"
    PrintModelSize(ConvNet(10, batch_norm))
    settings = Settings(
        model="convnet-bn" if batch_norm else "convnet",
        dropout=known.dropout,
        augmentation=known.augmentation,
        normalisation="half",
        learning_rate=2e-3,
        weight_decay=1e-3,
        schedule="exponential",
        decay=0.95,
        **shared(known),
    )
    train_and_report(settings, known)
    trained = Trained(known.out, known.data)
    for moment, name in (("initialisation", "before"), ("best", "after")):
        VisualizeFilter(trained.network(moment), known.out / f"filters_{name}.png")


if __name__ == "__main__":
    main()
