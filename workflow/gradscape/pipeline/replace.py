"""A training that ends in a folder where a finished run may stand."""

from pathlib import Path

from gradscape.base.errors import GradscapeError
from gradscape.base.files import folder_lock, replace_folder, say
from gradscape.base.paths import RECORD
from gradscape.data.store import load
from gradscape.pipeline import dependencies
from gradscape.runs.existing import keep_code, place_to_train
from gradscape.spec.registry import short
from gradscape.spec.study import Run


def train(
    run: Run, data: Path, out: Path, overwrite: bool, update: bool, **options
) -> None:
    """Train a run on images below `data`, unless it lies finished in `out`.

    Another finished run there is replaced in one step once the new one is whole, and only
    with `overwrite` or, where its settings, images or code have changed, with `update`.
    `options` are those of `gradscape.training.train.train`. Raises `GradscapeError`.
    """
    try:
        images = load(data / short(run.settings.dataset), run.settings.dataset)
    except GradscapeError as error:
        stands = f"; the run in {out} stands" if (out / RECORD).exists() else ""
        raise GradscapeError(f"{error}{stands}") from None
    code = dependencies.digest(dependencies.of_training(run))
    with folder_lock(out):
        place = place_to_train(out, run.settings, images.checksum, code, overwrite, update)
        if place is None:
            return say(f"{out}: already finished; --overwrite trains it again")
        from gradscape.training.train import train as train_run  # loads torch

        train_run(run, images, place, **options)
        keep_code(place, code)
        if place != out:
            replace_folder(place, out)
