"""Verdicts follow the runs and their scatter, and every sentence follows the verdicts."""

import html
import json
import re
import shutil
from dataclasses import asdict, replace
from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from conftest import (
    ALL,
    ROOT,
    claims,
    decide,
    decide_and_tabulate,
    finished,
    reseal,
    three_seeds,
    write_document,
    write_run,
)
from gradscape.base.errors import GradscapeError
from gradscape.claims import registered
from gradscape.claims.files import as_lines, decide_studies, read_verdicts
from gradscape.claims.inference import Estimate, of_seeds, variance
from gradscape.claims.sentences import compared
from gradscape.claims.sentences import sentence as chosen
from gradscape.claims.sides import Measurements
from gradscape.claims.verdicts import (
    EQUAL,
    FAILS,
    HOLDS,
    SEEN,
    UNDECIDED,
    UNMEASURED,
    Comparison,
    decide_all,
)
from gradscape.config.claimed import check_claimed
from gradscape.config.experiment import Experiment
from gradscape.pipeline.jobs import Dag
from gradscape.report.colophon import colophon
from gradscape.report.escape import latex
from gradscape.report.page import write_page
from gradscape.report.template import write_tex
from gradscape.report.view import StudyView, view_studies
from gradscape.runs.record import Revision
from gradscape.runs.run import FinishedRun, best_setting, results_table
from gradscape.spec.registry import find
from gradscape.spec.sentences import TELLINGS, choose
from gradscape.spec.study import matches


def decided(runs, study="degradation") -> dict[str, str]:
    return {n: v.verdict for n, v in decide_all(claims(study), runs).items()}


def test_claims_follow_the_runs(tmp_path):
    runs = three_seeds(tmp_path, "vgg38", (0.01, 0.01, 0.01), gradients=(1e-12, 1e-3))
    runs += three_seeds(tmp_path, "vgg38-rc", (0.30, 0.31, 0.29), losses=(4.0, 3.0))
    runs += three_seeds(tmp_path, "vgg38-bn", (0.29, 0.32, 0.30))
    says = decided(runs)
    assert says["vgg38-does-not-train"] == says["vgg38-gradient-vanishes"] == HOLDS
    assert says["rc-cures"] == HOLDS
    assert says["rc-beats-bn"] == UNDECIDED
    assert says["both-beat-rc"] == UNMEASURED
    steps = np.repeat((4.6, 2.0), 16)
    trained = [write_run(tmp_path / "b", "vgg38", losses=(4.6, 2.0), steps=steps)]
    assert decided(trained)["vgg38-does-not-train"] == FAILS


@pytest.mark.parametrize(
    "values, margin, above, near",
    [
        # Student's t of 3: the interval is the mean ± 2.48 standard deviations.
        ([0.02, 0.03, 0.04], 0, HOLDS, FAILS),  # 0.03 ± 0.025
        ([0.01, 0.03, 0.05], 0, UNDECIDED, UNDECIDED),  # 0.03 ± 0.05
        ([-0.02, -0.03, -0.04], 0, FAILS, FAILS),
        ([0.02, 0.03, 0.04], 0.01, UNDECIDED, UNDECIDED),  # margin within the interval
        ([0.001, 0.0, -0.001], 0.01, EQUAL, HOLDS),
        ([0.051, 0.05, 0.049], 0.06, EQUAL, HOLDS),
        ([-0.071, -0.07, -0.069], 0.06, FAILS, FAILS),
    ],
)
def test_a_difference_counts_with_its_uncertainty(values, margin, above, near):
    left = np.array(values)
    opposite = {HOLDS: FAILS, FAILS: HOLDS}
    for sign, relation in ((1, "above"), (-1, "below")):
        estimate = of_seeds([sign * left], [variance(left)])
        assert Comparison(relation, estimate, -margin, margin).word() == above
        assert Comparison("near", estimate, -margin, margin).word() == near
        apart = Comparison("apart", estimate, -margin, margin).word()
        assert apart == opposite.get(near, UNDECIDED)


def test_p_values_are_two_sided_and_for_equality_the_larger_doubled():
    """The differences 0.5 and 0.05, of a margin of 0.1, with an error of 0.2 and 0.02."""
    student = stats.t(4)
    far, near = Estimate(0.5, 0.2, 4), Estimate(0.05, 0.02, 4)
    for relation, estimate, p, distance in (
        ("above", far, 2 * student.sf(2), 0.4),
        ("below", far, 2 * student.sf(3), 0.6),
        ("near", far, 2 * student.sf(2), 0.4),
        ("apart", far, 2 * student.sf(2), 0.4),
        ("near", near, 2 * student.sf(2.5), 0.05),
        ("above", Estimate(0.1, 0.2, 4), 1.0, 0.0),
        ("near", Estimate(0.0, 9.0, 4), 2 * student.sf(0.1 / 9), 0.1),
        ("near", Estimate(0.1, 0.0, 4), 1.0, 0.0),  # without scatter, at the very end
    ):
        test = Comparison(relation, estimate, -0.1, 0.1)
        assert test.p == pytest.approx(p) and test.p <= 1
        assert test.distance == pytest.approx(distance)
    asymmetric = Comparison("near", Estimate(0.3, 0.1, 4), -0.2, 0.4)
    assert asymmetric.p == pytest.approx(2 * student.sf(1))
    assert Comparison("apart", Estimate(-0.5, 0.1, 4), -0.2, 0.4).p == pytest.approx(
        2 * student.sf(3)
    )


