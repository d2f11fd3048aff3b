"""The command line: gradscape data|train|probe|figure|table|report|…"""

import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated as A
from typing import Literal

from gradscape import __version__
from gradscape.base.errors import GradscapeError, is_short_of_memory
from gradscape.cli import commands
from gradscape.cli.arguments import FILES, Parser, add_arguments, call, fail


def completion(
    shell: A[Literal[tuple(FILES)], "bash >> ~/.bashrc; zsh > FOLDER_OF_FPATH/_gradscape"],
) -> None:
    """print what makes a shell complete commands, options and names"""
    import shtab

    print(shtab.complete(parser(), shell=shell))


COMMANDS = {function.__name__: function for function in [*commands.COMMANDS, completion]}
USAGE = {"train": "%(prog)s --model MODEL --dataset DATASET --out FOLDER [OPTION …]"}


def parser(command: str | None = None) -> Parser:
    """The command line, with the arguments of all commands or of one."""
    top = Parser(
        prog="gradscape",
        usage="%(prog)s COMMAND …",
        description="Why deep networks refuse to train: each step of the workflow.",
        epilog="`gradscape COMMAND --help` explains one of them.",
    )
    top.add_argument("--version", action="version", version=__version__)
    subparsers = top.add_subparsers(metavar="COMMAND", prog=top.prog, dest="command")
    for name, function in COMMANDS.items():
        about = {"description": function.__doc__, "usage": USAGE.get(name)}
        added = subparsers.add_parser(name, help=function.__doc__, **about)
        if command not in COMMANDS or command == name:
            add_arguments(added, function)
    return top


def main(argv: list[str] | None = None) -> None:
    """Run one command; bad input ends in one sentence on stderr and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # letters that a terminal lacks
            stream.reconfigure(errors="backslashreplace")
    with interruptible(), unread_output(), one_sentence():
        words = sys.argv[1:] if argv is None else argv
        top = parser(next(iter(words), None))  # what is not called costs no start
        given = vars(top.parse_args(words))
        name = given.pop("command")
        if name is None:
            top.print_help()
        else:
            call(COMMANDS[name], given)
        print(end="", flush=True)


@contextmanager
def one_sentence() -> Iterator[None]:
    """Say what the user can mend in one sentence instead of a traceback."""
    try:
        yield
    except GradscapeError as error:
        sys.exit(fail(str(error)))
    except BrokenPipeError:
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        if error.filename is None and not full:
            raise
        advice = "; make room and call again, what is finished is kept" if full else ""
        file = error.filename or "results or standard output"
        sys.exit(fail(f"{file}: {error.strerror}{advice}"))
    except (MemoryError, RuntimeError) as error:
        if is_short_of_memory(error):
            sys.exit(fail("the machine's memory is too small: close other programs"))
        if "out of memory" in str(error):
            sys.exit(fail("the GPU's memory is too small for batch_size: lower it"))
        raise


@contextmanager
def unread_output() -> Iterator[None]:
    """End quietly if nobody reads standard output any more, as after `| head -1`."""
    code = 0
    try:
        yield
    except BrokenPipeError:
        code = 128 + signal.SIGPIPE
    finally:
        try:
            print(end="", flush=True)
        except OSError as error:
            code = 128 + signal.SIGPIPE if isinstance(error, BrokenPipeError) else 2
        if code:  # Python would write it once more when it exits
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(code)


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
