"""Which images train and which validate, by the name of the course that set it.

| name        | training                          | validation                |
|-------------|-----------------------------------|---------------------------|
| `edinburgh` | 95 % drawn by `RandomState(0)`    | the rest, ascending       |
| `fudan`     | all, in order                     | the official test images  |
| `alberta`   | all but the last 10 %, in order   | the last 10 %             |
| `sapienza`  | the first 98 %, in order          | the next 2 %              |

On CIFAR's 50,000 that is 47,500 + 2,500, 50,000 + 10,000, 45,000 + 5,000 and 49,000 +
1,000. The test images are always all the official ones.
"""

import numpy as np

from gradscape.data.store import Dataset


def split(
    dataset: Dataset,
    name: str,
    train_items: int | None = None,
    validation_items: int | None = None,
) -> dict[str, np.ndarray]:
    """Indices into a dataset's images for `train`, `validation` and `test`.

    `train_items` and `validation_items` keep only the first so many of each.
    """
    everything, n = np.arange(len(dataset.labels)), dataset.train
    test = everything[n:]
    if name == "edinburgh":
        train = np.random.RandomState(0).choice(n, n * 19 // 20, replace=False)
        validation = np.setdiff1d(everything[:n], train)
    elif name == "fudan":
        train, validation = everything[:n], test
    elif name == "alberta":
        train, validation = everything[: n * 9 // 10], everything[n * 9 // 10 : n]
    else:
        train, validation = everything[: n * 49 // 50], everything[n * 49 // 50 : n]
    return {
        "train": train[:train_items],
        "validation": validation[:validation_items],
        "test": test,
    }
