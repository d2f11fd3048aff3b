"""What theory predicts, and what is measured beside it, where both are known by hand."""

import statistics
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from conftest import SMALL, reseal, write_run
from gradscape.base.errors import GradscapeError
from gradscape.claims.coordinates import COORDINATES, judged
from gradscape.data.store import load
from gradscape.figures.drawing import draw
from gradscape.figures.phase import ended, points_of
from gradscape.models import build
from gradscape.models.anatomy import one_image, weights
from gradscape.models.laws import (
    SLOPE,
    normalised_gradient_growth,
    residual_mean_squares,
)
from gradscape.probes.hessian import hessian_product, in_filter_norms
from gradscape.probes.isometry import isometry, singular_values
from gradscape.probes.lesion import lesion, removable
from gradscape.probes.predictions import predictions
from gradscape.probes.trainability import (
    effective_rank,
    gradient_cosine,
    moves,
    pooled_features,
    trainability,
)
from gradscape.probes.trained import Trained, with_statistics_of
from gradscape.runs.run import FinishedRun
from gradscape.spec.registry import find
from gradscape.spec.registry import names as metrics
from gradscape.spec.study import Figure, Run
from gradscape.training.landscape import along, step_sizes
from gradscape.training.train import train


@pytest.fixture(scope="module")
def probed(generated, tmp_path_factory):
    """A small VGG38 with both cures, trained a little and probed."""
    out = tmp_path_factory.mktemp("theory") / "run"
    settings = replace(SMALL, model="vgg38-bn-rc", epochs=1, score_training=20)
    train(Run("s", "r", settings), load(generated / "generated10"), out)
    run = Trained(out, generated)
    (out / "probes").mkdir()
    rows = trainability(run, images=20, pairs=2)
    pd.DataFrame(rows).to_csv(out / "probes" / "trainability.csv", index=False)
    return run, FinishedRun(out)


def with_probe(run: FinishedRun, probe: str, columns: dict) -> FinishedRun:
    (run.path / "probes").mkdir(exist_ok=True)
    table = pd.DataFrame(columns)
    table.to_csv(run.path / "probes" / f"{probe}.csv", index=False)
    return run


# Laws


def test_the_laws_are_read_from_the_signals_table(tmp_path):
    """Two stages of four and three convolutions: 1.5 each within them, the rest by hand."""
    gradients = [7.0, 1.5**2, 1.5, 1, 100, 1.5 * 40, 40, 1]
    names = ["entry", "stages.0.conv1", "stages.0.conv2", "stages.1.conv1"]
    names += ["stages.1.conv2", "stages.2.conv1", "stages.2.conv2", "head"]
    table = {
        "moment": "initialisation",
        "layer": names,
        "depth": range(8),
        "size": [8, 8, 8, 8, 4, 4, 4, 1],
        "input_mean_square": [9, 0.55, 1, 1.0, 1, 1, 1, 1],
        "activation_mean_square": [1] * 6 + [4, 1],
        "activation_variance": [0.5] * 6 + [1e-3, 0],
        "gradient_mean_square": gradients,
        "predicted_activation_mean_square": 1.0,
        "predicted_gradient_mean_square": 1.0,
    }
    run = with_probe(write_run(tmp_path, "vgg38-bn-rc"), "signal", table)
    measured = {name: find("metric", name)([run]) for name in metrics("metric")}
    assert measured["gradient_growth"] == pytest.approx(1.5)
    assert measured["gradient_range"] == pytest.approx(2)
    smaller = [0.0, *(1e-9 * square for square in gradients[1:])]  # zero is no decade
    with_probe(run, "signal", table | {"gradient_mean_square": smaller})
    assert find("metric", "gradient_range")([FinishedRun(run.path)]) == pytest.approx(2)
    assert measured["image_share"] == pytest.approx(1e-3 / 4)
    share = np.log10(100 / 1.5) / np.log10(40 / 1.5**2)
    assert measured["reduction_share"] == pytest.approx(share)
    expected = np.array([0.55, 1.0]) / residual_mean_squares(2, SLOPE) - 1
    assert measured["residual_deviation"] == pytest.approx(np.abs(expected).max())
    assert measured["normalised_gradient_growth"] == pytest.approx(1.4534, abs=1e-4)


