"""What the tests share: a copy of the repository to run Snakemake in, data and runs."""

import fcntl
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from clone import copy_files
from gradscape.base.paths import RECORD, RUN_FILES
from gradscape.claims import registered
from gradscape.claims.files import decide_studies
from gradscape.claims.tables import write_tables
from gradscape.claims.verdicts import Verdict, decide_all
from gradscape.config.experiment import Experiment
from gradscape.config.yaml import read_yaml
from gradscape.report.template import write_tex
from gradscape.runs.record import Backend, Data, Revision, RunRecord, read, write
from gradscape.runs.run import FinishedRun, finished_runs
from gradscape.spec.settings import Settings
from gradscape.spec.study import run_name

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent

needs_tex = pytest.mark.skipif(
    shutil.which("latexmk") is None, reason="needs latexmk (make tex installs it)"
)

# As the page on clusters has it, for schedulers other than Slurm.
GENERIC = "snakemake --workflow-profile profiles/cluster-generic all"

# One study of two tiny runs: the whole chain in seconds.
TINY = """
title: "A {tiny} grid"
results: results/tiny
defaults: {device: cpu}
studies:
  tiny:
    title: Two rates
    dataset: generated10
    epochs: 2
    batch_size: 20
    train_items: 100
    validation_items: 40
    landscape_every: 2
    landscape_points: 2
    gradient_lag: 1
    grid: {model: [vgg08], learning_rate: [1.0e-3, 1.0e-2], seed: [0]}
    tables: [results, smoothness]
    probes:
      surface: {where: {learning_rate: 1.0e-3}, images: 20, points: 5}
      hessian: {where: {learning_rate: 1.0e-3}, images: 20, iterations: 2, samples: 2}
    figures:
      curves: {draw: curves, caption: "In {0, 1}, and }."}
      flow: {draw: gradient_flow, best: true}
      smoothness: {draw: smoothness}
      surface: {draw: loss_surface, wide: true}
"""

# A training in a second.
SMALL = Settings(
    model="vgg08",
    dataset="generated10",
    epochs=2,
    batch_size=16,
    train_items=104,  # a last minibatch of 8
    validation_items=40,
    normalisation="cifar10",
    device="cpu",
    precision="fp32",
)


# The longest files. With two workers each begins with one of these halves, and the one that
# is done first takes over the end of the other's.
LONGEST = [["pipeline", "training", "faults"], ["published", "anywhere", "courses", "cuda"]]


def pytest_collection_modifyitems(items):
    def of(files: list[str]) -> list:
        return [
            item for name in files for item in items if item.path.stem == f"test_{name}"
        ]

    first, second = map(of, LONGEST)
    long = {*first, *second}
    rest = [item for item in items if item not in long]
    place = max(0, len(items) // 2 - len(first))
    items[:] = [*first, *rest[:place], *second, *rest[place:]]


def run(*command, cwd=ROOT, **environment) -> subprocess.CompletedProcess:
    """Run a command of the environment's own programs and keep what it prints."""
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=os.environ | {"PATH": path} | environment,
        capture_output=True,
        text=True,
        timeout=900,
    )


def decide_and_tabulate(experiment: Experiment, document: str = "report") -> None:
    """What a document is written from, but for its figures."""
    decide_studies(experiment, document)
    for study in experiment.documents(document):
        write_tables(study, finished_runs(study, experiment.results), experiment.results)


def write_document(experiment: Experiment, document: str = "report") -> str:
    """A document's LaTeX, from what the finished runs decide now."""
    decide_and_tabulate(experiment, document)
    write_tex(experiment, document)
    return experiment.results.tex(document).read_text()


