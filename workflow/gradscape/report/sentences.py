"""A claim's sentence as LaTeX, its placeholders filled from the runs."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from jinja2 import Environment, meta, nodes

from gradscape.claims.sentences import MISSING, about
from gradscape.report import prose as words
from gradscape.report.escape import Tex, escape
from gradscape.spec.sentences import tokens, within

if TYPE_CHECKING:
    from gradscape.report.document import StudyView


def unnamed(environment: Environment, view: "StudyView") -> list[str]:
    """The claims with a sentence that the templates about their study do not name."""
    named = words_in(environment, view.template)
    if view.conclusion:
        named |= words_in(environment, view.conclusion)
    claims = view.study.claims.items()
    return [name for name, claim in claims if "holds" in claim and name not in named]


def words_in(environment: Environment, template: str) -> set[str]:
    """Every text in quotes in the code of a template, and of what it includes."""
    source = environment.loader.get_source(environment, template)[0]
    tree = environment.parse(source)
    found = {constant.value for constant in tree.find_all(nodes.Const)}
    for included in filter(None, meta.find_referenced_templates(tree)):
        found |= words_in(environment, included)
    return found


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
    verdict = view.claim(claim)
    if name in ("left", "right") and verdict.left:
        return Tex(verdict.side(name).latex(unit=True))
    if name == "points" and verdict.left:
        return Tex(f"{verdict.side('left').latex()} points")
    if name == "difference" and verdict.left:
        return words.difference(verdict)
    if name in ("left", "right", "points", "difference"):
        return Tex(MISSING)
    if name.startswith("figure "):
        return view.reference(name.removeprefix("figure "))
    if name == "table":
        return Tex(rf"Table~\ref{{tab:{view.name}}}")
    return escape(about(name, view.study.claims[claim], view.study, view.finished))
