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
LETTER, WIDE = 3.2, 4.5  # points, the mean width of a letter in a title, and of a wide one
KINDS = {True: "classified correctly", False: "misclassified"}
ROWS = ["image", "Grad-CAM", "occlusion"]


def explanations(figure: Figure, runs: list[FinishedRun]):
    """One column per image: itself, Grad-CAM and occlusion. Draws one run. Right and wrong
    ones are side by side across the page, stacked in a single column."""
    drawn, seed = style.smallest_seed(runs)
    table = drawn[0].probe("explanations")
    kinds: dict[bool, list[pd.DataFrame]] = {True: [], False: []}
    for _, image in table.groupby("image", sort=False):
        kinds[is_right(image)].append(image)
    facts = [
        f"Where {drawn[0].label} looks. {seed} In brackets: the probability of the "
        "predicted class, which the maps explain. Grad-CAM: the brighter a place, the "
        "more it speaks for that class. Occlusion: hiding a red place lowers the "
        "probability, hiding a blue one raises it. Each map has its own scale; "
        "below it, the largest drop.",
    ]
    facts += [f"No image was {KINDS[right]}." for right, part in kinds.items() if not part]
    kinds = {right: images for right, images in kinds.items() if images}
    shape = (1, len(kinds)) if figure.wide else (len(kinds), 1)
    across = max(LEAST, *map(len, kinds.values()))
    width = style.width(figure.wide)
    panel = (width / shape[1] - 0.45) / across  # inches
    titles = [title(image, panel) for images in kinds.values() for image in images]
    lines = max(text.count("\n") for text in titles) + 1
    height = shape[0] * (len(ROWS) * (panel + 0.06) + 0.1 * lines + 0.4)
    picture = plt.figure(figsize=(width, height))
    fields = np.ravel(picture.subfigures(*shape))
    for field, (right, images) in zip(fields, kinds.items(), strict=True):
        field.suptitle(KINDS[right], fontsize=8)
        axes = field.subplots(len(ROWS), across, squeeze=False)
        for axis in axes.flat:
            axis.set_axis_off()
        for column, image in zip(axes.T, images, strict=False):
            for axis, pixels in zip(column, pictures(image), strict=True):
                axis.set_axis_on()
                style.show_pixels(axis, pixels)
            column[0].set_title(title(image, panel, lines), fontsize=style.SMALL, pad=2)
            fall = max(image["occlusion"].max(), 0)
            column[-1].set_xlabel(f"up to {fall:.2f}", fontsize=style.SMALL)
        for axis, name in zip(axes[:, 0], ROWS, strict=True):
            axis.set_ylabel(name, fontsize=style.SMALL)
    return picture, " ".join(facts)


def is_right(image: pd.DataFrame) -> bool:
    return bool(image["label"].iloc[0] == image["predicted"].iloc[0])


def title(image: pd.DataFrame, panel: float, lines: int = 1) -> str:
    """`cat (0.98)` or `cat, predicted dog (0.91)`, broken to a panel's inches. Padded above
    to `lines` lines, which keeps the panels of a row level."""
    first = image.iloc[0]
    label, predicted = style.plain(first["label"]), style.plain(first["predicted"])
    guess = "" if is_right(image) else f", predicted {predicted}"
    text, sure = f"{label}{guess} ({first['confidence']:.2f})", int(72 * panel / WIDE)
    is_long = max(map(len, text.split())) > sure
    broken = textwrap.wrap(text, sure if is_long else int(72 * panel / LETTER))
    return "\n".join([""] * (lines - len(broken)) + broken)


def pictures(image: pd.DataFrame) -> list[np.ndarray]:
    """The image and, over it in greys, its two maps in colours: [h, w, 3] each."""
    shape = tuple(image[["row", "column"]].max() + 1)
    image = image.sort_values(["row", "column"])
    colours = image[["red", "green", "blue"]].to_numpy().reshape(*shape, 3)
    cam, falls = (scaled(image[name]).reshape(shape) for name in ("grad_cam", "occlusion"))
    tints = plt.get_cmap("inferno")(cam), plt.get_cmap("RdBu_r")(0.5 + 0.5 * falls)
    greys = colours.mean(axis=2, keepdims=True)
    maps = [OPACITY * tint[..., :3] + (1 - OPACITY) * greys for tint in tints]
    return [colours, *maps]


def scaled(values: pd.Series) -> np.ndarray:
    """Values over the largest of them in size."""
    return values.to_numpy() / max(values.abs().max(), np.finfo(float).tiny)
