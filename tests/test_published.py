"""The published reports are what their published tables say."""

import json
import math
import shutil
import subprocess

import pandas as pd
import pytest
from pypdf import PdfReader

from conftest import ROOT, page_fill, succeed
from gradscape.config import Experiment
from gradscape.report.verdicts import HOLDS, UNMEASURED
from gradscape.report.view import StudyView

PUBLISHED = [
    path.parent for path in sorted((ROOT / "results/published").glob("*/config.json"))
]
DEBIAN_12 = "TeX Live 2022/Debian"


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda folder: folder.name)
def test_the_pdfs_are_written_again_byte_for_byte(folder, tmp_path):
    if shutil.which("latexmk") is None:
        pytest.skip("needs latexmk (make tex installs it)")
    copy = shutil.copytree(folder, tmp_path / folder.name)
    published = sorted(folder.glob("*.pdf"))
    studies = json.loads((folder / "config.json").read_text())["studies"]
    assert {path.stem for path in published} == {"report", *studies}
    for path in published:
        (copy / path.name).unlink()
    succeed("gradscape", "report", "--config", copy / "config.json", "--results", copy)
    version = subprocess.run(["pdftex", "--version"], capture_output=True, text=True).stdout
    picture = ROOT / "docs" / "surface.svg"  # the README's
    if folder.name == "cpu":
        drawn = copy / "figures" / "degradation" / picture.name
        assert drawn.read_bytes() == picture.read_bytes()
    for theirs in published:
        ours = copy / theirs.name
        assert min(page_fill(ours)[:-1], default=1) > 0.6, theirs.name
        if DEBIAN_12 in version:
            assert ours.read_bytes() == theirs.read_bytes(), theirs.name
        both = [[p.extract_text() for p in PdfReader(f).pages] for f in (ours, theirs)]
        assert both[0] == both[1], theirs.name


def test_the_cpu_runs_show_the_problem_on_real_cifar():
    """VGG38's loss sits at ln 100 in every seed while VGG08's falls."""
    runs = ROOT / "results" / "published" / "cpu" / "runs" / "degradation"
    for seed in (0, 1, 2):
        deep, shallow = (
            pd.read_csv(runs / f"{model}_lr1e-3_seed{seed}" / "metrics.csv")
            for model in ("vgg38", "vgg08")
        )
        assert abs(deep["train_loss"].iloc[-1] - math.log(100)) < 0.05
        assert shallow["train_loss"].iloc[-1] < math.log(100) - 0.3
    records = [json.loads(path.read_text()) for path in runs.parent.rglob("run.json")]
    assert len(records) == 79
    assert {record["data"]["name"] for record in records} == {"cifar10", "cifar100"}
    assert "generated" not in {record["data"]["source"] for record in records}


def test_the_readmes_numbers_are_the_runs():
    readme = " ".join((ROOT / "README.md").read_text().split())
    folder = ROOT / "results" / "published" / "cpu"
    table = pd.read_csv(folder / "tables" / "degradation" / "results.csv")
    rows = {
        key: runs
        for key, runs in table.groupby(["model", "learning_rate"])
        if len(runs) == 3
    }

    def spread(model: str, rate: float, column: str, factor: float, digits: int) -> str:
        values = factor * rows[model, rate][column]
        return f"{values.mean():.{digits}f} ± {values.std():.{digits}f}"

    for sentence, values in (
        ("its loss is {} in all three seeds", "4.60"),
        ("VGG08's is {}.", spread("vgg08", 1e-3, "final_train_loss", 1, 2)),
        ("VGG38 {} %,", spread("vgg38", 1e-3, "val_accuracy", 100, 1)),
        ("batch normalisation {} %,", spread("vgg38-bn", 1e-3, "val_accuracy", 100, 1)),
        ("residual connections {} %,", spread("vgg38-rc", 1e-3, "val_accuracy", 100, 1)),
        ("both {} %,", spread("vgg38-bn-rc", 1e-3, "val_accuracy", 100, 1)),
        ("the rate {} %", spread("vgg38-bn-rc", 1e-2, "val_accuracy", 100, 1)),
    ):
        assert sentence.format(values) in readme, sentence.format(values)
    assert {f"{loss:.2f}" for loss in rows["vgg38", 1e-3].final_train_loss} == {"4.60"}
    experiment = Experiment.from_file(folder / "config.json", folder)
    studies = experiment.studies.values()
    views = [StudyView(study, experiment.results) for study in studies]
    claims = [claim for view in views for claim in view.claims.values()]
    decided = [claim for claim in claims if claim.verdict != UNMEASURED]
    held = sum(claim.verdict == HOLDS for claim in decided)
    assert (
        f"Of {len(decided)} claims by courses and papers the runs bear out {held};"
        in readme
    )
    (best,) = (folder / "runs" / "accuracy").glob("*_long")
    accuracy = pd.read_csv(best / "test.csv")["test_accuracy"].iloc[0]
    record = json.loads((best / "run.json").read_text())
    minutes = record["seconds_training"] / 60
    assert (
        f"{100 * accuracy:.1f} % of CIFAR-10's test images with "
        f"{record['parameters']:,} parameters after {minutes:.0f} minutes"
    ) in readme
    law = next(claim for claim in claims if claim.name == "gradient-follows-the-law")
    fallen, predicted = (f"{side[0]:.1f} decades" for side in (law.left, law.right))
    assert fallen in readme and f"says {predicted.split()[0]}" in readme


def test_the_best_network_is_good_and_quick_on_two_cores():
    """At least 80 % of the real test images, after at most 15 minutes of training."""
    runs = ROOT / "results" / "published" / "cpu" / "runs" / "accuracy"
    (run,) = runs.glob("*_long")
    record = json.loads((run / "run.json").read_text())
    assert record["backend"]["kind"].startswith("CPU")
    assert record["data"]["name"] == "cifar10" and record["seconds_training"] < 900
    assert pd.read_csv(run / "test.csv")["test_accuracy"].iloc[0] > 0.80
