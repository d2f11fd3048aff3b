"""Edinburgh MLP coursework 2 (2021/22 and 2024/25), section 8.2: one folder, zipped.

    sXXXXXXX/sXXXXXXX_report.pdf
             mlp/pytorch_experiment_scripts/    what replaces the framework's files
             mlp/results/<study>/<run>/         the course's CSVs, and nothing else

Beside the archive lie the report's LaTeX, which the course does not want, and the answers
for the student's own copy of its template. If that copy is there too, in the same folder,
the report is compiled from it.
"""

import re
from pathlib import Path

from gradscape.base.files import copy, write_file
from gradscape.base.paths import TEMPLATES
from gradscape.cli.submission import Files, HandIn, below
from gradscape.report.latex import run_latex, working_folder
from gradscape.runs.run import FinishedRun

TITLE = "Why VGG38 does not train, and what makes it train"
STUDIES = ["degradation"]
CITED = ["theory", "shortcuts", "depth", "initialisation"]  # for question 4
YEARS = [2021, 2024]
STUDENT = r"s\d{7}"
EXAMPLE = "s1234567"
ARCHIVE = "{student}.zip"

MAIN, REFERENCES = "mlp-cw2-template.tex", "references.bib"
NOTE = "% references.bib has what the template's refs.bib lacks: append it."
KEPT = {".tex", ".sty", ".cls", ".bst", ".bib", ".pdf", ".png"}  # of its folder
# The template's questions, by the headings of the report that answer them.
FOUR = ["Experiments", "What training changes", "Discussion", "The best model"]
FOUR += ["Why such different starts train", "To improve", "To learn"]
FIVE = ["What is known, and what is not", "Further work"]
ANSWERS = {"One": ["The problem"], "Two": [], "Three": [], "Four": FOUR, "Five": FIVE}
OF_YEAR = {
    2021: {"Two": ["Batch normalisation"], "Three": ["Residual connections"]},
    2024: {"Two": ["Capacity or optimisation?"], "Three": ["Through the reduction blocks"]},
}
FIGURES = {"Three": "flow-vgg38", "Four": "best", "Five": "flow-best"}
# The template's bibliography has some of the report's references, by other names.
NAMED = {"he2016": "he2016deep", "ioffe2015": "ioffe2015batch"}
NAMED |= {"glorot2010": "glorot2010understanding", "santurkar2018": "santurkar2018does"}
NAMED |= {"krizhevsky2009": "krizhevsky2009learning", "li2018": "li2017visualizing"}
CITED_AS = re.compile(r"(\\cite\w*)\{([\w,]+)\}")

HEADING = re.compile(r"\\(section|paragraph)\{([^{}]*)\}")
QUESTION = re.compile(r"(?: \(Question [^)]*\))?\.?$")
TABLE = r"\\pagewide\{table\}\{(.*?\\label\{tab:degradation\})\}"
FLOAT = rf"(?s:{TABLE})|\\(?:pagefigure|columnpair|columnwide).*"
CAPTION = re.compile(r"\\caption\{(.*?)\}\\label\{fig:degradation-([\w-]+)\}")


def edinburgh(work: HandIn) -> Files:
    """Report, code and the course's statistics below a folder named after the student."""
    template = work.experiment.results.root / f"{work.student}-template"
    runs, document = work.runs, work.report()
    written = answers(work)
    work.beside.update(below(template.name, written))
    if (template / MAIN).exists():
        year = work.experiment.courses.get(work.course, {}).get("year", max(YEARS))
        document = from_template(template, written, year)
    report = {f"{work.student}_report.pdf": document.pop("report.pdf")}
    for name, data in document.items():
        work.beside[name.replace("source", f"{work.student}-report", 1)] = data
    mlp = below("pytorch_experiment_scripts", work.own())
    for run in runs:
        folder = f"results/{run.record.study}/{run.path.name}/result_outputs"
        mlp |= below(folder, statistics(run))
    return below(work.student, report | below("mlp", mlp))


def statistics(run: FinishedRun) -> Files:
    """`summary.csv`, a row an epoch, and `test_summary.csv`, with the course's own columns;
    accuracies as fractions."""
    columns = ["train_accuracy", "train_loss", "val_accuracy", "val_loss"]
    tables = {"summary.csv": run.metrics[columns]}
    tables["test_summary.csv"] = run.tests[["test_accuracy", "test_loss"]].head(1)
    files = {name: table.to_csv(index=False) for name, table in tables.items()}
    return {name: text.replace("accuracy", "acc").encode() for name, text in files.items()}