SIGNAL = {"gradient_decades", "gradient_range", "gradient_growth", "image_share"}
SIGNAL |= {"residual_deviation", "reduction_share"}


def unmeasured(folder, squares, **more) -> set[str]:
    run = with_probe(write_run(folder, "vgg08"), "signal", gradients_of(squares) | more)
    return {name for name in SIGNAL if find("metric", name)([run]) is None}


def test_what_a_network_has_too_few_layers_for_is_not_measured(tmp_path):
    """An older run, without its probe, lacks it all."""
    older = write_run(tmp_path, "vgg08")
    assert all(find("metric", name)([older]) is None for name in SIGNAL)
    assert unmeasured(tmp_path / "1", [5.0]) == SIGNAL  # the output layer alone
    one_stage = {"residual_deviation", "reduction_share"}  # without blocks
    too_few = one_stage | {"gradient_decades", "gradient_growth"}
    assert unmeasured(tmp_path / "2", [5.0, 2.0]) == too_few
    four = {"squares": [4.0, 3.0, 2.0, 1.0, 1.0], "size": [8, 8, 4, 4, 1]}
    assert unmeasured(tmp_path / "5", **four) == {"residual_deviation", "gradient_growth"}
    blocks = {"squares": [4.0, 3.0, 1.0, 1.0], "layer": ["entry", "conv1", "b", "head"]}
    assert unmeasured(tmp_path / "4", **blocks) == {"reduction_share"}


def test_what_no_layer_has_a_gradient_for_is_not_measured(tmp_path):
    """One of 1 is a gradient like any other."""
    one_stage = {"residual_deviation", "reduction_share"}
    for squares, more in (
        ([9.0, 0.0, 4.0, 1.0], {"gradient_decades"}),
        ([0.0, 0.0, 0.0, 1.0], {"gradient_decades", "gradient_range"}),
        ([9.0, 1.0, 4.0, 1.0], set()),
    ):
        assert unmeasured(tmp_path / str(squares), squares) == one_stage | more


@pytest.mark.parametrize(
    "squares, lost", [([7.0, 0.01, 3.0, 1.0, 8.0], 2.0), ([7.0, 4.0, 3.0], 0.0)]
)
def test_decades_are_lost_from_the_last_convolution_to_the_first_behind_the_entry(
    squares, lost, tmp_path
):
    run = with_probe(write_run(tmp_path, "vgg08"), "signal", gradients_of(squares))
    assert find("metric", "gradient_decades")([run]) == pytest.approx(lost)


def test_growth_and_reductions_are_those_of_each_stage(tmp_path):
    """Of stages of one, four, three and two convolutions, by hand. The first of a stage
    does not count for the growth, and a shortcut's convolution for nothing."""
    table = gradients_of([6.0, 7.0, 12.0, 3.0, 1.0, 1e9, 0.5, 5.0, 1.0, 9.0, 50.0, 2.0])
    table["size"] = [16, *[8] * 4, *[4] * 4, 2, 2, 1]
    table["layer"] = [*"abcde", "stages.2.shortcut", *"fghijk"]
    table["activation_variance"] = 0.0
    run = with_probe(write_run(tmp_path, "vgg38-bn"), "signal", table)
    assert find("metric", "gradient_growth")([run]) == pytest.approx((12 * 5) ** (1 / 3))
    lost = np.log10([7 / 6, 0.5 / 3, 9 / 5]).sum() / np.log10(50 / 7)
    assert find("metric", "reduction_share")([run]) == pytest.approx(lost)
    assert find("metric", "gradient_range")([run]) == pytest.approx(2)
    rounding = 2.0**-23  # between neighbouring numbers in fp32 at one
    assert find("metric", "image_share")([run]) == rounding**2


