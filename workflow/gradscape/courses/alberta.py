"""Alberta CMPUT 328, assignment 6: section D, what is handed in and how it is marked.

The saved model is loaded without training and tested on the CPU with batch size 1. Its
accuracy earns no marks up to 0.65 and full marks from 0.80.
"""

import time
from dataclasses import dataclass

from gradscape.courses.archive import code
from gradscape.errors import GradscapeError
from gradscape.results.runs import FinishedRun

TITLE = "A small residual network for CIFAR-10"
STUDIES = ["accuracy"]
ARCHIVE = "Assignment6-{}.zip"
NOTHING, FULL = 0.65, 0.80  # accuracies, with marks in proportion in between


def alberta(runs: list[FinishedRun], report: bytes, student: str) -> dict[str, bytes]:
    """The code and the saved best model."""
    best = max(runs, key=lambda run: run.best["val_accuracy"])
    weights = best.path / "model.pt"
    if not weights.exists():
        raise GradscapeError(f"{weights}: missing; the network has to be trained here")
    return {f"model_{student}.pt": weights.read_bytes(), **code("code")}


@dataclass(frozen=True)
class Mark:
    """Accuracy on `images` test images, as a fraction, and the seconds they took."""

    accuracy: float
    images: int
    seconds: float

    @property
    def score(self) -> float:
        """The share of the marks, from 0 to 1."""
        share = (self.accuracy - NOTHING) / (FULL - NOTHING)
        return min(max(share, 0.0), 1.0)


def mark(run) -> Mark:
    """Classify every official test image with the best epoch's weights.

    `run` is a `Trained` on the CPU.
    """
    import torch

    model = run.network("best").eval()
    images, labels = run.test_images()
    start = time.perf_counter()
    with torch.inference_mode():
        right = sum(
            int(model(image[None]).argmax(1)) == label
            for image, label in zip(images, labels.tolist(), strict=True)
        )
    return Mark(right / len(labels), len(labels), time.perf_counter() - start)
