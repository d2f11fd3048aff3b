"""What is handed in: each brief's files, from which a marker can run what the brief asks.

The archives are made from the published runs, which are real and have no weights, and are
unpacked where nothing of gradscape lies. Programs run without the clone and without the
installed package.
"""

import ast
import copy
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import torch
from pypdf import PdfReader

from conftest import ROOT, needs_tex, succeed
from gradscape.base.errors import GradscapeError
from gradscape.base.paths import COURSES
from gradscape.cli import parser as cli
from gradscape.cli.submission import SPLITS, write_submission
from gradscape.config.experiment import Experiment
from gradscape.models import build
from gradscape.spec.registry import own_module
from gradscape.spec.settings import Settings
from gradscape.training.record import write_weights

ALBERTA = own_module(COURSES / "alberta.py")
PUBLISHED = ROOT / "results" / "published" / "cpu"
STUDENTS = {"edinburgh": "s1234567", "fudan": "20300180001_name"}
STUDENTS |= {"alberta": "1234567", "sapienza": "7654321"}
# Every file of the archive but gradscape's own and the runs'.
TREES = {
    "edinburgh": """
        s1234567/s1234567_report.pdf
        s1234567/mlp/pytorch_experiment_scripts/config.json
        s1234567/mlp/pytorch_experiment_scripts/experiment_builder.py
        s1234567/mlp/pytorch_experiment_scripts/model_architectures.py
        s1234567/mlp/pytorch_experiment_scripts/report.py
        s1234567/mlp/pytorch_experiment_scripts/test_model_architectures.py
        s1234567/mlp/pytorch_experiment_scripts/train_evaluate_image_classification_system.py
    """,
    "fudan": """
        Project2-20300180001_name/README.md
        Project2-20300180001_name/VGG.py
        Project2-20300180001_name/VGG_Loss_Landscape.py
        Project2-20300180001_name/loaders.py
        Project2-20300180001_name/report.pdf
        Project2-20300180001_name/requirements.txt
        Project2-20300180001_name/train_cifar10.py
    """,
    "alberta": "a6.py model_1234567.pt",
    "sapienza": """
        Exercise2-7654321/ex3_convnet.py
        Exercise2-7654321/ex3_pretrained.py
        Exercise2-7654321/report.pdf
        Exercise2-7654321/requirements.txt
    """,
}


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """The published runs; the network handed in is narrower, with untrained weights."""
    folder = tmp_path_factory.mktemp("results")
    shutil.copytree(PUBLISHED, folder, dirs_exist_ok=True)
    long = folder / "runs/accuracy/resnet-small_lr2e-2_seed0_long"
    model = build("resnet-small", 10, Settings("resnet-small", "cifar10", width=4))
    write_weights(long / "model.pt", {"best": model.state_dict()})
    record = json.loads((long / "run.json").read_text())
    record["settings"]["width"] = 4
    (long / "run.json").write_text(json.dumps(record))
    return folder


@pytest.fixture(scope="module")
def experiment(results) -> Experiment:
    return Experiment.from_file(PUBLISHED / "config.json", results)


def part(experiment: Experiment, study: str, **changes) -> Experiment:
    """The same with less of one study, so that less has to run."""
    config = copy.deepcopy(experiment.config)
    config["studies"][study] |= changes
    del config["studies"]["schedules"]
    return Experiment(config, experiment.results.root)


def unpacked(experiment: Experiment, course: str, folder: Path) -> Path:
    made = write_submission(experiment, course, STUDENTS[course])
    if made.is_dir():
        return Path(shutil.copytree(made, folder / made.name))
    with zipfile.ZipFile(made) as archive:
        archive.extractall(folder)
    return folder / made.stem


