"""What the pictures of a network's insides show is what the network is and does."""

from copy import copy
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from conftest import SMALL
from gradscape.base.errors import GradscapeError
from gradscape.base.files import write_csv
from gradscape.claims.calibration import expected_calibration_error, reliability
from gradscape.claims.verdicts import decide_all
from gradscape.config.experiment import Experiment
from gradscape.data.store import load
from gradscape.figures.confusion import most_confused, percentages
from gradscape.figures.drawing import draw
from gradscape.figures.explanations import title
from gradscape.figures.filters import arrays, montage
from gradscape.models import build
from gradscape.probes.explanations import explanations, grad_cam, occlusion, surest
from gradscape.probes.feature_maps import convolution_outputs, feature_maps
from gradscape.probes.filters import filters
from gradscape.probes.predictions import predictions
from gradscape.probes.trained import Trained
from gradscape.report import prose as words
from gradscape.runs.run import FinishedRun
from gradscape.spec.registry import find
from gradscape.spec.study import Figure, Run
from gradscape.training.train import train

PROBED = {
    "explanations": explanations,
    "feature_maps": feature_maps,
    "filters": filters,
    "predictions": predictions,
}
FIGURES = ["calibration", "confusion", "explanations", "feature_maps", "filters"]


@pytest.fixture(scope="module")
def trained(generated, tmp_path_factory):
    """A small network with activations in place, trained a little and probed."""
    out = tmp_path_factory.mktemp("insight") / "run"
    settings = replace(SMALL, normalisation="imagenet")
    train(Run("s", "vgg08_lr1e-3_seed0", settings), load(generated / "generated10"), out)
    run = Trained(out, generated)
    for name, probe in PROBED.items():
        write_csv(out / "probes" / f"{name}.csv", probe(run))
    return run, FinishedRun(out)


# Filters and feature maps


def test_filters_are_the_weights_before_and_after(trained):
    run, finished = trained
    weights = arrays(finished.probe("filters"))
    stored = torch.load(finished.path / "model.pt", weights_only=True)["best"]
    torch.manual_seed(run.settings.seed)
    fresh = build("vgg08", 10).state_dict()
    for moment, state in (("best", stored), ("initialisation", fresh)):
        expected = state["entry.weight"].permute(0, 2, 3, 1).numpy()
        np.testing.assert_array_equal(weights[moment].astype(np.float32), expected)
    assert not np.array_equal(weights["best"], weights["initialisation"])


def test_pretrained_filters_are_not_said_to_be_random(trained):
    run = copy(trained[0])
    run.settings = replace(run.settings, pretrained=True)
    with pytest.raises(GradscapeError, match="started from pretrained weights"):
        filters(run)


def test_the_montage_keeps_every_filter_at_its_place():
    """Each on its own scale: its smallest weight is 0, its largest 1; white between."""
    across = 16
    weights = np.random.RandomState(0).randn(across + 3, 3, 3, 3)
    page = montage(weights, across)
    assert page.shape == (2 * 4 - 1, across * 4 - 1, 3)
    low, high = weights.min(axis=(1, 2, 3)), weights.max(axis=(1, 2, 3))
    scaled = (weights.T - low) / (high - low)
    np.testing.assert_allclose(page[:3, 8:11], scaled.T[2])
    np.testing.assert_allclose(page[4:7, 8:11], scaled.T[across + 2])
    assert (page[3] == 1).all() and (page[4:, 12:] == 1).all()


