"""A run that somebody else sent is data, or is named and left out; it costs no other."""

import dataclasses
import io
import json
import zipfile

import numpy as np
import pandas as pd
import pytest

from conftest import write_run
from gradscape.base.files import seal
from gradscape.claims.tables import as_csv, write_table
from gradscape.runs.record import Damaged, read, write
from gradscape.runs.run import FinishedRun
from gradscape.spec.quantity import DIVERGED, Quantity


def resealed(run, **settings):
    """The same run with other settings, under a seal of its own."""
    path = run.path / "run.json"
    record = read(path)
    changed = dataclasses.replace(record, settings=record.settings | settings)
    write(path, changed)
    return path


@pytest.mark.parametrize(
    "name", ["vgg\ud800", "v" * 10_000], ids=["half a letter", "ten thousand letters"]
)
def test_a_name_that_nothing_can_print_is_refused(name, tmp_path):
    run = write_run(tmp_path, "vgg08")
    path = run.path / "run.json"
    content = json.loads(path.read_text())
    content["settings"]["model"] = name
    content["record_sha256"] = seal(content)
    path.write_text(json.dumps(content))
    with pytest.raises(Damaged, match=r"run\.json: damaged \(settings\.model is"):
        read(path)


def test_a_rate_beyond_all_whole_numbers_is_a_rate(tmp_path):
    run = write_run(tmp_path, "vgg08")
    assert read(resealed(run, learning_rate=1e19)).settings["learning_rate"] == 1e19


@pytest.mark.parametrize("file", ["steps.npz", "gradients.npz"])
def test_an_array_that_declares_terabytes_is_refused_unread(file, tmp_path):
    run = write_run(tmp_path, "vgg08")
    path = run.path / file
    with zipfile.ZipFile(path) as packed:
        entries = {name: packed.read(name) for name in packed.namelist()}
    torn = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        torn, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    )
    first = next(iter(entries))
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in (entries | {first: torn.getvalue()}).items():
            packed.writestr(name, content)
    write(run.path / "run.json", read(run.path / "run.json"))
    with pytest.raises(Damaged, match=rf"{file}: damaged .* of which a part is missing"):
        FinishedRun(run.path).check()


@pytest.mark.parametrize("values", [[1e308], [1e308, -1e308]], ids=["mean", "spread"])
def test_an_accuracy_too_large_for_a_percentage_is_printed_as_no_number(values):
    assert Quantity.of(values, "accuracy").latex(unit=True) == DIVERGED


def test_no_name_is_a_formula_to_a_spreadsheet(tmp_path):
    run = write_run(tmp_path, "vgg08", varied={"variant": '=HYPERLINK("http://x")'})
    write_table("results", [run], tmp_path / "results.csv")
    (cell,) = pd.read_csv(tmp_path / "results.csv")["variant"]
    assert cell.startswith("'=")
    table = pd.DataFrame({"a": ["-1+2", "@x", "plain", None], "b": [-1.0, 2, 3, 4]})
    plain = pd.read_csv(io.StringIO(as_csv(table)))
    assert plain["a"].tolist()[:3] == ["'-1+2", "'@x", "plain"]
    assert plain["b"].tolist() == [-1, 2, 3, 4]
