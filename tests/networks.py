"""Networks as other people write them: torchvision's, and what tutorials and papers do."""

import random

import numpy as np
import torch
import torchvision.models as zoo
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations, spectral_norm, weight_norm

# torchvision's


def resnet18(classes):
    return zoo.resnet18(num_classes=classes)


def googlenet(classes):
    """Which returns logits of its auxiliary heads too, in training mode."""
    return zoo.googlenet(num_classes=classes, init_weights=False)


def googlenet_alone(classes):
    return zoo.googlenet(num_classes=classes, init_weights=False, aux_logits=False)


def squeezenet1_1(classes):
    return zoo.squeezenet1_1(num_classes=classes)


def mobilenet_v3_small(classes):
    return zoo.mobilenet_v3_small(num_classes=classes)


def efficientnet_b0(classes):
    return zoo.efficientnet_b0(num_classes=classes)


def shufflenet(classes):
    return zoo.shufflenet_v2_x0_5(num_classes=classes)


def densenet121(classes):
    return zoo.densenet121(num_classes=classes)


def convnext_tiny(classes):
    return zoo.convnext_tiny(num_classes=classes)


def vit(classes):
    sizes = {"image_size": 32, "patch_size": 8, "num_layers": 2, "num_heads": 2}
    return zoo.VisionTransformer(**sizes, hidden_dim=32, mlp_dim=64, num_classes=classes)


def swin(classes):
    sizes = {"patch_size": [4, 4], "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4]}
    return zoo.SwinTransformer(**sizes, window_size=[4, 4], num_classes=classes)


# Of tutorials


class Rows(nn.Module):
    """A recurrent network over the rows of an image."""

    def __init__(
        self, classes: int, kind: type = nn.GRU, channels: int = 3, size: int = 32
    ):
        super().__init__()
        self.recurrent = kind(channels * size, 16, batch_first=True)
        self.out = nn.Linear(16, classes)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.recurrent(x.permute(0, 2, 1, 3).flatten(2))
        return self.out(states[:, -1])


def gru(classes):
    return Rows(classes)


def lstm(classes):
    return Rows(classes, nn.LSTM)


def mlp(classes):
    hidden = [nn.Linear(3 * 32 * 32, 32), nn.BatchNorm1d(32), nn.ReLU()]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(32, classes))


class LeNet(nn.Module):
    """Reshapes by `view`, which wants contiguous memory; lists its layers backwards."""

    def __init__(self, num_classes):
        super().__init__()
        self.fc = nn.Linear(16 * 5 * 5, num_classes)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.conv1 = nn.Conv2d(3, 6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(self.conv1(x).relu(), 2)
        x = functional.max_pool2d(self.conv2(x).relu(), 2)
        return self.fc(x.view(x.size(0), -1))


class Volume(nn.Module):
    """With kernels that cannot be channels-last."""

    def __init__(self, classes):
        super().__init__()
        self.conv, self.norm = nn.Conv3d(1, 4, 3, stride=(1, 2, 2)), nn.BatchNorm3d(4)
        self.fc = nn.Linear(4, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.norm(self.conv(x[:, None])).mean((2, 3, 4)))


class Bare(nn.Module):
    """Nothing but parameters and operations."""

    def __init__(self, classes):
        super().__init__()
        self.kernel = nn.Parameter(0.1 * torch.randn(8, 3, 3, 3))
        self.matrix = nn.Parameter(0.1 * torch.randn(classes, 8))

    def forward(self, x: Tensor) -> Tensor:
        maps = functional.conv2d(x, self.kernel, stride=2).relu()
        return maps.mean((2, 3)) @ self.matrix.T


def small(classes, wrap=lambda layer: layer):
    """Two convolutions and a linear layer, each as `wrap` makes it."""
    first, second = nn.Conv2d(3, 8, 3, stride=2), nn.Conv2d(8, 8, 3, stride=2)
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    layers = [wrap(first), nn.ReLU(), wrap(second), nn.ReLU(), *pool]
    return nn.Sequential(*layers, wrap(nn.Linear(8, classes)))


def spectral(classes):
    return small(classes, spectral_norm)


def spectral_new(classes):
    return small(classes, parametrizations.spectral_norm)


def weight_normed(classes):
    return small(classes, weight_norm)


def weight_normed_new(classes):
    return small(classes, parametrizations.weight_norm)


def frozen_stem(classes):
    model = small(classes)
    model[0].requires_grad_(False)
    return model


class Unused(nn.Module):
    """With a head that is never called."""

    def __init__(self, classes):
        super().__init__()
        self.body = small(classes)
        self.auxiliary = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class Shared(nn.Module):
    """Whose one block is called twice."""

    def __init__(self, classes):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2)
        self.block = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.GroupNorm(2, 8)
        self.head = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for _ in range(2):
            x = self.norm(self.block(x)).relu()
        return self.head(x.mean((2, 3)))


