"""The look of every figure: sizes of a two-column page, colours, and saving."""

import io
import re
import textwrap
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple
from unicodedata import east_asian_width

import matplotlib.pyplot as plt
import numpy as np
from fontTools import subset
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure as Picture
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, NullFormatter, StrMethodFormatter

from gradscape.base.files import write_file
from gradscape.figures.fonts import font_for
from gradscape.runs.run import FinishedRun
from gradscape.spec.labels import listing, model_label, noun, printed_variant
from gradscape.spec.quantity import rate
from gradscape.spec.study import Figure

ENLARGED = 8  # times, a picture's pixels
COLUMN, PAGE = 3.32, 6.85  # inches, as printed
LETTERS_PER_INCH, LETTERS_IN_A_TITLE = 21, 17  # of a legend; of a title
ROW, LEGEND = 0.17, 0.4  # inches of a legend's row; its share of a picture, at most
LONGEST_NAME = 24  # letters of a class
SMALL = 7.5  # points: the smallest letters of any figure


class Look(NamedTuple):
    """How one network is drawn: told from the others in grey by its marker and line."""

    colour: str
    marker: str
    line: str | tuple
    hatch: str = ""

    @property
    def marks(self) -> dict:
        return {"color": self.colour, "marker": self.marker, "ms": 3, "mew": 0.5}

    @property
    def fill(self) -> dict:
        faint = to_rgba(self.colour, 0.25)
        edge = to_rgba(self.colour, 0.6 if self.hatch else 0)
        return {"fc": faint, "ec": edge, "hatch": self.hatch, "lw": 0}


# Okabe and Ito's colours, which colour-blind readers can tell apart. The first four are a
# plain network's and its remedies', the next two the shallow one's, in every figure.
LOOKS = [
    Look("#D55E00", "o", "-"),
    Look("#0072B2", "s", "--", "/////"),
    Look("#009E73", "^", "-."),
    Look("#CC79A7", "D", (0, (4, 1, 1, 1))),
    Look("#000000", "v", "-"),
    Look("#999999", "X", "--"),
    Look("#E69F00", "P", "-."),
    Look("#56B4E9", "*", (0, (1, 1))),
]
COLOURS = [colour for colour, *_ in LOOKS]
REMEDIED = re.compile(r"(?P<plain>vgg\d\d|vgg-a)(?P<remedy>|-bn|-rc|-bn-rc)")
REMEDIES = ["", "-bn", "-rc", "-bn-rc"]
SHALLOW = "vgg08"

SETTINGS = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": SMALL,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "grid.linewidth": 0.3,
    "grid.alpha": 0.5,
    "lines.linewidth": 1.0,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "pdf.fonttype": 42,
    "svg.hashsalt": "gradscape",
    "svg.fonttype": "none",
    "hatch.linewidth": 0.3,
    "axes.titley": 1.0,  # to look for the best place takes a tenth of the time
}
DATES = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
POWERS = FuncFormatter(lambda value, _: rate(value).text())  # 10⁻³: no formula to parse

# No reader of a PDF looks at these tables of a font; cutting them to a figure's letters is
# a fifth of the work of drawing it.
getattr(subset.Options, "_drop_tables_default", []).extend(["GDEF", "GPOS", "GSUB"])


def applied() -> AbstractContextManager:
    """These settings over matplotlib's defaults, whatever the user's own are."""
    return plt.style.context(SETTINGS, after_reset=True)


def width(wide: bool) -> float:
    return PAGE if wide else COLUMN


def panels(figure: Figure, height: float, rows: int = 1, columns: int = 1, **options):
    """A picture that fills a column or a page across, so many inches high, and its axes."""
    size = (width(figure.wide), height)
    return plt.subplots(rows, columns, figsize=size, **options)


def looks(settings: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Look]:
    """The look of each model and variant: a network's own where networks alone are drawn
    and no two share it, else by their order."""
    drawn = list(dict.fromkeys(settings))
    own = [own_look(model) for model, variant in drawn if not variant]
    if len(set(own) - {None}) < len(drawn):
        own = range(len(drawn))
    return {setting: look(n) for setting, n in zip(drawn, own, strict=True)}


def look(number: int) -> Look:
    """That of the so-manieth thing drawn, counted from 0; they come round again."""
    return LOOKS[number % len(LOOKS)]


def own_look(model: str) -> int | None:
    network = REMEDIED.fullmatch(model)
    if network is None:
        return None
    return REMEDIES.index(network["remedy"]) + 4 * (network["plain"] == SHALLOW)


def save(picture: Picture, *paths: Path) -> None:
    """Write a figure into files of any kind, so that the same runs give the same bytes."""
    for text in picture.findobj(Text):  # the usual font has no East Asian letters
        wide = "".join(c for c in text.get_text() if east_asian_width(c) in "WF")
        if wide and (font := font_for(wide)):
            fontManager.addfont(font)
            text.set_fontfamily(["DejaVu Sans", FontProperties(fname=font).get_name()])
    if layout := picture.get_layout_engine():
        layout.execute(picture)
    with plt.rc_context({"figure.constrained_layout.use": False}):
        picture.set_layout_engine(None)  # once is enough for all files
        for path in paths:
            drawn = io.BytesIO()  # matplotlib hides that a disk is full
            date = DATES.get(path.suffix)
            picture.savefig(drawn, format=path.suffix[1:], metadata=date, dpi=150)
            write_file(path, drawn.getvalue())


