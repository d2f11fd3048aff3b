"""A configuration becomes runs with stable names, or one clear sentence."""

import copy
import json
import re
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, TINY
from gradscape.base.errors import GradscapeError
from gradscape.config.expand import missing
from gradscape.config.experiment import Experiment
from gradscape.config.yaml import read_yaml
from gradscape.pipeline import jobs
from gradscape.spec.study import format_learning_rate


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
    assert len(rows) == 11 and len(degradation.runs) == 33
    assert ("vgg38", 1e-2) not in rows and ("vgg38-bn-rc", 1e-2) in rows
    assert {r.settings.epochs for r in degradation.runs} == {100}
    landscape = experiment.studies["landscape"]
    assert len(landscape.runs) == 8
    assert {r.settings.batch_size for r in landscape.runs} == {128}
    assert landscape.runs[0].name == "vgg-a_lr1e-4_seed2020"


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


def test_an_override_changes_a_row():
    config = tiny()
    config["studies"]["tiny"]["override"] = [
        {"where": {"learning_rate": 1.0e-2}, "set": {"epochs": 9}}
    ]
    assert [run.settings.epochs for run in Experiment(config).runs] == [2, 9]


OLD_AND_NEW = [
    ("figures: {f: {draw: rate_map}}", "figures: {f: {draw: heat_map}}"),
    (
        "figures: {f: {draw: against, options: {x: dropout}}}",
        "figures: {f: {draw: lines, options: {x: dropout}}}",
    ),
    ("grid: {seed: [0]}", "grid: [{seed: [0]}]"),
    (
        "exceptions: [{where: {seed: 1}, skip: true}]",
        "exclude: [{seed: 1}]",
    ),
    (
        "exceptions: [{where: {seed: 0}, set: {epochs: 9}}]",
        "override: [{where: {seed: 0}, set: {epochs: 9}}]",
    ),
    (
        "exceptions: [{where: {model: vgg38}, skip: true},"
        " {where: {seed: 1}, skip: false, set: {l1: 0.1}}]",
        "{exclude: [{model: vgg38}], override: [{where: {seed: 1}, set: {l1: 0.1}}]}",
    ),
    ("published: report/published/he2016.csv", "literature: report/published/he2016.csv"),
    ("split: edinburgh", "split: random-5-percent"),
    ("split: fudan", "split: test-as-validation"),
    (
        "{grid: {split: [alberta, sapienza]}, figures: {x: {draw: curves, where: "
        "{split: sapienza}}}, exceptions: [{where: {split: [alberta]}, skip: true}]}",
        "{grid: {split: [last-10-percent, last-2-percent]}, figures: {x: {draw: curves, "
        "where: {split: last-2-percent}}}, exclude: [{split: [last-10-percent]}]}",
    ),
    ("variants: {v: {split: alberta}}", "variants: {v: {split: last-10-percent}}"),
]


def expanded(study: str, **top) -> tuple[Experiment, dict]:
    """A configuration with these lines in its study, and what comes of it."""
    config = tiny()
    config["studies"]["tiny"] |= {"figures": {}, "grid": {"seed": [0, 1]}, "model": "vgg08"}
    config["studies"]["tiny"] |= yaml.safe_load(study)
    experiment = Experiment(config | top)
    made = experiment.studies["tiny"]
    return experiment, vars(made) | {"runs": [vars(run) for run in made.runs]}


@pytest.mark.parametrize(("old", "new"), OLD_AND_NEW)
def test_older_words_mean_what_the_new_ones_do(old, new, tmp_path):
    (before, was), (now, found) = expanded(old), expanded(new)
    assert was == found and before.probed(before.runs) == now.probed(now.runs)
    kept = tmp_path / "config.json"
    kept.write_text(json.dumps(now.config))
    assert Experiment.from_file(kept).runs == before.runs == now.runs


def test_older_words_of_the_top_level_mean_what_the_new_ones_do():
    study = "grid: [{seed: [0, 1], l1: [0.1]}, {seed: [2, 3, 4]}]"
    for words in ({"max_seeds": 1}, {"seeds": 1}):
        runs = expanded(study, **words)[0].runs
        assert [run.settings.seed for run in runs] == [0, 2]
    for words in ({"max_runs": 4}, {"most_runs": 4}):
        with pytest.raises(GradscapeError, match=r"has 5 runs, above max_runs \(4\)"):
            expanded(study, **words)
    with pytest.raises(GradscapeError, match="'seeds' is an old word for 'max_seeds'"):
        expanded(study, seeds=1, max_seeds=2)


