"""A configuration becomes runs with stable names, or one clear sentence."""

import copy
import dataclasses
import json
import re

import pytest
import yaml

from conftest import ROOT, TINY
from gradscape.config import (
    SETTING_NAMES,
    Experiment,
    Settings,
    format_learning_rate,
    load_schema,
)
from gradscape.errors import GradscapeError


def tiny() -> dict:
    return copy.deepcopy(yaml.safe_load(TINY))


def test_one_text_for_one_rate():
    assert format_learning_rate(0.001) == format_learning_rate(1e-3) == "1e-3"
    assert format_learning_rate(0.0015) == "1.5e-3"
    assert format_learning_rate(0.1) == "1e-1"


def test_the_full_configuration_is_the_courses():
    experiment = Experiment.from_file(ROOT / "config" / "config.yaml")
    degradation = experiment.studies["degradation"]
    rows = {(r.settings.model, r.settings.learning_rate) for r in degradation.runs}
    assert len(rows) == 7 and len(degradation.runs) == 21
    assert ("vgg38", 1e-2) not in rows and ("vgg38-bn-rc", 1e-2) in rows
    assert {r.settings.epochs for r in degradation.runs} == {100}
    landscape = experiment.studies["landscape"]
    assert len(landscape.runs) == 8
    assert {r.settings.batch_size for r in landscape.runs} == {128}
    assert landscape.runs[0].name == "vgg-a_lr1e-3_seed2020"


def test_the_full_configuration_is_sapienzas():
    studies = Experiment.from_file(ROOT / "config" / "config.yaml").studies
    runs = [run.settings for run in studies["regularisation"].runs]
    normalised = [run for run in runs if run.model == "convnet-bn"]
    assert {run.dropout for run in normalised} == {n / 10 for n in range(10)}
    assert {(run.model, run.epochs) for run in runs} == {
        (model, epochs) for model in ("convnet", "convnet-bn") for epochs in (20, 50)
    }
    assert {(r.batch_size, r.weight_decay, r.decay, r.split) for r in runs} == {
        (200, 1e-3, 0.95, "sapienza")
    }
    transfer = {
        (r.settings.pretrained, r.settings.freeze) for r in studies["transfer"].runs
    }
    assert transfer == {(False, None), (True, None), (True, "backbone"), (True, "weights")}


def test_cuts_keep_networks_rates_and_optimisers():
    full, cut = (
        {run.id: run.settings for run in Experiment.from_file(ROOT / path).runs}
        for path in ("config/config.yaml", "config/cpu.yaml")
    )
    assert cut.keys() <= full.keys()
    assert {run.split("/")[0] for run in cut} == {run.split("/")[0] for run in full}
    for run, settings in cut.items():
        assert settings.optimiser == full[run].optimiser, run
        assert settings.learning_rate == full[run].learning_rate, run


def test_another_varied_setting_is_in_the_name():
    config = tiny()
    config["studies"]["tiny"]["grid"]["schedule"] = ["cosine", "constant"]
    names = [run.name for run in Experiment(config).runs]
    assert "vgg08_lr1e-3_seed0_schedule-constant" in names


def test_an_exception_changes_a_row():
    config = tiny()
    config["studies"]["tiny"]["exceptions"] = [
        {"where": {"learning_rate": 1.0e-2}, "set": {"epochs": 9}}
    ]
    assert [run.settings.epochs for run in Experiment(config).runs] == [2, 9]


def mutate(path: str, value):
    def change(config):
        *parents, last = path.split(".")
        for key in parents:
            config = config[key]
        config[last] = value

    return change


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (
            "studies.tiny.epoch",
            3,
            "studies.tiny: unknown key 'epoch' (did you mean 'epochs'?)",
        ),
        (
            "studies.tiny.grid.model",
            ["vgg39"],
            "studies.tiny: unknown model 'vgg39' (did you mean 'vgg38'?)",
        ),
        (
            "studies.tiny.grid.learning_rate",
            ["1e-3"],
            "'1e-3' is text to YAML, not a number; write 1.0e-03",
        ),
        ("studies.tiny.grid.seed", [], "studies.tiny.grid.seed: is empty"),
        ("studies", {}, "studies: is empty"),
        (
            "studies.tiny.dataset",
            "cifar",
            "studies.tiny.dataset: 'cifar' is not one of",
        ),
        (
            "studies.tiny.exceptions",
            [{"where": {"seed": 0}, "skip": True}],
            "studies.tiny: no runs are left",
        ),
        (
            "studies.tiny.figures",
            {"x": {"draw": "curve"}},
            "unknown drawing 'curve' (did you mean 'curves'?)",
        ),
        (
            "studies.tiny.figures",
            {"x": {"draw": "curves", "where": {"model": "vgg38"}}},
            "studies.tiny.figures.x: no run of the study matches",
        ),
        (
            "studies.tiny.figures",
            {"x": {"draw": "signal_propagation"}},
            "figures.x: signal_propagation draws the probe 'signal', which the study's",
        ),
        (
            "studies.tiny.probes",
            {"hessian": {"where": {"seed": 5}}},
            "studies.tiny.probes.hessian: no run of the study matches",
        ),
        (
            "studies.tiny.probes",
            {"surfaces": {}},
            "studies.tiny.probes: unknown key 'surfaces' (did you mean 'surface'?)",
        ),
        (
            "studies.tiny.tables",
            ["smooth"],
            "studies.tiny.tables: unknown table 'smooth' (did you mean 'smoothness'?)",
        ),
        ("studies.tiny.dropout", 1.5, "studies.tiny.dropout: 1.5 is greater than or equal"),
        ("studies.tiny.activation", "swish", "studies.tiny.activation: 'swish' is not one"),
        ("results", 3, "results: 3 is not of type 'string'"),
    ],
)
def test_bad_input_is_named_in_one_sentence(path, value, sentence):
    config = tiny()
    mutate(path, value)(config)
    with pytest.raises(GradscapeError) as error:
        Experiment(config)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_kept_configuration_reads_back_as_it_was(tmp_path):
    """As JSON writes it: 1e-05, which to YAML is text."""
    config = tiny()
    config["studies"]["tiny"]["l1"] = 0.00001
    kept = tmp_path / "config.json"
    kept.write_text(json.dumps(config))
    assert Experiment.from_file(kept).runs[0].settings.l1 == 1e-5


def test_schema_settings_and_readme_agree():
    assert list(load_schema()["$defs"]["settings"]) == SETTING_NAMES
    readme = (ROOT / "config" / "README.md").read_text()
    explained = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", readme, re.M))
    for field in dataclasses.fields(Settings):
        assert field.name in explained, f"{field.name} is missing from config/README.md"
        if field.default is not dataclasses.MISSING and field.default is not None:
            default = yaml.safe_load(explained[field.name].strip().strip("`"))
            assert default == field.default, field.name


def test_conda_files_have_the_locked_versions():
    lock = (ROOT / "requirements.lock").read_text()
    for path in (ROOT / "envs").glob("*.yaml"):
        (pip,) = (d["pip"] for d in yaml.safe_load(path.read_text())["dependencies"][2:])
        for requirement in pip:
            assert re.search(rf"^{re.escape(requirement)}[ ;\\]", lock, re.M), requirement


def test_lock_names_no_host():
    assert "http" not in (ROOT / "requirements.lock").read_text()
