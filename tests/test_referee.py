"""What a referee found at a763f32, finding by finding, and how it is now.

docs/statistics.md says what is done about it. Beside these, of finding 1,
tests/test_inference.py; of 7, `test_a_run_that_takes_anothers_place_says_so`; of 11,
`test_a_mistake_in_a_claim_is_named_before_any_job`.
"""

import re
from dataclasses import asdict

import numpy as np
import pytest

from conftest import ALL, claims, decide, reseal, three_seeds, write_document, write_run
from gradscape.base.errors import GradscapeError
from gradscape.claims import registered
from gradscape.claims.evidence import FACT, METHODS, NETWORKS
from gradscape.claims.files import decide_studies
from gradscape.claims.sentences import compared, sentence, tally
from gradscape.claims.verdicts import (
    AFTER,
    BEFORE,
    EQUAL,
    FAILS,
    HOLDS,
    SEEN,
    UNDECIDED,
    UNMEASURED,
    Verdict,
    decide_all,
)
from gradscape.config.experiment import Experiment
from gradscape.runs.run import FinishedRun
from gradscape.spec.registry import find
from gradscape.spec.study import Figure

# What the report counts


def test_claims_are_counted_by_whether_they_stood_before_their_runs():
    def told(verdict, reading="", p=0.01, rests=METHODS, asked=BEFORE):
        about = {"reading": reading, "p": p, "rests": rests, "asked": asked}
        return Verdict("n", "s", "s", "loss", verdict, [1.0], [2.0], **about)

    found = tally(
        [
            told(HOLDS, HOLDS),
            told(HOLDS, HOLDS, rests=NETWORKS),
            told(FAILS, FAILS),
            told(EQUAL, EQUAL),
            told(UNDECIDED, HOLDS, p=0.04),
            told(UNDECIDED, UNDECIDED, p=np.nan, rests=""),
            told(UNMEASURED, p=np.nan, rests=""),
            told(HOLDS, HOLDS, p=np.nan, rests=FACT),
            told(SEEN, HOLDS, asked=AFTER),
            told(SEEN, UNDECIDED, p=np.nan, rests="", asked=AFTER),
            told(HOLDS, HOLDS, p=np.nan, rests=FACT, asked=AFTER),
        ]
    )
    assert found == {
        "measured": 10, "before": 8, "holds": 2, "fails": 1, "equal": 1, "undecided": 2,
        "tested": 6, "without": 1, "unmeasured": 1, "facts": 1, "alone": 5, "decided": 4,
        "methods": 3, "networks": 1, "after": 3, "seen": 1,
    }  # fmt: skip


# Findings 1 to 3, and what stood before its runs


def test_a_family_of_many_claims_asks_for_more_than_one_alone(tmp_path):
    """Two percent is enough for a claim by itself, and not for one of six."""
    runs = three_seeds(tmp_path, "vgg08", (0.30, 0.31, 0.32))
    side = {"metric": "test_accuracy", "where": {"model": "vgg08"}}
    claim = {"statement": "s", "source": "s", "left": side, "is": "above", "right": 0.27}
    alone = decide(claim, runs)
    assert alone.verdict == HOLDS and 0.01 < alone.p < 0.05
    six = decide_all({str(n): claim for n in range(6)}, runs)
    assert {v.verdict for v in six.values()} == {UNDECIDED}
    assert {v.reading for v in six.values()} == {HOLDS}
    assert six["0"].adjusted == pytest.approx(6 * alone.p)
    assert six["0"].seeds > 3 and "seeds on one device might do" in six["0"].word
    told = {"holds": "Yes.", "fails": "No.", "uncorrected": "By itself, by [difference]."}
    found = compared("difference", six["0"])
    assert sentence(claim | told, six["0"]).startswith(told["uncorrected"])
    assert found.endswith(f"; p = {six['0'].adjusted:.2g} after Holm's correction)")
    assert sentence(claim | told, alone).startswith("Yes.")
    assert "Holm" not in compared("difference", alone)


