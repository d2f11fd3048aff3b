"""The runs of a figure by the settings that it draws over; it averages over seeds alone."""

from collections.abc import Iterable

from gradscape.base.errors import GradscapeError
from gradscape.runs.run import FinishedRun
from gradscape.spec.labels import printed_variant, setting_label
from gradscape.spec.quantity import rate
from gradscape.spec.registry import short
from gradscape.spec.study import NETWORK, PARAMETERS, VARIANT, Figure

WORDS = {
    PARAMETERS: "number of parameters",
    "dropout": "probability of dropping a unit",
    "augmentation_strength": "strength of the augmentation",
}
SCORES = {
    "train_accuracy": ("training", "accuracy (%)"),
    "val_accuracy": ("validation", "accuracy (%)"),
    "test_accuracy": ("test", "accuracy (%)"),
    "train_loss": ("training", "loss"),
    "val_loss": ("validation", "loss"),
}

FACTORS = {score: 100 if score.endswith("accuracy") else 1 for score in SCORES}

Cells = dict[tuple, list[FinishedRun]]


def by_values(figure: Figure, runs: Iterable[FinishedRun], *keys: str) -> Cells:
    """The runs by their values of these settings, ascending. Raises `GradscapeError` for
    several of one seed, which differ in something else."""
    found: Cells = {}
    for run in runs:
        found.setdefault(tuple(value(run, key) for key in keys), []).append(run)
    for place, group in found.items():
        if len({run.seed for run in group}) < len(group):
            at = " and ".join(f"{k} {v}" for k, v in zip(keys, place, strict=True))
            raise GradscapeError(
                f"figure {figure.name}: several runs of one seed have {at} and differ in "
                "something else, which it would average over; choose by `where`"
            )
    return found


def value(run: FinishedRun, key: str) -> str | float | None:
    if key == PARAMETERS:
        return run.record.parameters
    if key == NETWORK:
        return setting_label(run.model, run.variant)
    return run.traits[key]


def ordered(values: Iterable) -> list:
    """Each value once: none first, then numbers ascending, or names as they come."""
    once = list(dict.fromkeys(values))
    if any(isinstance(one, str) for one in once):
        return once
    return sorted(once, key=lambda one: (one is not None, one or 0))


def label(key: str, one: str | float | None) -> str:
    """A value as an axis or a legend has it."""
    if one is None:
        return "default"
    if key == "learning_rate":
        return rate(one).text()
    if key == VARIANT:
        return printed_variant(str(one)) or "unchanged"
    return printed_variant(short(one)) if isinstance(one, str) else f"{one:g}"


def words(key: str) -> str:
    return WORDS.get(key, key.replace("_", " "))


def scores_of(group: list[FinishedRun], score: str) -> list[float]:
    """An accuracy in percent, or a loss, of each run, at its best epoch."""
    return [FACTORS[score] * run.scores[score] for run in group]
