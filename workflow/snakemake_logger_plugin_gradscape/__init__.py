"""A progress bar for a grid of runs, and the command line that people write.

`snakemake --logger gradscape …` shows one bar for all jobs, and a line for each job that
starts or fails. A failure on a cluster is one sentence, if its reason is known.

Snakemake imports its logger plugins before it reads its arguments. This makes it possible
to have `snakemake --cores 1 --resources gpu=1 all` work as written: `--resources` takes
several values and would swallow the target, so targets after it are moved to the front.
Nothing inside Snakemake is touched, nor the command line of any other Snakefile.
"""

import logging
import sys
from logging import WARNING, LogRecord
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from tqdm import tqdm

from snakemake_logger_plugin_gradscape.advice import advice, tails

SWALLOWS = ("--resources", "--res")
# Where Snakemake looks for one, in its order.
DEFAULT_SNAKEFILES = ["Snakefile", "snakefile", "workflow/Snakefile", "workflow/snakefile"]


def targets_first(arguments: list[str]) -> list[str]:
    """Move whatever follows `--resources` and is not NAME=VALUE to the front.

    >>> targets_first(["--cores", "1", "--resources", "gpu=1", "all"])
    ['all', '--cores', '1', '--resources', 'gpu=1']
    """
    targets, kept, inside = [], [], False
    for word in arguments:
        if word.startswith("-"):
            inside = word in SWALLOWS
        is_target = inside and not word.startswith("-") and "=" not in word
        (targets if is_target else kept).append(word)
    return targets + kept


def is_snakemake(program: str) -> bool:
    return "snakemake" in Path(program).parts[-2:] or Path(program).stem == "snakemake"


def names_gradscape(arguments: list[str]) -> bool:
    """Does the Snakefile that these arguments select mention gradscape?"""
    chosen = [*DEFAULT_SNAKEFILES]
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        option, _, value = word.partition("=")
        if option in ("-s", "--snakefile"):
            chosen = [value or following]
    found = next((path for path in map(Path, chosen) if path.is_file()), None)
    return found is not None and "gradscape" in found.read_text(errors="replace")


if is_snakemake(sys.argv[0]) and names_gradscape(sys.argv[1:]):
    sys.argv[1:] = targets_first(sys.argv[1:])


class LogHandler(LogHandlerBase):
    """Writes the bar and the lines to stderr."""

    def __post_init__(self) -> None:
        self.bar: tqdm | None = None
        # Or each line that Snakemake cannot log, on a full disk, would be a traceback.
        logging.raiseExceptions = False

    def emit(self, record: LogRecord) -> None:
        event = getattr(record, "event", None)
        if event == LogEvent.PROGRESS:
            self.show(record.done, record.total)
        elif event == LogEvent.JOB_INFO:
            message = record.rule_msg or record.rule_name
            tqdm.write(message, file=sys.stderr)
        elif event == LogEvent.JOB_ERROR:
            logs = [str(path) for path in record.log]
            sentence = advice(f"{record.rule_msg}\n{tails(logs)}")
            text = f"{record.rule_name} failed: {sentence}; see {logs[0]}"
            tqdm.write(text if sentence else self.format(record), file=sys.stderr)
        elif record.levelno >= WARNING:
            text = self.format(record)
            tqdm.write(advice(text) or text, file=sys.stderr)

    def show(self, done: int, total: int) -> None:
        if self.bar is None:
            self.bar = tqdm(total=total, unit="job", desc="gradscape")
        self.bar.update(done - self.bar.n)
        if done == total:
            self.bar.close()

    @property
    def writes_to_stream(self) -> bool:
        return True

    @property
    def writes_to_file(self) -> bool:
        return False

    @property
    def has_filter(self) -> bool:
        return False

    @property
    def has_formatter(self) -> bool:
        return False

    @property
    def needs_rulegraph(self) -> bool:
        return False
