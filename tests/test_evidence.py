"""What a comparison takes of its runs, what its interval rests on, and how wide it is."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy import stats

from conftest import decide, reseal, three_seeds, write_run
from gradscape.claims.sides import trains
from gradscape.claims.verdicts import EQUAL, FAILS, HOLDS, UNDECIDED

# Metrics with known values by image and by step; the rate says which run it is.
METRICS = """
import numpy as np

from gradscape.claims.inference import Estimate

def values(runs):
    return np.random.default_rng(int(1e6 * runs[0].learning_rate)).normal(0.1, 1, 800)

def over_images(runs):
    return float(values(runs).mean())

over_images.images = values

def over_steps(runs):
    return float(np.median(values(runs)))

over_steps.steps = values

def over_sizes(runs):
    return float(np.median(np.exp(values(runs))))

over_sizes.steps = lambda runs: np.exp(values(runs))
over_sizes.ratio = over_sizes.log = True

def over_some_steps(runs):
    return 0.1

over_some_steps.steps = lambda runs: values(runs)[: round(1e5 * runs[0].learning_rate)]

def fit(runs):
    return fit.estimate(runs).difference

fit.estimate = lambda runs: Estimate(0.1 * len(runs), 0.02, np.inf)
"""


PARTLY = """
def partly(runs):
    (run,) = runs
    missing = run.model == "vgg08" and run.seed == 2
    return None if missing else run.scores["test_accuracy"]
