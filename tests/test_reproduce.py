"""A claim's runs are trained again, and what comes out is held against what was there."""

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from conftest import TINY, made_once, reseal
from gradscape.cli import parser as cli
from gradscape.cli.commands import probe, train
from gradscape.config.experiment import Experiment
from gradscape.pipeline.reproduce import Reproduction

VGG08, BN = ({"model": name} for name in ("vgg08", "vgg08-bn"))
CONFIG = yaml.safe_load(TINY)
CONFIG["studies"]["tiny"] = {
    "title": "Two networks",
    "dataset": "generated10",
    "epochs": 1,
    "batch_size": 20,
    "train_items": 100,
    "validation_items": 40,
    "grid": {"model": ["vgg08", "vgg08-bn"], "seed": [0, 1, 2]},
    "probes": {"signal": {"where": VGG08, "images": 10}},
    "claims": {
        "bn-helps": {
            "left": {"metric": "final_train_loss", "where": BN},
            "is": "below",
            "right": {"metric": "final_train_loss", "where": VGG08},
        },
        "image-arrives": {
            "left": {"metric": "image_share", "where": VGG08},
            "is": "above",
            "right": 1e-6,
        },
        "not-yet": {
            "left": {"metric": "final_train_loss", "where": {"seed": 2}},
            "is": "below",
            "right": "chance_loss",
        },
    },
}
for claim in CONFIG["studies"]["tiny"]["claims"].values():
    claim |= {"statement": "It is so.", "source": "this test"}


@pytest.fixture(scope="module")
def trained(shared, generated) -> Path:
    def make(folder: Path) -> None:
        for run in Experiment(CONFIG, folder).runs:
            if run.settings.seed == 2:
                continue
            out = folder / "runs/tiny" / run.name
            train(out=out, spec=run.spec, data=generated)
            if run.settings.model == "vgg08":
                options = {"images": 10}
                table = out / "probes/signal.csv"
                probe("signal", run=out, out=table, data=generated, options=options)
        (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))

    return made_once(shared / "reproduced", make)


@pytest.fixture
def results(trained, tmp_path) -> Path:
    folder = shutil.copytree(trained, tmp_path / "results")
    assert gradscape("claims", folder) == 0
    return folder


def gradscape(command: str, results: Path, *words: object) -> int:
    place = ["--config", results / "config.yaml", "--results", results]
    return cli.run([command, *map(str, [*place, *words])])


def reproduce(results: Path, claim: str, *words: object) -> int:
    return gradscape("reproduce", results, "--claim", f"tiny/{claim}", *words)


def test_the_same_machine_gives_the_same_bytes_and_keeps_the_runs_where_told(
    results, generated, tmp_path, capsys
):
    out = tmp_path / "again"
    assert reproduce(results, "bn-helps", "--data", generated, "--out", out) == 0
    said = capsys.readouterr().out
    assert said.count("_seed0: same bytes") == said.count("_seed1: same bytes") == 2
    assert "tiny/bn-helps: same bytes; left minus right is" in said
    assert len([*out.glob("runs/tiny/*/run.json")]) == 4


def test_only_the_runs_of_a_claim_are_trained_and_its_probes_are_taken_again(
    results, generated, tmp_path, capsys
):
    out = tmp_path / "again"
    assert reproduce(results, "image-arrives", "--data", generated, "--out", out) == 0
    assert "tiny/image-arrives: same bytes" in capsys.readouterr().out
    assert {path.name for path in out.glob("runs/tiny/*")} == {
        f"vgg08_lr1e-3_seed{seed}" for seed in (0, 1)
    }
    assert len([*out.glob("runs/tiny/*/probes/signal.csv")]) == 2


def doctor(results: Path, file: str, column: str, change: float) -> None:
    """Sealed again, and decided anew, as if the runs with it had said so."""
    for run in results.glob("runs/tiny/vgg08-bn_*"):
        table = pd.read_csv(run / file)
        table[column] += change
        table.to_csv(run / file, index=False)
        reseal(run)
    assert gradscape("claims", results) == 0


def test_a_doctored_result_is_told_as_changed(results, generated, capsys):
    doctor(results, "metrics.csv", "train_loss", 2.0)
    assert reproduce(results, "bn-helps", "--data", generated) == 1
    said = capsys.readouterr().out
    assert said.count("vgg08-bn_lr1e-3_seed0: other bytes in metrics.csv") == 1
    assert "tiny/bn-helps: changed" in said


def test_other_bytes_may_leave_the_difference_inside_its_interval(
    results, generated, capsys
):
    doctor(results, "test.csv", "test_loss", 0.01)
    assert reproduce(results, "bn-helps", "--data", generated) == 0
    said = capsys.readouterr().out
    assert "vgg08-bn_lr1e-3_seed1: other bytes in test.csv" in said
    assert "tiny/bn-helps: inside the interval" in said


def test_an_estimate_trains_nothing(results, tmp_path, capsys):
    out = tmp_path / "again"
    assert reproduce(results, "bn-helps", "--estimate", "--out", out) == 0
    said = capsys.readouterr().out
    assert said.count("tiny/vgg08") == 4 and "-hours on " in said
    assert not out.exists()


def test_what_was_chosen_by_itself_then_is_chosen_now(results):
    """A machine that would now compute in another precision trains in the recorded one."""
    run = results / "runs/tiny/vgg08_lr1e-3_seed0"
    reseal(run, backend=replace(reseal(run).record.backend, precision="bf16"))
    assert gradscape("claims", results) == 0
    experiment = Experiment.from_file(results / "config.yaml", results)
    runs = Reproduction(experiment, "tiny/bn-helps").runs
    chosen = {run.name: run.settings.precision for run in runs}
    assert chosen.pop(run.name) == "bf16" and len(chosen) == 3
    assert {*chosen.values()} == {
        reseal(run.with_name(n)).record.backend.precision for n in chosen
    }


@pytest.mark.parametrize(
    ("claim", "sentence"),
    {
        "bn-help": "tiny/bn-help: nobody claims that (did you mean 'tiny/bn-helps'?)",
        "not-yet": "tiny/not-yet: rests on no runs (not measured)",
        "bn-helps": "dataset.json: missing; make it with `gradscape data generated10`",
    }.items(),
)
def test_what_cannot_be_reproduced_is_one_sentence(
    results, claim, sentence, tmp_path, capsys
):
    capsys.readouterr()
    assert reproduce(results, claim, "--data", tmp_path / "nothing") == 2
    said = capsys.readouterr()
    assert sentence in said.err and said.err.count("\n") == 1 and not said.out


def test_a_record_names_no_program_and_images_are_those_of_the_runs(
    results, generated, tmp_path, capsys
):
    other = shutil.copytree(generated, tmp_path / "data")
    run = results / "runs/tiny/vgg08_lr1e-3_seed0"
    record = reseal(run).record
    reseal(run, data=replace(record.data, sha256="0" * 64))
    assert reproduce(results, "bn-helps", "--data", other) == 2
    assert "generated10: other images than" in capsys.readouterr().err
    reseal(run, settings=record.settings | {"loss": "evil.py:loss"})
    assert reproduce(results, "bn-helps", "--data", other) == 2
    assert "names a program of its own, 'evil.py:loss'" in capsys.readouterr().err
