"""The command line: gradscape data|train|probe|figure|table|report|…"""

import argparse
import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import NoReturn

from gradscape import __version__
from gradscape.base.errors import GradscapeError, is_short_of_memory, suggest
from gradscape.base.paths import DATA, REPORT, WEIGHTS
from gradscape.cli import commands
from gradscape.config.schema import schema
from gradscape.models import pretrained_files
from gradscape.spec.options import Option
from gradscape.spec.registry import names
from gradscape.spec.settings import SETTINGS

# How shtab has a shell complete file names; importing it for this would cost every start.
FILES = {"bash": "_shtab_compgen_files", "zsh": "_files", "tcsh": "f"}
FILES |= {"fish": "(__fish_complete_path (commandline -ct))"}


class Parser(argparse.ArgumentParser):
    """argparse, but an error is one sentence, with the likeliest word for an unknown one.

    typer and cyclopts do the same, and make every command start 0.2 s later: a grid of a
    thousand jobs would pay minutes.
    """

    def add_argument(self, *flags, **options) -> argparse.Action:
        action = super().add_argument(*flags, **options)
        if action.type is Path:
            action.complete = FILES
        return action

    def parse_known_args(self, args=None, namespace=None):
        """Name a misspelt option first: the required one that it stands for is missing."""
        args = sys.argv[1:] if args is None else list(args)
        known = self._option_string_actions
        for word in takewhile(self.is_mine, args):
            flag = word.partition("=")[0]
            if flag.startswith("--") and not any(k.startswith(flag) for k in known):
                self.error(f"unknown option {flag}{suggest(flag, known)}")
        return super().parse_known_args(args, namespace)

    def is_mine(self, word: str) -> bool:
        """Is the word for this parser, and not for the command that it stands before?"""
        return word != "--" and (self._subparsers is None or word.startswith("-"))

    def _check_value(self, action: argparse.Action, value) -> None:
        if action.choices is not None and value not in action.choices:
            hint = suggest(value, map(str, action.choices))
            raise argparse.ArgumentError(action, f"unknown value {value!r}{hint}")

    def error(self, message: str) -> NoReturn:
        sys.exit(fail(f"{message}; see `{self.prog} --help`"))


class Known:
    """Words to complete, not looked up before. Others pass: they may be the user's own, and
    are checked, with a better sentence, where a configuration's are."""

    def __init__(self, words: Callable[[], Iterable[str]]):
        self.words = words

    def __contains__(self, word: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self.words())


def choices(option: Option) -> Known | None:
    if option.words:
        return Known(partial(iter, option.words))
    return Known(partial(names, option.named.kind)) if option.named else None


def add_settings(parser: argparse.ArgumentParser) -> None:
    """One option per setting, as its lines in `settings.py` describe it."""
    group = parser.add_argument_group("settings")
    for name, option in SETTINGS.items():
        flag = f"--{name.replace('_', '-')}"
        default = None if option.required else option.default
        shown = "required" if option.required else f"default: {option.unset or default}"
        text = f"{option.help} ({shown})".replace("%", "%%").replace("`", "")
        if option.type is bool:
            action = argparse.BooleanOptionalAction
            group.add_argument(flag, action=action, default=default, help=text)
        else:
            group.add_argument(
                flag,
                type=option.type,
                default=default,
                required=option.required,
                choices=choices(option),
                metavar=option.type.__name__.upper(),
                help=text,
            )


def threads(text: str) -> int:
    most = schema()["properties"]["threads"]["maximum"]
    if not 1 <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and {most:,}")
    return int(text)


def add_threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", type=threads, default=1, help="of the CPU; default: 1")