# Of more kinds


class Dictionary(nn.Module):
    """Whose logits are in a dictionary."""

    def __init__(self, classes):
        super().__init__()
        self.body = small(classes)

    def forward(self, x: Tensor):
        logits = self.body(x)
        return {"logits": logits} if self.training else logits


def lazy(classes):
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(nn.LazyConv2d(8, 3), nn.ReLU(), *pool, nn.LazyLinear(classes))


def scripted(classes):
    return torch.jit.script(small(classes))


def parallel(classes):
    return nn.DataParallel(small(classes))


def biases_alone(classes):
    model = small(classes)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("bias" in name)
    return model


def nothing_trains(classes):
    return small(classes).requires_grad_(False)


class Fours(nn.Flatten):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(-1, 4, *x.shape[1:]).flatten(0, 1) if self.training else x


def four_by_four(classes):
    """Which trains on minibatches of a multiple of four alone."""
    return nn.Sequential(Fours(), small(classes))


class Channels(nn.Module):
    """Its constructor takes something else first."""

    def __init__(self, in_channels=3, num_classes=10):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 8, 3)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).mean((2, 3)))


def deep(depth=2, num_classes=10):
    """Which would have ten layers, for ten classes."""
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, num_classes))


def inputs_first(inputs=3, outputs=10):
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(nn.Conv2d(inputs, 8, 3), *pool, nn.Linear(8, outputs))


class Island(nn.Module):
    """Whose head leaves autocast, for more digits."""

    def __init__(self, classes):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.head = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        features = self.conv(x).mean((2, 3)).float()
        with torch.autocast(x.device.type, enabled=False):
            return self.head(features)


class Tied(nn.Module):
    """Which uses a layer's weight a second time, by itself."""

    def __init__(self, classes):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.mix = nn.Linear(8, 8)
        self.head = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        features = self.mix(self.conv(x).mean((2, 3))).relu()
        return self.head(features @ self.mix.weight)


def hard(classes):
    """A gate that has no second derivative."""
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Hardsigmoid(), *pool, nn.Linear(8, classes))


# What a network keeps, and where


class Small(nn.Module):
    """What those below have in common."""

    def __init__(self, classes):
        super().__init__()
        self.body = small(8)
        self.head = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


class Counting(Small):
    """Warms up by a counter of its own."""

    steps = 0

    def forward(self, x: Tensor) -> Tensor:
        self.steps += self.training
        return super().forward(x) * min(1.0, self.steps / 5)


class Averaging(Small):
    """Its average over the steps is hidden from its state, in a list."""

    def __init__(self, classes):
        super().__init__(classes)
        self.kept = [self.head.weight.detach().clone()]

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.kept[0].lerp_(self.head.weight.detach(), 0.1)
        return super().forward(x) + self.body(x) @ self.kept[0].T


class Starting(Small):
    """Keeps the first minibatch's mean, but not in its state."""

    mean = None

    def forward(self, x: Tensor) -> Tensor:
        if self.mean is None:
            self.mean = x.mean().detach()
        return super().forward(x - self.mean)


class Unloadable(Small):
    def load_state_dict(self, state, strict=True):
        raise KeyError("model")


class Described(Small):
    """With more in its state than tensors."""

    def get_extra_state(self):
        return {"version": 2}

    def set_extra_state(self, state):
        pass


class Growing(Small):
    """With a buffer that grows."""

    def __init__(self, classes):
        super().__init__(classes)
        self.register_buffer("bank", torch.zeros(0, 8))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.bank = torch.cat([self.bank, self.body(x).detach()])
        return super().forward(x)


