"""Do the tests notice a wrong program? Mutants of what verdicts and trainings rest on.

    python tests/mutants.py [MODULE …] [--seed 0] [--sample 1000] [--jobs 2]
    python tests/mutants.py --again OUTPUT --enough 90   # an earlier run's survivors

Each mutant is one small change: of a comparison, an operator, a number, a condition or a
returned value, or a statement that is left out. Strings, annotations, decorators and zip's
`strict` stay as they are. A mutant is killed by the first test that fails among those that
run its line, in a copy of the repository; a survivor is printed, with the reason if
`EXCUSED` has one. What a CPU cannot run (`CUDA`) is left out.

Tests are collected once. For each mutant a process is forked from there, in which it takes
the place of what was imported; programs that the tests start read it from the copy.
"""

import argparse
import ast
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

from clone import copy_files

ROOT = Path(__file__).parents[1]
PACKAGE = Path("workflow") / "gradscape"
VERDICTS = ["inference", "evidence", "properties", "referee", "verdicts"]
TESTS = {
    "claims/inference": VERDICTS,
    "claims/sides": VERDICTS,
    "claims/evidence": VERDICTS,
    "claims/single": VERDICTS,
    "claims/verdicts": [*VERDICTS, "reproduce"],
    "claims/theory": ["theory", "verdicts"],
    "training/step": ["training", "theory", "properties"],
    "training/checkpoint": ["training", "properties"],
    "training/schedules": ["training", "properties"],
}
CUDA = {"training/step": ["capture", "tensors"]}  # tests/test_cuda.py's
BROKEN = 2 << 8  # as os.waitpid tells an exit with 2
PATIENCE = 120  # seconds for a mutant's tests; one that never ends is killed
EACH = 4  # of a parametrised test's cases, the quickest that run a line
ENOUGH = 10.0  # seconds of tests for a mutant, of the quickest; one is run at least
SURVIVOR = re.compile(r"(\S+:\d+) \(\d+ tests\): (.*?)\s*")  # as `report` prints it
HELD = "claims/files.py has them since it was imported"
NEVER = "no measured number is the bound itself"
CAPTURED = "for a GPU's graphs alone"
# Survivors that no test could tell from the program, by what they change.
EXCUSED: dict[tuple[str, str], str] = {
    ("claims/inference", "1000000000.0 → 1000000001.0"): "either is as good as infinite",
    ("claims/inference", "bartlett(cells) < UNEQUAL → bartlett(cells) <= UNEQUAL"): NEVER,
    ("claims/sides", "len(alike) > 1 → len(alike) >= 1"): "`pooled` leaves out such cells",
    (
        "claims/sides",
        "float(np.mean(losses)) < runs[0].chance_loss - TRAINS → "
        "float(np.mean(losses)) <= runs[0].chance_loss - TRAINS",
    ): NEVER,
    (
        "claims/verdicts",
        "VERDICTS = (HOLDS, FAILS, EQUAL, UNDECIDED, UNMEASURED, SEEN) → pass",
    ): HELD,
    ("claims/verdicts", "RESTS = (METHODS, NETWORKS, FACT, '') → pass"): HELD,
    ("claims/verdicts", "self.adjusted > LEVEL → self.adjusted >= LEVEL"): NEVER,
    ("claims/verdicts", "self.p > level → self.p >= level"): NEVER,
    ("claims/verdicts", "self.p_of_equality <= level → self.p_of_equality < level"): NEVER,
    (
        "claims/verdicts",
        "self.estimate.difference > max(self.ends) → "
        "self.estimate.difference >= max(self.ends)",
    ): "at its end p is 1, and nothing is decided",
    ("training/step", "3 → 4"): CAPTURED,
    ("training/step", "WARMUP_RUNS = 3 → pass"): CAPTURED,
    ("training/step", "True → False"): "gradients of zero to add to: slower, the same bits",
    (
        "training/step",
        "self.settings.l1 > 0 → self.settings.l1 >= 0",
    ): "zero times the norm is added",
    ("training/step", "2 → 3"): "torch makes what it writes to as long as it needs",
}

