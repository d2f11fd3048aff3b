"""Networks of other people, from the first step to the figures, or to one sentence."""

import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import networks
from conftest import SMALL, make
from gradscape.base.errors import GradscapeError
from gradscape.base.files import write_csv
from gradscape.base.paths import probe_file
from gradscape.figures.drawing import draw
from gradscape.models import build
from gradscape.pipeline import dependencies
from gradscape.probes.trained import Trained, measured
from gradscape.runs.run import FinishedRun
from gradscape.spec.registry import declared, names
from gradscape.spec.study import Figure, Run
from gradscape.training.checkpoint import fingerprint
from gradscape.training.train import train

pytestmark = pytest.mark.limit(600)
PROBES = {  # as little as they can do
    "explanations": {"images": 1, "patch": 16, "stride": 16},
    "hessian": {"images": 20, "iterations": 2, "samples": 1},
    "isometry": {"images": 1, "statistics": 8},
    "lesion": {"images": 20, "statistics": 20},
    "signal": {"images": 8},
    "surface": {"images": 20, "points": 3, "along_path": True},
    "trainability": {"images": 8, "pairs": 1},
}
CONVOLUTION = {"explanations", "feature_maps", "filters"}  # need one
HEAD = {"isometry", "trainability"}  # need a linear layer at the end
LONG = {
    "resnet18": set(),
    "googlenet": {"train"},
    "googlenet_alone": {"lesion"},
    "squeezenet1_1": HEAD,
    "mobilenet_v3_small": {"hessian"},
    "efficientnet_b0": set(),
    "shufflenet": set(),
    "densenet121": {"lesion"},
    "convnext_tiny": set(),
    "vit": {"lesion"},
    "swin": {"lesion"},
    "gru": {"lesion", *CONVOLUTION},
    "mlp": {"lesion", "figure phase", *CONVOLUTION},
    "spectral_new": {"lesion"},
    "weight_normed_new": {"lesion"},
    "Unused": {"lesion"},
    "scripted": {"lesion", "signal", *CONVOLUTION, *HEAD},  # nothing of it can be watched
    "parallel": {"lesion"},
    "LeNet": {"lesion"},
    "spectral": {"lesion"},
    "weight_normed": {"lesion"},
    "frozen_stem": {"lesion", "figure phase"},
    "hard": {"lesion", "hessian", "figure phase"},
    "pairs": {"lesion", "figure phase"},
    "Folded": {"lesion"},
    "lstm": {"lesion", *CONVOLUTION},
    "Shared": {"lesion"},
    "lazy": {"lesion", "figure phase"},
}
SHORT = {
    "Bare": {"lesion", "signal", *CONVOLUTION, *HEAD},
    "Undefined": {"lesion"},
}


def settings(network: str, **changes):
    """Two epochs of two minibatches."""
    own = f"{Path(networks.__file__)}:{network}"
    short = {"train_items": 40, "validation_items": 20, "batch_size": 20}
    return replace(SMALL, model=own, **short, **changes)


def refused(network: str, dataset, data: Path, folder: Path) -> dict[str, str]:
    """Train a network, measure it with every probe and draw every figure; what is refused,
    `train` or a probe, and its sentence."""
    chosen = settings(network, gradient_lag=1, adaptive_clipping=0.1, l1=1e-6)
    try:
        train(Run("study", network, chosen), dataset, folder)
    except GradscapeError as error:
        return {"train": str(error)}
    run, said = FinishedRun(folder), {}
    run.check()
    for probe in names("probe"):
        try:
            trained = Trained(folder, data, own=[chosen.model])
            rows = measured(probe, trained, PROBES.get(probe, {}))
            write_csv(probe_file(folder, probe), rows)
        except GradscapeError as error:
            said[probe] = str(error)
    for name in names("figure").keys() - {"smoothness"}:  # no landscape, nor a second rate
        needed = declared("figure", name, "PROBES", [])
        if all(map(run.is_probed, needed)):
            options = {"lines": {"x": "parameters"}}.get(name, {})
            figure = Figure("study", name, name, options=options)
            files = [folder / "drawn.pdf", folder / "drawn.txt"]
            try:
                draw(figure, [FinishedRun(folder)], files)
            except GradscapeError as error:
                said[f"figure {name}"] = str(error)
    return said


