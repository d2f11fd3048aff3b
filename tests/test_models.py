"""The networks are the courses': counted to the parameter."""

import hashlib
from dataclasses import replace

import pytest
import torch

from gradscape.base.errors import GradscapeError
from gradscape.data import Facts
from gradscape.models import build, check_takes, takes
from gradscape.models.anatomy import one_image, weights
from gradscape.models.blocks import layer_counts, norm, parameter_count
from gradscape.spec.registry import names
from gradscape.spec.settings import Settings

EXACT = {
    ("vgg08", 100): 59_716,
    ("vgg08-bn", 100): 60_100,
    ("vgg14", 100): 115_012,
    ("vgg20", 100): 170_308,
    ("vgg26", 100): 225_604,
    ("vgg32", 100): 280_900,
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
    ("efficientnet-lite0", 1000): 4_652_008,
}


@pytest.mark.parametrize(("name", "classes"), EXACT)
def test_parameters_are_exact(name, classes):
    assert parameter_count(build(name, classes)) == EXACT[name, classes]


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"skip": True, "batch_norm": True, "fold_after": 0}, 338_500),
        ({"skip": True, "reduction_batch_norm": True}, 336_196 + 6 * 64),
        ({"skip": True, "reduction_shortcut": "pooled"}, 336_196),
        ({"skip": True, "reduction_shortcut": "strided"}, 336_196 + 3 * 32**2),
        ({"skip": True, "pre_activation": True}, 336_196),
        # One normalisation more, behind the last block.
        ({"skip": True, "pre_activation": True, "batch_norm": True}, 338_500 + 64),
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [32, 28])
def test_every_experiment_on_vgg38_trains_all_of_its_parameters(settings, count, size):
    model = vgg38(size, **settings)
    assert parameter_count(model) == count
    model(torch.randn(4, 3, size, size)).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())


def shapes(name: str) -> list[tuple[int, int]]:
    """Channels and sizes at the edges of what a network says that it takes."""
    known = takes(name)
    sizes = {known.smallest, 33, known.largest or 65}
    return [(c, s) for c in {known.channels or 1, 3} for s in sizes]


@pytest.mark.parametrize("name", names("model"))
def test_images_become_logits_at_the_edges_of_what_a_network_takes(name):
    """In training too; and a pixel beyond the edge none come out."""
    for channels, size in shapes(name):
        with torch.device("meta"):
            model = build(name, 10, channels=channels, size=size)
            images = torch.zeros(2, channels, size, size)
        assert model.train()(images).shape == (2, 10), (channels, size)
        assert one_image(model, 10, channels, size).flops > 0
    known = takes(name)
    for size in (known.smallest - 1, known.largest and known.largest + 1):
        if size is not None:
            shape = f"3x{size}x{size}"
            with pytest.raises(GradscapeError, match=f"does not take images of {shape}"):
                one_image(build(name, 10, size=size), 10, 3, size)


def test_what_a_network_does_not_take_is_said_before_it_is_built():
    fashion, cifar = Facts(1, 28, 10, 60_000, 10_000), Facts(3, 32, 10, 50_000, 10_000)
    wide = Facts(1, 40, 10, 60, 10)
    for name, dataset, facts, reason in (
        ("convnet", "fashion-mnist", fashion, "32x32 to 63x63, those of .* are 28x28"),
        ("vgg-a", "fashion-mnist", fashion, "32x32 or more, those of .* are 28x28"),
        ("vgg11-bn", "wide.npz", wide, "3 channels, those of wide.npz have 1"),
    ):
        with pytest.raises(GradscapeError, match=f"model {name}: takes images of {reason}"):
            check_takes(name, Settings(name, dataset), facts)
    for name in ("vgg-a-light", "vgg38-bn", "resnet-small"):
        check_takes(name, Settings(name, "fashion-mnist"), fashion)
    check_takes("resnet-small", Settings("resnet-small", "cifar10", width=8), cifar)
    with pytest.raises(GradscapeError, match="model vgg08: has no 'dropout' to set"):
        check_takes("vgg08", Settings("vgg08", "cifar10", dropout=0.5), cifar)