def test_batch_sharpness_of_a_quadratic_is_its_curvature(tmp_path):
    """The mean of gᵀAg / |g|² by hand, not the ratio of their means, times half the rate;
    nothing is said of one never probed."""
    matrix = torch.diag(torch.tensor([1.0, 30.0, 4.0], dtype=torch.float64))
    places = torch.tensor([[0.3, 0.2, -1.0], [3.0, 0.0, 0.1]], dtype=torch.float64)
    weight = nn.Parameter(places[0].clone())

    def backward():
        weight.grad = None
        loss = 0.5 * weight @ matrix @ weight
        loss.backward()
        return loss.detach()

    sizes, probed, curvatures, betas = step_sizes(0.1, 8, 0.4), [], [], []
    for place in places:
        weight.data = place.clone()
        here = backward()
        gradient = weight.grad.clone()
        probed.append(along([weight], [gradient], [-s for s in sizes], here, backward))
        curvatures.append(float(gradient @ matrix @ gradient / (gradient @ gradient)))
        betas.append(float((matrix @ gradient).norm() / gradient.norm()))
    loss, distance = (np.stack([pair[i] for pair in probed]) for i in (0, 1))
    run = write_run(tmp_path, "vgg-a", losses=(1.0,), accuracies=(0.1,))
    assert find("metric", "batch_sharpness")([run]) is None
    steps = run.steps | {
        "steps_per_epoch": 4,
        "probed_step": np.arange(1, 9),
        "probed_size": np.tile(sizes, (8, 1)),
        "probed_loss_here": np.tile(loss[:, 0], 4),
        "probed_loss": np.tile(loss[:, 1:], (4, 1)),
        "probed_gradient_norm": np.tile(distance[:, 0], 4),
        "probed_gradient_distance": np.tile(distance[:, 1:], (4, 1)),
    }
    np.savez(run.path / "steps.npz", **steps)
    run = reseal(run.path)
    expected = np.mean(curvatures) * 0.05
    assert find("metric", "batch_sharpness")([run]) == pytest.approx(expected)
    assert find("metric", "beta_at_0.1")([run]) == pytest.approx(np.median(betas))
    capped = steps | {"probed_size": np.minimum(steps["probed_size"], 0.04)}
    np.savez(run.path / "steps.npz", **capped)
    run = reseal(run.path, settings=run.settings | {"landscape_cap": 0.04})
    assert find("metric", "batch_sharpness")([run]) is None
    run = reseal(run.path, settings=run.settings | {"landscape_cap": 0.4})
    few = {key: value[:3] for key, value in steps.items() if key.startswith("probed")}
    np.savez(run.path / "steps.npz", **steps | few)
    last = curvatures[0] * 0.05  # of three probes, a quarter is none
    assert find("metric", "batch_sharpness")([reseal(run.path)]) == pytest.approx(last)


# Probes


class Square(nn.Module):
    """Logits |x|²/2 and its negative: the input gradient is ±x."""

    def forward(self, x):
        half = x.flatten(1).square().sum(1) / 2
        return torch.stack([half, -half], dim=1)


def test_cosine_of_input_gradients_along_a_line():
    first, second = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[0.0, 1.0]]])
    share = np.linspace(0, 1, 50)
    points = np.stack([1 - share, share], axis=1)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    expected = (points[1:] * points[:-1]).sum(axis=1).mean()
    for label in (0, 1):
        measured = gradient_cosine(Square(), first, second, label)
        assert measured == pytest.approx(expected, rel=1e-6)
    tiny = gradient_cosine(lambda x: 1e-30 * Square()(x), first, second, 0)
    assert tiny == pytest.approx(expected, rel=1e-6)  # its squares underflow fp32


def test_effective_rank_by_hand():
    turn = torch.linalg.qr(torch.randn(6, 6, generator=torch.manual_seed(0))).Q
    assert effective_rank(turn[:, :4]) == pytest.approx(4)
    assert effective_rank(turn[:, :1] @ turn[:1]) == pytest.approx(1, abs=1e-4)
    uneven = turn[:, :2] @ torch.diag(torch.tensor([3.0, 1.0]))
    expected = np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    assert effective_rank(uneven) == pytest.approx(expected)
    assert np.isnan(effective_rank(turn * torch.nan))


