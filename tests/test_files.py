"""Files appear whole or not at all, on the disk, and where they are meant to."""

import os
import re
import resource
import socket
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from chains import can_mount, mounted
from conftest import limited, write_run
from gradscape.base import files
from gradscape.base.errors import GradscapeError
from gradscape.base.files import atomic_write, folder_lock
from gradscape.base.paths import RECORD, SEALED, Results
from gradscape.config.experiment import Experiment
from gradscape.data.store import Dataset, load, save
from gradscape.models import sealed
from gradscape.pipeline.once import place_to_train, train_once
from gradscape.pipeline.upkeep import bring_in_line
from gradscape.runs.publish import copy_run, publish
from gradscape.runs.run import FinishedRun
from gradscape.spec.settings import Settings
from gradscape.spec.study import Run
from gradscape.training.checkpoint import Checkpoint
from gradscape.training.save import write_arrays
from hostile import Lost
from spoil import standing


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


def test_no_folder_to_lock_is_made_through_a_link(tmp_path):
    outside, runs = tmp_path / "outside", tmp_path / "results" / "cpu" / "runs"
    outside.mkdir()
    runs.parent.mkdir(parents=True)
    runs.symlink_to(outside)
    with (
        pytest.raises(GradscapeError, match="runs: is a link to"),
        folder_lock(runs / "study" / "run"),
    ):
        pass
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


def test_what_is_published_is_the_runs_own_and_appears_at_once(tmp_path):
    """A link could lead to a secret; a run is there with all its tables or not at all."""
    secret = tmp_path / "secret"
    secret.write_text("key")
    run = write_run(tmp_path / "mine" / "runs", "vgg08").path
    (run / "model.pt").write_bytes(b"weights")
    (run / "probes").mkdir(exist_ok=True)
    (run / "probes" / "signal.csv").write_text("moment\n")
    (run / "notes.txt").symlink_to(secret)
    out = tmp_path / "out" / "runs" / "study" / "run"
    copy_run(run, out)
    copied = {path.name for path in out.rglob("*") if path.is_file()}
    assert copied == {*SEALED, RECORD, "signal.csv"} & {p.name for p in run.rglob("*")}
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    (run / "probes" / "leak.csv").symlink_to(secret)
    with pytest.raises(GradscapeError, match=r"leak\.csv: is a link or no file"):
        copy_run(run, out)
    assert {path: path.read_bytes() for path in before} == before
    (run / "probes" / "leak.csv").unlink()
    (run / "probes" / "signal.csv").unlink()
    (run / "probes").rmdir()
    (tmp_path / "secrets").mkdir()
    secret.rename(tmp_path / "secrets" / "key.csv")
    (run / "probes").symlink_to(tmp_path / "secrets")
    with pytest.raises(GradscapeError, match="probes: is a link to"):
        copy_run(run, out)
    assert {path: path.read_bytes() for path in before} == before
    (run / "probes").unlink()
    out.rename(tmp_path / "elsewhere")
    out.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(GradscapeError, match="run: is a link to"):
        copy_run(run, out)
    out.unlink()
    (tmp_path / "elsewhere").rename(out)
    copy_run(run, out)
    assert not (out / "probes" / "signal.csv").exists()
    assert not list(out.parent.glob(".*"))


def planned(results: Path) -> Experiment:
    """A configuration of two runs."""
    study = {"title": "s", "dataset": "cifar100", "epochs": 2}
    study["grid"] = {"model": ["vgg08"], "seed": [0, 1]}
    return Experiment({"title": "t", "results": str(results), "studies": {"study": study}})


def test_what_a_power_cut_has_emptied_of_the_report_is_named_and_gone(tmp_path, capsys):
    """So that Snakemake makes it; not what a link leads to, nor what may be empty."""
    results = Results(tmp_path / "mine")
    emptied = [results.pdf("report"), results.page, results.archive("report")]
    emptied += [
        results.tex("report"),
        results.claims_csv,
        results.table("study", "results"),
    ]
    kept = [
        results.figure("study", "curves"),
        results.root / "notes",
        tmp_path / "mine.pdf",
    ]
    for path in [*emptied, *kept]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (results.root / "linked.pdf").symlink_to(tmp_path / "mine.pdf")
    results.claims("study").write_text("{}")
    bring_in_line(planned(results.root))
    said = capsys.readouterr().err
    assert said.count("it is empty, so it is made again") == len(emptied)
    assert all(f"{path}: " in said and not path.exists() for path in emptied)
    assert all(path.exists() for path in [*kept, results.claims("study")])


@pytest.mark.parametrize("name", ["model.pt", ".checkpoint.pt"])
@pytest.mark.parametrize("place", ["mine", "yours"])
def test_nothing_is_published_over_what_has_been_trained(name, place, tmp_path):
    """Where runs lie with their weights, a copy without them takes nobody's place."""
    experiment = planned(tmp_path / "mine")
    for folder in (tmp_path / "mine", tmp_path / "yours"):
        for run in experiment.runs:
            write_run(folder / "runs" / "study", "vgg08", seed=run.settings.seed)
        (Results(folder).run("study", experiment.runs[1].name) / name).touch()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(GradscapeError, match=f"seed1: holds a training's {name}, which"):
        publish(experiment, Results(tmp_path / place))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.skipif(not can_mount(), reason="needs root, to mount a small disk")
@pytest.mark.parametrize("room", ["size=12k", "nr_inodes=8"])
def test_a_run_that_finds_no_room_is_not_published_in_part(room, tmp_path):
    run = write_run(tmp_path / "mine" / "runs", "vgg08").path
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", room, "none"):
        out = tmp_path / "disk" / "runs" / "study" / "run"
        with pytest.raises(OSError, match=r"No space left on device: '.*disk"):
            copy_run(run, out)
        assert not out.exists()