def show_pixels(axis, pixels: np.ndarray, **look) -> None:
    """A small picture, [h, w] or [h, w, 3], without ticks; enlarged, for viewers smooth
    the pixels of a picture that they enlarge."""
    sharp = pixels.repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)
    axis.imshow(sharp, interpolation="none", **look)
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)


def log_scale(axis) -> None:
    """A logarithmic axis upwards, with labels between the powers where few are in sight."""
    axis.set_yscale("log")
    low, high = axis.get_ylim()
    if low <= 0:  # it has nothing that this scale can show
        low, high = axis.set_ylim(0.1, 1)
    elif high < 1.001 * low:  # one value
        low, high = axis.set_ylim(low / 2, 2 * high)
    few = low > 1e-4 and high < 1e5
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}") if few else POWERS)

    def label(value: float, position: int) -> str:
        text = f"{float(f'{value:.2g}'):g}"
        far_apart = text.strip("0.")[:1] in "2357"
        return text if far_apart or high < 3 * low else ""

    powers = np.floor(np.log10(high)) - np.ceil(np.log10(low)) + 1
    axis.yaxis.set_minor_formatter(FuncFormatter(label) if powers < 2 else NullFormatter())


def wrapped(title: str, inches: float) -> str:
    """A title in as many lines as so much room needs."""
    return textwrap.fill(title, int(LETTERS_IN_A_TITLE * inches), break_long_words=False)


def legend_below(picture: Picture, handles: list, columns: int) -> None:
    """A legend in as many columns as have room, below a picture as tall as it needs."""
    inches = picture.get_figwidth()
    longest = max(len(handle.get_label()) for handle in handles)
    fitting = min(columns, max(1, int(LETTERS_PER_INCH * inches / (longest + 6))))
    labels = [handle.get_label() for handle in handles]
    if fitting == 1:
        labels = [wrapped(label, inches - 0.5) for label in labels]
    while True:
        tight = {"columnspacing": 0.8, "handlelength": 1.2, "handletextpad": 0.4}
        options = {"ncols": fitting} | (tight if fitting < columns else {})
        legend = picture.legend(handles, labels, loc="outside lower center", **options)
        if fitting == 1 or legend.get_window_extent().width <= picture.bbox.width:
            break
        legend.remove()
        fitting -= 1
    rows = -(-sum(label.count("\n") + 1 for label in labels) // fitting)
    if (lacking := ROW * rows - LEGEND * picture.get_figheight()) > 0:
        picture.set_figheight(picture.get_figheight() + lacking + 2 * ROW)


def plain(name: str) -> str:
    r"""A class's name as it is printed, cut; a `$` of its own begins no formula.

    >>> plain("sea_lion"), plain("a$b"), plain("the longest name of them all")
    ('sea lion', 'a\\$b', 'the longest name of the…')
    """
    if len(name) > LONGEST_NAME:
        name = f"{name[: LONGEST_NAME - 1]}…"
    return name.replace("_", " ").replace("$", r"\$")


def rates(runs: list[FinishedRun]) -> list[str]:
    """The learning rates of the runs as they are printed, ascending."""
    return [rate(value).text() for value in sorted({run.learning_rate for run in runs})]


def named(runs: list[FinishedRun]) -> str:
    """The networks that are drawn: `VGG08 and VGG38`."""
    names = [
        model_label(run.model) + f" ({printed_variant(run.variant)})" * bool(run.variant)
        for run in runs
    ]
    return listing(list(dict.fromkeys(names)))


def seeds(runs: list[FinishedRun]) -> str:
    """`seed 0` or `seeds 0, 1 and 2`."""
    numbers = sorted({run.seed for run in runs})
    return f"{noun(len(numbers), 'seed')} {listing(numbers)}"


def mean_over(
    runs: list[FinishedRun], spread: str = "bands", axes: tuple[str, ...] = ()
) -> str:
    """`Seed 0.` or `Mean over seeds 0, 1 and 2; bands: ± one standard deviation.`; without
    `spread` only the seeds. Nothing is averaged where the seed is one of the `axes`."""
    if "seed" in axes:
        return "Each run by itself."
    if len({run.seed for run in runs}) == 1:
        return f"{seeds(runs).capitalize()}."
    drawn = f"; {spread}: ± one standard deviation" if spread else ""
    return f"Mean over {seeds(runs)}{drawn}."


def smallest_seed(runs: list[FinishedRun]) -> tuple[list[FinishedRun], str]:
    """The runs of the smallest seed, and `Seed 0.` or `Seed 0 of 0, 1 and 2.` to say so."""
    seed, *others = numbers = sorted({run.seed for run in runs})
    of = f" of {listing(numbers)}" if others else ""
    return [run for run in runs if run.seed == seed], f"Seed {seed}{of}."
