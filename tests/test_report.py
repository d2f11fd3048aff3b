"""Figures and claims say what the runs say."""

import inspect
import re
import sys
from dataclasses import replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from conftest import (
    ROOT,
    decide,
    finished,
    reseal,
    succeed,
    three_seeds,
    write_document,
    write_run,
)
from gradscape.base.errors import GradscapeError
from gradscape.claims.files import Decided, decide_studies
from gradscape.claims.sentences import compared
from gradscape.claims.smoothness import band, smooth
from gradscape.claims.tables import smoothness_table
from gradscape.claims.verdicts import HOLDS, Verdict
from gradscape.config.experiment import Experiment
from gradscape.figures import style
from gradscape.figures.drawing import draw
from gradscape.models.resnet_small import ResNetSmall
from gradscape.report import build
from gradscape.report import prose as words
from gradscape.report.escape import escape
from gradscape.report.literature import compare
from gradscape.report.rows import of_comparisons
from gradscape.report.view import StudyView
from gradscape.runs.record import Revision
from gradscape.runs.run import FinishedRun, best_setting, results_table
from gradscape.spec.labels import model_label, variant_label
from gradscape.spec.quantity import LATEX, Quantity, rate
from gradscape.spec.study import Figure


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (",epoch,train_loss,val_loss,train_accuracy,val_accuracy\n0,1,4,4,.1,.1\n", None),
        ("train_acc,train_loss,val_acc,val_loss,curr_epoch\n0.1,4,0.1,4,0\n", None),
        ("epoch,train_acc,train_loss,val_acc\n1,0.1,4,0.1\n", "column val_loss is missing"),
        ("train_acc,train_loss,val_acc,val_loss\n0.1,4,x,4\n", "line 2: val_acc is 'x'"),
    ],
    ids=["pandas'", "the course's own", "too few columns", "no number"],
)
def test_published_curves_are_read_before_the_first_job(content, wrong, tmp_path):
    """And drawn beside the runs'."""
    (tmp_path / "summary.csv").write_text(content)
    options = {"reference": str(tmp_path / "summary.csv")}
    figure = {"draw": "curves", "options": options}
    grid = {"model": ["vgg08"], "seed": [0]}
    study = {"title": "t", "dataset": "cifar100", "grid": grid, "figures": {"c": figure}}
    config = {"title": "t", "results": str(tmp_path), "studies": {"s": study}}
    if wrong is not None:
        with pytest.raises(GradscapeError, match=f"figures.c.options.reference: .*{wrong}"):
            Experiment(config)
        return
    Experiment(config)
    out = tmp_path / "curves.svg"
    runs = [write_run(tmp_path, "vgg08")]
    draw(Figure("s", "curves", "curves", options=options), runs, [out])
    assert "published" in out.read_text()


def test_the_band_is_the_extremes_and_open_where_a_run_diverged():
    low, high = band([np.array([3.0, 1.0, 2.0]), np.array([2.0, np.nan])])
    assert low.tolist() == [2.0, 1.0, 2.0]
    assert high.tolist() == [3.0, np.inf, np.inf]


def test_one_spike_makes_no_cliff_in_the_band(tmp_path):
    """The spike is drawn, said where it leaves the axis, and does not move the band."""
    losses = np.full(60, 2.0)
    losses[1] = 7.43
    assert smooth(losses, 21).tolist() == [2.0] * 60
    runs = [
        write_run(tmp_path, "vgg-a", rate, steps=steps)
        for rate, steps in ((1e-3, losses), (1e-4, losses / 2))
    ]
    facts = tmp_path / "facts.txt"
    draw(Figure("s", "band", "loss_band"), runs, [facts, tmp_path / "band.pdf"])
    said = facts.read_text()
    assert "VGG-A at one step (up to 7.43, at step 2)" in said
    assert "learning rates 10⁻⁴ and 10⁻³" in said


def test_the_rate_map_says_each_networks_best_accuracy(tmp_path):
    runs = [
        write_run(tmp_path, "vgg08", rate, seed, accuracies=(0.1, accuracy))
        for rate, seed, accuracy in ((1e-2, 0, 0.3), (1e-2, 1, 0.5), (1e-3, 0, 0.2))
    ]
    runs.append(
        write_run(tmp_path, "vgg38", 1e-3, losses=(np.nan,), accuracies=(0.01,), diverged=1)
    )
    picture = tmp_path / "map.svg"
    draw(Figure("s", "map", "heat_map"), runs, [picture, tmp_path / "facts.txt"])
    drawn = re.findall(r">([\d.]+|diverged)</text>", picture.read_text())
    assert {"40.0", "20.0", "diverged"} <= set(drawn)
    assert "Empty: not trained." in (tmp_path / "facts.txt").read_text()


