"""CIFAR-10 in minibatches: python loaders.py downloads it and saves examples.png.

Another dataset's name may follow.
"""

import sys
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from gradscape.data.datasets import prepared
from gradscape.data.store import Dataset

HERE = Path(__file__).parent
NAME = "cifar10"


def get_dataset(root=HERE / "data", name=NAME, n_items=None) -> Dataset:
    """The images as arrays in `root`; if they are not there, they are downloaded first, or
    read from the folder that GRADSCAPE_DATA names. `n_items` keeps only the first of the
    training and of the test images."""
    whole = prepared(name, Path(root))
    if n_items is None:
        return whole
    first = np.arange(len(whole.labels))
    kept = np.concatenate([first[: whole.train][:n_items], first[whole.train :][:n_items]])
    images, labels = whole.images[kept], whole.labels[kept]
    return replace(whole, train=min(n_items, whole.train), images=images, labels=labels)


def get_cifar_loader(
    root=HERE / "data", batch_size=128, train=True, shuffle=True, n_items=-1, name=NAME
) -> DataLoader:
    """Minibatches of images [b, 3, 32, 32], scaled to -1 … 1, and labels [b]; of the first
    `n_items` images, or with -1 of all."""
    dataset = get_dataset(root, name, None if n_items < 0 else n_items)
    part = slice(dataset.train) if train else slice(dataset.train, None)
    images = torch.tensor(dataset.images[part]).permute(0, 3, 1, 2) / 127.5 - 1
    labels = torch.tensor(dataset.labels[part]).long()
    return DataLoader(TensorDataset(images, labels), batch_size, shuffle)


if __name__ == "__main__":
    name = [*sys.argv[1:], NAME][0]
    images, labels = next(iter(get_cifar_loader(batch_size=10, name=name)))
    print("images", list(images.shape), images.dtype, "labels", list(labels.shape))
    names = get_dataset(name=name).classes
    _, axes = plt.subplots(2, 5, figsize=(8, 3.6))
    for axis, image, label in zip(axes.flat, images, labels, strict=True):
        axis.imshow((image.permute(1, 2, 0) + 1) / 2)
        axis.set_title(names[label])
        axis.axis("off")
    plt.savefig("examples.png")