@pytest.mark.parametrize(
    ("network", "known"),
    [
        *SHORT.items(),
        *(pytest.param(*item, marks=pytest.mark.networks) for item in LONG.items()),
    ],
)
def test_a_network_comes_to_its_figures_or_to_one_sentence(
    network, known, dataset, generated, tmp_path
):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", module="torch")
        said = refused(network, dataset, generated, tmp_path / "run")
    assert said.keys() == known, said
    for sentence in said.values():
        assert any(word in sentence for word in (network, "the model", "figure")), sentence


@pytest.mark.parametrize(
    ("network", "changes", "sentence"),
    [
        ("Dictionary", {}, "20 images in training mode into a dict where"),
        ("mlp", {"train_items": 41}, r"of 1: 2 \(BatchNorm1d\): Expected more than 1"),
        ("four_by_four", {"train_items": 50}, r"minibatches of 10: 0 \(Fours\)"),
        ("nothing_trains", {}, "has no parameter that trains"),
        ("Silent", {"l1": 1e-6}, "logits have no gradient in training mode"),
        ("Forgetful", {}, "`train` returns None"),
        ("half", {}, r"0\.weight is bfloat16, where float32 is needed"),
        ("Spectrum", {}, "filter is complex64"),
        ("no_return", {}, "returns None, where a plain module is needed"),
        ("lambdas", {}, "returns <function"),
        ("Described", {}, "state_dict holds '_extra_state', which is no tensor"),
        ("Growing", {}, "not take its own state_dict.* size mismatch for bank"),
        ("LateHead", {}, "does not go on from its state_dict"),
        ("Unloadable", {}, r"not take its own state_dict.* \(.model.\)"),
        ("Counting", {}, "does not go on from its state_dict"),
        ("Averaging", {}, "does not go on from its state_dict"),
        ("Starting", {}, "does not go on from its state_dict"),
        ("LayerDrop", {}, "draws Python's or numpy's random numbers"),
        ("Noisy", {}, "draws Python's or numpy's random numbers"),
        ("Channels", {}, "first argument is `in_channels`, where the number of classes"),
        ("deep", {}, "first argument is `depth`, where"),
        ("inputs_first", {}, r"images of 3x32x32: 0 \(Conv2d\): .* `inputs` is given the"),
    ],
)
def test_what_cannot_train_is_said_with_its_layer_before_anything_is_written(
    network, changes, sentence, dataset, tmp_path
):
    run = Run("study", "run", replace(settings(network), **changes))
    with pytest.raises(GradscapeError, match=sentence):
        train(run, dataset, tmp_path / "run")
    assert not any((tmp_path / "run").iterdir())


SOMEHOW = ["LeNet", "Volume", "four_by_four", "parallel", "biases_alone"]
SOMEHOW += ["Hooked", "rebound", "Subclassed"]


@pytest.mark.parametrize("network", SOMEHOW)
def test_what_can_train_somehow_does(network, dataset, tmp_path):
    train(Run("study", "run", settings(network)), dataset, tmp_path / "run")
    run = FinishedRun(tmp_path / "run")
    layout = "contiguous" if network in ("LeNet", "Volume") else "channels_last"
    assert run.record.backend.layout == layout
    assert np.isfinite(run.gradients).all(axis=None)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("network", ["resnet-small", "rebound", "numpys", "pythons"])
def test_trying_a_network_changes_nothing_of_it(network, precision, dataset):
    chosen = replace(SMALL, model="resnet-small", precision=precision)
    if network != chosen.model:
        chosen = settings(network, precision=precision)
    torch.manual_seed(chosen.seed)
    model = build(chosen.model, 10, chosen)
    state = torch.get_rng_state()
    training = make(chosen, dataset)
    assert torch.equal(torch.get_rng_state(), state)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, training.model.state_dict()[name]), name
    assert all(p.grad is None for p in training.model.parameters())


@pytest.mark.parametrize("network", ["Centred", "Skipping"])
def test_measuring_the_landscape_changes_no_network(network, dataset, tmp_path):
    for every in (None, 2):
        chosen = settings(network, landscape_every=every, landscape_step=bool(every))
        train(Run("study", "run", chosen), dataset, tmp_path / str(every))
    with np.load(tmp_path / "2" / "steps.npz") as arrays:
        assert np.isfinite(arrays["stepped_gradient_distance"]).all()
    one, other = (tmp_path / name / "metrics.csv" for name in ("None", "2"))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("network", ["InPlace", "Clamped"])
