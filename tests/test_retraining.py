"""A finished run stands until a new one is whole, whatever becomes of its retraining."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from conftest import (
    BIN,
    TINY,
    copy_repository,
    made_once,
    planned,
    reseal,
    run,
    succeed,
    write_run,
)
from gradscape.base.errors import GradscapeError
from gradscape.base.paths import RUN_FILES
from gradscape.cli import parser as cli
from gradscape.pipeline.once import place_to_train
from gradscape.spec.settings import Settings

NETWORK = """
from torch import nn


def mine(classes, channels=3, size=32):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size * size, classes))
"""
CONFIG = yaml.safe_load(TINY)
for setting in ("landscape_every", "landscape_points", "gradient_lag"):
    del CONFIG["studies"]["tiny"][setting]
CONFIG["studies"]["tiny"] |= {
    "grid": {"model": ["mine.py:mine"], "seed": [0]},
    "tables": ["results"],
    "probes": {"predictions": {}},
    "figures": {"curves": {"draw": "curves"}},
}
RUN = Path("results/tiny/runs/tiny/mine_lr1e-3_seed0")


@pytest.fixture(scope="session")
def trained(shared) -> Path:
    """A user's project, with a network of their own, trained and probed."""

    def make(folder: Path) -> None:
        copy_repository(folder)
        (folder / "mine.py").write_text(NETWORK)
        (folder / "config" / "tiny.yaml").write_text(yaml.dump(CONFIG))
        succeed(*call("runs", "figures"), cwd=folder)

    return made_once(shared / "retraining", make)


@pytest.fixture
def project(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "project", symlinks=True))


def call(*targets: str) -> list[str]:
    return ["snakemake", *targets, "--cores", "2", "--configfile", "config/tiny.yaml"]


def to_do(project: Path, *targets: str) -> set[str]:
    return planned(project, *(targets or ("runs",))) - {"runs", "figures"}


