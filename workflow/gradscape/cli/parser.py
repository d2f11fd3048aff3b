"""The command line: gradscape data|train|probe|figure|table|report|…"""

import errno
import os
import signal
import sys
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
UNREAD = 128 + signal.SIGPIPE  # the exit code of a command whose output nobody reads
interruptions: list[int] = []


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
    if argv is None:  # then the process is this command's
        for stream in filter(None, (sys.stdout, sys.stderr)):  # may lack letters
            stream.reconfigure(errors="backslashreplace")
        signal.signal(signal.SIGINT, interrupt)
        sys.unraisablehook = unraisable
    code = run(sys.argv[1:] if argv is None else argv)
    try:
        print(end="", flush=True)
    except OSError as error:
        unread = isinstance(error, BrokenPipeError)
        code = code or (UNREAD if unread else fail(sentence(error) or str(error)))
        # Python would write it once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if code:
        sys.exit(code)


def run(words: list[str]) -> int:
    """The exit code of a command; a sentence says what the user can mend."""
    try:
        top = parser(next(iter(words), None))  # what is not called costs no start
        given = vars(top.parse_args(words))
        name = given.pop("command")
        if name is None:
            top.print_help()
        else:
            call(COMMANDS[name], given)
    except SystemExit as end:
        return end.code
    except BrokenPipeError:  # as after `| head -1`
        return UNREAD
    except BaseException as error:
        if interruptions:  # whatever a library that was being loaded makes of it
            return fail("interrupted", 128 + signal.SIGINT)
        said = sentence(error)
        if said is None:
            raise
        return fail(said)
    return 0


ROOM = "; make room and call again, what is finished is kept"
OPEN = "; raise the limit with `ulimit -n` and call again"
ADVICE = {errno.ENOSPC: ROOM, errno.EDQUOT: ROOM, errno.EMFILE: OPEN, errno.ENFILE: OPEN}
ADVICE |= {errno.EFBIG: "; raise the limit with `ulimit -f` and call again"}


def sentence(error: BaseException) -> str | None:
    """The sentence for an error that the user can mend; None for any other."""
    if isinstance(error, GradscapeError):
        return str(error)
    if isinstance(error, OSError):
        advice = ADVICE.get(error.errno, "")
        file = error.filename or ("results or standard output" if advice else None)
        return file and f"{file}: {error.strerror}{advice}"
    if is_short_of_memory(error):
        return "the machine's memory is too small: close other programs"
    if isinstance(error, RuntimeError) and "out of memory" in str(error):
        return "the GPU's memory is too small for batch_size: lower it"
    return None


def interrupt(number: int, frame: object) -> None:
    interruptions.append(number)
    raise KeyboardInterrupt


def unraisable(found) -> None:
    """An interruption that comes where Python lets nothing be raised ends the process."""
    if found.exc_type is KeyboardInterrupt:
        os._exit(fail("interrupted", 128 + signal.SIGINT))
    sys.__unraisablehook__(found)