def test_feature_maps_are_outputs_of_the_convolutions(trained):
    """The image is the stored one; the first map is its convolution by hand."""
    run, finished = trained
    table = finished.probe("feature_maps")
    stored = run.dataset.images[run.dataset.train]
    image = table[table.layer == "input"].sort_values(["row", "column", "channel"])
    seen = (255 * image["value"]).round().to_numpy().reshape(32, 32, 3)
    np.testing.assert_array_equal(seen, stored)
    layers = table[table.layer != "input"]
    assert list(layers["layer"].unique()) == [
        *("entry", "stages.0.conv2", "stages.1.conv2", "stages.2.conv2")
    ]
    assert (layers.groupby("layer")["channel"].nunique() == 8).all()
    first = table[table.layer == "entry"]
    channel = first["channel"].iloc[0]
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    pixels = np.pad((stored / 255 - mean) / deviation, [(1, 1), (1, 1), (0, 0)])
    weights = arrays(finished.probe("filters"))["best"][channel]
    by_hand = [
        (pixels[row : row + 3, column : column + 3] * weights).sum()
        for row in range(32)
        for column in range(32)
    ]
    shown = first[first.channel == channel]["value"]
    np.testing.assert_allclose(shown, by_hand, atol=1e-4)
    spreads = [part["value"].std() for _, part in first.groupby("channel", sort=False)]
    assert spreads == sorted(spreads, reverse=True)


def test_activations_in_place_do_not_reach_what_is_kept():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True))
    image = torch.randn(1, 3, 32, 32)
    outputs = convolution_outputs(model, {"0": model[0]}, image)
    torch.testing.assert_close(outputs["0"], model[0](image)[0])
    assert outputs["0"].min() < 0


def test_an_image_that_is_not_there_is_named(trained):
    with pytest.raises(GradscapeError, match=r"image 100: the last test image is 99"):
        feature_maps(trained[0], image=100)


# Where the network looks


class Linear(nn.Module):
    """A convolution, an activation in place, and a linear layer over all positions."""

    def __init__(self, frozen: bool):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 5, 3, stride=2, padding=1), nn.ReLU(inplace=True)
        )
        self.head = nn.Linear(5 * 16 * 16, 4)
        self.features.requires_grad_(not frozen)

    def forward(self, x):
        return self.head(self.features(x).flatten(1))


@pytest.mark.parametrize("frozen", [False, True])
def test_grad_cam_of_a_linear_head_is_its_closed_form(frozen):
    """With logits W·A the gradient is W: the map is relu(Σ mean(W_k) A_k)."""
    torch.manual_seed(0)
    model = Linear(frozen).eval()
    images, classes = torch.randn(3, 3, 32, 32), torch.tensor([2, 0, 3])
    measured = grad_cam(model, images, classes)
    with torch.no_grad():
        maps = model.features(images)
        weights = model.head.weight.reshape(4, 5, 256).mean(dim=2)[classes]
        coarse = torch.einsum("nk,nkij->nij", weights, maps).relu()
    assert coarse.amax(dim=(1, 2)).min() > 0
    expected = nn.functional.interpolate(coarse[:, None], scale_factor=2, mode="bilinear")
    torch.testing.assert_close(measured, expected[:, 0])
    torch.testing.assert_close(grad_cam(model, images[1:2], classes[1:2])[0], measured[1])
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    "model", ["resnet-small", "convnet-bn", "vgg-a-bn", "vgg08-bn", "vgg11-bn"]
)
def test_grad_cam_sees_something_in_every_network(model):
    """Though all of it is frozen; and leaves it as it was."""
    torch.manual_seed(0)
    network = build(model, 10).eval().requires_grad_(False)
    images = torch.randn(2, 3, 32, 32)
    before = network(images)
    maps = torch.stack([grad_cam(network, images, torch.full((2,), c)) for c in range(10)])
    assert maps.shape == (10, 2, 32, 32) and maps.min() >= 0 and maps.max() > 0
    assert torch.equal(network(images), before)


class LooksAtAQuadrant(nn.Module):
    """Class 1 as surely as the upper right quadrant is bright."""

    def forward(self, x):
        score = x[:, 0, :16, 16:].mean(dim=(1, 2))
        return torch.stack([torch.zeros_like(score), score], dim=1)