def test_a_table_says_why_a_claim_is_open(tmp_path):
    runs = three_seeds(tmp_path, "vgg08", (0.30, 0.31, 0.32))
    side = {"metric": "test_accuracy", "where": {"model": "vgg08"}}
    claim = {"statement": "s", "source": "s", "left": side, "is": "above", "right": 0.27}
    claim |= {"style": "accuracy", "threshold": "theirs"}
    six = decide_all({str(n): claim for n in range(6)}, runs)["0"]
    assert six.word == (
        f"undecided, p = {six.adjusted:.2g}; {six.seeds} seeds on one device might do"
    )
    assert (six.threshold, six.cited, six.reversed) == ("theirs", "s", False)
    ours = {key: value for key, value in claim.items() if key != "threshold"}
    alone = decide(ours, runs)
    assert (alone.word, alone.seeds) == (f"holds, p = {alone.p:.2g}", None)
    assert (alone.threshold, alone.cited) == ("ours", "s (threshold: ours)")
    wide = decide(ours | {"right": 0.305}, runs)
    assert wide.word.startswith(f"undecided, p = {wide.p:.2g}; ")
    # With so many the interval ends where the claim does; three are known to be too few.
    half = stats.t(wide.seeds - 1).ppf(0.975) * 0.01 / wide.seeds**0.5
    assert (
        half <= 0.005 < stats.t(wide.seeds - 2).ppf(0.975) * 0.01 / (wide.seeds - 1) ** 0.5
    )


@pytest.mark.parametrize(
    "relation, right, is_reversed",
    [("above", 0.4, True), ("below", 0.2, True), ("above", 0.2, False),
     ("below", 0.4, False), ("near", 0.4, False), ("apart", 0.3, False)],
)  # fmt: skip
def test_a_claim_is_reversed_where_the_opposite_holds(
    relation, right, is_reversed, tmp_path
):
    runs = three_seeds(tmp_path, "vgg08", (0.299, 0.3, 0.301))
    side = {"metric": "test_accuracy", "where": {"model": "vgg08"}}
    claim = {"statement": "s", "source": "s", "left": side, "is": relation, "right": right}
    found = decide(claim | {"margin": 0.01}, runs)
    assert found.reversed == is_reversed
    assert (found.verdict == HOLDS) == (not is_reversed and relation in ("above", "below"))


def test_a_share_of_runs_is_counted_and_has_wilsons_interval(tmp_path):
    """Three of four networks train: above a half, with an interval that says little."""
    runs = [
        write_run(tmp_path, "vgg08", seed=n, losses=(4.6, loss))
        for n, loss in enumerate((2.0, 2.0, 2.0, 4.6))
    ]
    side = {"metric": "share_that_trains", "where": {"model": "vgg08"}}
    runs = [reseal(r.path, settings=r.settings | {"seed": 0}) for r in runs]
    claim = {"statement": "s", "source": "s", "left": side, "is": "above", "right": 0.5}
    found = decide(claim, runs)
    assert (found.verdict, found.left, found.basis) == (HOLDS, [0.75], "4 runs, counted")
    ends = stats.binomtest(3, 4).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((ends.low - 0.5, ends.high - 0.5))
    assert decide(claim | {"right": 0.75}, runs).verdict == FAILS
    assert decide(claim | {"right": 0.75, "is": "near"}, runs).verdict == HOLDS
    assert decide(claim | {"right": 0.75, "is": "apart"}, runs).verdict == FAILS
    assert decide(claim | {"right": 0.75, "is": "below"}, runs).verdict == FAILS


def test_shares_of_runs_are_of_all_seeds_and_two_have_newcombes_interval(tmp_path):
    """9 of 10 against 3 of 10, as Newcombe's method 10 has it in its own words."""
    runs = [
        write_run(tmp_path, model, seed=seed, losses=(4.6, 2.0 if seed < count else 4.6))
        for model, count in (("vgg08", 9), ("vgg38", 3))
        for seed in range(10)
    ]
    deep, flat = (
        {"metric": "share_that_trains", "where": {"model": model}}
        for model in ("vgg38", "vgg08")
    )
    claim = {"statement": "s", "source": "s", "left": flat, "is": "above", "right": 0.5}
    found = decide(claim, runs)
    nine, three = (
        stats.binomtest(count, 10).proportion_ci(method="wilson") for count in (9, 3)
    )
    assert (found.left, found.basis) == ([0.9], "10 runs, counted")
    assert (found.low, found.high) == pytest.approx((nine.low - 0.5, nine.high - 0.5))
    found = decide(claim | {"right": deep}, runs)
    low = 0.6 - ((0.9 - nine.low) ** 2 + (three.high - 0.3) ** 2) ** 0.5
    high = 0.6 + ((nine.high - 0.9) ** 2 + (0.3 - three.low) ** 2) ** 0.5
    assert (found.verdict, found.basis) == (HOLDS, "10 + 10 runs, counted")
    assert (found.low, found.high) == pytest.approx((low, high))


def test_single_runs_of_two_devices_are_not_compared(tmp_path):
    runs = [write_run(tmp_path, m, accuracies=(0.01, 0.4)) for m in ("vgg08", "vgg38")]
    left, right = (
        {"metric": "test_accuracy", "where": {"model": model}}
        for model in ("vgg08", "vgg38")
    )
    claim = {"statement": "s", "source": "s", "left": left, "is": "near", "right": right}
    assert decide(claim | {"margin": 0.2}, runs).verdict == HOLDS
    other = replace(runs[1].record.backend, kind="NVIDIA H200")
    apart = [runs[0], reseal(runs[1].path, backend=other)]
    found = decide(claim | {"margin": 0.2}, apart)
    assert (found.verdict, found.basis) == (UNDECIDED, "runs of several devices")


