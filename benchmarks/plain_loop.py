"""The loop that course participants usually run, from its description: the yardstick.

A Dataset with torchvision transforms per sample, a DataLoader with workers, fp32,
eager steps, and the loss and accuracy read by the host after every step.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from gradscape.data.normalisation import moments
from gradscape.models import build
from gradscape.spec.settings import Settings


class Images(Dataset):
    """uint8 images [n, 32, 32, 3] and labels, transformed one by one."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, settings: Settings, by):
        self.images, self.labels = images, labels
        steps = [transforms.ToPILImage()]
        if settings.augmentation == "crop-flip":
            steps += [transforms.RandomCrop(32, padding=4)]
            steps += [transforms.RandomHorizontalFlip()]
        steps += [transforms.ToTensor()]
        steps += [transforms.Normalize(*by)]
        self.transform = transforms.Compose(steps)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int):
        return self.transform(self.images[index]), int(self.labels[index])


def steps(
    settings: Settings, images: np.ndarray, labels: np.ndarray, dataset, device: str
) -> Iterator[int]:
    """Train for ever; yields the images of each step when the host has read its loss."""
    torch.manual_seed(settings.seed)
    model = build(settings.model, len(dataset.classes)).to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    loader = DataLoader(
        Images(images, labels, settings, moments(settings.normalisation, dataset)),
        batch_size=settings.batch_size,
        shuffle=True,
        num_workers=4,
        multiprocessing_context="fork",
        persistent_workers=True,
        drop_last=True,
    )
    while True:
        for batch, targets in loader:
            batch, targets = batch.to(device), targets.to(device)
            logits = model(batch)
            loss = cross_entropy(logits, targets)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss.item()
            (logits.argmax(1) == targets).float().mean().item()
            yield len(targets)
