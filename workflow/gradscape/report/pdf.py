"""From LaTeX to the PDF, and to an archive of its sources."""

import gzip
import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from gradscape.errors import GradscapeError
from gradscape.files import whole
from gradscape.layout import REPORT, Results

APT = (
    "apt-get install --no-install-recommends latexmk texlive-latex-recommended "
    "texlive-fonts-recommended"
)


def compile_pdf(results: Results, document: str = REPORT) -> None:
    """Compile `results/report/<document>.tex` to `results/<document>.pdf`.

    Without shell escape. The same sources give the same bytes. Also packs the sources, with
    the finished bibliography, into `results/<document>-source.tar.gz`. Raises
    `GradscapeError` if latexmk is missing, or with LaTeX's first error.
    """
    if shutil.which("latexmk") is None:
        raise GradscapeError(f"latexmk is missing, so there is no PDF; {APT}")
    folder = results.sources
    command = ["latexmk", "-pdf", "-no-shell-escape", "-interaction=nonstopmode"]
    command += ["-halt-on-error", "-file-line-error", "-outdir=build", f"{document}.tex"]
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1"},
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode != 0:
        lines = done.stdout.splitlines() + done.stderr.splitlines()
        first = next((line for line in lines if ".tex:" in line), lines[-1])
        raise GradscapeError(f"{folder}/{document}.tex: LaTeX stopped: {first}")
    with whole(results.pdf(document)) as partial:
        shutil.copyfile(folder / "build" / f"{document}.pdf", partial)
    pack_sources(folder, document, results.archive(document))


def pack_sources(folder: Path, document: str, archive: Path) -> None:
    """A source archive as arXiv accepts it; the same files give the same bytes."""
    source = folder / f"{document}.tex"
    files = [source, *(folder / "build").glob(f"{document}.bbl")]
    text = source.read_text()
    pictures = sorted((folder / "figures").glob("*.pdf"))
    files += [picture for picture in pictures if picture.name in text]
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for file in files:
            name = file.name if file.parent.name == "build" else file.relative_to(folder)
            entry = tarfile.TarInfo(str(name))
            entry.size = file.stat().st_size
            with file.open("rb") as stream:
                tar.addfile(entry, stream)
    with whole(archive) as partial:
        partial.write_bytes(gzip.compress(content.getvalue(), mtime=0))
