"""One study as the templates see it: its numbers, tables and figures as LaTeX."""

from itertools import chain
from operator import attrgetter

import numpy as np

from gradscape.base.errors import GradscapeError
from gradscape.base.files import copy, plain_file
from gradscape.base.paths import REPORT, TEMPLATES, Results
from gradscape.claims.files import Decided, decided_runs, read_verdicts
from gradscape.claims.sentences import (
    MISSING,
    NOT_TESTED,
    about,
    compared,
    sentence,
    signs_of,
)
from gradscape.claims.sides import Measurements, Side
from gradscape.claims.verdicts import HOLDS, REFUTED, UNDECIDED, UNMEASURED, Verdict
from gradscape.config.experiment import Experiment
from gradscape.report import prose as words
from gradscape.report.escape import Tex, escape, latex, listing
from gradscape.report.rows import Rows
from gradscape.runs.run import FinishedRun, best_setting, scores
from gradscape.spec.labels import model_label, setting_label, variant_label
from gradscape.spec.quantity import LATEX, Quantity, rate
from gradscape.spec.sentences import COMPARED
from gradscape.spec.study import Figure, Run, Study, matches


class StudyView:
    """One study as its section's template sees it. All texts are returned as LaTeX."""

    def __init__(self, study: Study, results: Results, decided: Decided):
        self.study, self.results, self.decided = study, results, decided
        self.name, self.title = study.name, study.title
        self.finished = decided_runs(study, results, decided)
        self.damaged = [f"{study.name}/{name}" for name in decided.damaged]
        unfinished = [run for run in study.runs if run.name not in decided.runs]
        self.without_weights = [run for run in unfinished if run.settings.pretrained]
        self.missing = len(unfinished) - len(self.without_weights)
        self.seed_numbers = sorted({run.seed for run in self.finished})
        self.datasets = list(dict.fromkeys(r.record.data.name for r in self.finished))
        self.synthetic = any(run.synthetic for run in self.finished)
        self.rows = Rows(study, self.finished, decided, results)
        self.published, self.used = self.rows.published, self.rows.used
        # The claims: all, then by verdict; `key_numbers` are those that the whole report
        # counts up, with what both of their sides are.
        self.claims = claims = decided.claims
        self.holding = [name for name, c in claims.items() if c.says == HOLDS]
        self.settled = [n for n, c in claims.items() if c.says in (HOLDS, *REFUTED)]
        self.measured = [name for name, c in claims.items() if c.verdict != UNMEASURED]
        absent = (c for name, c in claims.items() if name not in self.measured)
        self.not_measured = [escape(claim.statement) for claim in absent]
        self.unmeasured = len(self.not_measured)
        open_ = [claim for claim in claims.values() if claim.verdict == UNDECIDED]
        self.undecided = [escape(c.statement + words.more_seeds(c)) for c in open_]
        asked = study.claims.items()
        self.key_numbers = {name: claim["key"] for name, claim in asked if "key" in claim}
        # Runs that a comparison does not take, for the device that they were made on.
        self.left_out = sorted({name for c in claims.values() for name in c.left_out})
        # The section's template: one of gradscape's by name, or the user's by its path; and
        # that with what the study comes to, if it has one.
        self.own_section = study.section.endswith(".j2")
        own = study.section if self.own_section else ""
        self.template = own or f"sections/{study.section}.tex.j2"
        conclusion = f"conclusions/{study.section}.tex.j2"
        self.conclusion = conclusion if (TEMPLATES / conclusion).is_file() else ""

    def claim(self, name: str) -> Verdict:
        if name not in self.claims:
            raise GradscapeError(
                f"section {self.study.section}: mentions the claim {name!r}, which the "
                f"study {self.name} does not make"
            )
        return self.claims[name]

    def holds(self, claim: str) -> bool:
        return self.claim(claim).says == HOLDS

    def fails(self, claim: str) -> bool:
        return self.claim(claim).says in REFUTED

    def say(self, claim: str, telling: str = "") -> Tex:
        """The sentence that goes with the claim's verdict; `telling`: in other words."""
        verdict, spec = self.claim(claim), self.study.claims[claim]
        told = spec.get(telling, {}) if telling else spec
        if "holds" not in told:
            raise GradscapeError(
                f"section {self.study.section}: tells the claim {claim!r}, which has no "
                f"sentence{telling and f' under {telling!r}'}"
            )
        told_sentence = sentence(spec, verdict, telling)
        return latex(told_sentence, lambda name: self._filled(name, claim))

    def together(self, text: str, *claims: str) -> Tex:
        """One sentence for several claims if all of them hold, with their numbers,
        `[claim]` or `[claim difference]`, and signs; else the sentence of each."""
        if not all(map(self.holds, claims)):
            asked, measured = self.study.claims, filter(self.measured.__contains__, claims)
            clauses = {name: "clause" * ("holds" not in asked[name]) for name in measured}
            return Tex(" ".join(filter(None, map(self.say, clauses, clauses.values()))))
        signs = {sign: None for name in claims for sign in signs_of(self.claim(name))}

        def number(placeholder: str) -> Tex:
            name, _, what = placeholder.partition(" ")
            return self._filled(what or "left", name)

        return Tex(latex(text, number) + "".join(signs))

    def _filled(self, name: str, claim: str) -> Tex:
        """The value of a placeholder in a sentence of a claim."""
        if name.startswith("figure "):
            return self.reference(name.removeprefix("figure "))
        if name == "table":
            return Tex(rf"Table~\ref{{tab:{self.name}}}")
        if name in COMPARED:
            return Tex(compared(name, self.claim(claim), LATEX))
        return escape(about(name, self.study.claims[claim], self.study, self.finished))

    @property
    def exchanged(self) -> list[Tex]:
        """Runs that took the place of others, by name."""
        return words.exchanged(self.name, self.finished)

    @property
    def failed(self) -> list[Tex]:
        """The claims that stood before the runs and do not hold: sides, length, basis."""
        found = [c for c in self.claims.values() if c.verdict in REFUTED]
        runs = {run.path.name: run for run in self.finished}
        told = []
        for c in found:
            taken = [runs[n] for n in chain(*c.left_runs, *c.right_runs) if n in runs]
            basis = c.basis.partition(", σ")[0]
            told.append(
                f"{escape(c.statement.removesuffix('.'))}: {self.side(c.name, 'left')} "
                f"against {self.side(c.name, 'right')} ({words.length(taken)}; {basis})."
            )
        return [Tex(text) for text in told]

    def covers(self, **where) -> bool:
        return bool(self.chosen(**where))

    def side(self, claim: str, side: str) -> Tex:
        """The `left` or `right` number of a claim's comparison."""
        return Tex(self.claim(claim).side(side).latex(unit=True))

    def setting(self, key: str, **where) -> Tex:
        """The values that the runs that match set `key` to."""
        values = dict.fromkeys(getattr(run.settings, key) for run in self.runs(**where))
        if key == "learning_rate":
            return listing([rate(value) for value in sorted(values)])
        return listing([str(value) for value in values])

    def runs(self, **where) -> list[Run]:
        """The planned runs that match."""
        return [run for run in self.study.runs if matches(run.traits, where)]

    def chosen(self, **where) -> list[FinishedRun]:
        """The finished runs that match, of those that comparisons take."""
        return [run for run in self.used if matches(run.traits, where)]

    def count(self, key: str, noun: str, **where) -> Tex:
        """A whole number that the runs set, with its noun: `12 epochs`."""
        values = sorted({getattr(run.settings, key) for run in self.runs(**where)})
        if len(values) == 1:
            return words.count(values[0], noun)
        return Tex(f"{listing([f'{v:,}' for v in values])} {noun}s")

    @property
    def dataset(self) -> Tex:
        return listing([words.dataset(name) for name in self.datasets])

    @property
    def cited_dataset(self) -> Tex:
        cited = (words.cited_dataset(name, self.synthetic) for name in self.datasets)
        return listing(list(cited))

    def images(self, part: str = "train", **where) -> Tex:
        """How many images the finished runs have in a part of the data: `47,500 images`."""
        counts = sorted({getattr(run.record.data, part) for run in self.chosen(**where)})
        numbers = listing([f"{n:,}" for n in counts]) if counts else MISSING
        return Tex(f"{numbers} images")

    def error(self, **where) -> Tex:
        """The share of the test images that the finished runs take for the wrong class."""
        runs = self.chosen(**where)
        if not runs:
            return Tex(MISSING)
        errors = Quantity.of(1 - np.array(scores(runs, "test_accuracy")), "accuracy")
        return Tex(errors.latex(unit=True))

    def mistakes(self, **where) -> Tex:
        tables = [run.probe("predictions") for run in self.chosen(**where)]
        return words.mistakes(tables[0]) if tables and tables[0] is not None else Tex("")

    def covered(self, **where) -> Tex:
        tables = [run.probe("explanations") for run in self.chosen(**where)]
        return words.covered(tables[0]) if tables and tables[0] is not None else Tex("")

    def best_of(self, **where) -> Tex:
        """The setting, of those that match, that validates best, and its accuracy."""
        runs = self.chosen(**where)
        if not runs:
            return Tex(MISSING)
        best = best_setting(runs)
        changed = variant_label(best[0].model, best[0].variant, set())
        name = changed if best[0].variant else "to change nothing"
        accuracy = self._value(best, "val_accuracy", "")
        return Tex(rf"{escape(name)} ({accuracy} of the validation images){NOT_TESTED}")

    def changes(self, **where) -> Tex:
        """The variants that the test images tell from the unchanged network."""
        return words.changes(list(self.rows.against(where).values()))

    @property
    def models(self) -> Tex:
        names = dict.fromkeys(run.settings.model for run in self.study.runs)
        return listing(list(map(model_label, names)))

    @property
    def rates(self) -> Tex:
        rates = {run.settings.learning_rate for run in self.study.runs}
        noun = words.noun(len(rates), "learning rate")
        return Tex(f"{noun} {self.setting('learning_rate')}")

    def schedule(self, **where) -> Tex:
        return words.schedule(self.runs(**where)[0].settings)

    def optimiser(self, **where) -> Tex:
        return words.optimiser(self.runs(**where)[0].settings)

    @property
    def seeds(self) -> Tex:
        """How many seeds the finished runs have, and which."""
        return words.seeds(self.seed_numbers)

    def recorded(self, *keys: str) -> Tex:
        """The values that the finished runs recorded under `keys`, each once."""
        values: dict[str, None] = {}
        for run in self.finished:
            try:
                value = attrgetter(".".join(keys))(run.record)
            except AttributeError:
                raise GradscapeError(
                    f"section {self.study.section}: {run.path.name} has not recorded "
                    f"{'.'.join(keys)}"
                ) from None
            values[f"{value:,}" if isinstance(value, int) else str(value)] = None
        return listing(list(values))

    def value(self, metric: str, style: str = "", **where) -> Tex:
        """A column of the results table: mean ± deviation over the matching runs."""
        runs = self.chosen(**where)
        return self._value(runs, metric, style) if runs else Tex(MISSING)

    def _value(self, runs: list[FinishedRun], metric: str, style: str) -> Tex:
        number = Quantity.of(scores(runs, metric), style or words.style_of(metric))
        return words.link(self.name, runs, Tex(number.latex(unit=True)))

    def by_rate(self, metric: str, **where) -> Tex:
        """A column of the results table at each learning rate, from the lowest up."""
        rates = sorted({run.learning_rate for run in self.chosen(**where)})
        values = [self.value(metric, learning_rate=rate, **where) for rate in rates]
        return listing(values) if values else Tex(MISSING)

    def at_the_end(self, key: str) -> Tex:
        return words.at_the_end(self.finished, key)

    def measure(self, metric: str, style: str = "significant", **where) -> Tex:
        """A claims' metric of the finished runs that match: mean ± deviation over seeds."""
        side = Side({"metric": metric, "where": where}, Measurements(self.used))
        values = list(side.values.values())
        return Tex(Quantity.of(values, style).latex() if values else MISSING)

    @property
    def best(self) -> str:
        """The label of the best model, for a sentence: seen, not tested."""
        run = best_setting(self.used)[0]
        name = setting_label(run.model, run.variant)
        at = rate(run.learning_rate).latex()
        return Tex(rf"{escape(name)} (learning rate {at}){NOT_TESTED}")

    @property
    def best_model(self) -> str:
        return best_setting(self.used)[0].model

    @property
    def best_still_learns(self) -> bool:
        """Is the best model's validation loss lowest in the last epoch, for every seed?"""
        losses = [run.metrics["val_loss"] for run in best_setting(self.used)]
        return all(loss.argmin() == len(loss) - 1 for loss in losses)

    def best_value(self, metric: str) -> Tex:
        return self._value(best_setting(self.used), metric, "")

    def figure(self, name: str) -> Tex:
        """A figure with its caption, or a sentence if none of its runs is finished."""
        specs = [spec for spec in self.study.figures if spec.name == name]
        return self._figure(specs[0]) if specs else Tex("")

    def picture(self, name: str) -> Tex:
        """A figure's file, put beside the document; empty if it was not drawn."""
        if not self.results.is_drawn(self.name, name):
            return Tex("")
        copied = f"figures/{self.name}-{name}.pdf"
        source = plain_file(self.results.figure(self.name, name))
        copy(source, self.results.sources / copied)
        return Tex(copied)

    def _figure(self, spec: Figure) -> Tex:
        source, copied = self.results.figure(self.name, spec.name), self.picture(spec.name)
        told = source.with_suffix(".txt")
        facts = plain_file(told).read_text("utf-8").strip() if told.exists() else ""
        if not copied:
            reason = (facts or f"figure {spec.name}: not measured").removeprefix("figure ")
            return Tex(rf"\par\emph{{Figure {escape(reason)}.}}\par")
        caption = escape(" ".join(f"{spec.sentence} {facts}".split()))
        picture = rf"\includegraphics[width=\linewidth]{{{copied}}}"
        label = rf"\caption{{{caption}}}\label{{fig:{self.name}-{spec.name}}}"
        macro = "pagefigure" if spec.wide else "columnwide"
        return Tex(rf"\{macro}{{{picture}}}{{{label}}}")

    def reference(self, name: str) -> Tex:
        if not self.results.is_drawn(self.name, name):
            return Tex("a figure that is not drawn here")
        return Tex(rf"Figure~\ref{{fig:{self.name}-{name}}}")

    def all_figures(self) -> Tex:
        return Tex("\n".join(self._figure(spec) for spec in self.study.figures))


def view_studies(experiment: Experiment, document: str = REPORT) -> dict[str, StudyView]:
    """The views of a document's studies, by name."""
    results = experiment.results
    return {
        study.name: StudyView(study, results, read_verdicts(study, results))
        for study in experiment.documents(document)
    }


def nothing_to_report(experiment: Experiment, document: str = REPORT) -> GradscapeError:
    made = experiment.snakemake(experiment.results.pdf(document))
    return GradscapeError(
        f"{experiment.results}/runs: no finished run, so nothing to report; `{made}` trains"
    )