def test_a_cell_with_a_zero_leaves_those_that_have_a_ratio_theirs(tmp_path):
    """Where numbers are compared by their ratio, a dead network's gradient has none."""
    names = ("vgg08", "vgg38")
    runs = [
        run
        for model, first in zip(names, (1e-3, 5e-3), strict=True)
        for run in three_seeds(tmp_path, model, (0.3,) * 3, gradients=(first, 1e-2))
    ]
    left, right = ({"metric": "gradient_ratio", "where": {"model": m}} for m in names)
    claim = {"statement": "s", "source": "s", "left": left, "is": "below", "right": right}
    assert decide(claim, runs).verdict == HOLDS
    dead = three_seeds(tmp_path, "vgg38-bn", (0.3,) * 3, gradients=(0.0, 1e-2))
    found = decide(claim, runs + dead)
    assert found.verdict == HOLDS and np.isfinite(found.low)


def test_runs_of_one_device_each_are_not_compared(tmp_path):
    """No kind has runs of both sides: all numbers are shown, and none left out."""
    runs = []
    for model, kind in (("vgg38-rc", "CPU AVX2"), ("vgg38-bn", "NVIDIA H200")):
        for run in three_seeds(tmp_path, model, (0.3, 0.31, 0.32)):
            backend = asdict(run.record.backend) | {"kind": kind}
            runs.append(reseal(run.path, backend=backend))
    found = decide(claims("degradation")["rc-beats-bn"], runs)
    assert (found.verdict, len(found.left), len(found.right)) == (UNDECIDED, 3, 3)
    assert found.basis == "3 + 3 seeds, several or unknown devices" and not found.left_out


def test_a_diverged_run_proves_no_claim(tmp_path):
    claim, more = claims("degradation")["depth-degrades"], {"accuracies": (0.1,)}
    runs = [write_run(tmp_path, "vgg08-bn", seed=n, losses=(2.0,), **more) for n in (0, 1)]
    for losses, verdict in (((np.nan, np.nan), FAILS), ((3.0, np.nan), UNDECIDED)):
        folder = tmp_path / str(losses[0])
        deep = [
            write_run(folder, "vgg38-bn", seed=s, losses=(loss,), **more)
            for s, loss in enumerate(losses)
        ]
        assert decide(claim, [*runs, *deep]).verdict == verdict


def test_one_seed_is_judged_by_the_images(tmp_path):
    """Two networks of 30 and 31 % on 10,000 images: independent, the interval of the
    difference is ±1.3 points; paired, with 300 images that only one gets right, ±0.34."""
    runs = [
        write_run(tmp_path, "vgg38-rc", accuracies=(0.01, 0.31)),
        write_run(tmp_path, "vgg38-bn", accuracies=(0.01, 0.30)),
    ]
    claim = claims("degradation")["rc-beats-bn"]
    alone = decide(claim, runs)
    assert (alone.verdict, alone.basis) == (UNDECIDED, "10,000 images")
    assert alone.high - alone.low == pytest.approx(2 * 0.0127, rel=0.01)
    right = np.zeros(10_000, bool)
    right[:3000] = True
    better = right.copy()
    better[2900:3000], better[3000:3200] = False, True
    for run, which in zip(runs, (better, right), strict=True):
        np.savez(
            run.path / "predictions.npz",
            predicted=np.zeros(10_000, np.uint8),
            confidence=np.zeros(10_000, np.uint8),
            right=which,
        )
    runs = [reseal(run.path) for run in runs]
    paired = decide(claim, runs)
    assert paired.verdict == HOLDS
    expected = 1.96 * np.sqrt((0.03 - 0.01**2) / 10_000)
    assert paired.high - paired.low == pytest.approx(2 * expected, rel=5e-3)


@pytest.mark.parametrize("loss, verdict", [(1.0, HOLDS), (4.6, UNMEASURED)])
def test_a_claim_is_not_judged_where_one_that_it_is_given_fails(loss, verdict, tmp_path):
    steps = np.repeat((4.6, loss), 16)
    runs = [write_run(tmp_path, "vgg08", losses=(4.6, loss), steps=steps)]
    side = {"metric": "final_train_loss", "where": {"model": "vgg08"}}
    claim = {"statement": "s", "source": "s", "left": side, "is": "below"}
    trains = claim | {"right": "chance_loss", "margin": 0.1}
    both = {"low": claim | {"right": 5.0, "given": "trains"}, "trains": trains}
    assert decide_all(both, runs)["low"].verdict == verdict


def test_only_what_was_asked_before_and_measured_is_in_the_family(tmp_path):
    """Also what asks on a ground that is refuted, which is known only afterwards."""
    runs = [write_run(tmp_path, "vgg08", accuracies=(0.01, 0.31))]
    asked = {"statement": "s", "source": "s", "is": "above"}
    accuracy = {"metric": "test_accuracy", "where": {"model": "vgg08"}}
    parameters = accuracy | {"metric": "parameters"}
    deep = accuracy | {"where": {"model": "vgg38"}}
    claims = {
        "tests": asked | {"left": accuracy, "right": 0.27},
        "fact": asked | {"left": parameters, "right": 2},
        "missing": asked | {"left": deep, "right": 0.27},
        "later": asked | {"left": accuracy, "right": 0.35},
        "given": asked | {"left": accuracy, "right": 0.1, "given": "later"},
    }
    stood = {name: registered.digest(c) for name, c in claims.items() if name != "later"}
    found = decide_all(claims, runs, {"unknown": stood})  # the revision of these runs
    assert found["tests"].adjusted == 2 * found["tests"].p
    assert {name: verdict.word.split(",")[0] for name, verdict in found.items()} == {
        "tests": f"{HOLDS} for these networks",
        "fact": FAILS,
        "missing": UNMEASURED,
        "later": "seen",
        "given": UNMEASURED,
    }
    assert found["later"].word == "seen, not tested: not as claimed"
    assert found["given"].reading == found["missing"].reading == ""


