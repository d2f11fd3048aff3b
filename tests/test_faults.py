"""Bad luck and bad will: torn files, hostile folders, numbers that are none.

Each ends in the wanted result or in one sentence, never in a traceback, a lost result or
a program that somebody else's folder chose. `tests/faults.py` does it at random.
"""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from conftest import ROOT, needs_tex
from gradscape import registry
from gradscape.config import Experiment
from gradscape.errors import GradscapeError
from gradscape.figures.drawing import draw
from gradscape.files import whole
from gradscape.layout import Results
from gradscape.report.build import write_tex
from gradscape.report.pdf import compile_pdf
from gradscape.report.verdicts import decide
from gradscape.results.tables import write_table
from gradscape.study import Figure
from hostile import WRONG, stand_in, write_broken

DOCUMENT = r"""
\documentclass{article}
\usepackage{booktabs}
\begin{document}
Text. %s
\end{document}
"""


def written(folder: Path, body: str = "") -> Results:
    """A results folder with the LaTeX of a report."""
    (folder / "report").mkdir(parents=True)
    (folder / "report" / "report.tex").write_text(DOCUMENT % body)
    return Results(folder)


@needs_tex
def test_nothing_that_lies_in_a_results_folder_is_run_or_taken_for_tex(tmp_path):
    results, canary = written(tmp_path / "sent"), tmp_path / "canary"
    for name in ("latexmkrc", ".latexmkrc"):
        (results.sources / name).write_text(f"system('touch {canary}');")
    (results.sources / "booktabs.sty").write_text(r"\input{/etc/hostname}\undefined")
    (results.sources / "build").mkdir()
    for torn in ("report.aux", "report.fdb_latexmk", "report.fls"):
        (results.sources / "build" / torn).write_text(r"\relax \gdef{")
    compile_pdf(results)
    assert results.pdf("report").read_bytes().startswith(b"%PDF")
    assert not canary.exists()


@needs_tex
def test_latex_reads_and_writes_nothing_outside_its_folder(tmp_path):
    outside = tmp_path / "outside"
    for body in (
        rf"\input{{{tmp_path}/secret}}",
        rf"\newwrite\x\immediate\openout\x={outside}",
        rf"\immediate\write18{{touch {outside}}}\undefined",
    ):
        results = written(tmp_path / f"sent{len(body)}", body)
        (tmp_path / "secret.tex").write_text("secret")
        with pytest.raises(GradscapeError, match=r"report\.tex: LaTeX stopped: .+"):
            compile_pdf(results)
    assert not list(tmp_path.glob("outside*"))


@needs_tex
def test_a_killed_compilation_does_not_stop_the_next(tmp_path):
    results = written(tmp_path / "results")
    command = [
        sys.executable,
        "-m",
        "gradscape",
        "pdf",
        "--results",
        str(tmp_path / "results"),
    ]
    started = subprocess.Popen(command)
    time.sleep(0.6)
    started.send_signal(signal.SIGKILL)
    started.wait()
    compile_pdf(results)
    assert results.pdf("report").exists()


@needs_tex
def test_a_home_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/proc/nobody")
    results = written(tmp_path / "results", r"\fontencoding{T1}\texttt{a}")
    compile_pdf(results)
    assert results.pdf("report").exists()


def test_no_folder_for_temporary_files_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(GradscapeError, match="set TMPDIR"):
        compile_pdf(written(tmp_path / "results"))


def test_nothing_is_written_or_read_through_a_link(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: name)
    (tmp_path / "elsewhere").mkdir()
    results = Results(tmp_path / "results")
    results.root.mkdir()
    results.sources.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(GradscapeError, match="report: is a link to"):
        compile_pdf(results)
    results.sources.unlink()
    results.sources.mkdir()
    results.tex("report").symlink_to("/etc/hostname")
    with pytest.raises(GradscapeError, match=r"report\.tex: is a link or no file"):
        compile_pdf(results)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / ".new").symlink_to(victim)
    with whole(tmp_path / "new") as partial:
        partial.write_text("new")
    assert (victim.read_text(), (tmp_path / "new").read_text()) == ("mine", "new")


# Numbers that are none


@pytest.fixture(scope="module", params=[*WRONG, "no epoch"])
def broken(request, tmp_path_factory) -> list:
    """Runs that diverged before anything was measured, each in another way."""
    folder = tmp_path_factory.mktemp("broken")
    if request.param != "no epoch":
        return write_broken(folder, WRONG[request.param])
    runs = write_broken(folder, np.nan)
    for run in runs:  # as a run that diverges in its first epoch may leave it
        np.savez(run.path / "gradients.npz", mean_absolute_gradient=[], layer=["a", "b"])
    return runs


@pytest.mark.parametrize("name", registry.names("figure"))
def test_every_figure_is_drawn_of_numbers_that_are_none(broken, name, tmp_path):
    options = {"x": "parameters"} if name == "against" else {}
    outputs = [tmp_path / "figure.pdf", tmp_path / "figure.txt"]
    draw(Figure("s", name, name, options=options, wide=True), broken, outputs)
    assert outputs[0].read_bytes().startswith(b"%PDF") and outputs[1].read_text().strip()


@pytest.mark.parametrize("name", registry.names("table"))
def test_every_table_is_made_of_numbers_that_are_none(broken, name, tmp_path):
    write_table(name, broken, tmp_path / "table.csv")
    assert len((tmp_path / "table.csv").read_text().splitlines()) > 1


@pytest.mark.parametrize("name", registry.names("metric"))
def test_every_metric_of_numbers_that_are_none_decides_nothing(broken, name):
    where = (
        {} if name.startswith(("mean_band", "median_proxy")) else {"learning_rate": 1e-3}
    )
    claim = {"left": {"metric": name, "where": where}, "is": "above", "right": 0.5}
    verdict = decide("c", claim | {"statement": "s", "source": "s"}, broken)
    if name != "parameters":
        assert not verdict.holds or np.isposinf(verdict.left).all()


@pytest.mark.parametrize("study", Experiment.from_file(ROOT / "config/config.yaml").studies)
def test_every_section_is_written_of_numbers_that_are_none(broken, study, tmp_path):
    experiment = Experiment.from_file(ROOT / "config" / "config.yaml", tmp_path)
    results = experiment.results
    stand_in(experiment.studies[study].runs, broken[0].path, results)
    write_tex(experiment, study)
    text = results.tex(study).read_text()
    assert not re.search(r"\b(nan|NaN|inf|None)\b", text), text
