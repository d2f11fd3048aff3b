"""Training: the recipe's arithmetic, exact resume, and bad input in one sentence."""

import contextlib
import errno
import json
import math
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from conftest import BIN, ROOT, SMALL, limited, make, same, succeed
from gradscape.base.errors import GradscapeError
from gradscape.base.files import unfinished
from gradscape.cli import parser as cli
from gradscape.data.normalisation import moments
from gradscape.data.store import load
from gradscape.models import build, sealed
from gradscape.runs.record import Revision, revision
from gradscape.runs.run import FinishedRun
from gradscape.spec.settings import Settings
from gradscape.spec.study import Run
from gradscape.training.checkpoint import Checkpoint, fingerprint
from gradscape.training.device import CPU_BF16, configure, device_kind, has_fast_bf16
from gradscape.training.gradients import clip, mean_absolute_gradients
from gradscape.training.lease import lease
from gradscape.training.losses import LOSSES, l1_penalty
from gradscape.training.minibatches import Minibatches
from gradscape.training.muon import Muon, orthogonalised
from gradscape.training.optimisers import build_optimiser, set_learning_rate
from gradscape.training.save import step_arrays
from gradscape.training.schedules import learning_rate
from gradscape.training.trackers import TRACKERS, following
from gradscape.training.train import train

# The recipe


CHANGED = {"l1": 1e-3, "adaptive_clipping": 0.01, "gradient_lag": 1}


@pytest.mark.parametrize("changed", [{}, CHANGED], ids=["plain", "changed"])
def test_the_engine_does_what_a_plain_loop_does(changed, dataset):
    """Same initialisation, order and update as a loop written out the simple way."""
    settings = replace(SMALL, augmentation="none", epochs=1, **changed)
    training = make(settings, dataset)
    training.run_epoch(lambda images: None)

    torch.manual_seed(0)
    model = build("vgg08", 10)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    train_set = training.train
    images = train_set.images.permute(0, 3, 1, 2).float() / 255
    mean, std = (
        torch.tensor(v)[:, None, None] for v in moments(settings.normalisation, dataset)
    )
    losses, accuracies, last, known = [], [], model.head.weight, []
    for batch in train_set.order.split(16):
        optimiser.zero_grad()
        logits, labels = model((images[batch] - mean) / std), train_set.labels[batch]
        loss = cross_entropy(logits, labels)
        if changed:
            loss = loss + 1e-3 * sum(
                p.abs().sum() for p in model.parameters() if p.ndim > 1
            )
        loss.backward()
        known.append((last.grad.clone(), last.detach().clone()))
        if changed:
            clip(model, 0.01, model.head)
        optimiser.step()
        losses.append(loss.item())
        accuracies.append((logits.argmax(1) == labels).float().mean().item())
    steps = training.history.steps[0]
    np.testing.assert_allclose(steps["loss"], losses, rtol=2e-4)
    assert training.model.training  # behind the epoch's evaluation, too
    np.testing.assert_allclose(steps["accuracy"], accuracies)
    if changed:
        apart = [
            [(b - a).norm() for a, b in zip(*pair, strict=True)] for pair in pairwise(known)
        ]
        moved = [steps["gradient_distance"][1:], steps["weight_distance"][1:]]
        np.testing.assert_allclose(torch.tensor(apart).T, torch.stack(moved), rtol=0.02)
        norms = [gradient.norm() for gradient, _ in known]
        np.testing.assert_allclose(steps["gradient_norm"], norms, rtol=0.02)
    mean = training.history.metrics[0]["train_loss"]
    sizes = [16] * 6 + [8]
    assert mean == pytest.approx(np.average(losses, weights=sizes), rel=2e-4)
    weights = [p for name, p in model.named_parameters() if name.endswith("weight")]
    gradients = mean_absolute_gradients(weights)
    np.testing.assert_allclose(training.history.gradients[0], gradients, rtol=0.05)


