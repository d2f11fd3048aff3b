"""What the sections and tables of a document ask of a study, in the plain form."""

import math
from collections import Counter
from functools import cached_property
from types import SimpleNamespace

import numpy as np
import pandas as pd

from anew.metrics import METRICS
from anew.printing import (
    DATASETS,
    counted,
    interval_of,
    listed,
    model_name,
    number,
    plain,
    points,
    quantity,
    rate_text,
    setting_name,
    spelt,
    style_of,
    variant_name,
    word_of,
)
from anew.runs import ACCURACIES, HOME
from anew.sentences import say
from anew.tables import PARTS, planned


def taken(cell, out):
    """A cell's runs that comparisons take; all if they take none."""
    return [run for run in cell if run.name not in out] or cell


def left_open(fields):
    """Why a change is neither said to raise the test accuracy nor to lower it."""
    if fields["low"] is None:
        return "diverged" if fields["basis"] == "diverged" else "has no interval"
    if fields["verdict"] in ("holds", "does not hold"):
        return ""
    if fields["low"] <= 0 <= fields["high"]:
        return "has an interval around zero"
    return "is left open by Holm's correction"


class View:
    """What a section's template asks of a study, in the plain form."""

    def __init__(self, study, figures):
        self.study, self.name, self.figures = study, study.name, figures
        self.title, self.runs_ = study.config["title"], study.runs

    def chosen(self, where=None, **more):
        return [run for run in self._used if run.is_one_of({**(where or {}), **more})]

    @cached_property
    def _used(self):
        cells = [taken(cell, self.left_out) for cell in self.study.cells.values()]
        used = {run.name for cell in cells for run in cell}
        return [run for run in self.runs_ if run.name in used]

    @property
    def finished(self):
        return self.runs_

    def value(self, score, style="", **where):
        return self._value(self.chosen(where), score, style or style_of(score))

    def _value(self, runs, score, style):
        return linked(
            self.study, runs, quantity([r.scores[score] for r in runs], style, unit=True)
        )

    @cached_property
    def _best(self):
        def validates(cell):
            return np.nan_to_num(
                np.mean([run.scores["val_accuracy"] for run in cell]), nan=-1
            )

        order = sorted(self.study.cells.items(), key=lambda item: item[0][1])
        return max((taken(cell, self.left_out) for _, cell in order), key=validates)

    def by_rate(self, score, **where):
        rates = sorted({run.rate for run in self.chosen(where)})
        return listed([self.value(score, learning_rate=r, **where) for r in rates])

    def at_the_end(self, key):
        values, found = {run.settings[key] for run in self.runs_}, 0
        for value in values:
            by_rate = {}
            for run in self.chosen({key: value}):
                by_rate.setdefault(run.rate, []).append(run.scores["val_accuracy"])
            best = max(by_rate, key=lambda rate: np.mean(by_rate[rate]))
            found += len(by_rate) > 1 and best in (min(by_rate), max(by_rate))
        which = "all" if found == len(values) else f"{spelt(found)} of the"
        return f"{which} {spelt(len(values))}" if found else ""

    def measure(self, metric, style="significant", **where):
        seeds = {}
        for run in self.chosen(where):
            seeds.setdefault(run.seed, []).append(run)
        return quantity([METRICS[metric].value(runs) for runs in seeds.values()], style)

    @property
    def best(self):
        run = self._best[0]
        return (
            f"{setting_name(run.model, run.variant)} (learning rate {rate_text(run.rate)})"
            r"$^\dagger$"
        )

    def best_value(self, score):
        return self._value(self._best, score, style_of(score))

    def best_of(self, **where):
        cells = {}
        for run in self.chosen(where):
            cells.setdefault((run.model, run.rate, run.variant), []).append(run)
        best = max(
            cells.values(), key=lambda c: np.mean([r.scores["val_accuracy"] for r in c])
        )
        name = variant_name(best[0].variant) or "to change nothing"
        accuracy = self._value(best, "val_accuracy", "accuracy")
        return rf"{name} ({accuracy} of the validation images)$^\dagger$"

    def error(self, **where):
        return quantity(
            [1 - r.scores["test_accuracy"] for r in self.chosen(where)],
            "accuracy",
            unit=True,
        )

    def side(self, claim, side):
        fields = self.study.found[claim].fields
        return quantity(fields[side], fields["style"], unit=True)

    def say(self, claim, telling=""):
        found = self.study.found[claim].fields
        return say(self.study, self.study.claims[claim], found, telling, self.figures)

    @property
    def left_out(self):
        return {name for f in self.study.found.values() for name in f.fields["left_out"]}

    def setting(self, key, **where):
        values = list(dict.fromkeys(run.settings[key] for run in self.chosen(where)))
        return listed(map(rate_text, sorted(values)) if key == "learning_rate" else values)

    def count(self, key, noun, **where):
        values = sorted({run.settings[key] for run in self.chosen(where)})
        return counted(values[0], noun) if len(values) == 1 else f"{listed(values)} {noun}s"

    def images(self, part="train", **where):
        return (
            listed(f"{n:,}" for n in sorted({r.data[part] for r in self.chosen(where)}))
            + " images"
        )

    def recorded(self, *keys):
        values = []
        for run in self.runs_:
            value = run.record
            for key in keys:
                value = value[key]
            values.append(f"{value:,}" if isinstance(value, int) else value)
        return listed(dict.fromkeys(values))

    @property
    def dataset(self):
        names = dict.fromkeys(run.data["name"] for run in self.runs_)
        return listed(DATASETS.get(name, name) for name in names)

    @property
    def cited_dataset(self):
        names = dict.fromkeys(run.data["name"] for run in self.runs_)
        return listed(
            rf"{DATASETS.get(name, name)} \citep{{krizhevsky2009}}" for name in names
        )

    @property
    def seeds(self):
        return seeds_in_words(self.runs_)

    @property
    def models(self):
        return listed(dict.fromkeys(model_name(run.model) for run in self.runs_))

    @property
    def rates(self):
        rates = {run.rate for run in self.runs_}
        return (
            f"learning rate{'s' * (len(rates) > 1)} {listed(map(rate_text, sorted(rates)))}"
        )

    def optimiser(self, **where):
        s = self.chosen(where)[0].settings
        text = OPTIMISERS[s["optimiser"]]
        more = []
        if s["optimiser"] in ("sgd", "muon") and s["momentum"]:
            more.append(f"{'Nesterov ' * s['nesterov']}momentum {s['momentum']:g}")
        if s["weight_decay"]:
            more.append(f"weight decay {rate_text(s['weight_decay'])}")
        return text + f" with {listed(more)}" * bool(more)

    def schedule(self, **where):
        s = self.chosen(where)[0].settings
        if s["schedule"] == "exponential":
            text = f"a learning rate multiplied by {s['decay']:g} after every epoch"
        else:
            text = SCHEDULES[s["schedule"]]
        warm = s["warmup_epochs"]
        return text + f" after a linear warm-up of {counted(warm, 'epoch')}" * bool(warm)

    def reference(self, figure):
        if f"fig:{self.name}-{figure}" in self.figures:
            return rf"Figure \ref{{fig:{self.name}-{figure}}}"
        return "a figure that is not drawn here"

    def mistakes(self, **where):
        table = self.chosen(where)[0].probe("predictions")
        wrong = table[table["label"] != table["predicted"]]
        pairs = Counter(
            frozenset(pair) for pair in zip(wrong["label"], wrong["predicted"], strict=True)
        )
        names, most = min(pairs.items(), key=lambda item: (-item[1], sorted(item[0])))
        return (
            f"Of its mistakes on the test images {most:,} are "
            f"between {listed(sorted(names))}; no other two classes have more."
        )

    def covered(self, **where):
        table = self.chosen(where)[0].probe("explanations")
        wrong = table[table["label"] != table["predicted"]]
        falls = wrong.groupby(["image", "label", "predicted"])["occlusion"].max()
        ends = [falls.idxmax(), falls.idxmin()]
        most, least = (
            rf"\emph{{{predicted}}} for a picture of the class \emph{{{label}}} "
            f"({falls[image, label, predicted]:.2f})"
            for image, label, predicted in ends
        )
        return (
            "Of the wrong answers, the one that depends most on one place, by how far "
            f"covering it lowers the probability, is {most}; "
            f"the one that depends least is {least}."
        )

    def changes(self, **where):
        models = {model for model, _ in planned(self.study)}
        names = [
            setting_name(run.model, run.variant)
            if len(models) > 1
            else variant_name(run.variant)
            for run in self.chosen(where)
        ]
        found = [
            self.study.comparisons[n].fields for n in names if n in self.study.comparisons
        ]
        of = " of the networks trained here" * any(f["rests"] == "networks" for f in found)
        said = []
        for verdict, verb in (("holds", "raise"), ("does not hold", "lower")):
            told = sorted(
                (f for f in found if f["verdict"] == verdict and f["low"] is not None),
                key=lambda f: f["low"],
            )
            if told:
                several = len(told) > 1
                said.append(
                    f"{spelt(len(told)).capitalize()} change{'s' * several} "
                    f"{verb}{'s' * (not several)} the test accuracy{of}, in points: "
                    f"{listed(f['name'] + ' (' + points(f['effect']) + ')' for f in told)}."
                    r"$^\dagger$"
                )
        for why, left in Counter(map(left_open, found)).items():
            if why:
                other, many = " other" * bool(said), left > 1
                verb = {"has": "have", "is": "are"}.get(why.split()[0], why) if many else ""
                told = f"{verb} {why.partition(' ')[2]}".strip() if many else why
                changes = f"{spelt(left).capitalize()}{other} change{'s' * many}"
                said.append(f"{changes} {told}.")
        return " ".join(said)

    def runs(self, **where):
        return [
            SimpleNamespace(settings=SimpleNamespace(**r.settings))
            for r in self.chosen(where)
        ]

    @property
    def without_weights(self):
        return self.planned_runs - len(self.runs_)

    @property
    def not_measured(self):
        found = self.study.found.values()
        absent = [f.fields for f in found if f.fields["verdict"] == "not measured"]
        return [fields["statement"] for fields in absent]

    @property
    def planned_runs(self):
        return grid_size(self.study.config)


