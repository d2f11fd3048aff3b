"""How long a grid will still take, from what `gradscape plan` would say of each run."""

import sys
import time

PRIOR = 60.0  # seconds for which the forecast believes the plan more than what it sees
OTHER = 5.0  # of a job that is no training; drawing and measuring take about that


class Forecast:
    """The work to do, in the plan's seconds, and the pace at which it gets done.

    At first the pace is one such second per second and job that runs at once; a machine
    that is faster or slower shows in the jobs that it has finished.
    """

    def __init__(self) -> None:
        self.total = 0
        self.work = self.done = 0.0
        self.waiting: dict[str, float] = {}  # runs that have not started
        self.running: dict[int, tuple[float, float]] = {}  # work and start, by job
        self.at_once = 1
        self.began = time.monotonic()

    def begin(self, stats: dict[str, int]) -> None:
        """`stats` is the number of jobs by rule, and their `total`."""
        self.total, trainings = stats["total"], stats.get("train", 0)
        self.waiting = expected() if trainings else {}
        times = self.waiting.values()
        self.work = OTHER * (self.total - trainings)
        self.work += trainings * (sum(times) / len(times) if times else OTHER)

    def start(self, job: int, rule: str, wildcards: dict) -> None:
        run = f"{wildcards.get('study')}/{wildcards.get('run')}"
        work = self.waiting.pop(run, OTHER) if rule == "train" else OTHER
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
        seen = now - self.began
        pace = (done + PRIOR * self.at_once) / (seen + PRIOR)
        return max(self.work - done, 0.0) / pace if self.work else None


def expected() -> dict[str, float]:
    """Seconds of each run to do, of the configuration that the Snakefile has read; none if
    anything prevents it, because the bar must not stop the work."""
    dag = sys.modules.get("gradscape.pipeline.jobs")
    if dag is None or dag.chosen is None:
        return {}
    from gradscape.pipeline.rates import cpu_seconds

    try:
        return cpu_seconds(dag.chosen)
    except Exception:
        return {}