@pytest.mark.parametrize("sizes", [[20, 20, 1], [16, 16, 16, 2]], ids=str)
def test_training_means_are_over_images_whatever_the_minibatches(sizes, dataset, tmp_path):
    count = sum(sizes)
    settings = replace(SMALL, train_items=count, batch_size=sizes[0], epochs=1)
    train(Run("study", "run", settings), dataset, tmp_path / "run")
    run = FinishedRun(tmp_path / "run")
    row = run.metrics.iloc[0]
    assert row["train_loss"] == pytest.approx(np.average(run.step_losses, weights=sizes))
    right = row["train_accuracy"] * count
    assert right == pytest.approx(round(right))
    assert run.record.version == 2 and not run.record.by_minibatch


def test_augmentation_is_a_crop_of_the_padded_image_and_a_flip(dataset):
    images, labels = np.asarray(dataset.images[:50]), np.asarray(dataset.labels[:50])
    settings = replace(SMALL, normalisation="half", augmentation="crop-flip")
    batches = Minibatches(dataset, np.arange(50), 50, settings, augmented=True)
    batches.draw(seed=3, epoch=1)
    taken, taken_labels = batches.take(torch.tensor(0), 50)
    padded = np.pad(images, [(0, 0), (4, 4), (4, 4), (0, 0)])
    for place, index in enumerate(batches.order):
        top, left = batches.offsets[:, place].tolist()
        crop = padded[index, top : top + 32, left : left + 32]
        if batches.flips[place]:
            crop = crop[:, ::-1]
        expected = (crop / 255 - 0.5) / 0.5
        np.testing.assert_allclose(taken[place].permute(1, 2, 0), expected, atol=1e-6)
        assert taken_labels[place] == labels[index]
    assert batches.flips.any() and not batches.flips.all()


def test_all_models_of_a_seed_see_the_same_minibatches_and_no_epoch_repeats(dataset):
    def order(seed, epoch):
        batches = Minibatches(dataset, np.arange(99), 10, SMALL)
        batches.draw(seed, epoch)
        return batches.order.tolist()

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1) != order(1, 0)
    assert sorted(order(5, 5)) == list(range(99))


@pytest.mark.parametrize(
    ("name", "scheduler", "by_step"),
    [
        (
            "cosine",
            lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 6, 2e-5),
            False,
        ),
        (
            "cosine_per_iteration",
            lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 6, 2e-5),
            True,
        ),
        (
            "exponential",
            lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.95),
            False,
        ),
        ("staircase", lambda o: torch.optim.lr_scheduler.StepLR(o, 2, 0.95), False),
    ],
)
def test_schedules_are_torchs(name, scheduler, by_step):
    settings = replace(SMALL, schedule=name, epochs=6, decay_epochs=2)
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1e-3)
    reference, rate = scheduler(optimiser), learning_rate(settings)
    for epoch in range(6):
        for step in range(4):
            expected = optimiser.param_groups[0]["lr"]
            assert rate(epoch, step, 4) == pytest.approx(expected)
            optimiser.step()
            if by_step or step == 3:
                reference.step()


def test_warmup_rises_to_the_base_rate():
    settings = replace(SMALL, warmup_epochs=2, epochs=4, schedule="constant")
    rate = learning_rate(settings)
    rates = [rate(epoch, step, 5) for epoch in range(3) for step in range(5)]
    assert rates[:10] == pytest.approx([1e-3 * (i + 1) / 10 for i in range(10)])
    assert rates[10:] == [1e-3] * 5


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "rmsprop", "muon"])
def test_optimisers_lower_a_quadratic(name):
    weights = torch.nn.Parameter(torch.ones(4))
    settings = replace(SMALL, optimiser=name, nesterov=True, weight_decay=1e-4)
    optimiser = build_optimiser([weights], settings, "cpu")
    set_learning_rate(optimiser, 0.05)
    for _ in range(50):
        optimiser.zero_grad()
        weights.square().sum().backward()
        optimiser.step()
    assert weights.abs().max() < 0.5


def test_muon_makes_matrices_orthogonal_and_its_steps_of_one_size():
    torch.manual_seed(0)
    for shape in ((32, 288), (288, 32)):
        values = torch.linalg.svdvals(orthogonalised(1e-6 * torch.randn(shape)))
        assert values.min() > 0.6 and values.max() < 1.3
    for shape in ((16, 8, 3, 3), (10,)):
        weight = torch.nn.Parameter(torch.zeros(shape))
        weight.grad = 1e-9 * torch.randn(shape)
        Muon([weight], lr=0.01).step()
        assert weight.detach().square().mean().sqrt() == pytest.approx(0.01, rel=0.25)


