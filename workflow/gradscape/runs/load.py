"""Finished runs for a notebook or a script of one's own: `gradscape.load`."""

from pathlib import Path

import pandas as pd

from gradscape.base.errors import GradscapeError
from gradscape.runs.record import sound_runs
from gradscape.runs.run import FinishedRun, results_table
from gradscape.spec.study import matches


class Runs(list[FinishedRun]):
    """Finished runs by study and name."""

    @property
    def table(self) -> pd.DataFrame:
        """A row a run: what it scored, and every setting; the columns of `results.csv`."""
        return results_table(self)

    def where(self, **wanted) -> "Runs":
        """The runs with these settings, `study` or `variant`; each one value or a list.
        Raises `GradscapeError` for a name that no run has."""
        traits = [run.traits | {"study": run.record.study} for run in self]
        for name in wanted:
            if any(name not in known for known in traits):
                raise GradscapeError(f"runs have no {name!r}")
        pairs = zip(self, traits, strict=True)
        return Runs(run for run, known in pairs if matches(known, wanted))


def load(folder: str | Path) -> Runs:
    """The finished runs below a results folder such as `results/cpu`; damaged ones are
    named and left out. Raises `GradscapeError` if none are left."""
    runs = Runs(sound_runs(Path(folder), lambda record: FinishedRun(record.parent)))
    if not runs:
        raise GradscapeError(f"{folder}: there are no finished runs, runs/<study>/<run>")
    return runs
