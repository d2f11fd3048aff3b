"""Tensors on disk under a seal, so that no damaged byte is taken for a number: what
`torch.save` writes, followed by the SHA-256 of all that. The digest is a comment of the zip
archive, so `torch.load` can read the file too."""

import hashlib
import io
import os
import zipfile
from pathlib import Path

import torch

from gradscape.base.errors import GradscapeError, is_shortage
from gradscape.base.files import atomic_write, bounded_file

SEAL = b"gradscape sha256 "
SIZE = len(SEAL) + 64
MAX_BYTES = 2**33


class Damaged(Exception):
    """The bytes are not those that were written."""


def save(path: Path, content: dict) -> None:
    """Write numbers, text and tensors; they reach the disk whole or not at all."""
    with atomic_write(path) as partial, partial.open("wb+") as file:
        torch.save(content, file)
        file.seek(-2, os.SEEK_END)  # an archive ends with the length of its comment
        file.write(SIZE.to_bytes(2, "little"))
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.write(SEAL + digest.encode())


def load(path: Path, unsealed: bool = False) -> dict:
    """Read it back, with the tensors on the host. Raises `Damaged` for changed bytes, and
    for a missing seal unless the file may be `unsealed`, as before there were seals."""
    try:
        content = bounded_file(path, MAX_BYTES).read_bytes()
    except GradscapeError as error:
        raise Damaged(str(error)) from None
    if content[-SIZE:].startswith(SEAL):
        digest = hashlib.sha256(memoryview(content)[:-SIZE]).hexdigest()
        if not content.endswith(digest.encode()):
            raise Damaged("other bytes than were written")
    elif not unsealed:
        raise Damaged("cut short, or not one of gradscape's")
    return tensors(content)


def read_weights(path: Path) -> dict:
    """A run's `settings` and `classes`, the weights of its `best` and its `last` epoch;
    raises `GradscapeError` for a missing or damaged file."""
    try:
        return load(path, unsealed=True)
    except FileNotFoundError:
        raise GradscapeError(f"{path}: missing; the run has to be trained") from None
    except Damaged as error:
        raise GradscapeError(
            f"{path}: damaged ({error}); delete the run's run.json and train it again"
        ) from None


def tensors(content: bytes) -> dict:
    """Read what `torch.save` wrote, and run nothing in it; raises `Damaged` for the rest,
    as what unpacks to more than its own size: `torch.save` compresses nothing."""
    try:
        file = io.BytesIO(content)
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as packed:
                if sum(entry.file_size for entry in packed.infolist()) > len(content):
                    raise ValueError
        file.seek(0)
        saved = torch.load(file, map_location="cpu", weights_only=True)
        if not isinstance(saved, dict):
            raise TypeError
        return saved
    except Exception as error:  # whatever the reader raises for a torn file
        if is_shortage(error):
            raise
        raise Damaged(type(error).__name__) from error
