"""The files that a course asks for, from finished runs, checked and packed."""

import io
import json
import re
import shutil
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from gradscape.base import paths
from gradscape.base.errors import GradscapeError
from gradscape.base.files import write_file
from gradscape.base.paths import COURSES, PACKAGE, REPORT, Results
from gradscape.config.experiment import Experiment
from gradscape.pipeline import dependencies
from gradscape.report.escape import escape
from gradscape.report.latex import compile_pdf, working_folder
from gradscape.runs.run import FinishedRun, finished_runs
from gradscape.spec.registry import declared, find, is_custom, source
from gradscape.spec.study import Study

Files = dict[str, bytes]
UNPACKED = ("section", "claims", "literature")  # keys of a study that name other files
NAME = r'(?=.*[^\W\d_])[^"\\/\x00-\x1f\x7f]{1,60}'  # of a person; names a file too


@dataclass(frozen=True)
class HandIn:
    """A course's material: the student's number and name, and the course's studies that the
    configuration has, without those that it only quotes. `helped` is whom the student
    talked to, `beside` what the course's function leaves beside the archive."""

    experiment: Experiment
    course: str
    student: str
    name: str
    studies: list[Study]
    helped: str = ""
    beside: Files = field(default_factory=dict)

    @property
    def archive(self) -> str:
        """The name of what is handed in, which may hold the student's number and name."""
        form = declared("course", self.course, "ARCHIVE")
        return form.format(student=self.student, name=self.name.replace(" ", "_"))

    @cached_property
    def finished(self) -> list[FinishedRun]:
        """The finished and sound runs of the studies, and of those that are quoted."""
        results = self.experiment.results
        studies = self.studies + self.experiment.of_course(self.course, "CITED")
        return [run for study in studies for run in finished_runs(study, results)]

    @property
    def runs(self) -> list[FinishedRun]:
        """All runs of the studies, and what is finished of those that are quoted. Raises
        `GradscapeError` unless the former are finished."""
        experiment, done = self.experiment, {run.path for run in self.finished}
        wanted = [run for study in self.studies for run in study.runs]
        folders = [experiment.directory(r) for r in wanted if not experiment.left_out(r)]
        if missing := [folder for folder in folders if folder not in done]:
            made = experiment.snakemake(experiment.results.pdf(self.course))
            kept = experiment.results.config
            fewer = f"; or name {kept.parent} alone, with --results, for what ran there"
            raise GradscapeError(
                f"{self.course}: {len(missing)} runs are not finished, the first is "
                f"{missing[0]}; `{made}` trains them"
                f"{fewer if kept.exists() and experiment.file != kept else ''}"
            )
        return self.finished

    def report(self) -> Files:
        """The document, compiled again with the student on each page, and its sources."""
        results = self.experiment.results
        if results.tex(self.course).exists():
            return signed(results, self.course, f"{self.name}, {self.student}")
        raise GradscapeError(
            f"{results.tex(self.course)}: missing, so nothing can be signed; "
            f"`{self.experiment.gradscape('report')}` makes it, if the configuration "
            f"names {self.course} under `courses`"
        )

    def own(self) -> Files:
        files = sorted((COURSES / self.course).glob("[!._]*"))
        own = {path.name: path.read_bytes() for path in files if path.is_file()}
        return own | {"README.md": own["README.md"] + self.declaration}

    @property
    def declaration(self) -> bytes:
        """The end of every archive's README: what a student has to write and to declare."""
        return (COURSES / "declare.md").read_bytes()

    def results(self) -> Files:
        """The files of every run but its weights, keyed by `study/run/name`."""
        files = {}
        for run in self.runs:
            probes = run.path.glob(f"{paths.PROBES}/[!.]*.csv")
            probed = [f"{paths.PROBES}/{path.name}" for path in probes]
            for name in sorted([*run.record.sha256, paths.RECORD, *probed]):
                path = f"{run.record.study}/{run.path.name}/{name}"
                files[path] = (run.path / name).read_bytes()
        return files

    def package(self) -> Files:
        """gradscape itself, as far as the course's own files and the studies' networks,
        probes and figures need it."""
        own = (COURSES / self.course).glob("*.py")
        starts = [module for path in own for module in dependencies.imports(path)]
        starts += [*PACKAGE.glob("data/*.py"), PACKAGE / "claims" / "tables.py"]
        for study in self.studies:
            used = {("model", run.settings.model) for run in study.runs}
            used |= {("probe", probe.measure) for probe in study.probes.values()}
            used |= {("figure", figure.draw) for figure in study.figures}
            starts += [source(kind, name) for kind, name in used if not is_custom(name)]
        needed = set(dependencies.closure(starts, lambda path: False))
        needed |= {path.with_name("__init__.py") for path in needed}
        found = [paths.SCHEMA, paths.SECTIONS / "study.tex.j2"]  # by a configuration
        shared = read(found, paths.HOME, "gradscape/share")
        whole = {"gradscape/__init__.py": b""}  # or Python would take one that is installed
        return whole | read(needed, PACKAGE, "gradscape") | shared

    def config(self) -> bytes:
        """The configuration of what is packed: its runs, probes and figures."""
        given, content = self.experiment.config, {"title": "Runs", "results": "results"}
        content |= {key: given[key] for key in ("defaults", "max_seeds") if key in given}
        content["studies"] = {
            name: {k: v for k, v in given["studies"][name].items() if k not in UNPACKED}
            for name in dict.fromkeys(run.record.study for run in self.runs)
        }
        return f"{json.dumps(content)}\n".encode()

    def folder(self) -> Files:
        """The document, the course's files and what they need of gradscape, all results."""
        content = self.report() | self.own() | self.package()
        content |= below("results/runs", self.results())
        content["results/config.json"] = self.config()
        return below(Path(self.archive).stem, content)


