"""The workflow as its users run it, on a copy of the repository and a tiny grid."""

import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from docutils.core import publish_parts
from pypdf import PdfReader

from conftest import (
    BIN,
    ROOT,
    TINY,
    copy_repository,
    made_once,
    needs_tex,
    planned,
    run,
    succeed,
)
from gradscape.cli import parser as cli
from gradscape.config.experiment import Experiment
from gradscape.pipeline import jobs
from gradscape.pipeline.jobs import Dag
from gradscape.pipeline.listed import Listed, restructured

LITERAL = "snakemake --cores 1 --resources gpu=1 all"


@pytest.fixture(scope="session")
def finished(shared) -> Path:
    """A repository in which the literal command has run, for real, on the tiny grid."""

    def make(folder: Path) -> None:
        repository = copy_repository(folder)
        default = repository / "config" / "config.yaml"
        full = default.read_text()
        default.write_text(TINY)
        if shutil.which("latexmk") is None:
            succeed("snakemake", "figures", "--cores", "2", cwd=repository)
        else:
            succeed(*LITERAL.split(), cwd=repository)
        default.write_text(full)

    return made_once(shared / "gradscape", make)


@pytest.fixture
def done(finished, tmp_path) -> Path:
    """A copy of it to change, with Snakemake's memory and the files' dates."""
    return Path(shutil.copytree(finished, tmp_path / "gradscape", symlinks=True))


@pytest.fixture
def untrained(done) -> Path:
    """Such a copy with its dataset alone."""
    shutil.rmtree(done / "results" / "tiny")
    return done


@needs_tex
def test_the_literal_command_makes_the_pdf(finished):
    pages = PdfReader(finished / "results" / "tiny" / "report.pdf").pages
    text = [page.extract_text() for page in pages]
    assert all("images in this report are generated" in page for page in text)
    assert "Two rates" in "".join(text)
    log = (
        finished / "results" / "tiny" / "logs" / "train" / "tiny" / "vgg08_lr1e-3_seed0.log"
    )
    assert len(re.findall(r"^epoch +\d+/2 .*images/s", log.read_text(), re.M)) == 2


def test_what_one_types_prints_a_line_a_job(untrained):
    words = ["snakemake", "-n", "--cores", "2", "--configfile", "config/tiny.yaml"]
    said, _, counts = succeed(*words, cwd=untrained).partition("Job stats:")
    (total,) = re.findall(r"^total +(\d+)$", counts, re.M)
    jobs = [line for line in said.splitlines() if not line.startswith("Using workflow")]
    assert len(jobs) == int(total) - 1  # `all` does nothing
    assert "Training tiny: vgg08_lr1e-3_seed0" in jobs


@needs_tex
def test_nothing_runs_twice(finished):
    assert planned(finished) == set()


@needs_tex
def test_a_figure_or_a_caption_retrains_nothing(done):
    with (done / "workflow/gradscape/figures/curves.py").open("a") as module:
        module.write("# a comment\n")
    assert planned(done) == {"figure", "tex", "pdf", "page"}
    config = yaml.safe_load(TINY)
    config["studies"]["tiny"]["figures"] = {
        "curves": {"draw": "curves", "wide": True, "caption": "Another caption."}
    }
    (done / "config" / "tiny.yaml").write_text(yaml.dump(config))
    assert "train" not in planned(done)


@needs_tex
def test_a_claim_that_changes_is_decided_anew_and_nothing_fails(done, monkeypatch):
    """Also one that `gradscape claims --set` has decided otherwise in between."""
    config = yaml.safe_load(TINY)
    side = {"metric": "test_accuracy", "where": {"learning_rate": 1e-3}}
    claim = {"statement": "It learns.", "source": "us", "left": side, "is": "above"}
    config["studies"]["tiny"]["claims"] = {"learns": claim | {"right": 0.2}}
    path = done / "config" / "tiny.yaml"
    page = ("results/tiny/report.html", "results/tiny/claims/claims.csv")
    page += ("--cores", "2", "--configfile", path)
    path.write_text(yaml.dump(config))
    succeed("snakemake", *page, cwd=done)
    what_if = "studies.tiny.claims.learns.right=0.9"
    monkeypatch.chdir(done)
    cli.main(["claims", "--config", str(path), "--set", what_if])
    assert "decided of other claims" in succeed("snakemake", *page, cwd=done)
    verdicts = json.loads((done / "results/tiny/claims/tiny.json").read_text())
    assert verdicts["claims"][0]["right"] == [0.2]