def test_an_older_file_replaces_all_exceptions_of_what_it_extends(tmp_path):
    base, older = tmp_path / "base.yaml", tmp_path / "older.yaml"
    config = tiny()
    config["studies"]["tiny"] |= {
        "exclude": [{"seed": 0}],
        "override": [{"where": {"seed": 1}, "set": {"epochs": 9}}],
        "grid": {"seed": [0, 1]},
        "model": "vgg08",
        "figures": {},
    }
    base.write_text(yaml.dump(config))
    older.write_text(f"extends: {base}\nstudies: {{tiny: {{exceptions: null}}}}")
    assert [run.settings.epochs for run in Experiment.from_file(older).runs] == [2, 2]


def test_a_grid_over_a_list_of_grids_changes_each(tmp_path):
    base, over = tmp_path / "base.yaml", tmp_path / "over.yaml"
    config = tiny()
    grids = [{"l1": [0.1], "seed": [0, 1]}, {"l1": [0.2, 0.3], "seed": [2]}]
    config["studies"]["tiny"] |= {"model": "vgg08", "figures": {}, "grid": grids}
    base.write_text(yaml.dump(config))
    over.write_text(f"extends: {base}\nstudies: {{tiny: {{grid: {{seed: [5]}}}}}}")
    runs = [run.settings for run in Experiment.from_file(over).runs]
    assert [(run.l1, run.seed) for run in runs] == [(0.1, 5), (0.2, 5), (0.3, 5)]


@pytest.mark.parametrize(
    ("exceptions", "sentence"),
    [
        (3, "tiny.exceptions: 3 is not of type 'array'"),
        ([{"were": {}}], "tiny.exceptions.0: unknown key 'were' (did you mean 'where'?)"),
        (
            [{"where": {"seed": 1}, "set": {"l1": 1}}, {"where": {"l1": 1}, "skip": True}],
            "tiny.exceptions: skips by a setting that it has set before",
        ),
    ],
)
def test_a_mistake_in_older_words_is_named_as_they_are(exceptions, sentence):
    config = tiny()
    config["studies"]["tiny"]["exceptions"] = exceptions
    with pytest.raises(GradscapeError) as error:
        Experiment(config)
    assert sentence in str(error.value)
    with pytest.raises(GradscapeError, match="'exceptions' is an old word"):
        Experiment(config | {"studies": {"tiny": {"exceptions": [], "exclude": []}}})


