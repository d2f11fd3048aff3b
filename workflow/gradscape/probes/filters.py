"""The filters of the first convolution, the only ones whose inputs are colours."""

import numpy as np
from torch import nn

from gradscape.probes.trained import Trained

WORDS = "moment"
NUMBERS = "filter channel row column weight"


def filters(run: Trained) -> list[dict]:
    """At initialisation and of the best epoch. Channels 0, 1 and 2 are red, green and blue;
    grey images have only channel 0. Raises `GradscapeError` for a network without such a
    convolution."""
    rows = []
    for moment in ("initialisation", "best"):
        needed = "convolution, whose filters are what `filters` shows"
        first, *_ = run.layers(run.network(moment), nn.Conv2d, needed).values()
        if (channels := first.weight.shape[1]) != run.dataset.facts.channels:
            taken = f"its first convolution takes {channels} channels"
            raise run.unmeasurable(f"{taken}, where colours are what `filters` shows")
        for place, weight in np.ndenumerate(first.weight.detach().cpu().numpy()):
            numbers = zip(NUMBERS.split(), (*place, float(weight)), strict=True)
            rows.append({"moment": moment, **dict(numbers)})
    return rows