def succeed(*command, **options) -> str:
    done = run(*command, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def planned(repository: Path, *arguments) -> set[str]:
    """The rules that a call would run, by a dry run."""
    output = succeed(
        *("snakemake", "-n", "--cores", "2", "--configfile", "config/tiny.yaml"),
        *arguments,
        cwd=repository,
    )
    counts = re.search(r"Job stats:\n(.*?)\ntotal", output, re.S)
    lines = counts.group(1).splitlines()[2:] if counts else []
    return {line.split()[0] for line in lines} - {"all"}


def copy_repository(folder: Path) -> Path:
    """A copy of the working tree, with the tiny grid."""
    copy_files(ROOT, folder)
    (folder / "config" / "tiny.yaml").write_text(TINY)
    return folder


def page_fill(pdf: Path) -> list[float]:
    """How much of each page's text area is filled, from 0 to 1, as it is rendered.

    A line in a column is filled if there is ink within three lines of it; wide figures fill
    both columns.
    """
    dots, gap = 36, 36 / 2  # an inch, and three lines of it
    rendered = subprocess.run(
        ["pdftoppm", "-r", str(dots), "-gray", str(pdf)], capture_output=True, check=True
    ).stdout
    fills = []
    while rendered:
        _, size, _, rest = rendered.split(b"\n", 3)
        width, height = map(int, size.split())
        page = np.frombuffer(rest[: width * height], np.uint8).reshape(height, width)
        rendered = rest[width * height :]
        margin = int(22 / 25.4 * dots)
        lines = (page[margin:-margin] < 200).reshape(height - 2 * margin, -1)
        columns = np.array_split(lines, 2, axis=1)
        rows = [np.flatnonzero(column.any(axis=1)) for column in columns]
        near = [
            (np.abs(np.subtract.outer(np.arange(len(lines)), ink)) <= gap / 2).any(axis=1)
            for ink in rows
        ]
        fills.append(float(np.mean(near)))
    return fills


def pytest_configure(config) -> None:
    config.addinivalue_line("markers", "limit(seconds): the time that a test may take")
    config.addinivalue_line("markers", "published: every PDF again, `make test-published`")
    config.addinivalue_line("markers", "networks: the long list, `make test-networks`")
    config.addinivalue_line("markers", "page: a network in a browser, `make test-page`")


@pytest.fixture(autouse=True)
def limit(request):
    """A test that waits for ever, for a lock say, fails instead."""

    def over(number, frame):
        raise TimeoutError(f"not done after {seconds} s")

    marker = request.node.get_closest_marker("limit")
    seconds = marker.args[0] if marker else 1800
    signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    yield
    signal.alarm(0)


@pytest.fixture(scope="session")
def shared(tmp_path_factory) -> Path:
    """A folder that all workers of this session have in common."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def made_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """A folder that the first worker to ask for it makes; the others wait."""
    with folder.with_suffix(".made").open("a+") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        mark.seek(0)
        if not mark.read():
            make(folder)
            mark.write("made")
    return folder


@pytest.fixture(scope="session")
def generated(shared) -> Path:
    """A data folder that holds a tenth of generated10: scoring all of its test images takes
    longer than a small training."""
    return made_once(shared / "data", write_generated)


@pytest.fixture(scope="session")
def dataset(generated):
    from gradscape.data.store import load

    return load(generated / "generated10")


def write_generated(folder: Path) -> None:
    from gradscape.data.datasets import acquire
    from gradscape.data.store import Dataset, save

    whole = acquire("generated10")
    by_class = np.argsort(whole.labels[whole.train :], kind="stable").reshape(10, -1)
    kept = np.r_[:1_000, whole.train + np.sort(by_class[:, :10].ravel())]
    parts = (whole.images[kept], whole.labels[kept])
    tenth = Dataset(whole.name, whole.source, whole.classes, 1_000, *parts)
    save(tenth, folder / whole.name)


@pytest.fixture(scope="session")
def cifar() -> Path:
    """The folder that GRADSCAPE_DATA names, with the real datasets."""
    folder = os.environ.get("GRADSCAPE_DATA")
    if not folder:
        pytest.skip("needs the real CIFAR: set GRADSCAPE_DATA to a folder with it")
    return Path(folder)


def make(settings: Settings, dataset):
    """A training that has not begun."""
    from gradscape.training.device import configure
    from gradscape.training.loop import Training

    backend = configure(settings.device, settings.precision, True, threads=1)
    return Training(settings, dataset, backend)


def same(first: Path, second: Path) -> None:
    """The same bytes in everything that a run leaves but its clock."""
    for name in set(RUN_FILES) - {"timing.csv", RECORD}:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


@cache
def claims(study: str) -> dict:
    return read_yaml(ROOT / "report" / "claims" / f"{study}.yaml")


def write_run(
    folder: Path,
    model: str,
    rate: float = 1e-3,
    seed: int = 0,
    losses=(4.6, 4.6),
    accuracies=(0.01, 0.01),
    gradients=(1e-3, 1e-2),
    steps=None,
    diverged=None,
    varied=None,
):
    """A finished run with the wanted numbers."""
    import pandas as pd

    varied = varied or {}
    settings = {"model": model, "dataset": "cifar100", "learning_rate": rate}
    settings |= {"seed": seed, "schedule": "cosine"} | varied
    settings.pop("variant", None)
    out = folder / run_name(Settings(**settings), varied)
    out.mkdir(parents=True)
    epochs = np.arange(1, len(losses) + 1)
    columns = {"epoch": epochs, "train_loss": losses, "train_accuracy": accuracies}
    columns |= {"val_loss": losses, "val_accuracy": accuracies, "learning_rate": rate}
    pd.DataFrame(columns).to_csv(out / "metrics.csv", index=False)
    pd.DataFrame(
        {"epoch": [1], "test_loss": [losses[-1]], "test_accuracy": [max(accuracies)]}
    ).to_csv(out / "test.csv", index=False)
    steps = np.repeat(losses, 10) if steps is None else np.asarray(steps)
    np.savez(out / "steps.npz", loss=steps, steps_per_epoch=len(steps) // len(losses))
    np.savez(
        out / "gradients.npz",
        mean_absolute_gradient=np.array([gradients] * len(losses)),
        layer=np.array([f"layer{i}" for i in range(len(gradients))]),
    )
    record = RunRecord(
        study="s",
        run=out.name,
        varied=varied,
        settings=settings,
        data=Data("cifar100", "local folder", 100, "0" * 64, 47_500, 2_500, 10_000),
        parameters=1,
        flops=None,
        pretrained_sha256=None,
        best_epoch=1,
        diverged=diverged,
        backend=Backend("cpu", "CPU", "fp32", True, 1, "2.0"),
        seconds_training=1.0,
        seconds_probing=0.0,
        seconds_last_attempt=1.0,
        images_per_second=1.0,
        peak_memory_bytes={"host": 1, "gpu": None},
        resumed=0,
        revision=Revision(None, None),
        versions={},
    )
    write(out / RECORD, record)
    return FinishedRun(out)


@contextmanager
def limited(kind: int, value: int):
    """This process with a smaller limit of the system's."""
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (value, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


def reseal(folder: Path, **changes) -> FinishedRun:
    """A run whose tables, or these fields of its record, were changed, written anew."""
    write(folder / RECORD, replace(read(folder / RECORD), **changes))
    return FinishedRun(folder)


STUDIES = sorted(path.stem for path in (ROOT / "report" / "claims").glob("*.yaml"))
ALL = [(study, name) for study in STUDIES for name in claims(study)]


def decide(claim: dict, runs) -> Verdict:
    """The verdict on a claim that is alone in its family."""
    alone = {key: value for key, value in claim.items() if key != "given"}
    return decide_all({"c": alone}, runs)["c"]


def three_seeds(
    folder, model, accuracies, losses=(4.6, 4.6), gradients=(1e-3, 1e-2), **more
) -> list:
    """Runs that differ a little in loss and gradient as well."""
    runs = []
    for seed, accuracy in enumerate(accuracies):
        numbers = {"losses": [loss + seed / 1e4 for loss in losses]}
        numbers["gradients"] = ((1 + seed / 100) * gradients[0], *gradients[1:])
        numbers["accuracies"] = (0.01, accuracy)
        runs.append(write_run(folder, model, seed=seed, **numbers, **more))
    return runs


def finished(experiment, study, chosen, tmp_path, **more) -> None:
    """Runs of the study with made-up numbers, as if they had been trained."""
    for run in chosen:
        made = write_run(
            tmp_path / "made", run.settings.model, seed=run.settings.seed, **more
        )
        settings = vars(run.settings) | {"gradient_lag": None}
        named = {"study": study, "run": run.name, "varied": run.varied}
        reseal(made.path, flops=5_000_000, settings=settings, **named)
        folder = tmp_path / "runs" / study / run.name
        folder.parent.mkdir(parents=True, exist_ok=True)
        made.path.rename(folder)


@pytest.fixture
def two_networks(tmp_path, monkeypatch) -> Experiment:
    """VGG08 unchanged and widened, of which one claim asks which is better."""
    monkeypatch.setattr(registered, "revision", lambda: Revision(None, None))
    side = {"metric": "test_accuracy", "where": {"variant": "wide"}}
    right = {"metric": "test_accuracy", "where": {"variant": ""}}
    claim = {"statement": "Width wins.", "source": "us", "is": "above"}
    claim |= {"left": side, "right": right, "style": "accuracy"}
    study = {"title": "Width", "dataset": "cifar100", "model": "resnet-small", "epochs": 2}
    study |= {"variants": {"wide": {"width": 64}}, "claims": {"width-wins": claim}}
    config = {"title": "T", "results": "results/x", "studies": {"s": study}}
    experiment = Experiment(config, tmp_path)
    for run, accuracy in zip(experiment.runs, (0.3, 0.5), strict=True):
        finished(experiment, "s", [run], tmp_path, accuracies=(0.1, accuracy))
    return experiment
