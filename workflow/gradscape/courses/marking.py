"""A trained network on the test images, one at a time on the CPU, as a course marks it.

Alberta CMPUT 328, assignment 6: the saved model is loaded without training, tested with
batch size 1, and its accuracy earns nothing up to 0.65 and full marks from 0.80.
"""

import time
from dataclasses import dataclass

import torch

from gradscape.probes.trained import Trained

NOTHING, FULL = 0.65, 0.80  # accuracy, with marks in proportion in between


@dataclass(frozen=True)
class Mark:
    """Accuracy on `images` test images as a fraction, and the seconds that they took."""

    accuracy: float
    images: int
    seconds: float

    @property
    def score(self) -> float:
        """The share of the marks, from 0 to 1."""
        share = (self.accuracy - NOTHING) / (FULL - NOTHING)
        return min(max(share, 0.0), 1.0)


@torch.inference_mode()
def mark(run: Trained) -> Mark:
    """Classify every official test image with the weights that validated best."""
    model = run.network("best").eval()
    images, labels = run.test_images()
    start = time.perf_counter()
    right = sum(
        int(model(image[None]).argmax(1)) == label
        for image, label in zip(images, labels.tolist(), strict=True)
    )
    return Mark(right / len(labels), len(labels), time.perf_counter() - start)