def test_gradient_flow_tells_scales_from_layers_and_shows_the_spread(tmp_path):
    run = write_run(tmp_path, "vgg38-bn")
    other = write_run(tmp_path, "vgg38-bn", seed=1)
    names = ["entry", "entry_norm", "stages.0.conv1", "stages.0.norm1", "stages.1.conv1"]
    names += ["stages.1.norm1", "stages.2.conv1", "stages.2.norm1", "head"]
    for path, factor in ((run.path, 1), (other.path, 100)):
        values = factor * np.array([[1e-9, 1, 1e-7, 1, 1e-5, 1, 1e-3, 1, 1e-1]])
        np.savez(
            path / "gradients.npz", mean_absolute_gradient=values, layer=np.array(names)
        )
        reseal(path)
    picture, facts = tmp_path / "flow.svg", tmp_path / "facts.txt"
    runs = [FinishedRun(run.path), FinishedRun(other.path)]
    draw(Figure("s", "flow", "gradient_flow"), runs, [picture, facts])
    said = facts.read_text()
    assert "in 5 layers' weights and 4 scales of normalisations" in said
    assert "the first layer gets 1.0 × 10⁻⁸, the last 1.0 × 10⁰" in said  # geometric
    assert ">3.1</text>" in picture.read_text()
    assert "conv1" not in picture.read_text()


@pytest.mark.parametrize("value", [1e-3, 4e-9])
def test_one_value_has_room_on_a_logarithmic_axis(value):
    with style.applied():
        axis = plt.figure().subplots()
        axis.plot([0], [value])
        style.log_scale(axis)
    low, high = axis.get_ylim()
    assert low < 0.6 * value and high > 1.9 * value


def test_a_single_rate_has_no_band_and_says_so(tmp_path):
    runs = [write_run(tmp_path, "vgg-a")]
    facts = tmp_path / "facts.txt"
    draw(Figure("s", "band", "loss_band"), runs, [facts, tmp_path / "band.pdf"])
    assert "ran at only one learning rate and has no band" in facts.read_text()


