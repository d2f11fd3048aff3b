"""Where the network looks, on test images that it gets right and wrong."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from gradscape.figures import style
from gradscape.runs.run import FinishedRun
from gradscape.spec.study import Figure

PROBES = ["explanations"]
WIDE = True
LEAST = 4  # images side by side, for which there is always room
OPACITY = 0.6  # of a map over the image in greys
LETTER = 3.2  # points, the mean width of a letter in a title
KINDS = {True: "classified correctly", False: "misclassified"}
ROWS = ["image", "Grad-CAM", "occlusion"]


def explanations(figure: Figure, runs: list[FinishedRun]):
    """One column per image: itself, Grad-CAM and occlusion. Draws one run.

    Right and wrong ones are side by side across the page, stacked in a single column.
    """
    drawn, seed = style.smallest_seed(runs)
    table = drawn[0].probe("explanations")
    images = [part for _, part in table.groupby("image", sort=False)]
    kinds = {right: [part for part in images if is_right(part) == right] for right in KINDS}
    kinds = {right: parts for right, parts in kinds.items() if parts}
    shape = (1, len(kinds)) if figure.wide else (len(kinds), 1)
    across = max(LEAST, *map(len, kinds.values()))
    width = style.width(figure.wide)
    panel = (width / shape[1] - 0.45) / across  # inches
    lines = max(title(part, panel).count("\n") for part in images) + 1
    height = shape[0] * (len(ROWS) * (panel + 0.06) + 0.1 * lines + 0.4)
    picture = plt.figure(figsize=(width, height))
    fields = np.ravel(picture.subfigures(*shape))
    for field, (right, parts) in zip(fields, kinds.items(), strict=True):
        field.suptitle(KINDS[right], fontsize=7)
        axes = field.subplots(len(ROWS), across, squeeze=False)
        for axis in axes.flat:
            axis.set_axis_off()
        for column, part in zip(axes.T, parts, strict=False):
            for axis, pixels in zip(column, pictures(part), strict=True):
                axis.set_axis_on()
                style.show_pixels(axis, pixels)
            column[0].set_title(title(part, panel, lines), fontsize=6, pad=2)
            fall = max(part["occlusion"].max(), 0)
            column[-1].set_xlabel(f"up to {fall:.2f}", fontsize=6)
        for axis, name in zip(axes[:, 0], ROWS, strict=True):
            axis.set_ylabel(name, fontsize=6)
    facts = [
        f"Where {drawn[0].label} looks. {seed} In brackets: the probability of the "
        "predicted class, which the maps explain. Grad-CAM: the brighter a place, the "
        "more it speaks for that class. Occlusion: hiding a red place lowers the "
        "probability, hiding a blue one raises it. Each map has its own scale; "
        "below it, the largest drop.",
    ]
    if False not in kinds:
        facts.append("No image was misclassified.")
    if True not in kinds:
        facts.append("No image was classified correctly.")
    return picture, " ".join(facts)


def is_right(image: pd.DataFrame) -> bool:
    return bool(image["label"].iloc[0] == image["predicted"].iloc[0])


def title(image: pd.DataFrame, panel: float, lines: int = 1) -> str:
    """`cat (0.98)` or `cat, predicted dog (0.91)`, broken to a panel's inches.

    Padded above to `lines` lines, which keeps the panels of a row level.
    """
    first = image.iloc[0]
    guess = "" if is_right(image) else f", predicted {first['predicted']}"
    text = style.plain(f"{first['label']}{guess} ({first['confidence']:.2f})")
    broken = textwrap.wrap(text, int(72 * panel / LETTER), break_long_words=False)
    return "\n".join([""] * (lines - len(broken)) + broken)


def pictures(image: pd.DataFrame) -> list[np.ndarray]:
    """The image and, over it in greys, its two maps in colours: [h, w, 3] each."""
    shape = tuple(image[["row", "column"]].max() + 1)
    image = image.sort_values(["row", "column"])
    colours = image[["red", "green", "blue"]].to_numpy().reshape(*shape, 3)
    cam, falls = (
        image[name].to_numpy().reshape(shape) for name in ("grad_cam", "occlusion")
    )
    warm = plt.get_cmap("inferno")(cam / largest(cam))
    signed = plt.get_cmap("RdBu_r")(0.5 + 0.5 * falls / largest(falls))
    greys = colours.mean(axis=2, keepdims=True)
    return [
        colours,
        *(OPACITY * tint[..., :3] + (1 - OPACITY) * greys for tint in (warm, signed)),
    ]


def largest(values: np.ndarray) -> float:
    return max(np.abs(values).max(), np.finfo(float).tiny)