class LateHead(Small):
    """Makes its output layer when it sees the first features."""

    def __init__(self, classes):
        super().__init__(classes)
        self.classes, self.head = classes, None

    def forward(self, x: Tensor) -> Tensor:
        if self.head is None:
            self.head = nn.Linear(8, self.classes)
        return super().forward(x)


class Centred(Small):
    """With a running mean that is replaced, not changed in place."""

    def __init__(self, classes):
        super().__init__(classes)
        self.register_buffer("centre", torch.zeros(classes))

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        if self.training:
            self.centre = 0.9 * self.centre + 0.1 * logits.detach().mean(0)
        return logits - self.centre


class LayerDrop(Small):
    """Leaves a layer out by Python's random numbers."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and random.random() < 0.5:
            return self.head(self.body(x).relu())
        return super().forward(x)


class Noisy(Small):
    """With numpy's random numbers."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + float(np.random.randn()))


class Skipping(Small):
    """Leaves a layer out by torch's random numbers, and then it has no gradient."""

    def __init__(self, classes):
        super().__init__(classes)
        self.extra = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        features = self.body(x)
        if not self.training or torch.rand(()) < 0.5:
            features = self.extra(features)
        return self.head(features)


class Folded(Small):
    """With another output layer in evaluation mode."""

    def __init__(self, classes):
        super().__init__(classes)
        self.fast = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if self.training else self.fast(self.body(x))


class Silent(Small):
    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


class Undefined(Small):
    """Which diverges at once."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * float("nan"))


class Forgetful(Small):
    """Whose `train` forgets what to return."""

    def train(self, mode=True):
        super().train(mode)


def half(classes):
    return small(classes).bfloat16()


class Spectrum(Small):
    """With complex weights."""

    def __init__(self, classes):
        super().__init__(classes)
        self.filter = nn.Parameter(torch.ones(32, 17, dtype=torch.complex64))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.fft.irfft2(torch.fft.rfft2(x) * self.filter))


def no_return(classes):
    small(classes)


def lambdas(classes):
    return lambda x: x.flatten(1)[:, :classes]


# Of other people's tools


class Hooked(Small):
    """Keeps a layer's output by a hook, as tutorials do."""

    def __init__(self, classes):
        super().__init__(classes)
        kept = self.kept = {}
        self.body[0].register_forward_hook(lambda _, x, y: kept.update(first=y))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.kept["first"].mean()


def rebound(classes):
    """Whose `forward` is a function that keeps the layers."""
    model = Small(classes)
    head, body = model.head, model.body
    model.forward = lambda x: head(body(x))
    return model


def pairs(classes):
    """A hook that turns a layer's output into a tuple, and one that turns it back."""
    model = small(classes)
    model[0].register_forward_hook(lambda _, x, y: (y, y.mean()))
    model[1].register_forward_pre_hook(lambda _, x: x[0][0])
    return model


class InPlace(Small):
    """Changes the images that it is given."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.mul_(0.9).add_(0.1))


class Clamped(Small):
    def forward(self, x: Tensor) -> Tensor:
        x.clamp_(0, 1).neg_()
        return super().forward(x)


class Named(Tensor):
    """As libraries have, to carry more than numbers."""


class Subclassed(Small):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).as_subclass(type("Fresh", (Named,), {}))


class Embedded(nn.Module):
    """Whose output layer has the weight of an embedding, which is not called."""

    def __init__(self, classes):
        super().__init__()
        self.words = nn.Embedding(classes, 8)
        self.body = small(8)
        self.out = nn.Linear(8, classes, bias=False)
        self.out.weight = self.words.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.body(x))


class Cosines(nn.Module):
    """Whose last weight is a parameter of its own, listed first."""

    def __init__(self, classes):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, 8))
        self.body = small(8)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) @ functional.normalize(self.weight).T


def numpys(classes):
    model = small(classes)
    drawn = np.random.randn(*model[0].weight.shape).astype(np.float32)
    model[0].weight.data = torch.from_numpy(drawn)
    return model


def pythons(classes):
    model = small(classes)
    nn.init.constant_(model[0].weight, random.random())
    return model