@pytest.mark.parametrize(
    "surroundings",
    [
        {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
        {"MATPLOTLIBRC": "text.usetex: True\nsavefig.transparent: True\nfont.size: 30\n"},
    ],
    ids=["notebook", "matplotlibrc"],
)
def test_figures_are_the_same_in_anyones_surroundings(surroundings, tmp_path):
    run = write_run(tmp_path, "vgg08").path
    if settings := surroundings.get("MATPLOTLIBRC"):
        (tmp_path / "matplotlibrc").write_text(settings)
        surroundings = {"MATPLOTLIBRC": str(tmp_path)}
    drawn = []
    for name, around in (("usual.pdf", {}), ("other.pdf", surroundings)):
        out = tmp_path / name
        command = ("figure", "--spec", '{"draw": "curves"}', "--out", out, "--runs", run)
        succeed("gradscape", *command, **around)
        word = tmp_path / f"word-{name}"
        draws = (
            f"from gradscape.figures.fonts import *; draw_word('日本', Path({str(word)!r}))"
        )
        succeed(sys.executable, "-c", draws, **around)
        drawn.append((out.read_bytes(), word.read_bytes()))
    assert drawn[0] == drawn[1]


def test_figures_repeat_to_the_byte(tmp_path):
    runs = [write_run(tmp_path, "vgg38", seed=s, losses=(4.6, 4.0 + s)) for s in (0, 1)]
    for drawing in ("curves", "gradient_flow"):
        outputs = [
            tmp_path / f"{drawing}{i}.{kind}" for i in "ab" for kind in ("pdf", "svg")
        ]
        for half in (outputs[:2], outputs[2:]):
            draw(Figure("s", drawing, drawing), runs, half)
        assert outputs[0].read_bytes() == outputs[2].read_bytes()
        assert outputs[1].read_bytes() == outputs[3].read_bytes()


def test_a_diverged_run_is_said_under_its_curves(tmp_path):
    runs = [write_run(tmp_path, "vgg38", losses=(np.nan,), accuracies=(0.01,), diverged=1)]
    facts = tmp_path / "facts.txt"
    draw(Figure("s", "curves", "curves"), runs, [facts, tmp_path / "curves.pdf"])
    assert "VGG38, lr 10⁻³ diverged in epoch 1." in facts.read_text()


def test_the_table_is_taken_at_the_epoch_that_validated_best(tmp_path):
    run = write_run(tmp_path, "vgg08", losses=(3.0, 2.0, 1.0), accuracies=(0.1, 0.5, 0.4))
    (row,) = results_table([run]).to_dict("records")
    assert (row["best_epoch"], row["train_loss"], row["final_train_loss"]) == (
        2,
        2.0,
        1.0,
    )


def test_the_best_setting_is_the_best_mean_over_seeds(tmp_path):
    lucky = [
        write_run(tmp_path, "vgg38-bn", seed=s, accuracies=(0.1, a))
        for s, a in ((0, 0.9), (1, 0.1))
    ]
    steady = [
        write_run(tmp_path, "vgg38-rc", seed=s, accuracies=(0.1, 0.6)) for s in (0, 1)
    ]
    assert best_setting(lucky + steady) == steady


def test_published_numbers_stand_beside_ours(tmp_path):
    experiment = Experiment.from_file(ROOT / "config" / "config.yaml", tmp_path)
    study, decided = experiment.studies["degradation"], decide_studies(experiment)
    view = StudyView(study, experiment.results, decided[study.name])
    (row,) = (r for r in view.rows.results() if r[:2] == ["VGG38 RC", rate(1e-3)])
    assert row[2:7] == ["--", "--", r"\emph{1.33}", "--", r"\emph{61.52}"]


def test_a_table_too_long_for_the_page_says_where_all_of_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("gradscape.report.rows.MAX_ROWS", 1)
    experiment = Experiment.from_file(ROOT / "config" / "config.yaml", tmp_path)
    study = experiment.studies["degradation"]
    for seed in (0, 1):
        made = write_run(tmp_path / "made", "vgg38-rc", seed=seed)
        folder = tmp_path / "runs" / study.name / f"vgg38-rc_lr1e-3_seed{seed}"
        folder.parent.mkdir(parents=True, exist_ok=True)
        made.path.rename(folder)
    write_document(experiment, study.name)
    text = (tmp_path / "report" / "degradation.tex").read_text()
    (last,) = (line for line in text.splitlines() if "The best 1 of" in line)
    assert last.startswith(r"\multicolumn{3}{@{}l}{") and last.endswith(r"}} \\")
    assert "tables/degradation/results.csv" in last


def test_published_accuracies_are_held_against_ours(tmp_path):
    """Only of networks, rates and datasets that ran; with what is not the same."""
    for seed, accuracy in ((0, 0.52), (1, 0.54)):
        write_run(tmp_path, "vgg38-rc", seed=seed, accuracies=(0.5, accuracy))
    write_run(tmp_path, "vgg08", rate=1e-2)
    runs = [FinishedRun(path) for path in sorted(tmp_path.iterdir())]
    table = pd.read_csv(ROOT / "report/published/edinburgh-table1.csv")
    ((network, _, _, metric, published, ours, difference, source),) = compare(
        "s", table, runs
    )
    assert (network, metric) == ("VGG38 RC", "validation, best epoch")
    assert (published, difference) == (r"\emph{52.32}", "$+0.7$")
    assert r"{53.0 $\pm$ 1.4}" in ours
    assert source.startswith(
        "Edinburgh cw2, Table 1; ours 2 epochs of 47,500 images, theirs 100 of 47,500"
    )
    he = pd.read_csv(ROOT / "report/published/he2016.csv")
    assert list(compare("s", he, runs)) == []
    worse = write_run(tmp_path, "vgg38-rc", rate=1e-1, accuracies=(0.01, 0.02))
    anywhere = table.drop(columns="learning_rate")
    ((_, rate, *_, ours, _, _),) = compare("s", anywhere[2:3], [*runs[-2:], worse])
    assert rate.value == 1e-3 and r"{53.0 $\pm$ 1.4}" in ours


@pytest.mark.parametrize(
    ("values", "style", "text"),
    [
        ([4.605], "loss", "4.61"),
        ([0.5, 0.6], "accuracy", r"55.0 $\pm$ 7.1"),
        ([2.3e-15], "power", r"$2.3\times10^{-15}$"),
        ([1e-16, 1e-14], "power", r"$1.0\times10^{-15}$"),
        ([745408.7], "loss", r"$7.5\times10^{5}$"),
        ([72.0, 191.0, 811.0], "loss", r"$2.2\times10^{2}$"),
        ([0.01, 0.31], "loss", r"0.16 $\pm$ 0.21"),
        ([1.0, np.nan], "loss", "diverged"),
        ([1.4204], "significant", "1.42"),
        ([1.42, 1.44], "significant", r"1.430 $\pm$ 0.014"),
        ([7.3, 9.98], "significant", r"8.6 $\pm$ 1.9"),
    ],
)
def test_numbers_for_latex(values, style, text):
    assert Quantity.of(values, style).latex() == text


@pytest.mark.parametrize(
    "sign, bounds", [(1, "$+3.1$ to $+5.8$"), (-1, "$-5.8$ to $-3.1$")]
)
def test_a_difference_and_its_interval_have_one_sign(sign, bounds):
    """In a sentence the verb says which way; the table has left minus right."""
    low, high = sorted((sign * 0.031, sign * 0.058))
    sides = {"left": [0.5 + sign * 0.045], "right": [0.5], "low": low, "high": high}
    verdict = Verdict("n", "s", "s", "accuracy", HOLDS, **sides, basis="")
    latex = compared("difference", verdict, LATEX)
    assert latex == r"4.5 points (95\,\% interval $+3.1$ to $+5.8$)"
    text = "4.5 points (95 % interval +3.1 to +5.8)"
    assert compared("difference", verdict) == text
    assert verdict.interval.latex() == bounds


def test_every_special_character_is_escaped():
    assert escape(r"50% _a_ & #1 $ \x {}") == (
        r"50\% \_a\_ \& \#1 \$ \textbackslash{}x \{\}"
    )
    assert rate(0.002).latex() == r"$2\times10^{-3}$"


def test_names_as_they_are_printed():
    names = ["vgg38-bn-rc", "vgg-a", "vgg-a-bn", "vgg08"]
    assert [model_label(n) for n in names] == [
        "VGG38 BN+RC",
        "VGG-A",
        "VGG-A BN",
        "VGG08",
    ]


def test_an_unfinished_run_is_named(tmp_path):
    with pytest.raises(GradscapeError, match="not a finished run"):
        FinishedRun(tmp_path)


def test_a_study_without_finished_runs_is_said_so(tmp_path):
    experiment = Experiment.from_file(ROOT / "config" / "config.yaml", tmp_path)
    said = (
        "no finished run, so nothing to report; `snakemake .*pdf .*--configfile .*` trains"
    )
    with pytest.raises(GradscapeError, match=said):
        write_document(experiment)
    runs = tmp_path / "runs" / "landscape"
    write_run(runs, "vgg-a").path.rename(runs / "vgg-a_lr1e-3_seed2020")
    write_document(experiment)
    text = (tmp_path / "report" / "report.tex").read_text()
    assert f"Not begun: {experiment.studies['degradation'].title}" in text
    planned = [run for run in experiment.runs if not experiment.left_out(run)]
    assert f"{len(planned) - 1:,} planned runs are missing" in text


def test_the_colophon_lists_what_the_footer_leaves_out(tmp_path):
    experiment = Experiment.from_file(ROOT / "config" / "config.yaml", tmp_path)
    folder = tmp_path / "runs" / "landscape"
    for at, commit in ((1e-3, "a" * 40), (1e-4, "b" * 40), (5e-4, "b" * 40)):
        made = write_run(tmp_path, "vgg-a", at)
        took = {"versions": {"torch": "2.0"}, "seconds_training": 3600.0}
        reseal(made.path, revision=Revision(commit, False), **took)
        folder.mkdir(parents=True, exist_ok=True)
        made.path.rename(folder / made.path.name.replace("seed0", "seed2020"))
    write_document(experiment, "landscape")
    text = (tmp_path / "report" / "landscape.tex").read_text()
    (footer,) = re.findall(r"\\fancyfoot\[L\]\{(.*)\}", text)
    assert "bbbbbbbbbb" in footer and "aaaa" not in footer and "colophon" in footer
    colophon = text[text.index("Colophon") :]
    assert "bbbbbbbbbb (2 runs), aaaaaaaaaa (1 run)" in colophon
    assert "torch 2.0" in colophon and "3.0 hours" in colophon


def test_the_small_networks_text_has_its_defaults():
    text = (ROOT / "report/sections/accuracy.tex.j2").read_text()
    own = inspect.signature(ResNetSmall).parameters
    assert f"shape.width or {own['width'].default} " in text
    assert f"{own['dropout'].default} if shape.dropout is none" in text


def test_a_study_of_ones_own_may_be_called_as_one_of_gradscapes(two_networks):
    """The paper, which tells gradscape's claims by name, is not written of it."""
    studies = {"degradation": two_networks.config["studies"]["s"]}
    root = two_networks.results.root
    experiment = Experiment(two_networks.config | {"studies": studies}, root)
    finished(experiment, "degradation", experiment.runs, root, accuracies=(0.1, 0.5))
    assert "Width" in write_document(experiment)


@pytest.mark.parametrize(
    ("variant", "label"),
    [
        ("", "unchanged"),
        ("width-16", "width 16"),
        ("no-l2", "no L2"),
        ("fine-tuned", "fine-tuned"),
        ("schedule-cosine_per_iteration", "schedule cosine per iteration"),
    ],
)
def test_variants_are_printed_in_words(variant, label):
    assert variant_label("resnet-small", variant, {"resnet-small"}) == label


def test_a_change_that_is_not_decided_is_said_why(tmp_path):
    """Around zero, by the correction, without an interval, or since it diverged."""
    verdict = decide(
        {
            "statement": "s",
            "source": "s",
            "left": {"metric": "test_accuracy", "where": {"model": "vgg08"}},
            "is": "above",
            "right": 0.5,
        },
        three_seeds(tmp_path, "vgg08", (0.4, 0.5, 0.6)),
    )
    held = replace(verdict, verdict="holds", low=0.01, high=0.19)
    corrected = replace(held, verdict="undecided")
    none = replace(verdict, low=np.nan, high=np.nan)
    gone = replace(none, verdict="does not hold", basis="diverged")
    found = words.changes([held, verdict, corrected, corrected, none, gone])
    assert re.sub(r"\$\^.dagger\$", "", found).partition(": ")[2].split(". ")[1:] == [
        "One other change has an interval around zero",
        "Two other changes are left open by Holm's correction",
        "One other change has no interval",
        "One other change diverged.",
    ]


def test_what_differs_besides_the_seed_is_not_averaged_over(tmp_path):
    """A figure says so; a table has a row for each; curves tell of seeds that end early."""
    runs = [
        write_run(tmp_path, "vgg-a", varied={"variant": variant} if variant else None)
        for variant in ("", "wide")
    ]
    for name in ("loss_band", "smoothness"):
        with pytest.raises(
            GradscapeError, match="several runs of one seed have model vgg-a"
        ):
            draw(Figure("s", name, name), runs, [tmp_path / "figure.svg"])
    rows = smoothness_table(
        [
            write_run(tmp_path / "t", "vgg-a", rate, varied=varied)
            for rate in (1e-3, 1e-2)
            for varied in (None, {"variant": "wide"})
        ]
    )
    assert [*rows["variant"].unique()] == ["", "wide"]
    seeds = [write_run(tmp_path / "s", "vgg08")]
    seeds.append(
        write_run(tmp_path / "s", "vgg08", seed=1, losses=(4.6,) * 3, accuracies=(0.1,) * 3)
    )
    facts = tmp_path / "facts.txt"
    draw(Figure("s", "curves", "curves"), seeds, [facts])
    assert "Where a seed's training ends earlier, the mean is over the others." in (
        facts.read_text()
    )


def test_a_figure_that_cannot_be_drawn_says_why_in_the_report(two_networks):
    """And one over numbers is not drawn over names."""
    study = two_networks.studies["s"]
    study.figures[:] = [Figure("s", "curves", "lines", options={"x": "network"})]
    build.prepare(two_networks)
    text = " ".join(write_document(two_networks, "s").split())
    assert re.search(r"Figure curves: [^.]* of network is no number", text)
    with pytest.raises(GradscapeError, match="measured along its gradient"):
        run = two_networks.directory(study.runs[0])
        bare = Figure("s", "smoothness", "smoothness")
        draw(bare, [FinishedRun(run)], [run / "figure.svg"])


def test_captions_tell_of_no_mean_and_no_end_that_is_not_there(tmp_path):
    runs = three_seeds(tmp_path, "vgg08", (0.3, 0.31, 0.32), losses=(4.9, 4.5))
    facts = tmp_path / "facts.txt"
    for figure in ("heat_map", "lines"):
        options = {"x": "seed"} | ({"y": "model"} if figure == "heat_map" else {})
        draw(Figure("s", figure, figure, options=options), runs, [facts])
        assert "Each run by itself." in facts.read_text()
    draw(Figure("s", "curves", "curves"), runs, [facts])
    assert "highest curve" not in facts.read_text()
    assert Figure("s", "c", "curves", caption="Mine").sentence == "Mine."


def test_tables_take_the_runs_that_comparisons_take(tmp_path):
    """Those left out for their device are in `results.csv`; a setting that has no others
    keeps them."""
    runs = [write_run(tmp_path, "vgg08", seed=seed) for seed in (0, 1)]
    runs.append(write_run(tmp_path, "vgg38"))
    left_out = [run.path.name for run in runs if run.seed == 0]
    decided = Decided({"claim": SimpleNamespace(left_out=left_out)}, {}, [], [])
    kept = [(run.model, run.seed) for run in of_comparisons(runs, decided)]
    assert kept == [("vgg08", 1), ("vgg38", 0)]
