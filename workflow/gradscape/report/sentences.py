"""A claim's sentence as LaTeX, its placeholders filled from the runs."""

from collections.abc import Callable

from gradscape.report.escape import Tex, escape
from gradscape.spec.sentences import tokens, within


def latex(sentence: str, fill: Callable[[str], str]) -> Tex:
    """`fill` gives what a placeholder stands for."""
    written = []
    for kind, text in tokens(sentence):
        if kind == "placeholder":
            written.append(fill(text))
        elif kind in ("formula", "command"):
            written.append(within(text, fill))
        elif kind == "escaped":
            written.append(text if text in (r"\,", r"\ ") else escape(text[1]))
        else:
            written.append(escape(text))
    return Tex("".join(written))
