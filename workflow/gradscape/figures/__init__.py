"""The figures: one function a figure, from finished runs to matplotlib. No torch here.

A drawing takes a `Figure` and its finished runs and returns the picture and one or more
sentences of facts about it (seeds, rates, smoothing) that the report adds to the caption.
A new one is a module and a line in `DRAWINGS`.
"""

from __future__ import annotations  # config.py asks this module for its names

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from gradscape.errors import GradscapeError
from gradscape.files import whole

if TYPE_CHECKING:
    from gradscape.config import Figure
    from gradscape.runs import FinishedRun

DRAWINGS = {
    "curves": "gradscape.figures.curves:curves",
    "gradient_flow": "gradscape.figures.gradient_flow:gradient_flow",
    "loss_band": "gradscape.figures.loss_band:loss_band",
}


def draw(figure: Figure, runs: list[FinishedRun], outputs: list[Path]) -> None:
    """Draw a figure into each of `outputs`; a `.txt` gets its facts."""
    from gradscape.figures import style  # pandas and matplotlib load slowly
    from gradscape.runs import best_setting

    if not runs:
        raise GradscapeError(f"figure {figure.name}: none of its runs is finished")
    module, function = DRAWINGS[figure.draw].split(":")
    chosen = best_setting(runs) if figure.best else runs
    with style.applied():
        picture, facts = getattr(import_module(module), function)(figure, chosen)
        for output in outputs:
            if output.suffix == ".txt":
                with whole(output) as partial:
                    partial.write_text(facts + "\n")
            else:
                style.save(picture, output)
