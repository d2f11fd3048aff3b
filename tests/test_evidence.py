"""What a comparison takes of its runs, what its interval rests on, and how wide it is."""

from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats

from conftest import decide, reseal, three_seeds, write_run
from gradscape.claims.verdicts import EQUAL, FAILS, HOLDS, UNDECIDED

# Metrics with known values by image and by step; the rate says which run it is.
METRICS = """
import numpy as np

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
"""


@pytest.fixture
def metric(tmp_path):
    (tmp_path / "metrics.py").write_text(METRICS)
    return lambda name: f"{tmp_path / 'metrics.py'}:{name}"


def values(rate: float) -> np.ndarray:
    return np.random.default_rng(int(1e6 * rate)).normal(0.1, 1, 800)


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


@pytest.mark.parametrize("batch_size, paired", [(100, True), (50, False)])
def test_steps_are_paired_where_both_saw_the_same_minibatches(
    batch_size, paired, metric, tmp_path
):
    runs = [write_run(tmp_path / "1", "vgg08", 1e-3)]
    varied = {"batch_size": batch_size}
    runs.append(write_run(tmp_path / "2", "vgg08", 2e-3, varied=varied))
    sides = [side(metric("over_steps"), learning_rate=rate) for rate in (1e-3, 2e-3)]
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


def test_sizes_by_step_are_compared_by_their_ratio(metric, tmp_path):
    run = write_run(tmp_path, "vgg08")
    found = decide(claim(side(metric("over_sizes")), "above", 0.5), [run])
    means = [batch.mean() for batch in np.array_split(values(1e-3), 8)]
    half = stats.t.ppf(0.975, 7) * np.std(means, ddof=1) / 8**0.5
    middle = values(1e-3).mean() - np.log(0.5)
    assert found.ratio == pytest.approx(np.exp([middle - half, middle + half]))
    assert found.low == pytest.approx(0.5 * np.expm1(middle - half))
    below = decide(claim(side(metric("over_sizes")), "above", -1.0), [run])
    assert below.ratio == [] and below.verdict == HOLDS  # no ratio to a negative number


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


def test_seeds_count_where_both_sides_have_the_same_setting(tmp_path):
    runs = three_seeds(tmp_path, "vgg08", (0.30, 0.31, 0.32))
    for seed, rate in enumerate((1e-3, 1e-3, 1e-2)):
        runs.append(write_run(tmp_path, "vgg38", rate, seed, accuracies=(0.01, 0.2)))
    right = {"metric": "test_accuracy", "where": {"model": "vgg38"}}
    asked = claim(side("test_accuracy"), "above", right, same="learning_rate")
    assert decide(asked, runs).left == [0.30, 0.31]


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
    low = {"losses": (4.6, 2.0)}
    runs = three_seeds(tmp_path, "vgg08", (0.30, 0.31, 0.32), **low)
    runs += three_seeds(tmp_path, "vgg14", (0.20, 0.21, 0.22), **low)
    asked = claim(side("test_accuracy"), "above", 0.1)
    assert decide(asked, runs).basis == "3 seeds, σ of 2 cells"
    short = {"varied": {"train_items": 5000}}
    runs += three_seeds(tmp_path, "vgg20", (0.1, 0.2, 0.3), **short, **low)  # shorter
    runs += three_seeds(tmp_path, "vgg26", (0.1, 0.2, 0.3))  # at chance
    away = three_seeds(tmp_path, "vgg32", (0.1, 0.2, 0.3), **low)
    for run in away:  # elsewhere
        backend = asdict(run.record.backend) | {"kind": "NVIDIA H200"}
        runs.append(reseal(run.path, backend=backend))
    assert decide(asked, runs).basis == "3 seeds, σ of 2 cells"


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
    near = decide(claim(side("test_accuracy"), "above", 0.301), runs)
    assert near.p == pytest.approx(1.0) and not near.reversed
