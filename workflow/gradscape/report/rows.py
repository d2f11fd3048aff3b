"""The tables of a study's section, as lists of cells.

A table is a list of rows, a row a list of cells, which report/parts/tables.tex.j2
typesets. A cell that is not Tex is escaped there; a row of one cell spans columns.
"""

import math
import re
from collections.abc import Iterable
from functools import cached_property
from statistics import mean

import pandas as pd

from gradscape.base.errors import GradscapeError
from gradscape.base.paths import Results, locate
from gradscape.claims.coordinates import COORDINATES, judged
from gradscape.claims.files import Decided
from gradscape.claims.verdicts import UNMEASURED, Verdict
from gradscape.report.escape import Tex, escape, listing
from gradscape.report.literature import compare, published_rows
from gradscape.report.prose import link, style_of
from gradscape.runs.record import reading
from gradscape.runs.run import FinishedRun, by_setting, mean_accuracy, scores
from gradscape.spec.labels import setting_label, variant_label
from gradscape.spec.quantity import LATEX, Quantity, write
from gradscape.spec.quantity import rate as printed_rate
from gradscape.spec.sentences import papers
from gradscape.spec.study import VARIANT, Run, Study, matches, varied_label

# A page of claims: its lines, the letters of a line, and the space between two claims.
LINES, LETTERS, NARROW, GAP = 58, 44, 18, 0.5
MAX_ROWS = 40  # of a table in the PDF; its CSV has all
DASH = "--"
ACCURACIES = ("train_accuracy", "val_accuracy", "test_accuracy")
MEASURED = ("train_loss", "train_accuracy", "val_loss", *ACCURACIES[1:])

Row = list[str]


class Rows:
    """The rows of each table, from one study's finished runs."""

    def __init__(
        self, study: Study, finished: list[FinishedRun], decided: Decided, results: Results
    ):
        self.study, self.finished, self.name = study, finished, study.name
        self.decided, self.results_folder = decided, results
        self.used = of_comparisons(finished, decided)

    @cached_property
    def published(self) -> pd.DataFrame | None:
        """Published numbers, in columns that the configuration has checked."""
        path = self.study.literature
        return pd.read_csv(locate(path)) if path else None

    def results(self, beside: bool = True, beside_test: bool = False) -> list[Row]:
        """Model, rate, size, then losses and accuracies, published numbers beside them."""
        beside = beside and self.published is not None
        planned = {setting_of(run): run for run in self.study.runs}
        groups = by_setting(self.used)
        order = list(dict.fromkeys((model, varied) for model, _, varied in planned))
        shown = sorted(planned, key=lambda setting: (order.index(setting[::2]), setting[1]))
        if len(shown) > MAX_ROWS:
            shown = sorted(groups, key=lambda s: -mean_accuracy(groups[s]))[:MAX_ROWS]
        rows = []
        for model, rate, varied in shown:
            runs = groups.get((model, rate, varied), [])
            name = setting_label(model, varied)
            size = f"{runs[0].record.parameters:,}" if runs else DASH
            row = [name, printed_rate(rate), size]
            for metric in MEASURED:
                test = metric == "test_accuracy"
                ours = Quantity.of(scores(runs, metric), style_of(metric)) if runs else DASH
                row.append(ours if test or not runs else link(self.name, runs, ours))
                if beside and (beside_test or not test):
                    row.append(self._published_cell(planned[model, rate, varied], metric))
            rows.append(row)
        if len(planned) > len(shown):
            rest = f"The best {len(shown)} of {len(planned)} settings"
            rows.append(self._cut(rest, "results"))
        return rows

    def _cut(self, what: str, table: str) -> Row:
        """The last row of a table that is too long for a page: where to find all of it."""
        target = escape(f"tables/{self.name}/{table}.csv")
        return [Tex(rf"{what}; all: \href{{{target}}}{{{target}}}")]

    def _published_cell(self, run: Run, metric: str) -> str:
        """What was published of this network at its rate, on its dataset. Unless the file
        has variants, it is the unchanged network's, where the study has that."""
        for row, where in published_rows(self.published):
            where = {VARIANT: ""} | where if self._has_unchanged else where
            if {"learning_rate", metric} <= {*row} and matches(run.traits, where):
                factor = 100 if style_of(metric) == "accuracy" else 1
                return Tex(rf"\emph{{{factor * row[metric]:.2f}}}")
        return DASH

    @cached_property
    def _has_unchanged(self) -> bool:
        return not all(run.varied for run in self.study.runs)

    @cached_property
    def comparisons(self) -> list[Row]:
        """A published accuracy, ours, the difference, and its reasons."""
        table = self.published
        return [] if table is None else [*compare(self.name, table, self.finished)]

    def costs(self, changes: bool = False, **where) -> list[Row]:
        """Model and variant, size, cost, and accuracy in training, validation and test;
        with `changes`, the interval of the test accuracy's difference from unchanged."""
        rows = []
        against = self.against(where) if changes else {}
        for name, runs in self._settings(where):
            if not runs:
                rows.append([name, *[DASH] * (6 + changes)])
                continue
            flops = runs[0].record.flops
            row = [name, f"{runs[0].record.parameters:,}"]
            row.append(DASH if flops is None else f"{flops / 1e6:,.0f}")
            row.append(f"{mean(scores(runs, 'seconds_training')):,.0f}")
            for metric in ACCURACIES:
                accuracy = Quantity.of(scores(runs, metric), "accuracy")
                row.append(link(self.name, runs, accuracy))
            if changes:
                row.append(against[name].interval if name in against else DASH)
            rows.append(row)
        return rows

    def against(self, where: dict) -> dict[str, Verdict]:
        """The matching settings' comparisons with the unchanged network, by name."""
        comparisons = self.decided.comparisons
        names = [name for name, _ in self._settings(where)]
        return {name: comparisons[name] for name in names if name in comparisons}

    def stopping(self, **where) -> list[Row]:
        """Model and variant: accuracies of the best epoch and of the last."""
        rows = []
        for name, runs in self._settings(where):
            if not runs:
                continue
            best = [str(epoch) for epoch in scores(runs, "best_epoch")]
            row = [name, listing(best), str(max(scores(runs, "epochs")))]
            for metric in ACCURACIES:
                row.append(Quantity.of(scores(runs, metric), "accuracy"))
                row.append(Quantity.of(scores(runs, f"final_{metric}"), "accuracy"))
            rows.append(row)
        return rows

    def _settings(self, where: dict) -> list[tuple[str, list[FinishedRun]]]:
        """The planned settings that match: each with its name and its finished runs."""
        groups = by_setting(self.finished)
        models = {run.settings.model for run in self.study.runs}
        found = {}
        for run in self.study.runs:
            if matches(run.traits, where):
                model, rate, varied = setting_of(run)
                name = variant_label(model, varied, models)
                found[name] = groups.get((model, rate, varied), [])
        return list(found.items())

    def smoothness(self, *models: str) -> list[Row]:
        """Kind, measure and rate; for each model the mean in the first epoch, the later
        epochs and the last, then median and 5th and 95th percentile of the later ones."""
        if "smoothness" not in self.study.tables:
            raise GradscapeError(
                f"section {self.study.section}: shows the table smoothness, which "
                f"studies.{self.name}.tables does not name"
            )
        path = self.results_folder.table(self.name, "smoothness")
        with reading(path):
            table = pd.read_csv(path).query("variant.isna()")
        keys = ["kind", "measure", "learning_rate"]
        rows = []
        for (kind, measure, rate), group in table.groupby(keys, dropna=False, sort=False):
            row = [kind, measure]
            row.append("all" if math.isnan(rate) else printed_rate(rate))
            for model in models:
                parts = group[group.model == model].groupby("part")
                values = parts[["mean", "p5", "p50", "p95"]].mean()
                for part in ("first epoch", "later epochs", "last epoch"):
                    row.append(self._digits(values, part, "mean"))
                later = {p: self._digits(values, "later epochs", p) for p in values}
                row.append(Tex(f"{later['p50']} ({later['p5']}--{later['p95']})"))
            rows.append(row)
        if len(rows) > MAX_ROWS:
            rest = f"The first {MAX_ROWS} of {len(rows)} rows"
            return [*rows[:MAX_ROWS], self._cut(rest, "smoothness")]
        return rows

    @staticmethod
    def _digits(values: pd.DataFrame, part: str, column: str) -> str:
        if part not in values.index or math.isnan(values.loc[part, column]):
            return DASH
        value = Quantity(values.loc[part, column], style="significant")
        return Tex(value.latex())

    def claims(self) -> list[list[Row]]:
        """The claims that were measured: statement and source, both sides, their
        difference and what its interval rests on, the verdict. As many tables as pages."""
        tables: list[list[Row]] = []
        room = 0.0
        for claim in self.decided.claims.values():
            if claim.verdict == UNMEASURED:
                continue
            source = rf"\emph{{{escape(claim.cited)}}}{listed(claim.source)}"
            row = [Tex(f"{escape(claim.statement)} {source}")]
            for side in ("left", "right"):
                row.append(claim.side(side) if getattr(claim, side) else DASH)
            told = math.ceil(len(claim.statement + claim.cited) / LETTERS)
            lines = GAP + max(told, math.ceil(len(claim.word) / NARROW))
            if lines > room:
                tables.append([])
                room = LINES
            tables[-1].append([*row, claim.printed_interval, claim.basis, claim.word])
            room -= lines
        return tables


