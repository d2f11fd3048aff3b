"""gradscape: why deep networks refuse to train, and what BN and residuals change."""

from gradscape.base.paths import SNAKEFILE as SNAKEFILE

__version__ = "0.2.0"


def load(folder):
    """The finished runs below a results folder, such as `results/published/cpu`.

    A list of `FinishedRun`, with `table`, a row a run, and `where(model="vgg38", …)`. Loads
    no torch. Raises `GradscapeError` if there are none.
    """
    from gradscape.runs.run import load as load_runs

    return load_runs(folder)
