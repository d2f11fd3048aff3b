"""CMPUT 328, assignment 6: image classification on CIFAR-10. YOURNAME, YOURIDNUMBER.

    python a6.py train     until the last epoch; called again, it resumes
    python a6.py test      the saved model on the test images, one at a time on the CPU

`load_dataset`, the network, `train` and `test` follow in this order.
"""

# Help: (name here whom you talked to, and about what). The network, its training and the
# optimiser Muon come from gradscape, a public program, which also wrote this file.

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Subset
from torchvision import transforms
from torchvision.datasets import CIFAR10

MODEL = Path(__file__).with_name("model_YOURIDNUMBER.pt")
NETWORK = {"width": 56, "activation": "relu", "dropout": 0.1}
RECIPE = {
    "seed": 0,
    "epochs": 60,
    "batch_size": 100,
    "learning_rate": 0.02,
    "momentum": 0.9,
    "weight_decay": 0.0005,
    "warmup_epochs": 5,
    "label_smoothing": 0.1,
}
VALIDATION = 5000  # the last of the training images, in order
MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


# 1. The dataset


def load_dataset(root="data", batch_size=RECIPE["batch_size"]):
    """Loaders of the training, the validation and, one at a time, the test images."""
    plain = [transforms.ToTensor(), transforms.Normalize(MEAN, DEVIATION)]
    change = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    changed = CIFAR10(root, True, transforms.Compose(change + plain), download=True)
    unchanged = CIFAR10(root, True, transforms.Compose(plain), download=True)
    testing = CIFAR10(root, False, transforms.Compose(plain), download=True)
    first, last = np.split(np.arange(len(changed)), [len(changed) - VALIDATION])
    return (
        DataLoader(Subset(changed, first), batch_size, shuffle=True),
        DataLoader(Subset(unchanged, last), 500),
        DataLoader(testing, batch_size=1),
    )


# 2. The network

from gradscape.models.blocks import ACTIVATIONS, conv3x3


def norm(channels: int, batch_norm: bool) -> nn.Module:
    """Batch normalisation, or nothing in its place."""
    return nn.BatchNorm2d(channels) if batch_norm else nn.Identity()


from gradscape.models.resnet_small import STAGES, ResidualBlock, ResNetSmall, convolution


def network():
    """The classes above give its layers; the weights are He's, drawn anew."""
    return ResNetSmall(10, **NETWORK)


# 3. Training

from gradscape.training.muon import ITERATIONS, QUINTIC, TINY, Muon, orthogonalised


def learning_rate(epoch, step, steps):
    """A linear warm-up, then a cosine to 0 by epochs."""
    base, warmup = RECIPE["learning_rate"], RECIPE["warmup_epochs"]
    if epoch < warmup:
        return base * (epoch * steps + step + 1) / (warmup * steps)
    done = (epoch - warmup) / (RECIPE["epochs"] - warmup)
    return base * (1 + math.cos(math.pi * done)) / 2


def train(train_loader, validation_loader):
    """Train on from MODEL, which is saved after each epoch that validates better than all
    before it."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(RECIPE["seed"])
    model = network().to(device)
    momentum, weight_decay = RECIPE["momentum"], RECIPE["weight_decay"]
    optimiser = Muon(model.parameters(), 0.0, momentum, weight_decay)
    loss_of = nn.CrossEntropyLoss(label_smoothing=RECIPE["label_smoothing"])
    first, best = 0, -1.0
    if MODEL.exists():
        saved = torch.load(MODEL, map_location=device, weights_only=True)
        model.load_state_dict(saved["model"])
        if "optimiser" in saved:  # not in the file that is handed in
            optimiser.load_state_dict(saved["optimiser"])
        first, best = saved["epoch"], saved["accuracy"]
        print(f"resumed after epoch {first}, validation accuracy {best:.4f}")
    for epoch in range(first, RECIPE["epochs"]):
        model.train()
        for step, (images, labels) in enumerate(train_loader):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(epoch, step, len(train_loader))
            loss = loss_of(model(images.to(device)), labels.to(device))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        accuracy = validate(model, validation_loader, device)
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}, validation {accuracy:.4f}")
        if accuracy > best:
            best = accuracy
            saved = {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
            torch.save(saved | {"epoch": epoch + 1, "accuracy": accuracy}, MODEL)


@torch.no_grad()
def validate(model, loader, device):
    """The fraction of the loader's images that the model gets right."""
    model.eval()
    right = [
        model(images.to(device)).argmax(1).cpu() == labels for images, labels in loader
    ]
    return torch.cat(right).float().mean().item()


# 4. Testing


def load_model():
    """The saved model for the CPU, where one image at a time is fastest in one thread."""
    torch.set_num_threads(1)
    model = network()
    saved = torch.load(MODEL, map_location="cpu", weights_only=True)
    model.load_state_dict(saved["model"])
    return model.eval().to(memory_format=torch.channels_last)


@torch.inference_mode()
def test(test_loader) -> Tensor:
    """Predicted classes [n] of the loader's images, by the saved model."""
    model = load_model()
    return torch.cat([model(images).argmax(1) for images, _ in test_loader])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["train", "test"])
    parser.add_argument("--root", default="data", help="folder of CIFAR-10")
    known = parser.parse_args()
    train_loader, validation_loader, test_loader = load_dataset(known.root)
    if known.part == "train":
        train(train_loader, validation_loader)
        return
    start = time.perf_counter()
    predictions = test(test_loader)
    seconds = time.perf_counter() - start
    accuracy = (predictions == torch.tensor(test_loader.dataset.targets)).float().mean()
    print(f"accuracy {accuracy:.4f} in {seconds:.1f} s")


if __name__ == "__main__":
    main()
