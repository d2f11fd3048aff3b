"""The published reports are what their published tables say."""

import json
import math
import os
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from pypdf import PdfReader

from conftest import ROOT, needs_tex, page_fill, succeed
from gradscape.base.errors import GradscapeError
from gradscape.base.paths import REPORT
from gradscape.claims.files import read_verdicts
from gradscape.claims.sentences import tally
from gradscape.config.experiment import Experiment
from gradscape.figures.drawing import draw_or_leave_out
from gradscape.report import build
from gradscape.report.diff import write_diff

PUBLISHED = [
    path.parent for path in sorted((ROOT / "results/published").glob("*/config.json"))
]
DEBIAN_12 = "TeX Live 2022/Debian"


each_folder = pytest.mark.parametrize("folder", PUBLISHED, ids=lambda folder: folder.name)


def unwritten(folder: Path, out: Path) -> Path:
    """A copy of a published folder without its documents."""
    return shutil.copytree(
        folder, out / folder.name, ignore=shutil.ignore_patterns("*.pdf", "*.tex")
    )


def names_of_documents(folder: Path) -> set[str]:
    config = json.loads((folder / "config.json").read_text())
    return {REPORT, *config["studies"], *config.get("courses", {})}


def assert_same_pdf(ours: Path, theirs: Path) -> None:
    """The same bytes, with the TeX that the published ones are from; else the same text."""
    assert min(page_fill(ours)[:-1], default=1) > 0.6, theirs.name
    if ours.read_bytes() == theirs.read_bytes():
        return
    version = subprocess.run(["pdftex", "--version"], capture_output=True, text=True).stdout
    assert DEBIAN_12 not in version, theirs.name
    both = [[p.extract_text() for p in PdfReader(f).pages] for f in (ours, theirs)]
    assert both[0] == both[1], theirs.name


@pytest.mark.parametrize(
    "folder",
    [
        f if f.name == "cpu" else pytest.param(f, marks=pytest.mark.published)
        for f in PUBLISHED
    ],
    ids=lambda folder: folder.name,
)
def test_the_documents_are_written_again_to_the_letter(folder, tmp_path, monkeypatch):
    """As LaTeX, with the facts of every figure; their PDFs, and its own, take minutes."""
    copy, written = unwritten(folder, tmp_path), []
    picture = ROOT / "docs" / "surface.svg"  # the README's

    def draw_facts(figure, runs, files) -> None:
        wanted = [f for f in files if f.suffix == ".txt" or f.name == picture.name]
        draw_or_leave_out(figure, runs, wanted)
        for file in {*files} - {*wanted}:
            file.write_text("not drawn")

    monkeypatch.setattr(build, "draw_or_leave_out", draw_facts)
    monkeypatch.setattr(build, "compile_pdf", lambda _, name: written.append(name))
    monkeypatch.setattr(build, "write_page", lambda *_: None)
    build.build(Experiment.from_file(copy / "config.json", copy))
    for kind in ("pdf", "tex"):
        published = {path.stem for path in folder.glob(f"*.{kind}")}
        assert {*written} == published == names_of_documents(folder)
    for path in folder.glob("*.tex"):
        assert (copy / "report" / path.name).read_text() == path.read_text(), path.name
    ours, theirs = (pd.read_csv(f / "claims" / "claims.csv") for f in (copy, folder))
    asked = ["study", "claim", "verdict", "sentence"]
    assert ours[asked].equals(theirs[asked])
    if folder.name == "cpu":
        drawn = copy / "figures" / "degradation" / picture.name
        assert drawn.read_bytes() == picture.read_bytes()


@pytest.mark.published
@needs_tex
@each_folder
def test_the_pdfs_are_written_again_byte_for_byte(folder, tmp_path):
    copy = unwritten(folder, tmp_path)
    succeed("gradscape", "report", "--config", copy / "config.json", "--results", copy)
    published = sorted(folder.glob("*.pdf"))
    assert {path.stem for path in published} == names_of_documents(folder)
    for theirs in published:
        assert_same_pdf(copy / theirs.name, theirs)


