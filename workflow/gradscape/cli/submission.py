"""From finished runs to exactly the files that a course asks for, checked and packed."""

import io
import re
import shutil
import zipfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from gradscape.base.errors import GradscapeError
from gradscape.base.files import atomic_write, say
from gradscape.base.paths import (
    COURSES,
    HOME,
    PACKAGE,
    PROBES,
    RECORD,
    SCHEMA,
    TEMPLATES,
    Results,
)
from gradscape.config.experiment import Experiment
from gradscape.pipeline import dependencies
from gradscape.report.escape import escape
from gradscape.report.latex import compile_pdf, working_folder
from gradscape.runs.run import FinishedRun, finished_runs
from gradscape.spec import registry
from gradscape.spec.registry import declared, find
from gradscape.spec.study import Study

Files = dict[str, bytes]


@dataclass(frozen=True)
class HandIn:
    """A course's material: the student, as given, and the studies of the course that the
    configuration has. `beside` is what its function leaves beside the archive."""

    experiment: Experiment
    course: str
    student: str
    studies: list[Study]
    beside: Files = field(default_factory=dict)

    @cached_property
    def finished(self) -> list[FinishedRun]:
        """The finished and sound runs of the studies."""
        results = self.experiment.results
        return [run for study in self.studies for run in finished_runs(study, results)]

    @property
    def runs(self) -> list[FinishedRun]:
        """All runs of the studies. Raises `GradscapeError` unless they are finished."""
        done = {run.path for run in self.finished}
        wanted = [run for study in self.studies for run in study.runs]
        missing = [
            folder
            for run in wanted
            if (folder := self.experiment.directory(run)) not in done
            and not self.experiment.left_out(run)
        ]
        if missing:
            raise GradscapeError(
                f"{self.course}: {len(missing)} runs are not finished, the first is "
                f"{missing[0]}; train them with `snakemake all`"
            )
        return self.finished

    def report(self, author: str) -> bytes:
        """The course's document as a PDF, with the author below its title.

        It is compiled again from its LaTeX. Raises `GradscapeError` if it is missing.
        """
        results = self.experiment.results
        if results.tex(self.course).exists():
            return signed(results, self.course, author)
        pdf = results.pdf(self.course)
        if not pdf.exists():
            raise GradscapeError(
                f"{pdf}: missing; `gradscape report` makes it, for a configuration that "
                f"names {self.course} under `courses`"
            )
        say(
            f"{pdf}: packed without {author!r} below its title, because its LaTeX is "
            "missing; `gradscape report` makes both"
        )
        return pdf.read_bytes()

    def own(self) -> Files:
        """The files in the course's folder."""
        files = sorted((COURSES / self.course).glob("[!._]*"))
        return {path.name: path.read_bytes() for path in files if path.is_file()}

    def results(self, *names: str) -> Files:
        """The named files of every run, by default all but its weights, keyed by
        `study/run/name`."""
        files = {}
        for run in self.runs:
            probes = run.path.glob(f"{PROBES}/[!.]*.csv")
            every = (*run.record.sha256, RECORD, *(f"{PROBES}/{p.name}" for p in probes))
            for name in sorted(names or every):
                path = f"{run.record.study}/{run.path.name}/{name}"
                files[path] = (run.path / name).read_bytes()
        return files

    def package(self, *found: str) -> Files:
        """gradscape itself, as far as the course's own files and the studies' networks,
        probes and figures need it; `found` are modules that are found by name alone."""
        own = (COURSES / self.course).glob("*.py")
        starts = [module for path in own for module in dependencies.imports(path)]
        starts += [PACKAGE / f"{name}.py" for name in found]
        starts += (PACKAGE / "data").glob("*.py")
        for study in self.studies:
            used = {("model", run.settings.model) for run in study.runs}
            used |= {("probe", probe.measure) for probe in study.probes.values()}
            used |= {("figure", figure.draw) for figure in study.figures}
            starts += [
                registry.source(*one) for one in used if not registry.is_custom(one[1])
            ]
        needed = set(dependencies.closure(starts, lambda path: False))
        needed |= {path.with_name("__init__.py") for path in needed}
        return {
            f"gradscape/{path.relative_to(PACKAGE)}": path.read_bytes()
            for path in sorted(needed)
        }

    def templates(self) -> Files:
        """The report's templates and claims, where the packed gradscape looks for them."""
        chosen = {*TEMPLATES.glob("*.*"), *TEMPLATES.glob("parts/*.*")}
        for study in self.studies:
            chosen |= {TEMPLATES / f"conclusions/{study.section}.tex.j2"}
            chosen |= {Path(file).absolute() for file in study.files}
        chosen |= {SCHEMA, registry.source("course", self.course)}
        return {
            f"gradscape/share/{path.relative_to(HOME)}": path.read_bytes()
            for path in sorted(chosen)
            if path.is_file() and path.is_relative_to(HOME)
        }


def signed(results: Results, document: str, author: str) -> bytes:
    """A document compiled with another author, without links to files it lies beside."""
    text = results.tex(document).read_text("utf-8")
    line = rf"\author{{{escape(author)}}}"
    text, found = re.subn(r"(?m)^\\author\{.*\}$", lambda _: line, text, count=1)
    if not found:
        raise GradscapeError(f"{results.tex(document)}: has no line \\author{{…}}")
    text = re.sub(r"\\href\{(?!\w+:)[^{}]*\}", "", text)
    with working_folder() as temporary:
        copy = Results(Path(temporary))
        shutil.copytree(results.sources, copy.sources, symlinks=True)
        copy.tex(document).write_text(text, "utf-8")
        compile_pdf(copy, document)
        return copy.pdf(document).read_bytes()


def write_submission(experiment: Experiment, course: str, student: str) -> Path:
    """Write what `course` wants handed in into the results folder and return its path.

    Raises `GradscapeError` for a student who cannot be one, and if a study of the course,
    one of its runs or the report is missing.
    """
    form, example = (declared("course", course, name) for name in ("STUDENT", "EXAMPLE"))
    if not re.fullmatch(form, student):
        raise GradscapeError(
            f"--student: {student[:60]!r} is not what {course} asks for, such as {example}"
        )
    names = declared("course", course, "STUDIES")
    needed = declared("course", course, "NEEDED", names)
    if missing := [name for name in needed if name not in experiment.studies]:
        raise GradscapeError(
            f"{course}: the configuration has no study {missing[0]!r}; take one that has, "
            "such as config/config.yaml"
        )
    studies = [experiment.studies[n] for n in names if n in experiment.studies]
    work = HandIn(experiment, course, student, studies)
    content = find("course", course)(work)
    root, name = experiment.results.root, declared("course", course, "ARCHIVE")
    name = name.format(student)
    files = {name: packed(content)} if name.endswith(".zip") else below(name, content)
    for path, data in (files | work.beside).items():
        with atomic_write(root / path) as partial:
            partial.write_bytes(data)
    return root / name


def packed(content: Files) -> bytes:
    """A zip archive; the same files give the same bytes."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path, data in content.items():
            zipped.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), data, 8)
    return archive.getvalue()


def below(folder: str, files: Files) -> Files:
    return {f"{folder}/{path}": data for path, data in files.items()}
