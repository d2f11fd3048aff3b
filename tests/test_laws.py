"""Each closed form of docs/theory.md, against a network or a simulation."""

import math
import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd import grad
from torch.nn.functional import batch_norm, cross_entropy, leaky_relu

from conftest import ROOT
from gradscape.models import laws
from gradscape.models.vgg_edinburgh import delta_orthogonal
from wide import normal, simulated, squares_at_random

SLOPES = [0.0, 0.01, 0.358, 1.0]
PAGE = " ".join((ROOT / "docs" / "theory.md").read_text().split())
WIDTH = 600  # of fully connected layers, and images in a minibatch


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def pytorchs(width: int = WIDTH) -> torch.Tensor:
    """Square weights as PyTorch draws them."""
    return nn.Linear(width, width, bias=False, dtype=torch.float64).weight.detach()


def normalised(z: torch.Tensor) -> torch.Tensor:
    """[units, images]"""
    return batch_norm(z.T, None, None, training=True).T


# Plain networks


def plain(blocks: int, width: int, size: int) -> list[laws.Layer]:
    """The layers of a plain Edinburgh network, as the laws take them."""
    layers = [laws.Layer(size, 27, bias=False)]
    for _ in range(3):
        layers += 2 * blocks * [laws.Layer(size, 9 * width, bias=False)]
        layers += [laws.Layer(side, 9 * width, bias=True) for side in (size, size // 2)]
        size //= 2
    return [*layers, laws.Layer(1, width, bias=True)]


def test_signal_and_gradient_of_a_wide_plain_network():
    """From a uniform guess's logits backwards, over pools and borders."""
    layers = plain(blocks=1, width=96, size=16)
    predicted = [
        laws.activation_mean_squares(layers, laws.SLOPE)[1:],
        laws.gradient_mean_squares(layers, laws.SLOPE, classes=10, images=20)[1:],
    ]
    measured = [squares_at_random(seed, blocks=1, width=96) for seed in range(2)]
    signal, gradient = np.abs(np.log10(measured / np.array(predicted)).mean(axis=0))
    assert signal[:3].max() < 0.1 and signal.max() < 0.5  # behind a pool it is no law
    assert gradient.max() < 0.2 and gradient[-1] < 0.01


def test_the_decades_that_vgg38_loses():
    layers = plain(blocks=5, width=32, size=32)
    gradients = laws.gradient_mean_squares(layers, laws.SLOPE, classes=100, images=100)
    factor, factors = laws.let_through(laws.SLOPE) * laws.VARIANCE, len(layers) - 3
    assert f"there are {factors} factors, {-factors * math.log10(factor):.1f} dec" in PAGE
    assert f"the law says {math.log10(gradients[-2] / gradients[1]):.2f}." in PAGE
    assert rf"$3 \log_{{10}} 16 = {3 * math.log10(16):.1f}$ decades" in PAGE


@pytest.mark.parametrize("size", [2, 4, 7])
def test_a_border_leaves_the_taps_within_the_map(size):
    left = laws.taps(np.ones((size, size))).mean()
    assert left == pytest.approx((1 - 2 / (3 * size)) ** 2)


@pytest.mark.parametrize("slope", [0.0, 0.358])
def test_gradients_of_narrow_networks_scatter_as_the_root_of_the_depth(slope):
    """By eight hundred networks of forty units: each layer adds as much variance."""
    width, out, outputs = 40, normal(800, 40, 1).requires_grad_(), []
    for _ in range(13):
        outputs.append(normal(800, width, width) @ out)
        out = leaky_relu(outputs[-1], slope)
    behind = nn.functional.normalize(normal(800, width, 1), dim=1)
    gradients = grad((out * behind).sum(), outputs)
    near, far = (
        gradients[layer].square().sum(dim=(1, 2)).log().var().item() for layer in (8, 0)
    )
    relative = (6 * (1 + slope**4) / (1 + slope**2) ** 2 - 1) / width
    assert far - near == pytest.approx(8 * relative, rel=0.3)


def test_adam_moves_a_vanished_weight_by_its_gradient_over_epsilon():
    weight = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    adam = torch.optim.Adam([weight], lr=1e-3)
    for _ in range(5):
        weight.grad = torch.tensor([1e-12, 1.0], dtype=torch.float64)
        adam.step()
    expected = torch.tensor([1e-3 * 1e-12 / 1e-8, 1e-3], dtype=torch.float64)
    torch.testing.assert_close(-weight.detach(), 5 * expected, rtol=1e-3, atol=0)


def test_a_weights_gradient_sums_over_images_and_positions():
    given, errors = normal(30, 8, 12, 12), normal(30, 8, 10, 10)
    weight = torch.zeros(8, 8, 3, 3, dtype=torch.float64, requires_grad=True)
    (gradient,) = grad((nn.functional.conv2d(given, weight) * errors).sum(), weight)
    assert gradient.square().mean().item() == pytest.approx(30 * 10**2, rel=0.15)


# Batch normalisation


@pytest.mark.parametrize("slope", SLOPES)
def test_the_gradient_of_a_normalised_network_grows(slope):
    passed = leaky_relu(normal(10**6), slope)
    mean, variance = passed.mean().item(), passed.var().item()
    assert mean == pytest.approx((1 - slope) / math.sqrt(2 * math.pi), abs=0.004)
    growth = laws.normalised_gradient_growth(slope)
    assert variance == pytest.approx(laws.let_through(slope) / growth, rel=0.01)
    outputs, out = [], leaky_relu(normal(WIDTH, WIDTH), slope).requires_grad_()
    for _ in range(5):
        outputs.append(pytorchs() @ out)
        out = leaky_relu(normalised(outputs[-1]), slope)
    first, *_, last = grad((out * normal(*out.shape)).sum(), outputs)
    measured = (first.square().mean() / last.square().mean()).item() ** (1 / 4)
    assert measured == pytest.approx(growth, rel=0.03)


# Residual connections


@pytest.mark.parametrize("norm", [False, True])
def test_signal_and_gradient_of_a_wide_residual_network(norm):
    given, _, above = simulated(laws.SLOPE, norm, laws.VARIANCE)
    kind = normalised if norm else nn.Identity()
    x = out = leaky_relu(normal(WIDTH, WIDTH), laws.SLOPE).requires_grad_()
    for square in given:
        assert out.square().mean().item() == pytest.approx(square, rel=0.05)
        branch = leaky_relu(kind(pytorchs() @ out), laws.SLOPE)
        out = leaky_relu(out + kind(pytorchs() @ branch), laws.SLOPE)
    (gradient,) = grad((out * normal(*out.shape)).sum(), x)
    assert gradient.square().mean().item() == pytest.approx(above[0], rel=0.05)
    if norm:
        found = laws.residual_mean_squares(5, laws.SLOPE)
        assert found == pytest.approx(given, rel=0.01)


def test_five_blocks_keep_two_thirds_of_the_gradient():
    found = [
        simulated(laws.SLOPE, False, laws.VARIANCE, independent)[2][0]
        for independent in (True, False)
    ]
    assert "would keep {:.2f} of the mean square, not {:.2f}.".format(*found) in PAGE


def test_without_a_bend_a_residual_stream_grows_by_one_per_block():
    found = laws.residual_mean_squares(4, slope=1)
    np.testing.assert_allclose(found, [1, 2, 3, 4], rtol=0.01)
    bent = laws.residual_mean_squares(2, laws.SLOPE)
    assert bent[0] == pytest.approx(laws.let_through(laws.SLOPE), rel=0.01)
    # φ of N(0, 2) would have twice that; x ≥ 0 is let through, so there is more.
    assert 1 < bent[1] < 1.5


# Similarity


@pytest.mark.parametrize("slope", SLOPES)
def test_the_cosine_map_is_what_a_wide_random_layer_does(slope):
    first, second = normal(2, 400_000)
    for cosine in (-0.5, 0.0, 0.7, 0.99):
        mixed = cosine * first + (1 - cosine**2) ** 0.5 * second
        behind = [leaky_relu(x, slope) for x in (first, mixed)]
        measured = torch.cosine_similarity(*behind, dim=0).item()
        assert laws.cosine_map(cosine, slope) == pytest.approx(measured, abs=0.005)
        assert laws.cosine_map(cosine, slope) > cosine or slope == 1


def test_a_tailored_slope_keeps_orthogonal_images_apart():
    """Forty of them, in the mean of all pairs, behind 13 layers of Gaussian weights."""
    for eta in (0.5, 0.9):
        slope = laws.tailored_slope(eta, 13)
        out, _ = torch.linalg.qr(normal(WIDTH, 40))
        for _ in range(13):
            out = leaky_relu(normal(WIDTH, WIDTH) @ out, slope) / WIDTH**0.5
        units = nn.functional.normalize(out, dim=0)
        pairs = (units.T @ units).triu(1)
        assert pairs.sum().item() / (40 * 39 / 2) == pytest.approx(eta, abs=0.06)


def test_cosines_go_to_one_as_one_over_the_depth_squared():
    beta, cosine = (1 - laws.SLOPE) ** 2 / (math.pi * (1 + laws.SLOPE**2)), 0.0
    for depth in range(1, 1001):
        cosine = laws.cosine_map(cosine, laws.SLOPE)
        share = (1 - cosine) * 2 * (beta * depth) ** 2 / 9
        if depth in (37, 1000):
            assert f"{share:.2f}" + {37: " of that at", 1000: " at"}[depth] in PAGE
    assert 0.95 < share < 1


def test_the_pages_slopes_are_the_codes():
    for eta in (0.9, 0.5):
        (row,) = re.findall(
            rf"\| \$\\eta = {eta}\$ \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", PAGE
        )
        slopes = [laws.tailored_slope(eta, layers) for layers in (13, 25, 37)]
        assert [f"{slope:.3f}" for slope in slopes] == list(row)


def test_singular_values_of_a_delta_orthogonal_and_of_a_gaussian_convolution():
    """On a map whose border plays no part: the same for all, or from 0 to twice their root
    mean square."""
    conv = nn.Conv2d(16, 16, 3, padding=1, padding_mode="circular", bias=False)
    rows = torch.eye(16 * 36).reshape(-1, 16, 6, 6)

    def values() -> torch.Tensor:
        return torch.linalg.svdvals(conv(rows).detach().flatten(1))

    delta_orthogonal(conv, gain=1.3)
    torch.testing.assert_close(values(), torch.full((16 * 36,), 1.3))
    nn.init.kaiming_normal_(conv.weight)
    spread = values() / values().square().mean().sqrt()
    assert 1.7 < spread.quantile(0.99) < 2.1 and spread.min() < 0.1


# On a plateau


def test_the_trace_of_the_output_layer_of_a_uniform_guess():
    """The mean over images of that of Jᵀ(diag(p) - ppᵀ)J, J the logits' Jacobian."""
    features, classes = normal(6, 5), 4
    weight = torch.zeros(classes, 6, dtype=torch.float64)  # the last column is the bias
    inputs = torch.cat([features, torch.ones(6, 1)], dim=1)
    labels = torch.randint(classes, (6,))
    hessian = torch.autograd.functional.hessian(
        lambda w: cross_entropy(inputs @ w.T, labels), weight
    )
    trace = torch.einsum("ijij->", hessian).item()
    expected = (1 - 1 / classes) * (1 + features.square().sum(1).mean().item())
    assert trace == pytest.approx(expected)


def test_the_curvature_over_a_probed_step_falls_to_nothing_at_its_end():
    """2 ∫ (1 - r) H dr, of a loss w⁴ along which H changes."""
    w, g, t = 1.3, 4 * 1.3**3, 0.05
    loss = lambda w: w**4  # noqa: E731
    found = 2 * (loss(w - t * g) - loss(w) + t * g**2) / (t * g) ** 2
    middles = (np.arange(10_000) + 0.5) / 10_000
    averaged = np.mean(2 * (1 - middles) * 12 * (w - middles * t * g) ** 2)
    assert found == pytest.approx(averaged, rel=1e-6)
