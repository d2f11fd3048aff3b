"""One study as the templates see it: its numbers, tables and figures as LaTeX."""

import math
from functools import cached_property

import pandas as pd

from gradscape.errors import GradscapeError
from gradscape.files import copy, regular
from gradscape.layout import Results
from gradscape.letters import Tex
from gradscape.report import tex
from gradscape.report.published import Comparison, compare, read_published
from gradscape.report.verdicts import Verdict, decide_all
from gradscape.results.runs import (
    FinishedRun,
    best_setting,
    by_setting,
    dataset_label,
    finished_runs,
    mean_accuracy,
    setting_label,
    variant_label,
)
from gradscape.results.tables import results_table, smoothness_table
from gradscape.study import Figure, Study, matches, varied_label

MOST_ROWS = 40  # of a table in the PDF; its CSV has all
DASH = "--"
ACCURACIES = ("train_accuracy", "val_accuracy", "test_accuracy")

# A table is a list of rows, a row a list of cells, which report/parts/tables.tex.j2
# typesets. A cell that is not Tex is escaped there; a row of one cell spans columns.
Row = list[str]


class StudyView:
    """One study as its section's template sees it. All texts are returned as LaTeX."""

    def __init__(self, study: Study, results: Results):
        self.study = study
        self.results = results
        self.name = study.name
        self.title = study.title
        self.finished = finished_runs(study, results)
        done = {run.path.name for run in self.finished}
        unfinished = [run for run in study.runs if run.name not in done]
        self.damaged = [
            run.id for run in unfinished if results.record(study.name, run.name).exists()
        ]
        self.without_weights = [run for run in unfinished if run.settings.pretrained]
        self.missing = len(unfinished) - len(self.without_weights)

    @property
    def template(self) -> str:
        """The section's template: one of gradscape's by name, or the user's by its path."""
        section = self.study.section
        return section if section.endswith(".j2") else f"sections/{section}.tex.j2"

    @cached_property
    def claims(self) -> dict[str, Verdict]:
        return decide_all(self.study.claims, self.finished)

    def claim(self, name: str) -> Verdict:
        if name not in self.claims:
            raise GradscapeError(
                f"section {self.study.section}: mentions the claim {name!r}, which the "
                f"study {self.name} does not make"
            )
        return self.claims[name]

    def holds(self, claim: str) -> bool:
        return self.claim(claim).holds

    def fails(self, claim: str) -> bool:
        return self.claim(claim).fails

    def side(self, claim: str, side: str) -> Tex:
        """The `left` or `right` number of a claim's comparison."""
        verdict = self.claim(claim)
        return tex.number(getattr(verdict, side), verdict.style)

    def setting(self, key: str, **where) -> Tex:
        """What the runs that match set `key` to: one value, or a list of them."""
        runs = [run for run in self.study.runs if matches(run.traits, where)]
        values = dict.fromkeys(getattr(run.settings, key) for run in runs)
        if key == "learning_rate":
            rates = [tex.learning_rate(value) for value in sorted(values)]
            return tex.listing(rates)
        return tex.listing([str(value) for value in values])

    def recorded(self, *keys: str) -> Tex:
        """What the finished runs recorded under `keys`, each value once."""
        values: dict[str, None] = {}
        for run in self.finished:
            value = run.record
            for key in keys:
                if not isinstance(value, dict) or key not in value:
                    raise GradscapeError(
                        f"section {self.study.section}: {run.path.name} has not recorded "
                        f"{'.'.join(keys)}"
                    )
                value = value[key]
            printed = f"{value:,}" if isinstance(value, int) else str(value)
            values[dataset_label(printed)] = None
        return tex.listing(list(values))

    def value(self, metric: str, style: str = "", **where) -> Tex:
        """A column of the results table: mean ± deviation over the matching runs."""
        runs = [run for run in self.finished if matches(run.traits, where)]
        return self._value(runs, metric, style) if runs else Tex("(not measured)")

    def _value(self, runs: list[FinishedRun], metric: str, style: str) -> Tex:
        table = results_table(runs)
        style = style or style_of(metric)
        text = tex.number(table[metric], style)
        if style == "accuracy":
            text = Tex(text.replace(r" $\pm$ ", r"\,\% $\pm$ ") + r"\,\%")
        return self.link(runs, text)

    def gradient(self, end: str, **where) -> Tex:
        """The average gradient of the `first` or `last` layer after the first epoch."""
        runs = [run for run in self.finished if matches(run.traits, where)]
        if not runs:
            return Tex("(not measured)")
        place = 0 if end == "first" else -1
        values = [run.gradients.iloc[0].iloc[place] for run in runs]
        return self.link(runs, tex.number(values, "power"))

    def link(self, runs: list[FinishedRun], text: Tex) -> Tex:
        """A text that links to the run's metrics, or with several runs to the table."""
        target = f"tables/{self.name}/results.csv"
        if len(runs) == 1:
            target = f"runs/{self.name}/{runs[0].path.name}/metrics.csv"
        return Tex(rf"\href{{{tex.escape(target)}}}{{{text}}}")

    @property
    def best(self) -> str:
        """The label of the best model, for a sentence."""
        run = best_setting(self.finished)[0]
        name = setting_label(run.model, run.variant)
        rate = tex.learning_rate(run.learning_rate)
        return Tex(rf"{tex.escape(name)} (learning rate {rate})")

    def best_value(self, metric: str) -> Tex:
        return self._value(best_setting(self.finished), metric, "")

    def figure(self, name: str) -> Tex:
        """A figure with its caption, or a sentence if none of its runs is finished."""
        spec = next((f for f in self.study.figures if f.name == name), None)
        if spec is None:
            return Tex("")
        return self._figure(spec)

    def _figure(self, spec: Figure) -> Tex:
        source = self.results.figure(self.name, spec.name)
        if not source.exists():
            return Tex(rf"\par\emph{{Figure {tex.escape(spec.name)}: not measured.}}\par")
        copied = f"figures/{self.name}-{spec.name}.pdf"
        copy(regular(source), self.results.sources / copied)
        facts = regular(source.with_suffix(".txt")).read_text().strip()
        caption = tex.escape(" ".join(f"{spec.caption} {facts}".split()))
        picture = rf"\includegraphics[width=\linewidth]{{{copied}}}"
        words = rf"\caption{{{caption}}}\label{{fig:{self.name}-{spec.name}}}"
        if spec.wide:
            return Tex(rf"\pagewide{{figure}}{{{picture}{words}}}")
        return Tex(rf"\columnwide{{{picture}}}{{{words}}}")

    def reference(self, name: str) -> Tex:
        return Tex(rf"Figure~\ref{{fig:{self.name}-{name}}}")

    def all_figures(self) -> Tex:
        return Tex("\n".join(self._figure(spec) for spec in self.study.figures))

    @cached_property
    def published(self) -> pd.DataFrame | None:
        path = self.study.published
        return read_published(path) if path else None

    def results_rows(self, beside: bool = True, beside_test: bool = False) -> list[Row]:
        """Model, rate, size, then losses and accuracies, published numbers beside them."""
        beside = beside and self.published is not None
        planned = dict.fromkeys(
            (run.settings.model, run.settings.learning_rate, varied_label(run.varied))
            for run in self.study.runs
        )
        groups = by_setting(self.finished)
        order = list(dict.fromkeys((model, varied) for model, _, varied in planned))
        shown = sorted(planned, key=lambda setting: (order.index(setting[::2]), setting[1]))
        if len(shown) > MOST_ROWS:
            shown = sorted(groups, key=lambda s: -mean_accuracy(groups[s]))[:MOST_ROWS]
        rows = []
        for model, rate, varied in shown:
            runs = groups.get((model, rate, varied), [])
            table = results_table(runs)
            name = setting_label(model, varied)
            size = f"{table['parameters'].iloc[0]:,}" if runs else DASH
            row = [name, tex.learning_rate(rate), size]
            for metric in ("train_loss", "train_accuracy", "val_loss", "val_accuracy"):
                ours = tex.number(table[metric], style_of(metric)) if runs else DASH
                row.append(self.link(runs, ours) if runs else DASH)
                if beside:
                    row.append(self._published_cell(model, rate, metric))
            row.append(tex.number(table["test_accuracy"], "accuracy") if runs else DASH)
            if beside and beside_test:
                row.append(self._published_cell(model, rate, "test_accuracy"))
            rows.append(row)
        if len(planned) > len(shown):
            rest = f"The best {len(shown)} of {len(planned)} settings"
            rows.append(self._cut(rest, "results"))
        return rows

    def _cut(self, what: str, table: str) -> Row:
        """The last row of a table that is too long for a page: where to find all of it."""
        target = tex.escape(f"tables/{self.name}/{table}.csv")
        return [Tex(rf"{what}; all: \href{{{target}}}{{{target}}}")]

    def _published_cell(self, model: str, rate: float, metric: str) -> str:
        table = self.published
        if "learning_rate" not in table:
            return DASH
        row = table[(table.model == model) & (table.learning_rate == rate)]
        if row.empty or metric not in row:
            return DASH
        factor = 100 if style_of(metric) == "accuracy" else 1
        return Tex(rf"\emph{{{factor * row[metric].iloc[0]:.2f}}}")

    @property
    def comparisons(self) -> list[Comparison]:
        table = self.published
        return [] if table is None else list(compare(table, self.finished))

    @cached_property
    def published_rows(self) -> list[Row]:
        """A published accuracy, ours, the difference, and its reasons."""
        return [
            [
                pair.network,
                tex.learning_rate(pair.learning_rate),
                pair.schedule.replace("_", " "),
                pair.metric,
                Tex(rf"\emph{{{100 * pair.published:.2f}}}"),
                self.link(pair.runs, tex.number(pair.ours, "accuracy")),
                Tex(f"${100 * (sum(pair.ours) / len(pair.ours) - pair.published):+.1f}$"),
                "; ".join([pair.source, *pair.differs]),
            ]
            for pair in self.comparisons
        ]

    def cost_rows(self, **where) -> list[Row]:
        """Model and variant, size, cost, and accuracy in training, validation and test."""
        rows = []
        for name, runs in self._settings(where):
            if not runs:
                rows.append([name, *[DASH] * 6])
                continue
            table = results_table(runs)
            flops = table["flops"].iloc[0]
            row = [name, f"{table['parameters'].iloc[0]:,}"]
            row.append(DASH if pd.isna(flops) else f"{flops / 1e6:,.0f}")
            row.append(f"{table['seconds_training'].mean():,.0f}")
            for metric in ACCURACIES:
                row.append(self.link(runs, tex.number(table[metric], "accuracy")))
            rows.append(row)
        return rows

    def stopping_rows(self, **where) -> list[Row]:
        """Model and variant: accuracies of the best epoch and of the last."""
        rows = []
        for name, runs in self._settings(where):
            if not runs:
                continue
            table = results_table(runs)
            row = [name, tex.listing([str(epoch) for epoch in table["best_epoch"]])]
            row.append(str(table["epochs"].max()))
            for metric in ACCURACIES:
                row.append(tex.number(table[metric], "accuracy"))
                row.append(tex.number(table[f"final_{metric}"], "accuracy"))
            rows.append(row)
        return rows

    def _settings(self, where: dict) -> list[tuple[str, list[FinishedRun]]]:
        """The planned settings that match: each with its name and its finished runs."""
        planned = [run for run in self.study.runs if matches(run.traits, where)]
        groups = by_setting(self.finished)
        models = {run.settings.model for run in self.study.runs}
        found = {}
        for run in planned:
            settings, varied = run.settings, varied_label(run.varied)
            name = variant_label(settings.model, varied, models)
            found[name] = groups.get((settings.model, settings.learning_rate, varied), [])
        return list(found.items())

    def smoothness_rows(self, *models: str) -> list[Row]:
        """Kind, measure and rate; for each model the mean in the first epoch, the later
        epochs and the last, then median and 5th and 95th percentile of the later ones."""
        table = smoothness_table(self.finished)
        if table.empty:
            return []
        keys = ["kind", "measure", "learning_rate"]
        rows = []
        for (kind, measure, rate), group in table.groupby(keys, dropna=False, sort=False):
            row = [kind, measure]
            row.append("all" if math.isnan(rate) else tex.learning_rate(rate))
            for model in models:
                parts = group[group.model == model].groupby("part")
                values = parts[["mean", "p5", "p50", "p95"]].mean()
                for part in ("first epoch", "later epochs", "last epoch"):
                    row.append(self._digits(values, part, "mean"))
                low, middle, high = (
                    self._digits(values, "later epochs", p) for p in ("p5", "p50", "p95")
                )
                row.append(Tex(f"{middle} ({low}--{high})"))
            rows.append(row)
        if len(rows) > MOST_ROWS:
            rest = f"The first {MOST_ROWS} of {len(rows)} rows"
            return [*rows[:MOST_ROWS], self._cut(rest, "smoothness")]
        return rows

    @staticmethod
    def _digits(values: pd.DataFrame, part: str, column: str) -> str:
        if part not in values.index or math.isnan(values.loc[part, column]):
            return DASH
        return tex.number([values.loc[part, column]], "significant")

    def claim_rows(self) -> list[Row]:
        """Statement and source, both sides, the verdict."""
        rows = []
        for claim in self.claims.values():
            source = rf"\emph{{{tex.escape(claim.source)}}}"
            row = [Tex(f"{tex.escape(claim.statement)} {source}")]
            for side in (claim.left, claim.right):
                row.append(tex.number(side, claim.style) if side else DASH)
            rows.append([*row, claim.verdict])
        return rows


def style_of(metric: str) -> str:
    return "accuracy" if metric.endswith("accuracy") else "loss"
