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

import numpy as np
import pytest
import torch
from pypdf import PdfReader

from conftest import ROOT, needs_tex, reseal, succeed
from gradscape.base.errors import GradscapeError
from gradscape.base.paths import COURSES
from gradscape.cli import parser as cli
from gradscape.cli import submission
from gradscape.cli.submission import HandIn, write_submission
from gradscape.config.experiment import Experiment
from gradscape.models import build, sealed
from gradscape.report.build import prepare
from gradscape.report.template import write_tex
from gradscape.runs.record import read
from gradscape.spec.registry import names, own_module
from gradscape.spec.settings import Settings

ALBERTA = own_module(COURSES / "alberta.py")
PUBLISHED = ROOT / "results" / "published" / "cpu"
NAME = "Ada Lovelace"
SIGNED = submission.signed
STUDENTS = {"edinburgh": "s1234567", "fudan": "20300180001"}
STUDENTS |= {"alberta": "1234567", "sapienza": "7654321"}
# Every file of the archive but gradscape's own and what training recorded.
TREES = {
    "edinburgh": """
        s1234567/s1234567_report.pdf
        s1234567/mlp/pytorch_experiment_scripts/experiment_builder.py
        s1234567/mlp/pytorch_experiment_scripts/model_architectures.py
        s1234567/mlp/pytorch_experiment_scripts/report.py
        s1234567/mlp/pytorch_experiment_scripts/test_model_architectures.py
        s1234567/mlp/pytorch_experiment_scripts/train_evaluate_image_classification_system.py
    """,
    "fudan": """
        Project2-20300180001_Ada_Lovelace/README.md
        Project2-20300180001_Ada_Lovelace/VGG.py
        Project2-20300180001_Ada_Lovelace/VGG_Loss_Landscape.py
        Project2-20300180001_Ada_Lovelace/loaders.py
        Project2-20300180001_Ada_Lovelace/report.pdf
        Project2-20300180001_Ada_Lovelace/requirements.txt
        Project2-20300180001_Ada_Lovelace/train_cifar10.py
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
    sealed.save(long / "model.pt", {"best": model.state_dict()})
    reseal(long, settings=read(long / "run.json").settings | {"width": 4})
    (folder / "report").mkdir()
    for course in TREES:
        (folder / f"report/{course}.tex").touch()
    return folder


@pytest.fixture(autouse=True)
def signature(monkeypatch):
    """In place of a compiled document, whom it names."""
    monkeypatch.setattr(submission, "signed", lambda *words: f"{words[1:]}".encode())


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
    made = write_submission(experiment, course, STUDENTS[course], NAME)
    if made.is_dir():
        return Path(shutil.copytree(made, folder / made.name))
    with zipfile.ZipFile(made) as archive:
        archive.extractall(folder)
    return folder / made.stem


def few_images(folder: Path, classes: int = 10) -> str:
    """A dataset of 200 training and 20 test images of noise, as a user's own."""
    images = np.random.default_rng(0).integers(0, 256, (220, 32, 32, 3), np.uint8)
    labels = np.arange(220) % classes
    np.savez(
        folder / "few.npz",
        images=images[:200],
        labels=labels[:200],
        test_images=images[200:],
        test_labels=labels[200:],
        classes=[str(number) for number in range(classes)],
    )
    return "few.npz"


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
    made = write_submission(experiment, course, STUDENTS[course], NAME)
    packed = made.read_bytes() if made.is_file() else None
    folder = unpacked(experiment, course, tmp_path)
    top = folder if course == "alberta" else tmp_path
    files = {p.relative_to(top).as_posix(): p for p in top.rglob("*") if p.is_file()}
    bodies = {name for name in files if re.search("/(gradscape|results|recorded)/", name)}
    assert files.keys() - bodies == set(TREES[course].split())
    signed = f"{(course, f'{NAME}, {STUDENTS[course]}')}".encode()
    documents = [path.read_bytes() for name, path in files.items() if name.endswith(".pdf")]
    assert documents == [signed] * (course != "alberta")
    if course == "edinburgh":
        statistics = [name for name in bodies if "/mlp/results/" in name]
        assert {Path(name).name for name in statistics} == {
            "summary.csv",
            "test_summary.csv",
        }
    # gradscape's own text and a run's record name the courses that set what they describe.
    others = "|".join(names("course").keys() - {course})
    for name, path in files.items():
        assert not re.search(others, name, re.IGNORECASE)
        own = path.suffix in (".py", ".json", ".csv", ".yaml", ".j2", ".md", ".txt")
        if own and path.name != "run.json" and not re.search(r"/gradscape/.*\.py$", name):
            assert not re.search(others, path.read_text(), re.IGNORECASE), name
    assert made.is_dir() or made.read_bytes() == packed
    after = {p for p in experiment.results.root.rglob("*") if p.is_file()}
    beside = {p.relative_to(experiment.results.root).parts[0] for p in after - before}
    assert beside <= {made.name, "s1234567-template", "Assignment6-1234567-notes.md"}


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
    run = "degradation/vgg38_lr1e-3_seed0"
    outputs = folder / "mlp/results" / run / "result_outputs"
    summary = (outputs / "summary.csv").read_text().splitlines()
    assert summary[0] == "train_acc,train_loss,val_acc,val_loss"
    metrics = (PUBLISHED / "runs" / run / "metrics.csv").read_text().splitlines()
    assert len(summary) == len(metrics)
    first = dict(zip(metrics[0].split(","), metrics[1].split(","), strict=True))
    names = ("train_accuracy", "train_loss", "val_accuracy", "val_loss")
    assert summary[1] == ",".join(first[name] for name in names)
    header, values = (outputs / "test_summary.csv").read_text().splitlines()
    assert header == "test_acc,test_loss" and len(values.split(",")) == 2
    for year, absent in ((2021, "reduction block"), (2024, "running averages")):
        path = experiment.results.root / f"s1234567-template/mlp-cw2-questions-{year}.tex"
        answers = path.read_text()
        assert r"\def\studentNumber{s1234567}" in answers and absent not in answers
        assert r"VGG38 BN+RC & $10^{-2}$ & 338,500" in answers and "@" not in answers


def test_edinburghs_scripts_run_from_the_archive(experiment, tmp_path):
    folder = unpacked(experiment, "edinburgh", tmp_path)
    scripts = folder / "mlp/pytorch_experiment_scripts"
    assert "OK" in bare("-m", "unittest", cwd=scripts)
    train = "train_evaluate_image_classification_system.py"
    tiny = ["--num_epochs", 1, "--train_items", 100, "--dataset_name"]
    tiny.append(few_images(scripts, classes=100))
    blocks = ["--num_blocks_per_stage", 0]
    assert "vgg08: test accuracy" in bare(train, *blocks, *tiny, cwd=scripts)
    assert (scripts / "vgg08/metrics.csv").exists()
    network = own_module(scripts / "model_architectures.py").vgg38(100)
    network(torch.randn(1, 3, 16, 16)).sum().backward()
    builder = own_module(scripts / "experiment_builder.py")
    plot = builder.plot_grad_flows(network.named_parameters())
    assert len(plot.gca().lines[0].get_ydata()) == 39
    plot.close()


@needs_tex
def test_edinburghs_report_is_written_again_from_the_archive(
    experiment, tmp_path, monkeypatch
):
    """Page by page the text of what is handed in, from runs sealed and older than seals;
    each page says whose it is."""
    monkeypatch.setattr(submission, "signed", SIGNED)
    results = tmp_path / "results"
    runs = "runs/degradation"
    shutil.copytree(experiment.results.root / runs, results / runs)
    config = experiment.config | {"author": "A. B."}
    config["studies"] = {"degradation": config["studies"]["degradation"]}
    made = Experiment(config, results)
    write_tex(made, "edinburgh", prepare(made, "edinburgh"))
    folder = unpacked(made, "edinburgh", tmp_path)
    scripts = folder / "mlp/pytorch_experiment_scripts"
    bare("report.py", cwd=scripts)
    handed_in = PdfReader(folder / "s1234567_report.pdf").pages
    again = PdfReader(scripts / "recorded/edinburgh.pdf").pages
    text = [page.extract_text() for page in handed_in]
    assert text == [page.extract_text() for page in again]
    assert "VGG38 does not train" in text[0]
    assert all(f"{NAME}, s1234567" in re.sub(r"\s+", " ", page) for page in text)
    assert text[0].count(NAME) == 2  # below the title as well
    # Links to files that lie beside the document in the archive, but not where it is read.
    beside = re.compile("'(runs|tables|claims)/")
    assert beside.search(links(again)) and not beside.search(links(handed_in))


def links(pages) -> str:
    """All links of a document, as one text."""
    found = [link.get_object() for page in pages for link in page.get("/Annots", [])]
    return " ".join(str(link.get("/A")) for link in found)


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
    tiny = ["--epochs", 2, "--n_items", 8, "--dataset", few_images(folder)]
    bare("VGG_Loss_Landscape.py", "--train", *tiny, "--out", "two-steps", cwd=folder)
    trained = [json.loads(p.read_text()) for p in folder.glob("two-steps/*/*/run.json")]
    assert {run["settings"]["model"] for run in trained} == {"vgg-a", "vgg-a-bn"}
    assert (folder / "two-steps/loss_landscape.png").exists()


# Alberta

# CIFAR-10 as torchvision would give it, and little of it to train on. First what is handed
# in trains on and is tested on 1,000 images; then training starts anew and resumes.
DRIVER = """
import sys, torch
from torchvision.datasets import FakeData
import a6

class Fake(FakeData):
    def __init__(self, root, train, transform, download):
        super().__init__(5_100 if train else 1_000, (3, 32, 32), 10, transform)

a6.CIFAR10 = Fake
chosen, choose = [], torch.set_num_threads
torch.set_num_threads = lambda count: choose(count) or chosen.append(count)
train, validation, test = a6.load_dataset()
print(len(train.dataset), list(validation.dataset.indices)[0], test.batch_size)
predictions = a6.test(test)
print(predictions.shape, sorted(set(predictions.tolist()) - set(range(10))))
print("threads", chosen)
validation = [next(iter(validation))]
a6.RECIPE["epochs"] += 1
a6.train(train, validation)
a6.MODEL.unlink()
for a6.RECIPE["epochs"] in (1, 2):
    a6.train(train, validation)
print([name for name in sys.modules if name.startswith("gradscape")])
"""


@pytest.mark.limit(600)
def test_albertas_file_stands_alone(experiment, tmp_path, capsys):
    """One finished run of the study is enough."""
    run = "runs/accuracy/resnet-small_lr2e-2_seed0_long"
    shutil.copytree(experiment.results.root / run, tmp_path / "results" / run)
    single = Experiment(experiment.config, tmp_path / "results")
    folder = unpacked(single, "alberta", tmp_path)
    told = capsys.readouterr().err
    assert "accuracy 0.8814 on CIFAR-10's test images, 1.00 of the marks" in told
    assert "one at a time" in told and "name in its first comment whom" in told
    text = (folder / "a6.py").read_text()
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    foreign = {name.split(".")[0] for name in imported} - sys.stdlib_module_names
    assert foreign == {"numpy", "torch", "torchvision"}
    succeed("ruff", "check", "--isolated", "--select", "F", folder / "a6.py")
    assert "\n# Help: (name here whom you talked to" in text
    assert text.splitlines()[0].endswith(f"CIFAR-10. {NAME}, 1234567.")
    assert '"width": 4,' in text and '"model_1234567.pt"' in text
    places = [
        text.index(word) for word in ("load_dataset(", "class ResNetSmall", "class Muon")
    ]
    assert places == sorted(places) and text.index("def test(") > text.index("def train(")
    (folder / "driver.py").write_text(DRIVER)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    told = bare(folder / "driver.py", cwd=elsewhere).splitlines()
    assert told[:3] == ["100 100 1", "torch.Size([1000]) []", "threads [1]"]
    resumed = [line for line in told if line.startswith("resumed after epoch")]
    assert [line.split(",")[0][-1] for line in resumed] == ["8", "1"]
    assert told[-1] == "[]"


def test_albertas_notes_answer_five_questions_from_the_run(experiment):
    write_submission(experiment, "alberta", STUDENTS["alberta"], NAME)
    notes = (experiment.results.root / "Assignment6-1234567-notes.md").read_text()
    assert notes.count("\n## ") == 5 and "{" not in notes
    for part in (
        "0.8814 earns 1.00",
        "epoch 8 of 8",
        "521,578 parameters",
        "45,000 others",
    ):
        assert part in notes


def test_alberta_takes_what_meets_the_requirements_on_cifar10(experiment):
    """Of finished runs, of which one is enough."""
    study = experiment.studies["accuracy"]
    runs = {run.path.name: run for run in alberta(experiment).finished}
    long, best = (runs[f"resnet-small_lr2e-2_seed0{end}"] for end in ("_long", "_muon"))
    assert len(runs) == len(study.runs) and ALBERTA.chosen([best, long]) is long
    assert ALBERTA.chosen([runs["resnet-small_lr5e-2_seed0_no-skip"], best]) is best
    for change, reason in {
        ("batch_norm", False): "no batch normalisation (e)",
        ("dropout", 0.0): "no dropout (f)",
        ("skip", False): "no skip connection (g)",
        ("dataset", "generated10"): "dataset generated10",
        ("model", "convnet-bn"): "model convnet-bn",
        ("loss", "focal"): "loss focal",
        ("optimiser", "sgd"): "optimiser sgd",
    }.items():
        assert ALBERTA.refused(long.settings | dict([change])) == [reason]
    other = runs["resnet-small_lr5e-2_seed0_no-skip"]
    with pytest.raises(GradscapeError, match=r"CIFAR-10's images .*no-skip: no skip conn"):
        ALBERTA.chosen([other])
    scores = [ALBERTA.score(accuracy) for accuracy in (0.1, 0.65, 0.725, 0.8, 1.0)]
    assert scores == pytest.approx([0, 0, 0.5, 1, 1])


def alberta(experiment: Experiment) -> HandIn:
    studies = [experiment.studies["accuracy"]]
    return HandIn(experiment, "alberta", STUDENTS["alberta"], NAME, studies)


# Sapienza


# Three of the documented commands, on few images; the weights are of the right hash.
COMMANDS = """
import hashlib, pathlib, sys, torch
import ex3_convnet, ex3_pretrained

weights = pathlib.Path("some weights")
torch.save(ex3_pretrained.VGG11(10).state_dict(), weights)
digits = hashlib.sha256(weights.read_bytes()).hexdigest()[:8]
ex3_pretrained.PRETRAINED = {"vgg11-bn": f"vgg11_bn-{digits}.pth"}
tiny = "--epochs 1 --train_items 20 --batch_size 10 --dataset few.npz".split()
for script, *options in (
    (ex3_convnet,),
    (ex3_convnet, "--norm_layer", "BN", "--augmentation", "colour",
     "--augmentation_strength", "0.5"),
    (ex3_pretrained, "--weights", "some weights"),
):
    sys.argv = ["", *tiny, *options]
    script.main()
"""


def test_sapienzas_scripts_run_from_the_archive(experiment, tmp_path):
    """Each command keeps what it makes in a folder of its own."""
    folder = unpacked(experiment, "sapienza", tmp_path)
    (folder / "commands.py").write_text(COMMANDS)
    few_images(folder)
    told = bare("commands.py", cwd=folder)
    assert "ConvNet: 7,678,474 parameters" in told and "best epoch 1: train" in told
    assert "ConvNet: 7,682,826 parameters" in told and "last epoch 1: train" in told
    assert "VGG11: 9,360,394 parameters" in told
    tiny = "epochs-1_batch_size-10_train_items-20_dataset-few"
    strong = "norm_layer-BN_augmentation-colour_augmentation_strength-0.5"
    made = {path.name: path for path in (folder / "trained").iterdir()}
    plain, changed = f"convnet_{tiny}", f"convnet_{tiny}_{strong}"
    assert made.keys() == {plain, changed, f"pretrained_{tiny}"}
    assert {path.name for path in made[plain].glob("*.png")} == {
        "filters_before.png",
        "filters_after.png",
    }
    record = json.loads((made[changed] / "run.json").read_text())
    assert record["settings"]["augmentation_strength"] == 0.5


# Bad input


@pytest.mark.parametrize(
    ("course", "student"),
    [
        ("edinburgh", "1234567"),
        ("fudan", "../../x_y"),
        ("fudan", "20300180001_name"),
        ("alberta", ""),
        ("sapienza", "x" * 300),
    ],
)
def test_a_student_of_the_wrong_form_is_one_sentence(course, student, experiment, capsys):
    words = ["--config", PUBLISHED / "config.json", "--results", experiment.results.root]
    with pytest.raises(SystemExit):
        cli.main(
            ["submission", course, "--student", student, "--name", NAME, *map(str, words)]
        )
    said = capsys.readouterr().err
    assert said.startswith(f"gradscape: --student: {student[:60]!r} is not what {course}")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (None, "required: --name; see `gradscape submission --help`"),
        ("", "--name: '' is no name, such as 'Ada Lovelace'"),
        ("s1234567/../..", "--name: 's1234567/../..' is no name"),
        ("12", "--name: '12' is no name"),
        ("x" * 61, f"--name: {'x' * 60!r} is no name"),
    ],
)
def test_nothing_is_handed_in_without_a_name(name, sentence, experiment, capsys):
    words = ["submission", "edinburgh", "--student", "s1234567"]
    words += ["--name", name] if name is not None else []
    with pytest.raises(SystemExit):
        cli.main([*words, "--results", str(experiment.results.root)])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("gradscape: ") and sentence in line