def test_occlusion_finds_the_quadrant_that_is_looked_at():
    image, one = torch.ones(1, 3, 32, 32), torch.tensor([1])
    falls = occlusion(LooksAtAQuadrant(), image, one, patch=8, stride=8)[0]
    # A quarter of the quadrant hidden: from σ(1) to σ(3/4).
    fall = torch.sigmoid(torch.tensor(1.0)) - torch.sigmoid(torch.tensor(0.75))
    expected = torch.zeros(32, 32)
    expected[:16, 16:] = fall
    torch.testing.assert_close(falls, expected)
    assert torch.equal(image, torch.ones(1, 3, 32, 32))
    closer = occlusion(LooksAtAQuadrant(), image, one, patch=8, stride=4)[0]
    torch.testing.assert_close(closer[8, 24], fall)  # the mean over four squares
    other = occlusion(LooksAtAQuadrant(), image, torch.tensor([0]), patch=8, stride=8)[0]
    torch.testing.assert_close(other, -expected)


@pytest.mark.parametrize("patch, stride", [(8, 4), (5, 4), (7, 7), (32, 1), (1, 1)])
def test_occlusion_covers_every_pixel(patch, stride):
    """Its mean over the covering squares is finite everywhere, the corners included."""
    falls = occlusion(
        LooksAtAQuadrant(), torch.ones(1, 3, 32, 32), torch.tensor([1]), patch, stride
    )
    assert torch.isfinite(falls).all() and falls[0, 0, 31] > 0


def test_squares_with_gaps_between_them_are_refused(trained):
    with pytest.raises(GradscapeError, match="stride 9 is larger than patch 8"):
        explanations(trained[0], patch=8, stride=9)


def test_the_surest_of_each_class_come_first():
    confidence = torch.tensor([0.5, 0.9, 0.8, 0.9, 0.7])
    predicted = torch.tensor([1, 0, 0, 2, 1])
    everything = torch.ones(5, dtype=torch.bool)
    assert surest(confidence, predicted, everything, 4) == [1, 3, 4, 2]
    assert surest(confidence, predicted, confidence < 0.85, 4) == [2, 4, 0]
    assert surest(confidence, predicted, everything, 1) == [1]


def test_explanations_agree_with_the_predictions(trained):
    """Both kinds, as sure as the table of predictions has them, with their own pixels."""
    run, finished = trained
    table, said = finished.probe("explanations"), finished.probe("predictions")
    images = table.groupby("image", sort=False)
    assert (images.size() == 32 * 32).all()
    firsts = images.first()
    right = (firsts["label"] == firsts["predicted"]).tolist()
    assert right == [True] * 4 + [False] * 4
    for column in ("label", "predicted"):
        assert (said[column][firsts.index] == firsts[column]).all()
    np.testing.assert_allclose(said["confidence"][firsts.index], firsts["confidence"])
    correct = said[said["label"] == said["predicted"]]
    assert firsts["confidence"].iloc[0] == pytest.approx(correct["confidence"].max())
    for number, part in images:
        colours = part[["red", "green", "blue"]].to_numpy().reshape(32, 32, 3)
        stored = run.dataset.images[run.dataset.train + number]
        np.testing.assert_array_equal((255 * colours).round(), stored)


def test_titles_say_label_prediction_and_confidence():
    image = pd.DataFrame({"label": ["cat"], "predicted": ["dog"], "confidence": [0.912]})
    assert title(image, panel=2.0) == "cat, predicted dog (0.91)"
    assert title(image.assign(predicted="cat"), panel=2.0, lines=2) == "\ncat (0.91)"


# Predictions


