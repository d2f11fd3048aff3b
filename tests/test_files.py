"""Files appear whole or not at all, on the disk, and where they are meant to."""

import os
import socket

import pytest

from gradscape.base import files
from gradscape.base.errors import GradscapeError
from gradscape.base.files import atomic_write, folder_lock


@pytest.mark.parametrize(
    ("link", "written"),
    [
        ("runs/study", "runs/study/run/metrics.csv"),
        ("runs/study/run", "runs/study/run/metrics.csv"),
        ("runs/study/run/probes", "runs/study/run/probes/signal.csv"),
        ("figures/study", "figures/study/curves.pdf"),
        ("claims", "claims/study.json"),
    ],
)
def test_nothing_is_written_through_a_linked_folder(link, written, tmp_path):
    outside, results = tmp_path / "outside", tmp_path / "results" / "cpu"
    outside.mkdir()
    (results / link).parent.mkdir(parents=True)
    (results / link).symlink_to(outside)
    with (
        pytest.raises(GradscapeError, match=f"{link}: is a link to"),
        atomic_write(results / written) as partial,
    ):
        partial.write_text("leaked")
    assert not list(outside.iterdir())


def test_the_results_folder_itself_may_lie_on_another_disk(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "results").symlink_to(tmp_path / "disk")
    with atomic_write(tmp_path / "results" / "figures" / "study" / "a.pdf") as partial:
        partial.write_text("drawn")
    assert (tmp_path / "disk" / "figures" / "study" / "a.pdf").read_text() == "drawn"


@pytest.mark.limit(20)
@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "socket"])
def test_a_lock_that_is_no_file_is_named_and_spared(kind, tmp_path):
    lock, victim = tmp_path / "run" / ".lock", tmp_path / "victim"
    lock.parent.mkdir()
    victim.write_text("mine")
    if kind == "link":
        lock.symlink_to(victim)
    elif kind == "pipe":
        os.mkfifo(lock)
    elif kind == "folder":
        lock.mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(lock))
    with (
        pytest.raises((GradscapeError, OSError), match=r"\.lock"),
        folder_lock(lock.parent),
    ):
        pass
    assert victim.read_text() == "mine"


def test_file_and_folder_are_on_the_disk_before_the_file_has_its_name(
    tmp_path, monkeypatch
):
    """As strace would show it: the file is flushed, renamed, and its folder flushed."""
    done = []
    flush, replace = files.flush, files.Path.replace
    monkeypatch.setattr(files, "flush", lambda p: (done.append(("flush", p)), flush(p)))
    monkeypatch.setattr(
        files.Path,
        "replace",
        lambda p, to: (done.append(("rename", to)), replace(p, to))[1],
    )
    path = tmp_path / "run.json"
    with atomic_write(path) as partial:
        partial.write_text("{}")
    assert done == [("flush", partial), ("rename", path), ("flush", tmp_path)]
