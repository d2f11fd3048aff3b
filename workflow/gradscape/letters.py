"""Which letters the report can print, and how LaTeX writes them."""

import re
import unicodedata

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "%": r"\%",
    "_": r"\_",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "→": r"$\to$",
    "°": r"\textdegree{}",
    "–": "--",
    "[": "{[}",  # which a row of a table may start with
    "*": "{*}",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≈": r"$\approx$",
    "≠": r"$\neq$",
    "∞": r"$\infty$",
    "√": r"$\surd$",
    "\N{GREEK CAPITAL LETTER DELTA}": r"$\Delta$",
    "\N{GREEK CAPITAL LETTER OMEGA}": r"$\Omega$",
    "−": "$-$",
    "\N{NO-BREAK SPACE}": "~",
    "\N{NARROW NO-BREAK SPACE}": r"\,",
    "\N{THIN SPACE}": r"\,",
    "\N{ZERO WIDTH SPACE}": "",
    "\N{WORD JOINER}": "",
    "\N{ZERO WIDTH NO-BREAK SPACE}": "",
}
GREEK = "alpha beta gamma delta epsilon eta theta lambda mu pi rho sigma tau phi omega"
SPECIAL |= {
    unicodedata.lookup(f"GREEK SMALL LETTER {'LAMDA' if name == 'lambda' else name}"): (
        rf"$\{name}$"
    )
    for name in GREEK.split()
}
# What the fonts have beside ASCII: Latin letters, and these signs.
LATIN = {chr(code) for code in range(0xA1, 0x17F)} - set("ĦħĸĿŀŉŦŧ")
PRINTED = set(SPECIAL) | LATIN | {chr(code) for code in range(0x20, 0x7F)}
PRINTED |= set("\n\tȘșȚț‐‑‒–—―‘’‚“”„†‡•…‰‹›€№™←↑→↓")


class Tex(str):
    """Text that is LaTeX already; all other text is escaped when it is printed."""


def escape(text: str) -> Tex:
    r"""Any text as LaTeX that prints it: `50 % & more` → `50 \% \& more`.

    A blank line is a space, because a caption must not have any; `?` what no font has.
    """
    if isinstance(text, Tex):
        return text
    text = re.sub(r"\s*\n\s*\n\s*", " ", unicodedata.normalize("NFC", text))
    printed = (SPECIAL.get(c, c if c in PRINTED else "?") for c in text)
    return Tex("".join(printed))


def unprintable(text: str) -> str:
    """The first character that `escape` has to give up, if there is one."""
    text = unicodedata.normalize("NFC", text)
    return next((character for character in text if character not in PRINTED), "")
