"""Arguments from a function's parameters, and one sentence for each mistake in them."""

import argparse
import json
import sys
from collections.abc import Callable, Collection, Iterator
from inspect import Parameter, signature
from itertools import takewhile
from pathlib import Path
from typing import Annotated, NoReturn, get_args, get_origin

from gradscape.base.errors import GradscapeError, suggest
from gradscape.base.paths import Results
from gradscape.config.experiment import Experiment
from gradscape.config.schema import schema
from gradscape.config.yaml import read_yaml
from gradscape.spec.options import REQUIRED, Option, option
from gradscape.spec.registry import names
from gradscape.spec.settings import SETTINGS

# How shtab has a shell complete file names; importing it for this would cost every start.
FILES = {"bash": "_shtab_compgen_files", "zsh": "_files", "tcsh": "f"}
FILES |= {"fish": "(__fish_complete_path (commandline -ct))"}
# A command's experiment; one of the two is enough.
PLACE = {"--config": "YAML file (default: the configuration kept in --results)"}
PLACE |= {"--results": "folder to use (default: the config's results)"}
CHANGES = "keys to change, such as studies.mine.epochs=2 defaults.device=cpu"
# How other programs call a setting.
ALIASES = {"--lr": "--learning-rate", "--bs": "--batch-size", "--wd": "--weight-decay"}


class Parser(argparse.ArgumentParser):
    """argparse, but an error is one sentence, with the likeliest word for an unknown one.
    typer and cyclopts do that too, and make every command start 0.2 s later."""

    def add_argument(self, *flags, **options) -> argparse.Action:
        action = super().add_argument(*flags, **options)
        if action.type is Path:
            action.complete = FILES
        return action

    def parse_known_args(self, args=None, namespace=None):
        """Name a misspelt option first: the required one that it stands for is missing."""
        args = sys.argv[1:] if args is None else list(args)
        known = self._option_string_actions
        for word in takewhile("--".__ne__, args):
            if self._subparsers and not word.startswith("-"):
                break  # the command, whose options follow
            flag = word.partition("=")[0]
            if flag.startswith("--") and not any(k.startswith(flag) for k in known):
                likely = ALIASES.get(flag)
                hint = f" (did you mean {likely!r}?)" if likely in known else ""
                self.error(f"unknown option {flag}{hint or suggest(flag, known)}")
        return super().parse_known_args(args, namespace)

    def _check_value(self, action: argparse.Action, value) -> None:
        """Other than a few words may be the user's own, and are checked, with a better
        sentence, where a configuration's are."""
        if isinstance(action.choices, Collection) and value not in action.choices:
            hint = suggest(value, map(str, action.choices))
            raise argparse.ArgumentError(action, f"unknown value {value!r}{hint}")

    def _print_message(self, message: str, file=None) -> None:
        """argparse keeps to itself that help could not be written."""
        print(message, end="", file=file or sys.stderr, flush=True)

    def error(self, message: str) -> NoReturn:
        sys.exit(fail(f"{message}; see `{self.prog} --help`"))


def fail(sentence: str, code: int = 2) -> int:
    print(f"gradscape: {sentence}", file=sys.stderr)
    return code