def parser() -> Parser:
    top = Parser(
        prog="gradscape",
        usage="%(prog)s COMMAND …",
        description="Why deep networks refuse to train: each step of the workflow.",
        epilog="`gradscape COMMAND --help` explains one of them.",
    )
    top.add_argument("--version", action="version", version=__version__)
    top.set_defaults(function=lambda arguments: top.print_help())
    subparsers = top.add_subparsers(metavar="COMMAND", prog=top.prog)

    def command(function, usage: str | None = None) -> argparse.ArgumentParser:
        about = function.__doc__
        name = function.__name__
        added = subparsers.add_parser(name, help=about, description=about, usage=usage)
        added.set_defaults(function=function)
        return added

    added = command(commands.data)
    datasets = Known(partial(names, "dataset"))
    text = "as a configuration calls it"
    added.add_argument("name", metavar="DATASET", choices=datasets, help=text)
    added.add_argument("--out", type=Path, help=f"folder to write (default: in {DATA})")
    added.add_argument("--data-dir", help="folder with the archive or its extracted form")

    added = command(commands.weights)
    added.add_argument("model", choices=list(pretrained_files()))

    usage = "%(prog)s --model MODEL --dataset DATASET --out FOLDER [OPTION …]"
    added = command(commands.train, usage)
    add_data(added)
    added.add_argument("--out", type=Path, required=True, help="the run's directory")
    added.add_argument("--study", default="command-line")
    added.add_argument("--name", help="default: from model, learning rate and seed")
    added.add_argument("--varied", default="{}", help="what tells it apart, as JSON")
    add_threads(added)
    added.add_argument("--checkpoint-seconds", type=float, default=20.0, metavar="SECONDS")
    text = "event files, in the run's directory"
    added.add_argument("--tensorboard", action="store_true", help=text)
    text = "replace a run with other settings, and all that was measured on it"
    added.add_argument("--overwrite", action="store_true", help=text)
    added.add_argument("--weights", type=Path, help=f"pretrained (default: in {WEIGHTS})")
    add_settings(added)

    added = command(commands.probe)
    probes = Known(partial(names, "probe"))
    text = f"{', '.join(probes)}, or path/file.py:function"
    added.add_argument("name", metavar="PROBE", choices=probes, help=text)
    add_run(added)
    added.add_argument("--out", type=Path, required=True, help="CSV file to write")
    added.add_argument("--options", default="{}", help="as in the config, as JSON")
    add_threads(added)

    added = command(commands.test)
    add_run(added)
    add_threads(added)

    added = command(commands.figure)
    added.add_argument("--spec", required=True, help="the figure, as JSON")
    added.add_argument("--out", type=Path, nargs="+", required=True, help="files to write")
    added.add_argument("--runs", type=Path, nargs="*", default=[], help="run directories")

    added = command(commands.table)
    added.add_argument("name", choices=list(names("table")))
    added.add_argument("--out", type=Path, required=True, help="CSV file to write")
    added.add_argument("--runs", type=Path, nargs="*", default=[], help="run directories")

    add_config(command(commands.report))
    add_config(command(commands.page))

    added = command(commands.tex)
    add_document(added)
    add_config(added)

    added = command(commands.pdf)
    add_document(added)
    added.add_argument("--results", type=Path, required=True, help="as for tex")

    added = command(commands.diff)
    added.add_argument("old", metavar="A", type=Path, help="results/<config>")
    text = "another, which gets report-diff.pdf"
    added.add_argument("new", metavar="B", type=Path, help=text)

    added = command(commands.publish)
    add_config(added)
    added.add_argument("--out", type=Path, required=True, help="folder for the tables")

    added = command(commands.submission)
    added.add_argument("course", choices=list(names("course")))
    added.add_argument("--student", required=True, help="number, or as asked")
    add_config(added)

    added = command(commands.models)
    added.add_argument("--json", action="store_true")

    added = command(commands.runs)
    add_config(added)
    added.add_argument("--commands", action="store_true", help="as commands that train")

    added = command(commands.plan)
    add_config(added)
    added.add_argument("--on", metavar="KIND", help="kind of device (default: this one's)")

    command(commands.new).add_argument("folder", type=Path, help="a new or empty folder")

    text = "gradscape completion bash >> ~/.bashrc; zsh: > FOLDER_OF_FPATH/_gradscape"
    added = command(commands.completion)
    added.add_argument("shell", choices=list(FILES), help=text)
    return top


def add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--results", type=Path, help="default: the config's results")


def add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", type=Path, required=True, help="the run's directory")
    text = "path/file.py:name of yours that the run's settings name"
    parser.add_argument("--own", action="append", default=[], help=text)
    add_data(parser)


def add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=DATA, help=f"default: {DATA}")


def add_document(parser: argparse.ArgumentParser) -> None:
    help_text = f"{REPORT} (default), a study or a course"
    parser.add_argument("document", nargs="?", default=REPORT, help=help_text)


def main(argv: list[str] | None = None) -> None:
    """Run one command; bad input ends in one sentence on stderr and exit code 2."""
    try:
        with interruptible():
            arguments = parser().parse_args(argv)
            arguments.function(arguments)
    except GradscapeError as error:
        sys.exit(fail(str(error)))
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        if error.filename is None and not full:
            raise
        advice = "; make room and call again, what is finished is kept" if full else ""
        sys.exit(fail(f"{error.filename or 'results'}: {error.strerror}{advice}"))
    except (MemoryError, RuntimeError) as error:
        if is_short_of_memory(error):
            sys.exit(fail("the machine's memory is too small: close other programs"))
        if "out of memory" in str(error):
            sys.exit(fail("the GPU's memory is too small for batch_size: lower it"))
        raise


def fail(sentence: str, code: int = 2) -> int:
    print(f"gradscape: {sentence}", file=sys.stderr)
    return code


@contextmanager
def interruptible() -> Iterator[None]:
    """An interruption ends in one line, whatever the library that was just being loaded
    makes of it, and even if it comes where Python lets nothing be raised."""
    interrupted: list[int] = []
    report = sys.unraisablehook

    def note(number: int, frame: object) -> None:
        interrupted.append(number)
        raise KeyboardInterrupt

    def again(unraisable) -> None:
        if unraisable.exc_type is not KeyboardInterrupt:
            report(unraisable)
        else:
            threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()

    in_charge = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, note) if in_charge else None
    try:
        sys.unraisablehook = again
        yield
    except SystemExit:
        raise
    except BaseException:
        if not interrupted:
            raise
        sys.exit(fail("interrupted", 128 + signal.SIGINT))
    finally:
        sys.unraisablehook = report
        if in_charge:
            signal.signal(signal.SIGINT, before)