def test_a_figure_is_as_wide_as_it_declares_unless_told():
    figures = {
        "a": {"draw": "curves"},
        "b": {"draw": "curves", "wide": False},
        "c": {"draw": "gradient_flow"},
    }
    drawn = expanded(f"figures: {json.dumps(figures)}")[1]["figures"]
    assert [figure.wide for figure in drawn] == [True, False, False]


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
            "studies.tiny.model: unknown model 'vgg39' (did you mean 'vgg38'?)",
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
            "unknown dataset 'cifar' (did you mean 'cifar10'?)",
        ),
        (
            "studies.tiny.exclude",
            [{"seed": 0}],
            "studies.tiny: no runs are left",
        ),
        (
            "studies.tiny.figures",
            {"x": {"draw": "curve"}},
            "unknown figure 'curve' (did you mean 'curves'?)",
        ),
        (
            "studies.tiny.figures",
            {"x": {"draw": "curves", "where": {"model": "vgg38"}}},
            "studies.tiny.figures.x.where.model: no run of the study has 'vgg38' (did you ",
        ),
        (
            "studies.tiny.figures",
            {"x": {"draw": "signal_propagation"}},
            "figures.x: signal_propagation draws the probe 'signal', which the study's",
        ),
        (
            "studies.tiny.probes",
            {"hessian": {"where": {"seed": 5}}},
            "studies.tiny.probes.hessian.where.seed: no run of the study has 5 (known: 0)",
        ),
        (
            "studies.tiny.probes",
            {"surfaces": {}},
            "studies.tiny.probes: unknown probe 'surfaces' (did you mean 'surface'?)",
        ),
        (
            "studies.tiny.tables",
            ["smooth"],
            "studies.tiny.tables: unknown table 'smooth' (did you mean 'smoothness'?)",
        ),
        ("studies.tiny.dropout", 1.5, "studies.tiny.dropout: 1.5 is greater than or equal"),
        (
            "studies.tiny.activation",
            "swish",
            "studies.tiny.activation: unknown activation 'swish' (known: relu, ",
        ),
        ("studies.tiny.dropout", 0.5, "studies.tiny: model vgg08: has no 'dropout' to set"),
        (
            "studies.tiny.section",
            "tiny",
            "there is no section 'tiny', nor a file tiny.tex.j2",
        ),
        ("studies.tiny.literature", "x.csv", "literature: there is no file x.csv"),
        ("studies.tiny.claims", "x.yaml", "claims: there is no file x.yaml"),
        ("extends", "config/cyclic.yaml", "cyclic.yaml: extends itself"),
        (
            "studies.tiny.probes.surface.span",
            -1,
            "studies.tiny.probes.surface.span: -1 is less than or equal to the minimum",
        ),
        (
            "studies.tiny.figures.flow.options",
            {"window": 3},
            "figures.flow.options: unknown key 'window' (there are no options)",
        ),
        (
            "studies.tiny.figures.smoothness.options",
            {"windw": 3},
            "figures.smoothness.options: unknown key 'windw' (did you mean 'window'?)",
        ),
        (
            "studies.tiny.figures",
            {"x": {"draw": "lines"}},
            "figures.x.options: the key 'x' is missing",
        ),
        (
            "studies.tiny.figures",
            {"x": {"draw": "heat_map", "options": {"y": "widht"}}},
            "figures.x.options.y: there is no setting 'widht' (did you mean 'width'?)",
        ),
        ("results", 3, "results: 3 is not of type 'string'"),
    ],
)
def test_bad_input_is_named_in_one_sentence(path, value, sentence, tmp_path):
    config = tiny()
    mutate(path, value)(config)
    if path == "extends":
        config["extends"] = str(tmp_path / "cyclic.yaml")
        (tmp_path / "cyclic.yaml").write_text("extends: " + config["extends"])
    with pytest.raises(GradscapeError) as error:
        Experiment(config)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


CLAIM = {
    "statement": "It learns.",
    "source": "me",
    "left": {"metric": "test_accuracy", "where": {"model": "vgg08"}},
    "is": "above",
    "right": 0.5,
}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"is": "abvoe"}, "it.is: unknown value 'abvoe' (did you mean 'above'?)"),
        ({"margn": 1}, "it: unknown key 'margn' (did you mean 'margin'?)"),
        (
            {"left": {"metric": "test_acuracy", "where": {}}},
            "it.left: unknown metric 'test_acuracy' (did you mean 'test_accuracy'?)",
        ),
        (
            {"left": {"metric": "test_accuracy", "where": {"modl": "vgg08"}}},
            "it.left.where: unknown key 'modl' (did you mean 'model'?)",
        ),
        (
            {"left": {"metric": "test_accuracy", "where": {"model": "vgg8"}}},
            "it.left.where.model: unknown model 'vgg8'",
        ),
        ({"same": "rate"}, "it.same: there is no setting 'rate'"),
        ({"holds": "It does."}, "it: the key 'fails' is missing"),
        ({"undecided": "Perhaps."}, "it: the key 'holds' is missing"),
        ({"abstract": {"holds": "It does."}}, "it.abstract: the key 'fails' is missing"),
        (
            {"holds": "It reaches [lefft].", "fails": "It does not."},
            "it.holds: [lefft] stands for nothing (did you mean 'left'?); to print it, "
            "write \\[lefft]",
        ),
    ],
)
def test_a_mistake_in_a_claim_is_named_before_any_job(change, sentence, tmp_path):
    config, path = tiny(), tmp_path / "claims.yaml"
    path.write_text(yaml.dump({"it": CLAIM | change}))
    for claims in ({"it": CLAIM | change}, str(path)):
        config["studies"]["tiny"]["claims"] = claims
        with pytest.raises(GradscapeError) as error:
            Experiment(config)
        assert sentence in str(error.value)
    config["studies"]["tiny"]["claims"] = {"it": CLAIM}
    assert Experiment(config).studies["tiny"].claims["it"]["right"] == 0.5


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        (
            {"model": "vgg38"},
            "claims.it.left.where.model: no run of the study has 'vgg38' (did you mean",
        ),
        (
            {"learning_rate": [1e-3, 2e-2]},
            "claims.it.left.where.learning_rate: no run of the study has 0.02",
        ),
        (
            {"variant": "sclow", "seed": 0},
            "where.variant: no run of the study has 'sclow' (did you mean 'slow'?)",
        ),
        (
            {"variant": "slow", "schedule": "cosine"},
            "it.left.where: no run of the study has all of {'variant': 'slow', ",
        ),
    ],
)
def test_a_claim_about_no_planned_run_is_named_before_any_job(
    where, sentence, monkeypatch, tmp_path, capsys
):
    monkeypatch.chdir(tmp_path)
    config = tiny()
    left = {"metric": "test_accuracy", "where": where}
    study = config["studies"]["tiny"]
    study["variants"] = {"slow": {"schedule": "constant"}}
    study["claims"] = {"it": CLAIM | {"left": left}}
    with pytest.raises(SystemExit):
        jobs.experiment(config)
    assert sentence in capsys.readouterr().err
    # But in a cut of a configuration that plans such runs, it is a claim not measured.
    cut = {"extends": "whole.yaml", "studies": {"tiny": {"grid": {"model": ["vgg08"]}}}}
    cut["studies"]["tiny"] |= {"claims": study["claims"], "variants": {"slow": None}}
    study |= {"grid": {"model": ["vgg08", "vgg38"], "learning_rate": [1e-3, 2e-2]}}
    study |= {"claims": {}, "probes": {}}
    study |= {"figures": {}, "variants": {"slow": {"l1": 0.1}, "sclow": {"l1": 0.2}}}
    (tmp_path / "whole.yaml").write_text(yaml.dump(config))
    cut["studies"]["tiny"]["grid"]["learning_rate"] = [1e-3]
    jobs.experiment(cut)