def content(project: Path) -> dict[str, str]:
    files = [path for path in (project / RUN).rglob("[!.]*") if path.is_file()]
    return {
        str(path.relative_to(project)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def configure(project: Path, **changes) -> None:
    config = yaml.safe_load(yaml.dump(CONFIG))
    config["studies"]["tiny"] |= changes
    (project / "config" / "tiny.yaml").write_text(yaml.dump(config))


def broken_network(project: Path) -> None:
    path = project / "mine.py"
    path.write_text(NETWORK.replace("channels * size", "7 * size"))


def broken_late(project: Path) -> None:
    """The training starts, trains an epoch and then fails."""
    (project / "mine.py").write_text(
        NETWORK
        + "\n\nclass Late(nn.Flatten):\n    calls = 0\n\n    def forward(self, x):\n"
        "        Late.calls += 1\n        assert Late.calls < 9, 'too late'\n"
        "        return super().forward(x)\n\n\n"
        "def mine(classes, channels=3, size=32):\n"
        "    return nn.Sequential(Late(), nn.Linear(channels * size * size, classes))\n"
    )


def cut_images(project: Path) -> None:
    images = project / "results" / "data" / "generated10" / "images.npy"
    images.write_bytes(images.read_bytes()[:-1000])
    configure(project, epochs=3)


def unknown_loss(project: Path) -> None:
    (project / "loss.py").write_text("def worse(settings):\n    raise ValueError('no')\n")
    configure(project, loss="loss.py:worse")


@pytest.mark.parametrize(
    "fault",
    [broken_network, broken_late, cut_images, unknown_loss],
    ids=lambda f: f.__name__,
)
def test_a_retraining_that_fails_costs_nothing(fault, project, monkeypatch):
    before = content(project)
    fault(project)
    failed = run(*call("runs"), "--logger", "gradscape", cwd=project)
    assert failed.returncode != 0
    (line,) = [line for line in failed.stderr.splitlines() if " failed: " in line]
    assert "mine_lr1e-3_seed0" in line and "; the finished run there stands; see " in line
    assert content(project) == before
    # Called again, it tries again; and the report can be made from what stands.
    assert "train" in to_do(project)
    configure(project)
    (project / "mine.py").write_text(NETWORK)
    monkeypatch.chdir(project)
    cli.main(["page", "--config", "config/tiny.yaml"])
    assert content(project) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_retraining_costs_nothing_and_goes_on(number, project):
    before = content(project)
    configure(project, epochs=600)
    process = subprocess.Popen(
        call("runs"),
        cwd=project,
        env=os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    log = project / "results/tiny/logs/train/tiny/mine_lr1e-3_seed0.log"
    until = time.monotonic() + 60
    while "epoch   3/600" not in (log.read_text() if log.exists() else ""):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, number)
    process.wait(60)
    time.sleep(1)
    assert content(project) == before
    succeed(*call("runs"), "--unlock", cwd=project)
    configure(project)
    said = succeed(*call("runs"), "--rerun-incomplete", cwd=project)
    assert content(project) == before, said


def test_a_retraining_that_succeeds_replaces_the_run_and_its_probes(project):
    before = content(project)
    probe = project / RUN / "probes" / "predictions.csv"
    probed = probe.stat().st_mtime_ns
    configure(project, epochs=3)
    assert to_do(project, "runs", "figures") >= {"train", "probe", "figure"}
    succeed(*call("runs", "figures"), cwd=project)
    after = content(project)
    assert after.keys() == before.keys() and probe.stat().st_mtime_ns > probed
    changed = {Path(name).name for name in before if after[name] != before[name]}
    assert changed >= {"run.json", "metrics.csv", "steps.npz", "gradients.npz", "model.pt"}
    assert not list((project / RUN).parent.glob(".*"))
    assert to_do(project, "runs", "figures") == set()


def test_a_comment_in_ones_own_network_trains_it_again_to_the_same_bytes(project):
    before = content(project)
    (project / "mine.py").write_text(NETWORK + "# a comment\n")
    trained = succeed(*call("runs", "figures"), cwd=project)
    assert "mine_lr1e-3_seed0: test accuracy" in trained
    after = content(project)
    changed = {Path(name).name for name in before if after[name] != before[name]}
    assert "run.json" in changed and changed <= {"run.json", "timing.csv"}


@pytest.mark.parametrize("name", ["run.json", "steps.npz", "model.pt"])
def test_what_a_power_cut_has_emptied_is_named_and_made_again(name, project):
    path = project / RUN / name
    date = path.stat().st_mtime_ns
    path.write_bytes(b"")
    os.utime(path, ns=(date, date))
    said = succeed(*call("runs"), cwd=project)
    assert re.search(rf"{RUN}: .*(is empty|missing).*made again", said)
    assert path.stat().st_size > 0
    assert to_do(project) == set()


def test_other_first_weights_are_another_training(tmp_path):
    out = write_run(tmp_path, "vgg08").path
    run = reseal(out, pretrained_sha256="1" * 64)
    wanted = Settings(**run.settings)

    def place(weights, **how):
        return place_to_train(out, wanted, "0" * 64, "code", weights=weights, **how)

    with pytest.raises(GradscapeError, match="its first weights are others"):
        place("2" * 64)
    beside = out.with_name(f".{out.name}.new")
    assert place("2" * 64, update=True) == beside
    for name in RUN_FILES:
        (out / name).touch()
        (out / name).write_bytes((out / name).read_bytes() or b" ")
    reseal(out)
    assert place("1" * 64) is None and place(None) is None


def test_runs_from_before_there_was_a_mark_are_not_trained_again(project):
    """Also where Snakemake remembers nothing, and the code is younger than the runs."""
    shutil.rmtree(project / ".snakemake")
    for path in (project / "workflow").rglob("*.py"):
        path.touch()
    for mark in (project / RUN).rglob(".*"):
        mark.unlink()
    assert to_do(project) == set()
    assert content(project)
