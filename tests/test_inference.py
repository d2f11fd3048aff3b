"""Intervals and tests against other implementations, and their coverage on made-up runs."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import stdtrit

from gradscape.claims.inference import (
    Estimate,
    Variance,
    bartlett,
    holm,
    of_images,
    of_seeds,
    of_share,
    of_steps,
    pooled,
    seeds_needed,
    variance,
    wilson,
)

RANDOM = np.random.default_rng(5)
CELLS = [RANDOM.normal(mean, 1.0, size) for mean, size in ((0, 3), (1, 3), (5, 4), (2, 5))]


def test_the_intervals_are_those_of_scipy():
    one, two = CELLS[:2]
    welch = of_seeds([one, two], [variance(one), variance(two)])
    expected = stats.ttest_ind(one, two, equal_var=False)
    ends = expected.confidence_interval()
    assert welch.interval() == pytest.approx((ends.low, ends.high))
    assert 2 * welch.below(0) == pytest.approx(expected.pvalue)
    common = pooled([one, two])
    expected = stats.ttest_ind(one, two)
    ends = expected.confidence_interval()
    assert of_seeds([one, two], [common, common]).interval() == pytest.approx(
        (ends.low, ends.high)
    )
    alone = stats.ttest_1samp(one, 0).confidence_interval()
    assert of_seeds([one], [variance(one)]).interval() == pytest.approx(tuple(alone))
    assert bartlett(CELLS) == pytest.approx(stats.bartlett(*CELLS).pvalue)


def test_a_pool_has_all_cells_degrees_of_freedom_or_is_none():
    common = pooled(CELLS)
    assert (common.freedom, common.cells) == (11, 4)
    residuals = np.concatenate([cell - cell.mean() for cell in CELLS])
    assert common.value == pytest.approx((residuals**2).sum() / 11)
    assert pooled([CELLS[0], 1e3 * CELLS[1]]) is None
    assert pooled([CELLS[0], np.ones(3)]) is None  # no scatter beside some
    assert pooled(CELLS[:1]) is None
    assert pooled([*CELLS, np.ones(1)]) == pooled(CELLS)  # one seed has no scatter
    assert pooled([CELLS[0][:2], CELLS[1][:2]]).freedom == 2


def test_a_cell_of_one_seed_borrows_the_pool():
    common = pooled(CELLS)
    wide = of_seeds([CELLS[0][:1], CELLS[1]], [common, common])
    half = stats.t.ppf(0.975, 11) * np.sqrt(common.value * (1 + 1 / 3))
    assert wide.interval()[1] - wide.difference == pytest.approx(half)


def test_two_pools_have_satterthwaites_degrees_of_freedom():
    first, second = pooled(CELLS[:2]), pooled(CELLS[2:])
    both = of_seeds([CELLS[0], CELLS[2]], [first, second])
    parts = first.value / 3, second.value / 4
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 4 + parts[1] ** 2 / 7)
    assert (both.freedom, both.error) == pytest.approx((freedom, sum(parts) ** 0.5))


def test_images_are_paired_as_mcnemar_does():
    right = np.zeros(10_000)
    right[:3000] = 1
    other = right.copy()
    other[2900:3000], other[3000:3200] = 0, 1  # 100 and 200 that only one gets right
    found = of_images(other - right)
    assert found.difference == 0.01
    statistic = (200 - 100) / np.sqrt(300)  # McNemar's, without a correction
    assert found.difference / found.error == pytest.approx(statistic, rel=0.01)
    assert of_images(np.zeros(100)).error > 0  # two networks that agree on all of few
    few = of_images(np.array([1] * 30 + [0] * 70))
    assert few.error == pytest.approx(((32 / 104 - 0.3**2) / 104) ** 0.5)


def test_a_share_of_images_has_one_more_of_each():
    share = 4 / 12
    assert of_share(3, 10).value == pytest.approx(share * (1 - share) / 12)


def test_a_share_of_runs_has_wilsons_interval():
    for count in (0, 1, 9, 10):
        ends = stats.binomtest(count, 10).proportion_ci(method="wilson")
        assert wilson(count, 10) == pytest.approx((ends.low, ends.high))


def test_holm_is_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0] and holm([]) == []
    assert holm([0.9, 0.95]) == [1.0, 1.0]


def test_the_seeds_that_would_decide_do():
    """With as many, a difference as large as this one is just told from none."""
    count = seeds_needed(0.8, Variance(1.0, 4, 4), sides=2, level=0.05)
    for seeds, decides in ((count, True), (count - 1, False)):
        known = Variance(1.0, 4 * (seeds - 1), 4)
        shift = np.full(seeds, 0.8), np.zeros(seeds)
        low, _ = of_seeds(shift, [known, known]).interval()
        assert (low >= 0) == decides


def test_a_pool_of_two_cells_is_known_better_than_one():
    """The seeds of one cell beside a constant: with a pool of two, freedom is doubled."""
    pooled_, alone = (seeds_needed(0.8, Variance(1.0, 2, n), 1, 0.05) for n in (2, 1))
    for seeds, freedom in ((pooled_, 2 * (pooled_ - 1)), (alone, alone - 1)):
        assert stats.t.ppf(0.975, freedom) * seeds**-0.5 <= 0.8
    assert stats.t.ppf(0.975, 2 * (pooled_ - 2)) * (pooled_ - 1) ** -0.5 > 0.8
    assert pooled_ < alone and seeds_needed(1e-9, Variance(1.0, 2), 2, 0.05) is None
    assert seeds_needed(99.0, Variance(1.0, 2), 2, 0.05) == 2
    two = seeds_needed(0.8, Variance(1.0, 2), sides=2, level=0.05)
    for seeds, decides in ((two, True), (two - 1, False)):  # two cells, no pool
        half = stats.t.ppf(0.975, 2 * (seeds - 1)) * (2 / seeds) ** 0.5
        assert (half <= 0.8) == decides


def test_no_more_seeds_are_counted_than_anyone_has():
    """A thousand, as docs/statistics.md says."""
    last = float(stdtrit(999, 0.975)) * (1 / 1000) ** 0.5
    assert seeds_needed(last, Variance(1.0, 2), 1, 0.05) == 1000
    assert seeds_needed(0.9999 * last, Variance(1.0, 2), 1, 0.05) is None


def test_without_scatter_a_difference_is_itself():
    same = [np.zeros(2), np.full(2, -1.0)]
    sure = of_seeds(same, [variance(cell) for cell in same])
    assert (sure.difference, sure.error, sure.log) == (1.0, 0.0, False)
    assert (sure.above(1.0), sure.above(0.5), sure.below(1.5)) == (1.0, 0.0, 0.0)
    assert Estimate(1.0, 0.0, np.inf).interval() == (1.0, 1.0)


def test_steps_that_depend_on_each_other_have_a_wider_interval():
    noise = np.random.default_rng(0).normal(size=4000)
    lasting = noise[:-1] + 0.4 * noise[1:]
    assert of_steps(lasting).error > 1.1 * of_steps(noise).error
    assert of_steps(np.repeat(noise[::4], 4)) is None
    assert of_steps(noise[:15]) is None
    means = np.arange(8) / 100
    swinging = np.concatenate([mean + np.array([3.0, -3.0] * 2) for mean in means])
    found = of_steps(swinging)
    assert found.error == pytest.approx(means.std(ddof=1) / 8**0.5)
    assert (found.freedom, found.log) == (7, False)
    assert of_steps(swinging[:16]) is not None and of_steps(swinging, True).log
    assert of_steps(np.append(noise, np.inf)) is None