def test_the_cpu_runs_show_the_problem_on_real_cifar():
    """Twelve epochs of all images: VGG38's loss sits at ln 100, VGG08 learns, and with both
    remedies and a higher rate VGG38 overtakes it, from every seed."""
    runs = ROOT / "results" / "published" / "cpu" / "runs" / "degradation"
    for seed in range(3):
        deep, shallow, best = (
            pd.read_csv(runs / f"{name}_seed{seed}" / "metrics.csv")
            for name in ("vgg38_lr1e-3", "vgg08_lr1e-3", "vgg38-bn-rc_lr1e-2")
        )
        assert abs(deep["train_loss"].iloc[-1] - math.log(100)) < 0.05
        assert shallow["val_accuracy"].max() > 0.25 and best["val_accuracy"].max() > 0.40
    records = [json.loads(path.read_text()) for path in runs.parent.rglob("run.json")]
    for record in records:
        assert record["data"]["name"] in ("cifar10", "cifar100")
        assert record["data"]["source"] != "generated"
        if record["study"] == "degradation":
            assert (record["data"]["train"], record["settings"]["epochs"]) == (47_500, 12)


def test_the_readmes_numbers_are_the_runs():
    readme = " ".join((ROOT / "README.md").read_text().split())
    folder = ROOT / "results" / "published" / "cpu"
    table = pd.read_csv(folder / "tables" / "degradation" / "results.csv")
    decided = json.loads((folder / "claims" / "degradation.json").read_text())
    left_out = {name for claim in decided["claims"] for name in claim["left_out"]}
    table = table[~table["seed"].isin({int(name[-1]) for name in left_out})]
    rows = table.groupby(["model", "learning_rate"]).mean(numeric_only=True)

    def test(model: str, rate: float) -> str:
        return f"{100 * rows.test_accuracy[model, rate]:.1f}"

    for sentence in (
        f"its loss is {rows.final_train_loss['vgg38', 1e-3]:.2f}, from every seed",
        f"VGG08's is {rows.final_train_loss['vgg08', 1e-3]:.2f}.",
        f"VGG38 {test('vgg38', 1e-3)} %,",
        f"batch normalisation {test('vgg38-bn', 1e-3)} %,",
        f"residual connections {test('vgg38-rc', 1e-3)} %,",
        f"both {test('vgg38-bn-rc', 1e-3)} %,",
        f"or {test('vgg38-bn-rc', 1e-2)} % at ten times the learning rate",
        f"VGG08 has {test('vgg08', 1e-3)} %, and {test('vgg08-bn', 1e-3)} % with batch",
    ):
        assert sentence in readme, sentence
    full = folder.with_name("h200") / "runs/degradation/vgg38-bn-rc_lr1e-2_seed0"
    epoch = json.loads((full / "run.json").read_text())["best_epoch"]
    scores = pd.read_csv(full / "test.csv", index_col="epoch")["test_accuracy"]
    assert f"VGG38 with both comes to {100 * scores[epoch]:.1f} % (one seed)" in readme
    experiment = Experiment.from_file(folder / "config.json", folder)
    studies = experiment.studies.values()
    decided = [read_verdicts(study, experiment.results).claims for study in studies]
    claims = [verdict for found in decided for verdict in found.values()]
    told = tally(claims)
    assert (
        f"{told['before']} claims stood before their runs: {told['holds']} hold, "
        f"{told['fails']} do not; equal within their margin: {told['equal']}; undecided: "
        f"{told['undecided']}, {told['without']} of them without an interval; facts: "
        f"{told['facts']}; not measured: {told['unmeasured']}. Of the decided "
        f"{told['methods']} rest on seeds, {told['networks']} on single runs. "
        f"Asked later, or of exchanged runs: {told['after']}, seen and not tested."
    ) in " ".join(readme.split())
    (best,) = (folder / "runs" / "accuracy").glob("*_long")
    accuracy = pd.read_csv(best / "test.csv")["test_accuracy"].iloc[0]
    record = json.loads((best / "run.json").read_text())
    minutes = record["seconds_training"] / 60
    assert (
        f"{100 * accuracy:.1f} % of CIFAR-10's test images with "
        f"{record['parameters']:,} parameters after {minutes:.0f} minutes"
    ) in readme
    law = next(claim for claim in claims if claim.name == "gradient-follows-the-law")
    fallen, predicted = (f"{sum(side) / len(side):.2f}" for side in (law.left, law.right))
    assert f"falls by {fallen} powers of ten" in readme and f"says {predicted}" in readme