def test_what_moved_and_how_far():
    start, end = build("vgg08", 10), build("vgg08", 10)
    end.load_state_dict(start.state_dict())
    with torch.no_grad():
        end.head.weight[0] *= 3
    calls = one_image(start, 10)
    changed, distance = moves(weights(start, calls), weights(end, calls))
    assert changed.pop("head") == pytest.approx(0.1) and not any(changed.values())
    weight = start.head.weight.detach()
    assert distance["head"] == pytest.approx(float(2 * weight[0].norm() / weight.norm()))


def test_statistics_are_estimated_on_the_given_images():
    model = nn.Sequential(nn.BatchNorm2d(2), nn.Dropout(0.5))
    model(torch.randn(8, 2, 4, 4) + 5)
    batches = [torch.randn(4, 2, 3, 3), torch.randn(4, 2, 3, 3) + 1]
    with_statistics_of(model, batches)
    mean = torch.stack([b.mean((0, 2, 3)) for b in batches]).mean(0)
    variance = torch.stack([b.var((0, 2, 3)) for b in batches]).mean(0)
    torch.testing.assert_close(model[0].running_mean, mean)
    torch.testing.assert_close(model[0].running_var, variance)
    assert not model.training and not model[0].training


def test_a_block_without_a_branch_is_not_missed(generated, tmp_path):
    """With RC and its last convolution at zero a block is the identity; without, it is the
    end of the signal. Reduction blocks cannot be removed, and VGG08 has no others."""
    torch.manual_seed(0)
    for name, keeps in (("vgg38-rc", True), ("vgg38", False)):
        model = build(name, 10).eval()
        for module in model.modules():  # else nothing of the image reaches the end
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        images = torch.randn(2, 3, 32, 32)
        blocks = removable(model, images)
        assert len(blocks) == 15 and "stages.5" not in blocks
        nn.init.zeros_(model.get_submodule(blocks[4]).conv2.weight)
        after = deepcopy(model)
        after.set_submodule(blocks[4], nn.Identity())
        features, left = (pooled_features(m, m.head, images) for m in (model, after))
        # Twice through the leaky ReLU, of which the second moves what is negative by 1 %.
        same = torch.allclose(left, features, rtol=0.05, atol=1e-6)
        assert same == keeps, name
        assert not isinstance(model.get_submodule(blocks[4]), nn.Identity)
    run = trained_once(replace(SMALL, epochs=1), generated, tmp_path)
    with pytest.raises(GradscapeError, match="vgg08: has no block that keeps the shape"):
        lesion(run)


def test_the_loss_of_a_block_is_the_median(tmp_path):
    table = {"block": ["none", "a", "b", "c"], "accuracy": [0.4, 0.1, 0.3, 0.2]}
    run = with_probe(write_run(tmp_path, "vgg38-rc"), "lesion", table)
    assert find("metric", "lesion_loss")([run]) == pytest.approx(1 - 0.19 / 0.39)
    table["accuracy"] = [0.02, 0.01, 0.015, 0.01]  # next to nothing learned, or to lose
    run = with_probe(write_run(tmp_path, "vgg38-bn"), "lesion", table)
    assert find("metric", "lesion_loss")([run]) is None


def test_a_normalised_network_is_as_curved_with_larger_filters():
    """In units of the filters' norms; in the weights' own it is flatter by the square."""
    torch.manual_seed(0)
    model = build("vgg08-bn", 10).double().train()
    images, labels = torch.randn(6, 3, 16, 16).double(), torch.arange(6)
    signs = [torch.randn_like(p).sign() for p in model.parameters()]
    loss = lambda: nn.functional.cross_entropy(model(images), labels)  # noqa: E731

    def curvatures():
        parameters = list(model.parameters())
        product = hessian_product([loss], parameters)
        scaled = in_filter_norms(product, parameters)
        return [
            torch.stack([(s * h).sum() for s, h in zip(signs, p(signs), strict=True)])
            for p in (product, scaled)
        ]

    raw, normalised = curvatures()
    with torch.no_grad():  # no bias, and normalised behind
        model.entry.weight *= 10
    flatter, same = curvatures()
    torch.testing.assert_close(same, normalised, rtol=1e-2, atol=1e-6)
    assert abs(flatter[0]) < 0.2 * abs(raw[0])