OPTIMISERS = {
    "adam": r"Adam \citep{kingma2015}",
    "adamw": r"AdamW \citep{loshchilov2019}",
    "sgd": "stochastic gradient descent",
    "rmsprop": "RMSprop",
    "muon": "Muon",
}
SCHEDULES = {
    "constant": "a constant learning rate",
    "cosine": "a learning rate that falls along a cosine",
    "cosine_per_iteration": "a learning rate that swings along a cosine every few steps",
    "staircase": "a learning rate that falls in steps",
}


def seeds_in_words(runs):
    seeds = sorted({run.seed for run in runs})
    return f"{spelt(len(seeds))} seed{'s' * (len(seeds) > 1)} ({listed(seeds)})"


def grid_size(config):
    """Of a study without exceptions: its grid, for the unchanged and each variant."""
    grids = config.get("grid", {})
    grids = grids if isinstance(grids, list) else [grids]
    size = sum(math.prod(len(values) for values in grid.values()) for grid in grids)
    return size * (1 + len(config.get("variants", {})))


def linked(study, runs, text):
    target = f"tables/{study.name}/results.csv"
    if len(runs) == 1:
        target = f"runs/{study.name}/{runs[0].name}/metrics.csv"
    return rf"\href{{{target}}}{{{text}}}"


