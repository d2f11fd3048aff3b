"""CUDA: what can be shown without a GPU, and, where there is one, that graphs are exact."""

import copy
import importlib
import os
import sys
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import MagicMock

import pandas as pd
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import conv2d
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from conftest import ROOT, make, same, succeed
from conftest import SMALL as SMALL_ON_CPU
from gradscape.base.errors import GradscapeError
from gradscape.models import build
from gradscape.models.anatomy import one_image
from gradscape.spec.settings import Settings
from gradscape.spec.study import Run
from gradscape.training import loop
from gradscape.training.device import Backend, allow_tf32
from gradscape.training.forward import Forward
from gradscape.training.loop import Training
from gradscape.training.step import WARMUP_RUNS
from gradscape.training.train import train

SMALL = replace(SMALL_ON_CPU, device="cuda", precision="auto")
EVERY_PATH = [
    SMALL,
    replace(SMALL, model="vgg38-bn-rc", l1=1e-5, optimiser="rmsprop"),
    replace(SMALL, model="vgg08-bn", fold_after=3, adaptive_clipping=0.01),
    replace(SMALL, model="vgg-a", optimiser="sgd", gradient_lag=2, precision="fp32"),
    replace(SMALL, model="convnet", dropout=0.5, augmentation="geometric-colour"),
    replace(SMALL, model="resnet-small", width=8, optimiser="muon", label_smoothing=0.1),
    replace(SMALL, model="vgg-a-light", optimiser="adamw", loss="focal"),
]
pytestmark = pytest.mark.limit(300)
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def name(settings: Settings) -> str:
    return f"{settings.model}-{settings.optimiser}"


class OnDevice(TorchDispatchMode):
    """Lists the operations that touch a tensor on the host."""

    def __init__(self):
        super().__init__()
        self.operations, self.host = 0, []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        # A fused update has no version without data; it changes its arguments in place.
        fused = "_fused_" in str(operation)
        out = None if fused else operation(*args, **(kwargs or {}))
        tensors = [t for t in tree_leaves((args, kwargs, out)) if torch.is_tensor(t)]
        self.operations += 1
        if any(tensor.device.type != "cuda" for tensor in tensors):
            self.host.append(str(operation))
        return out