def test_adaptive_clipping_is_by_unit_and_spares_the_output_layer():
    """Weights of norm 5 and 0, gradients of norm 10 and 1, at a limit of 0.1: the first
    unit keeps a norm of 0.5, the second 1e-4, a tenth of the smallest norm that counts."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        model[0].bias.copy_(torch.tensor([30.0, 40.0]))
    model[0].weight.grad = torch.tensor([[6.0, 8.0], [0.0, -1.0]])
    model[0].bias.grad = torch.tensor([3.0, 4.0])  # as a whole, at its limit: 5 of 50
    model[1].weight.grad = torch.full((1, 2), 1e9)
    clip(model, 0.1, model[1])
    expected = torch.tensor([[0.3, 0.4], [0.0, -1e-4]])
    torch.testing.assert_close(model[0].weight.grad, expected)
    torch.testing.assert_close(model[0].bias.grad, torch.tensor([3.0, 4.0]))
    assert model[1].weight.grad.min() == 1e9


def test_losses_are_what_they_are_called():
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    labels = torch.tensor([0, 2])
    right = torch.softmax(logits, 1)[[0, 1], labels]

    def loss(name, **changed):
        return LOSSES[name](logits, labels, replace(SMALL, **changed)).item()

    assert loss("cross_entropy") == pytest.approx(-right.log().mean().item())
    focal = -((1 - right) ** 2 * right.log()).mean().item()
    assert loss("focal") == pytest.approx(focal)
    squared = ((1 + 0 + 1) + (0 + 1 + 1)) / 2
    assert loss("squared_error") == pytest.approx(squared)
    smooth = -(0.9 * right.log() + 0.1 * torch.log_softmax(logits, 1).mean(1)).mean()
    smoothed = loss("cross_entropy", label_smoothing=0.1)
    assert smoothed == pytest.approx(smooth.item())
    model = torch.nn.Linear(2, 1)
    assert l1_penalty(model, 0.5) == 0.5 * model.weight.abs().sum()


def test_gradient_flow_is_the_mean_absolute_gradient_of_each_weight():
    model = torch.nn.Sequential(torch.nn.Linear(2, 1))
    (3 * model(torch.tensor([[1.0, -2.0]]))).sum().backward()
    assert mean_absolute_gradients([model[0].weight]) == [pytest.approx((3 + 6) / 2)]


def test_real_cifar_is_learned_by_vgg08(cifar, tmp_path):
    folder = tmp_path / "d" / "cifar100"
    cli.main(["data", "cifar100", "--data-dir", str(cifar), "--out", str(folder)])
    settings = replace(SMALL, dataset="cifar100", batch_size=50, precision="auto")
    settings = replace(settings, epochs=3, train_items=2_000, validation_items=500)
    out = tmp_path / "run"
    train(Run("real", "run", settings), load(folder), out)
    metrics = pd.read_csv(out / "metrics.csv")
    assert metrics["train_loss"].iloc[-1] < math.log(100) - 0.1
    assert metrics["val_accuracy"].iloc[-1] > 0.015
    record = json.loads((out / "run.json").read_text())
    assert record["data"]["validation"] == 500 and record["data"]["test"] == 10_000


OWN = """
from torch.nn.functional import multi_margin_loss
from torch.optim import SGD

def margin(logits, labels, settings):
    return multi_margin_loss(logits, labels)

def heavy(parameters, settings, capturable):
    return SGD(parameters, lr=settings.learning_rate, momentum=0.5)

def halved(settings, epoch, step, steps):
    return settings.learning_rate / 2 ** (epoch * steps + step)
