"""From finished runs to exactly the files that a course asks for, checked and packed."""

import io
import re
import shutil
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from gradscape.base.errors import GradscapeError
from gradscape.base.files import atomic_write, say
from gradscape.base.paths import COURSES, HOME, PACKAGE, REPORT, TEMPLATES, Results
from gradscape.config.experiment import Experiment
from gradscape.pipeline import dependencies
from gradscape.report.latex import compile_pdf, working_folder
from gradscape.report.numbers import escape
from gradscape.runs.run import FinishedRun, finished_runs
from gradscape.spec import registry
from gradscape.spec.registry import declared, find
from gradscape.spec.study import Study

Files = dict[str, bytes]
MAX_BYTES = 100 * 10**6  # no brief names a limit; upload forms have one

# A split has its course's name; in another course's archive it has these.
SPLITS = {"edinburgh": "random_part", "fudan": "test_images"}
SPLITS |= {"alberta": "last_tenth", "sapienza": "last_fiftieth"}
TITLE = r"\b{}(?: (?:MLP coursework|project|AML exercise|CMPUT) \d+)?"


@dataclass(frozen=True)
class HandIn:
    """What a course's function packs: the student, as given, and the finished runs of the
    course's studies. `beside` is what it leaves beside the archive."""

    experiment: Experiment
    course: str
    student: str
    studies: list[Study]
    runs: list[FinishedRun]
    beside: Files = field(default_factory=dict)

    def report(self, author: str) -> bytes:
        """The course's own document as a PDF, with the author below its title.

        If there is none, the one of its only study, else the report on all
        studies. It is compiled again from its LaTeX. Raises `GradscapeError` if there is
        none of them.
        """
        results = self.experiment.results
        own = [study.name for study in self.studies if len(self.studies) == 1]
        for document in [self.course, *own, REPORT]:
            if results.tex(document).exists():
                return signed(results, document, author)
            if results.pdf(document).exists():
                say(
                    f"{results.pdf(document)}: packed without {author!r} below its title, "
                    "because its LaTeX is missing; `gradscape report` makes both"
                )
                return results.pdf(document).read_bytes()
        raise GradscapeError(
            f"{results.pdf(REPORT)}: missing; make it with `gradscape report`"
        )

    def own(self, *names: str) -> Files:
        """Those of the course's own files."""
        return {name: (COURSES / self.course / name).read_bytes() for name in names}

    def results(self, *names: str) -> Files:
        """Those files of every run, by `study/run/name`."""
        return {
            f"{run.record['study']}/{run.path.name}/{name}": self.alone(run.path / name)
            for run in self.runs
            for name in names
        }

    def package(self, *modules: str) -> Files:
        """gradscape itself, as far as these modules and the studies' networks, probes and
        figures need it."""
        starts = [PACKAGE / f"{name}.py" for name in modules]
        starts += (PACKAGE / "data").glob("*.py")
        for study in self.studies:
            used = {("model", run.settings.model) for run in study.runs}
            used |= {("probe", probe.measure) for probe in study.probes.values()}
            used |= {("figure", figure.draw) for figure in study.figures}
            starts += [
                registry.source(*one) for one in used if not registry.is_custom(one[1])
            ]
        needed = set(
            dependencies.closure(starts, lambda path: not path.is_relative_to(PACKAGE))
        )
        needed |= {path.with_name("__init__.py") for path in needed}
        return {
            f"gradscape/{path.relative_to(PACKAGE)}": self.alone(path)
            for path in sorted(needed)
        }

    def templates(self) -> Files:
        """What the report is written from, where the packed gradscape looks for it."""
        names = {study.section for study in self.studies} | {"study"}
        rooms = ("sections", "conclusions")
        chosen = [TEMPLATES / f"{room}/{name}.tex.j2" for room in rooms for name in names]
        chosen += [*TEMPLATES.glob("*.*"), *(TEMPLATES / "parts").glob("*.*")]
        for study in self.studies:
            given = self.experiment.config["studies"][study.name]
            chosen += [
                HOME / given[key] for key in ("claims", "literature") if key in given
            ]
        chosen.append(HOME / "workflow/schemas/config.schema.yaml")
        return {
            f"gradscape/share/{path.relative_to(HOME)}": self.alone(path)
            for path in sorted(chosen)
            if path.is_file()
        }

    def alone(self, path: Path) -> bytes:
        """A file, in whose text no other course is named."""
        content = path.read_bytes()
        if path.suffix in (".npz", ".pt"):
            return content
        text = content.decode()
        for name in SPLITS.keys() - {self.course}:
            text = re.sub(rf"\b{name}\b", SPLITS[name], text)
            text = re.sub(TITLE.format(name.capitalize()), "Another course", text)
        return text.encode()


def is_custom_file(path: Path) -> bool:
    return not path.is_relative_to(PACKAGE)


def signed(results: Results, document: str, author: str) -> bytes:
    """A document compiled with another author, without links to files it lies beside."""
    text = results.tex(document).read_text()
    line = rf"\author{{{escape(author)}}}"
    text, found = re.subn(r"(?m)^\\author\{.*\}$", lambda _: line, text, count=1)
    if not found:
        raise GradscapeError(f"{results.tex(document)}: has no line \\author{{…}}")
    text = re.sub(r"\\href\{(?:runs|tables)/[^{}]*\}", "", text)
    with working_folder() as temporary:
        copy = Results(Path(temporary))
        shutil.copytree(results.sources, copy.sources, symlinks=True)
        copy.tex(document).write_text(text)
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
    runs = [run for study in studies for run in finished_runs(study, experiment.results)]
    done = {run.path for run in runs}
    unfinished = [
        run
        for study in studies
        for run in study.runs
        if experiment.directory(run) not in done and not experiment.left_out(run)
    ]
    if unfinished:
        raise GradscapeError(
            f"{course}: {len(unfinished)} runs are not finished, the first is "
            f"{experiment.directory(unfinished[0])}; train them with `snakemake all`"
        )
    work = HandIn(experiment, course, student, studies, runs)
    content = find("course", course)(work)
    root, name = experiment.results.root, declared("course", course, "ARCHIVE")
    name = name.format(student)
    files = {name: packed(content)} if name.endswith(".zip") else below(name, content)
    if (size := sum(map(len, files.values()))) > MAX_BYTES:
        raise GradscapeError(f"{name}: has {size:,} bytes, above {MAX_BYTES:,}")
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
