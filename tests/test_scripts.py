"""The page's scripts compute what the package does: PyTorch's gradients, the same laws."""

import json
import random
import shutil
import subprocess

import numpy as np
import pytest
import torch

from gradscape.base.paths import PAGE_FILES
from gradscape.models import laws
from gradscape.models.vgg_edinburgh import EdinburghVGG
from wide import simulated, squares_at_random

THREE_DIGITS = 5e-4
SOURCES = ("layers.js", "images.js", "network.js")
OPTIONS = {"blocks": 1, "norm": False, "shortcut": False, "slope": 0.01, "images": 4}

node = pytest.mark.skipif(
    not shutil.which("node"), reason="needs node (make setup-page installs it)"
)


def computed(script: str, sources=SOURCES):
    """What a script that follows the page's sources prints, as JSON."""
    text = "".join((PAGE_FILES / name).read_text("utf-8") for name in sources)
    done = subprocess.run(
        ["node", "-"],
        input=f"{text}{script}",
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def trained(options: dict, steps: int) -> dict:
    """A network after so many steps of Adam: its parameters before and after, the images,
    the labels, the last loss, and the gradients that the last step had."""
    return computed(
        f"""
const options = {json.dumps(options)};
const network = new Network(options), adam = new Adam(network.parameters, 1e-2);
const {{images, labels}} = pictures(options.images, randomness(1));
const values = () => network.parameters.map(({{value}}) => [...value]);
const before = values();
let loss;
for (let step = 0; step < {steps}; step++) {{
  loss = network.forward(images, labels);
  network.backward();
  adam.step();
}}
console.log(JSON.stringify({{
  before, after: values(), loss, labels: [...labels], images: [...images.data],
  gradients: network.parameters.map(({{gradient}}) => [...gradient]),
}}));"""
    )


@node
@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"norm": True},
        {"shortcut": True},
        {"norm": True, "shortcut": True, "blocks": 2},
        {"slope": 0.358, "initialisation": "delta-orthogonal"},
        {"slope": 0.358, "initialisation": "he", "blocks": 5},
    ],
)
def test_gradients_and_steps_are_pytorchs(changed):
    options = OPTIONS | changed
    ours = trained(options, steps=3)
    theirs = EdinburghVGG(
        classes=10,
        blocks=options["blocks"],
        batch_norm=options["norm"],
        skip=options["shortcut"],
        slope=options["slope"],
        width=8,
    ).double()
    names = [name for name, _ in theirs.named_parameters()]
    parameters = [*theirs.parameters()]
    for parameter, values in zip(parameters, ours["before"], strict=True):
        parameter.data = torch.tensor(values).double().reshape(parameter.shape)
    images = torch.tensor(ours["images"]).double().reshape(-1, 3, 18, 18)
    images, labels = images[..., 1:-1, 1:-1], torch.tensor(ours["labels"])
    adam = torch.optim.Adam(theirs.parameters(), 1e-2)
    for _ in range(3):
        adam.zero_grad()
        loss = torch.nn.functional.cross_entropy(theirs(images), labels)
        loss.backward()
        adam.step()
    assert ours["loss"] == pytest.approx(loss.item(), rel=1e-4)
    for name, parameter, gradient, value in zip(
        names, parameters, ours["gradients"], ours["after"], strict=True
    ):
        expected = parameter.grad.flatten()
        close = (torch.tensor(gradient) - expected).norm() / expected.norm()
        assert close < 1e-4 or expected.norm() < 1e-12, name
        moved = torch.tensor(value) - parameter.detach().flatten()
        assert moved.abs().max() < 1e-4, name


@node
@pytest.mark.parametrize("initialisation", ["default", "he", "delta-orthogonal"])
def test_it_is_initialised_as_pytorchs(initialisation):
    """Alike in the mean square of each parameter, which is all that is drawn."""
    options = OPTIONS | {"initialisation": initialisation, "slope": 0.358, "blocks": 5}
    ours = trained(options, steps=0)["before"]
    torch.manual_seed(0)
    theirs = EdinburghVGG(10, 5, slope=0.358, width=8, initialisation=initialisation)
    many = [n for n, p in enumerate(theirs.parameters()) if p.numel() == 8 * 8 * 9]
    mean = [
        sum(values[n].double().square().mean().item() for n in many) / len(many)
        for values in (list(map(torch.tensor, ours)), [*theirs.parameters()])
    ]
    assert mean[0] == pytest.approx(mean[1], rel=0.02)
    for n, parameter in enumerate(theirs.parameters()):
        assert len(ours[n]) == parameter.numel()
        assert (max(map(abs, ours[n])) == 0) == (parameter.abs().max() == 0)
    if initialisation == "delta-orthogonal":
        kernel = torch.tensor(ours[many[0]]).reshape(8, 8, 3, 3)
        gram = kernel[..., 1, 1] @ kernel[..., 1, 1].T
        assert torch.allclose(gram, torch.eye(8) * 2 / (1 + 0.358**2), atol=1e-6)
        assert kernel.count_nonzero() == 64


# Laws


