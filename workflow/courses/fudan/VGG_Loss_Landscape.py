"""How batch normalisation helps: loss landscape, gradient predictiveness, beta-smoothness.

    python VGG_Loss_Landscape.py                         draw from the results in results/
    python VGG_Loss_Landscape.py --train                 train all eight networks, then draw
    python VGG_Loss_Landscape.py --train --epochs 1 --n_items 1000    a first try

Sections 2.3 and 2.4 of the project. Every learning rate sees the same minibatches.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from loaders import HERE, NAME, get_dataset

from gradscape.claims.smoothness import smooth
from gradscape.runs.run import FinishedRun
from gradscape.training.train import train

RESULTS = HERE / "results" / "landscape"
NETWORKS = {"vgg-a": "Standard VGG-A", "vgg-a-bn": "VGG-A with batch normalisation"}
COLOURS = {"vgg-a": "C2", "vgg-a-bn": "C3"}
WINDOW = 20  # steps of the moving average


def train_all(out, epochs=None, n_items=None, root=HERE / "data", dataset=NAME):
    """Train again what is in `results`, below `out`; shorter, if told so."""
    images = get_dataset(root, dataset, n_items)
    for run in map(FinishedRun, sorted(RESULTS.glob("*"))):
        changes = {"dataset": dataset, "device": "auto", "landscape_every": None}
        again = run.rerun(**changes, epochs=epochs or run.settings["epochs"])
        train(again, images, Path(out) / run.path.name)


def curves(runs, values):
    """`max_curve` and `min_curve`: at each step, over the runs' learning rates; to the end
    of the shortest, if one diverged."""
    max_curve, min_curve = [], []
    for step in zip(*map(values, runs), strict=False):
        max_curve.append(max(step))
        min_curve.append(min(step))
    return np.array(max_curve), np.array(min_curve)


def draw(results, out, name, title, values, ylabel, log=False):
    """Both networks' bands in one picture, `<name>.png`."""
    figure, axis = plt.subplots(figsize=(8, 5))
    for network, label in NETWORKS.items():
        runs = [FinishedRun(path) for path in sorted(Path(results).glob(f"{network}_lr*"))]
        max_curve, min_curve = (smooth(c, WINDOW) for c in curves(runs, values))
        steps, colour = np.arange(len(max_curve)), COLOURS[network]
        axis.fill_between(steps, min_curve, max_curve, alpha=0.4, label=label, color=colour)
    if log:
        axis.set_yscale("log")
    axis.set(title=title, xlabel="Steps", ylabel=ylabel)
    axis.legend()
    figure.savefig(Path(out) / f"{name}.png", dpi=150)
    plt.close(figure)


def VGG_Loss_Landscape(results=RESULTS, out="."):
    """The largest and the smallest minibatch loss over the learning rates, by step."""
    draw(results, out, "loss_landscape", "Loss landscape", lambda r: r.step_losses, "Loss")


def VGG_Grad_Pred(results=RESULTS, out="."):
    """l2 distance of the output layer's gradient from that of the step before."""
    title = "Gradient predictiveness"
    draw(results, out, "gradient_predictiveness", title, distances, "l2 distance", log=True)


def VGG_Beta_Smooth(results=RESULTS, out="."):
    """That distance over the distance that the output layer's weight moved."""
    title = 'Effective "beta"-smoothness'

    def beta(run):
        return distances(run) / np.maximum(changes(run, "weight_distance"), 1e-12)

    draw(results, out, "beta_smoothness", title, beta, "Gradient over distance", log=True)


def distances(run):
    return changes(run, "gradient_distance")


def changes(run, name):
    """Without the first steps, which have none before them."""
    return run.steps[name][run.settings["gradient_lag"] :]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", action="store_true", help="train, then draw")
    parser.add_argument("--epochs", type=int, help="fewer or more than in results")
    parser.add_argument("--n_items", type=int, help="use only the first of the images")
    parser.add_argument("--dataset", default=NAME)
    parser.add_argument("--root", default=HERE / "data", help="folder of the dataset")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for what is made")
    known = parser.parse_args()
    known.out.mkdir(parents=True, exist_ok=True)
    results = known.out / "trained" if known.train else RESULTS
    if known.train:
        train_all(results, known.epochs, known.n_items, known.root, known.dataset)
    for function in (VGG_Loss_Landscape, VGG_Grad_Pred, VGG_Beta_Smooth):
        function(results, known.out)


if __name__ == "__main__":
    main()