def test_predictions_are_those_of_the_runs_own_test(trained):
    """The confusion matrix has the test accuracy on its diagonal, each class in its row."""
    _, finished = trained
    table = finished.probe("predictions")
    assert table["image"].tolist() == list(range(100))
    assert (table["label"].value_counts() == 10).all()
    matrix = percentages(table) / 10  # images
    diagonal = np.diag(matrix).sum() / len(table)
    assert diagonal == pytest.approx(finished.test["test_accuracy"], abs=1e-9)
    assert np.allclose(matrix.sum(axis=1), 10) and matrix.shape == (10, 10)
    assert table["confidence"].between(0.1, 1).all()


def test_the_most_confused_pairs():
    """In percent of the class's own images: rare classes count as much as others."""
    label = ["cat"] * 4 + ["dog"] * 2 + ["ship"]
    predicted = ["dog", "dog", "dog", "cat", "cat", "dog", "ship"]
    table = percentages(pd.DataFrame({"label": label, "predicted": predicted}))
    assert most_confused(table) == [("cat", "dog", 75.0), ("dog", "cat", 50.0)]


def made(confidence, right) -> pd.DataFrame:
    predicted = ["a" if r else "b" for r in right]
    columns = {"label": "a", "predicted": predicted, "confidence": confidence}
    return pd.DataFrame(columns)


def test_expected_calibration_error_of_a_table_by_hand():
    """Bins (0.4, 0.6] and (0.8, 1] of five: 3/5 |1/3 - 0.5| + 2/5 |1 - 0.95| = 0.12."""
    table = made([0.45, 0.5, 0.55, 0.9, 1.0], [1, 0, 0, 1, 1])
    assert expected_calibration_error(table, bins=5) == pytest.approx(0.12)
    assert reliability(table, bins=5)["share"].tolist() == pytest.approx([0.6, 0.4])
    # An edge belongs to the bin below it.
    edge = made([0.2, 0.2 + 1e-9], [1, 0])
    assert len(reliability(edge, bins=5)) == 2
    assert expected_calibration_error(made([0.8] * 5, [1, 1, 1, 1, 0])) < 1e-12
    assert np.isnan(expected_calibration_error(made([np.nan, 0.5], [1, 0])))


def test_claims_can_ask_for_the_calibration_error(trained, tmp_path):
    _, finished = trained
    error = find("metric", "calibration_error")([finished])
    assert error == expected_calibration_error(finished.probe("predictions"))
    (tmp_path / "run.json").write_text((finished.path / "run.json").read_text())
    assert find("metric", "calibration_error")([FinishedRun(tmp_path)]) is None


def test_overconfidence_is_a_mean_over_images_with_their_interval(trained, monkeypatch):
    """Sure of 0.9 of four images, and right in three: 0.15 too sure."""
    table = made([0.9] * 4, [1, 1, 1, 0])
    claim = {"statement": "It is too sure.", "source": "a test", "is": "above", "right": 0}
    claim |= {"left": {"metric": "overconfidence", "where": {}}}
    monkeypatch.setattr(FinishedRun, "probe", lambda *_: table)
    verdict = decide_all({"sure": claim}, [trained[1]])["sure"]
    half = 1.96 * 0.5 / 2  # four numbers, three of them equal, have a deviation of 1/2
    assert (*verdict.left, verdict.low, verdict.high) == pytest.approx(
        (0.15, 0.15 - half, 0.15 + half), rel=1e-4
    )
    assert (verdict.verdict, verdict.basis) == ("undecided", "4 images")
    table = made([0.9] * 8, [1, 1, 0, 0, 0, 0, 0, 0])
    assert decide_all({"sure": claim}, [trained[1]])["sure"].verdict == "holds"
    table = made([0.1] * 8, [1, 1, 1, 1, 1, 1, 0, 0])
    assert decide_all({"sure": claim}, [trained[1]])["sure"].verdict == "does not hold"
    claim["left"]["times"] = 2  # whose interval is not that of the images
    assert decide_all({"sure": claim}, [trained[1]])["sure"].basis == "one run"


