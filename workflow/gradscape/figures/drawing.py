"""Drawing one figure into files."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib.pyplot as plt

from gradscape.base.errors import GradscapeError
from gradscape.base.files import say, write_file
from gradscape.figures import style
from gradscape.runs.run import FinishedRun, best_setting, by_setting, mean_accuracy
from gradscape.spec.registry import find, is_custom
from gradscape.spec.study import Figure, Study, matches


def drawable(study: Study, finished: list[FinishedRun]) -> Iterator[tuple]:
    """The figures of a study that its finished runs give, each with those that it takes."""
    for figure in study.figures:
        chosen = [run for run in finished if matches(run.traits, figure.where)]
        if probed(figure, chosen):
            yield figure, chosen


def probed(figure: Figure, runs: list[FinishedRun]) -> list[FinishedRun]:
    """The runs that have been probed for this drawing, if it draws a probe."""
    return [run for run in runs if all(map(run.is_probed, figure.probes[:1]))]


def draw(figure: Figure, runs: list[FinishedRun], outputs: list[Path]) -> None:
    """Draw a figure into each of `outputs`; a `.txt` gets the facts for the caption."""
    runs = probed(figure, runs)
    if not runs:
        raise GradscapeError(f"figure {figure.name}: none of its runs is finished")
    chosen = best_setting(runs) if figure.best else runs
    function = find("figure", figure.draw)
    texts = [path for path in outputs if path.suffix == ".txt"]
    with style.applied(), uncollected(), tables_of(figure):
        picture, facts = function(figure, chosen, **figure.options)
        style.save(picture, *(path for path in outputs if path not in texts))
    if figure.best:
        accuracies = [mean_accuracy(group) for group in by_setting(runs).values()]
        if (tied := accuracies.count(mean_accuracy(chosen))) > 1:
            facts += f" {tied} settings validate equally well; this is the first of them."
    for path in texts:
        write_file(path, f"{facts}\n")


def draw_or_leave_out(figure: Figure, runs: list[FinishedRun], outputs: list[Path]) -> None:
    """Draw a figure; of one that cannot be drawn the reason is said, and kept in the place
    of its facts for the report, while its pictures are left empty."""
    try:
        draw(figure, runs, outputs)
    except GradscapeError as error:
        say(f"{error}; it is left out")
        for output in outputs:
            write_file(output, f"{error}\n" if output.suffix == ".txt" else "")


@contextmanager
def uncollected() -> Iterator[None]:
    """Pause Python's search for cycles, a sixth of the time that a drawing takes, and close
    what is drawn in the end, for a report draws dozens."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        plt.close("all")


@contextmanager
def tables_of(figure: Figure) -> Iterator[None]:
    """Tables that can be read, and still do not hold together (rows that are missing or
    there twice), as one sentence; what a drawing of the user's own raises, as it is."""
    try:
        yield
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        if is_custom(figure.draw):
            raise
        raise GradscapeError(
            f"figure {figure.name}: cannot be drawn from the tables of its runs, of which "
            f"one may be damaged ({type(error).__name__}: {' '.join(str(error).split())})"
        ) from error
