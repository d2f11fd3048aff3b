"""gradscape used from a folder that is not its own, where nothing of it lies."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from pypdf import PdfReader

from conftest import BIN, ROOT, TINY, needs_tex, run, succeed
from gradscape.cli import parser as cli
from gradscape.training import save

SNAKEFILE = ROOT / "Snakefile"

# A module as snakedeploy writes one.
DEPLOYED = """
configfile: "config/config.yaml"

module gradscape:
    snakefile: "{snakefile}"
    config: config

use rule * from gradscape
"""

# Part of a workflow of one's own, whose configuration and folders are its own.
PART = """
configfile: "config.yaml"

module gradscape:
    snakefile: "{snakefile}"
    config: config["trainings"]
    prefix: "inner"

use rule * from gradscape as gradscape_*

onstart:
    gradscape.onstart()

rule everything:
    default_target: True
    input: rules.gradscape_all.input, "mine.txt"

rule mine:
    output: "mine.txt"
    shell: "touch {{output}}"
"""

NETWORK = """
from torch import nn

def narrow(classes, channels=3, size=32, dropout=0.0):
    return nn.Sequential(nn.Flatten(), nn.Dropout(dropout),
                         nn.Linear(channels * size * size, classes))
"""
OPTIMISER = """
import torch

class SignSGD(torch.optim.Optimizer):
    def __init__(self, parameters, lr):
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.sub_(group["lr"] * parameter.grad.sign())

def sign_sgd(parameters, settings, capturable):
    return SignSGD(parameters, settings.learning_rate)
"""
PROBE = """
def spread(run, images: int = 10):
    model = run.network("best").eval()
    pixels, _ = run.test_images(slice(images))
    return [{"image": n, "spread": float(logits.std())}
            for n, logits in enumerate(model(pixels).detach())]
"""
FIGURE = """
import matplotlib.pyplot as plt

PROBES = ["spread"]

def dots(figure, runs, marker: str = "o"):
    picture, axis = plt.subplots()
    for run in runs:
        table = run.probe("spread")
        axis.plot(table["image"], table["spread"], marker)
    return picture, f"{len(table)} dots of {len(runs)} run."
"""
METRIC = """
def parameters_per_class(runs):
    return runs[0].record.parameters / runs[0].record.data.classes
"""
SECTION = r"""
\section{((= heading =))}
A section of my own about ((= study.recorded("parameters") =)) parameters.
((= study.all_figures() =))
((* include "parts/claims.tex.j2" *))
"""
OWN = """
title: Nothing but mine
results: results/mine
defaults: {device: cpu}
studies:
  shapes:
    title: Shapes of my own
    section: mine/section.tex.j2
    dataset: shapes.npz
    model: mine/network.py:narrow
    optimiser: mine/optimiser.py:sign_sgd
    dropout: 0.1
    epochs: 2
    batch_size: 20
    augmentation: none
    probes: {spread: {measure: mine/probe.py:spread, images: 7}}
    figures:
      dots: {draw: mine/figure.py:dots, options: {marker: x}, caption: My dots.}
    claims:
      size:
        statement: There is one parameter a pixel, and a bias.
        source: my own count
        left: {metric: mine/metric.py:parameters_per_class, where: {dropout: 0.1}}
        is: near
        right: 785