def test_ones_own_network_is_told_the_shape_if_it_asks(tmp_path):
    file = tmp_path / "nets.py"
    file.write_text(
        "from torch import nn\n"
        "SIZES = (4, 9)\n"
        "def asks(classes, *, channels, size=1):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size**2, classes))\n"
        "def asks_not(classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(25, classes))\n"
    )
    for constructor in ("asks", "asks_not"):
        name = f"{file}:{constructor}"
        model = build(name, 3, channels=1, size=5)
        assert one_image(model, 3, 1, 5).flops == 2 * 25 * 3
        with pytest.raises(GradscapeError, match="takes images of 4x4 to 9x9"):
            check_takes(name, Settings(name, "x.npz"), Facts(1, 10, 3, 60, 10))


def test_initial_weights_are_as_they_ever_were():
    """The runs that are published started from these."""
    torch.manual_seed(0)
    state = build("vgg08", 10).state_dict()
    digest = hashlib.sha256(b"".join(v.numpy().tobytes() for v in state.values()))
    assert digest.hexdigest()[:16] == "5cc73382182cf998"


@pytest.mark.parametrize(
    ("name", "points"), [("vgg08", 9), ("vgg38", 39), ("vgg38-bn-rc", 75)]
)
def test_gradient_flow_has_the_courses_points(name, points):
    model = build(name, 100)
    assert len(weights(model, one_image(model, 100))) == points


def test_residual_connection_spans_the_block_up_to_its_last_activation():
    block = build("vgg38-rc", 100).stages[0]
    torch.nn.init.zeros_(block.conv2.weight)
    images = torch.randn(2, 32, 8, 8)
    expected = torch.nn.functional.leaky_relu(images)
    torch.testing.assert_close(block(images), expected)


def vgg38(size: int = 32, **settings) -> torch.nn.Module:
    torch.manual_seed(0)
    settings = Settings("vgg38", "cifar100", **settings)
    return build("vgg38", 100, settings, size=size).train()


@pytest.mark.parametrize("shortcut", ["pooled", "strided"])
def test_shortcuts_and_pre_activation_leave_the_input_a_way_of_its_own(shortcut):
    """Where every block's last convolution is zero, pre-activation blocks hand on what
    enters them, unactivated, and reduction blocks their shortcut's share of it."""
    model = vgg38(skip=True, pre_activation=True, reduction_shortcut=shortcut)
    images = torch.randn(2, 32, 32, 32)
    expected = images
    with torch.no_grad():
        for block in model.stages[:18]:
            for parameter in block.conv2.parameters():
                parameter.zero_()
            if shortcut == "pooled" and block.reduces:
                expected = torch.nn.functional.avg_pool2d(expected, 2)
            elif block.reduces:
                (conv, _) = block.shortcut
                weight = conv.weight[:, :, 0, 0]
                expected = torch.einsum("oc,ncij->noij", weight, expected[..., ::2, ::2])
        kept = images.clone()
        torch.testing.assert_close(model.stages[:18](images), expected)
    assert torch.equal(images, kept)  # no activation in place on what is needed again


def test_initialisations_keep_or_close_the_blocks():
    """He's keeps the mean square of a rectified signal; with the last convolution at zero a
    residual block passes on its input, which the activation before has rectified."""
    he = vgg38(initialisation="he", skip=True)
    weight = he.stages[0].conv1.weight
    assert weight.std().item() == pytest.approx((2 / (32 * 9)) ** 0.5, rel=0.02)
    assert not any(p.any() for n, p in he.named_parameters() if n.endswith("conv2.bias"))
    closed = vgg38(initialisation="zero-last", skip=True)
    images = torch.rand(2, 32, 8, 8)
    torch.testing.assert_close(closed.stages[:5](images), images)
    assert all(b.conv2.weight.any() == b.reduces for b in closed.stages)