@pytest.mark.parametrize("settings", EVERY_PATH, ids=name)
def test_a_step_on_cuda_never_touches_the_host(settings, dataset, monkeypatch):
    """What a graph could not be captured with: a tensor on the host, a value read from
    the device. Tensors without data stand in for the device's."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *a, **k: True)
    monkeypatch.setattr(
        torch.cuda.amp.common, "amp_definitely_not_available", lambda: False
    )
    backend = Backend("cuda", "none", "bf16", True, 0, "none")
    on_cpu = replace(settings, device="cpu", precision="bf16")
    tried = make(on_cpu, dataset).tried  # stand-ins have no values to compare
    monkeypatch.setattr(loop, "dry_run", lambda *a: tried)
    with FakeTensorMode(allow_non_fake_inputs=True):
        with torch.device("cuda"), monkeypatch.context() as patch:
            patch.setattr(torch.nn.Module, "to", lambda model, *a, **k: model)
            training = Training(settings, dataset, backend)

        def backward(loss):  # autograd asks for a device that is there
            for parameter in training.model.parameters():
                parameter.grad = torch.zeros_like(parameter)

        monkeypatch.setattr(torch.Tensor, "backward", backward)
        with OnDevice() as watched:
            for size in (16, 8):
                training.step(size)
    assert watched.operations > 100
    assert watched.host == []


def test_capture_takes_the_largest_minibatch_first_and_moves_nothing(dataset, monkeypatch):
    """A stand-in runs what it is to capture, so gradients, draws and updates happen."""
    for stand_in in ("Stream", "CUDAGraph", "current_stream", "stream", "graph"):
        monkeypatch.setattr(torch.cuda, stand_in, MagicMock())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: SimpleNamespace(replay=None))
    settings = replace(SMALL_ON_CPU, model="resnet-small", width=8, dropout=0.5)
    plain, captured = make(settings, dataset), make(settings, dataset)
    seen, cut, zero = [], captured.train.take, captured.optimiser.zero_grad

    def take(index, size):
        seen.append([size])
        return cut(index, size)

    def zero_grad(set_to_none):
        seen[-1].append(set_to_none)
        zero(set_to_none)

    monkeypatch.setattr(captured.train, "take", take)
    monkeypatch.setattr(captured.optimiser, "zero_grad", zero_grad)
    captured.train.draw(settings.seed, 0)
    captured.step.capture()
    accumulating = [[16, False], [8, False]] * (WARMUP_RUNS - 1)
    warm_up = [[16, True], [8, True], *accumulating]
    assert seen == [*warm_up, [16, True], [8, False]]
    for training in (plain, captured):
        while not training.finished:
            training.run_epoch(lambda images: None)
    assert_same(plain, captured)
    with pytest.raises(AssertionError):  # its tensors would be other ones
        captured.restore(plain.state())


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (
            "CUDA error: operation not permitted when stream is capturing\nmore",
            GradscapeError,
        ),
        (
            "Cannot copy between CPU and CUDA tensors during CUDA graph capture",
            GradscapeError,
        ),
        ("CUDA out of memory", RuntimeError),
    ],
)
def test_what_no_graph_can_capture_is_said(error, kind, dataset, monkeypatch):
    for stand_in in ("Stream", "CUDAGraph", "current_stream", "stream"):
        monkeypatch.setattr(torch.cuda, stand_in, MagicMock())
    monkeypatch.setattr(torch.cuda, "graph", MagicMock(side_effect=RuntimeError(error)))
    training = make(SMALL_ON_CPU, dataset)
    training.train.draw(0, 0)
    with pytest.raises(kind, match=error.splitlines()[0]) as raised:
        training.step.capture()
    assert "more" not in str(raised.value)


# Fewer kernels, the same bits

# A step in bf16: what is neither a view nor memory alone.
OPERATIONS = {
    "vgg08": 77,
    "vgg08-bn": 89,
    "vgg38": 197,
    "vgg38-bn": 269,
    "vgg38-bn-rc": 299,
    "vgg-a": 92,
    "vgg-a-bn": 109,
    "convnet": 68,
    "resnet-small": 129,
}


class Operations(TorchDispatchMode):
    """Counts what a GPU would start kernels for."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name, free = str(operation), ("empty", "detach", "profiler")
        if not (operation.is_view or any(word in name for word in free)):
            self.names.append(name)
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("model", OPERATIONS)
def test_a_step_has_no_more_operations_than_were_counted(model, dataset):
    settings = replace(SMALL_ON_CPU, model=model, precision="bf16")
    training = make(settings, dataset)
    training.train.draw(settings.seed, 0)
    training.step(16)
    with Operations() as counted:
        training.step(16)
    assert len(counted.names) <= OPERATIONS[model], Counter(counted.names)


class Standardised(nn.Conv2d):
    def forward(self, x):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return conv2d(x, weight, self.bias)