@needs_tex
def test_a_clock_that_is_off_retrains_nothing(done):
    """One run's files as a node dates them whose clock is behind, another's and the
    dataset's ahead."""
    runs = sorted((done / "results" / "tiny" / "runs" / "tiny").iterdir())
    assert len(runs) == 2
    (dataset,) = (done / "results" / "data").glob("*/dataset.json")
    for folder, hours in zip([*runs, dataset.parent], (-1, 1, 1), strict=True):
        for path in folder.rglob("*.*"):
            moved = path.stat().st_mtime + 3600 * hours
            os.utime(path, (moved, moved))
    assert "train" not in planned(done)


@needs_tex
def test_a_model_or_the_engine_retrains_its_runs(done):
    other = done / "workflow/gradscape/models/vgg_a.py"
    other.write_text(other.read_text() + "# a comment\n")
    assert planned(done) == set()
    own = done / "workflow/gradscape/models/vgg_edinburgh.py"
    own.write_text(own.read_text() + "# a comment\n")
    assert "train" in planned(done)
    words = "snakemake -n -p --cores 2 --configfile config/tiny.yaml runs"
    said = succeed(*words.split(), cwd=done)
    why = "(Updated input files: workflow/gradscape/models/vgg_edinburgh.py)"
    assert f"Training tiny: vgg08_lr1e-3_seed0 {why}\npython -m gradscape train " in said


@needs_tex
def test_report_writes_the_pdf_from_what_is_there(done):
    results = done / "results" / "tiny"
    shutil.rmtree(results / "runs" / "tiny" / "vgg08_lr1e-2_seed0")
    (results / "report.pdf").unlink()
    succeed(
        *("snakemake", "report", "--cores", "1", "--configfile", "config/tiny.yaml"),
        cwd=done,
    )
    text = PdfReader(results / "report.pdf").pages[0].extract_text()
    assert "Unfinished: 1 planned run is missing" in " ".join(text.split())
    assert not (results / "runs" / "tiny" / "vgg08_lr1e-2_seed0").exists()


@pytest.mark.published  # that any text compiles is tested in `make test` as well
@needs_tex
def test_a_title_of_special_characters_compiles_and_the_bytes_repeat(done, monkeypatch):
    monkeypatch.chdir(done)
    results = done / "results" / "tiny"
    config = json.loads((results / "config.json").read_text())
    title = r"100 % of _all_ & #1 $5 \end{document} ~^ {x}"
    config["title"] = config["studies"]["tiny"]["title"] = title
    (done / "config.json").write_text(json.dumps(config))
    command = ["report", "--config", "config.json"]
    cli.main(command)
    first = {p: (results / p).read_bytes() for p in ("report.pdf", "report-source.tar.gz")}
    text = PdfReader(results / "report.pdf").pages[0].extract_text()
    assert "100 % of _all_ & #1 $5" in text
    for folder in ("report", "figures", "tables"):
        shutil.rmtree(results / folder)
    cli.main(command)
    for name, content in first.items():
        assert (results / name).read_bytes() == content, name


def test_without_latexmk_the_sentence_has_the_apt_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "results" / "report").mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit) as stopped:
        cli.main(["pdf", "--results", str(tmp_path / "results")])
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    assert "latexmk is missing" in said and "apt-get install" in said


@needs_tex
def test_snakemakes_html_report(done):
    succeed(
        *("snakemake", "--report", "report.html", "--cores", "1"),
        *("--configfile", "config/tiny.yaml"),
        cwd=done,
    )
    html = (done / "report.html").read_text()
    assert "Why do deep networks refuse to train" in html  # the landing text
    for shown in ("00 The report", "01 Two rates"):
        assert shown in html
    rows = [tuple(json.loads(r).values()) for r in re.findall(r'"labels": (\{.*?\})', html)]
    assert len(rows) == len({*rows}) == 9
    assert ("The report to explore", "page", "report") in rows
    assert ("All runs and their scores", "table", "results") in rows
    assert ("Gradient flow in VGG08, lr 10⁻²", "gradient flow", "flow") in rows
    assert ("Two rates", "PDF", "tiny") in rows
    assert html.count('"mime_type": "text/html"') == 3  # the page and two tables


