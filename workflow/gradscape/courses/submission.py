"""The archives that the courseworks ask for: report, code, and results in their format."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gradscape.config import ROOT, Experiment
from gradscape.errors import GradscapeError
from gradscape.files import whole
from gradscape.report.build import finished_runs
from gradscape.results.runs import FinishedRun

CODE = ["Snakefile", "workflow", "config", "report/main.tex.j2", "report/sections"]


def edinburgh(runs: list[FinishedRun], report: bytes, student: str) -> dict[str, bytes]:
    """Edinburgh cw2 (2024), section 8.2: a folder of the student's number.

    `summary.csv` has the course's own columns, as fractions, a row an epoch.
    """
    content = {
        f"{student}/{student}_report.pdf": report,
        **code(f"{student}/mlp/pytorch_experiment_scripts"),
    }
    for run in runs:
        folder = f"{student}/results/{run.path.name}/result_outputs"
        table = run.metrics[["train_accuracy", "train_loss", "val_accuracy", "val_loss"]]
        table = table.set_axis(["train_acc", "train_loss", "val_acc", "val_loss"], axis=1)
        content[f"{folder}/summary.csv"] = table.to_csv(index=False).encode()
        test = run.test[["test_accuracy", "test_loss"]].to_frame().T
        test = test.set_axis(["test_acc", "test_loss"], axis=1)
        content[f"{folder}/test_summary.csv"] = test.to_csv(index=False).encode()
    return content


def fudan(runs: list[FinishedRun], report: bytes, student: str) -> dict[str, bytes]:
    """Fudan project 2 (2020): the write-up and the code, `student` being `<id>_<name>`."""
    return everything(f"Project2-{student}", runs, report)


def everything(top: str, runs: list[FinishedRun], report: bytes) -> dict[str, bytes]:
    """Report, code and every run's curves, below the folder `top`."""
    content = {f"{top}/report.pdf": report, **code(f"{top}/code")}
    for run in runs:
        metrics = (run.path / "metrics.csv").read_bytes()
        name = f"{run.record['study']}/{run.path.name}"
        content[f"{top}/results/{name}/metrics.csv"] = metrics
    return content


def alberta(runs: list[FinishedRun], report: bytes, student: str) -> dict[str, bytes]:
    """Alberta CMPUT 328, assignment 6, section D: the code and the saved best model."""
    best = max(runs, key=lambda run: run.best["val_accuracy"])
    weights = best.path / "model.pt"
    if not weights.exists():
        raise GradscapeError(f"{weights}: missing; the network has to be trained here")
    return {f"model_{student}.pt": weights.read_bytes(), **code("code")}


def sapienza(runs: list[FinishedRun], report: bytes, student: str) -> dict[str, bytes]:
    """Sapienza AML exercise 2: report, code and every run's curves."""
    return everything(f"Exercise2-{student}", runs, report)


@dataclass(frozen=True)
class Course:
    """What a course wants handed in, of which studies, under which name."""

    gather: Callable[[list[FinishedRun], bytes, str], dict[str, bytes]]
    studies: list[str]
    archive: str


COURSES = {
    "edinburgh": Course(edinburgh, ["degradation"], "{}.zip"),
    "fudan": Course(fudan, ["landscape", "accuracy"], "Project2-{}.zip"),
    "alberta": Course(alberta, ["accuracy"], "Assignment6-{}.zip"),
    "sapienza": Course(sapienza, ["regularisation", "transfer"], "Exercise2-{}.zip"),
}


def write_submission(
    experiment: Experiment, results: Path, course: str, student: str
) -> Path:
    """Write the archive of `course` below `results` and return its path.

    The report is the study's own where the course is about one and it is there, else that
    of all studies.
    Raises `GradscapeError` without the course's studies, their runs or the report.
    """
    wanted = COURSES[course]
    studies = [name for name in wanted.studies if name in experiment.studies]
    if not studies:
        missing = " nor ".join(map(repr, wanted.studies))
        raise GradscapeError(f"{course}: the configuration has no study {missing}")
    runs = [run for n in studies for run in finished_runs(experiment.studies[n], results)]
    if not runs:
        raise GradscapeError(f"{results}/runs/{studies[0]}: no finished run to hand in")
    report, own = results / "report.pdf", results / f"{studies[0]}.pdf"
    if len(studies) == 1 and own.exists():
        report = own
    if not report.exists():
        raise GradscapeError(f"{report}: missing; make it with `gradscape report`")
    content = wanted.gather(runs, report.read_bytes(), student)
    name = wanted.archive.format(student)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path, data in content.items():
            zipped.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), data)
    with whole(results / name) as partial:
        partial.write_bytes(archive.getvalue())
    return results / name


def code(folder: str) -> dict[str, bytes]:
    """The files that make the results, below `folder`."""
    files = []
    for name in CODE:
        path = ROOT / name
        files += [path] if path.is_file() else sorted(path.rglob("*.*"))
    return {
        f"{folder}/{file.relative_to(ROOT)}": file.read_bytes()
        for file in files
        if file.is_file() and file.suffix in ("", ".py", ".smk", ".yaml", ".md", ".j2")
    }
