"""Networks of your own: functions from the number of classes to a module.

Keywords called `channels` and `size` receive the images' shape; those called `width`,
`activation`, `dropout`, `batch_norm`, `skip` or `freeze` become settings of that name.
"""

from torch import nn


def wide(classes, channels=3, size=32, dropout=0.0):
    """Images [n, channels, size, size] → logits [n, classes]."""
    return nn.Sequential(
        nn.Conv2d(channels, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(4),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(64 * (size // 4) ** 2, classes),
    )