def of_comparisons(finished: list[FinishedRun], decided: Decided) -> list[FinishedRun]:
    """The runs without those that comparisons leave out, for the device that they were made
    on; all of a setting that has no others."""
    out = {name for claim in decided.claims.values() for name in claim.left_out}
    alone = set()
    for runs in by_setting(finished).values():
        names = {run.path.name for run in runs}
        alone |= names if names <= out else set()
    return [r for r in finished if r.path.name not in out or r.path.name in alone]


def coordinates(studies: Iterable[Study], results: Results) -> list[Row]:
    """What tells before training whether a network will train: the property, the side of
    its threshold that trains, of how many networks that is right, of how many where another
    study's networks set the threshold, and of how many the same answer for all; the best
    first."""
    tables = {}
    for study in studies:
        if "coordinates" in study.tables:
            path = results.table(study.name, "coordinates")
            with reading(path):
                tables[study.name] = pd.read_csv(path)
    rows = []
    for found in judged(tables):
        side = "above" if found.above else "below"
        threshold = write(f"{found.threshold:.4g}", LATEX)  # a rank is hardly above 1
        counts = (found.right, found.elsewhere, found.alike)
        shares = [f"{count} of {found.networks}" for count in counts]
        rows.append([COORDINATES[found.name], Tex(f"{side} {threshold}"), *shares])
    return rows


def listed(source: str) -> str:
    """LaTeX that puts the papers a claim names, `He et al. 2016b`, into the references."""
    found = re.findall(r"(\w+)(?: et al\.| and \w+)? (\d{4}[a-z]?)", source)
    keys = {f"{name.lower()}{year}" for name, year in found} & papers().keys()
    return "".join(rf"\nocite{{{key}}}" for key in sorted(keys))


def setting_of(run: Run) -> tuple[str, float, str]:
    """Model, learning rate and variant, as `by_setting` has them."""
    return run.settings.model, run.settings.learning_rate, varied_label(run.varied)