def test_a_run_is_probed_for_what_trainability_needs(probed):
    _, finished = probed
    table = finished.probe("trainability").set_index(["moment", "quantity"])
    assert (table.loc[("last", "moved")]["value"] > 0.99).all()
    epsilon = find("metric", "initial_share_below_epsilon")([finished])
    assert epsilon == find("metric", "share_below_epsilon")([finished]) == 0
    assert -1 <= find("metric", "gradient_cosine")([finished]) <= 1
    assert 1 < find("metric", "effective_rank")([finished]) <= 20
    assert 0 < find("metric", "relative_distance")([finished]) < 1


def test_each_test_image_is_kept_with_class_and_confidence(probed, tmp_path):
    run, finished = probed
    kept, probe = finished.predictions, pd.DataFrame(predictions(run))
    assert kept["right"].mean() == finished.test["test_accuracy"]
    assert (
        kept["predicted"].map(dict(enumerate(run.class_names))).equals(probe["predicted"])
    )
    np.testing.assert_allclose(kept["confidence"], probe["confidence"], atol=0.6 / 255)
    with np.load(finished.path / "predictions.npz") as arrays:
        assert {a.dtype.name for a in arrays.values()} == {"uint8", "bool"}
    assert write_run(tmp_path, "vgg38").predictions is None  # a run older than the file


def test_training_images_are_scored_as_validation_images_are(probed, generated, tmp_path):
    run, finished = probed
    network = run.network("last").eval()
    with torch.no_grad():
        right = [network(x).argmax(1) == y for x, y in run.minibatches(20)]
    clean = finished.metrics.iloc[-1]
    assert clean["clean_train_accuracy"] == pytest.approx(
        float(torch.cat(right).float().mean())
    )
    with torch.no_grad():
        loss = sum(float(share()) for share in run.losses(network, 20))
    assert clean["clean_train_loss"] == pytest.approx(loss, rel=1e-5)
    assert finished.test["clean_train_loss"] == clean["clean_train_loss"]
    gap = clean["clean_train_accuracy"] - clean["val_accuracy"]
    assert find("metric", "clean_gap")([finished]) == pytest.approx(gap)
    other = replace(SMALL, model="vgg08", epochs=2, augmentation="none")
    runs = []
    for name, wanted in (("off", None), ("on", 30)):
        trained_once(replace(other, score_training=wanted), generated, tmp_path / name)
        runs.append(FinishedRun(tmp_path / name))
    off, on = (torch.load(r.path / "model.pt", weights_only=True) for r in runs)
    assert all(torch.equal(off["last"][key], on["last"][key]) for key in off["last"])
    assert runs[1].metrics[runs[0].metrics.columns].equals(runs[0].metrics)
    assert find("metric", "clean_gap")(runs[:1]) is None


# Smoothness


def along_loss(tmp_path, model: str, losses, change, rate=1e-3) -> FinishedRun:
    """A run whose gradient has the norm `loss` and changes by `change(loss)` along itself
    and twice that along its own step, of length 0.1."""
    run = write_run(tmp_path, model, rate, losses=(2.3, 1.0), steps=losses)
    losses = np.asarray(losses, dtype=float)
    probes = {"step": np.arange(1, len(losses) + 1), "gradient_norm": losses}
    probes["size"] = np.tile([0.5e-3, 4e-3], (len(losses), 1))
    probes["loss"] = np.tile([1.0, 2.0], (len(losses), 1))
    probes["gradient_distance"] = change(losses)[:, None] * [0.5, 1.0]
    steps = run.steps | {f"probed_{name}": array for name, array in probes.items()}
    steps["stepped_loss"] = probes["loss"]
    steps["stepped_gradient_distance"] = 2 * probes["gradient_distance"]
    steps["stepped_length"] = np.full(len(losses), 0.1)
    np.savez(run.path / "steps.npz", **steps)
    return reseal(run.path)