def literature(study):
    path = study.config.get("published")
    return pd.read_csv(HOME / path).to_dict("records") if path else []


def expected_rows(study, views):
    """Every row that a table about this study may have, by the kind of table."""
    rows = {"results": {}, "costs": {}, "stopping": {}, "claims": {}, "smoothness": {}}
    models = {model for model, _ in planned(study)}
    out = {name for f in study.found.values() for name in f.fields["left_out"]}
    for (model, rate, variant), every in study.cells.items():
        runs = taken(every, out)

        def scores(name, runs=every):
            return [run.scores[name] for run in runs]

        size = f"{runs[0].record['parameters']:,}"
        name = setting_name(model, variant)
        head, printed = [name, rate_text(rate), size], literature(study)
        row = [p for p in printed if (p["model"], p.get("learning_rate")) == (model, rate)]
        cells = {"plain": [], "beside": []}
        for score in (
            "train_loss",
            "train_accuracy",
            "val_loss",
            "val_accuracy",
            "test_accuracy",
        ):
            cell = quantity(scores(score, runs), style_of(score))
            if score != "test_accuracy":
                cell = linked(study, runs, cell)
            value = row[0].get(score, math.nan) if row else math.nan
            times = 100 if style_of(score) == "accuracy" else 1
            other = rf"\emph{{{times * value:.2f}}}" if value == value else "--"
            # An accuracy that nobody printed has an empty cell, read as not a number.
            if row and score in row[0] and value != value:
                other = r"\emph{nan}"
            cells["plain"].append(cell)
            cells["beside"] += [cell, other]
        variants = [
            head + cells["plain"],
            head + cells["beside"],
            head + cells["beside"][:-1],
        ]
        rows["results"][model, rate, variant] = [" & ".join(v) for v in variants]
        runs = every  # other tables have them all
        label = name if len(models) > 1 else variant_name(variant) or "unchanged"
        flops = runs[0].record["flops"]
        costs = [label, size, "--" if flops is None else f"{flops / 1e6:,.0f}"]
        costs.append(f"{np.mean(scores('seconds_training')):,.0f}")
        costs += [linked(study, runs, quantity(scores(a), "accuracy")) for a in ACCURACIES]
        change = study.comparisons.get(label)
        change = interval_of(change.fields) if change else "--"
        rows["costs"][label] = [" & ".join(costs), " & ".join([*costs, change])]
        stop = [label, listed(scores("best_epoch")), str(max(scores("epochs")))]
        for score in ACCURACIES:
            stop += [
                quantity(scores(score), "accuracy"),
                quantity(scores(f"final_{score}"), "accuracy"),
            ]
        rows["stopping"][label] = [" & ".join(stop)]
    for name, found in study.found.items():
        fields = found.fields
        if fields["verdict"] == "not measured":
            continue
        source = fields["source"] + " (threshold: ours)" * (fields["threshold"] == "ours")
        row = [rf"{fields['statement']} \emph{{{source}}}"]
        row += [
            quantity(fields[s], fields["style"]) if fields[s] else "--"
            for s in ("left", "right")
        ]
        row += [
            interval_of(fields),
            fields["basis"],
            word_of(fields),
        ]
        rows["claims"][name] = [" & ".join(row)]
    rows["smoothness"] = printed_smoothness(study)
    return {
        kind: {k: list(map(plain, v)) for k, v in some.items()}
        for kind, some in rows.items()
    }


