"""A claim's sentence as LaTeX, its placeholders filled from the runs."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from jinja2 import Environment, meta, nodes

from gradscape.claims.verdicts import FAILS, HOLDS, UNDECIDED, UNMEASURED, Verdict
from gradscape.report import prose as words
from gradscape.report.escape import Tex, escape, listing
from gradscape.spec.registry import options
from gradscape.spec.sentences import tokens

if TYPE_CHECKING:
    from gradscape.report.document import StudyView

KINDS = {HOLDS: "holds", FAILS: "fails", UNDECIDED: "undecided", UNMEASURED: "unmeasured"}


def kinds(verdict: Verdict) -> tuple[str, ...]:
    """The kinds of sentence that suit a verdict, best first."""
    kind = KINDS[verdict.verdict]
    return ("reversed", kind) if verdict.verdict == FAILS and verdict.reversed else (kind,)


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
            written.append(re.sub(r"\[([a-z_]+)\]", lambda found: fill(found[1]), text))
        elif kind == "escaped":
            written.append(text if text in (r"\,", r"\ ") else escape(text[1]))
        else:
            written.append(escape(text))
    return Tex("".join(written))


def filled(view: "StudyView", name: str, verdict: Verdict, where: dict) -> Tex:
    """What a placeholder stands for in the sentence of a claim about the runs `where`."""
    if name in ("left", "right", "difference", "points"):
        if not verdict.left:
            return Tex("(not measured)")
        if name == "difference":
            return words.difference(verdict)
        if name == "points":
            return Tex(f"{verdict.side('left').latex()} points")
        return Tex(verdict.side(name).latex(unit=True))
    word, _, rest = name.partition(" ")
    if word == "figure":
        return view.reference(rest)
    if rest:  # a probe's option
        probe = view.study.probes[word]
        default = (options("probe", probe.measure) or {})[rest].default
        return Tex(f"{probe.options.get(rest, default):,}")
    if name == "table":
        return Tex(rf"Table~\ref{{tab:{view.name}}}")
    if name == "rates":
        return Tex(view.many_rates)
    if name == "classes":
        return view.recorded("data", "classes")
    if name == "epochs":
        return view.count("epochs", "epoch", **where)
    if name == "images":
        return view.images(**where)
    values = dict.fromkeys(getattr(run.settings, name) for run in view.runs(**where))
    return listing([str(value) for value in values])
