"""CUDA: what can be shown without a GPU, and, where there is one, that graphs are exact."""

from dataclasses import replace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from conftest import SMALL as SMALL_ON_CPU
from conftest import make, same
from gradscape.data.store import load
from gradscape.engine.device import Backend
from gradscape.engine.train import Stopped, Training, train
from gradscape.settings import Settings
from gradscape.study import Run

SMALL = replace(SMALL_ON_CPU, device="cuda", precision="auto")
EVERY_PATH = [
    SMALL,
    replace(SMALL, model="vgg38-bn-rc", l1=1e-5, optimiser="rmsprop"),
    replace(SMALL, model="vgg-a", optimiser="sgd", gradient_lag=2, precision="fp32"),
    replace(SMALL, model="convnet", dropout=0.5, augmentation="geometric-colour"),
    replace(SMALL, model="resnet-small", width=8, optimiser="muon", label_smoothing=0.1),
    replace(SMALL, model="vgg-a-light", optimiser="adamw", loss="focal"),
]
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(scope="module")
def dataset(generated):
    return load(generated / "generated10")


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


@needs_cuda
@pytest.mark.parametrize("settings", EVERY_PATH, ids=name)
def test_graph_and_eager_give_the_same_bits(settings, dataset):
    assert_same(trained(settings, dataset), trained(settings, dataset, eager=True))


@needs_cuda
def test_probing_on_cuda_changes_nothing(dataset):
    settings = replace(SMALL, model="vgg-a-bn", precision="fp32")
    probed = replace(settings, landscape_every=2, landscape_points=3)
    assert_same(trained(probed, dataset), trained(settings, dataset))


@needs_cuda
def test_a_stopped_run_on_cuda_ends_with_the_same_bytes(dataset, tmp_path, monkeypatch):
    settings = replace(SMALL, model="convnet", dropout=0.5)
    run = Run("study", "run", settings)
    train(run, dataset, tmp_path / "whole")
    epoch, seen = Training.run_epoch, []

    def stopped(training, between_steps):
        def after(images):
            seen.append(images)
            between_steps(images)
            if len(seen) == 3:  # a checkpoint was saved here: it is always due
                raise Stopped(143)

        epoch(training, after)

    monkeypatch.setattr(Training, "run_epoch", stopped)
    with pytest.raises(SystemExit):
        train(run, dataset, tmp_path / "stopped", checkpoint_seconds=0)
    train(run, dataset, tmp_path / "stopped")
    same(tmp_path / "whole", tmp_path / "stopped")
