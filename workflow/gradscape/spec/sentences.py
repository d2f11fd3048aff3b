"""A claim's sentences: they stand beside it in its YAML, and its verdict chooses one.

`holds` and `fails` are written for each claim that the report tells; the others have a
default. A claim can be told again in other words, each a mapping of the same keys: as a
`clause` of a longer sentence, in the `abstract`, and in the report's `ending`. A sentence
is text with formulas (`$\\eta$`), commands (`\\citet{he2016}`) and placeholders in
brackets, which stand for what the claim compares; any other character prints as itself, and
one after a backslash always does.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache

from gradscape.base.errors import GradscapeError, suggest
from gradscape.base.paths import TEMPLATES
from gradscape.spec.labels import SPELT
from gradscape.spec.quantity import SUPERSCRIPT
from gradscape.spec.registry import names, options
from gradscape.spec.settings import SETTINGS

KINDS = ("holds", "fails", "reversed", "equal", "undecided", "unmeasured", "seen")
KINDS += ("uncorrected",)  # undecided, but by its own interval it holds
TELLINGS = ("clause", "abstract", "ending")  # beside the one in the claim's section
COMPARED = ("left", "right", "difference", "points")
PLACEHOLDERS = (*COMPARED, "classes", "epochs", "images", "rates", "table", *SETTINGS)
WITHIN = re.compile(rf"\[({'|'.join(PLACEHOLDERS)})\]")
# A few words that a statement may open with, up to a comma before its subject.
OPENING = re.compile(
    r"(?:after|along|at|before|from|in|of|over|relative|under|where|with|[\w-]+ed)"
    r"(?: [^ ,]+){1,7},"
)
SYMBOLS = {"gg": "≫", "leq": "≤", "geq": "≥", "approx": "≈", "times": "×", "lambda": "λ"}
SYMBOLS |= {"dagger": "†", "ddagger": "‡", "S": "§"}
ENTRY = re.compile(r"^@\w+\{(\w+),(.*?)^\}", re.MULTILINE | re.DOTALL)
AUTHORS = re.compile(r"^\s*author\s*=\s*\{(.*?)\},?$", re.MULTILINE)
TOKEN = re.compile(
    r"(?P<escaped>\\[^a-zA-Z])"
    r"|(?P<formula>\$[^$]+\$)"
    r"|(?P<command>\\[a-zA-Z]+(?:\[[^][]*\])*(?:\{[^{}]*\})*)"
    r"|\[(?P<placeholder>[a-z][\w-]*(?: [\w-]+)?)\]"
)


def choose(told: dict, kinds: tuple[str, ...], statement: str, more: str = "") -> str:
    """The first of these kinds of sentence that are told, empty if none is; that a claim is
    undecided, its statement can tell, with `more` about the numbers."""
    written = [told[kind] for kind in kinds if kind in told]
    if not written and "undecided" in kinds:
        return open_question(statement, more)
    return written[0] if written else ""


def open_question(statement: str, more: str = "") -> str:
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
    return f"It is open whether{pause} {clause} ([left] against [right]{more})."


def tokens(sentence: str) -> Iterator[tuple[str, str]]:
    """The parts of a sentence, each with its kind: `text` or a group of `TOKEN`."""
    end = 0
    for found in TOKEN.finditer(sentence):
        yield "text", sentence[end : found.start()]
        yield found.lastgroup or "", found[found.lastgroup or 0]
        end = found.end()
    yield "text", sentence[end:]


def written(
    sentence: str, fill: Callable[[str], str], writers: dict[str, Callable[[str], str]]
) -> str:
    """A sentence, each kind of its parts by one of the `writers`. `fill` gives what a
    placeholder stands for, also in a formula or a command; other brackets are LaTeX's."""
    parts = []
    for kind, text in tokens(sentence):
        if kind in ("formula", "command"):
            text = WITHIN.sub(lambda found: fill(found[1]), text)
        parts.append(fill(text) if kind == "placeholder" else writers[kind](text))
    return "".join(parts)