def test_probes_give_every_network_the_same_images_each_time(
    network, generated, dataset, tmp_path
):
    chosen = settings(network)
    train(Run("study", "run", chosen), dataset, tmp_path)
    trained = Trained(tmp_path, generated, own=[chosen.model])
    (share,) = trained.losses(trained.network("best").eval(), 20)
    assert share() == share()


def test_depth_is_the_order_of_calls_and_kinds_are_types(dataset, tmp_path):
    kinds = {}
    networks = "LeNet vit lstm weight_normed Bare Shared Embedded Cosines"
    for network in networks.split():
        path, chosen = tmp_path / network, settings(network, epochs=1, gradient_lag=1)
        train(Run("study", network, chosen), dataset, path)
        kinds[network] = FinishedRun(path).gradients.attrs["kinds"]
    assert list(kinds["LeNet"]) == ["conv1", "conv2", "fc"]
    assert list(kinds["lstm"])[:2] == ["recurrent.weight_ih_l0", "recurrent.weight_hh_l0"]
    assert list(kinds["weight_normed"])[-2:] == ["6.weight_g", "6.weight_v"]
    assert list(kinds["Bare"]) == ["kernel", "matrix"]
    assert kinds["Shared"] == {
        "stem": "convolution",
        "block": "convolution",
        "norm": "normalisation",
        "head": "linear",
    }
    assert kinds["Embedded"].popitem() == ("out", "linear")
    assert list(kinds["Cosines"])[-1] == "weight"
    counts = Counter(kinds["vit"].values())
    assert counts["normalisation"] == 5 and counts["attention"] == 2


def test_what_no_gradient_reaches_is_recorded_as_absent(dataset, tmp_path):
    for network, absent in (("frozen_stem", "0"), ("Unused", "auxiliary")):
        chosen = settings(network, epochs=1, landscape_every=2, landscape_step=True)
        path = tmp_path / network
        train(Run("study", network, chosen), dataset, path)
        run = FinishedRun(path)
        assert run.gradients.attrs["absent"] == [absent]
        assert np.isfinite(run.gradients).all(axis=None) and absent not in run.gradients
        draw(Figure("study", "flow", "gradient_flow"), [run], [path / "flow.txt"])
        assert f"No gradient reaches {absent}:" in (path / "flow.txt").read_text()
    with np.load(tmp_path / "Unused" / "gradients.npz") as arrays:
        at = arrays["layer"].tolist().index("auxiliary")
        assert np.isnan(arrays["mean_absolute_gradient"][:, at]).all()


@pytest.mark.parametrize(
    ("network", "together"),
    [("small", True), ("spectral", False), ("Island", False), ("Tied", False)],
)
def test_layers_are_taken_together_only_with_autocasts_own_bits(
    network, together, dataset, tmp_path
):
    chosen = settings(network, epochs=1)
    training = make(replace(chosen, precision="bf16"), dataset)
    assert training.tried.together == together
    training.run_epoch(lambda images: None)
    assert np.isfinite(training.history.metrics[0]["train_loss"])


# Files beside one's own

NETWORK = """
from torch import nn
from blocks_of_mine import WIDTH

def net(classes):
    from more_of_mine import pool
    return nn.Sequential(nn.Conv2d(3, WIDTH, 3), *pool(), nn.Linear(WIDTH, classes))
"""
POOL = """
from torch import nn

def pool():
    return nn.AdaptiveAvgPool2d(1), nn.Flatten()
"""


def test_a_file_of_ones_own_imports_those_beside_it(dataset, tmp_path):
    marks = set()
    for folder, width in (("here", 4), ("there", 6), ("here", 8)):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "net.py").write_text(NETWORK)
        (tmp_path / folder / "more_of_mine.py").write_text(POOL)
        (tmp_path / folder / "blocks_of_mine.py").write_text(f"WIDTH = {width}")
        chosen = replace(SMALL, model=f"{tmp_path / folder / 'net.py'}:net", epochs=1)
        marks.add(fingerprint(chosen, "checksum"))
        if width < 8:
            assert make(chosen, dataset).model[0].out_channels == width
            code = dependencies.of_training(Run("s", "r", chosen))
            assert {"blocks_of_mine.py", "more_of_mine.py"} <= {Path(f).name for f in code}
    assert len(marks) == 3
    (tmp_path / "net.py").write_text("import nothing_of_mine\nnet = 1\n")
    with pytest.raises(GradscapeError, match=r"net\.py: cannot be imported .*nothing_of_"):
        build(f"{tmp_path / 'net.py'}:net", 10)
