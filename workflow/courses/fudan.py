"""Fudan project 2 (2020): the write-up, the scripts that the brief names, and results.

Project2-<number>_<name>/report.pdf, README.md, requirements.txt, five scripts
                     source/                    the write-up's LaTeX
                     gradscape/                 what the scripts call
                     results/                   what training and probes recorded
"""

from gradscape.cli.submission import Files, HandIn

TITLE = "Training a network on CIFAR-10, and what batch normalisation does"
STUDIES = ["accuracy", "landscape", "landscape-paper"]
CITED = ["optimisers"]  # at their best rates
NEEDED = ["accuracy", "landscape"]
STUDENT = r"\d{5,15}"
EXAMPLE = "20300180001"
ARCHIVE = "Project2-{student}_{name}.zip"


def fudan(work: HandIn) -> Files:
    return work.folder()
