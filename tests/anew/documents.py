"""Where each number of a document comes from: the runs, the text, or nowhere."""

import re
from ast import literal_eval
from collections import Counter
from functools import cache, partial
from types import SimpleNamespace

from anew import coordinates
from anew.captions import facts
from anew.metrics import last_loss
from anew.printing import counted, interval_of, listed, plain, quantity
from anew.problems import short
from anew.prose import WORDS, length
from anew.runs import HOME
from anew.sections import View, expected_rows, literature_rows
from anew.sentences import KINDS, PLACEHOLDER, fill, open_question
from anew.verdicts import REFUTED

# Digits behind a letter are part of a name: VGG08, bf16.
NUMBER = re.compile(r"(?<![A-Za-z\d])\d(?:[\d.,]*\d)?(?:×10)?(?:\^-?\d+)?")
MARKUP = re.compile(
    r"\\begin\{picture\}[^\0]*?\\end\{picture\}"
    r"|\\(?:label|ref|includegraphics|cite[a-z]*|begin|end|cmidrule|multicolumn|setlength|vskip"
    r"|columnsep|vspace|hspace|parbox|bibliographystyle|bibliography)\*?"
    r"(?:\([a-z]+\))?(?:\[[^]]*\])?(?:\{(?:[^{}]|\{[^{}]*\})*\})*"
    r"|\\href\{[^}]*\}|-?\d*\.?\d+(?:mm|pt|em|\\linewidth|ex)|\\begin\{tabularx?\}.*"
)
TAG = re.compile(r"\(\(\*.*?\*\)\)|\(\(#.*?#\)\)", re.DOTALL)
VALUE = re.compile(r"\(\(= (.*?) =\)\)")


class Document:
    """A document's text in the plain form, and of each letter what explains it."""

    def __init__(self, path):
        source = path.read_text("utf-8")
        self.name, self.preamble, _, body = (
            path.name,
            *source.partition(r"\begin{document}"),
        )
        self.text = plain(body)
        self.figures = set(re.findall(r"\\label\{(fig:[^}]*)\}", body))
        self.kinds = bytearray(len(self.text))  # 0: nothing, 1: the text's, 2: of the runs

    def cover(self, text, kind=2, start=0, end=None):
        """Mark what stands there; is it there at all?"""
        text, found = text.strip(), False
        if not text:
            return False
        end, at = len(self.text) if end is None else end, start
        while (at := self.text.find(text, at, end)) >= 0:
            if not self.cuts(at, at + len(text)):
                self.mark(at, at + len(text), kind)
                found = True
            at += 1
        return found

    def cuts(self, start, end):
        """Does a text that stands there begin or end within a number?"""
        ends = (
            self.text[max(0, start - 2) : start + 1],
            self.text[max(0, end - 1) : end + 2],
        )
        before = re.search(r"\d[.,]?\d$", ends[0])
        return bool(before or re.match(r"\d[.,]?\d", ends[1]))

    def mark(self, start, end, kind):
        for at in range(start, end):
            self.kinds[at] = max(self.kinds[at], kind)

    def numbers(self):
        for found in NUMBER.finditer(self.text):
            digits = [n for n in range(*found.span()) if self.text[n].isdigit()]
            yield found, min(self.kinds[n] for n in digits)

    def around(self, start, end):
        return self.text[max(0, start - 60) : end + 40].replace("\n", " ⏎ ")


