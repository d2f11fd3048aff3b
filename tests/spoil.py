"""Values, bytes and files, spoilt at random."""

import copy
import hashlib
import json
import random
import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

from gradscape.base.errors import GradscapeError
from hostile import Lost, check_sentence

EVIL = [
    *(None, True, 0, -1, 1.0, 2.5, 10**9, 10**30, float("nan"), float("inf"), -0.0),
    *("", "x", "1e-3", "../..", "$(touch CANARY)", "; touch CANARY", "a'b", "a{b}", "a\nb"),
    *("\0", "\u202e", "🔥", "漢字", "é", "\udc80", "a" * 20_000, "/dev/zero", "~", "-x"),
    *([], [[]], {}, {"x": 1}, {1: 2}, b"x", {"a"}, [float("nan")], list(range(1000))),
]


def mutate(chance: random.Random, value) -> None:
    """Change one value, one key or one item, anywhere."""
    holder = value
    while isinstance(holder, dict | list) and holder:
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        key = chance.choice(keys)
        inner = holder[key]
        if not isinstance(inner, dict | list) or not inner or chance.random() < 0.25:
            break
        holder = inner
    if not isinstance(holder, dict | list) or not holder:
        return
    action = chance.random()
    if action < 0.6:
        holder[key] = copy.deepcopy(chance.choice(EVIL))
    elif action < 0.75 or isinstance(holder, list):
        del holder[key]
    else:
        new = chance.choice([1, None, "x\n", "a" * 300, "../x", "report", "Ä", True])
        holder[new] = holder.pop(key)


def spoil(chance: random.Random, content: bytes) -> bytes:
    """Bytes as a disk, a cable or somebody may leave them."""
    data = bytearray(content)
    match chance.randrange(6):
        case 0:
            for _ in range(chance.randint(1, 8)):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        case 1:
            del data[chance.randrange(len(data)) :]
        case 2:
            start = chance.randrange(len(data))
            data[start : start + 512] = bytes(min(512, len(data) - start))
        case 3:
            data = bytearray(chance.choice([b"", b"\n", b"{}", b"[]", b"null", b"\xff"]))
        case 4:
            data[:0] = chance.randbytes(chance.randint(1, 99))
        case 5:
            lines = content.splitlines(keepends=True)
            lines.insert(chance.randrange(len(lines)), chance.choice(lines))
            data = bytearray(b"".join(lines))
    return bytes(data)


def spoil_record(chance: random.Random, path: Path) -> bytes:
    if path.suffix == ".json" and chance.random() < 0.6:
        record = json.loads(path.read_text())
        mutate(chance, record)
        return json.dumps(record, default=str, skipkeys=True).encode()
    return spoil(chance, path.read_bytes())


def digests(paths: list[Path]) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def standing(results: Path, runs: int = 0) -> Callable[[], str]:
    """A check, to be called later: does each run that is whole now, at least so many, stand
    or give way to a whole one? Another process tells, with none of gradscape's code."""

    def harness(*words: str, told: str = "") -> str:
        script = Path(__file__).with_name("check_results.py")
        command = [sys.executable, "-I", script, results.absolute(), *words]
        checked = subprocess.run(command, input=told, capture_output=True, text=True)
        if checked.returncode:
            raise Lost(f"{checked.stdout.strip()}{checked.stderr.strip()}")
        return checked.stdout

    before = harness()
    if len(json.loads(before)) < runs:
        raise Lost(f"{results}: fewer than {runs} whole runs to begin with: {before}")
    return lambda: harness("/dev/stdin", told=before)


@contextmanager
def sentences():
    """One sentence is what may become of something broken."""
    try:
        yield
    except GradscapeError as error:
        check_sentence(error)