class Odd(nn.Module):
    """A network of one's own, with all that may not be cast or counted together."""

    def __init__(self):
        super().__init__()
        self.twice = nn.Conv2d(3, 3, 3, padding=1)
        self.frozen = nn.Conv2d(3, 8, 3).requires_grad_(False)
        self.derived = Standardised(8, 8, 3)
        self.norm, self.cumulative = nn.BatchNorm2d(8), nn.BatchNorm2d(8, momentum=None)
        self.still = nn.BatchNorm2d(8)
        self.unused, self.ignored = nn.Linear(8, 8), nn.Linear(8, 8)
        self.one, self.other = nn.Linear(8, 8), nn.Linear(8, 8)
        self.other.weight = self.one.weight
        self.flat, self.head = nn.BatchNorm1d(8), nn.Linear(8, 10)

    def forward(self, x):
        x = self.norm(self.derived(self.frozen(self.twice(self.twice(x)))))
        x = self.still.eval()(self.cumulative(x)).mean((2, 3))
        self.ignored(x)
        return self.head(self.flat(self.other(self.one(x))))


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
@pytest.mark.parametrize("model", ["odd", "vgg08-bn-rc", "resnet-small"])
def test_layers_taken_together_give_the_bits_of_each_by_itself(model, precision):
    torch.manual_seed(0)
    network = Odd() if model == "odd" else build(model, 10)
    calls = one_image(network, 10)
    network.train().to(memory_format=torch.channels_last)
    backend = Backend("cpu", "none", precision, True, 1, "none")
    alone, together = network, copy.deepcopy(network)
    forward = Forward(together, backend, calls)

    def by_itself(images):
        with backend.autocast():
            return alone(images)

    logits = []
    for call, parts in ((by_itself, alone), (forward, together)):
        torch.manual_seed(1)
        for _ in range(2):  # gradients are added up
            images = torch.randn(6, 3, 32, 32)
            logits.append(call(images))
            weights = [p for p in parts.parameters() if p.ndim > 1 and p.requires_grad]
            penalty = sum(weight.abs().sum() for weight in weights)
            (logits[-1].float().square().sum() + 1e-3 * penalty).backward()
    assert torch.equal(logits[0], logits[2]) and torch.equal(logits[1], logits[3])
    state = together.state_dict()
    assert all(torch.equal(alone.state_dict()[key], state[key]) for key in state)
    gradients = {key: p.grad for key, p in together.named_parameters()}
    for key, parameter in alone.named_parameters():
        assert (parameter.grad is None) == (gradients[key] is None), key
        if parameter.grad is not None:
            assert torch.equal(parameter.grad, gradients[key]), key


STARTS = """
import sys
from dataclasses import replace
from pathlib import Path
from conftest import SMALL
from gradscape.data.store import load
from gradscape.training.train import train
from gradscape.spec.study import Run

data, out = load(Path(sys.argv[1])), Path(sys.argv[2])
for name in ("adam", "adamw", "sgd", "rmsprop", "muon"):
    settings = replace(SMALL, optimiser=name, epochs=1, precision="auto")
    train(Run("study", name, settings), data, out / name, checkpoint_seconds=0)
assert not {"torch._dynamo", "sympy"} & set(sys.modules)
"""


def test_training_loads_no_compiler(generated, tmp_path):
    folder = generated / "generated10"
    command = (sys.executable, "-c", STARTS, folder, tmp_path)
    path = os.pathsep.join([str(ROOT / "workflow"), str(ROOT / "tests")])
    succeed(*command, PYTHONPATH=path)


def test_both_of_torchs_switches_for_tf32_agree():
    for allowed in (True, False):
        allow_tf32(allowed)
        assert torch.backends.cudnn.allow_tf32 == allowed
        assert torch.backends.cuda.matmul.allow_tf32 == allowed
        assert (torch.backends.cudnn.conv.fp32_precision == "tf32") == allowed
        assert (torch.backends.cuda.matmul.fp32_precision == "tf32") == allowed


