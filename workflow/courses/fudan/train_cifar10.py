"""Train a network of section 1 again: python train_cifar10.py NAME

NAME is a folder in results/runs/accuracy; without one, it lists them with their accuracies.
The network is in gradscape/models/resnet_small.py, Muon in gradscape/training/muon.py.
"""

import argparse
from pathlib import Path

from loaders import HERE, NAME, get_dataset

from gradscape.pipeline.once import train_once
from gradscape.runs.run import FinishedRun

RESULTS = HERE / "results" / "runs" / "accuracy"


def arguments(doc):
    """The options of both scripts that train."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--epochs", type=int, help="fewer or more than in results")
    parser.add_argument("--n_items", type=int, help="use only the first of the images")
    parser.add_argument("--dataset", default=NAME)
    parser.add_argument("--root", default=HERE / "data", help="folder of the dataset")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for what is made")
    return parser


def train_again(run, known):
    """Train a run of `results` once more, below `trained`, unless that is done."""
    images = get_dataset(known.root, known.dataset, known.n_items)
    changes = {"dataset": known.dataset, "device": "auto", "landscape_every": None}
    again = run.rerun(**changes, epochs=known.epochs or run.settings["epochs"])
    train_once(again, images, known.out / "trained" / run.path.name)


def main():
    parser, names = arguments(__doc__), sorted(path.name for path in RESULTS.glob("*"))
    parser.add_argument("name", nargs="?", choices=names)
    known = parser.parse_args()
    if known.name is not None:
        train_again(FinishedRun(RESULTS / known.name), known)
        return
    for run in (FinishedRun(RESULTS / name) for name in names):
        error, count = 100 * (1 - run.test["test_accuracy"]), run.record.parameters
        print(f"{run.path.name:<48} {count:>10,} parameters  test error {error:.2f} %")


if __name__ == "__main__":
    main()
