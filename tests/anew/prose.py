"""What the templates say of groups of runs, recomputed."""

from types import SimpleNamespace

import numpy as np

from anew.printing import counted, listed, points, quantity, style_of

SEEN = r"$^\dagger$"


def means_by_rate(runs, score):
    rates = sorted({run.rate for run in runs})
    return {r: np.mean([x.scores[score] for x in runs if x.rate == r]) for r in rates}


def length(runs):
    said = []
    for run in runs:
        epochs, batch = run.settings["epochs"], run.settings["batch_size"]
        steps = epochs * int(np.ceil(run.data["train"] / batch))
        over = f"{counted(epochs, 'epoch')} on {run.data['train']:,} images in minibatches"
        said.append(f"{over} of {batch} ({steps:,} steps)")
    return listed(dict.fromkeys(said))


def ahead(runs, others, score):
    ours, theirs = means_by_rate(runs, score), means_by_rate(others, score)
    return listed(points(ours[r] - theirs[r]) for r in ours if r in theirs) + SEEN


def by_heart(runs):
    seen, new = (means_by_rate(runs, f"{part}_accuracy") for part in ("train", "val"))
    return listed(points(seen[rate] - new[rate]) for rate in seen) + SEEN


def span(runs, score):
    means = means_by_rate(runs, score).values()
    return f"{100 * (max(means) - min(means)):.1f}"


def by_epoch(runs, column, first=None):
    tables = np.array([run.metrics[column][:first] for run in runs], float).T
    return listed(quantity(values, style_of(column), unit=True) for values in tables)


def first_epoch(runs, column):
    each = {rate: [r for r in runs if r.rate == rate] for rate in {r.rate for r in runs}}
    return listed(by_epoch(each[rate], column, 1) for rate in sorted(each))


def megaflops(runs):
    return rf"{runs[0].record['flops'] / 1e6:,.0f}\,MFLOP"


WORDS = SimpleNamespace(
    count=counted, length=length, ahead=ahead, by_heart=by_heart, span=span,
    by_epoch=by_epoch, first_epoch=first_epoch, megaflops=megaflops,
)  # fmt: skip
