"""The sentence that goes with a verdict, and the numbers that stand in it."""

import re
from collections import Counter

from anew.printing import GREEK, WORDS, interval, plain, quantity, spelt
from anew.verdicts import REFUTED

OPENING = r"(?:after|along|at|before|from|in|of|over|relative|under|where|with|[\w-]+ed)"
KINDS = ("holds", "fails", "reversed", "equal", "undecided", "unmeasured", "seen")
KINDS += ("uncorrected",)


def sentence(claim, fields, telling=""):
    """The sentence that goes with a verdict, as its YAML has it."""
    told = claim.get(telling, {}) if telling else claim
    says = (
        fields["reading"] if fields["verdict"] == "seen, not tested" else fields["verdict"]
    )
    kinds = {
        "holds": ["holds"], "does not hold": ["fails"], "undecided": ["undecided"],
        "equal within the margin": ["equal", "fails"], "not measured": ["unmeasured"],
    }[says]  # fmt: skip
    if says in REFUTED and fields["reversed"]:
        kinds = ["reversed", *kinds]
    if fields["verdict"] == "seen, not tested":
        kinds = ["seen", *kinds]
    if is_by_correction(fields) and fields["reading"] == "holds":
        kinds = ["uncorrected", *kinds]
    text = next((told[kind] for kind in kinds if kind in told), None)
    if text is None:
        against = (
            fields["effect"] is not None
            and bool(fields["left"])
            and (
                (claim["is"] == "above" and fields["effect"] < 0)
                or (claim["is"] == "below" and fields["effect"] > 0)
            )
        )
        why = "; no interval" if fields["low"] is None else ""
        if is_by_correction(fields):
            why = f"; p = {fields['adjusted']:.2g} after Holm's correction"
        text = (
            open_question(claim["statement"], against, why) if "undecided" in kinds else ""
        )
    if not text:
        return text
    decided = says not in ("undecided", "not measured")
    text += r"$^\dagger$" * (fields["verdict"] == "seen, not tested")
    text += r"$^\ddagger$" * (decided and fields["rests"] == "networks")
    return text + r"$^\S$" * (bool(fields["edge"]) and says != "not measured")


def is_by_correction(fields):
    adjusted = fields["adjusted"]
    alone = fields["reading"] != "undecided" == fields["verdict"]
    return alone and adjusted is not None and adjusted > 0.05


def open_question(statement, against=False, why=""):
    clause = re.split(r"\.(?:\s+(?=[A-Z])|$)", statement)[0]
    word = re.split(r"[\s-]", clause)[0]
    if word.istitle() and word.lower() not in WORDS:
        clause = clause[0].lower() + clause[1:]
    comma = "," if re.match(rf"{OPENING}(?: [^ ,]+){{1,7}},", clause) else ""
    turned = ", the other way round" * against
    return f"It is open whether{comma} {clause} ([left] against [right]{turned}{why})."


POINTER, ABSENT = r"Table \\ref\{[^}]*\}, ", "a figure that is not drawn here"
PLACEHOLDER = re.compile(r"\[([a-z][\w-]*(?: [\w-]+)?)\]")


def fill(study, claim, fields, name, figures):
    """What a placeholder of a sentence stands for, in the plain form."""
    style = fields["style"]
    word, _, option = name.partition(" ")
    if word == "figure":
        shown = f"fig:{study.name}-{option}" in figures
        return rf"Figure \ref{{fig:{study.name}-{option}}}" if shown else ABSENT
    if name == "table":
        return rf"Table \ref{{tab:{study.name}}}"
    if name in ("left", "right", "points", "difference") and not fields["left"]:
        return "(not measured)"
    if name in ("left", "right"):
        return quantity(fields[name], style, unit=True)
    if name == "points":
        return f"{quantity(fields['left'], style)} points"
    if name == "difference":
        low, high = fields["low"], fields["high"]
        if fields["effect"] < 0 and low is not None:
            low, high = -high, -low
        size = quantity([abs(fields["effect"])], style) + " points" * (style == "accuracy")
        bounds = interval(low, high, style)
        if is_by_correction(fields):
            bounds += f"; p = {fields['adjusted']:.2g} after Holm's correction"
        return size + f" (95% interval {bounds})" * (low is not None)
    where = next(
        (s["where"] for s in (claim["left"], claim["right"]) if isinstance(s, dict)), {}
    )
    runs = [run for run in study.runs if run.is_one_of(where)]
    if option:
        probes = study.config.get("probes", {})
        probes = probes.values() if isinstance(probes, dict) else []
        values = [
            p[option]
            for name, p in study.config["probes"].items()
            if name == word and option in p
        ]
        return values_of(values) if probes else "(not measured)"
    if name == "rates":
        count = len({run.rate for run in study.runs})
        return f"{spelt(count)} rate{'s' * (count != 1)}"
    if name == "classes":
        return values_of(run.data["classes"] for run in study.runs)
    if name == "images":
        return f"{values_of(run.data['train'] for run in runs)} images"
    values = values_of(run.settings[name] for run in runs)
    return f"{values} epoch{'s' * (values != '1')}" if name == "epochs" else values


def values_of(values):
    return ", ".join(
        f"{v:,}" if isinstance(v, int) else str(v) for v in dict.fromkeys(values)
    )


def say(study, claim, fields, telling="", figures=(), text=None):
    """A claim's sentence with its numbers, in the plain form."""
    text = sentence(claim, fields, telling) if text is None else text
    filled = PLACEHOLDER.sub(
        lambda found: fill(study, claim, fields, found[1], figures), text
    )
    filled = re.sub(rf" \((?:{POINTER})?{ABSENT}\)", "", filled)
    return plain(re.sub(rf"; (?:{POINTER})?{ABSENT}\)", ")", filled)).strip()


def check_sentence(printed, study, claim, fields, where, problems):
    """A sentence of the JSON, where commands are resolved: its words and its numbers."""
    figures = {f"fig:{study.name}-{figure}" for figure in study.config.get("figures", {})}
    if "holds" not in claim:
        problems.compare(where, printed, "")
        return
    expected = say(study, claim, fields, figures=figures)
    expected = re.sub(
        r"Figure \\ref\{fig:[^}]*?-([^}-]+(?:-[^}-]+)?)\}", "figure", expected
    )
    expected = re.sub(r"Table \\ref\{[^}]*\}", "the table", expected)
    expected = re.sub(r"\\cite[a-z]*\{[^}]*\}", "", expected)
    found = re.sub(r"figure “[^”]*”", "figure", plain(printed))
    found = re.sub(
        r"\(?(?:\w[\w-]+ and )?\w[\w-]+(?: et al\.)? \d{4}[a-z]?\b\)?", "", found
    )
    for pattern in (r"(?<![\w.])\d[\d.,]*\d|(?<![\w.])\d", r"[a-z]{4,}"):
        ours, theirs = (re.findall(pattern, text) for text in (expected, found))
        if pattern.startswith("[a-z]"):
            ours = [word for word in ours if word not in GREEK.values()]
            theirs = [word for word in theirs if word not in GREEK.values()]
            missing = Counter(ours) - Counter(theirs), Counter(theirs) - Counter(ours)
            if missing[0].total() > 3 or missing[1].total() > 3:
                problems.compare(where, printed, expected)
                return
        elif ours != theirs:
            problems.compare(where, printed, expected)
            return
