"""What holds whatever is given: merged configurations, runs of a grid, verdicts, rates, and
trainings stopped anywhere."""

import itertools
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import SMALL, make
from gradscape.claims.inference import Estimate, Variance, holm, of_seeds, pooled, variance
from gradscape.claims.verdicts import FAILS, HOLDS, UNDECIDED, Comparison
from gradscape.config.expand import expand_runs
from gradscape.config.experiment import merge
from gradscape.spec.study import matches
from gradscape.training.checkpoint import Checkpoint
from gradscape.training.schedules import SCHEDULES, learning_rate

quick = settings(max_examples=60, deadline=None, derandomize=True, database=None)

# merge

KEYS = st.sampled_from("abc")
VALUES = st.recursive(st.integers(0, 3), lambda v: st.dictionaries(KEYS, v, max_size=3))
MAPPINGS = st.dictionaries(KEYS, VALUES, max_size=3)
CHANGES = st.dictionaries(KEYS, st.none() | VALUES, max_size=3)


@quick
@given(MAPPINGS, CHANGES)
def test_a_configuration_laid_over_another_says_what_it_says(base, over):
    """Its values stand, its nulls are gone, all else is as it was; neither is touched."""
    before = deepcopy((base, over))
    merged = merge(base, over)
    assert (base, over) == before
    assert merge(base, {}) == base == merge({}, base)
    assert merge(merged, over) == merged
    for key in {*base, *over}:
        if key not in over:
            assert merged[key] == base[key]
        elif over[key] is None:
            assert key not in merged
        elif isinstance(over[key], dict) and isinstance(base.get(key), dict):
            assert merged[key] == merge(base[key], over[key])
        else:
            assert merged[key] == over[key]


# expand

MODELS = st.lists(st.sampled_from(["vgg08", "vgg38", "vgg38-bn"]), min_size=1, unique=True)
RATES = st.lists(st.sampled_from([1e-4, 1e-3, 0.01, 0.1]), min_size=1, unique=True)
SEEDS = st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True)
BATCHES = st.lists(st.sampled_from([20, 50]), max_size=2, unique=True)


@quick
@given(MODELS, RATES, SEEDS, BATCHES, st.booleans(), st.booleans())
def test_a_grid_is_every_combination_once(
    models, rates, seeds, batches, excludes, overrides
):
    """Under a name of its own, less what is excluded, with what is overridden, whatever the
    order of the keys."""
    grid = {"model": models, "learning_rate": rates, "seed": seeds}
    grid |= {"batch_size": batches} if batches else {}
    study = {"dataset": "cifar100", "epochs": 7, "grid": grid}
    study |= {"variants": {"long": {"epochs": 9}}}
    left_out = {"model": models[0], "learning_rate": rates[0], "epochs": 9}
    if excludes:
        study["exclude"] = [left_out]
    if overrides:
        study["override"] = [{"where": {"seed": seeds[0]}, "set": {"momentum": 0.5}}]
    runs = expand_runs("s", study, {"momentum": 0.25})
    keys = ["epochs", *grid]
    wanted = [*itertools.product((7, 9), *grid.values())]
    if excludes:
        wanted = [values for values in wanted if values[:3] != (9, models[0], rates[0])]
    found = [tuple(vars(run.settings)[key] for key in keys) for run in runs]
    assert found == wanted and len({run.name for run in runs}) == len(runs)
    for run in runs:
        assert not excludes or not matches(run.traits, left_out)
        is_first = overrides and run.settings.seed == seeds[0]
        assert run.settings.momentum == (0.5 if is_first else 0.25)
    turned = study | {"grid": dict(reversed(grid.items()))}
    assert {run.name for run in expand_runs("s", turned, {})} == {run.name for run in runs}


# Verdicts

NUMBERS = st.floats(-10, 10).map(lambda number: round(number, 3))
CELLS = st.lists(NUMBERS, min_size=2, max_size=5).map(np.array)
ESTIMATES = st.builds(Estimate, NUMBERS, st.floats(0.01, 5), st.integers(1, 30))
OPPOSITE = {HOLDS: FAILS, FAILS: HOLDS, UNDECIDED: UNDECIDED}


@quick
@given(ESTIMATES, st.floats(0, 5))
def test_a_verdict_is_what_the_interval_says(estimate, margin):
    low, high = estimate.interval()
    words = {
        relation: Comparison(relation, estimate, -margin, margin).word()
        for relation in ("above", "below", "near", "apart")
    }
    assert (words["above"] == HOLDS) == (low >= margin)
    assert (words["below"] == HOLDS) == (high <= -margin)
    assert (words["near"] == HOLDS) == (-margin <= low and high <= margin)
    assert (words["apart"] == HOLDS) == (low >= margin or high <= -margin)
    assert words["near"] == OPPOSITE[words["apart"]]
    assert (words["above"] == UNDECIDED) == (low < margin < high)
    turned = Estimate(-estimate.difference, estimate.error, estimate.freedom)
    assert Comparison("below", turned, -margin, margin).word() == words["above"]


