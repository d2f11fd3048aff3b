"""One change at a time: accuracy of each of a study's variants beside the study's own."""

import numpy as np

from gradscape.figures import style
from gradscape.runs.run import FinishedRun, by_setting
from gradscape.spec.labels import variant_label
from gradscape.spec.quantity import rate as printed_rate
from gradscape.spec.study import Figure


def comparison(figure: Figure, runs: list[FinishedRun]):
    """One row per setting, the best on top: mean test accuracy ± one deviation over seeds.
    Each is named after its variant; the study's own setting has its own colour and a
    line."""
    groups = by_setting(runs)
    models = {model for model, _, _ in groups}
    labels = [variant_label(model, variant, models) for model, _, variant in groups]
    if len(set(labels)) < len(labels):  # they differ in their rates
        rates = [printed_rate(rate).text() for _, rate, _ in groups]
        labels = [f"{n}, lr {rate}" for n, rate in zip(labels, rates, strict=True)]
    rows = []
    for label, ((_, _, variant), group) in zip(labels, groups.items(), strict=True):
        values = 100 * np.array([run.test["test_accuracy"] for run in group])
        deviation = values.std(ddof=1) if len(values) > 1 else 0
        name = style.wrapped(label, 0.6 * style.width(figure.wide))
        rows.append((values.mean(), deviation, name, not variant))
    rows.sort()
    lines = max(name.count("\n") + 1 for _, _, name, _ in rows)
    picture, axis = style.panels(figure, 0.7 + 0.15 * lines * len(rows))
    for place, (mean, deviation, _, own) in enumerate(rows):
        colour = style.COLOURS[0 if own else 1]
        if own:
            axis.axvline(mean, color=colour, lw=0.6)
        axis.errorbar(mean, place, xerr=deviation or None, fmt="o", ms=3, color=colour)
    axis.set_yticks(range(len(rows)), [name for _, _, name, _ in rows])
    axis.set(ylim=(-0.7, len(rows) - 0.3), xlabel="test accuracy (%)")
    axis.axvline(100 / runs[0].record.data.classes, color="grey", lw=0.8, ls=":")
    accuracy = np.mean([run.test["test_accuracy"] for run in runs])
    images = runs[0].record.data.test
    half = 196 * np.sqrt(accuracy * (1 - accuracy) / images)  # of the binomial
    own = "; orange: the study's own" if any(own for *_, own in rows) else ""
    return picture, (
        f"Test accuracy of {len(rows)} settings, the best on top{own}. "
        f"{style.mean_over(runs, 'bars')} Dotted: chance. The 95 % interval from "
        f"{images:,} test images alone reaches {half:.1f} points to either side."
    )
