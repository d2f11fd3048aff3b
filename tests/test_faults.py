"""Bad luck and bad will: torn files, hostile folders, numbers that are none.

Each ends in the wanted result or in one sentence, never in a traceback, a lost result or
a program that somebody else's folder chose. `tests/faults.py` does it at random.
"""

import copy
import dataclasses
import hashlib
import io
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections import OrderedDict
from functools import wraps
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import chains
import faults
import strangers
from conftest import ROOT, needs_tex, reseal, write_document, write_run
from gradscape.base.errors import GradscapeError
from gradscape.base.files import atomic_write, unfinished
from gradscape.base.paths import PACKAGE, RECORD, Results
from gradscape.claims.tables import write_table
from gradscape.claims.verdicts import HOLDS, decide_all
from gradscape.cli import parser as cli
from gradscape.config.experiment import Experiment
from gradscape.config.published import check_literature
from gradscape.figures.drawing import draw
from gradscape.models.pretrained import load_backbone
from gradscape.probes.trained import Trained
from gradscape.report import latex
from gradscape.report.latex import compile_pdf
from gradscape.runs.run import FinishedRun
from gradscape.spec import registry
from gradscape.spec.study import Figure, Probe
from gradscape.training.checkpoint import Checkpoint
from hostile import WRONG, probes, stand_in, write_broken
from snakemake_logger_plugin_gradscape.advice import explain
from strangers import Touch

DOCUMENT = r"""
\documentclass{article}
\usepackage{booktabs}
\begin{document}
Text. %s
\end{document}
"""


def written(folder: Path, body: str = "") -> Results:
    """A results folder with the LaTeX of a report."""
    (folder / "report").mkdir(parents=True)
    (folder / "report" / "report.tex").write_text(DOCUMENT % body)
    return Results(folder)


@needs_tex
def test_nothing_that_lies_in_a_results_folder_is_run_or_taken_for_tex(tmp_path):
    results, canary = written(tmp_path / "sent"), tmp_path / "canary"
    for name in ("latexmkrc", ".latexmkrc"):
        (results.sources / name).write_text(f"system('touch {canary}');")
    (results.sources / "booktabs.sty").write_text(r"\input{/etc/hostname}\undefined")
    (results.sources / "build").mkdir()
    for torn in ("report.aux", "report.fdb_latexmk", "report.fls"):
        (results.sources / "build" / torn).write_text(r"\relax \gdef{")
    compile_pdf(results)
    assert results.pdf("report").read_bytes().startswith(b"%PDF")
    assert not canary.exists()


@needs_tex
def test_latex_reads_and_writes_nothing_outside_its_folder(tmp_path):
    outside = tmp_path / "outside"
    for body in (
        rf"\input{{{tmp_path}/secret}}",
        rf"\newwrite\x\immediate\openout\x={outside}",
        rf"\immediate\write18{{touch {outside}}}\undefined",
    ):
        results = written(tmp_path / f"sent{len(body)}", body)
        (tmp_path / "secret.tex").write_text("secret")
        with pytest.raises(GradscapeError, match=r"report\.tex: LaTeX stopped: .+"):
            compile_pdf(results)
    assert not list(tmp_path.glob("outside*"))


@needs_tex
@pytest.mark.parametrize(
    ("body", "warning"),
    [
        (r"\hbox to 5cm{}\noindent\hbox to 20cm{x}", "Overfull"),
        (r"See \ref{nothing}.", "Reference .nothing. on page 1 undefined"),
        (r"\font\x=cmsy10 \x\char200", "Missing character"),
    ],
)
def test_what_a_reader_would_stumble_over_is_said_in_place_of_a_pdf(
    body, warning, tmp_path
):
    results = written(tmp_path / "results", body)
    with pytest.raises(GradscapeError, match=rf"report\.tex: LaTeX warns: .*{warning}"):
        compile_pdf(results)
    assert not results.pdf("report").exists()


@needs_tex
@pytest.mark.limit(60)
def test_a_macro_that_calls_itself_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(latex, "MAX_SECONDS", 2)
    results = written(tmp_path / "results", r"\def\x{\x}\x")
    with pytest.raises(GradscapeError, match=r"report\.tex: LaTeX did not end within 2 s"):
        compile_pdf(results)
    lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert not [
        line for line in lines.splitlines() if "pdflatex" in line and "report" in line
    ]