ORDER = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
OPPOSITE = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in a node's place."""
    match node:
        case ast.Compare(left=left, ops=[op], comparators=right):
            for table in (ORDER, OPPOSITE):
                if type(op) in table:
                    yield ast.Compare(left, [table[type(op)]()], right)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            yield ast.BinOp(left, OPERATORS[type(op)](), right)
        case ast.AugAssign(target=target, op=op, value=value):
            yield ast.AugAssign(target, OPERATORS[type(op)](), value)
            yield ast.Pass()
        case ast.BoolOp(op=op, values=values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield ast.Constant(value + 1)
        case ast.If(test=test, body=body, orelse=other):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, other)
        case ast.IfExp(test=test, body=body, orelse=other):
            yield ast.IfExp(test, other, body)
        case ast.comprehension(target=target, iter=values, ifs=[_, *_]):
            yield ast.comprehension(target, values, [], 0)
        case ast.Return(value=ast.AST() as value) if ast.unparse(value) != "None":
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value=value) if not isinstance(value, ast.Constant):
            yield ast.Pass()
        case ast.Assign() | ast.Raise() | ast.Continue():
            yield ast.Pass()


def places(node: ast.AST, skipped: list[str]) -> Iterator[tuple[ast.AST, str, int | None]]:
    """Each node that may be changed: what holds it, the field, and the index in a list."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for index, child in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(child, ast.AST) or getattr(child, "name", None) in skipped:
                continue
            if isinstance(child, ast.keyword) and child.arg == "strict":
                continue
            yield node, field, index if isinstance(value, list) else None
            yield from places(child, skipped)


def mutants(module: str) -> Iterator[dict]:
    """A module's mutants: the `lines` that are changed, how, and the whole `source`."""
    source = (ROOT / PACKAGE / f"{module}.py").read_text("utf-8")
    tree = ast.parse(source)
    inside = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for line in range(node.lineno, node.end_lineno + 1)
    }
    line = 0
    for parent, field, index in list(places(tree, CUDA.get(module, []))):
        held = getattr(parent, field)
        old = held if index is None else held[index]
        line = getattr(old, "lineno", line)
        for new in list(changes(old)):
            put(parent, field, index, new)
            text = ast.unparse(ast.fix_missing_locations(tree))
            put(parent, field, index, old)
            shown = old.test if isinstance(old, ast.If) else old
            change = new.test if isinstance(new, ast.If) else new
            yield {
                "module": module,
                "line": line,
                "end": getattr(shown, "end_lineno", line),
                "at_import": line not in inside,
                "change": f"{shorten(shown)} → {shorten(change)}",
                "source": text,
            }


