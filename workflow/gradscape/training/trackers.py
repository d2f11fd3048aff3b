"""Trackers that follow a training where they are asked for: TensorBoard, MLflow, W&B.

Each is a context that gives a function of an epoch's row of metrics.csv and the network's
weights. None is imported otherwise, and none changes a byte of the results.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gradscape.base.errors import GradscapeError
from gradscape.base.files import folder_lock
from gradscape.base.paths import EVENTS
from gradscape.models.anatomy import Weight, by_depth
from gradscape.spec.study import Run

Track = Callable[[dict, dict[str, Weight]], None]


@contextmanager
def following(names: list[str], run: Run, out: Path, rows: list[dict]) -> Iterator[Track]:
    """All that are named; `rows` are the epochs of a resumed run so far. Raises
    `GradscapeError` for one that is not installed."""
    with ExitStack() as stack:
        tracks = []
        for name in names:
            try:
                tracks.append(stack.enter_context(TRACKERS[name](run, out, rows)))
            except ImportError:
                raise GradscapeError(
                    f"{name}: the package is missing; `pip install {name}` or `uv pip "
                    f"install {name}` installs it"
                ) from None

        def track(row: dict, weights: dict[str, Weight]) -> None:
            for one in tracks:
                one(row, weights)

        yield track


@contextmanager
def tensorboard(run: Run, out: Path, rows: list[dict]) -> Iterator[Track]:
    """Event files in the run's folder, with the gradients that an epoch's last minibatch
    left, by layer in order of depth; later ones than a resumed run's are not shown."""
    from torch.utils.tensorboard import SummaryWriter

    if not rows:
        shutil.rmtree(out / EVENTS, ignore_errors=True)
    purge = len(rows) + 1 if rows else None
    with SummaryWriter(out / EVENTS, purge_step=purge) as events:

        def track(row: dict, weights: dict[str, Weight]) -> None:
            for name, value in scores(row).items():
                events.add_scalar(name, value, row["epoch"])
            for depth, (name, weight) in enumerate(by_depth(weights).items()):
                gradient = weight.parameter.grad
                if gradient is not None and gradient.isfinite().all():  # or no histogram
                    tag = f"gradients/{depth:02} {name}"
                    events.add_histogram(tag, gradient, row["epoch"])
            events.flush()

        yield track


@contextmanager
def mlflow(run: Run, out: Path, rows: list[dict]) -> Iterator[Track]:
    """A run of the experiment that is called as the study, where MLFLOW_TRACKING_URI says.
    A resumed training is another run, which begins with the epochs so far."""
    import mlflow

    with folder_lock(out.parent):  # two that begin at once make one experiment
        mlflow.set_experiment(run.study)
    with mlflow.start_run(run_name=run.name):
        mlflow.log_params(vars(run.settings))
        for row in rows:
            mlflow.log_metrics(scores(row), step=row["epoch"])
        yield lambda row, _: mlflow.log_metrics(scores(row), step=row["epoch"])


@contextmanager
def wandb(run: Run, out: Path, rows: list[dict]) -> Iterator[Track]:
    """Likewise, of the project `gradscape` in a group that is called as the study; offline
    unless WANDB_MODE says otherwise."""
    import wandb

    about = {"project": "gradscape", "group": run.study, "name": run.name}
    about |= {"mode": os.environ.get("WANDB_MODE", "offline"), "config": vars(run.settings)}
    quiet = wandb.Settings(silent=True, console="off")
    with wandb.init(**about, settings=quiet) as log:
        for row in rows:
            log.log(scores(row), step=row["epoch"])
        yield lambda row, _: log.log(scores(row), step=row["epoch"])


def scores(row: dict) -> dict[str, float]:
    return {name: value for name, value in row.items() if name != "epoch"}


TRACKERS = {"tensorboard": tensorboard, "mlflow": mlflow, "wandb": wandb}