"""


@pytest.fixture
def metric(tmp_path):
    (tmp_path / "metrics.py").write_text(METRICS)
    return lambda name: f"{tmp_path / 'metrics.py'}:{name}"


def values(rate: float) -> np.ndarray:
    return np.random.default_rng(int(1e6 * rate)).normal(0.1, 1, 800)


RATES = (1e-3, 2e-3)


def claim(left: dict, relation: str, right, **more) -> dict:
    sides = {"left": left, "is": relation, "right": right}
    return {"statement": "s", "source": "s"} | sides | more


def side(metric: str, **where) -> dict:
    return {"metric": metric, "where": {"model": "vgg08"} | where}


def test_a_mean_over_images_has_their_standard_error(metric, tmp_path):
    run = write_run(tmp_path, "vgg08")
    found = decide(claim(side(metric("over_images")), "above", 0.0), [run])
    error = values(1e-3).std(ddof=1) / 800**0.5
    half = stats.norm.ppf(0.975) * error
    mean = values(1e-3).mean()
    assert (found.low, found.high) == pytest.approx((mean - half, mean + half))
    assert (found.basis, found.rests) == ("800 images", "networks")
    twice = side(metric("over_images")) | {"times": 2}
    assert decide(claim(twice, "above", 0.0), [run]).basis == "one run"
    both = [run, write_run(tmp_path, "vgg08", 2e-3)]  # whose images are whose is not known
    several = decide(claim(side(metric("over_images")), "above", 0.0), both)
    assert (several.basis, several.edge) == ("one run", [])  # nor is a rate chosen


@pytest.mark.parametrize("batch_size, paired", [(100, True), (50, False)])
def test_steps_are_paired_where_both_saw_the_same_minibatches(
    batch_size, paired, metric, tmp_path
):
    runs = [write_run(tmp_path / "1", "vgg08", 1e-3)]
    varied = {"batch_size": batch_size}
    runs.append(write_run(tmp_path / "2", "vgg08", 2e-3, varied=varied))
    sides = [side(metric("over_steps"), learning_rate=rate) for rate in RATES]
    found = decide(claim(sides[0], "above", sides[1]), runs)
    one, two = values(1e-3), values(2e-3)

    def error(steps):
        means = [batch.mean() for batch in np.array_split(steps, 8)]
        return np.std(means, ddof=1) / 8**0.5

    wide = error(one - two) if paired else np.hypot(error(one), error(two))
    assert found.basis == f"800 steps{', paired' * paired}"
    half = stats.t.ppf(0.975, 7) * wide
    difference = one.mean() - two.mean()
    assert (found.low, found.high) == pytest.approx((difference - half, difference + half))


@pytest.mark.parametrize(
    "rates, basis, count",
    [((1e-3, 2e-3), "100 steps", 100), ((1e-4, 2e-3), "one run each", 10)],
)
def test_runs_probed_at_unequal_numbers_of_steps_are_not_paired(
    rates, basis, count, metric, tmp_path
):
    """Of fewer than two steps for each of eight batches nothing is said."""
    runs = [write_run(tmp_path, "vgg08", rate) for rate in rates]
    sides = [side(metric("over_some_steps"), learning_rate=rate) for rate in rates]
    assert decide(claim(sides[0], "above", sides[1]), runs).basis == basis
    alone = decide(claim(sides[0], "above", 0.0), runs)
    assert alone.basis == (f"{count} steps" if count > 16 else "one run")


def test_losses_of_one_runs_last_epoch_are_compared_by_their_difference(tmp_path):
    run = write_run(tmp_path, "vgg08", losses=(4.6, 2.0), steps=np.repeat((4.6, 2.0), 16))
    alike = decide(claim(side("final_train_loss"), "above", 2.0), [run])
    assert (alike.basis, alike.ratio) == ("16 steps", [])
    assert (alike.low, alike.high, alike.p, alike.reversed) == (0.0, 0.0, 1.0, False)
    assert not decide(claim(side("final_train_loss"), "below", 2.0), [run]).reversed


def test_a_number_fitted_to_all_seeds_has_the_fits_error(metric, tmp_path):
    runs = [write_run(tmp_path, "vgg08", seed=seed) for seed in (0, 1)]
    found = decide(claim(side(metric("fit")), "above", 0.1), runs)
    assert (found.basis, found.rests, found.verdict) == (
        "a fit to 2 runs",
        "methods",
        HOLDS,
    )
    half = stats.norm.ppf(0.975) * 0.02
    assert (found.low, found.high) == pytest.approx((0.1 - half, 0.1 + half))
    assert found.left_runs == [[run.path.name for run in runs]]


@pytest.mark.parametrize("errors, verdict", [(1.8, FAILS), (3, EQUAL)])
def test_equality_is_tested_at_one_level_however_far_the_other_end(
    errors, verdict, metric, tmp_path
):
    """So many standard errors within a margin of a hundred: at 2.5 % a side."""
    run = write_run(tmp_path, "vgg08")
    asked = claim(side(metric("fit")), "above", 0.1 + 2 - 0.02 * errors, margin=2)
    assert decide(asked, [run]).verdict == verdict


def test_sizes_by_step_are_compared_by_their_ratio(metric, tmp_path):
    run = write_run(tmp_path, "vgg08")
    found = decide(claim(side(metric("over_sizes")), "above", 0.5), [run])
    means = [batch.mean() for batch in np.array_split(values(1e-3), 8)]
    half = stats.t.ppf(0.975, 7) * np.std(means, ddof=1) / 8**0.5
    middle = values(1e-3).mean() - np.log(0.5)
    assert found.ratio == pytest.approx(np.exp([middle - half, middle + half]))
    assert found.low == pytest.approx(0.5 * np.expm1(middle - half))
    for right in (0.0, -1.0):  # to which there is no ratio
        found = decide(claim(side(metric("over_sizes")), "above", right), [run])
        assert (found.basis, found.ratio, found.verdict) == ("800 steps", [], HOLDS)


def losses(folder, model, last, **more) -> list:
    return [
        write_run(folder, model, seed=seed, losses=(4.6, loss), **more)
        for seed, loss in enumerate(last)
    ]


def test_losses_are_compared_by_their_ratio_and_printed_as_a_difference(tmp_path):
    runs = losses(tmp_path, "vgg08", (1.0, 1.1, 1.2))
    runs += losses(tmp_path, "vgg38", (2.0, 2.5, 3.0))
    right = {"metric": "final_train_loss", "where": {"model": "vgg38"}}
    found = decide(claim(side("final_train_loss"), "below", right), runs)
    logs = [np.log([1.0, 1.1, 1.2]), np.log([2.0, 2.5, 3.0])]
    spread = np.mean([log.var(ddof=1) for log in logs])
    half = stats.t.ppf(0.975, 4) * (2 * spread / 3) ** 0.5
    middle, reference = logs[0].mean() - logs[1].mean(), np.exp(logs[1].mean())
    ends = reference * np.expm1([middle - half, middle + half])
    assert found.basis == "3 + 3 seeds, σ of 2 cells"
    assert [found.low, found.high] == pytest.approx(ends)
    # A margin is a share of the right side, and one larger than it has no end below.
    by_share = claim(side("final_train_loss"), "below", right, relative_margin=0.3)
    assert decide(by_share, runs).verdict == HOLDS
    assert decide(by_share | {"relative_margin": 0.6}, runs).verdict == UNDECIDED
    assert decide(by_share | {"is": "near", "margin": 9.0}, runs).verdict == HOLDS
    runs[0] = write_run(tmp_path / "zero", "vgg08", losses=(4.6, 0.0))
    assert decide(claim(side("final_train_loss"), "below", right), runs).ratio == []


def test_two_numbers_of_the_same_runs_are_paired(tmp_path):
    runs = losses(tmp_path, "vgg08", (1.0, 2.0, 4.0))
    asked = claim(side("final_train_loss"), "below", side("initial_loss"))
    found = decide(asked, runs)
    assert found.basis == "3 seeds, paired"
    ratios = np.log([1.0, 2.0, 4.0]) - np.log(4.6)
    test = stats.ttest_1samp(ratios, 0)
    assert found.p == pytest.approx(test.pvalue) and found.verdict == UNDECIDED
    counts = (
        n
        for n in range(2, 99)
        if stats.t.ppf(0.975, n - 1) * ratios.std(ddof=1) / n**0.5 <= -ratios.mean()
    )
    assert found.seeds == next(counts)


def test_a_number_of_parameters_stands_beside_each_seed(tmp_path):
    runs = three_seeds(tmp_path, "vgg08", (0.30, 0.31, 0.32))
    found = decide(claim(side("parameters"), "above", side("test_accuracy")), runs)
    assert found.left == [1.0, 1.0, 1.0] and found.basis == "3 seeds, paired"
    alone = decide(claim(side("parameters"), "above", 2), runs)
    assert (alone.left, alone.word) == ([1.0], "does not hold, a fact")
    assert not alone.reversed
    for relation, right, margin, verdict in (
        ("below", 2, 0, HOLDS),
        ("below", 2, 1, FAILS),
        ("above", 0, 1, FAILS),
        ("near", 2, 1, HOLDS),
        ("apart", 2, 1, FAILS),
        ("apart", 2, 0, HOLDS),
    ):
        fact = claim(side("parameters"), relation, right, margin=margin)
        assert decide(fact, runs).verdict == verdict


def test_seeds_count_where_both_sides_have_the_same_setting(tmp_path):
    """And both have a number; no other seed of either side does."""
    runs = three_seeds(tmp_path, "vgg08", (0.30, 0.31, 0.32))
    runs.append(write_run(tmp_path, "vgg08", seed=4))
    for seed, rate in enumerate((1e-3, 1e-3, 1e-2, 1e-3)):
        runs.append(write_run(tmp_path, "vgg38", rate, seed, accuracies=(0.01, 0.2)))
    right = {"metric": "test_accuracy", "where": {"model": "vgg38"}}
    asked = claim(side("test_accuracy"), "above", right, same="learning_rate")
    assert decide(asked, runs).left == [0.30, 0.31]
    assert len(decide(asked | {"right": 0.1}, runs).left) == 4  # a number has no setting


def test_a_verdict_names_the_runs_that_each_side_rests_on(tmp_path):
    runs = [write_run(tmp_path, "vgg08", seed=0)]
    runs += [write_run(tmp_path, "vgg38", seed=seed) for seed in (0, 1)]
    right = {"metric": "test_accuracy", "where": {"model": "vgg38"}}
    found = decide(claim(side("test_accuracy"), "above", right), runs)
    left, *others = ([run.path.name] for run in runs)
    assert (found.left_runs, found.right_runs) == ([left], others)


def test_variants_are_not_averaged_over_and_one_seed_borrows_only_a_pool(tmp_path):
    runs = three_seeds(tmp_path, "vgg08", (0.30, 0.31, 0.32))
    runs.append(write_run(tmp_path, "vgg38", accuracies=(0.01, 0.2)))
    right = {"metric": "test_accuracy", "where": {"model": "vgg38"}}
    asked = claim(side("test_accuracy"), "above", right)
    assert (decide(asked, runs).basis, decide(asked, runs).verdict) == (
        "3 + 1 seeds",
        UNDECIDED,
    )
    alone = decide(claim(side("test_accuracy"), "above", 0.1), runs)
    assert (alone.basis, alone.edge) == ("3 seeds", [])
    runs += three_seeds(tmp_path, "vgg14", (0.20, 0.21, 0.22))
    assert decide(asked, runs).basis == "3 + 1 seeds, σ of 2 cells"
    varied = {"varied": {"schedule": "constant"}}
    runs += three_seeds(tmp_path, "vgg08", (0.30, 0.31, 0.32), **varied)
    several = decide(asked, runs)
    assert several.basis == "several settings, not averaged over"


def test_only_cells_of_the_same_length_and_device_that_train_alike_are_pooled(tmp_path):
    low = {"losses": (4.6, 4.5)}  # a guess's is 4.605
    runs = three_seeds(tmp_path, "vgg08", (0.30, 0.31, 0.32), **low)
    runs += three_seeds(tmp_path, "vgg14", (0.20, 0.21, 0.22), **low)
    asked = claim(side("test_accuracy"), "above", 0.1)
    assert decide(asked, runs).basis == "3 seeds, σ of 2 cells"
    short = {"varied": {"train_items": 5000}}
    runs += three_seeds(tmp_path, "vgg20", (0.1, 0.2, 0.3), **short, **low)  # shorter
    runs += three_seeds(tmp_path, "vgg26", (0.1, 0.2, 0.3), losses=(4.6, 4.57))  # at chance
    away = three_seeds(tmp_path, "vgg32", (0.1, 0.2, 0.3), **low)
    for run in away:  # elsewhere
        backend = asdict(run.record.backend) | {"kind": "NVIDIA H200"}
        runs.append(reseal(run.path, backend=backend))
    assert decide(asked, runs).basis == "3 seeds, σ of 2 cells"


def test_a_cell_trains_if_it_ends_a_twentieth_below_a_guesss_loss(tmp_path):
    ends = np.log(100) - 0.049, np.log(100) - 0.051
    runs = [
        write_run(tmp_path, "vgg08", seed=n, losses=(4.6, end))
        for n, end in enumerate(ends)
    ]
    assert [trains([run]) for run in runs] == [False, True]


def test_a_cell_is_in_the_pool_that_its_variance_comes_from(tmp_path):
    """Though its first seed alone is at chance, as are two cells that hardly scatter."""
    runs = []
    for seed, (accuracy, loss) in enumerate([(0.2, 4.57), (0.8, 4.3), (0.1, 4.3)]):
        numbers = {"accuracies": (0.01, accuracy), "losses": (4.6, loss)}
        runs.append(write_run(tmp_path, "vgg08", seed=seed, **numbers))
    for model in ("vgg14", "vgg20"):
        runs += three_seeds(tmp_path, model, (0.1, 0.101, 0.102))
    found = decide(claim(side("test_accuracy"), "above", 0.05), runs)
    assert (found.basis, found.verdict) == ("3 seeds", UNDECIDED)


def test_a_cell_that_is_measured_in_part_has_its_own_variance(tmp_path):
    """Two of its three seeds are; two other cells, measured in full, hardly scatter."""
    (tmp_path / "metrics.py").write_text(PARTLY)
    runs = three_seeds(tmp_path, "vgg08", (0.2, 0.8, 0.1))
    for model in ("vgg14", "vgg20"):
        runs += three_seeds(tmp_path, model, (0.1, 0.101, 0.102))
    asked = claim(side(f"{tmp_path / 'metrics.py'}:partly"), "above", 0.05)
    found = decide(asked, runs)
    assert (found.basis, found.verdict) == ("2 seeds", UNDECIDED)


def test_two_pools_and_a_cell_without_one_are_told(tmp_path):
    runs = three_seeds(tmp_path, "vgg08", (0.30, 0.31, 0.32), losses=(4.6, 2.0))
    runs += three_seeds(tmp_path, "vgg14", (0.20, 0.21, 0.22), losses=(4.6, 2.0))
    runs += three_seeds(tmp_path, "vgg20", (0.10, 0.11, 0.12))  # at chance
    right = {"metric": "test_accuracy", "where": {"model": "vgg20"}}
    asked = claim(side("test_accuracy"), "above", right)
    assert decide(asked, runs).basis == "3 + 3 seeds, σ of 2 cells"
    for model in ("vgg26", "vgg32"):
        runs += three_seeds(tmp_path, model, (0.10, 0.11))
    assert decide(asked, runs).basis == "3 + 3 seeds, σ of 2 and 3 cells"


def test_two_variances_that_are_equal_by_luck_are_no_pool(tmp_path):
    """Unlike the third cell's, so that there is none: Welch's, with the freedom of both."""
    left, other = (0.25, 0.5, 0.75), (0.125, 0.375, 0.625)
    runs = three_seeds(tmp_path, "vgg08", left) + three_seeds(tmp_path, "vgg14", other)
    runs += three_seeds(tmp_path, "vgg20", (0.3, 0.3001, 0.3002))
    right = {"metric": "test_accuracy", "where": {"model": "vgg14"}}
    found = decide(claim(side("test_accuracy"), "above", right), runs)
    assert found.basis == "3 + 3 seeds, Welch"
    ends = stats.ttest_ind(left, other, equal_var=False).confidence_interval()
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high))


def test_the_best_of_several_rates_is_not_pooled_with_single_runs(tmp_path):
    runs = three_seeds(tmp_path, "vgg14", (0.20, 0.21, 0.22))
    for rate in (1e-3, 1e-2):
        runs += three_seeds(tmp_path, "vgg08", (0.30, 0.31, 0.32), rate=rate)
    found = decide(claim(side("best_val_accuracy"), "above", 0.1), runs)
    assert (found.basis, found.edge) == ("3 seeds", ["left"])
    worst = decide(claim(side("worst_final_train_loss"), "above", 0.1), runs)
    assert (worst.basis, worst.edge) == ("3 seeds", [])  # that is no choice


def scored(run, right: np.ndarray, images: int):
    """A run that was tested on so many images, of which it gets these right."""
    of_each = np.zeros(len(right), np.uint8)
    np.savez(
        run.path / "predictions.npz", predicted=of_each, confidence=of_each, right=right
    )
    return reseal(run.path, data=replace(run.record.data, test=images))


def test_a_share_of_images_has_an_interval_even_if_all_are_right(tmp_path):
    run = write_run(tmp_path, "vgg08", accuracies=(0.01, 1.0))
    asked = claim(side("test_accuracy"), "above", 0.9)
    found = decide(asked, [scored(run, np.ones(100, bool), 100)])
    share = 101 / 102  # with one more of each
    half = stats.norm.ppf(0.975) * (share * (1 - share) / 102) ** 0.5
    assert (found.basis, found.high) == ("100 images", pytest.approx(0.1 + half))


def test_shares_of_different_test_images_are_not_paired(tmp_path):
    runs = [write_run(tmp_path, "vgg08", rate, accuracies=(0.01, 0.3)) for rate in RATES]
    runs = [
        scored(run, np.arange(n) < 0.3 * n, n)
        for run, n in zip(runs, (400, 900), strict=True)
    ]
    sides = [side("test_accuracy", learning_rate=rate) for rate in RATES]
    found = decide(claim(sides[0], "above", sides[1]), runs)
    shares = np.array([121 / 402, 271 / 902])
    error = (shares * (1 - shares) / [402, 902]).sum() ** 0.5
    assert found.basis == "400 images"
    assert found.high == pytest.approx(stats.norm.ppf(0.975) * error)


def test_the_best_of_several_devices_decides_nothing(tmp_path):
    runs = [write_run(tmp_path, "vgg08", rate) for rate in (1e-3, 1e-2)]
    backend = asdict(runs[1].record.backend) | {"kind": "NVIDIA H200"}
    runs[1] = reseal(runs[1].path, backend=backend)
    found = decide(claim(side("best_val_accuracy"), "above", 0.5), runs)
    assert (found.basis, found.verdict) == ("runs of several devices", UNDECIDED)


def test_a_margin_is_added_to_its_share_of_the_right_side(tmp_path):
    runs = three_seeds(tmp_path, "vgg08", (0.300, 0.301, 0.302))
    asked = claim(side("test_accuracy"), "above", 0.25, relative_margin=0.1)
    assert decide(asked, runs).verdict == HOLDS  # 0.051 beyond, where 0.025 is asked
    assert decide(asked | {"margin": 0.1}, runs).verdict == EQUAL
    assert decide(asked | {"right": 0.32}, runs).verdict == EQUAL
    assert decide(asked | {"right": 0.4}, runs).verdict == FAILS
    for relation in ("above", "below"):
        near = decide(claim(side("test_accuracy"), relation, 0.301), runs)
        assert near.p == pytest.approx(1.0) and not near.reversed
