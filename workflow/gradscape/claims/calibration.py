"""How far a network's confidence can be trusted (Guo et al. 2017, section 2)."""

import numpy as np
import pandas as pd

from gradscape.runs.run import FinishedRun

BINS = 15  # equal widths, as in the paper's section 5


def reliability(predictions: pd.DataFrame, bins: int = BINS) -> pd.DataFrame:
    """One row per non-empty bin ((m-1)/bins, m/bins], indexed by its upper edge m/bins.
    From the probe's table of `label`, `predicted` and `confidence`: mean `confidence`,
    `accuracy` and `share` of the images."""
    upper = np.ceil(predictions["confidence"] * bins) / bins
    right = predictions["predicted"] == predictions["label"]
    grouped = predictions.assign(right=right).groupby(upper, dropna=False)
    return pd.DataFrame(
        {
            "confidence": grouped["confidence"].mean(),
            "accuracy": grouped["right"].mean(),
            "share": grouped.size() / len(predictions),
        }
    )


def expected_calibration_error(predictions: pd.DataFrame, bins: int = BINS) -> float:
    """Equation 3: the gap between accuracy and confidence of a bin, mean over images. NaN
    if a diverged network's confidences are NaN."""
    table = reliability(predictions, bins)
    gap = (table["accuracy"] - table["confidence"]).abs()
    return float((gap * table["share"]).sum(skipna=False))


def calibration_error(run: FinishedRun) -> float:
    """On the test images, from 0 (its confidences are right) to 1."""
    return expected_calibration_error(run.measured("predictions"))


def confidence_beyond(run: FinishedRun) -> pd.Series:
    """The confidence in each test image, less one where the prediction is right."""
    table = run.measured("predictions")
    return table.confidence - (table.predicted == table.label)