def test_seeds_are_not_paired_and_their_variance_is_pooled(tmp_path):
    """Three differences of exactly six points that agree by luck."""
    runs = three_seeds(tmp_path, "vgg38-rc", (0.30, 0.33, 0.36), losses=(3.0,) * 2)
    runs += three_seeds(tmp_path, "vgg38-bn", (0.24, 0.27, 0.30), losses=(3.0,) * 2)
    claim = claims("degradation")["rc-beats-bn"]
    paired = decide(claim, runs)
    assert paired.verdict == UNDECIDED and paired.basis == "3 + 3 seeds, σ of 2 cells"
    runs += three_seeds(tmp_path, "vgg08", (0.30, 0.301, 0.302), losses=(3.0,) * 2)
    runs += three_seeds(tmp_path, "vgg38-bn-rc", (0.40, 0.40, 0.401), losses=(3.0,) * 2)
    assert decide(claim, runs).basis == "3 + 3 seeds, Welch"  # unequal variances


def test_seeds_of_several_devices_are_not_compared(tmp_path):
    runs = []
    for seed, kind in enumerate(("CPU AVX2", "NVIDIA H200", "NVIDIA H200")):
        for model, accuracy in (("vgg38-rc", 0.31), ("vgg38-bn", 0.19)):
            run = write_run(
                tmp_path, model, seed=seed, accuracies=(0.01, accuracy + seed / 1e3)
            )
            backend = asdict(run.record.backend) | {"kind": kind}
            runs.append(reseal(run.path, backend=backend))
    verdict = decide(claims("degradation")["rc-beats-bn"], runs)
    assert verdict.left == [0.311, 0.312] and verdict.verdict == HOLDS
    assert [name for name in verdict.left_out if "rc" in name] == ["vgg38-rc_lr1e-3_seed0"]
    old = [
        reseal(r.path, backend=asdict(r.record.backend) | {"kind": "CPU AVX512"})
        for r in runs
    ]
    assert decide(claims("degradation")["rc-beats-bn"], old).verdict == UNDECIDED


def test_single_runs_speak_of_themselves_and_a_bare_number_of_nothing(tmp_path):
    runs = [
        write_run(tmp_path, "vgg38-rc", accuracies=(0.01, 0.31)),
        write_run(tmp_path, "vgg38-bn", accuracies=(0.01, 0.19)),
    ]
    verdict = decide(claims("degradation")["rc-beats-bn"], runs)
    assert (verdict.verdict, verdict.rests) == (HOLDS, "networks")
    assert verdict.word.startswith("holds for these networks, p = ")
    bare = decide(
        claims("degradation")["vgg38-gradient-vanishes"], [write_run(tmp_path, "vgg38")]
    )
    assert (bare.verdict, bare.basis, bare.seeds) == (UNDECIDED, "one run", None)


def test_a_claim_written_after_its_runs_is_seen_and_not_tested(two_networks):
    """Also one whose margin was changed after them; its text may be."""
    study, results = two_networks.studies["s"], two_networks.results
    registered.register(two_networks, two_networks.results)
    study.claims["width-wins"]["statement"] = "Width wins here."
    assert decide_studies(two_networks)["s"].claims["width-wins"].verdict == HOLDS
    study.claims["width-wins"]["margin"] = 0.01
    registered.register(
        two_networks, two_networks.results
    )  # later at the same revision: too late
    changed = decide_studies(two_networks)["s"].claims["width-wins"]
    assert (changed.verdict, changed.reading, changed.asked) == (SEEN, HOLDS, "after")
    results.registered.unlink()
    assert decide_studies(two_networks)["s"].claims["width-wins"].verdict == SEEN
    first = dict(study.claims)
    study.claims.clear()
    registered.register(two_networks, results)  # a study that has run without claims
    study.claims.update(first)
    registered.register(two_networks, results)
    assert decide_studies(two_networks)["s"].claims["width-wins"].asked == "after"


# Finding 4


def test_images_speak_of_networks_and_seeds_of_a_method(tmp_path):
    """Two points are more than 10,000 images leave open, and less than seeds scatter; that
    those of both networks rise together is luck."""
    claim = claims("degradation")["rc-beats-bn"]
    runs = three_seeds(tmp_path, "vgg38-rc", (0.31, 0.34, 0.28), losses=(3.0,) * 2)
    runs += three_seeds(tmp_path, "vgg38-bn", (0.29, 0.32, 0.26), losses=(3.0,) * 2)
    one = decide(claim, [run for run in runs if run.seed == 0])
    assert (one.verdict, one.rests, one.basis) == (HOLDS, "networks", "10,000 images")
    three = decide(claim, runs)
    assert (three.verdict, three.rests) == (UNDECIDED, "methods")
    assert three.high - three.low > 4 * (one.high - one.low) / 2 and three.seeds > 3


