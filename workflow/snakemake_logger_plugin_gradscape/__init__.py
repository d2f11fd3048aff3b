"""A progress bar for a grid of runs, and the command line that people write.

`snakemake --logger gradscape …` shows one bar for all jobs with the time left, a line for
each training that ends, and one sentence and the log for each job that fails.

Snakemake imports its logger plugins before it reads its arguments; so words such as
`snakemake --cores 1 --configfile FILE all` are put right here, and a misspelt target or a
locked folder gets a sentence, whichever logger is chosen, in gradscape's Snakefiles alone.
"""

import logging
import sys
from pathlib import Path

from snakemake_logger_plugin_gradscape.advice import clarify
from snakemake_logger_plugin_gradscape.handler import LogHandler

__all__ = ["LogHandler"]

# Options of several values, which swallow the target after them, and how to tell a value.
PAIRS = ("--resources", "--res", "--config", "-C")  # NAME=VALUE
FILES = ("--configfile", "--configfiles")  # by their endings
ENDINGS = (".yaml", ".yml", ".json")
ONE = ("--logger",)  # the first word
# Where Snakemake looks for one, in its order.
DEFAULT_SNAKEFILES = ["Snakefile", "snakefile", "workflow/Snakefile", "workflow/snakefile"]


def sorted_out(arguments: list[str]) -> tuple[list[str], list[str], list[str]]:
    """The targets that an option would swallow, the words without them, and the
    configuration files among these.

    >>> words = "--configfile a.yaml b.json all --config seeds=1 runs --logger x figures"
    >>> sorted_out(words.split())[0]
    ['all', 'runs', 'figures']
    """
    targets, kept, files, option = [], [], [], ""
    for word in arguments:
        if word.startswith("-"):
            option = word
        is_file = option in FILES and word.endswith(ENDINGS)
        is_first = option in ONE and kept[-1:] == [option]
        is_value = is_file or is_first or (option in PAIRS and "=" in word)
        swallowed = option in (*PAIRS, *FILES, *ONE) and not is_value and word != option
        (targets if swallowed else kept).append(word)
        files += [word] * is_file
    return targets, kept, files


def names_gradscape(arguments: list[str]) -> bool:
    """Does the Snakefile that these arguments select mention gradscape?"""
    chosen = [*DEFAULT_SNAKEFILES]
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        option, _, value = word.partition("=")
        if option in ("-s", "--snakefile"):
            chosen = [value or following]
    found = next((path for path in map(Path, chosen) if path.is_file()), None)
    return found is not None and "gradscape" in found.read_text("utf-8", "replace")


def mend(words: list[str]) -> None:
    """Move swallowed targets to the front, in place; stop if a configuration is missing."""
    program = Path(words[0])
    is_snakemake = "snakemake" in (*program.parts[-2:], program.stem)
    if not is_snakemake or not names_gradscape(words[1:]):
        return
    logging.getLogger("snakemake.logging").addFilter(clarify)
    targets, kept, files = sorted_out(words[1:])
    for file in files:
        if not Path(file).is_file():
            sys.exit(f"gradscape: --configfile: there is no file {file}")
    words[1:] = targets + kept


mend(sys.argv)