def test_delta_orthogonal_kernels_keep_lengths_and_mix_no_positions():
    model = vgg38(initialisation="delta-orthogonal", slope=0.5)
    for block in model.stages:
        for conv in (block.conv1, block.conv2):
            gains = torch.linalg.svdvals(conv.weight[:, :, 1, 1])
            torch.testing.assert_close(gains, torch.full((32,), (2 / 1.25) ** 0.5))
            around = conv.weight.clone()
            around[:, :, 1, 1] = 0
            assert not around.any()
            assert conv.bias is None or not conv.bias.any()


@pytest.mark.parametrize(
    ("name", "eta", "slope"),
    [
        ("vgg38", 0.9, 0.358),
        ("vgg38", 0.5, 0.679),
        ("vgg26", 0.9, 0.251),
        ("vgg14", 0.9, 0.024),
    ],
)
def test_a_slope_is_tailored_to_the_networks_own_depth(name, eta, slope):
    assert build(name, 100, Settings(name, "cifar100", eta=eta)).slope == pytest.approx(
        slope, abs=5e-4
    )


def test_a_slope_is_given_or_tailored_not_both():
    with pytest.raises(GradscapeError, match="slope and eta"):
        vgg38(slope=0.5, eta=0.5)


@pytest.mark.parametrize("name", ["vgg-a", "vgg38-bn"])
def test_a_perturbation_is_the_last_bit_of_one_weight(name):
    def start(perturbation):
        torch.manual_seed(0)
        model = build(name, 10, Settings(name, "cifar10", perturbation=perturbation))
        return torch.nn.utils.parameters_to_vector(model.parameters()).view(torch.int32)

    moved = start(7) - start(None)
    assert moved.nonzero().flatten().tolist() == [7] and abs(moved[7]) == 1
    with pytest.raises(GradscapeError, match="perturbation 100000: the first layer's last"):
        start(100_000)


@pytest.mark.parametrize("steps", [0, 2])
def test_folded_batch_norm_is_a_fixed_map_from_its_step_on(steps):
    """Until then it is batch normalisation. Then its statistics are one minibatch's and
    constants, in training and in evaluation: what an image becomes, and its gradient,
    depend on no other image."""
    torch.manual_seed(0)
    ours, torchs = norm(3, True, steps).train(), torch.nn.BatchNorm2d(3).train()
    minibatches = 2 + torch.randn(steps + 2, 8, 3, 4, 4).requires_grad_()
    for number, images in enumerate(minibatches[: steps + 1]):
        expected = torchs(images)
        torch.testing.assert_close(ours(images), expected, rtol=1e-4, atol=1e-5)
        if number < steps:
            torch.testing.assert_close(ours.running_mean, torchs.running_mean)
    fixed = minibatches[steps].detach()
    mean = fixed.mean((0, 2, 3), keepdim=True)
    deviation = (fixed.var((0, 2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
    images = minibatches[-1]
    expected = (images - mean) / deviation
    torch.testing.assert_close(ours(images), expected, rtol=1e-4, atol=1e-5)
    (slope,) = torch.autograd.grad(ours(images).sum(), images)
    torch.testing.assert_close(slope, (1 / deviation).expand_as(images))
    torch.testing.assert_close(ours.eval()(images), expected, rtol=1e-4, atol=1e-5)


def test_nothing_to_fold_is_said():
    with pytest.raises(GradscapeError, match="fold_after: there is no batch normalisation"):
        vgg38(fold_after=0)


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
    from gradscape.cli import parser as cli

    cli.main(["models"])
    printed = capsys.readouterr().out.replace(",", "").splitlines()[2:]
    rows = {name: list(map(int, numbers)) for name, *numbers in map(str.split, printed)}
    assert rows.keys() == names("model").keys()
    assert rows["vgg38"][1] == 336_196
    assert rows["vgg-a-bn"][0] == 9_756_426
    assert rows["vgg38-bn"][2] == 37