@needs_tex
def test_a_killed_compilation_does_not_stop_the_next(tmp_path):
    results = written(tmp_path / "results")
    command = [
        sys.executable,
        "-m",
        "gradscape",
        "pdf",
        "--results",
        str(tmp_path / "results"),
    ]
    started = subprocess.Popen(command)
    time.sleep(0.6)
    started.send_signal(signal.SIGKILL)
    started.wait()
    compile_pdf(results)
    assert results.pdf("report").exists()


@needs_tex
def test_a_home_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/proc/nobody")
    results = written(tmp_path / "results", r"\fontencoding{T1}\texttt{a}")
    compile_pdf(results)
    assert results.pdf("report").exists()


def test_no_folder_for_temporary_files_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(GradscapeError, match="set TMPDIR"):
        compile_pdf(written(tmp_path / "results"))


def test_nothing_is_written_or_read_through_a_link(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: name)
    (tmp_path / "elsewhere").mkdir()
    results = Results(tmp_path / "results")
    results.root.mkdir()
    results.sources.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(GradscapeError, match="report: is a link to"):
        compile_pdf(results)
    results.sources.unlink()
    results.sources.mkdir()
    results.tex("report").symlink_to("/etc/hostname")
    with pytest.raises(GradscapeError, match=r"report\.tex: is a link or no file"):
        compile_pdf(results)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / ".new").symlink_to(victim)
    with atomic_write(tmp_path / "new") as partial:
        partial.write_text("new")
    assert (victim.read_text(), (tmp_path / "new").read_text()) == ("mine", "new")


# Numbers that are none

PROBES = {"confusion": "predictions", "explanations": "explanations"}


