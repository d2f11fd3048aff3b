"""What a configuration will cost, from what was measured and from nothing else."""

import copy
import json
import re
from dataclasses import replace

import pandas as pd
import pytest
import yaml

from conftest import ROOT, TINY
from gradscape.cli import parser as cli
from gradscape.config.experiment import Experiment
from gradscape.pipeline.cost import SECONDS_TO_START, estimated_seconds, plan
from gradscape.pipeline.times import Measured, steps, training_images
from gradscape.runs.record import read, sound_runs, write
from gradscape.spec.settings import Settings

KIND = "GPU of a test"
DONE = "runs/tiny/vgg08_lr1e-3_seed0"


@pytest.fixture
def results(tmp_path):
    """A results folder with one finished run: 100 images/s, and 7 s beside the training."""
    published = ROOT / "results/published/cpu/runs/degradation/vgg08_lr1e-3_seed0"
    record = read(published / "run.json")
    took = {"seconds_training": 20.0, "seconds_last_attempt": 27.0, "resumed": 0}
    backend = replace(record.backend, kind=KIND, threads=0)
    record = replace(record, backend=backend, images_per_second=100.0, **took)
    (tmp_path / DONE).mkdir(parents=True)
    write(tmp_path / DONE / "run.json", record)
    return tmp_path


def costs(change: dict, results, kind: str = KIND) -> str:
    config = copy.deepcopy(yaml.safe_load(TINY))
    config["studies"]["tiny"] |= change
    return plan(Experiment(config, results), kind)


def test_a_program_that_a_record_names_is_not_run(results):
    (results / "evil.py").write_text(f"open({str(results / 'canary')!r}, 'w')")
    path = results / DONE / "run.json"
    record = read(path)
    settings = record.settings | {"dataset": f"{results}/evil.py:f"}
    write(path, replace(record, settings=settings))
    costs({}, results)
    assert not (results / "canary").exists()


def test_hours_are_measured_seconds_of_what_is_left(results):
    """18 epochs of 100 images, passed twice since every second step is probed at two
    sizes, at 100 images/s, and 7 s: 43 s; one of two runs is done."""
    text = costs({"epochs": 18}, results)
    assert "0.01 GPU-hours" in text
    assert Measured(KIND, [*sound_runs(results, read)], {"cifar100"}).seconds(
        Settings("vgg08", "generated10", epochs=36, train_items=100), threads=3
    ) == pytest.approx(43)
    assert text.splitlines()[1].split() == ["tiny", "2", "1", "0.01"]


def test_a_network_never_measured_on_this_cpu_takes_what_it_took_on_another(results):
    """VGG38 was on other CPUs; how much slower this one is, VGG08 says."""
    change = {"grid": {"model": ["vgg38"]}, "dataset": "cifar100", "precision": "auto"}
    new = costs(change, results, "CPU of a test")
    assert "1 run was never measured on CPU of a test: their times are what" in new
    path = results / DONE / "run.json"
    record = read(path)
    backend = replace(record.backend, kind="CPU of a test", threads=1)
    settings = record.settings | {"dataset": "cifar100", "precision": "auto"}
    slow = replace(record, backend=backend, settings=settings, images_per_second=1.0)
    write(path, slow)
    assert hours(costs(change, results, "CPU of a test")) > 100 * hours(new)


def test_a_precision_that_auto_came_to_takes_as_long_where_it_is_asked_for(results):
    """As `gradscape reproduce --estimate` does."""
    measured = Measured(KIND, [*sound_runs(results, read)], {"cifar100"})
    run = Settings("vgg08", "cifar100", epochs=1)
    auto, asked, other = (
        measured.seconds(replace(run, precision=precision), threads=1)
        for precision in ("auto", "bf16", "fp32")
    )
    assert auto == asked and other is None


def hours(text: str) -> float:
    return float(re.search(r"time: ([\d.]+) CPU-hours", text)[1])


def test_estimates_for_a_gpu_are_said_to_be_estimates(results):
    """They were fitted to the steps that were measured on an H200."""
    assert "estimates" not in costs({}, results)
    text = costs({"grid": {"model": ["vgg38"]}}, results)
    assert f"1 run was never measured on {KIND}: their times are estimates" in text
    for row in pd.read_csv(ROOT / "docs" / "h200.csv").itertuples():
        settings = {"batch_size": row.batch_size, "precision": row.precision}
        run = Settings(row.network, "cifar10", epochs=1, **settings)
        seconds = estimated_seconds(run) - SECONDS_TO_START
        off = 0.3 if (row.network, row.precision) == ("vgg38", "fp32") else 0.1
        expected = pytest.approx(row.microseconds, rel=off)
        assert 1e6 * seconds / steps(run) == expected, row.network


def test_a_kind_of_device_is_one_that_is_known(results, capsys):
    """By its name or a word of it; others are refused with the list."""
    (results / "config.json").write_text(json.dumps(yaml.safe_load(TINY)))
    said = []
    for kind in ("H200", "NVIDIA H200", "nvidia h200", "GPU of a test", "CPU"):
        cli.main(["plan", "--results", str(results), "--on", kind])
        said.append(capsys.readouterr().out)
    assert "on NVIDIA H200" in said[0] and said[0] == said[1] == said[2]
    assert f"on {KIND}" in said[3] and "estimates" not in said[3] and "on CPU" in said[4]
    for kind in ("banana", "x86", ""):
        with pytest.raises(SystemExit):
            cli.main(["plan", "--results", str(results), "--on", kind])
        (line,) = capsys.readouterr().err.splitlines()
        assert f"--on: {kind!r}" in line
        assert "CPU AVX2; " in line and "GPU of a test; NVIDIA H200)" in line


def test_an_epochs_images_are_those_of_the_split():
    assert training_images(Settings("vgg08", "cifar100")) == 47_500
    assert training_images(Settings("vgg08", "generated10", split="alberta")) == 9_000
