"""Probes measure what is known in closed form, and leave training as it was."""

from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from conftest import SMALL, make, reseal
from gradscape.base.errors import GradscapeError
from gradscape.claims.smoothness import definition, proxy, width
from gradscape.cli import parser as cli
from gradscape.figures.drawing import draw
from gradscape.models import build
from gradscape.probes.hessian import hessian_product, largest_eigenvalue, trace
from gradscape.probes.signal import signal
from gradscape.probes.surface import filter_normalised_direction, filter_norms, on_plane
from gradscape.probes.trained import Trained, probabilities
from gradscape.runs.run import FinishedRun
from gradscape.spec.settings import Settings
from gradscape.spec.study import Figure, Run
from gradscape.training.gradients import GradientChange
from gradscape.training.landscape import along, step_sizes
from gradscape.training.save import step_arrays
from gradscape.training.train import train

PROBED = replace(SMALL, gradient_lag=2, landscape_every=3, landscape_points=4)


@pytest.fixture(scope="module")
def probed_run(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("probed") / "run"
    train(Run("s", "vgg08_lr1e-3_seed0", PROBED), dataset, out)
    return out


class Quadratic:
    """L(w) = ½ wᵀAw, with the eigenvalues of A known."""

    def __init__(self, eigenvalues):
        torch.manual_seed(0)
        n = len(eigenvalues)
        turn = torch.linalg.qr(torch.randn(n, n, dtype=torch.float64)).Q
        self.matrix = turn @ torch.diag(torch.tensor(eigenvalues).double()) @ turn.T
        self.weight = nn.Parameter(torch.randn(n, dtype=torch.float64))

    def loss(self):
        return 0.5 * self.weight @ self.matrix @ self.weight

    def backward(self):
        self.weight.grad = None
        loss = self.loss()
        loss.backward()
        return loss.detach()


def test_along_the_gradient_of_a_quadratic():
    """Loss, gradient distance and beta as calculus has them; the bits come back."""
    quadratic = Quadratic([1.0, 3.0, 10.0])
    here = quadratic.backward()
    weight, gradient = quadratic.weight.detach().clone(), quadratic.weight.grad.clone()
    sizes = step_sizes(0.01, 8, 0.4)
    assert sizes[0] == 0.005 and sizes[-1] == 0.04
    downhill = [-size for size in sizes]
    measured = along([quadratic.weight], [gradient], downhill, here, quadratic.backward)
    loss, distance = measured.numpy()
    curved = gradient @ quadratic.matrix @ gradient
    expected = [here - s * gradient @ gradient + s**2 / 2 * curved for s in sizes]
    np.testing.assert_allclose(loss, [here, *expected], rtol=1e-12)
    norm = gradient.norm()
    bends = [s * (quadratic.matrix @ gradient).norm() for s in sizes]
    np.testing.assert_allclose(distance, [norm, *bends], rtol=1e-10)
    assert torch.equal(quadratic.weight, weight)
    assert torch.equal(quadratic.weight.grad, gradient)


def test_a_step_that_overflows_is_infinite_and_the_bits_come_back():
    quadratic = Quadratic([1.0, 2.0])
    here, weight = quadratic.backward(), quadratic.weight.detach().clone()
    gradient = quadratic.weight.grad.clone()
    losses, _ = along([quadratic.weight], [gradient], [-1e200], here, quadratic.backward)
    assert losses[1] == np.inf and torch.equal(quadratic.weight, weight)


def test_gradient_change_is_the_distance_over_the_lag():
    weight = nn.Parameter(torch.zeros(1, 2))
    change = GradientChange(weight, lag=2)
    gradients, weights = [(3, 0), (0, 0), (0, 4), (1, 0)], [(0, 0), (1, 0), (0, 2), (1, 5)]
    seen = []
    for gradient, value in zip(gradients, weights, strict=True):
        weight.grad = torch.tensor([gradient], dtype=torch.float32)
        with torch.no_grad():
            weight.copy_(torch.tensor([value]))
        seen.append([float(v) for v in change.measure()])
    names = ["gradient_norm", *(f"gradient_distance_lag{n}" for n in (1, 5, 20))]
    assert change.names[2:] == names
    own, norm, one, later = np.split(np.array(seen), [2, 3, 4], axis=1)
    assert np.isnan(own[:2]).all() and np.isnan(one[0]).all() and np.isnan(later).all()
    assert own[2:].tolist() == [[5.0, 2.0], [1.0, 5.0]]
    assert norm.ravel().tolist() == [3.0, 0.0, 4.0, 1.0]
    np.testing.assert_allclose(one[1:].ravel(), [3.0, 4.0, np.sqrt(17)])


def test_the_step_of_plain_sgd_is_along_the_gradient(dataset, tmp_path):
    """So both measurements agree; that of Adam's step is another."""
    plain = replace(PROBED, epochs=1, landscape_step=True, optimiser="sgd", momentum=0)
    for optimiser in ("sgd", "adam"):
        settings = replace(plain, optimiser=optimiser)
        train(Run("s", "r", settings), dataset, tmp_path / optimiser)
    sgd, adam = (FinishedRun(tmp_path / name).steps for name in ("sgd", "adam"))
    length = settings.learning_rate * sgd["probed_gradient_norm"]
    np.testing.assert_allclose(sgd["stepped_length"], length, rtol=1e-3)
    np.testing.assert_allclose(sgd["stepped_loss"], sgd["probed_loss"], rtol=1e-5)
    distances = (sgd["stepped_gradient_distance"], sgd["probed_gradient_distance"])
    np.testing.assert_allclose(*distances, rtol=0.05)
    assert (adam["stepped_length"] > 10 * length).all()
    assert (adam["stepped_loss"][:, -1] < adam["probed_loss"][:, -1]).any()


def test_the_surface_of_a_quadratic_is_the_quadratic():
    quadratic = Quadratic([2.0, 5.0])
    weight = quadratic.weight.detach().clone()
    one, other = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    rows = on_plane(
        [quadratic.weight], ([one.double()], [other.double()]), [-1, 0, 2], quadratic.loss
    )
    for row in rows:
        there = weight + row["alpha"] * one + row["beta"] * other
        assert row["loss"] == pytest.approx(float(0.5 * there @ quadratic.matrix @ there))
    assert len(rows) == 9 and torch.equal(quadratic.weight, weight)


def test_directions_are_as_long_as_the_filters_and_leave_biases():
    model = build("vgg08-bn", 10)
    generator = torch.Generator().manual_seed(0)
    direction = filter_normalised_direction(model, generator)
    for drawn, parameter in zip(direction, model.parameters(), strict=True):
        if parameter.ndim > 1:
            torch.testing.assert_close(filter_norms(drawn), filter_norms(parameter))
        else:
            assert not drawn.any()


def test_hessian_of_a_quadratic():
    """Its largest eigenvalue by size, though negative, and its trace."""
    quadratic = Quadratic([1.0, 2.0, -7.0, 3.0])
    product = hessian_product([quadratic.loss], [quadratic.weight])
    value, change = largest_eigenvalue(product, [quadratic.weight], 100)
    assert value == pytest.approx(-7, rel=1e-2) and change < 1e-3
    mean, error = trace(product, [quadratic.weight], 400)
    assert abs(mean - -1) < 4 * error
    assert error < 0.5


def test_vgg38s_gradient_falls_as_the_law_predicts(generated, tmp_path):
    """Over 33 decades in mean square, within one, in each of three seeds."""
    settings = replace(SMALL, model="vgg38")
    for seed in range(3):
        table = at_initialisation(replace(settings, seed=seed), generated, tmp_path)
        table = table[1:]  # the entry is normalised: the law starts behind it
        for quantity, within in (("gradient", 1.0), ("activation", 1.5)):
            measured = table[f"{quantity}_mean_square"]
            decades = np.log10(measured / table[f"predicted_{quantity}_mean_square"])
            assert decades.abs().max() < within, (seed, quantity)
        fall = (
            table["gradient_mean_square"].iloc[-1] / table["gradient_mean_square"].iloc[0]
        )
        assert fall > 1e30


def test_the_law_takes_the_rectifiers_slope(generated, tmp_path):
    """Over 19 convolutions that of the courses' slope is off by more than a decade."""
    settings = replace(SMALL, model="vgg20", slope=0.5)
    table = at_initialisation(settings, generated, tmp_path)[1:]
    measured, law = (table[f"{p}gradient_mean_square"] for p in ("", "predicted_"))
    assert np.abs(np.log10(measured / law)).max() < 0.5


def test_the_law_is_said_of_plain_networks_only(generated, tmp_path):
    for model in ("vgg38-bn", "vgg38-rc"):
        table = at_initialisation(replace(SMALL, model=model), generated, tmp_path)
        assert table["predicted_gradient_mean_square"].isna().all()
        assert table["gradient_mean_square"].min() > 1e-25


def at_initialisation(settings: Settings, data, folder) -> pd.DataFrame:
    weights = build(settings.model, 10).state_dict()
    saved = {"settings": asdict(settings), "classes": list("abcdefghij")}
    torch.save(saved | {"best": weights, "last": weights}, folder / "model.pt")
    table = pd.DataFrame(signal(Trained(folder, data), images=50))
    return table[table.moment == "initialisation"]


@pytest.mark.parametrize("model", ["vgg08", "resnet-small"])  # with BN and dropout
def test_probing_changes_no_byte(model, dataset, tmp_path):
    settings = replace(PROBED, model=model, train_items=72, epochs=1, landscape_step=True)
    settings = replace(settings, width=8 if model == "resnet-small" else None)
    plain = replace(settings, landscape_every=None, gradient_lag=None)
    for name, wanted in (("probed", settings), ("plain", plain)):
        train(Run("s", "r", wanted), dataset, tmp_path / name)
    for table in ("metrics.csv", "gradients.npz", "test.csv"):
        files = [tmp_path / name / table for name in ("probed", "plain")]
        assert files[0].read_bytes() == files[1].read_bytes(), table
    best = [
        torch.load(tmp_path / name / "model.pt", weights_only=True)["best"]
        for name in ("probed", "plain")
    ]
    assert all(torch.equal(best[0][key], best[1][key]) for key in best[1])


def test_what_is_measured_agrees_with_training(probed_run):
    """The probe stands on the minibatch and the weights of the step that it belongs to."""
    steps = FinishedRun(probed_run).steps
    assert steps["probed_step"].tolist() == [1, 4, 7, 10, 13]
    np.testing.assert_array_equal(
        steps["probed_loss_here"], steps["loss"][steps["probed_step"] - 1]
    )
    np.testing.assert_allclose(steps["probed_size"][0], [0.0005, 1 / 600, 17 / 6000, 0.004])
    # A step so small hardly leaves the tangent.
    fall = steps["probed_loss_here"] - steps["probed_loss"][:, 0]
    linear = steps["probed_size"][:, 0] * steps["probed_gradient_norm"] ** 2
    np.testing.assert_allclose(fall, linear, rtol=0.1)
    assert np.isnan(steps["gradient_distance"][:2]).all()
    assert np.isfinite(steps["gradient_distance"][2:]).all()
    assert (steps["weight_distance"][2:] > 0).all()


def test_both_kinds_of_measures(probed_run):
    run = FinishedRun(probed_run)
    defined, proxies = definition(run), proxy([run])
    largest = defined["beta"][2]
    moved = run.steps["probed_size"] * run.steps["probed_gradient_norm"][:, None]
    betas = run.steps["probed_gradient_distance"] / moved
    np.testing.assert_array_equal(largest, betas.max(axis=1))
    assert proxies["gradient"][0][0] == 3  # the first step with one two steps before it
    assert (width("loss", proxies["loss"]) == 0).all()  # one run is no band


def test_overflow_is_counted_under_the_figure(dataset, tmp_path):
    training = make(PROBED, dataset)
    training.run_epoch(lambda images: None)
    training.history.probes[1]["measured"][0][:, 2] = torch.nan
    arrays = step_arrays(training.history)
    assert arrays["probed_loss"][1, 1] == np.inf
    out = tmp_path / "run"
    train(Run("s", "vgg08_lr1e-3_seed0", replace(PROBED, epochs=1)), dataset, out)
    np.savez(out / "steps.npz", **arrays)
    run = reseal(out)
    facts = tmp_path / "facts.txt"
    figure = Figure("s", "smoothness", "smoothness", wide=True)
    draw(figure, [run], [facts, tmp_path / "smoothness.pdf"])
    assert "3 values of VGG08 overflowed" in facts.read_text()
    assert "Over learning rates" not in facts.read_text()  # one rate has no proxy


def test_the_landscape_wants_fp32(dataset, tmp_path):
    run = Run("s", "r", replace(PROBED, precision="bf16"))
    with pytest.raises(GradscapeError, match="precision bf16: too coarse"):
        train(run, dataset, tmp_path)


def test_probes_on_the_command_line(probed_run, generated, tmp_path):
    options = {
        "surface": '{"points": 3, "images": 20, "along_path": true}',
        "hessian": '{"images": 20, "iterations": 2, "samples": 2}',
        "signal": '{"images": 20}',
    }
    rows = {"surface": 9 + 3, "hessian": 2, "signal": 24}
    for name, option in options.items():
        out = tmp_path / f"{name}.csv"
        command = ["probe", name, "--run", probed_run, "--data", generated, "--out", out]
        cli.main([str(word) for word in [*command, "--options", option]])
        assert len(pd.read_csv(out)) == rows[name]
    middle = pd.read_csv(tmp_path / "surface.csv").query("alpha == 0 and beta == 0")
    run = Trained(probed_run, generated)
    with torch.no_grad():
        loss = sum(share() for share in run.losses(run.network("best").eval(), 20))
    assert middle["loss"].tolist() == pytest.approx([float(loss)] * len(middle), rel=1e-5)
    places = pd.read_csv(tmp_path / "surface.csv").set_index("moment")
    assert places.loc["initialisation", ["alpha", "beta"]].tolist() == pytest.approx([1, 0])
    assert not places.loc["best", ["alpha", "beta"]].any()


def test_the_weights_that_are_kept_have_the_runs_own_test_accuracy(probed_run, generated):
    run = Trained(probed_run, generated)
    images, labels = run.test_images()
    right = probabilities(run.network("best").eval(), images).argmax(1) == labels
    expected = pd.read_csv(probed_run / "test.csv")["test_accuracy"].iloc[0]
    assert float(right.float().mean()) == pytest.approx(expected) and len(right) == 100


def test_a_run_without_weights_is_named(generated, tmp_path):
    with pytest.raises(GradscapeError, match=r"model\.pt: missing; the run has to be"):
        Trained(tmp_path, generated)
