"""Bad luck and bad will: torn files, hostile folders, numbers that are none.

Each ends in the wanted result or in one sentence, never in a traceback, a lost result or
a program that somebody else's folder chose. `tests/faults.py` does it at random.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import needs_tex
from gradscape.errors import GradscapeError
from gradscape.files import whole
from gradscape.layout import Results
from gradscape.report.pdf import compile_pdf

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
