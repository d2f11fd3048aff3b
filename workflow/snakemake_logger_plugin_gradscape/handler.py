"""Snakemake's events as a bar with the time left, and lines above it."""

import logging
import re
import sys
import threading
import time
from logging import WARNING, LogRecord
from pathlib import Path
from textwrap import shorten

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from tqdm import tqdm

from snakemake_logger_plugin_gradscape.advice import chosen, explain

FORMAT = "{desc} {bar:20} {n_fmt}/{total_fmt} jobs, {elapsed}{postfix}"
TRAIN = "train"
# Snakemake adds these to a job's failure, which has its own line.
ECHOES = ("CalledProcessError in file", "Exiting because a job execution failed")
ECHOES += ("At least one job did not complete successfully",)
# How a job ends that a person, or the system for one, has stopped.
STOPPED = re.compile(r"died with <Signals\.SIG(INT|TERM)|exit status (130|143)\b")
# Why what was made is made again, in Snakemake's words.
CHANGED = re.compile("changed since|Updated input files|Forced|modified")
PRIOR = 60.0  # seconds for which the forecast believes the plan more than what it sees
OTHER = 5.0  # of a job that is no training; drawing and measuring take about that


class Forecast:
    """How long a grid will still take: the work to do, in `gradscape plan`'s seconds, and
    the pace at which it gets done. At first that is one such second per second and job that
    runs at once; how fast the machine is shows in the jobs that it has finished."""

    def __init__(self) -> None:
        self.total = 0
        self.work = self.done = 0.0
        self.waiting: dict[str, float] = {}  # runs that have not started
        self.running: dict[int, tuple[float, float]] = {}  # work and start, by job
        self.at_once = 1
        self.begun = False
        self.began = time.monotonic()

    def begin(self, stats: dict[str, int]) -> None:
        """`stats` is the number of jobs by rule, and their `total`."""
        self.total, trainings = stats["total"], stats.get(TRAIN, 0)
        self.waiting = expected() if trainings else {}
        usual = sum(self.waiting.values()) / len(self.waiting) if self.waiting else OTHER
        self.work = OTHER * (self.total - trainings) + usual * trainings

    def start(self, job: int, rule: str, wildcards: dict) -> None:
        self.begun = True
        run = f"{wildcards.get('study')}/{wildcards.get('run')}"
        work = self.waiting.pop(run, OTHER) if rule == TRAIN else OTHER
        self.running[job] = work, time.monotonic()
        self.at_once = max(self.at_once, len(self.running))

    def finish(self, job: int, failed: bool = False) -> None:
        work, _ = self.running.pop(job, (0.0, 0.0))
        self.work -= work * failed  # nobody will do it
        self.done += work * (not failed)

    def left(self) -> float | None:
        """Seconds until all is done; None before anything is known."""
        now = time.monotonic()
        done = self.done + sum(min(w, now - at) for w, at in self.running.values())
        pace = (done + PRIOR * self.at_once) / (now - self.began + PRIOR)
        return max(self.work - done, 0.0) / pace if self.work else None


def expected() -> dict[str, float]:
    """The seconds of each run to do; none if anything prevents it: the work goes on."""
    try:
        from gradscape.pipeline import times

        return times.expected(chosen(), "CPU")[0]
    except Exception:
        return {}