def check_document(path, folder, studies, config, problems):
    """Returns how many numbers are the runs', the text's, and nobody's."""
    document = Document(path)
    document.courses = config.get("courses", {})
    where = f"{folder.name}/{document.name}"
    told = [s for s in studies if is_told(s, document, config)]
    if document.name != "report.tex":
        place = {s.name: document.text.find(plain(s.config["title"])) for s in told}
        told.sort(key=lambda study: place[study.name] % 10**9)  # the quoted ones come last
    views = {s.name: View(s, document.figures) for s in told}
    for found in MARKUP.finditer(document.text):
        document.mark(*found.span(), 1)
    rows = {s.name: expected_rows(s, views) for s in told}
    check_tables(document, told, rows, where, problems)
    for study in told:
        cover_sentences(document, study, views[study.name])
    for study in told:
        check_sentences(document, study, views[study.name], where, problems)
        for figure, spec in study.config.get("figures", {}).items():
            for start, end in captions(document, f"fig:{study.name}-{figure}"):
                for text in facts(study, figure, spec):
                    document.cover(text, 2, start, end)
        document.cover(plain(study.config["title"]), 1)
    check_whole(document, told, studies, config, where, problems)
    parts = [*sorted((HOME / "report/parts").glob("*.j2")), HOME / "report/main.tex.j2"]
    if document.name == "report.tex":
        parts.append(PAPER)
        check_together(document, told, where, problems)
        check_properties(document, told, where, problems)
    parts += [HOME / "report/courses/network.tex.j2"]
    own = HOME / "report/courses" / f"{document.name.removesuffix('.tex')}.tex.j2"
    parts += [own] if own.exists() else []
    for study in told:
        for template in [*templates_of(study), *parts]:
            fill_template(document, template, views[study.name], views, study)
    counts = Counter(kind for _, kind in document.numbers())
    for found, kind in document.numbers():
        if kind == 0:
            text = document.around(*found.span())
            problems.say(where, f"the runs do not explain {found[0]} in “{text}”")
    return counts[2], counts[1], counts[0]


def is_told(study, document, config):
    stem = document.name.removesuffix(".tex")
    if not study.runs or (stem in config["studies"] and stem != study.name):
        return False
    own = HOME / f"report/courses/{stem}.tex.j2"
    if own.exists() and f"cited.{study.name}" in own.read_text("utf-8"):
        return True
    signs = (
        f"tab:{study.name}}}",
        f"fig:{study.name}-",
        f"/{study.name}/",
        f"tab:{study.name}-",
    )
    return stem in ("report", study.name) or any(sign in document.text for sign in signs)


def captions(document, label):
    """Where the caption with a label stands."""
    for found in re.finditer(re.escape(rf"\label{{{label}}}"), document.text):
        start = document.text.rfind(r"\caption{", 0, found.start())
        yield max(0, start), found.end()


WITHIN = r"(?:(?!\\toprule)[^\0])*?"  # one table
TABLE = re.compile(
    rf"\\toprule(?P<head>{WITHIN})\\midrule(?P<rows>{WITHIN})\\bottomrule{WITHIN}"
    r"\\label\{tab:(?P<label>[^}]*)\}"
)


ONE_KIND = plain(
    r"Of seeds made on one kind of device; \texttt{results.csv} has those of another, too."
)


def check_tables(document, studies, rows, where, problems):
    """Each row is one of the runs', and each of the runs' rows is there."""
    by_name = {study.name: study for study in studies}
    claims_shown = {name: set() for name in by_name}
    for found in TABLE.finditer(document.text):
        label, head = found["label"], found["head"]
        name = max(
            (n for n in by_name if label == n or label.startswith(f"{n}-")),
            key=len,
            default=None,
        )
        start = found.start("rows")
        if label == "published":
            expected = {
                (s.name, n): texts
                for s in studies
                for n, texts in literature_rows(s).items()
            }
            kind = "published"
        elif name:
            kind = kind_of(head)
            expected = rows[name].get(kind) if kind else None
        else:
            continue
        if expected is None:
            continue
        shown = set()
        for line in re.finditer(r"[^\n]+", found["rows"]):
            text = line[0].strip().removesuffix(r"\\").strip()
            key = next((key for key, texts in expected.items() if text in texts), None)
            if key is not None:
                shown.add(key)
                document.mark(start + line.start(), start + line.end(), 2)
            elif "&" in text and NUMBER.search(text):
                near = nearest(text, expected)
                if near is None and re.search(r"& -- & --", text):
                    document.mark(
                        start + line.start(), start + line.end(), 1
                    )  # not trained
                else:
                    problems.say(
                        where, f"table {label} has “{short(text)}”, the runs say “{near}”"
                    )
            if "best" in text and "settings" in text:
                document.cover(text, 2)
        if kind == "results" and label == name:
            left_out = any(f.fields["left_out"] for f in by_name[name].found.values())
            if left_out != (ONE_KIND in found[0]):
                no = "no " * (not left_out)
                problems.say(where, f"table {label}: {no}runs are left out of comparisons")
        if kind == "claims":
            claims_shown[name] |= shown
            left = counted(unmeasured(by_name[name]), "claim")
            document.cover(f"Not measured, and named below: {left}.")
        elif kind == "costs":
            pass  # a section chooses which
        elif len(shown) < min(len(expected), 40) and kind != "stopping":
            missing = [expected[key][0] for key in expected if key not in shown]
            problems.say(where, f"table {label} lacks “{short(missing[0])}”")
    for name, shown in claims_shown.items():
        missing = set(rows[name]["claims"]) - shown
        if missing and rf"\label{{tab:{name}-claims}}" in document.text:
            problems.say(where, f"table {name}-claims lacks {', '.join(sorted(missing))}")


