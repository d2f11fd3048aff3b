"""What is handed in: each brief's files, from which a marker can run what the brief asks.

The archives are made from the published runs, which are real and have no weights, and are
unpacked where nothing of gradscape lies. Programs run without the clone and without the
installed package.
"""

import ast
import copy
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import matplotlib.pyplot as plt
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
        s1234567/mlp/pytorch_experiment_scripts/README.md
        s1234567/mlp/pytorch_experiment_scripts/arg_extractor.py
        s1234567/mlp/pytorch_experiment_scripts/experiment_builder.py
        s1234567/mlp/pytorch_experiment_scripts/model_architectures.py
        s1234567/mlp/pytorch_experiment_scripts/test_model_architectures.py
        s1234567/mlp/pytorch_experiment_scripts/train_evaluate_image_classification_system.py
    """,
    "fudan": """
        Project2-20300180001_Ada_Lovelace/README.md
        Project2-20300180001_Ada_Lovelace/VGG.py
        Project2-20300180001_Ada_Lovelace/VGG_Loss_Landscape.py
        Project2-20300180001_Ada_Lovelace/figures.py
        Project2-20300180001_Ada_Lovelace/loaders.py
        Project2-20300180001_Ada_Lovelace/report.pdf
        Project2-20300180001_Ada_Lovelace/requirements.txt
        Project2-20300180001_Ada_Lovelace/train_cifar10.py
    """,
    "alberta": "a6.py model_1234567.pt",
    "sapienza": """
        Exercise2-7654321/README.md
        Exercise2-7654321/ex3_convnet.py
        Exercise2-7654321/ex3_pretrained.py
        Exercise2-7654321/report.pdf
        Exercise2-7654321/requirements.txt
    """,
}


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """The published runs and documents, of whose figures one is there in place of all; the
    network handed in is narrower, with untrained weights."""
    folder = tmp_path_factory.mktemp("results")
    shutil.copytree(PUBLISHED, folder, dirs_exist_ok=True)
    long = folder / "runs/accuracy/resnet-small_lr2e-2_seed0_long"
    model = build("resnet-small", 10, Settings("resnet-small", "cifar10", width=4))
    sealed.save(long / "model.pt", {"best": model.state_dict()})
    reseal(long, settings=read(long / "run.json").settings | {"width": 4})
    (folder / "report/figures").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "report/references.bib", folder / "report")
    plt.figure(figsize=(4, 1)).savefig(picture := folder / "picture.pdf")
    plt.close()
    for course in TREES:
        text = (folder / f"{course}.tex").read_text()
        (folder / f"report/{course}.tex").write_text(text)
        for figure in re.findall(r"\{(figures/[^}]*)\}", text):
            shutil.copy(picture, folder / "report" / figure)
    return folder


@pytest.fixture(autouse=True)
def signature(monkeypatch):
    """In place of a compiled document, whom it names."""

    def named(*words):
        return {"report.pdf": f"{words[1:]}".encode(), "source/report.tex": b""}

    monkeypatch.setattr(submission, "signed", named)


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
    body = "/(gradscape|results|source|report)/"
    bodies = {name for name in files if re.search(body, name)}
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
        made = r"/gradscape/.*\.(py|yaml|j2)$|/config\.json$"
        if own and path.name != "run.json" and not re.search(made, name):
            assert not re.search(others, path.read_text(), re.IGNORECASE), name
    again = write_submission(experiment, course, STUDENTS[course], NAME)
    assert again.is_dir() or again.read_bytes() == packed
    after = {p for p in experiment.results.root.rglob("*") if p.is_file()}
    beside = {p.relative_to(experiment.results.root).parts[0] for p in after - before}
    edinburgh = {"s1234567-template", "s1234567-report"}
    assert beside <= {again.name, *edinburgh, "Assignment6-1234567-notes.md"}


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


def test_edinburghs_answers_are_the_reports_text(experiment, tmp_path):
    """For each year's questions, with the given rows, figures and the template's keys."""
    unpacked(experiment, "edinburgh", tmp_path)
    folder = experiment.results.root / "s1234567-template"
    for year, own, others in (
        (2021, "running averages", "adds 1,024 parameters"),
        (2024, "adds 1,024 parameters", "running averages"),
    ):
        text = (folder / f"mlp-cw2-questions-{year}.tex").read_text()
        assert own in text and others not in text and "\\pagewide" not in text
        assert r"\def\studentNumber{s1234567}" in text and r"\href" not in text
        commands = re.findall(r"\\newcommand\{\\question(\w+)\}", text)
        assert commands == [
            *("One", "Two", "Three", "Four", "Five"),
            *("FigureThree", "FigureFour", "FigureFive", "TableOne"),
        ]
        given = r"VGG38 RC & $10^{-3}$ & 336,196 & {2.58 $\pm$ 0.02} & \emph{1.33}"
        assert given in text and "VGG38 BN+RC & $10^{-2}$ & 338,500" in text
        assert "{he2016deep}" in text and "{he2016}" not in text
        labels = set(re.findall(r"\\label\{([^}]*)\}", text))
        assert labels >= set(re.findall(r"\\ref\{([^}]*)\}", text))
        for figure in re.findall(r"\{(figures/[^}]*)\}", text):
            assert (folder / figure).stat().st_size > 0
        assert text.count("{") == text.count("}")


# A student's copy of the template, as little of it as compiles.
TEMPLATE = r"""
\documentclass{article}
\usepackage{amsmath,booktabs,graphicx,natbib,own}
\newcommand{\youranswer}[1]{[#1]}
\input{mlp-cw2-questions}
\begin{document}
\mine{} \studentNumber{} \questionOne \questionTwo \questionThree \questionFour
\questionFive \questionFigureThree \questionFigureFour \questionFigureFive
\questionTableOne \cite{bengio1993problem}
\bibliographystyle{plainnat}
\bibliography{refs}
\end{document}
"""


@needs_tex
@pytest.mark.published
def test_edinburghs_report_is_in_the_students_copy_of_the_template(experiment, tmp_path):
    folder = tmp_path / "results/s1234567-template"
    for part in ("runs/degradation", "report"):
        whole = experiment.results.root / part
        shutil.copytree(whole, tmp_path / "results" / part)
    folder.mkdir()
    (folder / "mlp-cw2-template.tex").write_text(TEMPLATE)
    (folder / "own.sty").write_text(r"\newcommand{\mine}{In my template.}")
    entry = "@misc{bengio1993problem, author={Bengio}, title={T}, year={1993}}\n"
    (folder / "refs.bib").write_text(entry)
    made = Experiment(experiment.config, tmp_path / "results")
    archive = unpacked(made, "edinburgh", tmp_path)
    pages = PdfReader(archive / "s1234567_report.pdf").pages
    text = " ".join(page.extract_text() for page in pages)
    assert "In my template. s1234567" in text and "VGG38 does not train" in text
    assert "1024" in text.replace(",", "") and "??" not in text and "(?)" not in text
    assert (folder / "refs.bib").read_text() == entry
    source = {path.name for path in (tmp_path / "results/s1234567-report").iterdir()}
    assert source >= {"report.tex", "mlp-cw2-questions.tex", "own.sty", "refs.bib"}


# The framework's interface, as far as its own files call it: what takes the place of a file
# takes these arguments, in this order, and more only with a default.
BLOCK = "input_shape num_filters kernel_size padding bias dilation"
INTERFACE = {
    "model_architectures": {
        "EmptyBlock": "input_shape num_filters",
        "EntryConvolutionalBlock": BLOCK,
        "ConvolutionalProcessingBlock": BLOCK,
        "BNConvolutionalProcessingBlock": BLOCK,
        "BNRCConvolutionalProcessingBlock": BLOCK,
        "ConvolutionalDimensionalityReductionBlock": f"{BLOCK} reduction_factor",
        "BNConvolutionalDimensionalityReductionBlock": f"{BLOCK} reduction_factor",
        "ConvolutionalNetwork": "input_shape num_output_classes num_filters "
        "num_blocks_per_stage num_stages use_bias processing_block_type "
        "dimensionality_reduction_block_type",
        "ConvolutionalNetwork.forward": "self x",
        "ConvolutionalNetwork.reset_parameters": "self",
    },
    "experiment_builder": {
        "ExperimentBuilder": "network_model experiment_name num_epochs train_data val_data "
        "test_data weight_decay_coefficient use_gpu continue_from_epoch",
        "ExperimentBuilder.get_num_parameters": "self",
        "ExperimentBuilder.plot_grad_flow": "self named_parameters",
        "ExperimentBuilder.plot_grad_flows": "self named_parameters",
        "ExperimentBuilder.run_train_iter": "self x y",
        "ExperimentBuilder.run_evaluation_iter": "self x y",
        "ExperimentBuilder.run_experiment": "self",
    },
    "arg_extractor": {"get_args": "", "str2bool": "text"},
}


@pytest.mark.parametrize("file", INTERFACE)
def test_edinburghs_files_have_the_frameworks_interface(file):
    module = own_module(COURSES / f"edinburgh/{file}.py")
    for name, wanted in INTERFACE[file].items():
        found = module
        for part in name.split("."):
            found = getattr(found, part)
        parameters = inspect.signature(found).parameters
        asked = wanted.split()
        assert list(parameters)[: len(asked)] == asked, name
        for parameter in list(parameters.values())[len(asked) :]:
            optional = parameter.default is not parameter.empty
            assert optional or parameter.kind is parameter.VAR_KEYWORD, name


def test_edinburghs_gradient_flow_is_of_layers_on_a_logarithmic_axis():
    builder = own_module(COURSES / "edinburgh/experiment_builder.py").ExperimentBuilder
    network = own_module(COURSES / "edinburgh/model_architectures.py").vgg38_bn(100)
    network(torch.randn(2, 3, 16, 16)).sum().backward()
    axis = builder.plot_grad_flow(None, network.named_parameters()).gca()
    plt.close()
    assert axis.get_yscale() == "log" and len(axis.lines[0].get_ydata()) == 38
    labels = [label.get_text() for label in axis.get_xticklabels()]
    assert not [label for label in labels if "bn_" in label or "bias" in label]


# What the archives' READMEs say, typed in one process, with little to compute: CIFAR as
# torchvision would give it, a dataset of one's own, fewer epochs.
TYPED = r"""
import json, re, runpy, shlex, sys
import torchvision.datasets

class Fake(torchvision.datasets.FakeData):
    def __init__(self, root, train, transform, download):
        super().__init__(200 if train else 100, (3, 32, 32), 100, transform)

torchvision.datasets.CIFAR100 = Fake
sys.path.insert(0, "")
less = json.loads(sys.argv[1])
for block in re.findall("```sh\n(.*?)```", open("README.md").read(), re.DOTALL):
    for line in re.findall("^python (.*)$", block, re.MULTILINE):
        words = shlex.split(line)
        print(">", line)
        module = words[0] == "-m"
        sys.argv = words[module:] + less.get(words[module], [])
        try:
            run = runpy.run_module if module else runpy.run_path
            run(sys.argv[0], run_name="__main__")
        except SystemExit as end:
            assert not end.code, line
"""


def typed(folder: Path, **less: str) -> str:
    """All that the README in a folder says to type, run there; then its LaTeX."""
    options = {name: shlex.split(words) for name, words in less.items()}
    told = bare("-c", TYPED, json.dumps(options), cwd=folder)
    for line in re.findall("^cd .*$", (folder / "README.md").read_text(), re.MULTILINE):
        succeed("bash", "-c", line, cwd=folder)
    return told


def assert_rebuilt(handed_in: Path, again: Path, student: str) -> None:
    """Page by page the same text; each page says whose it is, the first twice, and links to
    no file that lies beside the document where it was made."""
    pages, others = (PdfReader(path).pages for path in (handed_in, again))
    text = [page.extract_text() for page in pages]
    assert text == [page.extract_text() for page in others]
    assert all(f"{NAME}, {student}" in re.sub(r"\s+", " ", page) for page in text)
    assert text[0].count(NAME) == 2
    found = [link.get_object() for page in pages for link in page.get("/Annots", [])]
    assert not re.search("'(runs|tables|claims)/", str([link.get("/A") for link in found]))


@needs_tex
@pytest.mark.published
def test_edinburghs_archive_does_what_its_readme_says(experiment, tmp_path, monkeypatch):
    monkeypatch.setattr(submission, "signed", SIGNED)
    folder = unpacked(experiment, "edinburgh", tmp_path)
    scripts = folder / "mlp/pytorch_experiment_scripts"
    train = "train_evaluate_image_classification_system.py"
    told = typed(scripts, **{train: "--num_epochs 1"})
    assert "OK" in told and "test_acc" in told
    trained = scripts / "VGG_38_BN_RC"
    header = (trained / "result_outputs/summary.csv").read_text().splitlines()[0]
    assert header == "train_acc,train_loss,val_acc,val_loss"
    assert (trained / "result_outputs/test_summary.csv").exists()
    assert (trained / "saved_models/gradient_flow_plots/epoch0.pdf").exists()
    assert not [path for path in folder.rglob("*") if path.suffix in (".tex", ".log")]
    source = experiment.results.root / "s1234567-report"  # stays with the student
    succeed("latexmk", "-pdf", "report.tex", cwd=source)
    handed_in = folder / "s1234567_report.pdf"
    assert_rebuilt(handed_in, source / "report.pdf", "s1234567")


def test_edinburghs_training_goes_on_where_it_ended(tmp_path, monkeypatch):
    """With the same statistics as a training in one go."""
    monkeypatch.chdir(tmp_path)
    builder = own_module(COURSES / "edinburgh/experiment_builder.py").ExperimentBuilder
    vgg08 = own_module(COURSES / "edinburgh/model_architectures.py").vgg08
    torch.manual_seed(0)
    images, labels = torch.randn(20, 3, 16, 16), torch.arange(20) % 10
    data = [(images[:12], labels[:12]), (images[12:], labels[12:])]

    def trained(name, epochs, start):
        torch.manual_seed(0)
        made = builder(vgg08(10), name, 2, data, data, data, 0.0, False, start)
        made.num_epochs = epochs
        return made.run_experiment()

    whole = trained("whole", 2, -1)
    trained("parts", 1, -1)
    assert trained("parts", 2, -2) == whole
    tables = [Path(name, "result_outputs/summary.csv") for name in ("whole", "parts")]
    assert len(tables[0].read_text().splitlines()) == 3
    assert tables[0].read_text() == tables[1].read_text()
    assert trained("parts", 2, 0) == whole  # after the first epoch once more


# Fudan


@needs_tex
@pytest.mark.published
def test_fudans_archive_does_what_its_readme_says(experiment, tmp_path, monkeypatch):
    """And the write-up's figures are drawn again from its results."""
    monkeypatch.setattr(submission, "signed", SIGNED)
    small = part(
        experiment,
        "landscape",
        grid={"model": ["vgg-a", "vgg-a-bn"], "learning_rate": [1e-3], "seed": [2020]},
        override=[],
    )
    folder = unpacked(small, "fudan", tmp_path)
    few = few_images(folder)
    landscape = f"--dataset {few} --epochs 2 --n_items 8 --out two-steps"
    told = typed(folder, **{"VGG_Loss_Landscape.py": landscape, "loaders.py": few})
    assert "VGG_BatchNorm   9,756,426" in told and "test error 11.86 %" in told
    assert (folder / "examples.png").exists()
    pictures = {path.name for path in (folder / "two-steps").glob("*.png")}
    assert pictures == {
        "loss_landscape.png",
        "gradient_predictiveness.png",
        "beta_smoothness.png",
    }
    trained = [json.loads(p.read_text()) for p in folder.glob("two-steps/*/*/run.json")]
    assert {run["settings"]["model"] for run in trained} == {"vgg-a", "vgg-a-bn"}
    drawn = {path.name for path in (folder / "figures").glob("*.pdf")}
    assert drawn >= {path.name for path in (folder / "source/figures").glob("*.pdf")}
    student = STUDENTS["fudan"]
    assert_rebuilt(folder / "report.pdf", folder / "source/report.pdf", student)


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


@pytest.mark.published
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


def test_whom_one_talked_to_stands_in_albertas_comment(experiment):
    said = "Bob, about\nthe *optimiser*"
    write_submission(experiment, "alberta", "1234567", NAME, said)
    text = (experiment.results.root / "Assignment6-1234567" / "a6.py").read_text()
    assert "\n# Help: Bob, about the *optimiser*. The network" in text
    with pytest.raises(GradscapeError, match="--helped: fudan asks for no such comment"):
        write_submission(experiment, "fudan", STUDENTS["fudan"], NAME, said)


def test_albertas_notes_answer_five_questions_from_the_run(experiment):
    write_submission(experiment, "alberta", STUDENTS["alberta"], NAME)
    notes = (experiment.results.root / "Assignment6-1234567-notes.md").read_text()
    assert notes.count("\n## ") == 6 and "{" not in notes
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


@needs_tex
@pytest.mark.published
def test_sapienzas_archive_does_what_its_readme_says(experiment, tmp_path, monkeypatch):
    """Each command keeps what it makes in a folder of its own."""
    monkeypatch.setattr(submission, "signed", SIGNED)
    folder = unpacked(experiment, "sapienza", tmp_path)
    tiny = f"--epochs 1 --train_items 20 --batch_size 10 --dataset {few_images(folder)}"
    told = typed(folder, **{"ex3_convnet.py": tiny, "ex3_pretrained.py": tiny})
    assert "ConvNet: 7,678,474 parameters" in told and "best epoch 1: train" in told
    assert "ConvNet: 7,682,826 parameters" in told and "last epoch 1: train" in told
    assert "VGG11: 9,360,394 parameters" in told
    tiny = "epochs-1_batch_size-10_train_items-20_dataset-few"
    made = {path.name: path for path in (folder / "trained").iterdir()}
    weak = f"convnet_{tiny}_norm_layer-BN_augmentation-geometric_augmentation_strength-0.5"
    assert made.keys() == {
        f"convnet_{tiny}",
        f"convnet_{tiny}_norm_layer-BN",
        f"convnet_{tiny}_norm_layer-BN_dropout-0.3",
        weak,
        f"pretrained_{tiny}_from_scratch-True",
    }
    assert {path.name for path in made[f"convnet_{tiny}"].glob("*.png")} == {
        "filters_before.png",
        "filters_after.png",
    }
    record = json.loads((made[weak] / "run.json").read_text())
    assert record["settings"]["augmentation_strength"] == 0.5
    student = STUDENTS["sapienza"]
    assert_rebuilt(folder / "report.pdf", folder / "source/report.pdf", student)
    # Weights of the right hash, by any name.
    (folder / "frozen.py").write_text(FROZEN.format(tiny=few_images(folder)))
    assert "of which 134,410 train" in bare("frozen.py", cwd=folder)


FROZEN = """
import hashlib, pathlib, sys, torch
import ex3_pretrained

weights = pathlib.Path("some weights")
torch.save(ex3_pretrained.VGG11(10).state_dict(), weights)
digits = hashlib.sha256(weights.read_bytes()).hexdigest()[:8]
ex3_pretrained.PRETRAINED = {{"vgg11-bn": f"vgg11_bn-{{digits}}.pth"}}
sys.argv = ["", *"--epochs 1 --train_items 20 --batch_size 10 --weights".split()]
sys.argv += ["some weights", "--dataset", "{tiny}"]
ex3_pretrained.main()
"""


@pytest.mark.parametrize("course", TREES)
def test_an_archive_says_what_a_student_has_to_declare(course, experiment, tmp_path):
    folder = unpacked(experiment, course, tmp_path)
    beside = experiment.results.root.glob("Assignment6-*-notes.md")
    (said,) = {*folder.rglob("README.md"), *(beside if course == "alberta" else [])}
    said = " ".join(said.read_text().split())
    assert "gradscape, a public program" in said
    assert "handing it in as your own work is misconduct" in said
    if course == "alberta":
        assert "come from gradscape, a public program" in (folder / "a6.py").read_text()


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