@quick
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.integers(0, 7))
def test_a_family_never_makes_a_claim_surer(values, at):
    """Holm's p values are no smaller than the claims' own, keep their order, and grow with
    every claim that is added; the smallest is Bonferroni's."""
    adjusted = holm(values)
    assert all(own <= more <= 1 for own, more in zip(values, adjusted, strict=True))
    assert min(adjusted) == pytest.approx(min(1, len(values) * min(values)))
    order = np.argsort(values, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()
    more = holm([*values, values[at % len(values)]])
    assert all(a <= b + 1e-12 for a, b in zip(adjusted, more, strict=False))


@quick
@given(CELLS, CELLS, NUMBERS, st.floats(0.1, 10))
def test_a_difference_knows_no_zero_and_no_unit(left, right, shift, scale):
    """The interval moves with a shift of one side and stretches with the unit; exchanged
    sides turn it over; more pooled cells have more degrees of freedom."""

    def interval(one, other):
        return np.array(of_seeds([one, other], [variance(one), variance(other)]).interval())

    plain = interval(left, right)
    close = {"abs": 1e-6, "rel": 1e-6}
    assert interval(left + shift, right) == pytest.approx(plain + shift, **close)
    assert interval(scale * left, scale * right) == pytest.approx(scale * plain, **close)
    assert interval(right, left) == pytest.approx(-plain[::-1], **close)
    common = pooled([left, right])
    assert common is None or common.freedom == len(left) + len(right) - 2
    assert common is None or isinstance(common, Variance)


# Schedules


@quick
@given(
    st.sampled_from(sorted(SCHEDULES)),
    st.integers(1, 8),
    st.integers(0, 4),
    st.integers(1, 6),
)
def test_a_rate_warms_up_and_then_is_the_schedules_from_its_start(
    name, epochs, warmup, steps
):
    """It never leaves what lies between nought and its base; a warm-up rises evenly to the
    base; after it the rates are those of a shorter run without one."""
    base = replace(SMALL, schedule=name, epochs=epochs + warmup, decay=0.9, decay_epochs=2)
    rate = learning_rate(replace(base, warmup_epochs=warmup))
    short = learning_rate(replace(base, epochs=epochs))
    rates = [rate(epoch, step, steps) for epoch in range(warmup) for step in range(steps)]
    even = base.learning_rate * np.arange(1, warmup * steps + 1) / max(1, warmup * steps)
    np.testing.assert_allclose(rates, even)
    for epoch, step in itertools.product(range(epochs), range(steps)):
        now = rate(warmup + epoch, step, steps)
        assert now == short(epoch, step, steps)
        assert 0 < now <= base.learning_rate
    assert rate(warmup, 0, steps) == base.learning_rate


# Resuming


@pytest.fixture(scope="module")
def uninterrupted(dataset):
    training = make(STOPPED, dataset)
    while not training.finished:
        training.run_epoch(lambda images: None)
    return outcome(training)


STOPPED = replace(SMALL, model="vgg08-bn", train_items=56, landscape_every=3)


def outcome(training) -> tuple:
    weights = {name: w.numpy().tobytes() for name, w in training.weights_now().items()}
    history = training.history
    steps = [{k: v.numpy().tobytes() for k, v in of.items()} for of in history.steps]
    return history.metrics, steps, weights


class Stopped(Exception):
    pass


@settings(max_examples=6, deadline=None, derandomize=True, database=None)
@given(stops=st.lists(st.integers(1, 3), max_size=3))
def test_a_training_stopped_anywhere_ends_as_if_it_had_not_been(
    stops, uninterrupted, dataset, tmp_path_factory
):
    """Again and again, each time after so many steps; of the same bytes."""
    checkpoint = Checkpoint(tmp_path_factory.mktemp("stopped") / "checkpoint", "mark")
    for left in [*stops, 99]:
        training = make(STOPPED, dataset)
        if state := checkpoint.load():
            training.restore(state)
        steps = itertools.count(1)

        def between(images, training=training, steps=steps, left=left):
            if next(steps) == left:
                checkpoint.save(training.state())
                raise Stopped

        try:
            while not training.finished:
                training.run_epoch(between)
        except Stopped:
            continue
    assert training.history.resumed == len(stops)
    assert outcome(training) == uninterrupted