def test_the_best_network_is_good_and_quick_on_two_cores():
    """At least 80 % of the real test images, after at most 15 minutes of training."""
    runs = ROOT / "results" / "published" / "cpu" / "runs" / "accuracy"
    (run,) = runs.glob("*_long")
    record = json.loads((run / "run.json").read_text())
    assert record["backend"]["kind"].startswith("CPU")
    assert record["data"]["name"] == "cifar10" and record["seconds_training"] < 900
    assert pd.read_csv(run / "test.csv")["test_accuracy"].iloc[0] > 0.80


@pytest.mark.parametrize("course", ["edinburgh", "fudan", "alberta", "sapienza"])
def test_each_task_is_on_the_page_that_the_list_names(course):
    """The words that the list quotes stand there, and not before the task's heading."""
    parts = (ROOT / "docs/courseworks.md").read_text().split("\n## ")
    section = next(part for part in parts if f"cpu/{course}.pdf" in part)
    document = PdfReader(ROOT / f"results/published/cpu/{course}.pdf")
    pages = [" ".join(p.extract_text().replace("-\n", "").split()) for p in document.pages]
    rows = re.findall(r"^\| (.+?) \| (\d+|–) \|(.*)\|(.*)\|$", section, flags=re.MULTILINE)
    assert len(rows) >= 5
    for task, page, words, left_open in rows:
        if page == "–":
            assert left_open.strip(), task
            continue
        assert words.strip() and words.strip() in pages[int(page) - 1], task
        number = re.match(r"(?:Question )?([1-5A](?:\.\d|[a-z])?)\b(?! \(2021\))", task)
        heading = rf"\(Question\s+{number[1]}\)" if number else "$^"
        found = [n for n, text in enumerate(pages, 1) if re.search(heading, text)]
        assert int(page) >= min(found, default=1), task


def test_what_changed_between_two_folders_is_marked(tmp_path, monkeypatch):
    """By latexdiff; here by a stand-in that marks the newer of the two texts."""
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        shutil.copytree(ROOT / "results/published/engine", folder)
    (new / "config.json").write_text(
        (new / "config.json").read_text().replace('"title": "', '"title": "NEW ', 1)
    )
    marker = tmp_path / "bin" / "latexdiff"
    marker.parent.mkdir()
    marker.write_text('#!/bin/sh\nfor new; do :; done\nsed "s/NEW/CHANGED/" "$new"\n')
    marker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{marker.parent}:{os.environ['PATH']}")
    path = write_diff(old, new)
    assert path == new / "report-diff.pdf"
    assert "CHANGED" in PdfReader(path).pages[0].extract_text()
    assert not (old / "report-diff.pdf").exists()
    with pytest.raises(GradscapeError, match=r"bin: is no results folder.*config\.json"):
        write_diff(old, marker.parent)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(GradscapeError, match="latexdiff is missing; apt-get install"):
        write_diff(old, new)


def letters(pdf: Path) -> list[float]:
    """The sizes of all letters in a document's figures, in points as printed."""
    sizes = []
    for page in PdfReader(pdf).pages:
        placed = page.get_contents().get_data().decode("latin-1")
        figures = page["/Resources"].get("/XObject", {})
        for scale, name in re.findall(
            r"([\d.]+) 0 0 [\d.]+ \S+ \S+ cm\s*(/\w+) Do", placed
        ):
            drawn = figures[name].get_data().decode("latin-1")
            sizes += [
                float(scale) * float(s) for s in re.findall(r"/\S+ ([\d.]+) Tf", drawn)
            ]
    return sizes


def test_the_report_is_one_paper_whose_figures_can_be_read():
    pdf = ROOT / "results/published/cpu/report.pdf"
    assert len(PdfReader(pdf).pages) <= 16
    assert min(page_fill(pdf)[:-1]) >= 0.7
    sizes = letters(pdf)
    assert len(sizes) > 100 and min(sizes) >= 7.4  # a figure's 7.5, and rounding
    assert sum(len(PdfReader(path).pages) for path in pdf.parent.glob("*.pdf")) <= 102
