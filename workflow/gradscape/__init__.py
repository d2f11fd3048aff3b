"""gradscape: why deep networks refuse to train, and what BN and residuals change."""

from gradscape.base.paths import SNAKEFILE as SNAKEFILE

__version__ = "0.2.0"


def load(folder):
    """The finished runs below a results folder, such as `results/published/cpu`.

    A list of `FinishedRun`, with `table`, a row a run, and `where(model="vgg38", …)`. Loads
    no torch. Raises `GradscapeError` if there are none.
    """
    from gradscape.runs.load import load as load_runs

    return load_runs(folder)


def train(out, data="results/data", **settings):
    """Train one run into the folder `out`, or resume it, and return it as a `FinishedRun`.

    `settings` are a configuration's: `model`, `dataset`, `epochs`, …; the dataset lies
    below `data`, where `gradscape data` puts it. Raises `GradscapeError`.
    """
    from pathlib import Path

    from gradscape.cli.commands import train as train_run
    from gradscape.runs.run import FinishedRun

    train_run(out=Path(out), data=Path(data), **settings)
    return FinishedRun(out)


def trained(run, data="results/data"):
    """The network of a `FinishedRun` and its images: a `gradscape.probes.trained.Trained`,
    with `network("best")`, a `torch.nn.Module`, `class_names`, and `minibatches(count)`,
    normalised. Only where the run keeps its weights. Raises `GradscapeError`.
    """
    from pathlib import Path

    from gradscape.probes.trained import Trained
    from gradscape.spec.registry import own_names

    return Trained(run.path, Path(data), own=own_names(run.settings).values())