def test_smoothness_per_gradient_norm_and_along_the_own_step(tmp_path):
    run = along_loss(tmp_path, "vgg-a", np.linspace(4, 2, 41), lambda loss: 6 * loss)
    expected = {
        "median_definition_gradient": 15,
        "median_relative_definition_gradient": 6,
        "median_step_gradient": 30,
        "median_relative_step_gradient": 12,
        "median_step_beta": 15 / 0.05,
        "median_step_loss": 1,
    }
    for name, value in expected.items():
        assert find("metric", name)([run]) == pytest.approx(value), name


def test_two_networks_are_compared_where_their_losses_are_equal(tmp_path):
    """The second is rougher by a half at every loss, but gets lower, where all is smooth:
    over all steps it looks smoother."""
    plain = along_loss(tmp_path, "vgg-a", np.linspace(2.3, 2, 200), lambda loss: loss**3)
    losses = np.linspace(2.3, 0.5, 200)
    other = along_loss(tmp_path, "vgg-a-bn", losses, lambda loss: 1.5 * loss**3)
    medians = [
        find("metric", "median_definition_gradient")([run]) for run in (plain, other)
    ]
    assert medians[1] < medians[0]
    for name in ("definition_gradient", "relative_definition_gradient", "step_gradient"):
        for runs in ([plain, other], [other, plain]):
            ratio = find("metric", f"{name}_at_equal_loss")(runs)
            assert ratio == pytest.approx(1.5, rel=0.05), name
    far = along_loss(tmp_path, "vgg-a", np.linspace(9, 8, 200), np.square, rate=1e-2)
    below = along_loss(tmp_path, "vgg-a-bn", losses, np.square, rate=1e-2)
    assert find("metric", "definition_gradient_at_equal_loss")([far, below]) is None


def test_proxies_at_each_lag_over_the_gradients_norm(dataset_run):
    steps, start = dataset_run.steps, dataset_run.steps_per_epoch
    assert start >= 5
    for lag in (1, 5):
        changes = steps[f"gradient_distance_lag{lag}"][start:]
        norms = steps["gradient_norm"][start:]
        absolute = find("metric", f"median_proxy_gradient_lag{lag}")([dataset_run])
        relative = find("metric", f"median_relative_proxy_gradient_lag{lag}")([dataset_run])
        assert absolute == pytest.approx(np.median(changes))
        assert relative == pytest.approx(np.median(changes / norms))
    own = find("metric", "median_relative_proxy_gradient")([dataset_run])
    assert own == pytest.approx(
        np.median((steps["gradient_distance"] / steps["gradient_norm"])[start:])
    )


@pytest.fixture
def dataset_run(generated, tmp_path) -> FinishedRun:
    trained_once(replace(SMALL, gradient_lag=2), generated, tmp_path / "lags")
    return FinishedRun(tmp_path / "lags")


def test_filters_are_correlated_with_their_start(tmp_path):
    """One keeps its pattern, one turns it over, one has another."""
    before = [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]
    after = [[2.0, 4.0, 6.0], [-1.0, -2.0, -3.0], [1.0, 2.0, 1.0]]
    parts = [
        pd.DataFrame(
            {
                **{"moment": moment, "filter": np.repeat(range(3), 3), "channel": 0},
                **{"row": 0, "column": [0, 1, 2] * 3, "weight": np.ravel(weights)},
            }
        )
        for moment, weights in (("initialisation", before), ("best", after))
    ]
    run = with_probe(write_run(tmp_path, "convnet"), "filters", pd.concat(parts))
    assert find("metric", "filter_correlation")([run]) == pytest.approx(0)


# The figure