def printed_smoothness(study):
    kept, rows = study.smoothness, {}
    models = list(dict.fromkeys(key[0] for key in kept))
    for kind, measure, rate in dict.fromkeys(key[2:5] for key in kept):
        row = [kind, measure, "all" if rate is None else rate_text(rate)]
        for model in models:
            means = {}
            for part in PARTS:
                found = [
                    v
                    for k, v in kept.items()
                    if k[0] == model and k[2:] == (kind, measure, rate, part)
                ]
                found = [v for v in found if len(v) > 2]
                means[part] = np.mean(found, axis=0) if found else None
            digits = [
                "--" if means[p] is None else number(means[p][at], "significant")
                for p, at in [
                    *((p, 2) for p in PARTS),
                    *((PARTS[1], at) for at in (4, 3, 5)),
                ]
            ]
            row += [*digits[:3], f"{digits[3]} ({digits[4]}--{digits[5]})"]
        rows[kind, measure, rate] = [" & ".join(row)]
    return rows


COMPARED = {
    "final_test_accuracy": "test, last epoch",
    "test_accuracy": "test, best epoch",
    "val_accuracy": "validation, best epoch",
}


def literature_rows(study):
    """What others printed beside these runs, row by row of the report's table."""
    rows = {}
    for n, row in enumerate(literature(study)):
        row = {key: value for key, value in row.items() if value == value}
        where = {
            k: row[k] for k in ("model", "learning_rate", "variant", "dataset") if k in row
        }
        runs = [run for run in study.runs if run.is_one_of(where)]
        score = next((name for name in COMPARED if name in row), None)
        if not runs or not score:
            continue
        ours = [run.scores[score] for run in runs]
        about = [row["source"]]
        epochs, images = runs[0].scores["epochs"], runs[0].data["train"]
        if (epochs, images) != (row["epochs"], row["train_images"]):
            theirs = f"theirs {row['epochs']} of {row['train_images']:,}"
            about.append(f"ours {counted(epochs, 'epoch')} of {images:,} images, {theirs}")
        about += [row["note"]] if "note" in row else []
        cells = [
            row.get("name", model_name(row["model"])), rate_text(runs[0].rate),
            runs[0].settings["schedule"].replace("_", " "), COMPARED[score],
            rf"\emph{{{100 * row[score]:.2f}}}",
            linked(study, runs, quantity(ours, "accuracy")),
            points(np.mean(ours) - row[score]), "; ".join(about),
        ]  # fmt: skip
        rows[n] = [plain(" & ".join(cells))]
    return rows
