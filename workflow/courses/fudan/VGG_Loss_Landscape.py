"""How batch normalisation helps: loss landscape, gradient predictiveness, beta-smoothness.

    python VGG_Loss_Landscape.py                         draw from the results in results/
    python VGG_Loss_Landscape.py --train                 train all eight networks, then draw
    python VGG_Loss_Landscape.py --train --epochs 1 --n_items 1000    a first try

Sections 2.3 and 2.4 of the project. Every learning rate sees the same minibatches.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from loaders import HERE
from train_cifar10 import arguments, train_again

from gradscape.claims.smoothness import smooth
from gradscape.runs.run import FinishedRun

RESULTS = HERE / "results" / "runs" / "landscape"
NETWORKS = {"vgg-a": "Standard VGG-A", "vgg-a-bn": "VGG-A with batch normalisation"}
COLOURS = {"vgg-a": "C2", "vgg-a-bn": "C3"}
WINDOW = 20  # steps of the moving average


def draw(results, out, title, values, ylabel, log=False):
    """The band between `max_curve` and `min_curve` of each network: at each step the
    largest and the smallest of `values(run)` over the learning rates, to the end of the
    shortest run, if one diverged."""
    figure, axis = plt.subplots(figsize=(8, 5))
    for network, label in NETWORKS.items():
        runs = [FinishedRun(path) for path in sorted(Path(results).glob(f"{network}_lr*"))]
        steps = np.array([*zip(*map(values, runs), strict=False)])
        max_curve, min_curve = smooth(steps.max(1), WINDOW), smooth(steps.min(1), WINDOW)
        colour = {"label": label, "color": COLOURS[network], "alpha": 0.4}
        axis.fill_between(np.arange(len(max_curve)), min_curve, max_curve, **colour)
    axis.set(title=title, xlabel="Steps", ylabel=ylabel, yscale="log" if log else "linear")
    axis.legend()
    figure.savefig(out, dpi=150)
    plt.close(figure)


def VGG_Loss_Landscape(results=RESULTS, out=Path()):
    """Draw the minibatch loss of each step."""
    out = out / "loss_landscape.png"
    draw(results, out, "Loss landscape", lambda run: run.step_losses, "Loss")


def VGG_Grad_Pred(results=RESULTS, out=Path()):
    """Draw the l2 distance of the output layer's gradient from that of the step before."""
    out, title = out / "gradient_predictiveness.png", "Gradient predictiveness"
    draw(results, out, title, distances, "l2 distance", log=True)


def VGG_Beta_Smooth(results=RESULTS, out=Path()):
    """Draw that distance over the distance that the output layer's weight moved."""
    out, title = out / "beta_smoothness.png", 'Effective "beta"-smoothness'

    def beta(run):
        return distances(run) / np.maximum(distances(run, "weight_distance"), 1e-12)

    draw(results, out, title, beta, "Gradient over distance", log=True)


def distances(run, name="gradient_distance"):
    """Without the first steps, which have none before them."""
    return run.steps[name][run.settings["gradient_lag"] :]


def main():
    parser = arguments(__doc__)
    parser.add_argument("--train", action="store_true", help="train, then draw")
    known = parser.parse_args()
    known.out.mkdir(parents=True, exist_ok=True)
    for run in map(FinishedRun, sorted(RESULTS.glob("*")) if known.train else []):
        train_again(run, known)
    for function in (VGG_Loss_Landscape, VGG_Grad_Pred, VGG_Beta_Smooth):
        function(known.out / "trained" if known.train else RESULTS, known.out)


if __name__ == "__main__":
    main()
