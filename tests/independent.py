"""Every number of a published folder once more, from its runs' files, by other code.

    python tests/independent.py [results/published/cpu …]

The code is in `anew/` and shares no line with the package: what is measured is written from
config/README.md and docs/theory.md, what is decided from docs/statistics.md. It recomputes
tables and verdicts, then reads each document's LaTeX. A number there has to be one that was
recomputed, or that runs were set to, or to stand in the report's own text. It prints how
many numbers of each document it checked against runs, how many are the text's, and how many
the runs do not explain; then every mismatch, with which it ends in status 1. It reads
README's count of verdicts, but neither pictures nor PDFs, which `make test-published`
writes again.
"""

import json
import sys
from pathlib import Path

from anew.coordinates import check_coordinates
from anew.documents import check_document, check_readme
from anew.problems import Problems
from anew.runs import HOME, check_files
from anew.tables import check_claims, check_csv, check_results, check_smoothness
from anew.verdicts import Study


def check_study(study, registered, problems):
    if study.runs:
        for run in study.runs:
            check_files(run, f"runs/{study.name}/{run.name}", problems)
        check_claims(study, registered, problems)
        check_results(study, problems)
        study.smoothness = check_smoothness(study, problems)
        check_coordinates(study, problems)
    return study


def check(folder, echo=print):
    """Everything in a published folder; returns the problems."""
    folder, problems = Path(folder), Problems()
    config = json.loads((folder / "config.json").read_text("utf-8"))
    registered = json.loads((folder / "registered.json").read_text("utf-8"))
    studies = []
    for name, about in config["studies"].items():
        try:
            study = check_study(Study(folder, name, about), registered, problems)
        except Exception as error:  # of files that are none of a run's
            problems.say(name, f"cannot be recomputed: {error}")
            return problems
        if study.runs:
            studies.append(study)
    unknown = {path.name for path in (folder / "runs").iterdir()} - set(config["studies"])
    for name in unknown:
        problems.say(f"runs/{name}", "is no study of config.json")
    check_csv(folder, studies, problems)
    if folder.resolve() == HOME / "results/published/cpu":
        check_readme(studies, problems)
    for path in sorted(folder.glob("*.tex")):
        ours, text, open_ = check_document(path, folder, studies, config, problems)
        numbers = f"{ours} of the runs, {text} of the text, {open_} unexplained"
        echo(f"{folder.name}/{path.name}: {numbers}")
    return problems


def main(folders):
    published = sorted(
        path.parent for path in (HOME / "results/published").glob("*/config.json")
    )
    found = [f"{folder}: {p}" for folder in folders or published for p in check(folder)]
    print("\n".join(found or ["no mismatch"]))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
