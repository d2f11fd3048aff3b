"""LaTeX to PDF, and to an archive of its sources.

A results folder may come from somebody else, and a compilation may be stopped at any
moment. So LaTeX runs in a new folder, beside nothing but the files that the document
names: no `latexmkrc` is run, no `booktabs.sty` found, no torn `.aux` read that lies in
`report/`, and LaTeX reads and writes nothing outside TeX's own folders and that one.
"""

import gzip
import io
import os
import re
import resource
import shutil
import signal
import subprocess
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path

from gradscape.base.errors import GradscapeError
from gradscape.base.files import LITTLE, copy, plain_file, refuse_linked_results, write_file
from gradscape.base.paths import REPORT, Results

APT = "apt-get install --no-install-recommends latexmk texlive-latex-recommended "
APT += "texlive-fonts-recommended fonts-droid-fallback"
LATEXMK = ["latexmk", "-norc", "-pdf", "-no-shell-escape", "-interaction=nonstopmode"]
LATEXMK += ["-halt-on-error", "-file-line-error"]
# For equal sources equal bytes; files are read and written in this folder only.
ALWAYS = {"SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1"}
ALWAYS |= {"openin_any": "p", "openout_any": "p", "shell_escape": "f"}
ALWAYS |= {"max_print_line": "1000"}  # a warning is a line of the log
# Warnings that a reader would see in the PDF.
WRONG = re.compile(
    r"^(?:LaTeX Warning: (?:Reference|Citation|Float too large).*"
    r"|Package natbib Warning: Citation.*undefined.*|Missing character:.*"
    r"|Overfull \\hbox \((?P<points>[\d.]+)pt too wide\).*)$",
    re.MULTILINE,
)
MAX_SECONDS = 300  # of one document; the longest takes 3
TOO_WIDE = 2.0  # points that nobody sees
# Figures by their names in `report/`, which lead neither out of it nor to a hidden file.
PICTURE = re.compile(
    r"\\includegraphics(?:\[[^]{}]*\])?\{((?:[\w-][\w.-]*/)*[\w-][\w.-]*\.(?:pdf|png|jpg))\}"
)


def compile_pdf(results: Results, document: str = REPORT, strict: bool = True) -> None:
    """Compile `results/report/<document>.tex` to `results/<document>.pdf`. Also packs the
    sources, with the bibliography as LaTeX wants it, into
    `results/<document>-source.tar.gz`. Both appear whole or stay as they were. Raises
    `GradscapeError` without latexmk or room to work, and with LaTeX's first error or, if
    `strict`, warning of something that a reader would see."""
    if shutil.which("latexmk") is None:
        on_a_mac = "; on macOS MacTeX has it"
        raise GradscapeError(f"latexmk is missing, so there is no PDF; {APT}{on_a_mac}")
    refuse_linked(results)
    text = plain_file(results.tex(document)).read_text("utf-8")
    names = [f"{document}.tex", *sorted(set(PICTURE.findall(text)))]
    with working_folder() as temporary:
        folder = Path(temporary)
        for name in [*names, "references.bib"]:
            if (results.sources / name).exists():  # else LaTeX says which is missing
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(plain_file(results.sources / name), folder / name)
        run_latex(folder, results.tex(document), strict)
        copy(folder / f"{document}.pdf", results.pdf(document))
        if (folder / f"{document}.bbl").exists():
            names.insert(1, f"{document}.bbl")
        pack_sources(folder, names, results.archive(document))


def refuse_linked(results: Results) -> None:
    for folder in ("figures", "letters"):
        refuse_linked_results(results.sources / folder / "picture.pdf")


def working_folder() -> tempfile.TemporaryDirectory:
    try:
        return tempfile.TemporaryDirectory(prefix="gradscape-", ignore_cleanup_errors=True)
    except OSError as error:
        raise GradscapeError(
            f"LaTeX needs a folder for its files: {error.strerror}; set TMPDIR to one that "
            "can be written"
        ) from None


def latexmk(folder: Path, source: Path, *options: str) -> tuple[int, str]:
    """Have LaTeX run as often as it must: the exit status, and what is said."""
    process = subprocess.Popen(
        [*LATEXMK, *options, source.name],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # latexmk's own children are stopped with it
        # Also where this process is killed.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (MAX_SECONDS,) * 2),
    )
    try:
        said, _ = process.communicate(timeout=MAX_SECONDS)
    except subprocess.TimeoutExpired:
        raise GradscapeError(
            f"{source}: LaTeX did not end within {MAX_SECONDS} s; a macro may call itself"
        ) from None
    finally:
        with suppress(ProcessLookupError, PermissionError):  # the latter on macOS
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return process.returncode, said


def run_latex(folder: Path, source: Path, strict: bool) -> None:
    status, said = latexmk(folder, source)
    if status == 0:  # it overlooks what changes within a second, so: once more
        status, said = latexmk(folder, source, "-g")
    if status != 0:
        if shutil.disk_usage(folder).free < LITTLE:
            raise GradscapeError(
                f"{folder.parent}: no room for LaTeX's files; make some, or set TMPDIR"
            )
        lines = [line for line in said.splitlines() if line.strip()]
        wrong = [line for line in lines if re.search(r"\.tex:|^! | of file ", line)]
        first = [*wrong, *lines[-1:], f"exit status {status}"][0]
        raise GradscapeError(f"{source}: LaTeX stopped: {first}")
    log = (folder / source.with_suffix(".log").name).read_text("utf-8", "replace")
    for found in WRONG.finditer(log if strict else ""):
        if float(found["points"] or TOO_WIDE + 1) > TOO_WIDE:
            raise GradscapeError(f"{source}: LaTeX warns: {found[0]}")


def environment(folder: Path) -> dict[str, str]:
    """The user's, without other folders to look for inputs in; with one for the fonts that
    TeX makes, where the user's own cannot be written."""
    inherited = {key: value for key, value in os.environ.items() if "INPUTS" not in key}
    asked = ["kpsewhich", "-var-value=TEXMFVAR"]
    fonts = subprocess.run(asked, capture_output=True, encoding="utf-8").stdout.strip()
    try:
        Path(fonts).mkdir(parents=True, exist_ok=True)
        writable = os.access(fonts, os.W_OK)
    except OSError:
        writable = False
    own = {} if writable else {"TEXMFVAR": str(folder / "texmf-var")}
    return inherited | ALWAYS | own | {"TMPDIR": str(folder)}


def pack_sources(folder: Path, names: list[str], archive: Path) -> None:
    """A source archive as arXiv takes it; the same files give the same bytes."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for path in (folder / name for name in names if (folder / name).exists()):
            entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
            entry.size = path.stat().st_size
            with path.open("rb") as stream:
                tar.addfile(entry, stream)
    write_file(archive, gzip.compress(content.getvalue(), mtime=0))