def answers(work: HandIn) -> Files:
    """`mlp-cw2-questions-<year>.tex` for the template of each year, with the report's own
    text; the figures that it shows, and the report's references."""
    sources = work.experiment.results.sources
    text = (sources / f"{work.course}.tex").read_text("utf-8")
    text = re.sub(r"\\href\{[^{}]*\}", "", text)
    captions = {name: caption for caption, name in CAPTION.findall(text)}
    parts, table = by_heading(text), re.search(TABLE, text, re.DOTALL)
    shown = {
        number: command(f"Figure{number}", figure(name, captions))
        for number, name in FIGURES.items()
    }
    rows = table[1].replace(r"\fit{", r"\resizebox{\linewidth}{!}{") if table else ""
    shown["table"] = command("TableOne", f"\\begin{{table*}}[t]\n{rows}\n\\end{{table*}}")
    others = [name for name in captions if name not in FIGURES.values()]
    paths = [sources / f"figures/degradation-{name}.pdf" for name in captions]
    files = below("figures", {path.name: path.read_bytes() for path in paths})
    files[REFERENCES] = (TEMPLATES / REFERENCES).read_bytes()
    for year in YEARS:
        asked = []
        for number, headings in (ANSWERS | OF_YEAR[year]).items():
            told = [parts[heading] for heading in headings if heading in parts]
            if number == "Four":  # with the figures that the template has no place for
                told += [figure(name, captions, "figure*") for name in others]
            answer = "\n\n".join(told)
            asked.append(command(number, rf"\youranswer{{{answer}}}"))
        student = rf"\def\studentNumber{{{work.student}}}"
        written = "\n\n".join([NOTE, student, *asked, *shown.values(), ""])
        files[f"mlp-cw2-questions-{year}.tex"] = CITED_AS.sub(renamed, written).encode()
    return files


def by_heading(text: str) -> dict[str, str]:
    """The text of a document below each heading, without its floats; paragraphs with it."""
    body = text.partition(r"\begin{multicols}{2}")[2].partition(r"\setlength{\bibsep}")[0]
    pieces = HEADING.split(re.sub(FLOAT, "", body))
    told = {}
    for kind, heading, text in zip(*(pieces[n::3] for n in (1, 2, 3)), strict=True):
        name = QUESTION.sub("", heading)
        begun = rf"\emph{{{name}.}} " if kind == "paragraph" else ""
        told[name] = begun + text.strip()
    return told


def renamed(citation: re.Match) -> str:
    keys = [NAMED.get(key, key) for key in citation[2].split(",")]
    return f"{citation[1]}{{{','.join(keys)}}}"


def command(name: str, text: str) -> str:
    return rf"\newcommand{{\question{name}}}{{{text}}}"


def figure(name: str, captions: dict[str, str], kind: str = "figure") -> str:
    if name not in captions:
        return ""
    picture = rf"\includegraphics[width=\linewidth]{{figures/degradation-{name}.pdf}}"
    label = rf"\caption{{{captions[name]}}}\label{{fig:degradation-{name}}}"
    label += r"\label{fig:grad_flow_38}" if name == "flow-vgg38" else ""  # the template's
    return f"\\begin{{{kind}}}[t]\n{picture}\n{label}\n\\end{{{kind}}}"


def from_template(template: Path, written: Files, year: int) -> Files:
    """The report compiled from the student's copy of the course's template."""
    with working_folder() as temporary:
        folder = Path(temporary)
        for path in (p for p in template.rglob("*") if p.suffix in KEPT):
            own = path.name if path.suffix == ".sty" else path.relative_to(template)
            copy(path, folder / own)
        for name, data in written.items():
            write_file(folder / name, data)
        (folder / f"mlp-cw2-questions-{year}.tex").rename(folder / "mlp-cw2-questions.tex")
        with (folder / "refs.bib").open("ab") as references:
            references.write(written[REFERENCES])
        (folder / MAIN).rename(folder / "report.tex")
        kept = [path for path in folder.rglob("*") if path.is_file()]
        run_latex(folder, Path("report.tex"), strict=False)
        files = {str(path.relative_to(folder)): path.read_bytes() for path in kept}
        return {"report.pdf": (folder / "report.pdf").read_bytes()} | below("source", files)
