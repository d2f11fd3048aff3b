"""The kernels for a GPU, in Triton's interpreter, against PyTorch; and the networks that
would use them."""

import sys
from dataclasses import replace

import pytest
import torch

from conftest import ROOT, SMALL, make, succeed
from gradscape.base.errors import GradscapeError
from gradscape.models import blocks, build
from gradscape.models.blocks import FusedBatchNorm2d, rectified
from gradscape.spec.settings import Settings, decisive

INTERPRETED = """
import copy, itertools, torch
from torch.nn import BatchNorm2d, init
from torch.nn.functional import leaky_relu
from gradscape.models.kernels import rectified_norm

torch.manual_seed(0)
for dtype, adds in itertools.product((torch.float32, torch.bfloat16), (False, True)):
    shape, limit = (3, 34, 5, 7), 1e-6 if dtype == torch.float32 else 1e-2
    ours = BatchNorm2d(34)
    init.normal_(ours.weight), init.normal_(ours.bias)
    theirs, given = copy.deepcopy(ours).double(), torch.randn(shape).to(dtype)
    maps = [torch.randn(shape).to(dtype) * 2 + 3 for _ in range(1 + adds)]
    mine = [m.clone().requires_grad_() for m in maps]
    reference = [m.double().requires_grad_() for m in maps]
    y = rectified_norm(ours, mine[0], 0.1, *mine[1:])
    y.backward(given)
    wanted = leaky_relu(sum(reference[1:], theirs(reference[0])), 0.1)
    wanted.backward(given.double())
    pairs = [(y, wanted), *((a.grad, b.grad) for a, b in zip(mine, reference))]
    pairs += [(a.grad, b.grad) for a, b in zip(ours.parameters(), theirs.parameters())]
    pairs += zip(ours.buffers(), theirs.buffers())
    for number, (one, other) in enumerate(pairs):
        away = (one.double() - other.double()).abs().max() / other.double().abs().max()
        assert one.shape == other.shape and away < limit, (dtype, adds, number, away)
    assert y.dtype == dtype and y.is_contiguous(memory_format=torch.channels_last)
"""


def test_the_kernels_compute_what_pytorch_does():
    """Values, all gradients, running statistics; the last block is not full."""
    pytest.importorskip("triton", reason="needs the package triton")
    here = {"PYTHONPATH": str(ROOT / "workflow"), "TRITON_INTERPRET": "1"}
    succeed(sys.executable, "-c", INTERPRETED, **here)


def test_a_fused_network_is_the_same_on_a_cpu(dataset):
    """Its weights have the same names, its steps the same bits, its run another mark."""
    plain = replace(SMALL, model="vgg08-bn-rc", reduction_shortcut="strided")
    fused = replace(plain, fused=True)
    assert decisive(plain) != decisive(fused) and "fused" not in decisive(plain)
    one, other = (train_one_step(settings, dataset) for settings in (plain, fused))
    kinds = {type(module) for module in other.model.modules()}
    assert FusedBatchNorm2d in kinds and torch.nn.BatchNorm2d not in kinds
    for (name, value), (same, wanted) in zip(
        other.model.state_dict().items(), one.model.state_dict().items(), strict=True
    ):
        assert name == same and torch.equal(value, wanted), name


def train_one_step(settings: Settings, dataset):
    training = make(settings, dataset)
    training.begin_epoch()
    training.advance(0, settings.learning_rate)
    return training


def test_a_step_on_a_gpu_hands_all_to_the_kernels(monkeypatch):
    """In training; in evaluation, and where a network has no such setting, it does not."""
    model = build("vgg08-bn-rc", 10, Settings("vgg08-bn-rc", "cifar10", fused=True))
    given = []
    x, beside = torch.zeros(2, 32, 4, 4), torch.ones(2, 32, 4, 4)
    norm = model.stages[0].norm2
    monkeypatch.setattr(norm, "forward", lambda *call: given.append(call) or call[0])
    monkeypatch.setattr(torch.Tensor, "is_cuda", True, raising=False)
    rectified(norm, x, 0.1, lambda: beside)
    rectified(norm.eval(), x, 0.1, lambda: beside)
    assert [len(call) for call in given] == [3, 1]
    assert given[0] == (x, 0.1, beside)
    with pytest.raises(GradscapeError, match="model vgg-a: has no 'fused' to set"):
        build("vgg-a", 10, Settings("vgg-a", "cifar10", fused=True))


def test_without_triton_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "gradscape.models.kernels", raising=False)
    norm = blocks.norm(4, True, fused=True)
    with pytest.raises(GradscapeError, match="fused: the package triton is missing"):
        norm(torch.zeros(2, 4, 3, 3), 0.1)
