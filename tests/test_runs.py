"""Runs are opened, hashed and read once in a process."""

import hashlib
import json
import shutil
from collections import Counter

import numpy as np
import pytest

from conftest import ROOT, reseal, write_run
from gradscape.base.paths import RECORD
from gradscape.config.experiment import Experiment
from gradscape.report import build
from gradscape.runs import record
from gradscape.runs.cache import Cache
from gradscape.runs.run import FinishedRun


@pytest.mark.parametrize("name", ["engine", "cpu"])
def test_a_report_opens_each_run_once_and_hashes_no_file_twice(name, tmp_path, monkeypatch):
    """The larger folder without its figures, which take half a minute."""
    published, opened, hashed = ROOT / "results/published" / name, Counter(), Counter()
    folder = tmp_path / name
    shutil.copytree(published, folder, ignore=shutil.ignore_patterns("*.pdf"))
    read, digest = record.read, hashlib.file_digest
    monkeypatch.setattr(record, "read", lambda path: opened.update([path]) or read(path))
    monkeypatch.setattr(
        hashlib,
        "file_digest",
        lambda file, kind: hashed.update([file.name]) or digest(file, kind),
    )
    monkeypatch.setattr(build, "compile_pdf", lambda *_: None)
    if name == "cpu":
        monkeypatch.setattr(build, "draw_or_leave_out", lambda *_: None)
    build.build(Experiment.from_file(folder / "config.json", folder))
    runs = sorted(folder.glob(f"runs/*/*/{RECORD}"))
    assert sorted(opened) == runs and {*opened.values()} == {1}
    assert len(hashed) > 3 * len(runs) and {*hashed.values()} == {1}


def test_what_was_used_longest_ago_is_read_again(tmp_path):
    cache, reads = Cache(2_000), Counter()

    def get(key):
        def read():
            reads[key] += 1
            return {"loss": np.zeros(100)}  # 800 bytes

        return cache.get(key, read)

    for key in "ababcb":
        get(key)
    assert reads == {"a": 1, "b": 1, "c": 1} and cache.bytes <= 2_000
    get("a")
    assert reads["a"] == 2 and [*cache.kept] == ["b", "a"]
    get("b")["more"] = np.ones(1)
    assert [*get("b")] == ["loss"]


def test_a_migrated_run_says_so_and_what_was_never_recorded_is_null(tmp_path):
    run = write_run(tmp_path, "vgg08")
    assert "sealed_at" not in json.loads((run.path / RECORD).read_text())
    moved = reseal(run.path, sealed_at=record.MIGRATION)
    assert moved.record.sealed_at == "migration"
    assert (moved.record.flops, moved.predictions, moved.correct) == (None, None, None)
    assert set(moved.record.sha256) == {
        "metrics.csv",
        "test.csv",
        "steps.npz",
        "gradients.npz",
    }
    assert FinishedRun(run.path).record == moved.record


@pytest.mark.parametrize("column", ["value", "uncertainty", "quantity"])
def test_a_probe_without_a_column_that_its_file_declares_is_damaged(column, tmp_path):
    path = write_run(tmp_path, "vgg08").path
    (path / "probes").mkdir()
    row = {"quantity": "trace", "value": "1", "uncertainty": "2"}
    del row[column]
    text = f"{','.join(row)}\n{','.join(row.values())}\n"
    (path / "probes" / "hessian.csv").write_text(text)
    with pytest.raises(record.Damaged, match=f"the column {column} is missing"):
        FinishedRun(path).probe("hessian")