"""


def test_loss_optimiser_and_schedule_may_be_the_users_own(dataset, tmp_path):
    file = tmp_path / "own.py"
    file.write_text(OWN)
    settings = replace(SMALL, loss=f"{file}:margin", schedule=f"{file}:halved")
    settings = replace(settings, optimiser=f"{file}:heavy", epochs=1)
    train(Run("s", "r", settings, {"loss": "own"}), dataset, tmp_path / "run")
    metrics = pd.read_csv(tmp_path / "run" / "metrics.csv")
    assert metrics["learning_rate"].iloc[-1] == 1e-3 / 2**6
    assert 0.5 < metrics["train_loss"].iloc[-1] < 1.5  # a margin of one, ten classes
    recorded = json.loads((tmp_path / "run" / "run.json").read_text())
    assert recorded["varied"] == {"loss": "own"}
    mark = fingerprint(settings)
    file.write_text(OWN.replace("0.5", "0.6"))
    assert fingerprint(settings) != mark
    with pytest.raises(GradscapeError, match="unknown loss 'crossentropy'"):
        make(replace(SMALL, loss="crossentropy"), dataset)


# Exact, and exact again


def test_a_run_repeats_to_the_byte_and_records_itself(dataset, tmp_path):
    for out in ("a", "b"):
        train(Run("s", "r", SMALL), dataset, tmp_path / out)
    same(tmp_path / "a", tmp_path / "b")
    record = json.loads((tmp_path / "a" / "run.json").read_text())
    assert record["settings"]["model"] == "vgg08" and record["parameters"] == 56_746
    assert record["backend"]["precision"] == "fp32" and record["resumed"] == 0
    assert record["data"]["sha256"] == dataset.checksum
    columns = "epoch,train_loss,train_accuracy,val_loss,val_accuracy,learning_rate"
    assert (tmp_path / "a" / "metrics.csv").read_text().startswith(columns + "\n")
    assert not (tmp_path / "a" / ".checkpoint.pt").exists()


def test_twenty_kills_change_no_byte(generated, tmp_path):
    script = ROOT / "tests" / "torture.py"
    succeed(sys.executable, script, generated, tmp_path / "whole", 0, 0)
    told = succeed(sys.executable, script, generated, tmp_path / "killed", 20, 1)
    assert "killed 20 times" in told and "set aside" not in told
    assert json.loads((tmp_path / "killed" / "run.json").read_text())["resumed"] == 20
    same(tmp_path / "whole", tmp_path / "killed")


def test_dropout_goes_on_from_its_own_place(dataset, tmp_path):
    """Torch's generator, too, is part of the checkpoint, in the middle of an epoch."""
    settings = replace(SMALL, model="vgg-a-dropout", train_items=64, epochs=1)
    settings = replace(settings, gradient_lag=1, landscape_every=1, landscape_points=2)
    whole = make(settings, dataset)
    whole.run_epoch(lambda images: None)

    class Enough(Exception):
        pass

    stopped, steps = make(settings, dataset), []

    def stop(images):
        steps.append(images)
        if len(steps) == 2:
            torch.save(stopped.state(), tmp_path / "state")
            raise Enough

    with pytest.raises(Enough):
        stopped.run_epoch(stop)
    torch.manual_seed(99)
    resumed = make(settings, dataset)
    resumed.restore(torch.load(tmp_path / "state", weights_only=True))
    resumed.run_epoch(lambda images: None)
    assert resumed.history.metrics == whole.history.metrics
    arrays = step_arrays(whole.history)
    for name, values in step_arrays(resumed.history).items():
        np.testing.assert_array_equal(values, arrays[name])


def test_a_landscape_falls_by_the_gradients_square_as_the_same_units_are_dropped(dataset):
    """L(w - s g) = L(w) - s |g|^2 for small s, on the same minibatch and dropped units."""
    settings = replace(SMALL, model="vgg-a-dropout", train_items=32, epochs=1)
    settings = replace(settings, learning_rate=1e-4, landscape_every=1, landscape_points=2)
    training = make(settings, dataset)
    training.run_epoch(lambda images: None)
    found = step_arrays(training.history)
    here, norm = found["probed_loss_here"], found["probed_gradient_norm"]
    np.testing.assert_array_equal(here, found["loss"])
    slopes = (here[:, None] - found["probed_loss"]) / found["probed_size"]
    np.testing.assert_allclose(slopes, np.outer(norm**2, [1, 1]), rtol=0.1)


def test_sigterm_saves_and_says_so_by_its_exit_code(generated, tmp_path):
    command = [
        *(BIN / "gradscape", "train", "--model", "vgg08", "--dataset", "generated10"),
        *("--data", generated, "--out", tmp_path, "--device", "cpu", "--epochs", "500"),
        *("--train-items", "500"),
    ]
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen([str(w) for w in command], stdout=log, stderr=log)
    for _ in range(600):
        if "epoch" in (tmp_path / "log").read_text():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    assert (tmp_path / ".checkpoint.pt").exists()


