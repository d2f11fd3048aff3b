"""The archive that a course asks for: report, code, and results in its format."""

import io
import zipfile
from pathlib import Path

from gradscape.config import Experiment
from gradscape.errors import GradscapeError
from gradscape.files import whole
from gradscape.layout import HOME, REPORT
from gradscape.registry import declared, find
from gradscape.results.runs import FinishedRun, finished_runs

CODE = ["Snakefile", "workflow", "config"]
CODE += ["report/main.tex.j2", "report/parts", "report/sections"]


def write_submission(experiment: Experiment, course: str, student: str) -> Path:
    """Write the archive of `course` into the results folder and return its path.

    If the course is about one study and that study's own report exists, it is taken, else
    the report on all studies. Raises `GradscapeError` if the course's studies, their runs
    or the report are missing.
    """
    results, wanted = experiment.results, declared("course", course, "STUDIES")
    studies = [name for name in wanted if name in experiment.studies]
    if not studies:
        missing = " nor ".join(map(repr, wanted))
        raise GradscapeError(f"{course}: the configuration has no study {missing}")
    runs = [r for name in studies for r in finished_runs(experiment.studies[name], results)]
    if not runs:
        raise GradscapeError(f"{results}/runs/{studies[0]}: no finished run to hand in")
    report, own = results.pdf(REPORT), results.pdf(studies[0])
    if len(studies) == 1 and own.exists():
        report = own
    if not report.exists():
        raise GradscapeError(f"{report}: missing; make it with `gradscape report`")
    content = find("course", course)(runs, report.read_bytes(), student)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path, data in content.items():
            zipped.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), data)
    out = results.root / declared("course", course, "ARCHIVE").format(student)
    with whole(out) as partial:
        partial.write_bytes(archive.getvalue())
    return out


def everything(top: str, runs: list[FinishedRun], report: bytes) -> dict[str, bytes]:
    """Report, code and every run's curves, below the folder `top`."""
    content = {f"{top}/report.pdf": report, **code(f"{top}/code")}
    for run in runs:
        metrics = (run.path / "metrics.csv").read_bytes()
        name = f"{run.path.parent.name}/{run.path.name}"
        content[f"{top}/results/{name}/metrics.csv"] = metrics
    return content


def code(folder: str) -> dict[str, bytes]:
    """The files that make the results, below `folder`."""
    files = []
    for name in CODE:
        path = HOME / name
        files += [path] if path.is_file() else sorted(path.rglob("*.*"))
    return {
        f"{folder}/{file.relative_to(HOME)}": file.read_bytes()
        for file in files
        if file.is_file() and file.suffix in ("", ".py", ".smk", ".yaml", ".md", ".j2")
    }
