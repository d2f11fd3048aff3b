"""Any text as LaTeX that prints it.

What LaTeX's own fonts lack, whole words in other scripts, is drawn as pictures from the
fonts of the system, and what no font has is named: `[rocket]`.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache

from gradscape.figures.fonts import font_for
from gradscape.spec import labels, sentences
from gradscape.spec.quantity import Printed

# Characters that formulas have commands for, and these.
SIGNS = (
    "αβγδεηθλμπρστφω\N{GREEK CAPITAL LETTER DELTA}\N{GREEK CAPITAL LETTER OMEGA}±→≤≥≈≠∞√○"
)
COMMANDS = "alpha beta gamma delta epsilon eta theta lambda mu pi rho sigma tau phi omega"
COMMANDS += " Delta Omega pm to leq geq approx neq infty surd circ"
RAISED = zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-", strict=True)
SPECIAL = {c: rf"$\{name}$" for c, name in zip(SIGNS, COMMANDS.split(), strict=True)}
SPECIAL |= {raised: f"$^{{{plain}}}$" for raised, plain in RAISED}
SPECIAL |= {c: f"\\{c}" for c in "{}%_&#$"}
SPECIAL |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "°": r"\textdegree{}"}
SPECIAL |= {"^": r"\textasciicircum{}", "–": "--", "−": "$-$"}
SPECIAL |= {"[": "{[}", "*": "{*}"}  # which a row of a table may start with
SPECIAL |= {"\N{NO-BREAK SPACE}": "~", "\N{NARROW NO-BREAK SPACE}": r"\,"}
SPECIAL |= {"\N{THIN SPACE}": r"\,"}
# Letters that the fonts have beside ASCII: Latin ones, and these signs.
LATIN = {chr(code) for code in range(0xA1, 0x17F)} - set("ĦħĵĸĿŀŉŊŋŦŧ")
PRINTED = set(SPECIAL) | LATIN | {chr(code) for code in range(0x20, 0x7F)}
PRINTED |= set("\n\tȘșȚț‐‑‒–—―‘’‚“”„†‡•…‰‹›€№™←↑→↓")

# One letter a kind of character: (p)rinted, (g)reek, (s)pace, (m)ark on what is before it,
# and of those that have to be drawn (r)ight to left, (w)ide and without spaces, or any
# other (x). Greek is set as in formulas unless a letter beside it is drawn. Words from
# right to left are drawn together, or they would stand in the wrong order.
PIECES = re.compile(
    r"r[rm]*(?:s+r[rm]*)*|wm*|g{0,29}x[xmg]{0,29}|[pg]m+|(?:p(?!m)|s(?!m)|g+(?![gmx]))+|[sgm]"
)
JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"  # of other invisible signs none
LONGEST = 30  # characters that may stand together without a place to break them


class Tex(str):
    """Text that is LaTeX already; all other text is escaped when it is printed."""


def escape(value: object) -> Tex:
    r"""Any text as LaTeX that prints it: `50 % & more` → `50 \% \& more`; a number as it
    writes itself, and nothing for None. A blank line is a space, because a caption must not
    have any. Signs that only steer the direction of writing are left out."""
    if isinstance(value, Tex):
        return value
    if isinstance(value, Printed):
        return Tex(value.latex())
    text = "" if value is None else str(value)
    text = re.sub(r"\s*\n\s*\n\s*", " ", unicodedata.normalize("NFC", text))
    text = "".join(c for c in text if unicodedata.category(c) != "Cf" or c in JOINERS)
    text = text.replace(" × ", "\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}")
    return Tex("".join(map(written, pieces(text))))


def pieces(text: str) -> list[str]:
    """A text in pieces, each of which is printed, drawn or named as a whole.

    >>> pieces("2 α, 日本語 שלום עולם xα"), pieces("αж: 2")
    (['2 α, ', '日', '本', '語', ' ', 'שלום עולם', ' xα'], ['αж', ': 2'])
    """
    kinds = "".join(map(kind, text))
    return [text[slice(*found.span())] for found in PIECES.finditer(kinds)]


def listing(words: Sequence[object]) -> Tex:
    """`a, b and c`, each escaped; nothing of nothing."""
    return Tex(labels.listing([escape(word) for word in words]) if words else "")


def latex(sentence: str, fill: Callable[[str], str]) -> Tex:
    """A claim's sentence; `fill` gives what a placeholder stands for."""

    def escaped(text: str) -> str:
        return text if text in (r"\,", r"\ ") else escape(text[1])

    writers = {"text": escape, "escaped": escaped, "formula": str, "command": str}
    return Tex(sentences.written(sentence, fill, writers))


@cache
def kind(character: str) -> str:
    if character in PRINTED:
        if unicodedata.name(character, "").startswith("GREEK"):
            return "g"
        return "s" if character.isspace() else "p"
    category = unicodedata.category(character)
    if category[0] == "Z":
        return "s"
    if category[0] == "M" or category == "Cf":
        return "m"
    if unicodedata.bidirectional(character) in ("R", "AL"):
        return "r"
    return "w" if unicodedata.east_asian_width(character) == "W" else "x"


def written(piece: str) -> str:
    if all(character in PRINTED or kind(character) == "s" for character in piece):
        broken = re.sub(rf"([^\W_]{{{LONGEST}}})(?=[^\W_])", "\\1\0", piece)
        cells = (SPECIAL | {"\0": r"\-"}).get
        text = "".join(cells(c, " " if kind(c) == "s" else c) for c in broken)
        return text.replace("}$$^{", "")  # 10⁻³ is one power
    seen = [c for c in piece if kind(c) not in "sm"]
    if not seen:  # a mark on nothing
        return ""
    if font_for(piece) is None:
        names = (unicodedata.name(c, f"U+{ord(c):X}").lower() for c in seen)
        return "".join(f"{{[}}{name}]" for name in names)
    codes = [f"{ord(c):04X}" for c in piece]
    picture = rf"\includegraphics[height=1.25em]{{letters/{'-'.join(codes)}.pdf}}"
    bookmark = "".join(rf"\unichar{{'{code}}}".replace("'", '"') for code in codes)
    copied = piece.encode("utf-16-be").hex().upper()
    return rf"\drawn{{{picture}}}{{{copied}}}{{{bookmark}}}"
