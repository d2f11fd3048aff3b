"""The finished runs of a results folder, for a notebook or a script of one's own."""

from pathlib import Path

import pandas as pd

from gradscape.base.errors import GradscapeError
from gradscape.runs.record import sound_runs
from gradscape.runs.run import FinishedRun
from gradscape.runs.table import results_table
from gradscape.spec.study import matches


class Runs(list[FinishedRun]):
    """Finished runs, by study and name.

    Of each: `metrics`, a row an epoch; `gradients`, the mean absolute gradient, a row an
    epoch and a column a layer; `steps`, what was kept of every step; `probe("hessian")`;
    `predictions`; `settings` and `record`.
    """

    @property
    def table(self) -> pd.DataFrame:
        """A row a run: what it scored, and every setting; the columns of `results.csv`."""
        return results_table(self)

    def where(self, **wanted) -> "Runs":
        """The runs with these settings, `study` or `variant`; each one value or a list.

        Raises `GradscapeError` for a name that no run has.
        """
        for name in wanted:
            if any(name not in {"study", *run.traits} for run in self):
                raise GradscapeError(f"runs have no {name!r}")
        chosen = (run for run in self if matches(of(run), wanted))
        return Runs(chosen)


def of(run: FinishedRun) -> dict:
    return run.traits | {"study": run.record.study}


def load(folder: str | Path) -> Runs:
    """The finished runs below a results folder such as `results/cpu`.

    Damaged ones are left out, each with a sentence on stderr. Raises `GradscapeError` if
    none are left.
    """
    runs = Runs(sound_runs(Path(folder), lambda record: FinishedRun(record.parent)))
    if not runs:
        raise GradscapeError(f"{folder}: there are no finished runs, runs/<study>/<run>")
    return runs
