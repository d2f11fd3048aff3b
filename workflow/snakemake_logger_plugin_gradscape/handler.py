"""Snakemake's events as a bar with the time left, and lines above it."""

import logging
import re
import sys
import threading
import time
from logging import WARNING, LogRecord
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from tqdm import tqdm

from snakemake_logger_plugin_gradscape.advice import explain
from snakemake_logger_plugin_gradscape.forecast import Forecast

FORMAT = "{desc} {bar:20} {n_fmt}/{total_fmt} jobs, {elapsed}{postfix}"
TRAIN = "train"
# Snakemake adds these to a job's failure, which has its own line.
ECHOES = ("CalledProcessError in file", "Exiting because a job execution failed")
ECHOES += ("At least one job did not complete successfully",)
# How a job ends that a person, or the system for one, has stopped.
STOPPED = re.compile(r"died with <Signals\.SIG(INT|TERM)|exit status (130|143)\b")


class LogHandler(LogHandlerBase):
    """Writes to stderr: the bar if that is a terminal, the lines always."""

    writes_to_stream = True
    writes_to_file = has_filter = has_formatter = needs_rulegraph = False

    def __post_init__(self) -> None:
        self.jobs: dict[int, LogRecord] = {}  # that run, by their numbers
        self.failed: set[int] = set()
        self.interrupted: set[int] = set()
        self.stopped = False  # the job that will be said to have failed
        self.logs: Path | None = None
        self.forecast = Forecast()
        self.bar = tqdm(
            total=0,
            desc="gradscape: planning",
            bar_format="{desc}, {elapsed}",
            disable=None if not self.common_settings.dryrun else True,
        )
        self.closed = threading.Event()
        threading.Thread(target=self.tick, daemon=True).start()
        # Or each line that Snakemake cannot log, on a full disk, would be a traceback.
        logging.raiseExceptions = False

    def tick(self) -> None:
        """Keep the clock going while nothing happens."""
        while not self.closed.wait(1):
            with self.lock:
                self.show()

    def emit(self, record: LogRecord) -> None:
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO:
            self.begin(record)
        elif event == LogEvent.JOB_INFO:
            self.start(record)
        elif event == LogEvent.JOB_FINISHED:
            self.finish(record.job_id)
        elif event == LogEvent.PROGRESS:
            self.bar.n, self.bar.total = record.done, record.total
        elif event in (LogEvent.JOB_ERROR, LogEvent.GROUP_ERROR):
            self.fail(record)
        elif record.levelno >= WARNING:
            text = self.format(record)
            self.stopped = bool(STOPPED.search(text))
            if not any(echo in text for echo in ECHOES):
                say(explain(text) or text)
        elif event is None and str(record.msg).startswith("Nothing to be done"):
            say("gradscape: nothing to be done, everything is up to date")
        self.show()

    def begin(self, record: LogRecord) -> None:
        if self.common_settings.dryrun:
            return say(self.format(record)) if self.jobs else None  # once, at the end
        self.bar.total = record.stats["total"]
        self.bar.desc, self.bar.bar_format = "gradscape", FORMAT
        self.forecast.begin(record.stats)

    def start(self, record: LogRecord) -> None:
        self.jobs[record.jobid] = record
        self.failed.discard(record.jobid)
        self.interrupted.discard(record.jobid)
        self.forecast.start(record.jobid, record.rule_name, record.wildcards or {})
        folders = Path(record.log[0]).parents if record.log else []
        self.logs = next((path for path in folders if path.name == "logs"), self.logs)
        shown = record.rule_name != TRAIN or self.common_settings.dryrun
        if shown and record.rule_msg:
            say(record.rule_msg)

    def finish(self, number: int) -> None:
        self.forecast.finish(number)
        job = self.jobs.pop(number, None)
        if job is not None and job.rule_name == TRAIN:
            say(summary(job))

    def fail(self, record: LogRecord) -> None:
        for job in getattr(record, "job_error_info", [vars(record)]):
            started = self.jobs.pop(job["jobid"], None)
            name = (started and started.rule_msg) or job["rule_name"]
            self.forecast.finish(job["jobid"], failed=True)
            if self.stopped:
                self.interrupted.add(job["jobid"])
                say(f"{name} interrupted; the same command goes on from there")
                continue
            self.failed.add(job["jobid"])
            logs = [str(path) for path in [*job["log"], *getattr(record, "aux_logs", [])]]
            reason = explain(getattr(record, "rule_msg", "") or "", logs)
            where = next(filter(lambda log: Path(log).is_file(), logs), "")
            say(
                f"{name} failed: {reason or 'nothing says why'}; "
                f"see {where or '.snakemake/log'}"
            )

    def show(self) -> None:
        left = self.forecast.left()
        parts = [f"{len(self.jobs)} running" if self.jobs else ""]
        parts += [f"{len(self.failed)} failed" if self.failed else ""]
        parts += [f"about {duration(left)} left" if left else ""]
        self.bar.set_postfix_str(", ".join(filter(None, parts)))

    def close(self) -> None:
        """Take the bar away, or the prompt would stand in it, and say how it ended."""
        with self.lock:
            if not self.closed.is_set():
                self.closed.set()
                self.bar.leave = False
                self.bar.close()
                self.sum_up()
        super().close()

    def sum_up(self) -> None:
        done, total = self.bar.n, self.forecast.total
        if not total:  # a dry run, or nothing to do
            return
        ended = {"failed": self.failed, "interrupted": self.interrupted}
        bad = "".join(f", {len(jobs)} {how}" for how, jobs in ended.items() if jobs)
        more = "" if done == total else "; call again to go on"
        say(
            f"gradscape: {done} of {total} jobs done{bad}, in "
            f"{duration(time.monotonic() - self.forecast.began)}; logs: "
            f"{self.logs or '.snakemake/log'}{more}"
        )


def say(text: str) -> None:
    tqdm.write(text, file=sys.stderr)


def summary(job: LogRecord) -> str:
    from gradscape.runs.existing import summary as of_run

    try:
        return of_run(Path(job.output[0]).parent)
    except Exception:  # its disk is slow, or has lost the run again
        return f"{job.rule_msg}: done"


def duration(seconds: float) -> str:
    """
    >>> duration(42), duration(600), duration(9000)
    ('42 s', '10 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