def drawn(count: int) -> list[dict]:
    """So many settings of the page's sliders."""
    lot = random.Random(0)
    return [
        {
            "blocks": lot.randrange(6),
            "slope": round(lot.random(), 2),
            "initialisation": lot.choice(["default", "he"]),
            "norm": bool(number % 4 // 2),
            "shortcut": number % 4 == 3,
            "classes": lot.choice([10, 100]),
            "images": lot.choice([32, 100]),
            "size": lot.choice([16, 32, 28]),
        }
        for number in range(count)
    ]


def laws_of_the_page(settings: list[dict]) -> list[dict]:
    script = f"""
console.log(JSON.stringify({json.dumps(settings)}.map(options => ({{
  ...lawOf(options), growth: normalisedGradientGrowth(options.slope),
  tailored: tailoredSlope(0.9, 7 + 6 * options.blocks),
  cosine: cosineMap(0.3, options.slope),
}}))));"""
    return computed(script, ["laws.js"])


@node
def test_the_pages_laws_are_the_packages(monkeypatch):
    settings = drawn(20)
    for options, page in zip(settings, laws_of_the_page(settings), strict=True):
        slope, he = options["slope"], options["initialisation"] == "he"
        variance = 2 / (1 + slope**2) if he else 1 / 3
        layers = [
            laws.Layer(layer["size"], layer["fanIn"], layer["bias"] and not he)
            for layer in page["layers"]
        ]
        assert len(layers) == 8 + 6 * options["blocks"]
        close = {"rel": THREE_DIGITS}
        tailored = laws.tailored_slope(0.9, len(layers) - 1)
        assert page["tailored"] == pytest.approx(tailored, abs=THREE_DIGITS)
        assert page["cosine"] == pytest.approx(laws.cosine_map(0.3, slope), **close)
        growth = laws.normalised_gradient_growth(slope)
        assert page["growth"] == pytest.approx(growth, **close)
        signal, gradient = page["signal"], page["gradient"]
        if options["shortcut"]:
            expected = laws.residual_mean_squares(options["blocks"] + 1, slope)
            # A block's first convolution takes its share of what the block is given.
            given = [value / signal[1] for value in signal[1 : 2 * len(expected) : 2]]
            expected = [square / expected[0] for square in expected]
            assert given[:-1] == pytest.approx(expected[:-1], rel=5e-3)  # drawn
        elif options["norm"]:
            block = len(layers) - 3
            assert gradient[block - 1] / gradient[block] == pytest.approx(growth, **close)
        else:
            monkeypatch.setattr(laws, "VARIANCE", variance)
            ours = laws.activation_mean_squares(layers, slope)[1:-1]
            assert signal[1:-1] == pytest.approx(ours, **close)
            ours = laws.gradient_mean_squares(
                layers, slope, options["classes"], options["images"]
            )
            # The linear layer keeps PyTorch's weights.
            head = (1 / 3) / variance
            assert gradient[1:-1] == pytest.approx([g * head for g in ours[1:-1]], **close)
            assert gradient[-1] == pytest.approx(ours[-1], **close)


@node
def test_a_linear_stream_grows_by_one_with_each_block():
    options = drawn(1)[0] | {"norm": True, "shortcut": True, "blocks": 5, "slope": 1.0}
    (page,) = laws_of_the_page([options])
    given = [value / page["signal"][1] for value in page["signal"][1:11:2]]
    assert given == pytest.approx([1, 2, 3, 4, 5], rel=THREE_DIGITS)


@node
@pytest.mark.parametrize("norm", [False, True])
def test_a_streams_gradient_is_a_wide_networks(norm):
    """Within 0.6 over eleven decades, of which rectifiers that are taken to be independent
    miss one; with normalisation, which lags behind each pool, in the first stage."""
    options = OPTIONS | {"norm": norm, "shortcut": True, "blocks": 5, "classes": 10}
    options |= {"initialisation": "default", "images": 20, "size": 16, "width": 64}
    (page,) = laws_of_the_page([options])
    law = np.array(page["gradient"][1:])
    for seed in range(2):
        _, measured = squares_at_random(seed, 5, 64, batch_norm=norm, skip=True)
        off = np.log10(measured / law)
        if norm:
            assert np.ptp(off[:10]) < 0.08
        else:
            assert np.abs(off).max() < 0.6 and measured[-1] / measured[0] > 1e11


@node
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("slope", [0.01, 0.5])
def test_a_streams_grid_is_good_to_a_hundredth(norm, slope):
    """Of a stage whose kernels reach over no border, beside drawn units."""
    options = OPTIONS | {"norm": norm, "shortcut": True, "blocks": 5, "slope": slope}
    options |= {"initialisation": "delta-orthogonal", "classes": 10}
    (page,) = laws_of_the_page([options])
    torch.manual_seed(0)
    _, before, _ = simulated(slope, norm, 2 / (1 + slope**2))
    # Of a block's second convolution, which normalisation divides by its own variance.
    found = page["gradient"][2:12:2]
    expected = np.array(before) / before[-1]
    assert np.array(found) / found[-1] == pytest.approx(expected, rel=0.01)
