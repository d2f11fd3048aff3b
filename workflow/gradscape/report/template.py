"""A document's LaTeX: the templates in `report/`, filled from the studies' views."""

import re
from functools import cache, partial

import jinja2

from gradscape.base.files import copy, write_file
from gradscape.base.paths import REPORT, TEMPLATES, locate
from gradscape.claims import inference
from gradscape.claims.sentences import AT_EDGE, NETWORKS_ONLY, NOT_TESTED, tally
from gradscape.claims.sides import TRAINS
from gradscape.config.experiment import Experiment
from gradscape.figures.fonts import draw_word
from gradscape.report import prose as words
from gradscape.report.colophon import colophon, revisions
from gradscape.report.escape import Tex, escape, listing
from gradscape.report.latex import refuse_linked
from gradscape.report.rows import coordinates
from gradscape.report.view import StudyView, nothing_to_report, view_studies
from gradscape.spec.labels import in_words, model_label

# Marks of blocks, values and comments in a template, which are no LaTeX.
MARKS = {"block_start_string": "((*", "block_end_string": "*))"}
MARKS |= {"variable_start_string": "((=", "variable_end_string": "=))"}
MARKS |= {"comment_start_string": "((#", "comment_end_string": "#))"}
MARKS |= {"trim_blocks": True, "keep_trailing_newline": True}

# A word in letters that LaTeX lacks, as `letters.escape` writes it.
DRAWN = re.compile(r"\{letters/((?:[0-9A-F]{4,5}-?)+)\.pdf\}")

# Two figures in a row that are as wide as a column.
SIDE_BY_SIDE = re.compile(r"^\\columnwide(.*)\s+\\columnwide(.*)$", re.MULTILINE)

# Figures and tables that a sentence points to, in parentheses.
POINTED = re.compile(r"(?: \(|; )((?:(?:Figure|Table)~\\ref\{[^}]*\}(?:, )?)+)\)")


def without_absent(text: str) -> str:
    """Claims' sentences without pointers to what other documents show."""

    def kept(match: re.Match) -> str:
        labels = re.findall(r"\\ref(\{[^}]*\})", match[1])
        if all(f"\\label{label}" in text for label in labels):
            return match[0]
        return ")" * match[0].startswith(";")

    def shown(match: re.Match) -> str:
        is_there = f"\\label{match[2]}" in text
        return match[0] if is_there else f"a {match[1].lower()} that is not shown here"

    return re.sub(r"(Figure|Table)~\\ref(\{[^}]*\})", shown, POINTED.sub(kept, text))


def question(document: str, course: dict, **numbers: str | dict[int, str]) -> str:
    """` (Question 2)` in the document of a course that asks what follows, or ` (Question 2,
    2021)` where only another year does. `numbers` has a course's question, or its question
    by year."""
    number = numbers.get(document)
    if isinstance(number, dict):
        year, other = course.get("year", max(number)), max(number)
        number = number.get(year, f"{number[other]}, {other}")
    return f" (Question {number})" if number else ""


def own_section(template: str) -> tuple | None:
    """The user's own template, by its path; read anew each time."""
    path = locate(template)
    return (path.read_text("utf-8"), str(path), lambda: False) if path.is_file() else None


METHOD = {
    "confidence": f"{100 * (1 - inference.LEVEL):.0f}",
    "level": f"{100 * inference.LEVEL:.0f}",
    "unequal": f"{100 * inference.UNEQUAL:.0f}",
    "batches": in_words(inference.BATCHES),
    "chance": f"{TRAINS:g}",
    "correlated": f"{inference.MAX_CORRELATION:g}",
    "networks_sign": Tex(NETWORKS_ONLY),
    "seen_sign": Tex(NOT_TESTED),
    "edge_sign": Tex(AT_EDGE),
}


def unnamed(environment: jinja2.Environment, view: StudyView) -> list[str]:
    """The claims with a sentence that neither the section nor the conclusion names."""
    templates = filter(None, (view.template, view.conclusion))
    sources = [environment.loader.get_source(environment, name)[0] for name in templates]
    named = re.findall(r"""["']([\w-]+)["']""", "".join(sources))
    claims = view.study.claims.items()
    return [name for name, claim in claims if "holds" in claim and name not in named]


@cache
def templates() -> jinja2.Environment:
    """Where templates are found and how they are written; each is compiled once."""
    loaders = [jinja2.FileSystemLoader(TEMPLATES), jinja2.FunctionLoader(own_section)]
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        **MARKS,
        undefined=jinja2.StrictUndefined,
        finalize=escape,
        lstrip_blocks=True,
    )
    made.filters["tex"] = lambda text: Tex(text.strip())  # of a template itself
    made.filters["model_label"] = model_label
    return made


def write_tex(
    experiment: Experiment,
    document: str = REPORT,
    views: dict[str, StudyView] | None = None,
) -> None:
    """Render the template into a document's `.tex`, and put what it needs beside it.
    `views`: of all studies, where they were made for another document."""
    results, environment = experiment.results, templates()
    refuse_linked(results)
    views = views or view_studies(experiment, document)
    studies = {study.name: views[study.name] for study in experiment.documents(document)}
    runs = [run for view in studies.values() for run in view.finished]
    if not runs:
        raise nothing_to_report(experiment, document)
    of_course = document if document in experiment.courses else ""
    quoted = experiment.of_course(document, "CITED") if of_course else []
    cited = {study.name: studies.pop(study.name) for study in quoted}
    course = experiment.courses.get(document, {})
    names = [course.get("name") or experiment.author, course.get("number")]
    text = environment.get_template("main.tex.j2").render(
        title=experiment.title_of(document),
        whole=document == REPORT,
        of_course=of_course,
        cited={name: view for name, view in cited.items() if view.measured},
        author=", ".join(filter(None, names)),
        question=partial(question, document, course),
        date=experiment.date,
        studies=studies,
        sections={view.study.section: view for view in studies.values()},
        runs=runs,
        words=words,
        method=METHOD,
        properties=partial(coordinates, [v.study for v in studies.values()], results),
        tally=tally(v for view in studies.values() for v in view.claims.values()),
        tallies={n: tally(v.claims.values()) for n, v in studies.items()},
        tally_of=lambda names: tally(v for n in names for v in studies[n].claims.values()),
        left_out=[n for view in studies.values() for n in view.left_out],
        exchanged=[
            t for view in (*studies.values(), *cited.values()) for t in view.exchanged
        ],
        unnamed=partial(unnamed, environment),
        missing=sum(view.missing for view in studies.values()),
        absent=listing([v.title for v in studies.values() if not v.finished]),
        damaged=listing([name for view in studies.values() for name in view.damaged]),
        generated=any(run.synthetic for run in runs),
        revisions=list(revisions(runs)),
        colophon=colophon(runs),
        published=any(view.rows.comparisons for view in studies.values()),
        dirty=any(run.record.revision.dirty for run in runs),
    )
    text = without_absent(text)
    text = SIDE_BY_SIDE.sub(r"\\columnpair\1\2", text)
    for word in sorted(set(DRAWN.findall(text))):
        letters = "".join(chr(int(code, 16)) for code in word.split("-"))
        draw_word(letters, results.sources / "letters" / f"{word}.pdf")
    write_file(results.tex(document), text)
    copy(TEMPLATES / "references.bib", results.sources / "references.bib")