def test_gradscapes_claims_serve_smaller_grids_and_match_its_own():
    config = tiny()
    config["studies"]["tiny"]["claims"] = "report/claims/degradation.yaml"
    assert "vgg38-does-not-train" in jobs.experiment(config).studies["tiny"].claims
    for name in ("config", "engine"):
        studies = Experiment.from_file(ROOT / f"config/{name}.yaml").studies
        for study in studies.values():
            for key, side in study.sides:
                runs = studies[side.get("study", study.name)].runs
                assert not missing(side["where"], runs), (study.name, key)


def test_no_name_is_ever_parsed(tmp_path, monkeypatch):
    """Values that contain the separators of names, and a model whose name has `_seed`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seeded.py").write_text("def my_seed_net(classes): ...\n")
    config = tiny()
    config["studies"]["tiny"] |= {"probes": {}, "figures": {}}
    config["studies"]["tiny"]["grid"] = {
        "model": ["seeded.py:my_seed_net"],
        "schedule": ["cosine", "cosine_per_iteration"],
        "loss": ["squared_error"],
    }
    first, second = Experiment(config).runs
    assert second.varied == {"schedule": "cosine_per_iteration", "loss": "squared_error"}
    assert first.name == "my_seed_net_lr1e-3_seed0_schedule-cosine_loss-squared_error"
    assert first.traits["variant"] == "schedule-cosine_loss-squared_error"


def test_a_kept_configuration_reads_back_as_it_was(tmp_path):
    """As JSON writes it: 1e-05, which to YAML is text."""
    config = tiny()
    config["studies"]["tiny"]["l1"] = 0.00001
    kept = tmp_path / "config.json"
    kept.write_text(json.dumps(config))
    assert Experiment.from_file(kept).runs[0].settings.l1 == 1e-5


def test_conda_files_have_the_locked_versions():
    lock = (ROOT / "requirements.lock").read_text()
    for path in (ROOT / "envs").glob("*.yaml"):
        (pip,) = (d["pip"] for d in yaml.safe_load(path.read_text())["dependencies"][2:])
        for requirement in pip:
            assert re.search(rf"^{re.escape(requirement)}[ ;\\]", lock, re.M), requirement


def test_lock_names_no_host():
    assert "http" not in (ROOT / "requirements.lock").read_text()


def test_a_figure_of_runs_that_are_partly_cut_away_is_drawn_of_the_rest():
    config = yaml.safe_load(TINY)
    config["studies"]["tiny"]["figures"] = {
        "both": {"draw": "curves", "where": {"model": ["vgg08", "vgg38"]}}
    }
    figure = Experiment(config).figure("tiny", "both")
    assert figure.where == {"model": ["vgg08", "vgg38"]}


def test_the_demo_is_minutes_of_work_and_downloads_nothing():
    runs = Experiment.from_file(ROOT / "config" / "demo.yaml").runs
    assert {run.settings.dataset for run in runs} == {"generated10", "generated10-small"}
    assert len(runs) == 13


def test_keys_are_changed_from_the_command_line_by_their_types():
    changes = "studies.tiny.grid.learning_rate=[1e-2] studies.tiny.epochs=3 threads=2"
    experiment = Experiment(
        tiny()
        | {"set": changes + " studies.tiny.figures.surface=null studies.tiny.probes=null"}
    )
    assert [(r.name, r.settings.epochs) for r in experiment.runs] == [
        ("vgg08_lr1e-2_seed0", 3)
    ]
    assert experiment.threads == 2 and "set" not in experiment.config
    for change, sentence in {
        "studies.tiny.epoch=3": "unknown key 'epoch' (did you mean 'epochs'?)",
        "studies.tiny.epochs": "is no KEY=VALUE, as studies.NAME.epochs=2",
        "studies.tiny.epochs=[": "its value is no YAML",
        "studies.tiny.epochs=two": "config: studies.tiny.epochs: ",
    }.items():
        with pytest.raises(GradscapeError, match=re.escape(sentence)):
            Experiment(tiny() | {"set": change})


def test_a_random_search_is_a_plan_of_named_runs():
    """The same from the same seed, within its bounds, over every seed of the grid."""
    search = {
        "n": 20,
        "learning_rate": "loguniform(1e-4, 1e-1)",
        "width": "integers(8, 64)",
    }
    search["optimiser"] = "choice(adam, sgd)"
    study = {"title": "A search", "dataset": "generated10", "model": "vgg08"}
    study |= {"grid": {"seed": [0, 1]}, "sample": search}

    def runs(**change):
        sample = {"sample": search | change}
        return Experiment(tiny() | {"studies": {"search": study | sample}}).runs

    drawn = [run.settings for run in runs()]
    points = {(s.learning_rate, s.width, s.optimiser) for s in drawn}
    assert len(drawn) == 40 and len(points) == 20
    rates, widths, optimisers = zip(*points, strict=True)
    assert 1e-4 <= min(rates) < 1e-3 and 1e-2 < max(rates) <= 1e-1
    assert 8 <= min(widths) < max(widths) <= 64 and set(optimisers) == {"adam", "sgd"}
    assert runs() == runs() and runs(seed=1) != runs()
    nested = runs(nesterov="choice(true)", split="choice(random-5-percent, alberta)")
    assert {run.settings.nesterov for run in nested} == {True}
    assert {run.settings.split for run in nested} == {"edinburgh", "alberta"}
    for change, sentence in {
        ("learning_rat", "uniform(0, 1)"): "unknown setting 'learning_rat'",
        (
            "learning_rate",
            "normal(0, 1)",
        ): "is none of uniform, loguniform, integers, choice",
        ("learning_rate", "loguniform(0, 1)"): "needs two numbers",
        ("learning_rate", "uniform(-2, -1)"): "sample.learning_rate: -",
        ("epochs", "uniform(1, 5)"): "sample.epochs: ",
        ("width", "choice([)"): "'choice([)' holds what is no YAML",
        ("width", "integers(64, 8)"): "'integers(64, 8)' has its larger number first",
        ("n", 10_001): "has 20,002 runs, above max_runs (20,000)",
    }.items():
        with pytest.raises(GradscapeError, match=re.escape(sentence)):
            runs(**dict([change]))


def test_a_key_that_stands_twice_is_named(tmp_path):
    """YAML would keep the last: a setting, or a claim, would vanish without a word."""
    path = tmp_path / "config.yaml"
    path.write_text("title: t\nresults: r\nstudies:\n  s:\n    epochs: 1\n    epochs: 2\n")
    with pytest.raises(GradscapeError, match=r"the key 'epochs' stands twice below line 5"):
        Experiment.from_file(path)
    merged = "a: &a {x: 1, y: 2}\nb: {<<: *a, <<: *a, x: 3}\n"  # as anchors are used
    path.write_text(merged)
    assert read_yaml(path)["b"] == {"x": 3, "y": 2}


def test_a_file_that_is_nowhere_is_named_where_the_user_looks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GradscapeError, match=r"^nope\.yaml: "):
        Experiment.from_file(Path("nope.yaml"))
    wrong = {"extends": "nope.yaml", "title": "t"}
    with pytest.raises(GradscapeError, match=r"^nope\.yaml: "):
        Experiment(wrong)