# Findings 5 and 6


def probed(folder, model, changes):
    """A run whose gradient changed by these shares at its probed steps."""
    run = write_run(folder, model)
    count = len(changes)
    np.savez(
        run.path / "steps.npz",
        loss=np.ones(count + 10),
        steps_per_epoch=10,
        probed_step=np.arange(11, 11 + count),
        probed_size=np.full((count, 1), 0.1),
        probed_gradient_norm=np.ones(count),
        probed_gradient_distance=np.asarray(changes)[:, None],
        probed_loss=np.ones((count, 1)),
        probed_loss_here=np.ones(count),
    )
    return reseal(run.path)


def test_what_minibatches_do_to_both_networks_is_taken_out(tmp_path):
    """At each step a fifth less with batch normalisation, while steps differ tenfold."""
    minibatches = np.exp(np.random.default_rng(0).normal(size=40))
    runs = [
        probed(tmp_path, "vgg-a", minibatches),
        probed(tmp_path, "vgg-a-bn", 0.8 * minibatches),
    ]
    claim = claims("landscape")["bn-steadies-relative-gradient"]
    found = decide(claim, runs)
    assert (found.verdict, found.basis) == (HOLDS, "40 steps, paired")
    np.testing.assert_allclose(found.ratio, [0.8, 0.8])


def test_a_network_that_leaves_its_plateau_late_is_not_called_smooth(tmp_path):
    """In the median over all steps the plain network's gradient changes less, and after it
    has left the plateau it changes more: that depends on when one looks."""
    noise = np.exp(0.1 * np.random.default_rng(0).normal(size=(2, 60)))
    plain = np.r_[np.full(36, 1.0), np.full(24, 4.0)] * noise[0]
    runs = [probed(tmp_path, "vgg-a", plain), probed(tmp_path, "vgg-a-bn", 2 * noise[1])]
    found = decide(claims("landscape")["bn-steadies-relative-gradient"], runs)
    assert np.median(plain) < 1.2 and found.effect > 0.5
    assert (found.verdict, found.reading, found.low) == (
        UNDECIDED,
        UNDECIDED,
        pytest.approx(np.nan, nan_ok=True),
    )


# Finding 7


def test_a_run_exchanged_for_its_outcome_is_named_and_decides_nothing(two_networks):
    """In every document that rests on it, with what the other came to."""
    results = two_networks.results
    registered.register(two_networks, two_networks.results)
    run = two_networks.studies["s"].runs[0]
    folder = two_networks.directory(run)
    (folder / "replaced.json").write_text(
        '[{"kind": "NVIDIA H200", "torch": "2.0", "final_train_loss": 2.3032}]'
    )
    decide_studies(two_networks)
    text = write_document(two_networks)
    assert r"\emph{Exchanged}" in text
    assert re.search(r"in place of NVIDIA H200 \([\d.]+ for 2\.30\)", text)
    by_name = write_document(two_networks, "s")
    assert r"\emph{Exchanged}" in by_name and " for 2.30), on " in by_name
    assert f"s/{run.name}".replace("_", r"\_") in by_name
    assert "in place of NVIDIA H200; final" in by_name
    found = decide_studies(two_networks)["s"].claims["width-wins"]
    assert (found.verdict, found.asked) == (SEEN, "after")
    assert results.registered.exists()
    for run in two_networks.studies["s"].runs:  # all of them, none of that commit is left
        old = '[{"kind": "NVIDIA H200", "commit": "0ld", "final_train_loss": 2.3032}]'
        (two_networks.directory(run) / "replaced.json").write_text(old)
    anew = decide_studies(two_networks)["s"].claims["width-wins"]
    assert anew.asked == "before"
    assert r"\emph{Exchanged}" in write_document(two_networks)


# Finding 8


def test_a_margin_that_is_not_reached_is_not_called_no_difference(tmp_path):
    """Two points, certainly: not five, and not nothing."""
    runs = three_seeds(tmp_path, "vgg08", (0.319, 0.32, 0.321))
    side = {"metric": "test_accuracy", "where": {"model": "vgg08"}}
    claim = {"statement": "It is better.", "source": "s", "left": side, "is": "above"}
    claim |= {"right": 0.3, "margin": 0.05, "holds": "Yes.", "fails": "No."}
    found = decide(claim, runs)
    assert (found.verdict, found.low > 0) == (EQUAL, True)
    assert found.verdict == "equal within the margin" and sentence(claim, found) == "No."


