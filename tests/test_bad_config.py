"""Configurations that no one should run: each is refused at the start, in one sentence."""

import datetime
import os
import re
import subprocess
import unicodedata
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml

from conftest import ROOT, needs_tex, run, succeed, write_run
from gradscape.base.errors import GradscapeError
from gradscape.cli import parser as cli
from gradscape.config.experiment import Experiment
from gradscape.config.spelling import stored
from gradscape.config.yaml import read_yaml
from gradscape.report import escape as tex
from gradscape.report.build import build
from gradscape.spec.settings import SETTINGS

LONGEST_SENTENCE = 400
NASTY = "a$(touch x); touch x `touch x` 'b\" ü & | > <"
BRACES = f"{NASTY} The {{batch}} effect, {{0, 1}} {{{{x}}}} {{study}} }}{{"


def config(**study) -> dict:
    """One run, and whatever is wrong with it."""
    study = {"title": "One", "model": "vgg08", "dataset": "generated10"} | study
    return {"title": "T", "results": "results/t", "studies": {"one": study}}


@contextmanager
def refused(sentence: str):
    with pytest.raises(GradscapeError, match=sentence) as caught:
        yield
    assert len(str(caught.value)) < LONGEST_SENTENCE and "\n" not in str(caught.value)


# What is read