class LogHandler(LogHandlerBase):
    """Writes to stderr: the bar if that is a terminal, the lines always."""

    writes_to_stream = True
    writes_to_file = has_filter = has_formatter = needs_rulegraph = False

    def __post_init__(self) -> None:
        self.jobs: dict[int, LogRecord] = {}  # that run, by their numbers
        self.ended: dict[str, set[int]] = {"failed": set(), "interrupted": set()}
        self.stopped = False  # the job that will be said to have failed
        self.logs: Path | None = None
        self.forecast = Forecast()
        self.bar = tqdm(
            total=0,
            desc="gradscape: planning",
            bar_format="{desc}, {elapsed}",
            disable=None if not self.common_settings.dryrun else True,
        )
        self.progress = ""  # of the training that has run longest
        self.closed = threading.Event()
        threading.Thread(target=self.tick, daemon=True).start()
        # Or each line that Snakemake cannot log, on a full disk, would be a traceback.
        logging.raiseExceptions = False

    def tick(self) -> None:
        """Keep the clock going while nothing happens."""
        while not self.closed.wait(1):
            with self.lock:
                self.progress = self.inside()
                self.show()

    def emit(self, record: LogRecord) -> None:
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO:
            self.begin(record)
        elif event == LogEvent.JOB_INFO:
            self.start(record)
        elif event == LogEvent.SHELLCMD and self.common_settings.printshellcmds:
            say(record.shellcmd or "")
        elif event == LogEvent.JOB_FINISHED:
            self.forecast.finish(record.job_id)
            job = self.jobs.pop(record.job_id, None)
            if job is not None and job.rule_name == TRAIN:
                say(summary(job))
        elif event == LogEvent.PROGRESS:
            self.bar.n, self.bar.total = record.done, record.total
        elif event == LogEvent.JOB_ERROR:
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
        for jobs in self.ended.values():
            jobs.discard(record.jobid)
        self.forecast.start(record.jobid, record.rule_name, record.wildcards or {})
        folders = Path(record.log[0]).parents if record.log else []
        self.logs = next((path for path in folders if path.name == "logs"), self.logs)
        shown = record.rule_name != TRAIN or self.common_settings.dryrun
        if shown and record.rule_msg:
            say(record.rule_msg + (again(record) if self.common_settings.dryrun else ""))

    def fail(self, record: LogRecord) -> None:
        started = self.jobs.pop(record.jobid, None)
        name = (started and started.rule_msg) or record.rule_name
        self.forecast.finish(record.jobid, failed=True)
        reason = explain(record.rule_msg or "", record.log) or "nothing says why"
        stopped = self.stopped or reason == "KeyboardInterrupt"  # before gradscape began
        self.ended["interrupted" if stopped else "failed"].add(record.jobid)
        training = started if started and started.rule_name == TRAIN else None
        is_finished = training and Path(training.output[0]).with_name("run.json").exists()
        stands = "; the finished run there stands" if is_finished else ""
        if stopped:
            return say(f"{name} interrupted{stands}; the same command goes on from there")
        where = [log for log in record.log if Path(log).is_file()] or [".snakemake/log"]
        say(f"{name} failed: {reason}{stands}; see {where[0]}")

    def show(self) -> None:
        left, failed = self.forecast.left(), self.ended["failed"]
        parts = [f"{len(self.jobs)} running{self.progress}" if self.jobs else ""]
        parts += [f"{len(failed)} failed" if failed else ""]
        parts += [f"about {duration(left)} left" if left else ""]
        self.bar.set_postfix_str(", ".join(filter(None, parts)))

    def inside(self) -> str:
        """How far the training is that has run longest; nothing where no bar shows it."""
        trainings = (job for job in self.jobs.values() if job.rule_name == TRAIN)
        job = None if self.bar.disable else next(trainings, None)
        if not (job and job.log):
            return ""
        from gradscape.runs.live import progress  # of the Snakefile's own gradscape

        seen = progress(Path(job.log[0]))
        if not seen:
            return ""
        of = f"epoch {seen.epoch}/{seen.epochs}, loss {seen.train_loss:.2f}"
        return f" ({job.wildcards.get('run')}: {of}, {seen.val_accuracy:.1%})"

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
        if not (total and self.forecast.begun):  # a dry run, nothing to do, or refused
            return
        bad = "".join(f", {len(jobs)} {how}" for how, jobs in self.ended.items() if jobs)
        more = "" if done == total else "; call again to go on"
        say(
            f"gradscape: {done} of {total} jobs done{bad}, in "
            f"{duration(time.monotonic() - self.forecast.began)}; logs: "
            f"{self.logs or '.snakemake/log'}{more}"
        )


def say(text: str) -> None:
    tqdm.write(text, file=sys.stderr)


def again(job: LogRecord) -> str:
    """Why a job would run once more, in a bracket."""
    reasons = [part for part in job.reason.split("; ") if CHANGED.search(part)]
    short = "; ".join(reason.partition(": Union of")[0] for reason in reasons)
    return f" ({shorten(short, 150)})" if reasons else ""


def summary(job: LogRecord) -> str:
    from gradscape.runs.record import summary as of_run

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
