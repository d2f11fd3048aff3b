"""Several processes on one file system, and a full quota."""

import errno
import os
import subprocess

import pytest

from conftest import BIN
from gradscape.base.files import folder_lock
from gradscape.cli import parser as cli

pytestmark = pytest.mark.limit(600)
TRAIN = ["train", "--model", "vgg08", "--dataset", "generated10", "--device", "cpu"]
TRAIN += ["--epochs", "1", "--train-items", "100", "--validation-items", "20"]


def together(*commands) -> list[str]:
    """Start gradscape commands at once; what each printed."""
    processes = [
        subprocess.Popen(
            [BIN / "gradscape", *map(str, command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for command in commands
    ]
    printed = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(commands), printed
    return printed


def test_a_dataset_is_made_once_by_two(tmp_path):
    folder = tmp_path / "generated10"
    command = ["data", "generated10", "--out", folder]
    printed = together(command, command)
    assert sorted("waiting for it" in text for text in printed) == [False, True]
    assert sorted(path.name for path in folder.iterdir()) == [
        "dataset.json",
        "images.npy",
        "labels.npy",
    ]


def test_a_run_is_trained_once_by_two_and_again_for_other_settings(generated, tmp_path):
    command = [*TRAIN, "--data", generated, "--out", tmp_path / "run"]
    printed = together(command, command)
    assert sorted("epoch" in text for text in printed) == [False, True]
    assert sorted("waiting for it" in text for text in printed) == [False, True]
    metrics = (tmp_path / "run" / "metrics.csv").read_bytes()

    with folder_lock(tmp_path / "run"):
        other = subprocess.Popen(
            [BIN / "gradscape", *map(str, command), "--seed", "1", "--overwrite"],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert "waiting for it" in other.stderr.readline()
    other.communicate(timeout=300)
    assert other.returncode == 0
    assert (tmp_path / "run" / "metrics.csv").read_bytes() != metrics


def test_a_lock_ends_with_its_process_and_leaves_no_file(tmp_path):
    with folder_lock(tmp_path):
        pid = os.fork()
        if pid == 0:  # a process that is killed while it waits
            with folder_lock(tmp_path):
                os._exit(1)
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    with folder_lock(tmp_path) as waited:
        assert not waited
    assert not list(tmp_path.iterdir())


def test_without_locks_on_the_file_system_that_is_said(tmp_path, monkeypatch, capsys):
    def flock(file, operation):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("gradscape.base.files.fcntl.flock", flock)
    with folder_lock(tmp_path):
        pass
    assert "not locked" in capsys.readouterr().err


def test_a_full_quota_is_one_sentence(tmp_path, monkeypatch, capsys):
    def save(*arguments):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr("gradscape.data.store.save", save)
    with pytest.raises(SystemExit) as end:
        cli.main(["data", "generated10", "--out", str(tmp_path / "generated10")])
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "Disk quota exceeded; make room and call again" in line