@pytest.fixture(scope="module", params=[*WRONG, "no epoch"])
def wrong(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def broken(wrong, tmp_path_factory) -> list:
    """Runs that diverged before anything was measured, each in another way."""
    folder = tmp_path_factory.mktemp("broken")
    if wrong != "no epoch":
        return write_broken(folder, WRONG[wrong])
    runs = write_broken(folder, np.nan)
    for run in runs:  # as a run that diverges in its first epoch may leave it
        np.savez(run.path / "gradients.npz", mean_absolute_gradient=[], layer=["a", "b"])
    return [reseal(run.path) for run in runs]


@pytest.mark.parametrize("name", registry.names("figure"))
def test_every_figure_is_drawn_of_numbers_that_are_none(broken, name, tmp_path):
    options = {"x": "parameters"} if name == "lines" else {}
    runs = list({run.seed: run for run in broken}.values()) if options else broken
    outputs = [tmp_path / "figure.pdf", tmp_path / "figure.txt"]
    draw(Figure("s", name, name, options=options, wide=True), runs, outputs)
    assert outputs[0].read_bytes().startswith(b"%PDF") and outputs[1].read_text().strip()


@pytest.mark.parametrize("name", ["confusion", "explanations"])
def test_a_class_called_like_a_formula_is_drawn(name, tmp_path):
    run = write_broken(tmp_path, 0.5)[0]
    path = run.path / "probes" / f"{PROBES[name]}.csv"
    path.write_text(path.read_text().replace("cat", r"$\frac{").replace("dog", "7_$"))
    out = tmp_path / "figure.svg"
    draw(Figure("s", name, name, wide=True), [FinishedRun(run.path)], [out])
    assert r"$\frac{" in out.read_text().replace("{ (", "{")


@pytest.mark.parametrize("name", registry.names("table"))
def test_every_table_is_made_of_numbers_that_are_none(broken, name, tmp_path):
    write_table(name, broken, tmp_path / "table.csv")
    assert len((tmp_path / "table.csv").read_text().splitlines()) > 1


@pytest.mark.parametrize("name", registry.names("metric"))
def test_every_metric_of_numbers_that_are_none_decides_nothing(broken, name):
    where = (
        {} if name.startswith(("mean_band", "median_proxy")) else {"learning_rate": 1e-3}
    )
    claim = {"left": {"metric": name, "where": where}, "is": "above", "right": 0.5}
    verdict = decide_all({"c": claim | {"statement": "s", "source": "s"}}, broken)["c"]
    if name not in ("parameters", "normalised_gradient_growth"):  # no run's own
        assert verdict.verdict != HOLDS or np.isposinf(verdict.left).all()


FULL = Experiment.from_file(ROOT / "config/config.yaml")  # read once, it takes a second


@pytest.mark.parametrize("study", FULL.studies)
def test_every_section_is_written_of_numbers_that_are_none(broken, wrong, study, tmp_path):
    """Of all seeds in the first way, of one in the others."""
    experiment = copy.copy(FULL)
    results = experiment.results = Results(tmp_path)
    runs = experiment.studies[study].runs
    if wrong != "nan":
        runs = [run for run in runs if run.settings.seed == runs[0].settings.seed]
    stand_in(runs, broken[0].path, results)
    write_document(experiment, study)
    text = results.tex(study).read_text()
    assert not re.search(r"\b(nan|NaN|inf|None)\b", text), text


# Damaged results


def packed(**arrays) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def bomb() -> bytes:
    """An array of 3 GB in 3 MB; the header alone says so, which is what must be read."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("loss.npy", b"small")
    data = bytearray(content.getvalue())
    directory = data.rindex(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = (3 * 10**9).to_bytes(4, "little")
    return bytes(data)


class Evil:
    """What an unpickling reader would run."""

    def __reduce__(self):
        return (Path.touch, (Path("unpickled"),))


DAMAGE = {
    "empty record": ("run.json", b"", "damaged"),
    "record is a list": ("run.json", b"[]", "study is missing"),
    "record nests": ("run.json", b"[" * 10**5, "damaged"),
    "record of bytes": ("run.json", b"\xff\xfe\x00", "damaged"),
    "no classes": ("run.json", {"data": {"classes": None}}, "data.name is missing"),
    "rate is text": ("run.json", {"settings": {"model": "a"}}, "learning_rate is missing"),
    "varied is a list": ("run.json", {"varied": [1]}, r"varied is '\[1\]'"),
    "no seconds": ("run.json", {"seconds_training": "fast"}, "seconds_training is 'fast'"),
    "NaN parameters": ("run.json", {"parameters": np.nan}, "parameters is 'nan'"),
    "empty metrics": ("metrics.csv", b"", "metrics.csv: damaged"),
    "no rows": ("metrics.csv", b"epoch,train_loss\n", "train_accuracy is missing"),
    "binary metrics": ("metrics.csv", bytes(range(256)), "metrics.csv: damaged"),
    "words": (
        "metrics.csv",
        b"epoch,train_loss,train_accuracy,val_loss,val_accuracy\n1,a,b,c,d\n",
        "train_loss does not hold numbers",
    ),
    "epochs twice": ("test.csv", b"epoch,test_loss,test_accuracy\n1,1,1\n1,1,1\n", "epoch"),
    "torn steps": ("steps.npz", packed(loss=np.ones(9))[:-30], "steps.npz: damaged"),
    "no loss": ("steps.npz", packed(steps_per_epoch=1), "loss is missing"),
    "a bomb": ("steps.npz", bomb(), "it unpacks to 3,000,000,000 bytes"),
    "a pickle": (
        "gradients.npz",
        packed(layer=np.array([Evil()])),
        "gradients.npz: damaged",
    ),
    "no layers": (
        "gradients.npz",
        packed(layer=np.array([], str), mean_absolute_gradient=np.ones(0)),
        "layer is empty",
    ),
    "no answers": (
        "predictions.npz",
        packed(predicted=np.array([100], "u1"), confidence=np.zeros(1, "u1"), right=[True]),
        "predicted does not hold 100 classes",
    ),
    "a probe": ("probes/predictions.csv", b"image\n1\n", "confidence is missing"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_run_is_named_and_left_out(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    experiment = copy.copy(FULL)
    experiment.results = Results(tmp_path)
    probes = {"predictions": Probe("predictions", "predictions", {}, {})}
    study = dataclasses.replace(experiment.studies["regularisation"], probes=probes)
    experiment.studies = experiment.studies | {"regularisation": study}
    sound = write_run(tmp_path / "made", "vgg08", losses=(1.0,), accuracies=(0.5,))
    stand_in(study.runs[:2], sound.path, experiment.results)
    file, content, sentence = DAMAGE[name]
    damaged = experiment.directory(study.runs[1]) / file
    if isinstance(content, dict):
        content = json.dumps(json.loads(damaged.read_text()) | content).encode()
    damaged.parent.mkdir(exist_ok=True)
    damaged.unlink(missing_ok=True)
    damaged.write_bytes(content)
    if file != RECORD:  # somebody else may seal what they like
        reseal(experiment.directory(study.runs[1]))
    write_document(experiment, study.name)
    write_document(experiment, study.name)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and re.search(sentence, said[0]) and str(damaged) in said[0]
    text = experiment.results.tex(study.name).read_text()
    assert "Left out, because files of theirs are damaged: regularisation/" in text
    assert not Path("unpickled").exists()


def test_no_reader_unpickles():
    for path in PACKAGE.rglob("*.py"):
        for call in re.findall(r"np\.load\([^)]*\)", path.read_text()):
            assert "allow_pickle=False" in call, (path, call)


def test_a_table_that_does_not_hold_together_costs_its_figure_only(tmp_path, capsys):
    run = write_broken(tmp_path, 1.0)[0]
    rows = probes(1.0)["filters"].iloc[1:]
    rows.to_csv(run.path / "probes" / "filters.csv", index=False)
    with pytest.raises(GradscapeError, match="figure f: cannot be drawn from the tables"):
        draw(Figure("s", "f", "filters"), [FinishedRun(run.path)], [tmp_path / "f.pdf"])


@pytest.mark.parametrize(
    ("content", "sentence"),
    {
        b"": "model is missing",
        b"\xff\x00\n": "cannot be parsed",
        b"model,source,dataset,epochs,train_images\na,b,c,many,1\n": "epochs is 'many'",
        b"model,source,dataset,epochs,train_images\na,,c,1,1\n": "line 2: source is ''",
    }.items(),
)
def test_damaged_published_numbers_are_named(content, sentence, tmp_path):
    path = tmp_path / "published.csv"
    path.write_bytes(content)
    with pytest.raises(GradscapeError, match=sentence):
        check_literature(path)


def sealed_run(folder: Path) -> Path:
    run = write_broken(folder, 0.5)[0].path
    (run / "timing.csv").write_text("epoch\n1\n")
    answers = {"predicted": np.zeros(1, np.uint8), "right": np.ones(1, bool)}
    np.savez(run / "predictions.npz", confidence=np.zeros(1, np.uint8), **answers)
    reseal(run).check()
    return run


@pytest.mark.parametrize(
    ("file", "digit", "other"),
    [
        ("metrics.csv", b"0.5", b"0.6"),
        ("test.csv", b"0.5", b"0.4"),
        ("steps.npz", b"loss", b"lost"),
        ("run.json", b'"parameters": 1', b'"parameters": 2'),
    ],
)
def test_a_changed_digit_is_refused_and_its_run_named(file, digit, other, tmp_path):
    path = sealed_run(tmp_path) / file
    content = path.read_bytes()
    assert digit in content
    path.write_bytes(content.replace(digit, other, 1))
    with pytest.raises(GradscapeError, match=f"{path}: damaged .*not as it was written"):
        FinishedRun(path.parent).check()


# From outside


@pytest.mark.parametrize("kind", ["a pickle", "a bomb", "no dictionary", "no numbers"])
def test_weights_of_somebody_else_are_read_as_data(kind, tmp_path):
    sound, canary = {"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "canary"
    content = {
        "a pickle": sound | {"x": Touch(canary)},
        "a bomb": sound,
        "no dictionary": [sound],
        "no numbers": {"features.0.weight": "text"},
    }[kind]
    content = strangers.packed(content)
    if kind == "a bomb":
        content = strangers.bomb(content)
    path = tmp_path / f"vgg11_bn-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    path.write_bytes(content)
    model = nn.Sequential(OrderedDict(features=nn.Sequential(nn.Conv2d(3, 64, 3))))
    with pytest.raises(GradscapeError, match=r"holds no weights|of another network"):
        load_backbone(model, path)
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(
        GradscapeError, match=r"model\.pt: (damaged|holds no run's weights)"
    ):
        Trained(tmp_path, tmp_path)
    assert not canary.exists()


@pytest.mark.parametrize("key", ["model", "split", "loss"])
def test_a_program_that_a_run_names_is_run_only_if_it_is_ones_own(key, tmp_path):
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w')")
    settings = {"model": "vgg08", "dataset": "generated10"}
    settings[key] = f"{tmp_path}/evil.py:f"
    saved = {"settings": settings, "classes": ["a"], "best": {}, "last": {}}
    (tmp_path / "model.pt").write_bytes(strangers.packed(saved))
    with pytest.raises(GradscapeError, match=r"names the program '.*evil\.py:f'; if it is"):
        Trained(tmp_path, tmp_path)
    with pytest.raises(GradscapeError, match="missing; make it with"):  # the next question
        Trained(tmp_path, tmp_path, own=[settings[key]])
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("behaviour", strangers.BEHAVIOURS)
def test_a_server_that_misbehaves_ends_in_a_sentence_and_leaves_nothing(
    behaviour, tmp_path
):
    for something in (strangers.dataset_file, strangers.network_weights):
        strangers.download_twice(behaviour, something, tmp_path)
        next(tmp_path.iterdir()).unlink()


# Two at once, no room, no memory


def test_of_two_that_write_a_file_one_waits(tmp_path):
    path = tmp_path / "table.csv"

    def second() -> None:
        with atomic_write(path) as partial:
            partial.write_text("second")

    with atomic_write(path) as partial:
        partial.write_text("first")
        other = threading.Thread(target=second)
        other.start()
        time.sleep(0.2)
        assert partial.read_text() == "first"
    other.join()
    assert path.read_text() == "second" and len(list(tmp_path.iterdir())) == 1


def test_what_a_kill_leaves_of_a_checkpoint_goes_with_it(tmp_path):
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "mark")
    checkpoint.save({"a": 1})
    unfinished(checkpoint.path).touch()
    checkpoint.delete()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not chains.can_mount(), reason="needs root, to mount a small disk")
def test_a_figure_on_a_full_disk_is_one_sentence(tmp_path):
    whole, steps = chains.chain()
    step, place = steps["figure curves"], tmp_path / "work"
    with chains.disk(place):
        shutil.copytree(whole, place, dirs_exist_ok=True)
        chains.remove(place, step.makes)
        for share in (0.1, 0.2, 0.3, 0.4):
            chains.fill(place, share * chains.size(whole, step))
            assert chains.end(chains.start(place, step.words)) == 2
            assert "make room and call again" in chains.said(place).splitlines()[-1]
            chains.remove(place, [Path("ballast"), *step.makes])


def test_a_full_disk_under_snakemake_is_said_though_no_log_has_room(tmp_path, monkeypatch):
    log = tmp_path / "log"
    log.touch()
    assert explain("", [str(log)]) is None
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=0))
    assert "make room and call again" in explain("", [str(log)])


def test_snakemake_in_a_folder_that_cannot_be_written_says_what_to_do():
    said = "OSError: [Errno 30] Read-only file system: '/opt/gradscape/.snakemake'"
    assert "--directory" in explain(said)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't allocate memory")])
def test_too_little_memory_is_one_sentence_and_no_damage(
    error, tmp_path, monkeypatch, capsys
):
    def fail(*words, **options):
        raise error

    monkeypatch.setitem(cli.COMMANDS, "data", wraps(cli.COMMANDS["data"])(fail))
    with pytest.raises(SystemExit) as stopped:
        cli.main(["data", "generated10"])
    assert stopped.value.code == 2 and "memory is too small" in capsys.readouterr().err
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "mark")
    checkpoint.save({"a": torch.ones(3)})
    monkeypatch.setattr("torch.load", fail)
    with pytest.raises(type(error)):
        checkpoint.load()
    assert checkpoint.path.exists()


@pytest.mark.parametrize(("number", "limit"), [(27, "ulimit -f"), (24, "ulimit -n")])
def test_a_limit_of_the_system_is_one_sentence(number, limit, monkeypatch, capsys):
    def fail(**arguments) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setitem(cli.COMMANDS, "data", wraps(cli.COMMANDS["data"])(fail))
    with pytest.raises(SystemExit) as stopped:
        cli.main(["data", "generated10"])
    assert stopped.value.code == 2
    said = f"{os.strerror(number)}; raise the limit with `{limit}` and call again\n"
    assert capsys.readouterr().err.endswith(said)


def test_four_gibibytes_are_enough(tmp_path):
    """Of address space, to train and to write the report, to the same bytes."""
    whole, steps = chains.chain()
    place = shutil.copytree(whole, tmp_path / "work")
    for name in ("train 0", "tex"):
        chains.remove(place, steps[name].makes)
        subprocess.run(
            [sys.executable, "-m", "gradscape", *steps[name].words],
            check=True,
            cwd=place,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32)),
        )
    chains.compare(place, whole)


# The command line

SURFACE = ["probe", "surface", "--run", "r", "--out", "o"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["probe", "surface", "--run", "r", "--out", "."],
            "argument --out: '.' is a folder",
        ),
        (["table", "results", "--out", "/"], "argument --out: '/' is a folder"),
        (["table", "results", "--out", ""], "argument --out: '' is a folder"),
        ([*SURFACE, "--options", "{"], "--options: "),
        ([*SURFACE, "--options", "[]"], "--options: "),
        (
            [*SURFACE, "--options", '{"points": 9999}'],
            "--options.points: 9999 is greater than the maximum of 1001",
        ),
        (
            [*SURFACE, "--options", '{"imges": 1}'],
            "--options: unknown key 'imges' (did you mean 'images'?)",
        ),
        (
            ["probe", "srface", "--run", "r", "--out", "o"],
            "unknown probe 'srface' (did you mean 'surface'?)",
        ),
        (
            ["figure", "--out", "o", "--spec", "nonsense"],
            "--spec: cannot be parsed as JSON",
        ),
        (["figure", "--out", "o", "--spec", "{}"], "--spec: the key 'draw' is missing"),
        (
            [
                *("figure", "--out", "o", "--spec"),
                '{"study": "", "name": "", "draw": "loss_band", "options": {"window": 0}}',
            ],
            "--spec.options.window: 0 is less than the minimum of 1",
        ),
        (
            [
                *("figure", "--out", "o", "--spec"),
                '{"draw": "curves", "study": "s", "name": "n", "wide": "yes"}',
            ],
            "--spec.wide: 'yes' is not of type 'boolean'",
        ),
    ],
)
def test_bad_arguments_are_one_sentence(words, sentence, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(words)
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"gradscape: {sentence}") and len(said.splitlines()) == 1


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device", "another.pdf"),
        OSError("1024 requested and 0 written"),  # numpy's
        RuntimeError("PytorchStreamWriter failed writing file"),
    ],
)
def test_a_full_disk_is_one_sentence_and_loses_nothing(
    error, tmp_path, monkeypatch, capsys
):
    path = tmp_path / "images.npy"
    path.write_text("before")

    def write(**arguments) -> None:
        with atomic_write(path) as partial:
            partial.write_text("half")
            raise error

    full = SimpleNamespace(free=0)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: full)
    monkeypatch.setitem(cli.COMMANDS, "data", wraps(cli.COMMANDS["data"])(write))
    with pytest.raises(SystemExit) as stopped:
        cli.main(["data", "generated10"])
    assert stopped.value.code == 2
    assert f"{path}: No space left on device; make room" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["images.npy"]
    assert path.read_text() == "before"


def test_an_interruption_while_a_training_starts_is_one_line(generated, tmp_path):
    command = [sys.executable, "-m", "gradscape", "train", "--model", "vgg08"]
    command += ["--dataset", "generated10", "--data", generated, "--out", tmp_path / "run"]
    for seconds in (0.8, 1.5, 2.5):  # earlier, Python itself may still be starting
        started = subprocess.Popen(
            list(map(str, command)), stderr=subprocess.PIPE, text=True
        )
        time.sleep(seconds)
        started.send_signal(signal.SIGINT)
        _, said = started.communicate(timeout=60)
        assert "Traceback" not in said
        assert started.returncode in (130, -signal.SIGINT)


# A command in which an interruption comes where Python lets nothing be raised.
DEAF = """
import signal, time
from gradscape.cli import parser

class Deaf:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

def wait():
    Deaf()
    time.sleep(10)

parser.COMMANDS["wait"] = wait
parser.main()
"""


def test_an_interruption_where_nothing_can_be_raised_is_not_lost():
    words = [sys.executable, "-c", DEAF, "wait"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=9)
    assert done.returncode == 130 and done.stderr == "gradscape: interrupted\n"


# At random


def test_nothing_is_lost_or_run_and_nothing_raises_at_random(capsys):
    """A short campaign; `make test-faults` is a long one."""
    kinds = [kind for kind in faults.KINDS if kind != "workflows"]
    tallies = faults.campaign(seed=0, seconds=8, kinds=kinds)
    said = capsys.readouterr().err
    assert all(tally.tried == tally.survived > 0 for tally in tallies.values()), said
