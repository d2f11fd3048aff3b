"""Sapienza AML exercise 2 (2023): the two scripts that the brief names, and a report.

Exercise2-<number>/report.pdf, README.md, requirements.txt, two scripts
                   source/                    the report's LaTeX
                   gradscape/                 what the scripts call
                   results/                   what training recorded
"""

from gradscape.cli.submission import Files, HandIn

TITLE = "Convolutional networks: regularisation and transfer"
STUDIES = ["regularisation", "transfer-efficientnet", "transfer"]
NEEDED = ["regularisation", "transfer"]
STUDENT = r"\d{5,10}"
EXAMPLE = "1234567"
ARCHIVE = "Exercise2-{student}.zip"


def sapienza(work: HandIn) -> Files:
    return work.folder()