def bare(*words, cwd: Path) -> str:
    """What Python prints that finds the dependencies, but no gradscape except below `cwd`.

    `-S` leaves the clone out, which an installed `.pth` file names. On cores shared with
    others, two threads wait for each other for minutes; so there is one.
    """
    done = subprocess.run(
        [sys.executable, "-S", *map(str, words)],
        cwd=cwd,
        env={name: os.environ[name] for name in ("PATH", "HOME")}
        | {"PYTHONPATH": sysconfig.get_path("purelib"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("course", TREES)
def test_an_archive_has_the_briefs_files_and_no_others(course, experiment, tmp_path):
    before = {p for p in experiment.results.root.rglob("*") if p.is_file()}
    made = write_submission(experiment, course, STUDENTS[course])
    packed = made.read_bytes() if made.is_file() else None
    folder = unpacked(experiment, course, tmp_path)
    top = folder if course == "alberta" else tmp_path
    files = {p.relative_to(top).as_posix(): p for p in top.rglob("*") if p.is_file()}
    bodies = {name for name in files if re.search("/(gradscape|results)/", name)}
    assert files.keys() - bodies == set(TREES[course].split())
    recorded = [name for name in bodies if "/gradscape/" not in name]
    if course == "edinburgh":
        assert recorded and all(
            re.search(r"^s1234567/mlp/results/.*\.csv$", name) for name in recorded
        )
    others = "|".join(SPLITS.keys() - {course})
    for name, path in files.items():
        assert not re.search(others, name, re.IGNORECASE)
        if path.suffix in (".py", ".json", ".csv", ".yaml", ".j2", ".md", ".txt"):
            assert not re.search(others, path.read_text(), re.IGNORECASE), name
    assert made.is_dir() or made.read_bytes() == packed
    after = {p for p in experiment.results.root.rglob("*") if p.is_file()}
    beside = {p.relative_to(experiment.results.root).parts[0] for p in after - before}
    assert beside <= {made.name, "s1234567-template"}


# Edinburgh


def test_edinburghs_classes_are_the_networks_that_were_trained():
    """The same function of the same weights, layer by layer."""
    module = own_module(COURSES / "edinburgh/model_architectures.py")
    for name in ("vgg08", "vgg38", "vgg38-bn", "vgg38-rc", "vgg38-bn-rc"):
        torch.manual_seed(0)
        ours = build(name, 100)
        theirs = getattr(module, name.replace("-", "_"))(100)
        for kind in (torch.nn.BatchNorm2d, torch.nn.Conv2d, torch.nn.Linear):
            one, other = (
                [module for module in network.modules() if isinstance(module, kind)]
                for network in (ours, theirs)
            )
            for source, target in zip(one, other, strict=True):
                target.load_state_dict(source.state_dict())
        images = torch.randn(2, 3, 32, 32)
        torch.testing.assert_close(theirs(images), ours(images), rtol=1e-4, atol=1e-6)


def test_edinburghs_statistics_are_the_courses(experiment, tmp_path):
    folder = unpacked(experiment, "edinburgh", tmp_path)
    run = folder / "mlp/results/degradation/vgg38_lr1e-3_seed0"
    summary = (run / "result_outputs/summary.csv").read_text().splitlines()
    assert summary[0] == "train_acc,train_loss,val_acc,val_loss"
    metrics = (run / "metrics.csv").read_text().splitlines()
    assert len(summary) == len(metrics)
    first = dict(zip(metrics[0].split(","), metrics[1].split(","), strict=True))
    names = ("train_accuracy", "train_loss", "val_accuracy", "val_loss")
    assert summary[1] == ",".join(first[name] for name in names)
    header, values = (run / "result_outputs/test_summary.csv").read_text().splitlines()
    assert header == "test_acc,test_loss" and len(values.split(",")) == 2
    for year, absent in ((2021, "reduction block"), (2024, "running averages")):
        path = experiment.results.root / f"s1234567-template/mlp-cw2-questions-{year}.tex"
        answers = path.read_text()
        assert r"\def\studentNumber{s1234567}" in answers and absent not in answers
        assert r"VGG38 BN+RC & $10^{-2}$ & 338,500" in answers and "@" not in answers


def test_edinburghs_unit_tests_and_gradient_flow_run(experiment, tmp_path):
    folder = unpacked(experiment, "edinburgh", tmp_path)
    scripts = folder / "mlp/pytorch_experiment_scripts"
    assert "OK" in bare("-m", "unittest", cwd=scripts)
    plot = (
        "import torch, experiment_builder, model_architectures as m; n = m.vgg38(100); "
        "n(torch.randn(1, 3, 16, 16)).sum().backward(); "
        "plot = experiment_builder.plot_grad_flows(n.named_parameters()); "
        "print(len(plot.gca().lines[0].get_ydata()))"
    )
    assert bare("-c", plot, cwd=scripts).split() == ["39"]


@needs_tex
def test_edinburghs_report_is_written_again_from_the_archive(experiment, tmp_path):
    small = part(experiment, "degradation")
    folder = unpacked(small, "edinburgh", tmp_path)
    scripts = folder / "mlp/pytorch_experiment_scripts"
    bare("report.py", cwd=scripts)
    text = " ".join(
        p.extract_text() for p in PdfReader(scripts / "rebuilt/report.pdf").pages
    )
    assert "s1234567" in text and "VGG38 does not train" in text


@needs_tex
def test_the_student_is_on_the_page(experiment, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(experiment.results.root, results)
    (results / "report").mkdir(exist_ok=True)
    (results / "report/edinburgh.tex").write_text(
        "\\documentclass{article}\\usepackage{hyperref}\n\\title{The deep one}\n"
        "\\author{}\n\\begin{document}\\maketitle Measured: "
        "\\href{runs/degradation/x/metrics.csv}{4.61}.\\end{document}\n"
    )
    made = Experiment(experiment.config, results)
    folder = unpacked(made, "edinburgh", tmp_path)
    page = PdfReader(folder / "s1234567_report.pdf").pages[0]
    assert "s1234567" in page.extract_text() and "4.61" in page.extract_text()
    assert "/Annots" not in page  # links to files that are not handed in


# Fudan


def test_fudans_scripts_run_from_the_archive(experiment, tmp_path):
    small = part(
        experiment,
        "landscape",
        grid={"model": ["vgg-a", "vgg-a-bn"], "learning_rate": [1e-3], "seed": [2020]},
        override=[],
    )
    full = unpacked(experiment, "fudan", tmp_path / "full")
    bare("VGG_Loss_Landscape.py", "--out", "drawn", cwd=full)
    pictures = {path.name for path in (full / "drawn").glob("*.png")}
    assert pictures == {
        "loss_landscape.png",
        "gradient_predictiveness.png",
        "beta_smoothness.png",
    }
    assert "VGG_BatchNorm   9,756,426" in bare("VGG.py", cwd=full)
    assert "test error 11.86 %" in bare("train_cifar10.py", cwd=full)
    folder = unpacked(small, "fudan", tmp_path)
    tiny = ["--epochs", 2, "--n_items", 8, "--dataset", "generated10"]
    bare("VGG_Loss_Landscape.py", "--train", *tiny, "--out", "two-steps", cwd=folder)
    trained = [json.loads(p.read_text()) for p in folder.glob("two-steps/*/*/run.json")]
    assert {run["settings"]["model"] for run in trained} == {"vgg-a", "vgg-a-bn"}
    assert (folder / "two-steps/loss_landscape.png").exists()


# Alberta

# CIFAR-10 as torchvision would give it, and little of it to train on. First what is handed
# in trains on and is tested on 1,000 images; then training starts anew and resumes.
DRIVER = """
import pathlib, sys
from torchvision.datasets import FakeData
import a6

class Fake(FakeData):
    def __init__(self, root, train, transform, download):
        super().__init__(5_100 if train else 1_000, (3, 32, 32), 10, transform)

a6.CIFAR10 = Fake
train, validation, test = a6.load_dataset()
print(len(train.dataset), list(validation.dataset.indices)[0], test.batch_size)
predictions = a6.test(test)
print(predictions.shape, sorted(set(predictions.tolist()) - set(range(10))))
validation = [next(iter(validation))]
a6.RECIPE["epochs"] += 1
a6.train(train, validation, steps=2)
pathlib.Path(a6.MODEL).unlink()
for a6.RECIPE["epochs"] in (1, 2):
    a6.train(train, validation, steps=2)
print([name for name in sys.modules if name.startswith("gradscape")])
"""


@pytest.mark.limit(600)
def test_albertas_file_stands_alone(experiment, tmp_path, capsys):
    folder = unpacked(experiment, "alberta", tmp_path)
    told = capsys.readouterr().err
    assert "test accuracy 0.8814, 1.00 of the marks" in told and "one at a time" in told
    text = (folder / "a6.py").read_text()
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    foreign = {name.split(".")[0] for name in imported} - sys.stdlib_module_names
    assert foreign == {"numpy", "torch", "torchvision"}
    succeed("ruff", "check", "--isolated", "--select", "F", folder / "a6.py")
    assert '"width": 4,' in text and '"model_1234567.pt"' in text
    places = [
        text.index(word) for word in ("load_dataset(", "class ResNetSmall", "class Muon")
    ]
    assert places == sorted(places) and text.index("def test(") > text.index("def train(")
    (folder / "driver.py").write_text(DRIVER)
    told = bare("driver.py", cwd=folder).splitlines()
    assert told[:2] == ["100 100 1", "torch.Size([1000]) []"]
    resumed = [line for line in told if line.startswith("resumed after epoch")]
    assert [line.split(",")[0][-1] for line in resumed] == ["8", "1"]
    assert told[-1] == "[]"


def test_albertas_requirements_are_read_off_the_network():
    unmet = {
        "batch_norm": "batch normalisation inside (e)",
        "dropout": "dropout (f)",
        "skip": "skip connection (g)",
    }
    assert ALBERTA.unmet(build("resnet-small", 10)) == []
    for setting, requirement in unmet.items():
        without = Settings("resnet-small", "cifar10", **{setting: False})
        assert ALBERTA.unmet(build("resnet-small", 10, without)) == [requirement]
    missing = ALBERTA.unmet(build("convnet-bn", 10))  # normalised right after the input
    assert missing == [unmet["batch_norm"], unmet["dropout"], unmet["skip"]]
    scores = [ALBERTA.score(accuracy) for accuracy in (0.1, 0.65, 0.725, 0.8, 1.0)]
    assert scores == pytest.approx([0, 0, 0.5, 1, 1])


# Sapienza


def test_sapienzas_scripts_run_from_the_archive(experiment, tmp_path):
    folder = unpacked(experiment, "sapienza", tmp_path)
    tiny = ["--epochs", 1, "--train_items", 20, "--batch_size", 10]
    tiny += ["--dataset", "generated10"]
    told = bare("ex3_convnet.py", "--norm_layer", "BN", *tiny, "--out", "q2", cwd=folder)
    assert "ConvNet: 7,682,826 parameters" in told and "best epoch 1: train" in told
    assert {p.name for p in (folder / "q2").glob("*.png")} == {
        "filters_before.png",
        "filters_after.png",
    }
    told = bare("ex3_pretrained.py", "--from_scratch", *tiny, "--out", "q4", cwd=folder)
    assert "VGG11: 9,360,394 parameters" in told and "last epoch 1: train" in told


# Bad input


@pytest.mark.parametrize(
    ("course", "student"),
    [
        ("edinburgh", "1234567"),
        ("fudan", "../../x_y"),
        ("fudan", "20300180001"),
        ("alberta", ""),
        ("sapienza", "x" * 300),
    ],
)
def test_a_student_of_the_wrong_form_is_one_sentence(course, student, experiment, capsys):
    words = ["--config", PUBLISHED / "config.json", "--results", experiment.results.root]
    with pytest.raises(SystemExit):
        cli.main(["submission", course, "--student", student, *map(str, words)])
    said = capsys.readouterr().err
    assert said.startswith(f"gradscape: --student: {student[:60]!r} is not what {course}")
    assert len(said.splitlines()) == 1


def test_what_is_missing_is_one_sentence(experiment, tmp_path):
    demo = copy.deepcopy(experiment.config)
    del demo["studies"]["accuracy"]
    with pytest.raises(GradscapeError, match="no study 'accuracy'"):
        write_submission(Experiment(demo, tmp_path), "fudan", STUDENTS["fudan"])
    empty = Experiment(experiment.config, tmp_path)
    asked = len(experiment.studies["degradation"].runs)
    with pytest.raises(GradscapeError, match=rf"{asked} runs are not finished.*snakemake"):
        write_submission(empty, "edinburgh", STUDENTS["edinburgh"])
    shutil.copytree(PUBLISHED / "runs", tmp_path / "runs")
    with pytest.raises(GradscapeError, match=r"report\.pdf: missing.*gradscape report"):
        write_submission(empty, "fudan", STUDENTS["fudan"])
    with pytest.raises(GradscapeError, match=r"long/model\.pt: missing"):
        write_submission(empty, "alberta", STUDENTS["alberta"])
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}