def test_a_benchmark_that_is_cut_off_keeps_what_it_measured(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    throughput = importlib.import_module("throughput")
    measured = iter([(100.0, 50.0, 1.0), (200.0, 100.0, 2.0)])
    monkeypatch.setattr(throughput, "timed", lambda *arguments: next(measured))
    options = SimpleNamespace(networks=["vgg08"], repeats=1, at_once=[2], floor=False)
    with pytest.raises(RuntimeError):
        throughput.measure(options, tmp_path / "new" / "rows.csv")
    rows = pd.read_csv(tmp_path / "new" / "rows.csv")
    assert rows["images_per_second"].tolist() == [100, 200]
    assert rows["ratio"].tolist() == [1, 2]


def test_a_benchmark_gets_its_data_or_ends_in_a_sentence(tmp_path, monkeypatch, capsys):
    """Where there is none, and where a turn, a process of its own, cannot read it."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    throughput = importlib.import_module("throughput")
    monkeypatch.setenv("GRADSCAPE_DATA", str(tmp_path))
    with pytest.raises(SystemExit):
        throughput.datasets.make(["cifar10"], tmp_path)
    assert "so there is no cifar10 to read" in capsys.readouterr().err
    options = SimpleNamespace(data=tmp_path, seconds=0.1)
    with pytest.raises(SystemExit, match="vgg08, plain: a turn failed, as said above"):
        throughput.timed("plain", throughput.NETWORKS["vgg08"], options)


@pytest.mark.networks
def test_a_benchmark_times_training_as_a_share_of_the_convolutions_alone(
    tmp_path, monkeypatch, capsys
):
    """On images that it makes; both in as many processes of one thread each."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    throughput = importlib.import_module("throughput")
    words = ["throughput.py", "--data", tmp_path, "--out", tmp_path, "--at-once", 2]
    words += ["--networks", "vgg08", "--repeats", 1, "--seconds", 0.1]
    monkeypatch.setattr(sys, "argv", [str(word) for word in words])
    asked = []
    timed = throughput.timed
    monkeypatch.setattr(throughput, "CORES", 2)
    monkeypatch.setattr(
        throughput, "timed", lambda *given: (asked.append(given), timed(*given))[1]
    )
    monkeypatch.setattr(throughput, "precisions", lambda device: ["fp32"])
    throughput.main()
    assert [(kind, *count) for kind, _, _, *count in asked] == [
        ("plain",),
        ("floor", 2),
        ("engine", 2),
    ]
    rows = pd.read_csv(tmp_path / "throughput.csv")
    plain, floor, engine = rows["images_per_second"]
    assert rows["ratio"].tolist() == pytest.approx([1, floor / plain, engine / plain], 1e-3)
    _, floor, engine = rows["images_per_cpu_second"]
    assert f"{engine / floor:.2f} of the floor" in capsys.readouterr().out
    assert (tmp_path / "throughput.svg").exists()


# On a GPU


def trained(settings: Settings, dataset, eager: bool = False) -> Training:
    training = make(settings, dataset)
    if eager:
        training.step.capture = lambda: None
    while not training.finished:
        training.run_epoch(lambda images: None)
    return training


def assert_same(first: Training, second: Training) -> None:
    assert first.history.metrics == second.history.metrics
    assert first.history.gradients == second.history.gradients
    for key, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[key]), key


FUSED = replace(SMALL, model="vgg08-bn-rc", reduction_shortcut="pooled", fused=True)


@needs_cuda
def test_fused_steps_lead_where_others_do(dataset):
    """To the last digits: they round less often."""
    ours, theirs = (
        trained(replace(FUSED, fused=fused, precision="fp32", epochs=1), dataset)
        for fused in (True, None)
    )
    losses = [training.history.steps[0]["loss"] for training in (ours, theirs)]
    torch.testing.assert_close(*losses, rtol=1e-3, atol=1e-3)


@needs_cuda
@pytest.mark.parametrize("settings", [*EVERY_PATH, FUSED], ids=name)
def test_graph_and_eager_give_the_same_bits(settings, dataset):
    assert_same(trained(settings, dataset), trained(settings, dataset, eager=True))


@needs_cuda
def test_probing_on_cuda_changes_nothing(dataset):
    settings = replace(SMALL, model="vgg-a-bn", precision="fp32")
    probed = replace(settings, landscape_every=2, landscape_points=3, landscape_step=True)
    assert_same(trained(probed, dataset), trained(settings, dataset))


@needs_cuda
@pytest.mark.parametrize(
    "settings", [replace(SMALL, model="convnet", dropout=0.5), FUSED], ids=name
)
def test_a_stopped_run_on_cuda_ends_with_the_same_bytes(
    settings, dataset, tmp_path, monkeypatch
):
    run = Run("study", "run", settings)
    train(run, dataset, tmp_path / "whole")
    epoch, seen = Training.run_epoch, []

    def stopped(training, between_steps):
        def after(images):
            seen.append(images)
            between_steps(images)
            if len(seen) == 3:  # a checkpoint was saved here: it is always due
                raise SystemExit(143)

        epoch(training, after)

    monkeypatch.setattr(Training, "run_epoch", stopped)
    with pytest.raises(SystemExit):
        train(run, dataset, tmp_path / "stopped", checkpoint_seconds=0)
    train(run, dataset, tmp_path / "stopped")
    same(tmp_path / "whole", tmp_path / "stopped")