def signed(results: Results, document: str, author: str) -> Files:
    """A document compiled with an author, below the title and at the foot of each page,
    without links to files it lies beside, and its source."""
    text = results.tex(document).read_text("utf-8")
    line = rf"\author{{{escape(author)}}}"
    line += rf"\fancyfoot[R]{{\footnotesize {escape(author)}\quad\thepage}}"
    text, found = re.subn(r"(?m)^\\author\{.*\}$", lambda _: line, text, count=1)
    if not found:
        raise GradscapeError(f"{results.tex(document)}: has no line \\author{{…}}")
    text = re.sub(r"\\href\{(?!\w+:)[^{}]*\}", "", text)
    with working_folder() as temporary:
        copy = Results(Path(temporary))
        shutil.copytree(results.sources, copy.sources, symlinks=True)
        copy.tex(REPORT).write_text(text, "utf-8")
        compile_pdf(copy)
        with tarfile.open(copy.archive(REPORT)) as archive:
            source = {entry.name: archive.extractfile(entry).read() for entry in archive}
        return {"report.pdf": copy.pdf(REPORT).read_bytes()} | below("source", source)


def write_submission(
    experiment: Experiment, course: str, student: str, name: str, helped: str = ""
) -> Path:
    """Write what `course` wants handed in into the results folder and return its path.
    Raises `GradscapeError` for a wrong number or name, and for whatever is missing."""
    form, example = (declared("course", course, key) for key in ("STUDENT", "EXAMPLE"))
    if not re.fullmatch(form, student):
        raise GradscapeError(
            f"--student: {student[:60]!r} is not what {course} asks for, such as {example}"
        )
    name = " ".join(name.split())
    if not re.fullmatch(NAME, name):
        raise GradscapeError(f"--name: {name[:60]!r} is no name, such as 'Ada Lovelace'")
    if helped and not declared("course", course, "HELP", ""):
        raise GradscapeError(f"--helped: {course} asks for no such comment")
    names = declared("course", course, "STUDIES")
    needed = declared("course", course, "NEEDED", names)
    if missing := [name for name in needed if name not in experiment.studies]:
        raise GradscapeError(
            f"{course}: the configuration has no study {missing[0]!r}; take one that has, "
            "such as config/config.yaml"
        )
    studies, helped = experiment.of_course(course), " ".join(helped.split())
    work = HandIn(experiment, course, student, name, studies, helped)
    content = find("course", course)(work)
    root, made = experiment.results.root, work.archive
    files = {made: packed(content)} if made.endswith(".zip") else below(made, content)
    for path, data in (files | work.beside).items():
        write_file(root / path, data)
    return root / made


def packed(content: Files) -> bytes:
    """A zip archive; the same files give the same bytes."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path, data in content.items():
            zipped.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), data, 8)
    return archive.getvalue()


def read(files: Iterable[Path], home: Path, folder: str) -> Files:
    """Files below `home`, as they shall lie in a folder."""
    inside = sorted(path for path in files if path.is_relative_to(home))
    return {f"{folder}/{p.relative_to(home)}": p.read_bytes() for p in inside}


def below(folder: str, files: Files) -> Files:
    return {f"{folder}/{path}": data for path, data in files.items()}