def unmeasured(study):
    return sum(f.fields["verdict"] == "not measured" for f in study.found.values())


def kind_of(head):
    signs = {
        "MFLOP": "costs",
        "Best epoch": "stopping",
        "later": "smoothness",
        "rests on": "claims",
    }
    for sign, kind in signs.items():
        if sign in head:
            return kind
    return "results" if "Train loss" in head else None


def nearest(text, expected):
    """The row that begins as this one does."""
    first = text.split(" & ")
    for many in (3, 2, 1):
        for texts in expected.values():
            for candidate in texts:
                cells = candidate.split(" & ")
                if cells[:many] == first[:many] and len(cells) == len(first):
                    return short(candidate)
    return None


TELLINGS = ("", "clause", "abstract", "ending")


def told_of(claim, telling):
    told = claim.get(telling, {}) if telling else claim
    return told if "holds" in told else None


def cover_sentences(document, study, view):
    for name, claim in study.claims.items():
        for telling in TELLINGS:
            if told_of(claim, telling):
                document.cover(view.say(name, telling))
        document.cover(plain(claim["statement"]), 1)


def check_sentences(document, study, view, where, problems):
    """Is a claim told by a sentence of another verdict, or with other numbers?"""
    for name, claim in study.claims.items():
        for telling in TELLINGS:
            told = told_of(claim, telling)
            for kind in KINDS if told else ():
                text = told.get(kind)
                if kind == "undecided" and text is None:
                    text = open_question(claim["statement"])
                literal = [plain(part) for part in PLACEHOLDER.split(text or "")[::2]]
                if sum(map(len, literal)) < 20 + 5 * len(literal):
                    continue
                pattern = r"[^\n]{1,90}?".join(map(re.escape, literal)).strip()
                for found in re.finditer(pattern, document.text):
                    if min(document.kinds[slice(*found.span())]) == 0:
                        expected = short(view.say(name, telling))
                        told_as = f"is told as “{short(found[0])}”"
                        about = f"{study.name}/{name} {told_as}, the runs say “{expected}”"
                        problems.say(where, about)


PAPER = HOME / "report/paper.tex.j2"
TOGETHER = re.compile(r'together\("([\w-]+)", (\[[^]]*\]), ("(?:[^"\\]|\\.)*")\)')


def check_properties(document, told, where, problems):
    """The paper's table of what tells before training whether a network will train."""
    rows = coordinates.told(told)
    if not rows or "tab:coordinates" not in document.text:
        return
    for name, *cells in rows:
        row = " & ".join(map(plain, [name, *cells]))
        if not document.cover(row):
            problems.say(where, f"has no row {short(row)}")


