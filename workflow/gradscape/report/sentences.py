"""A claim's sentence as LaTeX, its placeholders filled from the runs."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from jinja2 import Environment

from gradscape.claims.sentences import about, compared
from gradscape.report.escape import Tex, escape
from gradscape.spec.quantity import LATEX
from gradscape.spec.sentences import COMPARED, tokens, within

if TYPE_CHECKING:
    from gradscape.report.document import StudyView


def unnamed(environment: Environment, view: "StudyView") -> list[str]:
    """The claims with a sentence that neither the section nor the conclusion names."""
    templates = filter(None, (view.template, view.conclusion))
    sources = [environment.loader.get_source(environment, name)[0] for name in templates]
    named = re.findall(r"""["']([\w-]+)["']""", "".join(sources))
    claims = view.study.claims.items()
    return [name for name, claim in claims if "holds" in claim and name not in named]


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


def filled(view: "StudyView", name: str, claim: str) -> Tex:
    """What a placeholder stands for in a sentence of a study's claim."""
    if name.startswith("figure "):
        return view.reference(name.removeprefix("figure "))
    if name == "table":
        return Tex(rf"Table~\ref{{tab:{view.name}}}")
    if name in COMPARED:
        return Tex(compared(name, view.claim(claim), LATEX))
    return escape(about(name, view.study.claims[claim], view.study, view.finished))