def test_a_run_that_takes_anothers_place_says_so(tmp_path):
    """Copied once more it still does; a run with other settings is no exchange."""
    out = tmp_path / "out" / "runs" / "study" / "run"
    for folder, loss in (("first", 2.0), ("second", 1.0)):
        copy_run(write_run(tmp_path / folder, "vgg08", losses=(4.6, loss)).path, out)
    (old,) = FinishedRun(out).replaced
    assert (old["final_train_loss"], FinishedRun(out).scores["final_train_loss"]) == (2, 1)
    copy_run(next((tmp_path / "second").iterdir()), out)
    assert FinishedRun(out).replaced == [old]
    copy_run(write_run(tmp_path / "third", "vgg08", 0.1).path, out)
    assert FinishedRun(out).replaced == [old]


@pytest.mark.parametrize(
    ("file", "fault"),
    [
        *(("run.json", "cut"), ("metrics.csv", "cut"), ("metrics.csv", "linked")),
        *(("model.pt", "cut"), ("model.pt", "gone"), ("probes/a.csv", "gone")),
    ],
)
def test_the_independent_harness_tells_a_run_that_is_lost(file, fault, tmp_path):
    """All that stood must stand; only probes may go, where another run has come."""
    run = write_run(tmp_path / "runs" / "study", "vgg08").path
    (run / "probes").mkdir(exist_ok=True)
    (run / "probes" / "a.csv").write_text("layer,value\n")
    np.savez(run / "weights.npz", a=0)
    (run / "weights.npz").rename(run / "model.pt")
    with pytest.raises(Lost, match="fewer than 2 whole runs"):
        standing(tmp_path, runs=2)
    still_there = standing(tmp_path, runs=1)
    assert "as before" in still_there()
    path = run / file
    content = path.read_bytes()
    path.unlink()
    if fault == "cut":
        path.write_bytes(content[:-9])
    elif fault == "linked":
        (tmp_path / "same").write_bytes(content)
        path.symlink_to(tmp_path / "same")
    if file.startswith("probes"):
        assert "another, whole" in still_there()
        return
    with pytest.raises(Lost, match=rf"lost: .*{re.escape(file)}"):
        still_there()


def save_numbers(path: Path) -> None:
    with atomic_write(path) as partial, partial.open("wb") as file:
        np.save(file, np.zeros(99_999))


@pytest.mark.parametrize(
    "write",
    [
        save_numbers,
        lambda path: write_arrays(path, {"a": np.random.rand(99_999)}),
        lambda path: sealed.save(path, {"a": torch.zeros(99_999)}),
    ],
    ids=["numpy", "zipped", "torch"],
)
def test_a_file_above_the_limit_is_named_and_the_old_one_stands(write, tmp_path):
    """numpy and torch raise errors that tell neither the file nor the reason."""
    path = tmp_path / "file"
    path.write_text("old")
    with (
        limited(resource.RLIMIT_FSIZE, 8192),
        pytest.raises(OSError, match=rf"(File too large|Input/output error): '{path}'"),
    ):
        write(path)
    assert [*tmp_path.iterdir()] == [path] and path.read_text() == "old"


def test_too_many_open_files_are_nobodys_damage(tmp_path):
    """A sound run is not trained again for them, nor a dataset deleted."""
    run = write_run(tmp_path, "vgg08").path
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "mark")
    checkpoint.save({"a": 1})
    data = tmp_path / "data"
    images = np.zeros((6, 1, 1, 3), np.uint8)
    save(Dataset("x", "x", ["a", "b"], 5, images, np.arange(6) % 2), data)
    for look in (
        lambda: place_to_train(run, Settings("vgg08", "cifar100"), "", "", update=True),
        lambda: load(data),
        checkpoint.load,
    ):
        with (
            limited(resource.RLIMIT_NOFILE, 0),
            pytest.raises(OSError, match="Too many open files"),
        ):
            look()
    assert checkpoint.load() and load(data)


def test_a_run_that_a_link_leads_to_is_not_trained_again_before_it_fails(tmp_path):
    write_run(tmp_path, "vgg08").path.rename(tmp_path / "run")
    (tmp_path / "link").symlink_to(tmp_path / "run")
    before = (tmp_path / "run" / RECORD).read_bytes()
    run = Run("s", "link", Settings("vgg08", "cifar100", epochs=3))
    images = SimpleNamespace(checksum="0" * 64)
    with pytest.raises(GradscapeError, match="link: is a link; with --out, name the"):
        train_once(run, images, tmp_path / "link", overwrite=True)
    assert (tmp_path / "run" / RECORD).read_bytes() == before


def test_a_run_that_cannot_be_read_now_is_not_trained_again(tmp_path, monkeypatch):
    run = write_run(tmp_path, "vgg08").path

    def fail(*words):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", fail)
    with pytest.raises(GradscapeError, match=r"run\.json: .*Permission denied"):
        place_to_train(run, Settings("vgg08", "cifar100"), "", "", overwrite=True)


@pytest.mark.parametrize("record", ["", "{", '{"study": "of an older version"}'])
def test_a_run_whose_record_cannot_be_read_stands_too(record, tmp_path):
    """Its tables and weights may be sound, and the record another version's."""
    run = write_run(tmp_path, "vgg08").path
    settings = Settings("vgg08", "cifar100")
    (run / RECORD).write_text(record)
    place = place_to_train(run, settings, "checksum", "code", update=True)
    assert place == run.with_name(f".{run.name}.new")
    assert (
        place_to_train(tmp_path / "none", settings, "checksum", "code") == tmp_path / "none"
    )