def check_together(document, told, where, problems):
    """What the paper makes of several claims stands there if all of them hold."""
    studies = {study.name: study for study in told}
    if "degradation" not in studies:
        return
    for name, names, text in TOGETHER.findall(PAPER.read_text("utf-8")):
        study, names, text = studies.get(name), literal_eval(names), literal_eval(text)
        if study is None or not set(names) <= set(study.found):
            continue
        fields = {n: study.found[n].fields for n in names}
        says = [
            f["reading"] if f["asked"] == "after" else f["verdict"] for f in fields.values()
        ]
        if set(says) != {"holds"}:
            continue

        def number(found, study=study, fields=fields):
            claim, _, what = found[1].partition(" ")
            return fill(study, study.claims[claim], fields[claim], what or "left", set())

        sentence = plain(PLACEHOLDER.sub(number, text))
        if not document.cover(sentence):
            problems.say(
                where, f"does not tell that {', '.join(names)} hold: {short(sentence)}"
            )


def templates_of(study):
    section = study.config.get("section", "study")
    names = [f"sections/{section}.tex.j2", f"conclusions/{section}.tex.j2"]
    paths = [HOME / "report" / name for name in names]
    return [p if p.exists() else HOME / "report/sections/study.tex.j2" for p in paths]


@cache
def segments(template):
    """A template's text between its blocks: parts in turn literal and expression."""
    text = TAG.sub("\0", template.read_text("utf-8"))
    pieces = [piece for line in text.split("\n") for piece in line.split("\0")]
    return [VALUE.split(piece) for piece in pieces if piece.strip()]


@cache
def assigned(template):
    """The template's own names for settings, `((* set long = {…} *))`."""
    found = re.findall(
        r"\(\(\* set (\w+) = (\{[^*]*\}) \*\)\)", template.read_text("utf-8")
    )
    names = {}
    for name, text in found:
        try:
            names[name] = eval(text, {"__builtins__": {}}, {"true": True, "false": False})
        except Exception:  # of a loop's or another study's names
            continue
    return names


def fill_template(document, template, view, views, study):
    """Explain a template's own text, and in it what it asks of the runs."""
    names = {"study": view, "studies": views, "true": True, "false": False, "none": None}
    names |= views | {"cited": SimpleNamespace(**views)}  # as a course's part sets them
    names |= assigned(template) | document.names | {"d": views.get("degradation")}
    names["question"] = partial(question, document, study)
    names["lite"] = views.get("transfer-efficientnet")
    names["scratch"] = views.get("transfer")
    unchanged = [run for run in study.runs if not run.variant]
    names["compared"] = {"epochs": unchanged[0].settings["epochs"]} if unchanged else {}
    longer = [run.settings for run in study.runs if run.variant == "long"]
    names["shape"] = SimpleNamespace(**longer[0]) if longer else None
    calls = re.findall(r"~ (stud[\w\".[\]]+\([^)]*\))", template.read_text("utf-8"))
    for call in calls if study.name == "accuracy" else ():
        if "landscape" in views or "landscape" not in call:
            document.cover(plain(str(evaluate(call, names))))
    for parts in segments(template):
        for local in locals_of(parts, study):
            evaluated = []
            for n, part in enumerate(parts):
                if n % 2 == 0:
                    evaluated.append((plain(part), "text"))
                    continue
                try:
                    value = evaluate(part, names | local)
                    evaluated.append((plain(str(value)), "value"))
                except (
                    Exception
                ):  # what belongs to a loop or to the whole is explained elsewhere
                    evaluated.append((None, "open"))
            explain(document, evaluated)


def question(document, study, **numbers):
    """` (Question 2)` in the document of a course that asks what follows."""
    number = numbers.get(document.name.removesuffix(".tex"))
    if isinstance(number, dict):
        year = document.courses[document.name.removesuffix(".tex")].get("year", max(number))
        number = number.get(year, f"{number[max(number)]}, {max(number)}")
    return f" (Question {number})" if number else ""


def locals_of(parts, study):
    """A loop over variants in a sentence is filled for each of them."""
    if study is not None and any("variant=name" in part for part in parts[1::2]):
        return [
            {"name": variant}
            for variant in dict.fromkeys(run.variant for run in study.runs)
        ]
    return [{}]


def evaluate(expression, names):
    expression = re.sub(r"\s*\|\s*(tex|capitalize)$", "", expression)
    expression = expression.replace("study.study.runs", "study.planned_runs")
    expression = re.sub(r"([\w.]+) \| length", r"len_(\1)", expression)
    names = names | {"len_": lambda x: x if isinstance(x, int) else len(x)}
    return eval(expression, {"__builtins__": {}}, names)


