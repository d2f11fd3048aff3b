"""Changes between the reports of two results folders, as latexdiff marks them."""

import shutil
import subprocess
from pathlib import Path

from gradscape.base.errors import GradscapeError
from gradscape.base.files import say, write_file
from gradscape.base.paths import REPORT, Results
from gradscape.config.experiment import Experiment
from gradscape.report.build import prepare
from gradscape.report.latex import compile_pdf
from gradscape.report.template import write_tex

DIFF = "report-diff"
# By colours and fonts: ulem, which strikes through, is in no small TeX. New pictures only.
LATEXDIFF = ["latexdiff", "--type=CFONT", "--graphics-markup=none"]
# A mark does not fit into what makes a heading.
LATEXDIFF += ["--exclude-textcmd=section,subsection,paragraph"]


def write_diff(old: Path, new: Path) -> Path:
    """Write both reports again from their runs, and the new one with its changes marked."""
    if shutil.which(LATEXDIFF[0]) is None:
        raise GradscapeError("latexdiff is missing; apt-get install latexdiff")
    sources = []
    for results in (Results(folder) for folder in (old, new)):
        if not results.config.is_file():
            raise GradscapeError(f"{results}: is no results folder, it has no config.json")
        experiment = Experiment.from_file(results.config.resolve(), results.root)
        say(f"{results}: decided, drawn and written again …")
        write_tex(experiment, views=prepare(experiment))
        sources.append(results.tex(REPORT).resolve())
    done = subprocess.run([*LATEXDIFF, *sources], capture_output=True, encoding="utf-8")
    if done.returncode != 0:
        raise GradscapeError(f"latexdiff stopped: {' '.join(done.stderr.split())}")
    say("LaTeX …")
    write_file(results.tex(DIFF), done.stdout)
    compile_pdf(results, DIFF, strict=False)
    return results.pdf(DIFF)