def plain(sentence: str, fill: Callable[[str], str]) -> str:
    r"""A sentence as plain text; `fill` gives what a placeholder stands for.

    >>> plain(r"\citet{li2018} find $|g|\gg10^{-8}$: [left]\,\% \emph{more}.", str.upper)
    'Li et al. 2018 find |g| ≫ 10⁻⁸: LEFT % more.'
    """
    writers = {"text": str, "escaped": lambda text: text[1].replace(",", " ")}
    writers |= {"formula": plain_formula, "command": plain_command}
    return written(sentence, fill, writers)


def plain_formula(formula: str) -> str:
    text = formula[1:-1]
    text = re.sub(r"\^\{?(-?\d+)\}?", lambda f: f[1].translate(SUPERSCRIPT), text)
    text = text.removeprefix("^")
    text = re.sub(r"\\([A-Za-z]+) ?", lambda found: symbol(found[1]), text)
    text = re.sub(r" *([=≫≤≥≈]) *", r" \1 ", re.sub(r"[\\{}]", "", text)).strip()
    return re.sub(r"(?<!\w)-(?=[\d.])", "−", text)


def symbol(name: str) -> str:
    """A command of a formula as one character, or its name: `\\eta` → η, `\\ln` → ln."""
    try:
        return SYMBOLS.get(name) or unicodedata.lookup(f"GREEK SMALL LETTER {name}")
    except KeyError:
        return f"{name} "


def plain_command(text: str) -> str:
    """The papers that a command cites, or the text in its braces."""
    words = text.partition("{")[2].rstrip("}")
    if not text.startswith("\\cite"):
        return words
    cited = ", ".join(papers().get(key, key) for key in words.split(","))
    return cited if text.startswith("\\citet") else f"({cited})"


@cache
def papers() -> dict[str, str]:
    """Each paper's authors and year, as a sentence names it, by its key in the report's
    bibliography.

    >>> papers()["ioffe2015"], papers()["he2016"]
    ('Ioffe and Szegedy 2015', 'He et al. 2016')
    """
    named = {}
    for key, entry in ENTRY.findall((TEMPLATES / "references.bib").read_text("utf-8")):
        found = AUTHORS.search(entry)
        authors = found[1].split(" and ") if found else [key]
        names = [author.split(", ")[0].split()[-1].strip("{}") for author in authors]
        first = names[0] if len(names) != 2 else " and ".join(names)
        suffix = re.search(r"\d{4}[a-z]?$", key)
        year = suffix[0] if suffix else ""
        named[key] = f"{first}{' et al.' if len(names) > 2 else ''} {year}".rstrip()
    return named


def check_sentences(claim: dict, at: str) -> None:
    """Raise `GradscapeError` for half a telling, or a placeholder that means nothing."""
    for telling in ("", *TELLINGS):
        told = claim.get(telling, {}) if telling else claim
        place = f"{at}.{telling}".rstrip(".")
        written = {kind: told[kind] for kind in KINDS if kind in told}
        missing = [kind for kind in ("holds", "fails") if written and kind not in told]
        if missing:
            raise GradscapeError(f"{place}: the key {missing[0]!r} is missing")
        for kind, sentence in written.items():
            for group, name in tokens(sentence):
                if group == "placeholder" and not is_known(name):
                    hint = f"{suggest(name, PLACEHOLDERS)}; to print it, write \\[{name}]"
                    raise GradscapeError(
                        f"{place}.{kind}: [{name}] stands for nothing{hint}"
                    )


def is_known(placeholder: str) -> bool:
    """Tell whether it is in `PLACEHOLDERS`, a figure, or an option of a probe."""
    word, _, rest = placeholder.partition(" ")
    if not rest or word == "figure":
        return rest != "" or word in PLACEHOLDERS
    return word in names("probe") and rest in (options("probe", word) or {})