def explain(document, parts):
    """Find a line of the template in the document, its open parts whatever they are."""
    told = "".join(text or "" for text, _ in parts)
    if not NUMBER.search(told) or len(re.findall("[a-z]", told)) < 6:
        return  # it could stand anywhere
    pattern = "".join(
        "(.{0,600}?)" if kind == "open" else f"({re.escape(text)})" for text, kind in parts
    )
    for found in re.finditer(pattern, document.text):
        if document.cuts(*found.span()):
            continue
        for n, (_, kind) in enumerate(parts):
            if kind != "open":
                document.mark(*found.span(n + 1), 1 if kind == "text" else 2)


def tally_of(fields):
    """Of all claims, those that stood before their runs, by verdict, and the others."""
    fields = list(fields)
    before = [f for f in fields if f["asked"] == "before"]
    after = [f for f in fields if f["asked"] == "after"]
    tested = [f for f in before if f["rests"] != "fact" and f["verdict"] != "not measured"]
    decided = [f for f in tested if f["verdict"] != "undecided"]
    verdicts = Counter(f["verdict"] for f in tested)
    return SimpleNamespace(
        before=len(before),
        holds=verdicts["holds"],
        fails=verdicts["does not hold"],
        equal=verdicts["equal within the margin"],
        undecided=verdicts["undecided"],
        without=sum(f["verdict"] == "undecided" and f["p"] is None for f in tested),
        facts=sum(f["rests"] == "fact" for f in before),
        unmeasured=sum(f["verdict"] == "not measured" for f in before),
        alone=sum(f["reading"] in ("holds", *REFUTED) for f in tested),
        decided=len(decided),
        methods=sum(f["rests"] == "methods" for f in decided),
        networks=sum(f["rests"] == "networks" for f in decided),
        after=len(after),
        seen=sum(f["verdict"] == "seen, not tested" and f["p"] is not None for f in after),
    )


README = (
    "before", "holds", "fails", "equal", "undecided", "without", "facts", "unmeasured",
    "methods", "networks", "after",
)  # fmt: skip


def check_readme(studies, problems):
    """README's line about the verdicts of the report that it shows."""
    told = " ".join((HOME / "README.md").read_text("utf-8").split())
    told = re.search(r"[\d,]+ claims stood before.*?exchanged runs: \d+", told)
    tally = vars(tally_of([f.fields for study in studies for f in study.found.values()]))
    found = [int(n) for n in re.findall(r"\d+", told[0])] if told else []
    problems.compare("README.md: tally", found, [tally[name] for name in README])


