"""Sapienza AML exercise 2."""

from gradscape.courses.archive import everything
from gradscape.results.runs import FinishedRun

TITLE = "Convolutional networks: regularisation and transfer"
STUDIES = ["regularisation", "transfer"]
ARCHIVE = "Exercise2-{}.zip"


def sapienza(runs: list[FinishedRun], report: bytes, student: str) -> dict[str, bytes]:
    """Report, code and every run's curves."""
    return everything(f"Exercise2-{student}", runs, report)