def test_a_student_with_fewer_seeds_hands_in_what_ran(
    experiment, tmp_path, capsys, monkeypatch
):
    """By the folder alone; by the longer configuration, one is told what would help."""
    monkeypatch.chdir(tmp_path)
    results = Path("results/cpu")
    config = experiment.config | {"results": "results/cpu"}
    studies = Experiment(config | {"max_seeds": 1}).studies, Experiment(config).studies
    fewer, all_runs = ([r.name for r in s["degradation"].runs] for s in studies)
    for run in fewer:
        folder = f"runs/degradation/{run}"
        shutil.copytree(experiment.results.root / folder, results / folder)
    (results / "report").mkdir()
    (results / "report/edinburgh.tex").touch()
    (results / "config.json").write_text(json.dumps(config | {"max_seeds": 1}))
    Path("cpu.json").write_text(json.dumps(config))
    words = ["submission", "edinburgh", "--student", "s1234567", "--name", NAME]
    cli.main([*words, "--results", "results/cpu"])
    assert capsys.readouterr().out == "results/cpu/s1234567.zip\n"
    with pytest.raises(SystemExit):
        cli.main([*words, "--config", "cpu.json"])
    said = capsys.readouterr().err
    assert f"{len(all_runs) - len(fewer)} runs are not finished" in said
    command = "snakemake results/cpu/edinburgh.pdf --cores 2 --configfile cpu.json"
    assert f"; `{command}` trains them; or name results/cpu alone, with --results" in said


def test_what_is_missing_is_one_sentence(experiment, tmp_path):
    demo = copy.deepcopy(experiment.config)
    del demo["studies"]["accuracy"]
    with pytest.raises(GradscapeError, match="no study 'accuracy'"):
        write_submission(Experiment(demo, tmp_path), "fudan", STUDENTS["fudan"], NAME)
    empty = Experiment(experiment.config, tmp_path)
    asked = len(experiment.studies["degradation"].runs)
    with pytest.raises(GradscapeError, match=rf"{asked} runs .*`snakemake .*--configfile"):
        write_submission(empty, "edinburgh", STUDENTS["edinburgh"], NAME)
    shutil.copytree(PUBLISHED / "runs", tmp_path / "runs")
    with pytest.raises(GradscapeError, match=r"fudan\.tex: missing.*`gradscape report -"):
        write_submission(empty, "fudan", STUDENTS["fudan"], NAME)
    with pytest.raises(GradscapeError, match=r"long/model\.pt: missing"):
        write_submission(empty, "alberta", STUDENTS["alberta"], NAME)
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}