class Json(argparse.Action):
    """A mapping, given as JSON text or as the path of a JSON or YAML file."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        text = str(values)
        if not text.lstrip().startswith("{") and Path(text).exists():
            content = read_yaml(Path(text))
        else:
            try:
                content = json.loads(text)
            except (ValueError, RecursionError) as error:
                sentence = f"{option_string}: cannot be parsed as JSON ({error})"
                raise GradscapeError(sentence) from None
        if not isinstance(content, dict):
            raise GradscapeError(f"{option_string}: is no JSON object")
        setattr(namespace, self.dest, content)


class Count:
    """A number of threads, as many as the configuration's schema lets be; a plain `int`,
    since a checkpoint that holds a type of ours is not read again."""

    def __new__(cls, text: str) -> int:
        most = schema()["properties"]["threads"]["maximum"]
        if not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text} is not between 1 and {most:,}")
        return int(text)


class File:
    """The path of a file to write, refused before any work if it cannot be one."""

    def __new__(cls, text: str) -> Path:
        path = Path(text)
        if path.name and not path.is_dir():
            return path
        sentence = f"{text!r} is a folder, where a file is needed"
        raise argparse.ArgumentTypeError(sentence)


def add_arguments(parser: argparse.ArgumentParser, function: Callable) -> None:
    """A command's parameters as arguments: those after a `*` as options, others by place,
    `**settings` as an option a setting, an experiment as the file and folder that `call`
    reads it from. What is not given keeps the function's default."""
    for name, parameter in signature(function).parameters.items():
        if parameter.annotation is Experiment:
            for flag, text in PLACE.items():
                parser.add_argument(flag, type=Path, default=None, help=text)
            many = {"nargs": "+", "metavar": "KEY=VALUE", "default": ()}
            parser.add_argument("--set", dest="changes", help=CHANGES, **many)
            continue
        if parameter.kind is Parameter.VAR_KEYWORD:
            for setting in SETTINGS.values():  # what is required may stand in `--spec`
                add(parser, setting, required=False)
            continue
        default = REQUIRED if parameter.default is Parameter.empty else parameter.default
        kind, *about = get_args(parameter.annotation)
        many = get_origin(kind) is list
        kind = get_args(kind)[0] if many else kind
        known = option(name, Annotated[(kind, *about)], default)
        by_place = parameter.kind is Parameter.POSITIONAL_OR_KEYWORD
        add(parser, known, known.required, by_place, many)


def call(function: Callable, given: dict) -> None:
    """Run a command, with the experiment of its configuration or of its results folder."""
    if "config" in given:
        config, results = given.pop("config"), given.pop("results")
        changes = given.pop("changes")
        if config is None and results is None:
            raise GradscapeError(
                "required: --results results/<config>, where something ran, or --config "
                "FILE"
            )
        file = config or Results(results).config
        if config is None and not file.exists():
            raise GradscapeError(f"{file}: missing; name the configuration with --config")
        given["experiment"] = Experiment.from_file(file, results, changes)
    function(**given)


def add(
    parser: argparse.ArgumentParser,
    option: Option,
    required: bool,
    by_place: bool = False,
    many: bool = False,
) -> None:
    """An option as an argument, which is in the namespace only if it is given."""
    about: dict = {"default": argparse.SUPPRESS, "help": explained(option, by_place)}
    if option.type is bool:
        about["action"] = argparse.BooleanOptionalAction
    elif option.type is dict:
        about |= {"action": Json, "metavar": "JSON"}
    else:
        about |= {"type": option.type, "metavar": option.type.__name__.upper()}
        about["choices"] = option.words or (
            named(option.named.kind) if option.named else None
        )
    if many:
        about |= {"action": "extend", "nargs": "+" if required else "*"}
    if by_place:
        about |= {"metavar": option.name.upper(), "nargs": None if required else "?"}
        parser.add_argument(option.name, **about)
    else:
        flag = f"--{option.name.replace('_', '-')}"
        parser.add_argument(flag, required=required, **about)


def named(kind: str) -> Iterator[str]:
    """The names of a kind, looked up when a shell is taught to complete them."""
    yield from names(kind)


def explained(option: Option, by_place: bool) -> str:
    """An option's help, with its default where that says something."""
    shown = option.unset or option.default
    says = "" if shown in (None, False, ()) or by_place else f" (default: {shown})"
    known = ", ".join(names(option.named.kind)) if option.named and not option.help else ""
    own = ", or path/file.py:function" if known and option.named.own else ""
    text = f"{option.help}{known}{own}{' (required)' if option.required else says}"
    return text.replace("%", "%%").replace("`", "")