@pytest.mark.parametrize(
    ("text", "sentence"),
    {
        b"\xff\xfe\x00": "cannot be parsed",
        b"[" * 10**5 + b"]" * 10**5: "nested more than 100 deep",
        b"- " * 10**5: "nested more than 100 deep",
        b"a: !!timestamp x": "cannot be parsed",
        b"a: !!python/object/apply:os.system [ls]": "cannot be parsed",
        b"a: &a [*a]": "its anchors unfold to more than",
        b"- 1": "is not a mapping",
    }.items(),
)
def test_a_file_that_is_no_configuration_is_said(text, sentence, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_bytes(text)
    with refused(sentence):
        read_yaml(path)


@pytest.mark.parametrize("merge", [False, True])
def test_anchors_that_unfold_to_billions_are_refused_at_once(merge, tmp_path):
    lines = ["a0: &a0 {k: v}"]
    for level in range(1, 12):
        nine = ", ".join([f"*a{level - 1}"] * 9)
        value = f"{{<<: [{nine}]}}" if merge else f"[{nine}]"
        lines.append(f"a{level}: &a{level} {value}")
    path = tmp_path / "config.yaml"
    path.write_text("\n".join(lines))
    with refused("its anchors unfold to more than 200,000 values"):
        read_yaml(path)


def test_pipes_and_devices_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with refused("is no file that can be read"):
            Experiment.from_file(path)
    with (tmp_path / "huge.yaml").open("wb") as file:
        file.truncate(2**40)
    with refused("has 1,099,511,627,776 bytes"):
        Experiment.from_file(tmp_path / "huge.yaml")


def test_a_chain_of_files_that_extend_each_other_has_an_end(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(300):
        Path(f"{number}.yaml").write_text(f"extends: {number + 1}.yaml")
    with refused("extends a chain of over 100 files"):
        Experiment.from_file("0.yaml")


@pytest.mark.parametrize("wrong", [1, 1.5, ["a.yaml"], {"a": 1}, True])
def test_extends_names_a_file(wrong):
    with refused("extends: must be the name of a file"):
        Experiment({"extends": wrong})


# What is in it

BAD = {
    "inf": (config(learning_rate=float("inf")), r"learning_rate: inf is no finite number"),
    "nan": (
        config(grid={"learning_rate": [float("nan")]}),
        r"grid.learning_rate.0: nan is",
    ),
    "times": (
        config(
            claims={
                "c": {
                    "statement": "s",
                    "source": "s",
                    "left": float("nan"),
                    "is": "above",
                    "right": 1,
                }
            }
        ),
        "claims.c.left: nan",
    ),
    "given": (
        config(
            claims={
                "c": {
                    "statement": "s",
                    "source": "s",
                    "left": {"metric": "test_accuracy", "where": {}},
                    "is": "above",
                    "right": 1,
                    "given": "d",
                }
            }
        ),
        "claims.c.given: there is no claim 'd'",
    ),
    "large": (config(seed=10**30), "seed: is too large a number"),
    "seed": (config(seed=2**62), "seed: .* is greater than the maximum"),
    "batch": (
        config(batch_size=10**9),
        "batch_size: .* greater than the maximum of 1000000",
    ),
    "key 1": ({"title": "T", "results": "r", "studies": {1: {}}}, "the key 1 is no text"),
    "key null": ({"title": "T", "results": "r", "studies": {None: {}}}, "the key None is"),
    "date": (
        config(
            figures={"f": {"draw": "curves", "options": {"a": datetime.date(2026, 1, 1)}}}
        ),
        "options.a: 2026-01-01 is a date to YAML",
    ),
    "bytes": (config(variants={"v": {"loss": b"x"}}), "v.loss: b'x' is a bytes to YAML"),
    "set": (config(tables={"results"}), "tables: {'results'} is a set"),
    "grid": (
        config(
            grid={
                "seed": list(range(10**4)),
                "learning_rate": [n + 1.0 for n in range(10**4)],
            }
        ),
        r"one.grid: has 100,000,000 runs, above max_runs \(20,000\)",
    ),
    "newline": (
        config() | {"studies": {"a\n": config()["studies"]["one"]}},
        "is not a name",
    ),
    "long": (config() | {"studies": {"a" * 300: {}}}, "is no name"),
    "away": (config(variants={"../../x": {"seed": 1}}), "'../../x' is not a name"),
    "figure": (config(figures={"a\n": {"draw": "curves"}}), "is not a name"),
    "braces": (config() | {"results": "a{b}"}, "config: results: 'a{b}' cannot be used"),
    "line": (
        config() | {"results": "a\nb"},
        "config: results: 'a.nb' cannot be used.*it has braces or a line break, starts",
    ),
    "option": (config() | {"results": "-rf"}, "config: results: '-rf' cannot be used"),
    "nul": (config() | {"extends": "a\0b"}, "extends: the report cannot print"),
    "nesterov": (
        config(optimiser="sgd", nesterov=True, momentum=0.0),
        "nesterov: needs a momentum",
    ),
    "warm-up": (config(epochs=2, warmup_epochs=3), "warmup_epochs: more than epochs"),
    "items": (config(train_items=10**6), "train_items: there are 10,000 images"),
    "lag": (
        config(gradient_lag=10, epochs=1, train_items=100, batch_size=10),
        "gradient_lag: there are 10 steps",
    ),
    "threads": (
        config() | {"threads": 10**6},
        "threads: .* greater than the maximum of 1024",
    ),
    "window": (
        config(figures={"f": {"draw": "loss_band", "options": {"window": 0}}}),
        "options.window: 0 is less than the minimum of 1",
    ),
    "device": (config(literature="/dev/null"), "there is no file /dev/null"),
    "control": (config(title="a\x07b"), "a control character"),
    "surrogate": (config(title="a\udc80b"), "title: the report cannot print"),
    "endless": (config(title="a" * 300_000), "title: has 300,000 characters, above 10,000"),
    "folder": (config(dataset="photos/{x}"), "dataset"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_run_is_refused_with_its_key(name):
    bad, sentence = BAD[name]
    with refused(sentence):
        Experiment(bad)


def test_a_large_grid_can_be_meant():
    many = config(grid={"seed": list(range(30))})
    with refused("has 30 runs, above max_runs"):
        Experiment(many | {"max_runs": 29})
    assert len(Experiment(many | {"max_runs": 30}).runs) == 30


def test_whole_numbers_with_a_point_are_taken_as_such():
    probed = {"surface": {"images": 20.0}}
    wanted = config(epochs=1.0, grid={"seed": [3.0]}, variants={"v": {"batch_size": 50.0}})
    wanted["studies"]["one"]["probes"] = probed
    experiment = Experiment(wanted | {"threads": 2.0})
    for found in experiment.runs:
        assert found.name.startswith("vgg08_lr1e-3_seed3")
        values = [getattr(found.settings, n) for n in ("epochs", "seed", "batch_size")]
        assert [type(value) for value in values] == [int, int, int]
    assert type(experiment.threads) is int
    images = experiment.studies["one"].probes["surface"].options["images"]
    assert type(images) is int
    assert type(stored({"decay": 1.0})["decay"]) is float


def test_every_number_of_a_run_is_finite():
    for name, option in SETTINGS.items():
        if option.type in (int, float):
            for value in (float("nan"), float("inf"), -float("inf")):
                with refused(f"{name}: {value} is no finite number"):
                    Experiment(config(**{name: value}))


def test_the_command_line_takes_no_nan(capsys):
    words = ["train", "--model", "vgg08", "--dataset", "generated10", "--out", "x"]
    for flag, value in (("--learning-rate", "nan"), ("--threads", "1000000")):
        with pytest.raises(SystemExit) as stopped:
            cli.main([*words, flag, value])
        assert stopped.value.code == 2
        assert len(capsys.readouterr().err.splitlines()[-1]) < LONGEST_SENTENCE


# What the report prints


@needs_tex
def test_any_text_compiles(tmp_path, monkeypatch):
    """Letters of every part of Unicode in a title, an author and a caption with a blank
    line; and the words that no font of LaTeX's has can be copied out of the PDF."""
    monkeypatch.chdir(tmp_path)
    every = (chr(code) for code in [*range(0x20, 0x180), *range(0x180, 0x32000, 4001)])
    kinds = ("Cc", "Cn", "Co", "Cs")
    text = " ".join(c for c in every if unicodedata.category(c) not in kinds)
    figures = {"f": {"draw": "curves", "caption": f"{text}\n \n{NASTY} {'long' * 40}"}}
    wanted = config(title=f"Владимир 🚀 {NASTY}", figures=figures)
    experiment = Experiment(wanted | {"author": text[:400], "date": "Ελλάς\u202e"})
    (run,) = experiment.runs
    made = write_run(tmp_path, run.settings.model)
    experiment.directory(run).parent.mkdir(parents=True)
    made.path.rename(experiment.directory(run))
    build(experiment)
    command = ["pdftotext", experiment.results.pdf("one"), "-"]
    printed = subprocess.run(command, capture_output=True, text=True).stdout
    for word in ("Владимир", "[rocket]", "longlong", "$(touch x)"):
        assert word in printed


@needs_tex
@pytest.mark.parametrize("date", ["", "2026"])
def test_an_author_stands_clear_of_the_first_heading(date, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    experiment = Experiment(config() | {"author": "Someone", "date": date})
    (run,) = experiment.runs
    made = write_run(tmp_path, run.settings.model)
    experiment.directory(run).parent.mkdir(parents=True)
    made.path.rename(experiment.directory(run))
    build(experiment)
    command = ["pdftotext", "-bbox", experiment.results.pdf("one"), "-"]
    words = subprocess.run(command, capture_output=True, text=True).stdout
    (end,) = re.findall(r'yMax="(\S+)">Someone<', words)
    top = re.findall(r'yMin="(\S+)" \S+ \S+>Introduction<', words)[0]
    assert 6 < float(top) - float(end) < 60


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("“Größe” – it’s\u00a0fine\u200b…", "“Größe” -- it’s~fine…"),
        ("10⁻³ α ≤ 5 %", r"10$^{-3}$ $\alpha$ $\leq$ 5 \%"),
        ("a\u202eb\n\n🚀", "ab {[}rocket]"),
        ("ReLU α β, Δx", r"ReLU $\alpha$ $\beta$, $\Delta$x"),
        ("[Łódź]", "{[}Łódź]"),
    ],
)
def test_signs_and_letters_of_science_are_set_as_such(text, latex):
    assert tex.escape(text) == latex


def test_words_from_right_to_left_keep_their_order():
    drawn = tex.escape("by محمد علي.")
    assert drawn.count(r"\drawn") == 1 and drawn.startswith("by ") and drawn[-1] == "."
    assert tex.escape("Ελλάς").count(r"\drawn") == 1


# What a shell could run


def test_no_text_is_run_by_a_shell_or_filled_in_by_snakemake(tmp_path, monkeypatch):
    """A dry run of everything with its commands, and the two rules that train nothing."""
    images = np.random.RandomState(0).randint(0, 256, (40, 32, 32, 3), np.uint8)
    classes = ["{cat}", "{0, 1}"]
    np.savez(
        tmp_path / f"{NASTY}.npz", images=images, labels=np.arange(40) % 2, classes=classes
    )
    study = {"title": BRACES, "dataset": f"{NASTY}.npz", "model": "convnet", "epochs": 1}
    study |= {"figures": {"f": {"draw": "curves", "caption": BRACES}}}
    claim = {"statement": BRACES, "source": BRACES, "is": "below", "right": 1}
    claim |= {"left": {"metric": "test_accuracy", "where": {}}}
    study |= {"claims": {"c": claim}}
    wanted = {"title": BRACES, "author": BRACES, "results": f"results/{NASTY}"}
    wanted |= {"data_dir": NASTY, "weights": NASTY, "studies": {"one": study}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(wanted, allow_unicode=True))
    before = {path.name for path in tmp_path.iterdir()}
    snakemake = [
        "snakemake",
        "-s",
        ROOT / "Snakefile",
        "--configfile",
        "config.yaml",
        "-c1",
    ]
    snakemake += ["--nolock", "--quiet", "all"]
    folder = f"results/data/{NASTY}"
    made = [f"results/{NASTY}/config.json", f"{folder}/images.npy"]
    listed = succeed(*snakemake[:-2], "-n", "-p", cwd=tmp_path)
    for command in ("data", "train", "figure", "claims", "tex", "pdf"):
        assert f"python -m gradscape {command} " in listed
    succeed(*snakemake[:-2], *made, cwd=tmp_path)
    monkeypatch.chdir(tmp_path)
    kept = Experiment.from_file(tmp_path / made[0])
    assert kept.title == BRACES and kept.studies["one"].figures[0].caption == BRACES
    assert kept.studies["one"].claims["c"]["statement"] == BRACES
    assert read_yaml(tmp_path / folder / "dataset.json")["classes"] == classes
    assert np.load(tmp_path / made[1]).shape == images.shape
    assert {p.name for p in tmp_path.rglob("*")} >= before
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith("x")]


@pytest.mark.parametrize("name", ["a{b}", "a\nb", "..", "logs", "weights", "a" * 120])
def test_a_folder_of_images_that_could_be_taken_for_another_is_refused(
    name, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    path = Path("photos") / f"{name}.npz" if name != ".." else Path("photos/..npz/...npz")
    path.parent.mkdir(parents=True)
    images = np.zeros((40, 32, 32, 3), np.uint8)
    np.savez(path, images=images, labels=np.arange(40) % 2)
    with refused("cannot have the folder|cannot print"):
        Experiment(config(dataset=str(path), model="convnet"))


def test_a_network_whose_name_is_no_name_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text("def wide(classes): ...")
    for name in ("$(touch x)", "wide; touch x", "wide\n", "../wide"):
        with refused("nets.py"):
            Experiment(config(model=f"nets.py:{name}"))
    assert not Path("x").exists()


@pytest.mark.parametrize("spoilt", ["torn", "of another kind", "a folder"])
def test_a_register_of_claims_that_cannot_be_read_is_one_sentence(spoilt, tmp_path):
    """Before the first job, and without a traceback."""
    file = tmp_path / "results" / "registered.json"
    file.parent.mkdir()
    if spoilt == "a folder":
        file.mkdir()
    else:
        file.write_text('{"a": ' if spoilt == "torn" else '{"a": {"b": 1}}')
    study = {"title": "One", "dataset": "generated10", "model": "vgg08", "epochs": 1}
    wanted = {"title": "T", "results": str(file.parent), "studies": {"one": study}}
    wanted["defaults"] = {"device": "cpu"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(wanted))
    command = ["snakemake", "-s", ROOT / "Snakefile", "--configfile", "config.yaml", "-c1"]
    done = run(*command, "--nolock", "runs", cwd=tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode and f"{file}: " in said and "Traceback" not in said
    assert "__onstart" not in said and not (file.parent / "runs").exists(), said
