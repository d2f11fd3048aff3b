"""How settings, numbers and findings are put in a sentence."""

from collections import Counter

import numpy as np
import pandas as pd

from gradscape.claims.evidence import NETWORKS
from gradscape.claims.sentences import NOT_TESTED
from gradscape.claims.verdicts import BEFORE, FAILS, HOLDS, Verdict
from gradscape.report.escape import Tex, escape, listing
from gradscape.runs.run import FinishedRun, best_setting, scores
from gradscape.spec.labels import DATASETS, in_words, noun, setting_label
from gradscape.spec.quantity import LATEX, Quantity, rate
from gradscape.spec.registry import short
from gradscape.spec.settings import Settings

SEVERAL = {"has": "have", "is": "are"}
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


def points(difference: float) -> Tex:
    """A difference of fractions, in points, with its sign; without `-0.0`."""
    return Tex(Quantity(round(difference, 3) + 0.0, style="accuracy").signed(LATEX))


def dataset(name: str) -> Tex:
    return escape(DATASETS.get(short(name), short(name)))


def cited_dataset(name: str, synthetic: bool) -> Tex:
    """A dataset with its source, or that it is made up."""
    more = ", stripes and noise drawn by this program" if synthetic else ""
    if short(name).startswith("cifar"):
        more = r" \citep{krizhevsky2009}"
    return Tex(dataset(name) + more)


def count(number: int, one: str) -> Tex:
    """`1 epoch`, `12 epochs`, `1,200 images`."""
    return Tex(f"{number:,} {noun(number, one)}")