def test_the_phase_figure_tells_what_trained(tmp_path):
    runs = []
    for model, rate, loss, share in (
        ("vgg38", 1e-3, 4.6, 0.0),
        ("vgg38-bn", 1e-3, np.nan, 0.5),
        ("vgg38-bn", 1e-2, 3.0, 0.5),  # the best of its rates
        ("vgg38-bn", 1e-1, np.nan, 0.5),
    ):
        run = write_run(tmp_path, model, rate, losses=(4.6, loss))
        signal = {
            "moment": "initialisation",
            "layer": ["entry", "stages.0.conv1", "head"],
            "depth": range(3),
            "size": [32, 32, 1],
            "input_mean_square": 1.0,
            "activation_mean_square": 1.0,
            "activation_variance": share,
            "gradient_mean_square": [1e-3, 1.0, 1.0],
            "predicted_activation_mean_square": 1.0,
            "predicted_gradient_mean_square": 1.0,
        }
        cosine = {"moment": "initialisation", "quantity": "gradient_cosine"}
        with_probe(run, "signal", signal)
        with_probe(run, "trainability", {**cosine, "layer": ["all"], "value": 0.9})
        runs.append(run)
    out = [tmp_path / "phase.svg", tmp_path / "phase.txt"]
    draw(Figure("s", "phase", "phase", wide=True), runs, out)
    picture, facts = (path.read_text() for path in out)
    assert "VGG38 BN" in picture and "did not train" in picture
    assert [ended(point) for point in points_of(runs).values()] == [4.6, 3.0]
    assert "uniform guess, 4.61" in facts and "Shares below 1e-14 are rounding" in facts


@pytest.mark.parametrize(
    "optimiser, share", [("adam", 0.5), ("adamw", 0.5), ("rmsprop", 0.5), ("sgd", None)]
)
def test_weights_below_epsilon_are_counted_where_there_is_one(optimiser, share, tmp_path):
    """PyTorch's, 1e-8, in the last epoch."""
    epochs = {"losses": [4.6] * 3, "accuracies": [0.01] * 3}
    run = write_run(tmp_path, "vgg38", varied={"optimiser": optimiser}, **epochs)
    gradients = np.ones((3, 4))
    gradients[-1] = 1e-12, 0.99e-8, 1e-8, 1e-3
    arrays = {"mean_absolute_gradient": gradients, "layer": np.array([*"abcd"])}
    np.savez(run.path / "gradients.npz", **arrays)
    run = reseal(run.path)
    assert find("metric", "share_below_epsilon")([run]) == share


def trained_once(settings, generated, folder) -> Trained:
    train(Run("s", "r", settings), load(generated / "generated10"), folder)
    return Trained(folder, generated)


# Predictions that were registered before their runs


def test_singular_values_are_those_of_the_jacobian_up_to_the_output_layer():
    """A linear map that stretches three directions by 1, 2 and 3 and forgets the others."""
    mapped = nn.Linear(12, 3, bias=False)
    basis, _ = torch.linalg.qr(torch.randn(12, 3))
    mapped.weight = nn.Parameter(torch.diag(torch.tensor([1.0, 2.0, 3.0])) @ basis.T)
    model = nn.Sequential(nn.Flatten(), mapped, nn.Linear(3, 10))
    values = singular_values(model, model[2], torch.randn(3, 2, 2))
    assert values.tolist() == pytest.approx([3, 2, 1], rel=1e-5)


def test_isometry_is_measured_before_and_after_training(generated, tmp_path):
    settings = replace(SMALL, model="vgg38", epochs=1, initialisation="he", eta=0.5)
    train(Run("s", "r", settings), load(generated / "generated10"), tmp_path / "run")
    rows = isometry(Trained(tmp_path / "run", generated), images=2, statistics=20)
    table = pd.DataFrame(rows)
    assert table.groupby(["moment", "image"]).size().tolist() == [32] * 4
    run = with_probe(FinishedRun(tmp_path / "run"), "isometry", table)
    start = table[table.moment == "initialisation"].groupby("image")["value"]
    largest, median = (np.array(start.agg(of)) for of in ("max", "median"))
    ratio = find("metric", "isometry_ratio")([run])
    assert ratio == pytest.approx((largest / median).prod() ** 0.5)


