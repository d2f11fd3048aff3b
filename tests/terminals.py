"""Commands in other locales, and whose output nobody takes: each a process of its own."""

import os
import random
import shutil
import signal
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path

from chains import chain, check_end, compare, lasting, remove, succeed
from conftest import BIN
from hostile import Hang

CONFIG = ["--config", "config.json"]
PRINTING = [["runs", *CONFIG], ["runs", *CONFIG, "--commands"], ["models"], ["--help"]]
PRINTING += [["plan", *CONFIG], ["completion", "bash"]]
PRINTING += [["claims", *CONFIG], ["claims", *CONFIG, "--json"], ["train", "--help"]]
PRINTING += [["publish", *CONFIG, "--out", "out"], ["new", "mine"], ["no-such-µ"]]


@cache
def locales() -> list[dict[str, str]]:
    """Environments whose encoding is not UTF-8: the plain one and, if the system can make
    it, one of ISO 8859-1."""
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    folder = lasting()
    with suppress(OSError, subprocess.SubprocessError):
        source = [
            "localedef",
            "-i",
            "en_US",
            "-f",
            "ISO-8859-1",
            folder / "en_US.ISO8859-1",
        ]
        subprocess.run(source, check=True, capture_output=True)
        return [plain, plain | {"LC_ALL": "en_US.ISO8859-1", "LOCPATH": str(folder)}]
    return [plain]


def call(place: Path, words: list[str], environment: dict, **streams) -> tuple[int, str]:
    """Run a command as a user does; its exit code and what it says on stderr."""
    process = subprocess.Popen(
        [BIN / "gradscape", *words],
        cwd=place,
        env=os.environ | environment,
        stderr=subprocess.PIPE,
        start_new_session=True,
        **streams,
    )
    try:
        text = process.communicate()[1].decode("utf-8", "replace")
    except Hang:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if "Traceback" in text or "Exception ignored" in text:
        raise RuntimeError(f"{words}, {environment}, {streams}: {text}")
    return process.returncode, text


def chosen(chance: random.Random, place: Path) -> list[str]:
    """The words of a step whose files are missing, or of a command that prints."""
    if chance.random() < 0.5:
        return chance.choice(PRINTING)
    steps = chain()[1]
    step = steps[chance.choice([name for name in steps if name != "pdf"])]
    remove(place, step.makes)
    return step.words


def locale(chance: random.Random, folder: Path) -> None:
    """A command where letters are not UTF-8 writes the same bytes."""
    whole = chain()[0]
    place = shutil.copytree(whole, folder / chance.choice(["work", "wörk µ"]))
    words = chosen(chance, place)
    environment = chance.choice(locales())
    code, text = call(place, words, environment, stdout=subprocess.DEVNULL)
    check_end(f"{words}", code, text)
    if words not in PRINTING:
        if code:
            raise RuntimeError(f"{words}, {environment}: {text}")
        compare(place, whole)


def stdout(chance: random.Random, folder: Path) -> None:
    """A command whose output nobody reads, or that has no room, ends without a word or in a
    sentence; what it writes besides is whole, or made by the same call again."""
    whole = chain()[0]
    place = shutil.copytree(whole, folder / "work")
    words = chosen(chance, place)
    if chance.random() < 0.5:
        reading, writing = os.pipe()
        os.close(reading)
        wanted = (0, 2, 128 + signal.SIGPIPE)
    else:
        writing, wanted = os.open("/dev/full", os.O_WRONLY), (0, 2)
    try:
        code, text = call(place, words, chance.choice([{}, *locales()]), stdout=writing)
    finally:
        os.close(writing)
    if code not in wanted:
        raise RuntimeError(f"{words}: exit code {code}: {text}")
    if code == 2:
        check_end(f"{words}", code, text)
    if words not in PRINTING:
        if code:
            succeed(place, words)
        compare(place, whole)