def put(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


def shorten(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 100 else text[:97] + "…"


class Lines:
    """Instead of the tests' loop: keeps which lines of each module a test runs that passes,
    [test: seconds, lines]."""

    def __init__(self, copy: Path, kept: Path):
        self.files = {str(copy / PACKAGE / f"{module}.py"): module for module in TESTS}
        self.kept = kept

    def pytest_runtestloop(self, session):
        assert not session.testsfailed, "a file of tests cannot be read"
        found = {}
        for item, following in neighbours(session.items):
            self.lines, begun = set(), time.monotonic()
            before = session.testsfailed
            sys.settrace(self.trace)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            sys.settrace(None)
            if session.testsfailed == before:
                found[item.nodeid] = time.monotonic() - begun, sorted(self.lines)
        self.kept.write_text(json.dumps(found))
        return True

    def trace(self, frame, event, argument):
        module = self.files.get(frame.f_code.co_filename)
        if module is None:
            return None
        self.lines.add((module, frame.f_lineno))
        return self.trace


class Judge:
    """Instead of the tests' loop: for each mutant, the tests that run its lines, the
    quickest first, in a process of its own. One JSON line each tells whether one failed."""

    def __init__(
        self, copy: Path, chosen: list[dict], lines: dict, out: Path, enough: float
    ):
        self.copy, self.chosen, self.out, self.enough = copy, chosen, out, enough
        self.places = {name: at for at, name in enumerate(sorted(lines, key=lines.get))}
        self.ran = {name: set(map(tuple, ran)) for name, (_, ran) in lines.items()}
        self.seconds = {name: seconds for name, (seconds, _) in lines.items()}

    def pytest_runtestloop(self, session):
        assert not session.testsfailed, "a file of tests cannot be read"
        known = [item for item in session.items if item.nodeid in self.places]
        known.sort(key=lambda item: self.places[item.nodeid])
        unchanged = {
            m["module"]: self.copy / PACKAGE / f"{m['module']}.py" for m in self.chosen
        }
        for module, file in unchanged.items():  # which no test may kill
            source, items = file.read_text("utf-8"), self.few(known)
            said = f"{module}: fails without a mutant: "
            job = lambda: self.failing(session, items, module, source, said)  # noqa: B023, E731
            if forked(job, 1200):
                os._exit(1)
        with self.out.open("w") as results:
            for mutant in self.chosen:
                module, file = (
                    mutant["module"],
                    self.copy / PACKAGE / f"{mutant['module']}.py",
                )
                touched = {
                    (module, line) for line in range(mutant["line"], mutant["end"] + 1)
                }
                items = [item for item in known if touched & self.ran[item.nodeid]]
                if not items and mutant["at_import"]:
                    items = [i for i in known if i.path.stem[5:] in TESTS[module]]
                items = self.few(items)
                whole, source = file.read_text("utf-8"), mutant.pop("source")
                file.write_text(source, "utf-8")
                job = lambda: self.failing(session, items, module, source)  # noqa: B023, E731
                status = forked(job, PATIENCE + 4 * self.enough)
                file.write_text(whole, "utf-8")
                assert status != BROKEN, mutant  # by itself, not by a test
                row = mutant | {"killed": status != 0, "tests": len(items)}
                print(json.dumps(row), file=results, flush=True)
        return True

    def few(self, items: list) -> list:
        """The first of them, for `enough` seconds, and `EACH` cases of a test at most."""
        counts: Counter = Counter()
        kept, seconds = [], 0.0
        for item in items:
            test = item.nodeid.split("[")[0]
            counts[test] += 1
            if seconds <= self.enough and counts[test] <= EACH:
                kept.append(item)
                seconds += self.seconds[item.nodeid]
        return kept

    def failing(
        self, session, items: list, module: str, source: str, said: str = ""
    ) -> bool:
        """Whether one of the tests fails with this source; `said` before its name."""
        loaded = sys.modules.get(f"gradscape.{module.replace('/', '.')}")
        try:
            if loaded is not None:
                take_place(loaded, source)
        except Exception:  # it cannot be imported any more
            return True
        session.testsfailed = 0
        for item, following in neighbours(items):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                if said:
                    print(said + item.nodeid, file=sys.stderr, flush=True)
                return True
        return False


def neighbours(items: list) -> Iterator[tuple]:
    return zip(items, [*items[1:], None], strict=False)  # of none, none


def take_place(module: ModuleType, source: str) -> None:
    """Make a module that is imported already what this source says."""
    changed = ModuleType(module.__name__)
    changed.__file__ = module.__file__
    exec(compile(source, module.__file__, "exec"), vars(changed))
    for name in vars(module).keys() - vars(changed).keys():
        if not name.startswith("__"):
            delattr(module, name)
    exchange(vars(module), vars(changed), set())


def exchange(old: dict, new: dict, seen: set[int]) -> None:
    """Give functions of a module or class the new one's code, and names the new values."""
    for name, value in new.items():
        before = old.get(name)
        functions = function(before), function(value)
        if all(functions):
            was, now = functions
            if was.__module__ == now.__module__:
                was.__code__, was.__defaults__ = now.__code__, now.__defaults__
                was.__kwdefaults__ = now.__kwdefaults__
        elif isinstance(value, type) and isinstance(before, type) and value is not before:
            if id(value) not in seen:
                exchange(dict(vars(before)), dict(vars(value)), seen | {id(value)})
        elif (
            isinstance(value, bool | int | float | tuple | list | dict) and value != before
        ):
            for each in list(sys.modules.values()):
                if vars(each).get(name) is before and before is not None:
                    setattr(each, name, value)


def function(value: object) -> FunctionType | None:
    if isinstance(value, property):
        return value.fget
    if isinstance(value, cached_property):
        return value.func
    value = getattr(value, "__wrapped__", value)
    return value if isinstance(value, FunctionType) else None


def forked(job: Callable[[], object], patience: float = PATIENCE) -> int:
    """The status of a job in a process of its own, 0 for a false value; other than 0 if it
    has to be stopped, `BROKEN` if it raises."""
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        status = 2
        try:
            status = int(bool(job()))
        except SystemExit:  # of a mutant
            status = 1
        finally:
            os._exit(status)
    for _ in range(int(100 * patience)):  # stands still while this process is stopped
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def collected(copy: Path, plugin: object) -> None:
    """Have pytest import the tests of all modules and give them to a plugin, in silence."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.chdir(copy)
    os.environ["PYTHONPATH"] = str(copy / "workflow")
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # a mutant may be as old and as long
    sys.dont_write_bytecode = True
    sys.path[:0] = [str(copy / "workflow"), str(copy / "tests")]
    files = sorted({f"tests/test_{name}.py" for names in TESTS.values() for name in names})
    files += [str(PACKAGE / f"{module}.py") for module in TESTS]
    pytest.main([*files, "-p", "no:cacheprovider", f"--basetemp={copy}/tmp"], [plugin])


def copied(folder: Path) -> Path:
    """The repository as the working tree has it; results are linked."""
    copy_files(ROOT, folder)
    (folder / "results").symlink_to(ROOT / "results")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("modules", nargs="*", default=list(TESTS), metavar="MODULE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sample", type=int, help="that many mutants, drawn by the seed")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--only", default="", help="mutants whose change contains this text"
    )
    parser.add_argument("--enough", type=float, default=ENOUGH, help="seconds a mutant")
    parser.add_argument("--again", type=Path, help="what a run printed: its survivors")
    options = parser.parse_args()
    found = [mutant for module in options.modules for mutant in mutants(module)]
    chosen = [mutant for mutant in found if options.only in mutant["change"]]
    if options.again:
        printed = options.again.read_text("utf-8").splitlines()
        survivors = {m.groups() for line in printed if (m := SURVIVOR.fullmatch(line))}
        places = ((f"{m['module']}:{m['line']}", m["change"]) for m in chosen)
        chosen = [m for m, at in zip(chosen, places, strict=True) if at in survivors]
    random.Random(options.seed).shuffle(chosen)
    chosen = chosen[: options.sample]
    with tempfile.TemporaryDirectory() as scratch:
        copies = [copied(Path(scratch) / str(job)) for job in range(options.jobs)]
        kept = Path(scratch) / "lines.json"
        forked(lambda: collected(copies[0], Lines(copies[0], kept)), 3600)
        lines = json.loads(kept.read_text())
        print(f"{len(lines)} tests pass", flush=True)
        outs = [copy.with_suffix(".jsonl") for copy in copies]
        workers = []
        for job, (copy, out) in enumerate(zip(copies, outs, strict=True)):
            own = chosen[job :: options.jobs]
            judge = Judge(copy, own, lines, out, options.enough)
            workers.append(os.fork())
            if not workers[-1]:
                collected(copy, judge)
                os._exit(0)
        for worker in workers:
            os.waitpid(worker, 0)
        told = [out.read_text() for out in outs if out.exists()]
    rows = [json.loads(row) for text in told for row in text.splitlines()]
    if len(rows) < len(chosen):
        raise SystemExit(f"{len(rows)} of {len(chosen)} judged")
    report(rows, len(found), options)


def report(rows: list[dict], found: int, options: argparse.Namespace) -> None:
    print(f"\n{len(rows)} of {found} mutants, seed {options.seed}\n")
    print("| module | mutants | killed | excused | score |\n|---|---|---|---|---|")
    for module in [*options.modules, ""]:
        own = [row for row in rows if row["module"] == (module or row["module"])]
        killed = sum(row["killed"] for row in own)
        excused = sum(not row["killed"] and bool(reason(row)) for row in own)
        share = killed / max(1, len(own))
        print(f"| {module or 'all'} | {len(own)} | {killed} | {excused} | {share:.1%} |")
    for row in sorted(rows, key=lambda row: (row["module"], row["line"])):
        if not row["killed"]:
            place = f"{row['module']}:{row['line']}"
            print(f"{place} ({row['tests']} tests): {row['change']}  {reason(row)}")


def reason(row: dict) -> str:
    return EXCUSED.get((row["module"], row["change"]), "")


if __name__ == "__main__":
    main()