def test_a_killed_grid_is_finished_by_the_same_command(untrained, finished):
    """SIGKILL to Snakemake and its jobs at random moments; then unlock and call again."""
    command = ["snakemake", "runs", "--cores", "2", "--configfile", "config/tiny.yaml"]
    moments = random.Random(0)
    for _ in range(2):
        process = subprocess.Popen(
            [BIN / command[0], *command[1:]],
            cwd=untrained,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(moments.uniform(3, 10))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        succeed("snakemake", "--unlock", *command[4:], cwd=untrained)
    succeed(*command, cwd=untrained)
    runs = Path("results/tiny/runs/tiny")
    names = sorted(path.name for path in (finished / runs).iterdir())
    assert sorted(path.name for path in (untrained / runs).iterdir()) == names
    for name in names:
        metrics = runs / name / "metrics.csv"
        assert (untrained / metrics).read_bytes() == (finished / metrics).read_bytes()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"epoch": 3}, "unknown key 'epoch' (did you mean 'epochs'?)"),
        ({"model": "vgg9"}, "unknown model 'vgg9'"),
    ],
)
def test_a_typo_stops_the_rules_with_one_sentence(change, sentence, capsys):
    config = yaml.safe_load(TINY)
    config["studies"]["tiny"] |= change
    with pytest.raises(SystemExit):
        jobs.experiment(config)
    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line