def test_a_checkpoint_that_cannot_serve_is_set_aside(dataset, tmp_path, capfd):
    """Torn, damaged in one bit of one weight, another run's, or of another network."""
    path = tmp_path / ".checkpoint.pt"
    state = make(SMALL, dataset).state()
    mark = fingerprint(SMALL, dataset.checksum, None, "")

    def refused(because: str) -> None:
        left = path.read_bytes()
        train(Run("s", "r", SMALL), dataset, tmp_path)
        said = capfd.readouterr().err
        assert because in said and len(said.splitlines()) == 1
        assert path.with_name(".checkpoint.pt.set-aside").read_bytes() == left
        assert json.loads((tmp_path / "run.json").read_text())["resumed"] == 0

    path.write_bytes(b"torn")
    refused("damaged (cut short")
    Checkpoint(path, mark).save(state)
    weight = state["model"]["head.weight"].numpy().tobytes()
    content = bytearray(path.read_bytes())
    content[content.index(weight) + 5] ^= 4
    path.write_bytes(content)
    refused("damaged (other bytes")
    older = fingerprint(SMALL, dataset.checksum, None, "older code")
    Checkpoint(path, older).save(state)
    refused("belongs to other settings, data or code")
    state["model"]["head.weight"] = torch.zeros(3)
    Checkpoint(path, mark).save(state)
    refused("fits no longer")


def test_a_run_is_of_the_revision_at_which_it_began(dataset, tmp_path, monkeypatch):
    """Claims that are committed while it trains are not older than it."""
    began = make(SMALL, dataset)
    began.history.revision = {"commit": "first", "dirty": False}
    mark = fingerprint(SMALL, dataset.checksum, None, "")
    Checkpoint(tmp_path / ".checkpoint.pt", mark).save(began.state())
    monkeypatch.setattr(
        "gradscape.training.train.revision", lambda: Revision("second", False)
    )
    train(Run("s", "r", SMALL), dataset, tmp_path)
    assert FinishedRun(tmp_path).record.revision.commit == "first"


def test_a_checkpoint_stays_where_memory_is_too_small_to_go_on(
    dataset, tmp_path, monkeypatch
):
    path = tmp_path / ".checkpoint.pt"
    mark = fingerprint(SMALL, dataset.checksum, None, "")
    Checkpoint(path, mark).save(make(SMALL, dataset).state())
    before = path.read_bytes()

    def fail(*words):
        raise MemoryError

    monkeypatch.setattr("gradscape.training.loop.Training.restore", fail)
    with pytest.raises(MemoryError):
        train(Run("s", "r", SMALL), dataset, tmp_path)
    assert path.read_bytes() == before


def test_a_younger_setting_leaves_older_checkpoints_theirs():
    """The fingerprint is that of a763f32 until the setting is used."""
    old = Settings("vgg38-bn", "cifar100")
    mark = fingerprint(old, "checksum")
    assert mark == ("a26a594bb993ced76fd0d3462d6dec1fd27826318795e0985d276b854eab10fd")
    for younger in ({"slope": 0.5}, {"eta": 0.5}, {"perturbation": 0}):
        assert fingerprint(replace(old, **younger), "checksum") != mark


def test_damaged_weights_are_refused_and_older_ones_read(tmp_path):
    path, weights = tmp_path / "model.pt", {"best": {"w": torch.arange(99.0)}}
    sealed.save(path, weights)
    whole = path.read_bytes()
    assert torch.equal(torch.load(path)["best"]["w"], weights["best"]["w"])
    for place in range(0, 8 * len(whole), 31):
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        path.write_bytes(content)
        with contextlib.suppress(GradscapeError):  # a bit of the seal's name may flip
            assert torch.equal(sealed.read_weights(path)["best"]["w"], torch.arange(99.0))
    path.write_bytes(whole[:-1000])
    with pytest.raises(GradscapeError, match=r"model\.pt: damaged"):
        sealed.read_weights(path)
    torch.save(weights, path)
    assert torch.equal(sealed.read_weights(path)["best"]["w"], weights["best"]["w"])


