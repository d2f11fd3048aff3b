"""The published reports are what their published tables say."""

import json
import math
import shutil
import subprocess

import pandas as pd
import pytest
from pypdf import PdfReader

from conftest import ROOT, succeed

PUBLISHED = [
    path.parent for path in sorted((ROOT / "results/published").glob("*/config.json"))
]
DEBIAN_12 = "TeX Live 2022/Debian"


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda folder: folder.name)
def test_the_pdf_is_written_again_byte_for_byte(folder, tmp_path):
    if shutil.which("latexmk") is None:
        pytest.skip("needs latexmk (make tex installs it)")
    copy = shutil.copytree(folder, tmp_path / folder.name)
    (copy / "report.pdf").unlink()
    succeed("gradscape", "report", "--config", copy / "config.json", "--results", copy)
    ours, theirs = copy / "report.pdf", folder / "report.pdf"
    version = subprocess.run(["pdftex", "--version"], capture_output=True, text=True).stdout
    if DEBIAN_12 in version:
        assert ours.read_bytes() == theirs.read_bytes()
    texts = [[p.extract_text() for p in PdfReader(path).pages] for path in (ours, theirs)]
    assert texts[0] == texts[1]


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
    assert len(records) == 29
    assert {record["data"]["name"] for record in records} == {"cifar10", "cifar100"}
    assert "generated" not in {record["data"]["source"] for record in records}