def test_no_claim_with_a_margin_says_that_two_sides_cannot_be_told_apart():
    """Undecided, the interval may still exclude zero."""
    for study, name in ALL:
        claim = claims(study)[name]
        for told in (claim, *(part for part in claim.values() if isinstance(part, dict))):
            if "margin" in claim or "relative_margin" in claim:
                said = told.get("undecided", "")
                assert not re.search("cannot be told from|indistinguish", said), name


# Finding 9


def test_what_a_single_run_borrows_comes_from_runs(tmp_path):
    """Its scatter is that of the study's other cells, and never a number in YAML."""
    claim = claims("degradation")["rc-beats-bn"]
    single = [write_run(tmp_path, "vgg38-rc", accuracies=(0.01, 0.33), losses=(3.0,) * 2)]
    bn = three_seeds(tmp_path, "vgg38-bn", (0.30, 0.31, 0.32), losses=(3.0,) * 2)
    alone = decide(claim, single + bn)
    assert (alone.verdict, alone.basis) == (UNDECIDED, "1 + 3 seeds")
    assert np.isnan(alone.low)
    both = three_seeds(tmp_path, "vgg08", (0.50, 0.51, 0.52), losses=(3.0,) * 2)
    borrowed = decide(claim, single + bn + both)
    assert borrowed.basis == "1 + 3 seeds, σ of 2 cells"
    half = 2.776 * 0.01 * (1 + 1 / 3) ** 0.5  # Student's t of 4
    assert borrowed.high - borrowed.effect == pytest.approx(half, rel=1e-3)
    study = {"title": "s", "dataset": "cifar100", "model": "vgg08"}
    study |= {"claims": {"c": claim | {"scatter": 0.16}}}
    with pytest.raises(GradscapeError, match=r"claims.c: unknown key 'scatter'"):
        Experiment({"title": "t", "results": "r", "studies": {"s": study}})


# Finding 10


@pytest.mark.parametrize(
    "accuracies, edge",
    [((0.1, 0.3, 0.2), []), ((0.3, 0.2, 0.1), ["left"]), ((0.1, 0.2, 0.3), ["left"])],
)
def test_a_best_rate_that_is_the_last_tried_says_so(accuracies, edge, tmp_path):
    """In its sentence and in its row, whatever the claim."""
    rates = (1e-3, 1e-2, 1e-1)
    runs = [
        write_run(tmp_path, "vgg08", rate, accuracies=(0.01, accuracy))
        for rate, accuracy in zip(rates, accuracies, strict=True)
    ]
    side = {"metric": "best_val_accuracy", "where": {"model": "vgg08"}}
    claim = {"statement": "At its best rate it learns.", "source": "s", "is": "above"}
    claim |= {"left": side, "right": 0.2, "holds": "It learns.", "style": "accuracy"}
    found = decide(claim, runs)
    assert found.edge == edge and found.verdict == HOLDS
    assert ("at the edge" in found.word) == bool(edge)
    assert sentence(claim, found).endswith(r"$^\S$") == bool(edge)
    at_one_rate = side | {"where": {"model": "vgg08", "learning_rate": 1e-1}}
    assert not decide(claim | {"left": at_one_rate}, runs).edge


# Finding 11: no figure averages over more than seeds


@pytest.mark.parametrize(
    "draw, options", [("lines", {"x": "learning_rate"}), ("heat_map", {"y": "batch_size"})]
)
def test_a_figure_averages_over_seeds_alone(draw, options, tmp_path):
    figure = Figure("s", "f", draw, options=options)
    runs = [
        write_run(tmp_path, "vgg08", rate, seed=n) for rate in (1e-3, 1e-2) for n in (0, 1)
    ]
    settings = runs[0].settings | {"batch_size": 100}
    for run in runs:
        reseal(run.path, settings=run.settings | {"batch_size": 100})
    runs = [FinishedRun(run.path) for run in runs]
    _, facts = find("figure", draw)(figure, runs, **options)
    assert "Mean over seeds 0 and 1" in facts and settings
    runs.append(reseal(write_run(tmp_path, "vgg38").path, settings=settings))
    with pytest.raises(GradscapeError, match=r"figure f: several runs of one seed have "):
        find("figure", draw)(figure, runs, **options)