def check_whole(document, told, studies, config, where, problems):
    """What a document says of all its runs: the tally of verdicts, and the colophon."""
    runs = [run for study in told for run in study.runs]
    fields = [f.fields for study in told for f in study.found.values()]
    tally = tally_of(fields)
    document.names = {
        "tally": tally, "runs": runs, "words": WORDS,
        "method": SimpleNamespace(
            confidence="95", level="5", unequal="5", batches="eight", chance="0.05",
            correlated="0.4",
            networks_sign=r"^\ddagger", seen_sign=r"^\dagger",
            edge_sign=r"^\S",
        ),
    }  # fmt: skip
    left_out = sorted({n for f in fields for n in f["left_out"]})
    by_study = [
        n
        for s in told
        for n in sorted({n for f in s.found.values() for n in f.fields["left_out"]})
    ]
    told_out = [f"made on: {listed(names)}." for names in (left_out, by_study)]
    told_out.append(rf"named in \texttt{{claims}}: {len(by_study)} runs.")
    covered = [document.cover(plain(text)) for text in told_out]
    if left_out and "Left out of comparisons" in document.text and not any(covered):
        problems.say(where, f"the runs left out of comparisons are {listed(by_study)}")
    for study in told:
        family = Counter(
            "fact" if f.fields["rests"] == "fact" else f.fields["verdict"]
            for f in study.found.values()
            if f.fields["asked"] == "before"
        )
        size = family.total() - family["fact"] - family["not measured"]
        document.cover(rf"\texttt{{{study.name}}} {size}")
        for old in {old["kind"] for run in study.runs for old in run.replaced}:
            many = sum(o["kind"] == old for run in study.runs for o in run.replaced)
            document.cover(rf"{counted(many, 'run')} of \texttt{{{study.name}}}")
    others = {"optimisers", "accuracy", "regularisation"}
    own = [s for s in told if s.name not in others and not s.name.startswith("transfer")]
    remade = [s for s in own if any(run.replaced for run in s.runs)]
    remade = [s for s in remade if tally_of(f.fields for f in s.found.values()).before]
    at_start = ("theory", "isometry", "slopes-with-bn", "scatter-with-depth")
    checks = [s for s in told if s.name in at_start]
    for name, group in (("own", own), ("known", remade), ("checks", checks)):
        document.names[name] = tally_of(f.fields for s in group for f in s.found.values())
    sealed = Counter(
        run.record["study"] for run in runs if run.record.get("sealed_at") == "migration"
    )
    for study, many in sealed.items():
        document.cover(rf"{many} of \texttt{{{study}}}")
    late = sealed.total()
    document.cover(f"The digests of {counted(late, 'run')} were made after the fact")
    for run in runs:
        for old in run.replaced:
            losses = f"({last_loss(run):.2f} for {old['final_train_loss']:.2f})"
            document.cover(plain(f"{run.record['study']}/{run.name} {losses}"))
    exchanged = [
        (abs(last_loss(run) - old["final_train_loss"]), n, run, old)
        for n, run in enumerate(runs)
        for old in run.replaced
    ]
    if document.name == "report.tex":  # of each study and devices those furthest apart
        pairs = {}
        for found in exchanged:
            devices = (found[2].record["study"], found[2].backend["kind"], found[3]["kind"])
            pairs[devices] = max(pairs.get(devices, found), found, key=lambda f: f[0])
        exchanged = [*pairs.values()]
    exchanged = [
        text
        for _, _, run, old in exchanged
        for text in (
            *([] if document.name == "report.tex" else [run.name]),
            f"{last_loss(run):.2f} for {old['final_train_loss']:.2f}",
            f"on {run.backend['kind']} in place of {old['kind']}",
        )
    ]
    for text in exchanged:
        if not document.cover(plain(text)):
            problems.say(where, f"does not say that {text} was exchanged")
    for study in told:
        open_ = sum(f.fields["verdict"] == "undecided" for f in study.found.values())
        document.cover(plain(f"``{study.config['title']}'' ({open_})"))
        for f in (found.fields for found in study.found.values()):
            document.cover(f"About {f['seeds']} seeds on one kind of device might do.")
            for over in ("over the other", "means over"):
                document.cover(f"{over} {counted(len(f['left']), 'seed')}")
            if f["left"] and f["right"]:
                left, right = (
                    quantity(f[s], f["style"], unit=True) for s in ("left", "right")
                )
                claimed = plain(f["statement"].removesuffix("."))
                named = {n for side in (*f["left_runs"], *f["right_runs"]) for n in side}
                taken = length([run for run in study.runs if run.name in named])
                basis = f["basis"].partition(", σ")[0]
                if f["verdict"] in ("does not hold", "equal within the margin"):
                    rest = f"{left} against {right} ({taken}; {basis})."
                    document.cover(plain(f"{claimed}: {rest}"))
                cells = [*sides_of(f), interval_of(f), f["basis"]]
                document.cover(plain(" & ".join(cells)))
        for run in study.runs:
            for old in run.replaced:
                ended = f"{last_loss(run):.2f} on {run.backend['kind']}"
                document.cover(
                    f"{ended} and {old['final_train_loss']:.2f} on {old['kind']}"
                )
        for name, claim in study.claims.items():
            if "key" in claim and study.found[name].fields["left"]:
                f = study.found[name].fields
                asked = asked_by(claim, f["style"])
                cells = [claim["key"], *sides_of(f), asked, f["basis"].partition(", σ")[0]]
                row = plain(" & ".join(cells))
                if not document.cover(row) and claim["key"] in document.text:
                    problems.say(where, f"has no row {short(row)}")
        check_lengths(document, study, where, problems)
    colophon(document, runs, where, problems)


