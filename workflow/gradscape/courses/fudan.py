"""Fudan project 2 (2020): the write-up and the code."""

from gradscape.courses.archive import everything
from gradscape.results.runs import FinishedRun

TITLE = "Training a network on CIFAR-10, and what batch normalisation does"
STUDIES = ["accuracy", "landscape", "landscape-paper"]
ARCHIVE = "Project2-{}.zip"


def fudan(runs: list[FinishedRun], report: bytes, student: str) -> dict[str, bytes]:
    """Report, code and every run's curves, `student` being `<id>_<name>`."""
    return everything(f"Project2-{student}", runs, report)
