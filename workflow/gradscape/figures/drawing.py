"""Drawing one figure into files."""

from pathlib import Path

import matplotlib.pyplot as plt

from gradscape.errors import GradscapeError
from gradscape.figures import style
from gradscape.files import whole
from gradscape.registry import declared, find
from gradscape.results.runs import FinishedRun, best_setting
from gradscape.study import Figure


def drawable(figure: Figure, runs: list[FinishedRun]) -> list[FinishedRun]:
    """Those of the runs that have been probed for this drawing, if it draws a probe."""
    needed = declared("figure", figure.draw, "PROBES", [])[:1]
    return [run for run in runs if all(run.probe(name) is not None for name in needed)]


def draw(figure: Figure, runs: list[FinishedRun], outputs: list[Path]) -> None:
    """Draw a figure into each of `outputs`; a `.txt` gets the facts for the caption."""
    runs = drawable(figure, runs)
    if not runs:
        raise GradscapeError(f"figure {figure.name}: none of its runs is finished")
    chosen = best_setting(runs) if figure.best else runs
    with style.applied():
        picture, facts = find("figure", figure.draw)(figure, chosen, **figure.options)
        for output in outputs:
            if output.suffix == ".txt":
                with whole(output) as partial:
                    partial.write_text(facts + "\n")
            else:
                style.save(picture, output)
        plt.close(picture)  # a report draws dozens