def test_what_rests_on_a_refuted_claim_is_not_judged_however_long_the_chain(tmp_path):
    """In whatever order they are written, nor is it taken out of the family afterwards."""
    runs = three_seeds(tmp_path, "vgg08", (0.30, 0.31, 0.32))
    side = {"metric": "test_accuracy", "where": {"model": "vgg08"}}
    asked = {"statement": "s", "source": "s", "left": side, "is": "above", "right": 0.1}
    chain = {
        "third": asked | {"given": "second"},
        "second": asked | {"given": "first"},
        "first": asked | {"right": 0.5},
    }
    for names in (list(chain), list(chain)[::-1]):
        found = decide_all({name: chain[name] for name in names}, runs)
        words = [found[name].verdict for name in ("first", "second", "third")]
        assert words == [FAILS, UNMEASURED, UNMEASURED]
    later = {"unknown": {name: registered.digest(asked) for name in chain}}
    assert decide_all(chain, runs, later)["third"].asked == "after"
    older = {name: registered.digest(claim, 12) for name, claim in chain.items()}
    assert decide_all(chain, runs, {"unknown": older})["third"].asked == "before"
    study = {"title": "s", "dataset": "cifar100", "model": "vgg08"}
    study |= {"claims": {"a": asked | {"given": "b"}, "b": asked | {"given": "a"}}}
    with pytest.raises(GradscapeError, match=r"claims\.a\.given: goes round in a circle"):
        Experiment({"title": "t", "results": "r", "studies": {"s": study}})


@pytest.mark.parametrize("older, asked", [("first", "before"), ("own", "after")])
def test_another_studys_runs_may_be_older_than_the_claim(older, asked, tmp_path):
    studies = {}
    for study in ("own", "first"):
        run = write_run(tmp_path / study, "vgg08")
        commit = Revision("0ld" if study == older else None, None)
        studies[study] = [reseal(run.path, revision=commit)]
    side = {"metric": "test_accuracy", "where": {"model": "vgg08"}}
    claim = {"statement": "s", "source": "s", "left": side, "is": "above"}
    claim["right"] = side | {"study": "first"}
    stood = {"unknown": {"c": registered.digest(claim)}}
    own, others = studies["own"], {"first": studies["first"]}
    found = decide_all({"c": claim}, own, stood, others)["c"]
    assert found.asked == asked
    assert found.right_runs == [[f"first/{own[0].path.name}"]]


def test_claims_about_a_run_that_was_chosen_count_as_asked_later(tmp_path):
    """While runs of the revision that the other came from stay, or if nobody knows which
    that was; other claims do not."""
    runs = [write_run(tmp_path, model) for model in ("vgg08", "vgg38")]
    asked = {"statement": "s", "source": "s", "is": "above", "right": 0.1}
    for commit, word in (("unknown", "after"), ("0ld", "before"), (None, "after")):
        old = {"kind": "CPU", "final_train_loss": 2.3} | (
            {"commit": commit} if commit else {}
        )
        (runs[0].path / "replaced.json").write_text(json.dumps([old]))
        for model, when in (("vgg08", word), ("vgg38", "before")):
            left = {"metric": "test_accuracy", "where": {"model": model}}
            found = decide(asked | {"left": left}, [FinishedRun(run.path) for run in runs])
            assert found.asked == when and (found.verdict == SEEN) == (when == "after")


@pytest.mark.parametrize("scatter, verdict", [(0.01, HOLDS), (1.0, UNDECIDED)])
def test_medians_over_steps_are_judged_by_their_scatter(scatter, verdict, tmp_path):
    """A gradient that changes a fifth less with batch normalisation, in the median."""
    runs = []
    for model, middle in (("vgg-a", 0.5), ("vgg-a-bn", 0.4)):
        run = write_run(tmp_path, model)
        steps = np.arange(11, 41)
        random = np.random.default_rng(len(model))
        changes = middle * np.exp(scatter * random.standard_normal(len(steps)))
        np.savez(
            run.path / "steps.npz",
            loss=np.ones(40),
            steps_per_epoch=10,
            probed_step=steps,
            probed_size=np.full((len(steps), 1), 0.1),
            probed_gradient_norm=np.ones(len(steps)),
            probed_gradient_distance=changes[:, None],
            probed_loss=np.ones((len(steps), 1)),
            probed_loss_here=np.ones(len(steps)),
        )
        runs.append(reseal(run.path))
    claim = decide(claims("landscape")["bn-steadies-relative-gradient"], runs)
    assert (claim.verdict, claim.basis) == (verdict, "30 steps, paired")
    assert claim.low < claim.effect < claim.high


