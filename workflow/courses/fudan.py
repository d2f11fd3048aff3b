"""Fudan project 2 (2020): the write-up, the scripts that the brief names, and results.

Project2-<id>_<name>/report.pdf, README.md, requirements.txt, four scripts
                     gradscape/                 what the scripts call
                     results/<study>/<run>/     what training recorded
"""

from gradscape.cli.submission import Files, HandIn, below

TITLE = "Training a network on CIFAR-10, and what batch normalisation does"
STUDIES = ["accuracy", "landscape", "landscape-paper"]
NEEDED = ["accuracy", "landscape"]
STUDENT = r"\w{1,30}_\w[\w.-]{0,60}"
EXAMPLE = "20300180001_name"
ARCHIVE = "Project2-{}.zip"

RECORDED = ["run.json", "metrics.csv", "test.csv", "steps.npz"]


def fudan(work: HandIn) -> Files:
    """Everything in one folder; the write-up carries name and number."""
    number, _, name = work.student.partition("_")
    content = {"report.pdf": work.report(f"{name.replace('_', ' ')} ({number})")}
    content |= work.own() | work.package()
    content |= below("results", work.results(*RECORDED))
    return below(f"Project2-{work.student}", content)
