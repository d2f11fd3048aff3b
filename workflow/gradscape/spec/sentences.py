"""A claim's sentences: they stand beside it in its YAML, and its verdict chooses one.

`holds` and `fails` are written for each claim that the report tells; the others have a
default. A claim can be told again in other words, each a mapping of the same keys: as a
`clause` of a longer sentence, in the `abstract`, and in the report's `ending`.

A sentence is text with formulas (`$\\eta$`), commands (`\\citet{he2016}`) and placeholders
in brackets, which stand for what the claim compares and how; any other character prints as
itself, and one after a backslash always does.
"""

import re
from collections.abc import Iterator

from gradscape.base.errors import GradscapeError, suggest
from gradscape.spec.labels import SPELT
from gradscape.spec.settings import SETTINGS

KINDS = ("holds", "fails", "reversed", "equal", "undecided", "unmeasured", "seen")
TELLINGS = ("clause", "abstract", "ending")  # beside the one in the claim's section
PLACEHOLDERS = ("left", "right", "difference", "points", "classes", "epochs", "images")
PLACEHOLDERS += ("rates", "table", *SETTINGS)
# A few words that a statement may open with, up to a comma before its subject.
OPENING = re.compile(
    r"(?:after|along|at|before|from|in|of|over|relative|under|where|with|[\w-]+ed)"
    r"(?: [^ ,]+){1,7},"
)
TOKEN = re.compile(
    r"(?P<escaped>\\[^a-zA-Z])"
    r"|(?P<formula>\$[^$]+\$)"
    r"|(?P<command>\\[a-zA-Z]+(?:\[[^][]*\])*(?:\{[^{}]*\})*)"
    r"|\[(?P<placeholder>[a-z][\w-]*(?: [\w-]+)?)\]"
)


def choose(told: dict, kinds: tuple[str, ...], statement: str) -> str:
    """The first of these kinds of sentence that are told; empty if none is.

    Where no sentence says that a claim is undecided, its statement does.
    """
    written = [told[kind] for kind in kinds if kind in told]
    if not written and "undecided" in kinds:
        return open_question(statement)
    return written[0] if written else ""


def untold(claims: dict[str, dict]) -> dict[str, dict]:
    """The claims without their sentences: what decides them, and what is kept of that."""
    return {
        name: {k: v for k, v in claim.items() if k not in (*KINDS, *TELLINGS)}
        for name, claim in claims.items()
    }


def open_question(statement: str) -> str:
    r"""That it is open whether a claim's statement, up to its first full stop, is true.

    >>> open_question("With bias, it costs 5 $. The loss is higher.")
    'It is open whether, with bias, it costs 5 \\$ ([left] against [right]).'
    """
    clause = re.split(r"\.(?:\s+(?=[A-Z])|$)", statement)[0]
    word = re.split(r"[\s-]", clause)[0]
    if word.istitle() and word not in SPELT:
        clause = clause[0].lower() + clause[1:]
    pause = "," * bool(OPENING.match(clause))
    clause = re.sub(r"[\\$\[]", r"\\\g<0>", clause)
    return f"It is open whether{pause} {clause} ([left] against [right])."


def tokens(sentence: str) -> Iterator[tuple[str, str]]:
    """The parts of a sentence, each with its kind: `text` or a group of `TOKEN`."""
    end = 0
    for found in TOKEN.finditer(sentence):
        yield "text", sentence[end : found.start()]
        yield found.lastgroup or "", found[found.lastgroup or 0]
        end = found.end()
    yield "text", sentence[end:]


def check_sentences(claim: dict, at: str) -> None:
    """Raise `GradscapeError` for half a telling, or for a placeholder that stands for
    nothing."""
    for telling in ("", *TELLINGS):
        told = claim.get(telling, {}) if telling else claim
        place = f"{at}.{telling}".rstrip(".")
        written = {kind: told[kind] for kind in KINDS if kind in told}
        missing = [kind for kind in ("holds", "fails") if written and kind not in told]
        if missing:
            raise GradscapeError(f"{place}: the key {missing[0]!r} is missing")
        for kind, sentence in written.items():
            for group, name in tokens(sentence):
                if group == "placeholder" and " " not in name and name not in PLACEHOLDERS:
                    raise GradscapeError(
                        f"{place}.{kind}: [{name}] stands for nothing"
                        f"{suggest(name, PLACEHOLDERS)}; to print it, write \\[{name}]"
                    )