def test_bands_over_different_rates_are_not_compared(tmp_path):
    def banded(model, rate, losses):
        steps = np.repeat(losses, 16)
        return write_run(tmp_path, model, rate, losses=losses, steps=steps)

    runs = [
        banded("vgg-a", 1e-3, (2.0, 2.0)),
        banded("vgg-a", 1e-4, (2.0, 1.0)),
        banded("vgg-a-bn", 1e-3, (2.0, 1.5)),
    ]
    assert decided(runs, "landscape")["bn-narrows-band"] == UNMEASURED
    runs.append(banded("vgg-a-bn", 1e-4, (2.0, 1.25)))
    claim = decide(claims("landscape")["bn-narrows-band"], runs)
    assert (claim.verdict, claim.left, claim.right) == (HOLDS, [0.25], [1.0])


def test_what_else_the_grid_varies_is_never_averaged_over(tmp_path):
    runs = [
        write_run(tmp_path, model, accuracies=(0.1, best), varied={"schedule": schedule})
        for model, schedule, best in (
            ("vgg38", "cosine", 0.2),
            ("vgg38", "constant", 0.3),
            ("vgg38-rc", "cosine", 0.4),
            ("vgg38-rc", "constant", 0.1),
        )
    ]
    assert decided(runs)["rc-cures"] == UNDECIDED
    assert [run.variant for run in best_setting(runs)] == ["schedule-cosine"]


@pytest.mark.parametrize("study, name", ALL)
def test_every_claim_is_flipped_by_doctored_numbers(study, name, tmp_path, monkeypatch):
    """Whatever a claim's metric says, the verdict follows the two numbers."""
    claim = claims(study)[name]
    runs, sides = {}, [s for s in (claim["left"], claim["right"]) if isinstance(s, dict)]
    seeds = 1 if hasattr(find("metric", claim["left"]["metric"]), "counts") else 3
    for side in sides:
        for where in each(side["where"]):
            run = (where.get("model", "vgg08"), where.get("learning_rate", 1e-3))
            varied = {k: v for k, v in where.items() if k not in ("model", "learning_rate")}
            varied = {k: v for k, v in varied.items() if v != ""}
            for seed in range(seeds):
                key = str((run, varied, seed))
                if key not in runs:
                    folder = tmp_path / str(len(runs))
                    runs[key] = write_run(folder, *run, seed=seed, varied=varied)
    right = claim["right"] if isinstance(claim["right"], int | float) else 0.5
    right = np.log(100) if claim["right"] == "chance_loss" else right
    factor = claim["right"].get("times", 1) if isinstance(claim["right"], dict) else 1
    margin = claim.get("margin", 0) + claim.get("relative_margin", 0) * right * factor
    number = dict.fromkeys(("left", "right"), 0.0)

    def value(self, metric, group):
        is_left = metric == claim["left"]["metric"]
        is_left &= matches(group[0].traits, claim["left"]["where"])
        scatter = (2e-6 if is_left else 1e-6) * group[0].seed
        return number["left" if is_left else "right"] + scatter

    monkeypatch.setattr(Measurements, "value", value)
    metric = find("metric", claim["left"]["metric"])
    if hasattr(metric, "estimate"):
        fitted = lambda runs: Estimate(number["left"], 1e-6, np.inf)  # noqa: E731
        monkeypatch.setattr(metric, "estimate", fitted)
    found = set()
    beyond = margin + abs(right * factor) + 1
    for far in (beyond, -beyond, 0.0):
        number |= {"left": right * factor + far, "right": right}
        found.add(decide(claim, list(runs.values())).verdict)
    assert {HOLDS} < found & {HOLDS, FAILS, EQUAL}


def each(where: dict) -> list[dict]:
    """The settings that a `where` names, one value each."""
    lists = [v if isinstance(v, list) else [v] for v in where.values()]
    return [dict(zip(where, values, strict=True)) for values in product(*lists)]


# Sections


SECTIONS = ["degradation", "schedules", "landscape", "landscape-paper", "sharpness"]
SECTIONS += ["depth", "initialisation", "shortcuts", "folding", "rates", "optimisers"]
SECTIONS += ["accuracy", "regularisation", "transfer", "theory"]
SLIPS = [r"\?\?", r"\bnan\b", r"\(s\)", r"\b1 (runs|epochs|images|seeds)\b", r"\(\s*\)"]
SLIPS += [
    r"\[(left|right|difference|points)\]",
    r"  +\.",
    r"\bNone\b(?! of)",
    r"\s,",
    r"\.\s*\.",
]