def sides_of(fields):
    return [quantity(fields[s], fields["style"], unit=True) for s in ("left", "right")]


def asked_by(claim, style):
    """`above, by 0.05`: which way, and by how much at least or at most."""
    how = "within" if claim["is"] in ("near", "apart") else "by"
    told = [claim["is"]]
    for key, kind in (("margin", style), ("relative_margin", "accuracy")):
        if claim.get(key):
            told.append(f"{how} {quantity([claim[key]], kind, unit=True)}")
    return ", ".join(told)


def check_lengths(document, study, where, problems):
    """A study's row in the paper's table of lengths and of what became of claims."""
    if "tab:registered" not in document.text:
        return
    lengths = sorted(
        {
            (r.settings["epochs"], r.data["train"], r.settings["batch_size"])
            for r in study.runs
        }
    )
    columns = zip(*((*x, x[0] * -(-x[1] // x[2])) for x in lengths), strict=True)
    cells = [" / ".join(dict.fromkeys(f"{n:,}" for n in column)) for column in columns]
    t = tally_of([f.fields for f in study.found.values()])
    open_ = f"{t.undecided}{f' ({t.without})' * bool(t.without)}"
    seeds = str(len({r.seed for r in study.runs}))
    if any(f.fields["left_out"] for f in study.found.values()):
        seeds = f"{len(study.found['bn-cures'].fields['left'])} of {seeds}"
    counts = [seeds, t.before, t.holds, t.fails, t.equal]
    counts += [open_, t.unmeasured, t.after]
    cells.append(listed(dict.fromkeys(run.backend["precision"] for run in study.runs)))
    row = plain(" & ".join([rf"\texttt{{{study.name}}}", *cells, *map(str, counts)]))
    if not document.cover(row):
        problems.say(where, f"has no row {short(row)}")


def colophon(document, runs, where, problems):
    def some(values):
        return ", ".join(
            f"{value} ({counted(count, 'run')})" if count < len(runs) else value
            for value, count in values.items()
        )

    commits = Counter(run.commit[:10] for run in runs)
    commits = dict(sorted(commits.items(), key=lambda item: -item[1]))
    seconds = sum(
        r.record["seconds_training"]
        for r in runs  # of which probing is a part
    )
    took = (
        f"{seconds / 3600:.1f} hours"
        if seconds >= 3600
        else counted(round(seconds / 60), "minute")
    )
    took = took if seconds >= 60 else "less than a minute"
    late = sum(run.record.get("sealed_at") == "migration" for run in runs)
    lines = {
        "Revisions": some(commits),
        "Versions": some(
            Counter(f"{k} {v}" for r in runs for k, v in r.record["versions"].items())
        ),
        "Devices": some(Counter(run.backend["kind"] for run in runs)),
        "Precision": some(Counter(run.backend["precision"] for run in runs)),
        "Training and probing": f"{took} in all",
    }
    older = sum(run.older for run in runs)
    if older and any(run.record.get("version", 1) > 1 for run in runs):
        over = f"of {counted(older, 'older run')} over minibatches, not over images"
        lines["Training means"] = f"{over}; no comparison mixes them"
    if late:
        made = f"made on migration for {counted(late, 'run')}"
        lines["Digests"] = f"{made}, so they prove no provenance"
    for name, text in lines.items():
        line = plain(rf"\textbf{{{name}.}} {text}.")
        if not document.cover(line):
            at = document.text.find(rf"\textbf{{{name}.}}")
            found = (
                document.text[at : document.text.find("\n", at)] if at >= 0 else "nothing"
            )
            problems.say(where, f"the colophon says {short(found)}, the runs {short(line)}")
    first = next(iter(commits))
    if rf"revision \texttt{{{first}}}" not in document.preamble:
        problems.say(where, f"its foot does not name the revision {first}")
