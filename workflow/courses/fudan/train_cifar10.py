"""Train a network of section 1 again: python train_cifar10.py NAME

NAME is a folder in results/accuracy, whose settings it takes; without one, it lists them
with their accuracies. The network is in gradscape/models/resnet_small.py, the optimiser
that this project implements in gradscape/training/muon.py.
"""

import argparse
from pathlib import Path

from loaders import HERE, NAME, get_dataset

from gradscape.runs.run import FinishedRun
from gradscape.training.train import train

RESULTS = HERE / "results" / "accuracy"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = sorted(path.name for path in RESULTS.glob("*"))
    parser.add_argument("name", nargs="?", choices=names)
    parser.add_argument("--epochs", type=int, help="fewer or more than in results")
    parser.add_argument("--n_items", type=int, help="use only the first of the images")
    parser.add_argument("--dataset", default=NAME)
    parser.add_argument("--root", default=HERE / "data", help="folder of the dataset")
    parser.add_argument("--out", type=Path, default=Path("trained"))
    known = parser.parse_args()
    if known.name is None:
        for run in (FinishedRun(RESULTS / name) for name in names):
            error = 100 * (1 - run.test["test_accuracy"])
            count = run.record.parameters
            print(f"{run.path.name:<48} {count:>10,} parameters  test error {error:.2f} %")
        return
    run = FinishedRun(RESULTS / known.name)
    epochs = known.epochs or run.settings["epochs"]
    again = run.rerun(dataset=known.dataset, device="auto", epochs=epochs)
    images = get_dataset(known.root, known.dataset, known.n_items)
    train(again, images, known.out / known.name)


if __name__ == "__main__":
    main()
