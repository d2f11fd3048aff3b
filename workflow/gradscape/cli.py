"""The command line: gradscape data|train|probe|figure|table|report|…"""

import argparse
import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gradscape import __version__, commands
from gradscape.errors import GradscapeError, is_short_of_memory
from gradscape.layout import DATA, REPORT, WEIGHTS
from gradscape.models import pretrained_files
from gradscape.registry import names
from gradscape.schema import schema
from gradscape.settings import SETTINGS


def add_settings(parser: argparse.ArgumentParser) -> None:
    """One option per setting, as its line in `settings.py` describes it."""
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


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="gradscape",
        description="Why deep networks refuse to train: each step of the workflow.",
    )
    top.add_argument("--version", action="version", version=__version__)
    subparsers = top.add_subparsers(required=True, metavar="COMMAND")

    def command(function) -> argparse.ArgumentParser:
        added = subparsers.add_parser(
            function.__name__, help=function.__doc__, description=function.__doc__
        )
        added.set_defaults(function=function)
        return added

    added = command(commands.data)
    added.add_argument("name", help="a dataset, as a configuration calls it")
    added.add_argument("--out", type=Path, help=f"folder to write (default: in {DATA})")
    added.add_argument("--data-dir", help="folder with the archive or its extracted form")

    added = command(commands.weights)
    added.add_argument("model", choices=list(pretrained_files()))

    added = command(commands.train)
    add_data(added)
    added.add_argument("--out", type=Path, required=True, help="the run's directory")
    added.add_argument("--study", default="command-line")
    added.add_argument("--name", help="default: from model, learning rate and seed")
    added.add_argument("--varied", default="{}", help="what tells it apart, as JSON")
    add_threads(added)
    added.add_argument("--checkpoint-seconds", type=float, default=20.0, help="default: 20")
    added.add_argument("--tensorboard", metavar="DIR", help="also write event files")
    added.add_argument("--weights", type=Path, help=f"pretrained (default: in {WEIGHTS})")
    add_settings(added)

    added = command(commands.probe)
    added.add_argument(
        "name", help=f"{', '.join(names('probe'))}, or path/file.py:function"
    )
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