def test_a_checkpoint_is_due_by_the_time_since_the_last_and_leaves_nothing(
    tmp_path, monkeypatch
):
    clock = iter([100.0, 119.9, 120.0, 121.0, 140.9, 141.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    checkpoint = Checkpoint(tmp_path / "checkpoint", "mark")
    assert [checkpoint.due(20.0), checkpoint.due(20.0)] == [False, True]
    checkpoint.save({})
    assert [checkpoint.due(20.0), checkpoint.due(20.0)] == [False, True]
    unfinished(checkpoint.path).write_bytes(b"of one that was killed")
    checkpoint.delete()
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_other_settings_says_which(tmp_path, capfd):
    path, old, new = tmp_path / "checkpoint", {"seed": 0}, {"seed": 1}
    for own, other, said in ((old, new, "code (seed"), (None, new, "code;")):
        Checkpoint(path, "mark", own).save({})
        assert Checkpoint(path, "another", other).load() is None
        assert f"belongs to other settings, data or {said}" in capfd.readouterr().err


def test_a_checkpoint_stays_where_it_cannot_be_read_for_want_of_memory(
    tmp_path, monkeypatch
):
    checkpoint = Checkpoint(tmp_path / "checkpoint", "mark")
    checkpoint.save({})
    monkeypatch.setattr(sealed, "load", Mock(side_effect=OSError(errno.ENOMEM, "memory")))
    with pytest.raises(OSError, match="memory"):
        checkpoint.load()
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_what_a_users_file_imports_from_beside_it_decides_the_run_as_well(tmp_path):
    (tmp_path / "own.py").write_text(f"from beside import RATE\n{OWN}")
    settings = replace(SMALL, loss=f"{tmp_path / 'own.py'}:margin")
    marks = set()
    for rate in (0.1, 0.2):
        (tmp_path / "beside.py").write_text(f"RATE = {rate}")
        marks.add(fingerprint(settings))
    assert len(marks) == 2


def test_a_full_disk_keeps_the_previous_checkpoint(tmp_path, capfd):
    """A file-size limit makes the write fail half way, as a full disk does."""
    checkpoint = Checkpoint(tmp_path / "checkpoint", "mark")
    checkpoint.save({"epoch": torch.tensor(1)})
    with limited(resource.RLIMIT_FSIZE, 100_000):
        checkpoint.save({"epoch": torch.zeros(1_000_000)})
    assert "checkpoint not saved" in capfd.readouterr().err
    assert checkpoint.load()["epoch"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_a_diverged_run_is_a_result(dataset, tmp_path):
    settings = replace(SMALL, optimiser="sgd", learning_rate=1e20, epochs=5)
    train(Run("s", "r", settings), dataset, tmp_path)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["diverged"] == 1
    assert len(pd.read_csv(tmp_path / "metrics.csv")) == 1


def test_new_results_do_not_make_the_code_look_changed(tmp_path):
    files = [tmp_path / "code" / "step.py", tmp_path / "results" / "run.csv"]
    for file in files:
        file.parent.mkdir()
        file.touch()
    git = ["git", "-c", "user.name=n", "-c", "user.email=e", "-C", str(tmp_path)]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *command], check=True)
    for file, dirty in reversed([*zip(files, (True, False), strict=True)]):
        file.write_text("changed")
        assert revision(files[0].parent).dirty == dirty


# Devices


def test_devices_and_precisions_that_are_not_there_are_named():
    with pytest.raises(GradscapeError, match="precision tf32: CPUs have none"):
        configure("cpu", "tf32", True, 1)
    if not torch.cuda.is_available():
        with pytest.raises(GradscapeError, match="device cuda: torch finds no CUDA"):
            configure("cuda", "auto", True, 1)


@pytest.mark.parametrize(
    ("own", "kind"),
    [
        (["_is_amx_tile_supported", "_is_avx512_bf16_supported"], "AMX-bf16"),
        (["_is_avx512_bf16_supported"], "AVX-512-bf16"),
        ([], "no bf16"),
    ],
)
def test_kinds_of_cpu_are_told_apart_by_their_bf16(own, kind, monkeypatch):
    for probe in CPU_BF16.values():
        monkeypatch.setattr(torch.cpu, probe, lambda has=probe in own: has)
    assert device_kind("cpu").endswith(f", {kind}")
    assert has_fast_bf16("cpu") == bool(own)


def test_bf16_learns_what_fp32_learns(dataset):
    """Over three seeds the two precisions end within the seeds' own spread."""
    ends = {}
    for precision in ("fp32", "bf16"):
        ends[precision] = []
        for seed in range(3):
            training = make(replace(SMALL, precision=precision, seed=seed), dataset)
            while not training.finished:
                training.run_epoch(lambda images: None)
            ends[precision].append(training.history.metrics[-1]["train_loss"])
    spread = np.std(ends["fp32"], ddof=1) + 0.01
    assert abs(np.mean(ends["fp32"]) - np.mean(ends["bf16"])) < 2 * spread


@pytest.mark.limit(60)
def test_each_run_leases_a_gpu_of_its_own(tmp_path):
    """Two runs get two GPUs, and each the same again when it asks again; a third waits
    until one of them ends."""
    code = (
        "import sys, time; from pathlib import Path;"
        "from gradscape.training.lease import lease;"
        "held = [lease(['a', 'b'], Path(sys.argv[1])) for _ in range(2)];"
        "print(*held, flush=True); time.sleep(60)"
    )

    def start():
        command = [sys.executable, "-c", code, str(tmp_path)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    environment = os.environ.pop("SLURM_JOB_ID", None)
    first, second = start(), start()
    assert {first.stdout.readline(), second.stdout.readline()} == {"0 0\n", "1 1\n"}
    third = start()
    time.sleep(2)
    assert third.poll() is None
    second.kill()
    assert third.stdout.readline() in ("0 0\n", "1 1\n")
    for process in (first, second, third):
        process.kill()
        process.wait()
    if environment:
        os.environ["SLURM_JOB_ID"] = environment


def test_another_users_folder_of_locks_is_not_entered(tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "a.0.lock").write_text("mine")
    (tmp_path / "linked").symlink_to(victim)
    with pytest.raises(GradscapeError, match="linked: belongs to somebody else"):
        lease(["a"], tmp_path / "linked")
    monkeypatch.setattr("os.getuid", lambda: 12345)
    with pytest.raises(GradscapeError, match="victim: belongs to somebody else"):
        lease(["a"], victim)
    assert (victim / "a.0.lock").read_text() == "mine"


def test_a_gpus_lock_empties_no_file_and_follows_no_link(tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "a.0.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(GradscapeError, match=r"a\.0\.lock: is a link"):
        lease(["a"], tmp_path / "locks")
    assert (tmp_path / "victim").read_text() == "mine"


@pytest.mark.parametrize("wanted", ["abc", "0", "-1", "1.5", "", "9999"])
def test_a_number_of_runs_per_gpu_that_is_none_is_named(wanted, tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("GRADSCAPE_RUNS_PER_GPU", wanted)
    with pytest.raises(GradscapeError, match=f"GRADSCAPE_RUNS_PER_GPU={wanted}: must be"):
        lease(["a"], tmp_path)


def test_slurm_hands_out_gpus_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    assert lease(["a"], tmp_path) == lease(["a"], tmp_path) == 0
    assert not list(tmp_path.iterdir())


# Bad input on the command line


@pytest.mark.parametrize("name", TRACKERS)
def test_a_tracker_is_asked_for_by_name_where_it_is_missing(name, tmp_path, monkeypatch):
    module = "torch.utils.tensorboard" if name == "tensorboard" else name
    monkeypatch.setitem(sys.modules, module, None)
    following_it = following([name], Run("s", "r", SMALL), tmp_path, [])
    with pytest.raises(GradscapeError, match=f"^{name}: .* pip install {name}"):
        following_it.__enter__()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--model", "vgg39"], "unknown model 'vgg39' (did you mean 'vgg38'?)"),
        (["--schedule", "cosin"], "unknown schedule 'cosin' (did you mean 'cosine'?)"),
        (["--epochs", "0"], "0 is less than the minimum of 1"),
    ],
)
def test_bad_settings_end_in_one_sentence(options, sentence, tmp_path, capsys):
    command = ["train", "--model", "vgg08", "--dataset", "generated10", *options]
    with pytest.raises(SystemExit) as end:
        cli.main([*command, "--out", str(tmp_path), "--data", str(tmp_path)])
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line