def test_the_two_classes_confused_most_are_named():
    table = pd.DataFrame({"label": [*"cabcb"], "predicted": [*"bbabb"]})
    assert words.mistakes(table) == (
        "Of its mistakes on the test images 2 are between a and b; no other two "
        "classes have more."
    )
    assert words.mistakes(table[4:]) == "It makes no mistake on the test images."


def test_the_wrong_answers_that_hang_most_and_least_on_one_place_are_named():
    images = [
        (0, "a", "a", 0.9),
        (1, "b", "a", 0.2),
        (2, "a", "b_c", 0.7),
        (3, "c", "a", 0.4),
    ]
    images.append((4, "a", "b_c", 0.3))  # of the same classes as another, and less
    rows = [(*image[:3], image[3] * part) for image in images for part in (0.5, 1, 0)]
    table = pd.DataFrame(rows, columns=["image", "label", "predicted", "occlusion"])
    told = words.covered(table)
    assert r"is \emph{b\_c} for a picture of the class \emph{a} (0.70)" in told
    assert r"least is \emph{a} for a picture of the class \emph{b} (0.20)." in told
    assert words.covered(table[:6]) == ""


# The figures


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_drawn_twice_to_the_byte(name, trained, tmp_path):
    """Narrow and wide; of several seeds only the smallest, which the facts say."""
    _, finished = trained
    other = FinishedRun(finished.path)
    other.seed = 1
    for wide in (False, True):
        figure = Figure("s", name, name, wide=wide)
        both, alone = (tmp_path / f"{wide}{n}.pdf" for n in range(2))
        draw(figure, [other, finished], [both, tmp_path / "facts.txt"])
        draw(figure, [finished], [alone])
        assert alone.read_bytes() == both.read_bytes()
        plt.close("all")
    assert "Seed 0 of 0 and 1." in (tmp_path / "facts.txt").read_text()


def test_facts_name_pairs_and_weights(trained, tmp_path):
    _, finished = trained
    facts = {}
    for name in ("confusion", "filters"):
        draw(Figure("s", name, name), [finished], [tmp_path / "facts.txt"])
        facts[name] = (tmp_path / "facts.txt").read_text()
    label, taken, percent = most_confused(percentages(finished.probe("predictions")))[0]
    assert f"takes {label} for {taken} ({percent:.1f} %)" in facts["confusion"]
    assert "32 filters, weights" in facts["filters"]


@pytest.mark.parametrize("right", [True, False])
def test_explanations_of_one_kind_only(right, trained, tmp_path):
    """A perfect network has no wrong predictions, a hopeless one no right ones."""
    _, finished = trained
    table = finished.probe("explanations")
    kept = table[(table["label"] == table["predicted"]) == right]
    (tmp_path / "probes").mkdir()
    kept.to_csv(tmp_path / "probes" / "explanations.csv", index=False)
    (tmp_path / "run.json").write_text((finished.path / "run.json").read_text())
    out = [tmp_path / "figure.pdf", tmp_path / "facts.txt"]
    draw(Figure("s", "f", "explanations", wide=True), [FinishedRun(tmp_path)], out)
    missing = "misclassified" if right else "classified correctly"
    assert f"No image was {missing}." in out[1].read_text()


def test_a_study_names_them_and_bad_options_are_named():
    study = {
        "title": "Insight",
        "model": "convnet",
        "dataset": "generated10",
        "probes": {name: {} for name in PROBED},
        "figures": {name.replace("_", "-"): {"draw": name} for name in FIGURES},
    }
    config = {"title": "t", "results": "results/t", "studies": {"insight": study}}
    experiment = Experiment(config)
    assert len(experiment.probed(experiment.runs)) == len(PROBED)
    study["probes"]["explanations"] = {"patch": 40}
    with pytest.raises(GradscapeError, match=r"explanations\.patch: 40"):
        Experiment(config)
    study["probes"] = {"filters": {}}
    with pytest.raises(GradscapeError, match="which the study's `probes` do not name"):
        Experiment(config)
