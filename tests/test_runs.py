"""Runs are opened, hashed and read once in a process."""

import dataclasses
import hashlib
import json
import shutil
from collections import Counter
from functools import lru_cache

import pytest

from conftest import ROOT, reseal, write_run
from gradscape.base.paths import RECORD
from gradscape.config.experiment import Experiment
from gradscape.report import build
from gradscape.runs import record, tables
from gradscape.runs import run as run_module
from gradscape.runs.run import FinishedRun, finished_runs
from gradscape.spec.study import Probe


@pytest.mark.parametrize(
    "name", ["engine", pytest.param("cpu", marks=pytest.mark.published)]
)
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


def test_what_was_used_longest_ago_is_read_again(tmp_path, monkeypatch):
    """And what was not, is not; so that the tables of 20,000 runs need no room at once."""
    assert run_module.kept.cache_info().maxsize == 2000
    small = lru_cache(maxsize=2)(run_module.kept.__wrapped__)
    monkeypatch.setattr(run_module, "kept", small)
    reads = Counter()
    read = tables.read_steps
    monkeypatch.setattr(tables, "read_steps", lambda p: reads.update([p]) or read(p))
    runs = [write_run(tmp_path, "vgg08", seed=seed) for seed in range(3)]
    for number in (0, 1, 0, 1, 2, 1):
        assert len(runs[number].steps["loss"]) == 20
    paths = [run.path / "steps.npz" for run in runs]
    assert reads == dict.fromkeys(paths, 1)
    _ = runs[0].steps
    assert reads[paths[0]] == 2 and reads[paths[1]] == 1


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


def test_a_table_of_a_probe_that_is_no_longer_wanted_of_a_run_is_not_read(two_networks):
    """Its `where` was narrowed, or it was dropped: figures and claims are those of a folder
    that never had it."""
    study, results = two_networks.studies["s"], two_networks.results
    unchanged, wide = study.runs
    for run in study.runs:
        table = results.probe("s", run.name, "filters")
        table.parent.mkdir()
        table.write_text("filter\n")  # damaged, too
    assert finished_runs(study, results)[0].is_probed("filters") is False
    wanted = {"filters": Probe("filters", "filters", {"variant": "wide"}, {})}
    study = dataclasses.replace(study, probes=wanted)
    assert [run.path.name for run in finished_runs(study, results)] == [unchanged.name]
    assert two_networks.probed([unchanged, wide]) == []
    assert FinishedRun(results.run("s", unchanged.name)).is_probed("filters")


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