def gradients_of(squares) -> dict:
    """The probe `signal`'s table of a network with these gradients, and nothing else."""
    others = ["depth", "input_mean_square", "activation_mean_square", "activation_variance"]
    others += ["predicted_activation_mean_square", "predicted_gradient_mean_square"]
    columns = {"moment": "initialisation", "layer": "a", "size": 32}
    return columns | dict.fromkeys(others, 1.0) | {"gradient_mean_square": squares}


DEPTHS = {"vgg14": 13, "vgg26": 25, "vgg38": 37}


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_the_power_by_which_gradients_scatter_is_found(power, tmp_path):
    random, runs = np.random.default_rng(1), []
    for model, depth in DEPTHS.items():
        for seed in range(100):
            run = write_run(tmp_path, model, seed=seed)
            squares = np.ones(depth + 1)
            squares[1] = np.exp(0.1 * depth**power * random.normal())
            runs.append(with_probe(run, "signal", gradients_of(squares)))
    metric = find("metric", "scatter_exponent")
    found = metric.estimate(runs)
    assert metric(runs) == found.difference
    assert abs(found.difference - power) < 2.5 * found.error < 0.3
    assert metric(runs[:100]) is None  # a single depth


def test_a_power_is_fitted_to_three_depths_of_three_seeds(tmp_path):
    """Least squares, with the errors of deviations that are known from so many seeds."""
    runs, deviations = [], []
    logs = ([-0.1, 0.0, 0.2], [-0.2, 0.1, 0.3], [-0.5, 0.2, 0.3, 0.1])
    for model, depth, scattered in zip(DEPTHS, DEPTHS.values(), logs, strict=True):
        deviations.append(statistics.stdev(scattered))
        for seed, log in enumerate(scattered):
            run = write_run(tmp_path, model, seed=seed)
            squares = [1.0, np.exp(log), *np.ones(depth - 1)]
            runs.append(with_probe(run, "signal", gradients_of(squares)))
    slope = lambda scatter: np.polyfit(np.log([*DEPTHS.values()]), scatter, 1)[0]  # noqa: E731
    of_each = np.array([slope(unit) for unit in np.eye(3)])
    error = np.sqrt((of_each**2 / (2 * np.array([2, 2, 3]))).sum())
    metric = find("metric", "scatter_exponent")
    found = metric.estimate(runs)
    expected = slope(np.log(deviations))
    assert (found.difference, found.error) == pytest.approx((expected, error))
    assert metric(runs[1:]) is None  # two seeds


def test_growth_is_compared_at_each_runs_own_slope(tmp_path):
    runs = []
    for slope, off in ((0.01, 1.01), (1.0, 0.97)):
        growth = off * normalised_gradient_growth(slope)
        run = write_run(tmp_path / str(slope), "vgg38-bn")
        columns = gradients_of(growth ** np.arange(8.0)[::-1])
        settings = run.settings | {"slope": None if slope == 0.01 else slope}
        runs.append(with_probe(reseal(run.path, settings=settings), "signal", columns))
    assert find("metric", "growth_deviation")(runs) == pytest.approx(0.03)


def test_a_property_is_judged_by_the_studies_that_did_not_set_its_threshold():
    """In two studies a gradient below ten decades goes with training, in the third not."""

    def table(decades, trains, ranks):
        rows = {"model": "vgg08", "variant": "", "trains": trains}
        rows |= dict.fromkeys(COORDINATES, np.nan)
        return pd.DataFrame(rows | {"gradient_range": decades, "effective_rank": ranks})

    tables = {
        "one": table([2.0, 30.0], [True, False], [1.0, 5.0]),
        "two": table([8.0, 12.0], [True, False], [np.nan, np.nan]),
        "odd": table([9.0], [False], [np.nan]),
    }
    (found,) = judged(tables)
    assert (found.name, found.networks, found.above) == ("gradient_range", 5, False)
    assert found.threshold == 8.5 and found.right == 5
    # Without `two` it is 5.5, so that 8 goes wrong, without `odd` 10, and so does 9.
    assert found.elsewhere == 3
    with_ranks = tables | {"two": table([8.0, 12.0], [True, False], [2.0, 6.0])}
    assert [c.name for c in judged(with_ranks)] == ["effective_rank", "gradient_range"]