def length(runs: list[FinishedRun]) -> Tex:
    """`4 epochs on 6,000 images in minibatches of 50 (480 steps)`, each once."""
    told = {}
    for run in runs:
        images, batch = run.record.data.train, run.settings["batch_size"]
        steps = run.settings["epochs"] * -(-images // batch)
        epochs = count(run.settings["epochs"], "epoch")
        over = f"on {images:,} images in minibatches of {batch}"
        told[f"{epochs} {over} ({steps:,} steps)"] = None
    return listing(list(map(Tex, told)))


def budget(runs: list[FinishedRun]) -> list[Tex]:
    """Epochs, images, minibatch and steps, each length once: `6 / 8`, `8,000 / 45,000`."""
    lengths = {
        (run.settings["epochs"], run.record.data.train, run.settings["batch_size"])
        for run in runs
    }
    steps = [(e, i, b, e * -(-i // b)) for e, i, b in sorted(lengths)]
    cells = (dict.fromkeys(f"{n:,}" for n in column) for column in zip(*steps, strict=True))
    return [Tex(" / ".join(cell)) for cell in cells]


def optimiser(settings: Settings) -> Tex:
    """An optimiser with its momentum and weight decay, if it has any."""
    text = OPTIMISERS.get(settings.optimiser, escape(short(settings.optimiser)))
    more = []
    if settings.optimiser in ("sgd", "muon") and settings.momentum:
        kind = "Nesterov momentum" if settings.nesterov else "momentum"
        more.append(f"{kind} {settings.momentum:g}")
    if settings.weight_decay:
        more.append(f"weight decay {rate(settings.weight_decay).latex()}")
    return Tex(text + (f" with {listing([Tex(word) for word in more])}" if more else ""))


def schedule(settings: Settings) -> Tex:
    """The schedule of the learning rate, and the warm-up if there is one."""
    if settings.schedule == "exponential":
        text = f"a learning rate multiplied by {settings.decay:g} after every epoch"
    else:
        own = rf"the schedule \texttt{{{escape(short(settings.schedule))}}}"
        text = SCHEDULES.get(settings.schedule, own)
    if settings.warmup_epochs:
        text += f" after a linear warm-up of {count(settings.warmup_epochs, 'epoch')}"
    return Tex(text)


def seeds(values: list[int]) -> Tex:
    """`one seed (0)`, `three seeds (0, 1 and 2)`."""
    many, numbers = len(values), listing([str(value) for value in values])
    return Tex(f"{in_words(many)} {noun(many, 'seed')} ({numbers})")


def mistakes(table: pd.DataFrame) -> Tex:
    """The two classes that are confused most, and how often. From the probe `predictions`,
    whose precision is not the training's, so that their totals differ by some images."""
    wrong = table[table.label != table.predicted]
    pairs = [tuple(sorted(pair)) for pair in wrong[["label", "predicted"]].to_numpy()]
    if not pairs:
        return Tex("It makes no mistake on the test images.")
    pair, most = max(sorted(Counter(pairs).items()), key=lambda item: item[1])
    return Tex(
        f"Of its mistakes on the test images {most:,} {'is' if most == 1 else 'are'} "
        f"between {listing(pair)}; no other two classes have more."
    )


def covered(table: pd.DataFrame) -> Tex:
    """Which wrong answers hang most and least on one place, by the probe `explanations`."""
    wrong = table[table.label != table.predicted].groupby("image", sort=False)
    falls = [
        (max(g["occlusion"].max(), 0), *g.iloc[0][["label", "predicted"]]) for _, g in wrong
    ]
    if len(falls) < 2:
        return Tex("")
    told = [
        rf"\emph{{{escape(predicted)}}} for a picture of the class \emph{{{escape(label)}}}"
        f" ({Quantity(fall).latex()})"
        for fall, label, predicted in (max(falls), min(falls))
    ]
    return Tex(
        "Of the wrong answers, the one that depends most on one place, by how far covering "
        f"it lowers the probability, is {told[0]}; the one that depends least is "
        f"{told[1]}."
    )


def margin(asked: dict, style: str) -> Tex:
    """Which way a claim's sides are to differ, and by how much: `above, by 0.05`."""
    how = "within" if asked["is"] in ("near", "apart") else "by"
    kinds = {"margin": style, "relative_margin": "accuracy"}
    told = [
        Quantity(asked[k], style=kinds[k]).latex(unit=True) for k in kinds if asked.get(k)
    ]
    return Tex(", ".join([asked["is"], *(f"{how} {number}" for number in told)]))


def record(claims: dict[str, Verdict]) -> dict[str, list[Tex]]:
    """The names of the claims that stood before their runs, by what became of them."""
    found: dict[str, list[Tex]] = {}
    for name, claim in claims.items():
        if claim.asked == BEFORE:
            found.setdefault(claim.verdict, []).append(escape(name))
    return found


def more_seeds(claim: Verdict) -> str:
    """What might decide an open claim, if its scatter is known."""
    return f" About {claim.seeds} seeds on one kind of device might do." * bool(claim.seeds)


def by_devices(runs: list[FinishedRun]) -> dict[str, list[tuple]]:
    """Runs that took the place of others, each with both final training losses, by the
    devices of both."""
    found: dict[str, list[tuple]] = {}
    for run in runs:
        loss = run.scores["final_train_loss"]
        for old in run.replaced:
            devices = f"on {run.record.backend.kind} in place of {old['kind']}"
            found.setdefault(devices, []).append((run, loss, old["final_train_loss"]))
    return found


def trained_twice(runs: list[FinishedRun]) -> Tex:
    """How runs ended that took the place of others, and how those did."""
    told = []
    for run in runs:
        name = setting_label(run.model, run.variant)
        for old in run.replaced:
            ends = [(run.scores["final_train_loss"], run.record.backend.kind)]
            ends.append((old["final_train_loss"], old["kind"]))
            now, then = (
                f"{Quantity(loss).latex()} on {escape(kind)}" for loss, kind in ends
            )
            told.append(f"{escape(name)}, {now} and {then}")
    return Tex("; ".join(told))


def exchanged(study: str, runs: list[FinishedRun]) -> list[Tex]:
    """Each run that took another's place by its name."""
    told = []
    for devices, pairs in by_devices(runs).items():
        names = [
            Tex(f"{escape(f'{study}/{run.path.name}')} ({losses(loss, other)})")
            for run, loss, other in pairs
        ]
        told.append(Tex(f"{listing(names)}, {escape(devices)}"))
    return told


def exchanged_in_short(study: str, runs: list[FinishedRun]) -> list[Tex]:
    """How many runs took the place of others, and those whose losses are furthest apart."""
    told = []
    for devices, pairs in by_devices(runs).items():
        _, loss, other = max(pairs, key=lambda pair: abs(pair[1] - pair[2]))
        many, furthest = count(len(pairs), "run"), losses(loss, other)
        told.append(
            Tex(rf"{many} of \texttt{{{escape(study)}}} {escape(devices)} ({furthest})")
        )
    return told


def losses(ours: float, other: float) -> str:
    return f"{Quantity(ours).latex()} for {Quantity(other).latex()}"


def means(runs: list[FinishedRun], metric: str) -> dict[float, float]:
    """A score's mean over seeds at each learning rate, from the lowest up."""
    return {r: float(np.mean(scores(group, metric))) for r, group in at_rates(runs).items()}


def at_rates(runs: list[FinishedRun]) -> dict[float, list[FinishedRun]]:
    """The runs of each learning rate, from the lowest up."""
    rates = sorted({run.learning_rate for run in runs})
    return {rate: [run for run in runs if run.learning_rate == rate] for rate in rates}


def ahead(runs: list[FinishedRun], others: list[FinishedRun], metric: str) -> Tex:
    """By how many points an accuracy is above others', at each learning rate of both, from
    the lowest up: seen, not tested."""
    ours, theirs = means(runs, metric), means(others, metric)
    gains = [points(ours[rate] - theirs[rate]) for rate in ours if rate in theirs]
    return Tex(listing(gains) + NOT_TESTED)


def by_heart(runs: list[FinishedRun]) -> Tex:
    """By how many points training accuracy exceeds validation accuracy, at the best epoch
    and at each learning rate, from the lowest up: seen, not tested."""
    seen, new = means(runs, "train_accuracy"), means(runs, "val_accuracy")
    return Tex(listing([points(seen[rate] - new[rate]) for rate in seen]) + NOT_TESTED)


def span(runs: list[FinishedRun], metric: str) -> Tex:
    """By how many points an accuracy differs between the best and the worst rate."""
    every = means(runs, metric).values()
    return Tex(f"{100 * (max(every) - min(every)):.1f}")


def by_epoch(runs: list[FinishedRun], column: str, first: int | None = None) -> Tex:
    """A column of the runs' metrics after each of the `first` epochs, mean over seeds."""
    every = zip(*(run.metrics[column] for run in runs), strict=False)
    means = [Quantity.of(values, style_of(column)) for values in every]
    return listing([Tex(mean.latex(unit=True)) for mean in means[:first]])


def first_epoch(runs: list[FinishedRun], column: str) -> Tex:
    """A column of the metrics after one epoch at each learning rate, from the lowest up."""
    return listing([by_epoch(group, column, 1) for group in at_rates(runs).values()])


def megaflops(runs: list[FinishedRun]) -> Tex:
    """What a network's forward pass of one image costs."""
    known = [run.record.flops for run in runs if run.record.flops]
    return Tex(rf"{known[0] / 1e6:,.0f}\,MFLOP" if known else "unknown work")


def at_the_end(runs: list[FinishedRun], key: str) -> Tex:
    """For how many of a setting's values the learning rate that validates best is the
    first or the last of several: `two of the five`, `all five`; empty for none."""
    values, found = {run.settings[key] for run in runs}, 0
    for value in values:
        chosen = [run for run in runs if run.settings[key] == value]
        tried = sorted({run.learning_rate for run in chosen})
        best = best_setting(chosen)[0].learning_rate
        found += len(tried) > 1 and best in (tried[0], tried[-1])
    which = "all" if found == len(values) else f"{in_words(found)} of the"
    return Tex(f"{which} {in_words(len(values))}" if found else "")


def changes(verdicts: list[Verdict]) -> Tex:
    """The changes whose test accuracies differ from the unchanged network's, and which way:
    nobody claimed it before."""
    sentences = []
    narrow = any(v.rests == NETWORKS for v in verdicts)
    of = " of the networks trained here" if narrow else ""
    for decided, verb in ((HOLDS, "raise"), (FAILS, "lower")):
        told = [v for v in verdicts if v.verdict == decided and v.low == v.low]
        told.sort(key=lambda v: v.low)
        if told:
            named = [Tex(f"{escape(v.name)} ({points(v.effect)})") for v in told]
            many = in_words(len(told)).capitalize()
            verb += "s" * (len(told) == 1)
            sentences.append(
                f"{many} {noun(len(told), 'change')} {verb} the test accuracy{of}, in "
                f"points: {listing(named)}.{NOT_TESTED}"
            )
    others = Counter(left_open(v) for v in verdicts)
    for what, number in others.items():
        if what:
            many = in_words(number).capitalize() + " other" * bool(sentences)
            verb, _, rest = what.partition(" ")
            verb = verb if number == 1 else SEVERAL.get(verb, verb)
            sentences.append(f"{many} {noun(number, 'change')} {f'{verb} {rest}'.strip()}.")
    return Tex(" ".join(sentences))


def left_open(verdict: Verdict) -> str:
    """Why a change is not said to raise or lower the test accuracy; empty if it is."""
    if verdict.low != verdict.low:
        return "diverged" if verdict.basis == "diverged" else "has no interval"
    if verdict.verdict in (HOLDS, FAILS):
        return ""
    if verdict.low <= 0 <= verdict.high:
        return "has an interval around zero"
    return "is left open by Holm's correction"


def style_of(metric: str) -> str:
    return "accuracy" if metric.endswith("accuracy") else "loss"


def link(study: str, runs: list[FinishedRun], text: Tex | Quantity) -> Tex:
    """A text that links to the run's metrics, or with several runs to the table."""
    target = f"tables/{study}/results.csv"
    if len(runs) == 1:
        target = f"runs/{study}/{runs[0].path.name}/metrics.csv"
    return Tex(rf"\href{{{escape(target)}}}{{{escape(text)}}}")
