"""Finished runs whose numbers are none, and tables of every probe, for the fault tests."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pandas as pd

from conftest import reseal, write_run
from gradscape.base.errors import GradscapeError
from gradscape.base.paths import RECORD, Results
from gradscape.runs.record import read, write


class Lost(Exception):
    """What was sound is gone."""


class Executed(Exception):
    """A program from outside has run."""


class Hang(BaseException):
    """It takes too long; nothing that catches errors may take this for one."""


def check_sentence(error: GradscapeError) -> None:
    sentence = str(error)
    if "\n" in sentence or len(sentence) > 1000 or "Traceback" in sentence:
        raise RuntimeError(f"not one sentence: {sentence[:2000]}") from error


SIDE = range(2)
WRONG = {"nan": np.nan, "infinity": np.inf, "minus infinity": -np.inf}


def table(columns: str, *keys, **values) -> pd.DataFrame:
    """A row for each combination of `keys`, and the same `values` in each."""
    rows = pd.DataFrame(list(itertools.product(*keys)), columns=columns.split())
    return rows.assign(**values)


def probes(value: float) -> dict[str, pd.DataFrame]:
    """A table of each probe, everything measured in it being `value`."""
    moments = ["initialisation", "best"]
    squares = ["activation_mean_square", "activation_variance", "gradient_mean_square"]
    squares += [f"predicted_{name}" for name in (squares[0], squares[2])]
    squares.append("input_mean_square")
    images = {"label": "cat", "predicted": "dog", "confidence": value}
    colours = dict.fromkeys(("red", "green", "blue"), 0.5)
    maps = {"grad_cam": value, "occlusion": value}
    return {
        "explanations": table("image row column", SIDE, SIDE, SIDE, **images)
        .assign(**colours)
        .assign(**maps),
        "feature_maps": table(
            "layer channel row column",
            ["input", "entry"],
            range(3),
            SIDE,
            SIDE,
            value=value,
        ).assign(depth=0),
        "filters": table(
            "moment filter channel row column",
            moments,
            SIDE,
            range(3),
            SIDE,
            SIDE,
            weight=value,
        ),
        "hessian": table(
            "quantity", ["largest_eigenvalue", "trace"], value=value, uncertainty=value
        ),
        "lesion": table("block", ["none", "stages.0"], accuracy=value),
        "predictions": table("image", range(4), **images),
        "signal": table("moment depth", moments, range(3), layer="x", size=1).assign(
            **dict.fromkeys(squares, value)
        ),
        "surface": table("alpha beta", [-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0], loss=value),
        "trainability": table("moment layer", moments, ["all"], value=value).assign(
            quantity="gradient_cosine"
        ),
    }


def write_broken(folder: Path, value: float, gradients=None, epochs: int = 1) -> list:
    """Two runs in which every number that was measured is `value`, each probed."""
    runs = []
    for rate in (1e-3, 1e-2):
        run = write_run(
            folder,
            "vgg08",
            rate,
            losses=(value,) * epochs,
            accuracies=(value,) * epochs,
            gradients=(value, value) if gradients is None else gradients,
            steps=np.full(4 * epochs, value),
            diverged=None if np.isfinite(value) else epochs,
            varied={"gradient_lag": 1},
        )
        steps = run.steps | {
            "gradient_distance": np.full(4 * epochs, value),
            "weight_distance": np.full(4 * epochs, value),
            "probed_step": np.array([1, 3]),
            "probed_size": np.full((2, 3), 0.1),
            "probed_gradient_norm": np.full(2, value),
            "probed_gradient_distance": np.full((2, 3), value),
            "probed_loss": np.full((2, 3), value),
        }
        np.savez(run.path / "steps.npz", **steps)
        run = reseal(run.path)
        (run.path / "probes").mkdir()
        for name, rows in probes(value).items():
            rows.to_csv(run.path / "probes" / f"{name}.csv", index=False)
        runs.append(run)
    return runs


def stand_in(runs: list, source: Path, results: Results) -> None:
    """Have the files of one finished run stand for each of these."""
    record = read(source / RECORD)
    for run in runs:
        folder = results.run(run.study, run.name)
        folder.mkdir(parents=True)
        for path in source.iterdir():
            (folder / path.name).symlink_to(path)
        (folder / RECORD).unlink()
        own = {"settings": dataclasses.asdict(run.settings), "varied": run.varied}
        own |= {"study": run.study, "run": run.name}
        write(folder / RECORD, dataclasses.replace(record, **own))
