"""The networks are the courses': counted to the parameter."""

import json
from dataclasses import replace

import pytest
import torch

from gradscape import cli
from gradscape.config import Settings
from gradscape.errors import GradscapeError
from gradscape.models import MODELS, build
from gradscape.models.blocks import layer_counts, parameter_count, weights

EXACT = {
    ("vgg08", 100): 59_716,
    ("vgg08-bn", 100): 60_100,
    ("vgg38", 100): 336_196,
    ("vgg38-rc", 100): 336_196,
    ("vgg38-bn", 100): 338_500,
    ("vgg38-bn-rc", 100): 338_500,
    ("vgg-a", 10): 9_750_922,
    ("vgg-a-bn", 10): 9_756_426,
    ("vgg-a-dropout", 10): 9_750_922,
    ("vgg-a-light", 10): 285_162,
    ("resnet-small", 10): 2_829_802,
    ("convnet", 10): 7_678_474,
    ("convnet-bn", 10): 7_682_826,
    ("vgg11-bn", 10): 9_360_394,
}


@pytest.mark.parametrize(("name", "classes"), EXACT)
def test_parameters_are_exact(name, classes):
    assert parameter_count(build(name, classes)) == EXACT[name, classes]


@pytest.mark.parametrize("name", MODELS)
def test_images_become_logits(name):
    model = build(name, 10).eval()
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize(
    ("name", "points"), [("vgg08", 9), ("vgg38", 39), ("vgg38-bn-rc", 75)]
)
def test_gradient_flow_has_the_courses_points(name, points):
    assert len(weights(build(name, 100))) == points


def test_residual_connection_spans_the_block_up_to_its_last_activation():
    block = build("vgg38-rc", 100).stages[0]
    torch.nn.init.zeros_(block.conv2.weight)
    images = torch.randn(2, 32, 8, 8)
    expected = torch.nn.functional.leaky_relu(images)
    torch.testing.assert_close(block(images), expected)


def test_batch_norm_sits_between_convolution_and_activation():
    model = build("vgg38-bn", 100).train()
    seen = {}
    block = model.stages[0]
    block.norm1.register_forward_hook(lambda m, i, o: seen.update(normalised=o.clone()))
    model(torch.randn(8, 3, 32, 32))
    # Normalised and not yet rectified: zero mean and unit variance in each channel.
    values = seen["normalised"]
    assert values.mean((0, 2, 3)).abs().max() < 1e-5
    assert (values.var((0, 2, 3)) - 1).abs().max() < 1e-2


def test_vgg_a_starts_from_xavier_weights_and_zero_biases():
    torch.manual_seed(0)
    layer = build("vgg-a", 10).features[-4]
    fan = 2 * 512 * 9
    assert layer.weight.std().item() == pytest.approx((2 / fan) ** 0.5, rel=0.01)
    assert not layer.bias.any()


def test_settings_change_a_model_that_lets_them():
    """Width, BN, skip connection, dropout, activation; a model without says so."""
    settings = Settings(
        "resnet-small", "cifar10", width=16, activation="gelu", dropout=0.5, skip=False
    )
    model = build("resnet-small", 10, settings)
    assert model.features[0].out_channels == 16 and model.dropout.p == 0.5
    kinds = [type(module) for module in model.modules()]
    assert torch.nn.GELU in kinds and torch.nn.ReLU not in kinds
    assert not model.features[2].skip
    plain = build("resnet-small", 10, replace(settings, batch_norm=False))
    assert layer_counts(plain)["batch_normalisations"] == 0
    for name, option, value in (
        ("vgg08", "dropout", 0.5),
        ("vgg-a-bn", "batch_norm", False),
    ):
        with pytest.raises(GradscapeError, match=f"model {name}: has no '{option}' to set"):
            build(name, 10, Settings(name, "cifar10", **{option: value}))


def test_resnet_small_meets_the_courses_lists():
    """Normalised neither at the input nor at the output; blocks start as the identity."""
    model = build("resnet-small", 10).eval()
    counts = layer_counts(model)
    assert (counts["convolutions"], counts["linear_layers"]) == (12, 1)
    assert counts["batch_normalisations"] == 11
    assert isinstance(model.features[0], torch.nn.Conv2d)
    assert isinstance(model.features[1], torch.nn.ReLU)
    assert isinstance(model.head, torch.nn.Linear)
    images = torch.rand(2, 56, 8, 8)
    torch.testing.assert_close(model.features[2](images), images)


def test_models_command_lists_them_all(capsys):
    cli.main(["models", "--json"])
    rows = {row["model"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows.keys() == MODELS.keys()
    assert rows["vgg38"]["parameters_100_classes"] == 336_196
    assert rows["vgg-a-bn"]["parameters_10_classes"] == 9_756_426
    assert rows["vgg38-bn"]["convolutions"] == 37
