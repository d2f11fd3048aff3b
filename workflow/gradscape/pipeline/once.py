"""A run is trained once: unless it stands finished in its folder as it is asked for."""

from dataclasses import asdict
from pathlib import Path

from gradscape.base import files
from gradscape.base.errors import GradscapeError
from gradscape.base.files import say
from gradscape.base.paths import CODE, RECORD, RUN_FILES
from gradscape.pipeline import dependencies
from gradscape.runs.record import Damaged, RunRecord, read
from gradscape.spec.settings import Settings, differences
from gradscape.spec.study import Run


def train_once(
    run: Run, images, out: Path, overwrite: bool = False, update: bool = False, **options
) -> bool:
    """Train a run on a `Dataset`, unless it lies finished in `out`; tell whether it did.
    Another finished run there is replaced in one step once the new one is whole, and only
    with `overwrite` or, if settings, images, first weights or code changed, with `update`.
    `options` are those of `gradscape.training.train.train`. Raises `GradscapeError`."""
    code = dependencies.digest(dependencies.of_training(run))
    with files.folder_lock(out):
        file = options.get("pretrained") if run.settings.pretrained else None
        weights = files.sha256(file) if file and file.is_file() else None
        wanted = (run.settings, images.checksum, code)
        place = place_to_train(out, *wanted, overwrite, update, weights)
        if place is None:
            return False
        if place != out and out.is_symlink():
            raise GradscapeError(f"{out}: is a link; with --out, name the folder itself")
        from gradscape.training.train import train  # loads torch

        train(run, images, place, code=code, **options)
        keep_code(place, code)
        if place != out:
            files.replace_folder(place, out)
    return True


def place_to_train(
    out: Path,
    settings: Settings,
    checksum: str,
    code: str,
    overwrite: bool = False,
    update: bool = False,
    weights: str | None = None,
) -> Path | None:
    """Where to train a run that shall end in `out`; None if it lies there finished. That is
    `out` itself, or a hidden folder beside it where a finished run stands: that one stands
    until the new one is whole. `checksum` is the images', `code` a digest of the code,
    `weights` that of the file of first weights, if one is given. A run of others is
    replaced with `update`, any with `overwrite`; a damaged one always. Raises
    `GradscapeError` for one that may not be."""
    beside = out.with_name(f".{out.name}.new")
    try:
        record = read(out / RECORD)
    except Damaged as error:
        if not (out / RECORD).exists():
            return out
        if isinstance(error.__context__, OSError):  # nobody could read it now
            raise
        say(f"{error}; what else is there stands until the new run is whole")
        return beside
    changed, damage = differences(record.settings, asdict(settings)), ""
    if not changed and record.data.sha256 != checksum:
        changed = "its images are others"
    elif not changed and weights and record.pretrained_sha256 not in (None, weights):
        changed = "its first weights are others"
    elif not changed and update and trained_with(out, code) != code:
        changed = "its code has changed"
    elif not changed:
        damage = damaged(out, record)
    if overwrite or damage or (changed and update):
        reason = damage or changed or "--overwrite"
        say(f"{out}: holds a finished run ({reason}); it stands until the new one is whole")
        return beside
    if changed:
        raise GradscapeError(
            f"{out}: holds a finished run ({changed}); name another folder with --out, or "
            "replace that run with --overwrite"
        )
    return None


def damaged(out: Path, record: RunRecord) -> str:
    """The file of a finished run that is not as its record says; empty if all are."""
    for name in RUN_FILES:
        try:
            whole = files.plain_file(out / name).stat().st_size > 0
        except GradscapeError:
            whole = False
        sealed = record.sha256.get(name)
        if not whole or (sealed and files.sha256(out / name) != sealed):
            return f"{name} is damaged"
    return ""


def trained_with(out: Path, code: str) -> str:
    """The digest of the code that trained a finished run, or today's for an older run."""
    try:
        return files.plain_file(out / CODE).read_text("utf-8").strip()
    except GradscapeError:
        keep_code(out, code)
        return code


def keep_code(folder: Path, code: str) -> None:
    files.write_file(folder / CODE, f"{code}\n")
