"""Splits: the images that train and those that validate.

| name                 | stored      | trains on                   | validates on        |
|----------------------|-------------|-----------------------------|---------------------|
| `random-5-percent`   | `edinburgh` | 95 % by `RandomState(0)`    | the rest, ascending |
| `test-as-validation` | `fudan`     | all, in order               | the official test   |
| `last-10-percent`    | `alberta`   | all but the last 10 %       | the last 10 %       |
| `last-2-percent`     | `sapienza`  | all but the last 2 %        | the last 2 %        |

The test images are always all the official ones. A split of your own,
`path/file.py:function`, is a function like those below: it takes a dataset, of which it
may read `train`, the number of training images, and `labels`, and returns both lists of
indices.
"""

from functools import cache, partial
from types import SimpleNamespace

import numpy as np

from gradscape.data.datasets import facts
from gradscape.data.store import Dataset
from gradscape.spec.registry import find

Parts = tuple[np.ndarray, np.ndarray]


def random_5_percent(dataset: Dataset) -> Parts:
    n = dataset.train
    train = np.random.RandomState(0).choice(n, n * 19 // 20, replace=False)
    return train, np.setdiff1d(np.arange(n), train)


def test_as_validation(dataset: Dataset) -> Parts:
    everything = np.arange(len(dataset.labels))
    return everything[: dataset.train], everything[dataset.train :]


def last(dataset: Dataset, percent: int) -> Parts:
    images = np.arange(dataset.train)
    known = dataset.train * (100 - percent) // 100
    return images[:known], images[known:]


SPLITS = {
    "random-5-percent": random_5_percent,
    "test-as-validation": test_as_validation,
    "last-10-percent": partial(last, percent=10),
    "last-2-percent": partial(last, percent=2),
    # The courses' names are those in records, and in configurations of before.
    "edinburgh": random_5_percent,
    "fudan": test_as_validation,
    "alberta": partial(last, percent=10),
    "sapienza": partial(last, percent=2),
}


def split(
    dataset: Dataset,
    name: str,
    train_items: int | None = None,
    validation_items: int | None = None,
) -> dict[str, np.ndarray]:
    """Indices into a dataset's images for `train`, `validation` and `test`; only so many
    items of the first two, the first, if that is said."""
    train, validation = find("split", name)(dataset)
    parts = np.asarray(train)[:train_items], np.asarray(validation)[:validation_items]
    test = np.arange(dataset.train, len(dataset.labels))
    return {"train": parts[0], "validation": parts[1], "test": test}


@cache
def count_training_images(dataset: str, name: str, train_items: int | None) -> int:
    """The number of images that a split trains on, found without reading them."""
    known = facts(dataset)
    sizes = SimpleNamespace(train=known.train, labels=np.zeros(known.train + known.test))
    return len(split(sizes, name, train_items)["train"])