def test_a_typo_stops_snakemake(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(TINY.replace("epochs:", "epoch:"))
    words = ["-s", ROOT / "Snakefile", "-n", "--cores", "1", "--configfile", config]
    done = run("snakemake", *words, cwd=tmp_path)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "unknown key 'epoch' (did you mean 'epochs'?)" in said
    assert "Traceback" not in said


def test_a_results_folder_that_cannot_be_written_is_named(generated, tmp_path, capsys):
    (tmp_path / "taken").write_text("a file where a folder should be")
    words = ["train", "--model", "vgg08", "--dataset", "generated10", "--device", "cpu"]
    words += ["--epochs", "1", "--train-items", "20", "--data", str(generated)]
    with pytest.raises(SystemExit) as stopped:
        cli.main([*words, "--out", str(tmp_path / "taken" / "run")])
    assert stopped.value.code == 2
    assert "taken" in capsys.readouterr().err


def test_the_house():
    text = (ROOT / "Snakefile").read_text()
    assert len(text.splitlines()) <= 60 and "sys.path" not in text
    for rules in (ROOT / "workflow" / "rules").glob("*.smk"):
        assert not re.search(r"\b(def|lambda)\b", rules.read_text()), rules.name


def test_nothing_but_training_loads_torch_and_a_dry_run_not_even_numpy():
    """The rules' functions, then a few figures, then the report and the tables."""
    code = """
import sys, gradscape.pipeline.jobs
print({'torch', 'numpy'} & {*sys.modules})
import gradscape.figures.curves, gradscape.figures.gradient_flow
import gradscape.figures.loss_band
print('torch' in sys.modules)
import gradscape.report.build, gradscape.claims.tables
print('torch' in sys.modules)
"""
    assert succeed(sys.executable, "-c", code).split() == ["set()", "False", "False"]


def readme_commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def test_the_readmes_commands_are_commands(done, monkeypatch):
    """Snakemake's as dry runs, make's likewise, gradscape's for real."""
    monkeypatch.chdir(done)
    commands = readme_commands()
    assert {"make demo", "make test", LITERAL} <= set(commands)
    (done / "results" / "demo").mkdir(exist_ok=True)
    for command in commands:
        program, *words = shlex.split(command)
        if program == "source":
            continue
        if program == "make" or (program == "snakemake" and "--unlock" not in words):
            words.append("-n")
        elif words[:1] == ["report"]:
            words = ["report", "--config", "results/tiny/config.json"]
            if shutil.which("latexmk") is None:
                continue
        if words[:1] == ["submission"]:
            cli.parser().parse_args(words)
        elif program == "gradscape":
            cli.main(words)
        else:
            succeed(program, *words, cwd=done)


@pytest.mark.published  # it is how a published folder is filled
def test_a_full_run_goes_on_in_pieces_and_on_another_machine(untrained, tmp_path):
    kept, results = tmp_path / "kept", untrained / "results" / "tiny"
    command = [sys.executable, "benchmarks/full_run.py", kept, "--at-once", "2"]
    command += ["--config", "config/tiny.yaml"]
    place = {"cwd": untrained, "PYTHONPATH": str(untrained / "workflow")}
    cut = run(*command, "--seconds", "3", **place)
    assert cut.returncode == 1
    assert "4 runs and probes are missing: call again" in cut.stderr
    assert "2 runs are in" in succeed(*command, **place)
    logs = [path.read_text() for path in results.rglob("logs/train/**/*.log")]
    assert logs and not any("another process" in log for log in logs)  # none was left
    assert not list(kept.rglob("model.pt"))
    assert len(list(kept.glob("runs/tiny/*/run.json"))) == 2
    assert len(list(kept.glob("runs/tiny/*/probes/*.csv"))) == 2

    shutil.rmtree(untrained / ".snakemake")
    shutil.rmtree(results)
    shutil.rmtree(kept / "runs/tiny/vgg08_lr1e-2_seed0")
    assert "2 runs are in" in succeed(*command, **place)
    (trained,) = results.rglob("model.pt")  # the other was not trained again
    assert trained.parent.name == "vgg08_lr1e-2_seed0"


def test_no_text_ends_a_script_of_snakemakes_report():
    """Beside figures and tables it shows what their jobs were told."""
    evil = "</script><script>alert(1)</script>"
    config = yaml.safe_load(TINY)
    study = config["studies"]["tiny"]
    study |= {"title": evil, "figures": {"curves": {"draw": "curves", "caption": evil}}}
    dag = Dag(Experiment(config))
    wildcards = SimpleNamespace(study="tiny", figure="curves")
    spec = dag.figure_spec(wildcards)
    assert json.loads(spec)["caption"] == evil
    listed = Listed(dag.experiment)
    told = [spec, listed.caption(wildcards), dag.claims_asked(wildcards)]
    told += [listed.category(wildcards), *listed.figure(wildcards).values()]
    assert not any("</" in text or "<!" in text for text in told)


@pytest.mark.parametrize(
    "text",
    [
        ".. raw:: html\n\n   <script>alert(1)</script>",
        ".. include:: /etc/hostname",
        "`a <javascript:alert(1)>`_ *b* |c|",
    ],
)
def test_a_caption_is_text_to_snakemakes_report(text):
    """As docutils, which Snakemake's report uses, makes HTML of it."""
    html = publish_parts(restructured(text), writer="html")["body"]
    printed = unescape(re.sub(r"<[^>]*>", "", html)).strip()
    assert "<script" not in html and "href" not in html
    assert printed == " ".join(text.split())


def test_a_job_waits_for_all_that_it_reads(tmp_path, monkeypatch):
    """Probes that a table takes, what a user's own images are made with, published curves,
    what every part of a document is written from."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "helper.py").write_text("")
    (tmp_path / "images.py").write_text("import helper\n\n\ndef shapes(): ...\n")
    columns = "epoch,train_loss,val_loss,train_accuracy,val_accuracy"
    (tmp_path / "curves.csv").write_text(f"{columns}\n1,4,4,.1,.1\n")
    config = yaml.safe_load(TINY)
    study = config["studies"]["tiny"]
    study["tables"] = ["coordinates"]
    curves = {"draw": "curves", "options": {"reference": "curves.csv"}}
    study["figures"]["curves"] = curves
    dag = Dag(Experiment(config))
    tiny = SimpleNamespace(study="tiny", figure="curves", table="coordinates")
    probed = {path for path in dag.study_files(tiny) if "/probes/" in path}
    assert len(probed) == 2
    assert dag.figure_files(tiny) == ["curves.csv"]
    theirs = "report/published/edinburgh-vgg08.csv"  # gradscape's, from wherever one works
    study["figures"]["curves"] = curves | {"options": {"reference": theirs}}
    assert Dag(Experiment(config)).figure_files(tiny) == [str(ROOT / theirs)]
    metrics = "workflow/gradscape/claims/metrics.py"
    assert any(path.endswith(metrics) for path in dag.table_code(tiny))
    document = dag.template(SimpleNamespace(document="report"))
    assert any("conclusions/degradation" in path for path in document)
    monkeypatch.setattr(dag, "source", lambda _: "images.py:shapes")
    assert dag.own_file(None) == ["helper.py", "images.py"] and dag.listing(None) == ""
    (tmp_path / "photos" / "cats").mkdir(parents=True)
    monkeypatch.setattr(dag, "source", lambda _: "photos/")
    told = {dag.listing(None)}
    for content in ("a cat", "cats!", "another cat"):  # the second is as long as the first
        (tmp_path / "photos" / "cats" / "1.png").write_text(content)
        told.add(dag.listing(None))
    assert len(told) == 4
    (tmp_path / "photos" / "cats" / "2.png").symlink_to("nowhere")
    assert dag.listing(None) in told
    monkeypatch.setattr(dag, "source", lambda _: "cifar10")
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "mine.txt").write_text("a folder of the same name")
    assert dag.listing(None) == ""