@pytest.fixture(scope="module")
def viewed(tmp_path_factory):
    """The full configuration, each study with about half of one seed's runs."""
    folder = tmp_path_factory.mktemp("viewed")
    experiment = Experiment.from_file(ROOT / "config" / "config.yaml", folder)
    for study in SECTIONS:
        runs = experiment.studies[study].runs
        first = [run for run in runs if run.settings.seed == runs[0].settings.seed]
        finished(experiment, study, first[: len(first) // 2 + 1], folder, losses=(4.0,),
                 accuracies=(0.3,))  # fmt: skip
    decide_and_tabulate(experiment)
    return experiment, view_studies(experiment)


@pytest.mark.parametrize("verdict", [HOLDS, FAILS, "reversed", UNDECIDED, UNMEASURED])
@pytest.mark.parametrize("document", [*SECTIONS, "report"])
def test_a_document_reads_well_whatever_the_verdicts(document, verdict, viewed):
    """With every verdict on all of its claims, with runs missing, of one seed and epoch."""
    experiment, views = viewed
    verdict, is_reversed = (FAILS, True) if verdict == "reversed" else (verdict, False)
    sides = {} if verdict == UNMEASURED else {"left": [0.3], "right": [0.2]}
    doctored = {}
    for name in SECTIONS if document == "report" else [document]:
        view = views[name]
        changed = {"verdict": verdict, "reversed": is_reversed} | sides
        claims = {n: replace(v, **changed) for n, v in view.claims.items()}
        decided = view.decided._replace(claims=claims)
        doctored[name] = StudyView(view.study, view.results, decided)
    write_tex(experiment, document, views | doctored)
    text = experiment.results.tex(document).read_text()
    body = text[text.index(r"\begin{document}") :]
    prose = re.sub(r"\\begin\{(equation|align|gather|table)\*?\}.*?\\end\{\1\*?\}", "",
                   body, flags=re.S)  # fmt: skip
    for slip in SLIPS:
        found = re.search(slip, prose)
        assert not found, prose[max(found.start() - 80, 0) : found.end() + 40]
    assert verdict in text


MINE = r"""
it-learns:
  statement: It learns 50 % & more_of it. Its accuracy is above a tenth.
  source: me
  style: accuracy
  left: {metric: test_accuracy, where: {model: vgg08}}
  is: above
  right: 0.1
  holds: 'In [epochs]: 50 % & more_of it, $\eta=10^{-3}$, [left] \citep[p. 3]{he2016}.'
  fails: It does not ((= 6 * 7 =)) {{ 6 * 7 }} learn ([left], \$, \[left]).
it-is-best:
  statement: In the end, it is better than the deep one. Its accuracy is higher.
  source: me
  style: accuracy
  left: {metric: test_accuracy, where: {model: vgg08}}
  is: above
  right: {metric: test_accuracy, where: {model: vgg38}}
  holds: It is better.
  fails: It is worse.
"""


@pytest.mark.parametrize(
    "accuracy, latex, plain",
    [
        (
            0.3,
            r"In 200 epochs: 50 \% \& more\_of it, $\eta=10^{-3}$, "
            r"30.0\,\% \citep[p. 3]{he2016}.",
            "In 200 epochs: 50 % & more_of it, η = 10⁻³, 30.0 % (He et al. 2016).",
        ),
        (
            0.05,
            r"It does not ((= 6 {*} 7 =)) \{\{ 6 {*} 7 \}\} learn (5.0\,\%, \$, {[}left]).",
            "It does not ((= 6 * 7 =)) {{ 6 * 7 }} learn (5.0 %, $, [left]).",
        ),
    ],
)
def test_a_claim_is_added_in_one_place(accuracy, latex, plain, tmp_path, capsys):
    """With its sentences, in a file of the user's; found wherever claims are shown."""
    (tmp_path / "mine.yaml").write_text(MINE)
    study = {"title": "Mine", "dataset": "cifar100", "claims": str(tmp_path / "mine.yaml")}
    study |= {"grid": {"model": ["vgg08", "vgg38"]}, "epochs": 200, "schedule": "cosine"}
    config = {"title": "T", "results": str(tmp_path), "studies": {"mine": study}}
    experiment = Experiment(config)
    runs = experiment.studies["mine"].runs
    finished(experiment, "mine", runs, tmp_path, losses=(4.0,), accuracies=(accuracy,))
    assert latex in write_document(experiment)
    openly = "It is open whether, in the end, it is better than the deep one ("
    assert openly in write_document(experiment, "mine")
    write_page(experiment)
    page = html.unescape(experiment.results.page.read_text())
    table = pd.read_csv(experiment.results.claims_csv)
    print(*as_lines(decide_studies(experiment, anew=False)), sep="\n")
    for text in (page, "\n".join(table["sentence"]), capsys.readouterr().out):
        assert plain in text and openly in text


def test_a_course_has_a_document_with_its_own_questions(tmp_path):
    texts = {}
    for year in (2021, 2024):
        config = {
            "extends": str(ROOT / "config" / "config.yaml"),
            "courses": {"edinburgh": {"year": year, "name": "A. B.", "number": "s1234567"}},
        }
        experiment = Experiment(config, tmp_path / str(year))
        runs = experiment.studies["degradation"].runs
        finished(experiment, "degradation", runs[:3], tmp_path / str(year))
        write_document(experiment, "edinburgh")
        texts[year] = (tmp_path / str(year) / "report" / "edinburgh.tex").read_text()
        assert "A. B., s1234567" in texts[year] and "(Question 1)" in texts[year]
        assert "VGG-A" not in texts[year]
    assert "Batch normalisation (Question 2)." in texts[2021]
    assert "Capacity or optimisation? (Question 2)" in texts[2024]


def test_a_course_that_cannot_be_is_named():
    for courses, sentence in (
        ({"edinburg": {}}, "courses.edinburg: unknown course 'edinburg' .did you mean"),
        (
            {"edinburgh": {"year": 2019}},
            "courses.edinburgh.year: 2019 is unknown; it takes 2021 or 2024",
        ),
    ):
        config = {"extends": str(ROOT / "config" / "config.yaml"), "courses": courses}
        with pytest.raises(Exception, match=sentence):
            Experiment(config)


def test_a_sentence_that_is_not_written_falls_back(tmp_path):
    claim = {"statement": "It learns.", "holds": "Yes.", "fails": "No.", "equal": "Both."}
    claim |= {"left": {"metric": "test_accuracy", "where": {"model": "vgg08"}}}
    claim |= {"is": "above", "right": 0.1, "source": "s"}
    runs = three_seeds(tmp_path, "vgg08", (0.9, 0.89, 0.91))
    verdict = decide(claim, runs)
    worse = replace(verdict, verdict=FAILS, reversed=True)
    assert (chosen(claim, verdict), chosen(claim, worse)) == ("Yes.", "No.")
    assert chosen(claim | {"reversed": "Worse."}, worse) == "Worse."
    late = replace(verdict, verdict=SEEN)
    assert chosen(claim, late) == r"Yes.$^\dagger$"
    assert chosen(claim | {"seen": "It did."}, late) == r"It did.$^\dagger$"
    assert chosen(claim, replace(verdict, rests="networks")) == r"Yes.$^\ddagger$"
    assert chosen(claim, replace(verdict, verdict=UNMEASURED)) == ""
    openly = "It is open whether it learns ([left] against [right])."
    assert chosen(claim, replace(verdict, verdict=UNDECIDED)) == openly
    assert choose(claim, ("equal", "undecided"), "s") == "Both."
    assert chosen(claim, verdict, "abstract") == ""


TOLD = [
    (study, name, telling)
    for study, name in ALL
    for telling in ("", *TELLINGS)
    if "holds" in (claims(study)[name].get(telling, {}) if telling else claims(study)[name])
]


def test_every_sentence_is_told_in_its_place():
    """A claim with sentences is named in its study's section, or where else they belong."""
    folders = {"abstract": "conclusions", "": "sections", "clause": "sections"}
    for study, name, telling in TOLD:
        template = ROOT / "report" / "courses" / "edinburgh.tex.j2"
        if telling != "ending":
            template = ROOT / "report" / folders[telling] / f"{study}.tex.j2"
        if not template.exists():  # told by study.tex.j2
            continue
        call = f'"{name}", "{telling}"' if telling == "abstract" else f'"{name}"'
        assert call in template.read_text(), (study, name, telling)
    assert len(TOLD) > 150


@pytest.mark.parametrize("kind", ["holds", "fails", "reversed", "undecided"])
def test_no_sentence_leaves_a_placeholder_or_a_slip(kind):
    """What each claim says with each verdict, whether it is written or the default."""
    for study, name, telling in TOLD:
        claim = claims(study)[name]
        told = claim[telling] if telling else claim
        sentence = choose(told, ("reversed", "fails") if kind == "reversed" else (kind,),
                          claim["statement"])  # fmt: skip
        text = latex(sentence, lambda placeholder: "0.3")
        assert not re.search(r"\[|\]|\$\$|(?<!\\)[%&#_](?![^{]*\})", text), text
        if text and telling != "clause":
            assert text[-1] in ".;,", (study, name, text)


def test_a_verdict_is_a_file_that_anyone_reads(two_networks):
    study, results = two_networks.studies["s"], two_networks.results
    registered.register(two_networks, two_networks.results)
    decided = decide_studies(two_networks)["s"]
    content = json.loads(results.claims("s").read_text())
    (claim,) = content["claims"]
    assert (claim["verdict"], claim["asked"], claim["threshold"]) == (HOLDS, "before", "")
    assert (claim["left"], claim["right"]) == ([0.5], [0.3])
    assert claim["effect"] == pytest.approx(0.2) and claim["low"] < 0.2 < claim["high"]
    wide, unchanged = (run.name for run in reversed(study.runs))
    assert (claim["left_runs"], claim["right_runs"]) == ([[wide]], [[unchanged]])
    assert claim["question"]["left"]["metric"] == "test_accuracy"
    assert claim["basis"] == "10,000 images"
    (comparison,) = content["comparisons"]
    assert (comparison["name"], comparison["verdict"]) == ("wide", HOLDS)
    assert read_verdicts(study, results) == decided
    for number in (claim["effect"], claim["low"], claim["high"], claim["p"]):
        assert number == float(f"{number:.12g}")  # the last digits differ by processor
    (row,) = pd.read_csv(results.claims_csv).to_dict("records")
    assert (row["study"], row["claim"], row["left"]) == ("s", "width-wins", 0.5)


def test_a_claim_compares_with_another_studys_runs(tmp_path, monkeypatch):
    """A margin below zero asks for no more than to come near."""
    monkeypatch.setattr(registered, "revision", lambda: Revision(None, None))
    side = {"metric": "test_accuracy", "where": {"model": "vgg38"}}
    claim = {"statement": "Third is near the first.", "source": "us", "is": "above"}
    claim |= {"left": side, "right": side | {"study": "first"}, "margin": -0.05}
    shared = {"title": "T", "dataset": "cifar100", "model": "vgg38", "schedule": "cosine"}
    shared |= {"grid": {"seed": [0, 1, 2]}}
    studies = {"first": shared, "third": shared | {"claims": {"reaches": claim}}}
    config = {"title": "T", "results": "results/x", "studies": studies}
    experiment = Experiment(config, tmp_path)
    results, studies = experiment.results, experiment.studies

    def verdict():
        return decide_studies(experiment)["third"].claims["reaches"]

    for run in studies["third"].runs:
        seed = run.settings.seed
        write_run(
            results.run("third", "x").parent, "vgg38", seed=seed, accuracies=(0.2, 0.3)
        )
    assert verdict().verdict == "not measured"
    registered.register(experiment, results)
    for run in studies["first"].runs:
        seed = run.settings.seed
        accuracy = (0.2, 0.32 + seed / 1e3)
        write_run(results.run("first", "x").parent, "vgg38", seed=seed, accuracies=accuracy)
    with pytest.raises(GradscapeError, match="was decided of other claims or runs"):
        read_verdicts(studies["third"], results)
    found = verdict()
    assert found.verdict == HOLDS and found.effect == pytest.approx(-0.021)
    names = [run.name for run in studies["first"].runs]
    assert found.right_runs == [[f"first/{name}"] for name in names]
    assert found.left_runs == [[name] for name in names]
    wanted = Dag(experiment).claims_files(SimpleNamespace(study="third"))
    assert {str(results.trained("first", name)) for name in names} <= {*wanted}
    claim["right"]["where"]["seed"] = 0  # also cells that it does not name tell of scatter
    narrow = Dag(Experiment(config, results.root))
    assert narrow.claims_files(SimpleNamespace(study="third")) == wanted
    claim["right"]["study"] = "fist"
    sentence = "third.claims.reaches.right.study: there is no study 'fist' .*first"
    with pytest.raises(GradscapeError, match=sentence):
        check_claimed(Experiment(config), config)


def test_documents_decide_nothing_and_take_no_verdict_of_another_time(two_networks):
    study, results = two_networks.studies["s"], two_networks.results
    with pytest.raises(GradscapeError, match=r"claims/s.json: missing; `gradscape claims "):
        write_tex(two_networks)
    decide_studies(two_networks)
    write_tex(two_networks)
    study.claims["width-wins"]["margin"] = 0.3
    with pytest.raises(GradscapeError, match="was decided of other claims or runs"):
        write_tex(two_networks)
    del study.claims["width-wins"]["margin"]
    shutil.rmtree(two_networks.directory(study.runs[0]))
    with pytest.raises(GradscapeError, match="was decided of other claims or runs"):
        write_tex(two_networks)
    text = results.claims("s").read_text()
    for spoilt in (text[:-9], text.replace(HOLDS, "may hold"), "[]"):
        results.claims("s").write_text(spoilt)
        with pytest.raises(GradscapeError, match=r"claims/s.json: damaged"):
            read_verdicts(study, results)


def test_training_means_over_minibatches_are_not_compared_with_those_over_images(tmp_path):
    """Of 47,500 images in minibatches of 128 the last has 12."""
    runs, varied = [], {"batch_size": 128}
    for seed, version in enumerate((1, 2, 2)):
        for model, accuracy in (("vgg38-rc", 0.31), ("vgg38-bn", 0.19)):
            numbers = {"accuracies": (0.01, accuracy + seed / 1e3), "varied": varied}
            run = write_run(tmp_path, model, seed=seed, **numbers)
            runs.append(reseal(run.path, version=version))
    verdict = decide(claims("degradation")["rc-beats-bn"], runs)
    assert verdict.left == [0.311, 0.312] and verdict.verdict == HOLDS
    assert all("seed0" in name for name in verdict.left_out) and verdict.left_out
    means = results_table(runs)["training_mean"].tolist()
    assert means == ["minibatches"] * 2 + ["images"] * 4
    (row,) = [text for name, text in colophon(runs) if name == "Training means"]
    assert row.startswith("of 2 older runs over minibatches")
    assert "Training means" not in dict(colophon(runs[:2]))


def test_a_gap_between_two_accuracies_has_the_interval_of_their_images(tmp_path):
    run = write_run(tmp_path, "vgg08", accuracies=(0.3, 0.3))
    side = {"metric": "final_gap", "where": {"model": "vgg08"}}
    claim = {"statement": "s", "source": "s", "left": side, "is": "near", "right": 0}
    verdict = decide(claim | {"margin": 0.03, "style": "accuracy"}, [run])
    assert (verdict.verdict, verdict.basis) == (HOLDS, "2,500 images")
    half = 1.96 * (0.21 / 2_500 + 0.21 / 47_500) ** 0.5
    assert verdict.high == pytest.approx(half, rel=0.01)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_a_ratio_is_printed_and_a_difference_is_told(factor, tmp_path):
    """Of a claim in powers of ten the table has the ratio's interval, in times; what a
    sentence and a reproduction compare is the difference's, in either direction."""
    runs = [
        write_run(tmp_path, "vgg38", seed=n, gradients=(factor * (1 + n / 10), 1.0))
        for n in range(3)
    ]
    claim = claims("degradation")["vgg38-gradient-vanishes"] | {"right": 1.0}
    verdict = decide(claim, runs)
    low, high = verdict.ratio
    assert low < factor < high and verdict.low == pytest.approx(low - 1)
    assert verdict.interval.low < verdict.effect < verdict.interval.high
    assert verdict.printed_interval.text().endswith("times")
    told = compared("difference", verdict)
    assert "times" not in told and "95 % interval" in told


def test_equal_seeds_give_no_interval_and_a_claim_without_one_counts_in_its_family(
    tmp_path,
):
    """Two networks below Adam's ε by the same share of tensors do not say by how much that
    scatters; the claim that they can decide is then one of three."""
    runs = three_seeds(tmp_path, "vgg08", (0.30, 0.31, 0.32))
    side = {"metric": "test_accuracy", "where": {"model": "vgg08"}}
    asked = {"statement": "s", "source": "s", "is": "above", "right": 0.27}
    share = {"metric": "share_below_epsilon", "where": {"model": "vgg08"}}
    three = {"tests": asked | {"left": side}}
    for name in ("moves", "moves-well"):
        three[name] = asked | {"left": share, "is": "below", "right": 0.5}
    alone = decide_all({"tests": three["tests"]}, runs)["tests"]
    found = decide_all(three, runs)
    assert (alone.verdict, found["tests"].verdict) == (HOLDS, UNDECIDED)
    assert found["tests"].adjusted == pytest.approx(3 * alone.adjusted)
    assert found["moves"].word == "undecided, no interval"
    assert found["moves"].basis == "3 seeds, all alike"
