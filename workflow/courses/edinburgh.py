"""Edinburgh MLP coursework 2 (2021/22 and 2024/25), section 8.2: one folder, zipped.

    sXXXXXXX/sXXXXXXX_report.pdf
             mlp/pytorch_experiment_scripts/    the code, recorded/ what its report.py reads
             mlp/results/<study>/<run>/         the course's CSVs, and nothing else

Beside the archive lie the answers for the student's own copy of the course's template.
"""

import json

import jinja2

from gradscape.base.paths import COURSES
from gradscape.cli.submission import Files, HandIn, below
from gradscape.report.template import MARKS
from gradscape.runs.run import FinishedRun, best_setting, results_table
from gradscape.spec.labels import model_label
from gradscape.spec.quantity import Quantity, rate

TITLE = "Why VGG38 does not train, and what makes it train"
STUDIES = ["degradation"]
YEARS = [2021, 2024]
STUDENT = r"s\d{7}"
EXAMPLE = "s1234567"
ARCHIVE = "{student}.zip"

PRIVATE = ["author", "data_dir", "weights"]  # of the configuration
FIGURES = ["flow-vgg38", "best", "flow-best"]


def edinburgh(work: HandIn) -> Files:
    """Report, code and the course's statistics below a folder named after the student."""
    config = {k: v for k, v in work.experiment.config.items() if k not in PRIVATE}
    config["studies"] = {s.name: config["studies"][s.name] for s in work.studies}
    year = config.get("courses", {}).get(work.course, {}).get("year", max(YEARS))
    course = {"year": year, "number": work.student, "name": work.name}
    config |= {"courses": {work.course: course}, "results": "recorded"}
    recorded = below("runs", work.results())
    recorded["config.json"] = (json.dumps(config) + "\n").encode()
    code = work.own() | work.package("claims/metrics") | work.templates()
    del code["answers.tex"]
    mlp = below("pytorch_experiment_scripts", code | below("recorded", recorded))
    for run in work.runs:
        folder = f"results/{run.record.study}/{run.path.name}/result_outputs"
        mlp |= below(folder, statistics(run))
    work.beside.update(below(f"{work.student}-template", answers(work)))
    report = {f"{work.student}_report.pdf": work.report()}
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
    """`mlp-cw2-questions.tex` for the template of each year, and the figures it shows."""
    text = (COURSES / "edinburgh" / "answers.tex").read_text("utf-8")
    page = jinja2.Template(text, **MARKS, undefined=NotMeasured)
    values = measured(work.runs) | {"student": work.student}
    texts = {
        f"mlp-cw2-questions-{year}.tex": page.render(values, year=year) for year in YEARS
    }
    pictures = [work.experiment.results.figure(STUDIES[0], name) for name in FIGURES]
    figures = {p.name: p.read_bytes() for p in pictures if p.exists()}
    return below("figures", figures) | {name: t.encode() for name, t in texts.items()}


class NotMeasured(jinja2.Undefined):
    def __str__(self) -> str:
        return "(not measured)"


def printed(values, style: str = "loss") -> str:
    return Quantity.of(values, style).latex()


def measured(runs: list[FinishedRun]) -> dict[str, str]:
    """The numbers that the answers quote, as LaTeX; means over the seeds."""
    rows, values = [], {}
    for (model, at), group in results_table(runs).groupby(["model", "learning_rate"]):
        cells = [model_label(model), rate(at).latex()]
        cells.append(printed(group["parameters"], "count"))
        for column in ("train_loss", "train_accuracy", "val_loss", "val_accuracy"):
            style = "accuracy" if column.endswith("accuracy") else "loss"
            cells.append(printed(group[column], style))
        rows.append(" & ".join(cells) + r" \\")
        if at == 1e-3:
            name = model.replace("-", "_")
            values[f"{name}_loss"] = printed(group["final_train_loss"])
            values[f"{name}_accuracy"] = printed(group["val_accuracy"], "accuracy")
    for model in ("vgg08", "vgg38"):
        group = [run for run in runs if (run.model, run.learning_rate) == (model, 1e-3)]
        for end, place in (("first", 0), ("last", -1)) if group else ():
            gradients = [run.gradients.iloc[0].iloc[place] for run in group]
            values[f"{model}_{end}"] = printed(gradients, "power")
    best = best_setting(runs)[0]
    at = rate(best.learning_rate).latex()
    values["best"] = f"{model_label(best.model)} at {at}"
    values["chance"] = f"{best.chance_loss:.2f}"
    return values | {"rows": "\n".join(rows)}
