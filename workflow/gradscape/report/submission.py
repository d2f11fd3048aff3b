"""The archives that the courseworks ask for: report, code, and results in their format."""

import io
import zipfile
from pathlib import Path

from gradscape.config import ROOT, Experiment
from gradscape.errors import GradscapeError
from gradscape.files import whole
from gradscape.report.build import finished_runs
from gradscape.runs import FinishedRun

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
    top = f"Project2-{student}"
    content = {f"{top}/report.pdf": report, **code(f"{top}/code")}
    for run in runs:
        metrics = (run.path / "metrics.csv").read_bytes()
        content[f"{top}/results/{run.path.name}/metrics.csv"] = metrics
    return content


# Course → what it wants and the study it is about.
COURSES = {"edinburgh": (edinburgh, "degradation"), "fudan": (fudan, "landscape")}


def write_submission(
    experiment: Experiment, results: Path, course: str, student: str
) -> Path:
    """Write the archive of `course` below `results` and return its path.

    Raises `GradscapeError` without the course's study, its runs or the report.
    """
    gather, study = COURSES[course]
    if study not in experiment.studies:
        raise GradscapeError(f"{course}: the configuration has no study {study!r}")
    runs = finished_runs(experiment.studies[study], results)
    if not runs:
        raise GradscapeError(f"{results}/runs/{study}: no finished run to hand in")
    report = results / "report.pdf"
    if not report.exists():
        raise GradscapeError(f"{report}: missing; make it with `gradscape report`")
    content = gather(runs, report.read_bytes(), student)
    name = f"{student}.zip" if course == "edinburgh" else f"Project2-{student}.zip"
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
