"""Fonts for letters that the usual ones lack: matplotlib's own, and the system's."""

import unicodedata
from functools import cache
from pathlib import Path

from gradscape.base.files import atomic_write

SIZE = 10  # points; a drawn word is 1.25 times as high, with the line a quarter above
INVISIBLE = ("Cf", "Zs")


@cache
def letters_of_fonts() -> dict[Path, frozenset[int]]:
    """The files and the characters that each has: DejaVu Sans, then by name."""
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    found = {}
    usual, others = font_manager.findfont("DejaVu Sans"), font_manager.findSystemFonts()
    for path in [usual, *sorted(others)]:
        try:
            found[Path(path)] = frozenset(FT2Font(path).get_charmap())
        except (OSError, RuntimeError):  # no font after all, or one of another kind
            continue
    return found


@cache
def font_for(text: str) -> Path | None:
    """The first font that has every letter of a text."""
    wanted = {ord(c) for c in text if unicodedata.category(c) not in INVISIBLE}
    return next((path for path, has in letters_of_fonts().items() if wanted <= has), None)


def draw_word(text: str, path: Path) -> None:
    """A word as a picture; the same word in the same font gives the same bytes."""
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with style.context({}, after_reset=True), atomic_write(path) as partial:
        picture = Figure()
        look = {"font": font_for(text), "fontsize": SIZE, "parse_math": False}
        word = picture.text(0, 0.2, text, **look)
        width = word.get_window_extent(FigureCanvasAgg(picture).get_renderer()).width
        picture.set_size_inches(max(width / picture.dpi, 0.01), 1.25 * SIZE / 72)
        picture.savefig(partial, format="pdf", metadata={"CreationDate": None})