"""


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    """An empty folder to stand in."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def installed(tmp_path_factory) -> Path:
    """The wheel, unpacked where Python finds it before the clone."""
    folder = tmp_path_factory.mktemp("wheel")
    build = "pip wheel --quiet --no-deps --no-build-isolation --wheel-dir"
    succeed(sys.executable, "-m", *build.split(), folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    site = folder / "site"
    install = "pip install --quiet --no-deps --no-index --target"
    succeed(sys.executable, "-m", *install.split(), site, wheel)
    return site


def planned(output: str) -> dict[str, int]:
    counts = re.search(r"Job stats:\n(.*?)\ntotal", output, re.S)
    assert counts, output
    lines = [line.split() for line in counts[1].splitlines()[2:]]
    return {rule.removeprefix("gradscape_"): int(count) for rule, count in lines}


@pytest.mark.networks
def test_a_foreign_directory_and_a_deployed_module_plan_the_same(elsewhere):
    (elsewhere / "config").mkdir()
    (elsewhere / "config" / "config.yaml").write_text(TINY)
    names = ["-n", "--cores", "2", "--configfile", "config/config.yaml"]
    directly = planned(succeed("snakemake", "-s", SNAKEFILE, *names, cwd=elsewhere))
    assert directly["train"] == 2 and directly["pdf"] == 2
    moved = ["-n", "--cores", "2", "-s", SNAKEFILE, "-d", elsewhere]
    moved += ["--configfile", elsewhere / "config" / "config.yaml"]
    assert planned(succeed("snakemake", *moved, cwd="/")) == directly
    catalogue = ROOT / "workflow" / "Snakefile"
    (elsewhere / "workflow").mkdir()
    deployed = DEPLOYED.format(snakefile=catalogue)
    (elsewhere / "workflow" / "Snakefile").write_text(deployed)
    by_module = planned(succeed("snakemake", "-n", "--cores", "2", cwd=elsewhere))
    rest = directly.keys() - {"all"}
    assert {rule: by_module[rule] for rule in rest} == {r: directly[r] for r in rest}


@needs_tex
@pytest.mark.networks
def test_as_a_part_of_another_workflow_below_a_prefix(elsewhere):
    config = yaml.safe_load(TINY)
    study = config["studies"]["tiny"] | {"probes": {}, "figures": {}, "epochs": 1}
    study["grid"] = {"model": ["vgg08"]}
    side = {"metric": "test_accuracy", "where": {}}
    claim = {"statement": "It guesses.", "source": "me", "left": side, "is": "below"}
    study["claims"] = {"guesses": claim | {"right": 0.5}}
    config |= {"studies": {"tiny": study}, "results": "it's (mine)/für alle"}
    (elsewhere / "config.yaml").write_text(yaml.dump({"trainings": config}))
    (elsewhere / "Snakefile").write_text(PART.format(snakefile=SNAKEFILE))
    succeed("snakemake", "--cores", "2", cwd=elsewhere)
    results = elsewhere / "inner" / "it's (mine)" / "für alle"
    assert (results / "report.pdf").exists() and (results / "registered.json").exists()
    assert (elsewhere / "inner" / "results" / "data" / "generated10").is_dir()
    made = {path.name for path in elsewhere.iterdir() if not path.name.startswith(".")}
    assert made == {"config.yaml", "Snakefile", "inner", "mine.txt"}


@needs_tex
@pytest.mark.networks
def test_everything_of_ones_own_with_the_installed_wheel(elsewhere, installed):
    """Images of one channel, 28 × 28, in seven classes; a network, an optimiser, a probe,
    a figure, a metric, a claim and a section: to the PDF, and the package untouched."""
    random = np.random.RandomState(0)
    labels = np.arange(140) % 7
    images = random.randint(0, 60, (140, 28, 28)).astype(np.uint8)
    images += (20 * labels).astype(np.uint8)[:, None, None]
    np.savez(elsewhere / "shapes.npz", images=images, labels=labels)
    texts = {"network": NETWORK, "optimiser": OPTIMISER, "probe": PROBE}
    texts |= {"figure": FIGURE, "metric": METRIC}
    (elsewhere / "mine").mkdir()
    for name, text in texts.items():
        (elsewhere / "mine" / f"{name}.py").write_text(text)
    (elsewhere / "mine" / "section.tex.j2").write_text(SECTION)
    (elsewhere / "config.yaml").write_text(OWN)

    environment = {"PYTHONPATH": str(installed)}
    where = "import gradscape.base.paths as l; print(l.SNAKEFILE)"
    snakefile = succeed(sys.executable, "-c", where, cwd=elsewhere, **environment).strip()
    assert Path(snakefile).is_relative_to(installed)
    command = ["snakemake", "-s", snakefile, "--cores", "2", "--configfile", "config.yaml"]
    succeed(*command, cwd=elsewhere, **environment)
    results = elsewhere / "results" / "mine"
    text = " ".join(page.extract_text() for page in PdfReader(results / "report.pdf").pages)
    for words in ("A section of my own about 5,495", "My dots. 7 dots of 1 run.", "holds"):
        assert words in " ".join(text.split())
    (table,) = pd.read_csv(results / "tables" / "shapes" / "results.csv").to_dict("records")
    assert table["parameters"] == 7 * (28 * 28 + 1)

    (elsewhere / "mine" / "figure.py").write_text(FIGURE + "# a comment\n")
    assert "train" not in planned(succeed(*command, "-n", cwd=elsewhere, **environment))
    np.savez(elsewhere / "shapes.npz", images=images[::-1], labels=labels[::-1])
    again = planned(succeed(*command, "-n", cwd=elsewhere, **environment))
    assert {"data", "train"} <= again.keys()
    np.savez(elsewhere / "shapes.npz", images=images, labels=labels)
    (elsewhere / "mine" / "optimiser.py").write_text(OPTIMISER + "# a comment\n")
    assert "train" in planned(succeed(*command, "-n", cwd=elsewhere, **environment))

    (results / "report.pdf").unlink()
    report = [sys.executable, "-m", "gradscape", "report", "--config", "config.yaml"]
    succeed(*report, cwd=elsewhere, **environment)
    assert (results / "report.pdf").exists()


@needs_tex
@pytest.mark.networks
def test_a_new_project_ends_in_its_pdf_with_one_command(elsewhere, installed):
    environment = {"PYTHONPATH": str(installed)}
    gradscape = [sys.executable, "-m", "gradscape"]
    said = succeed(*gradscape, "new", "mine", cwd=elsewhere, **environment)
    assert "snakemake --cores 2" in said
    config = yaml.safe_load((elsewhere / "mine" / "config.yaml").read_text())
    config["studies"]["wide"] |= {"epochs": 1, "train_items": 100}
    config["studies"]["wide"]["grid"]["seed"] = [0]
    (elsewhere / "mine" / "config.yaml").write_text(yaml.dump(config))
    succeed("snakemake", "--cores", "2", cwd=elsewhere / "mine", **environment)
    verdicts = pd.read_csv(
        elsewhere / "mine" / "results" / "mine" / "claims" / "claims.csv"
    )
    assert verdicts["asked"].tolist() == ["before"]
    pages = PdfReader(elsewhere / "mine" / "results" / "mine" / "report.pdf").pages
    assert "The wide network validates better." in " ".join(
        " ".join(page.extract_text().split()) for page in pages
    )
    again = run(*gradscape, "new", "mine", cwd=elsewhere, **environment)
    assert again.returncode == 2 and "mine: is not empty" in again.stderr


def test_a_model_that_cannot_take_the_images_is_named_before_anything_runs(
    elsewhere, capsys
):
    np.savez("small.npz", images=np.zeros((60, 28, 28), np.uint8), labels=np.arange(60) % 3)
    config = yaml.safe_load(TINY)
    study = {"dataset": "small.npz", "probes": {}, "figures": {}, "train_items": 40}
    config["studies"]["tiny"] |= study | {"validation_items": 2}
    config["studies"]["tiny"]["grid"] = {"model": ["vgg08", "convnet"]}
    Path("config.yaml").write_text(yaml.dump(config))
    with pytest.raises(SystemExit):
        cli.main(["runs", "--config", "config.yaml"])
    said = capsys.readouterr().err
    assert "model convnet: takes images of 32x32 to 63x63, those of small.npz are" in said


def test_another_projects_command_line_is_left_alone(elsewhere):
    """The same words, in a folder with and without a Snakefile that names gradscape."""
    program = BIN / "snakemake"
    (elsewhere / "Snakefile").write_text(
        'rule all:\n    output: "x"\n    shell: "touch x"\n'
    )
    code = "import sys; sys.argv = {}; import snakemake_logger_plugin_gradscape; "
    code += "print(sys.argv[1:])"
    words = [str(program), "--cores", "1", "--resources", "gpu=1", "all"]
    said = succeed(sys.executable, "-c", code.format(words), cwd=elsewhere)
    assert said.strip() == str(words[1:])
    ours = succeed(sys.executable, "-c", code.format(words), cwd=ROOT)
    assert ours.strip() == str(["all", *words[1:-1]])


def test_a_system_without_apt_nproc_and_kibibytes_as_macos_is(tmp_path, monkeypatch):
    """Its own words for TeX, the number of its cores, and the peak of memory."""
    for name in ("bash", "make", "getconf", "sed", "dirname", "id"):
        (tmp_path / name).symlink_to(shutil.which(name))
    path = {"PATH": str(tmp_path)}
    told = subprocess.run(
        ["envs/tex.sh"], cwd=ROOT, env=path, capture_output=True, text=True
    )
    assert told.returncode == 0 and "on macOS, MacTeX has them" in told.stderr
    said = ["make", "-n", "demo"]
    said = subprocess.run(said, cwd=ROOT, env=path, capture_output=True, text=True).stdout
    assert re.search(r"snakemake all --cores \d+ ", said)
    usage = SimpleNamespace(ru_maxrss=5000)
    monkeypatch.setattr(save.resource, "getrusage", lambda who: usage)
    assert save.host_peak() == 5000 * 1024
    monkeypatch.setattr(save.sys, "platform", "darwin")
    assert save.host_peak() == 5000
