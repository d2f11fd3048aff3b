"""What the commands say and do: the first hour with gradscape."""

import json
import logging
import os
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from snakemake_interface_logger_plugins.common import LogEvent

import conftest
import gradscape
import snakemake_logger_plugin_gradscape as plugin
from conftest import BIN, ROOT, SMALL, TINY, same, succeed, write_run
from gradscape.base.errors import GradscapeError
from gradscape.base.paths import TRACKED, TRACKERS
from gradscape.cli import commands
from gradscape.cli import parser as cli
from gradscape.config.experiment import Experiment
from gradscape.config.yaml import read_yaml
from gradscape.data.store import load
from gradscape.pipeline import jobs as dag
from gradscape.runs.live import epoch_line
from gradscape.spec.settings import SETTINGS, Settings, flags
from gradscape.spec.study import Run
from gradscape.training import train as engine
from snakemake_logger_plugin_gradscape import LogHandler, handler
from snakemake_logger_plugin_gradscape.advice import no_rule


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("trian", "unknown value 'trian' (did you mean 'train'?)"),
        ("train --modle vgg08", "unknown option --modle (did you mean '--model'?)"),
        ("train", "required: --out; see `gradscape train --help`"),
        ("train --out x", "required: --model; see `gradscape train --help`"),
        ("train --out x --model vgg08", "required: --dataset; see `gradscape train"),
        ("train --out x --spec {}", "required: --model; see `gradscape train --help`"),
        ('train --out x --spec {"nam":1}', "run: unknown key 'nam' (did you mean 'name'?)"),
        ("train --out x --spec nosuch.json", "--spec: cannot be parsed as JSON"),
        ("table reslts --out x", "unknown table 'reslts' (did you mean 'results'?)"),
        ("train --model vgg08 --epochs x", "argument --epochs: invalid int value: 'x'"),
    ],
)
def test_a_slip_is_one_sentence_with_the_likeliest_word(words, sentence, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(words.split())
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("gradscape: ") and sentence in line


def test_a_shell_completes_commands_options_and_names(capsys):
    pytest.importorskip("shtab")
    cli.main(["completion", "bash"])
    script = capsys.readouterr().out

    def completed(*words: str) -> list[str]:
        line = f"COMP_WORDS=(gradscape {' '.join(words)}); COMP_CWORD={len(words)}"
        program = f"{script}\n{line}; _shtab_gradscape; echo ${{COMPREPLY[@]}}"
        return subprocess.check_output(["bash", "-c", program], text=True).split()

    assert completed("sub") == ["submission"]
    assert completed("train", "--learn") == ["--learning-rate"]
    assert completed("train", "--model", "vgg38-bn-") == ["vgg38-bn-rc"]


@pytest.mark.parametrize("words", ["models", "train --help", "runs --config CONFIG"])
def test_a_reader_that_leaves_early_ends_a_command_without_a_word(words):
    config = str(ROOT / "config/config.yaml")
    command = [BIN / "gradscape", *words.replace("CONFIG", config).split()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as left:
        left.stdout.close()
        assert left.wait() in (0, 128 + signal.SIGPIPE) and left.stderr.read() == b""


@pytest.mark.parametrize("words", ["completion bash", "--help", "train --help"])
@pytest.mark.parametrize("buffered", ["", "1"])
def test_output_that_cannot_be_written_is_one_sentence(buffered, words):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [BIN / "gradscape", *words.split()],
            env=os.environ | {"PYTHONUNBUFFERED": buffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    (line,) = done.stderr.splitlines()
    assert "results or standard output: No space left on device" in line
    assert done.returncode == 2


def test_a_results_folder_says_which_configuration_ran_in_it(tmp_path, capsys, monkeypatch):
    """A student who ran with fewer seeds names it, and no configuration."""
    config = {"extends": str(ROOT / "config/demo.yaml"), "max_seeds": 1}
    (tmp_path / "config.json").write_text(json.dumps(Experiment(config).config))
    cli.main(["runs", "--results", str(tmp_path), "--commands"])
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(Experiment(config).runs)
    assert all(f"--out {tmp_path}/runs/" in line for line in printed)
    for words, sentence in {
        "": "required: --results results/<config>, where something ran, or --config FILE",
        "--results nowhere": "nowhere/config.json: missing; name the configuration with --",
    }.items():
        with pytest.raises(SystemExit):
            cli.main(["claims", *words.split()])
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"gradscape: {sentence}")


def test_a_message_prints_the_whole_command(tmp_path):
    """As one may type it, for the configuration and the folder that were given."""
    demo = Experiment.from_file(ROOT / "config/demo.yaml")
    made = "snakemake results/demo/report.pdf --cores 2 --configfile"
    assert demo.snakemake("results/demo/report.pdf") == f"{made} {ROOT}/config/demo.yaml"
    assert demo.gradscape("report") == f"gradscape report --config {ROOT}/config/demo.yaml"
    kept = tmp_path / "config.json"
    kept.write_text(json.dumps(demo.config))
    moved = Experiment.from_file(kept, tmp_path)
    assert moved.gradscape("report") == f"gradscape report --results {tmp_path}"
    words = f"--cores 2 --configfile {kept} --config results={tmp_path}"
    assert moved.snakemake("all") == f"snakemake all {words}"


# `gradscape train`


def test_a_split_is_stored_by_its_older_name():
    given = {"model": "vgg08", "dataset": "generated10"}
    for name in ("last-10-percent", "alberta"):
        run = commands.run_from({}, given | {"split": name})
        assert run.settings.split == "alberta"


def train(generated, out, *more: str) -> None:
    cli.main(["train", *flags(SMALL), "--data", str(generated), "--out", str(out), *more])


def test_a_finished_folder_is_not_trained_over_without_a_word(generated, tmp_path, capfd):
    out = tmp_path / "run"
    train(generated, out)
    said = capfd.readouterr()
    assert "vgg08_lr1e-3_seed0: test accuracy " in said.out.splitlines()[-1]
    assert said.out.splitlines()[-1].endswith(f", in {out}") and not said.err
    before = (out / "run.json").stat().st_mtime_ns
    train(generated, out)
    assert "already finished; --overwrite" in capfd.readouterr().err
    (out / "probes").mkdir()
    (out / "probes" / "hessian.csv").write_text("of the old weights")
    with pytest.raises(SystemExit):
        train(generated, out, "--seed", "5")
    assert "holds a finished run (seed was 0 and is 5)" in capfd.readouterr().err
    assert (out / "run.json").stat().st_mtime_ns == before
    train(generated, out, "--seed", "5", "--overwrite")
    assert '"seed": 5' in (out / "run.json").read_text()
    assert not (out / "probes").exists()


def trained(words: list[str]) -> Run:
    """The run that a command line describes."""
    given = vars(cli.parser().parse_args(words))
    settings = {k: given[k] for k in SETTINGS if k in given}
    return commands.run_from(given.get("spec", {}), settings)


def test_a_job_and_a_person_train_the_same_run(capsys):
    """By JSON, in a file or not, or by the command that `runs --commands` prints."""
    config = ROOT / "config/cpu.yaml"
    cli.main(["runs", "--commands", "--config", str(config)])
    printed = [shlex.split(line)[1:] for line in capsys.readouterr().out.splitlines()]
    runs = Experiment.from_file(config).runs
    for run, words in zip(runs, printed, strict=True):
        job = ["train", "--spec", json.dumps(run.spec), "--out", "x"]
        assert trained(words) == trained(job) == run


def test_a_json_file_does_for_json_and_options_come_on_top(tmp_path):
    spec = tmp_path / "run.json"
    spec.write_text(json.dumps({"settings": {"model": "vgg08", "dataset": "generated10"}}))
    words = ["train", "--out", "x", "--spec", str(spec), "--learning-rate", "1e-2"]
    assert trained(words) == Run(
        "command-line",
        "vgg08_lr1e-2_seed0",
        Settings("vgg08", "generated10", learning_rate=1e-2),
    )


class Killed(Exception):
    pass


def kill_after(epochs: int, monkeypatch) -> None:
    run_epoch = engine.Training.run_epoch

    def until(training, between_steps):
        if training.history.epoch == epochs:
            raise Killed
        run_epoch(training, between_steps)

    monkeypatch.setattr(engine.Training, "run_epoch", until)


def test_a_command_that_was_stopped_resumes(generated, tmp_path, monkeypatch, capfd):
    with monkeypatch.context() as patch:
        kill_after(1, patch)
        with pytest.raises(Killed):
            train(generated, tmp_path, "--checkpoint-seconds", "0", "--threads", "1")
    train(generated, tmp_path, "--threads", "1")
    said = capfd.readouterr()
    assert "resumed after 1 epochs" in said.out and "damaged" not in said.err


def test_tensorboard_shows_a_resumed_run_once_and_changes_no_byte(
    generated, tmp_path, monkeypatch
):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    dataset, run = load(generated / "generated10"), Run("s", "r", SMALL)
    engine.train(run, dataset, tmp_path / "without")
    with monkeypatch.context() as patch:
        kill_after(1, patch)
        with pytest.raises(Killed):
            engine.train(run, dataset, tmp_path / "with", 1, 0.0, ["tensorboard"])
    engine.train(run, dataset, tmp_path / "with", trackers=["tensorboard"])
    same(tmp_path / "without", tmp_path / "with")
    events = EventAccumulator(
        str(tmp_path / "with" / "tensorboard"), size_guidance={"histograms": 0}
    ).Reload()
    assert [event.step for event in events.Scalars("train_loss")] == [1, 2]
    layers = events.Tags()["histograms"]
    assert layers[0].startswith("gradients/00 ") and len(layers) > 8
    assert [event.step for event in events.Histograms(layers[0])] == [1, 2]


def test_mlflow_and_wandb_follow_a_run_that_is_resumed_and_change_no_byte(
    generated, tmp_path, monkeypatch
):
    """Stand-ins with what is called of MLflow 3.17 and W&B 0.31."""
    told = {"mlflow": [], "wandb": []}

    def told_to(name: str):
        return lambda values, step: told[name].append((step, values["train_loss"]))

    wandb = SimpleNamespace(log=told_to("wandb"))
    begun = []
    standing = {
        "mlflow": {
            "set_experiment": begun.append,
            "start_run": lambda run_name: nullcontext(begun.append(run_name)),
            "log_params": lambda values: begun.append(values["model"]),
            "log_metrics": told_to("mlflow"),
        },
        "wandb": {
            "Settings": dict,
            "init": lambda **about: nullcontext(begun.append(about) or wandb),
        },
    }
    for name, functions in standing.items():
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(**functions))
    dataset, run = load(generated / "generated10"), Run("s", "r", SMALL)
    engine.train(run, dataset, tmp_path / "without")
    with monkeypatch.context() as patch:
        kill_after(1, patch)
        with pytest.raises(Killed):
            engine.train(run, dataset, tmp_path / "with", 1, 0.0, [*told])
    engine.train(run, dataset, tmp_path / "with", trackers=[*told])
    same(tmp_path / "without", tmp_path / "with")
    losses = pd.read_csv(tmp_path / "with" / "metrics.csv")["train_loss"].tolist()
    for name in told:  # the second run has them all
        assert told[name][-2:] == [(1, losses[0]), (2, losses[1])]
    assert begun[:3] == ["s", "r", SMALL.model] and begun[3]["mode"] == "offline"
    assert begun[3]["name"] == "r" and begun[3]["config"]["epochs"] == SMALL.epochs


@pytest.mark.parametrize("tracker", TRACKERS)
def test_a_configuration_asks_for_a_tracker_without_training_again(tracker, monkeypatch):
    environment = {"MLFLOW_TRACKING_URI": "theirs"}
    monkeypatch.setattr(dag.os, "environ", environment)
    wildcards = SimpleNamespace(study="degradation", run="vgg08_lr1e-3_seed0")
    config = {"extends": "config/config.yaml"}
    parameters = [
        dag.Dag(dag.experiment(config | {tracker: wanted})).run_spec(wildcards)
        for wanted in ("false", "true")
    ]
    assert parameters[0] == parameters[1] and environment[TRACKED] == tracker
    assert environment["MLFLOW_TRACKING_URI"] == "theirs"
    assert environment["WANDB_DIR"] == str(Path("results/full").absolute())


# The guard


def test_a_gpus_work_does_not_start_on_a_cpu_by_itself(monkeypatch, capsys):
    monkeypatch.setattr(dag, "has_driver", lambda: False)

    def begin(file: str = "config", is_local: bool = True, **more) -> None:
        config = {"extends": f"config/{file}.yaml", **more}
        workflow = SimpleNamespace(local_exec=is_local)
        begun = dag.Dag(dag.experiment(config), workflow)
        begun.begin(str(begun.results.config))

    begin("cpu")
    begin(is_local=False)
    begin(allow_cpu="true")
    with pytest.raises(SystemExit):
        begin()
    last = capsys.readouterr().err.splitlines()[-1]
    assert "CPU-hours" in last and "config/cpu.yaml" in last and "allow_cpu=true" in last
    monkeypatch.setattr(dag, "has_driver", lambda: True)
    begin()


MPS = """
from gradscape.pipeline import jobs
jobs.has_driver = lambda: True
begun = jobs.Dag(jobs.experiment({"extends": "config/demo.yaml", "runs_per_gpu": 3}))
begun.begin("results/config.json")
import os
print(os.environ["GRADSCAPE_RUNS_PER_GPU"], "CUDA_MPS_PIPE_DIRECTORY" in os.environ)
"""


@pytest.mark.parametrize("daemon", ["there", "broken", "missing"])
def test_the_daemon_by_which_runs_share_a_gpu_is_started_and_stopped(daemon, tmp_path):
    """By a stand-in, which notes its options, its input and the folder where CUDA looks."""
    asked = tmp_path / "asked"
    script = '#!/bin/sh\necho "$@" $(cat) $CUDA_MPS_PIPE_DIRECTORY >> "$ASKED"\n'
    if daemon != "missing":
        stand_in = tmp_path / "nvidia-cuda-mps-control"
        broken = "echo no GPU >&2; exit 1\n" if daemon == "broken" else ""
        stand_in.write_text(script + broken)
        stand_in.chmod(0o755)
    here = {"ASKED": str(asked), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    here |= {"PYTHONPATH": str(ROOT / "workflow"), "TMPDIR": str(tmp_path)}
    said = succeed(sys.executable, "-c", MPS, cwd=tmp_path, **here)
    assert f"3 {daemon == 'there'}" in said
    assert ("runs take turns on their GPU" in said) == (daemon != "there")
    if daemon == "there":
        (begun, ended) = (line.split() for line in asked.read_text().splitlines())
        assert begun[0] == "-d" and ended[0] == "quit" and begun[1] == ended[1]
        assert not Path(begun[1]).exists()
    assert not [*tmp_path.glob("gradscape-mps-*")]


@pytest.mark.parametrize(
    ("device", "driver", "hidden", "is_local", "gpus"),
    [
        ("auto", True, None, True, 1),
        ("auto", False, None, True, 0),  # all cores train at once
        ("auto", True, "", True, 0),
        ("auto", False, None, False, 1),  # the scheduler finds one
        ("cuda", False, None, True, 1),
        ("cpu", True, None, False, 0),
    ],
)
def test_a_run_asks_for_a_gpu_where_it_may_find_one(
    device, driver, hidden, is_local, gpus, monkeypatch, tmp_path
):
    monkeypatch.setattr(dag, "DRIVERS", [str(tmp_path / ("" if driver else "none"))])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden or "")
    if hidden is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    dag.has_driver.cache_clear()
    study = {"title": "t", "model": "vgg08", "dataset": "generated10", "device": device}
    config = {"title": "t", "results": "r", "studies": {"s": study}}
    workflow = SimpleNamespace(local_exec=is_local)
    jobs = dag.Dag(Experiment(config), workflow)
    run = SimpleNamespace(study="s", run="vgg08_lr1e-3_seed0")
    assert jobs.gpus(run) == gpus
    dag.has_driver.cache_clear()


# Snakemake


def test_a_missing_configuration_is_one_sentence(monkeypatch):
    monkeypatch.chdir(ROOT)
    words = ["bin/snakemake", "--cores", "1", "--configfile", "config/nosuch.yaml"]
    with pytest.raises(SystemExit, match="there is no file config"):
        plugin.mend(words)
    words[-1:] = ["config/demo.yaml", "runs"]
    plugin.mend(words)
    assert words[1] == "runs" and words[-1] == "config/demo.yaml"


@pytest.mark.parametrize("profile", ["default", "gpu", "slurm", "cluster-generic"])
def test_every_profile_shows_lines_and_leaves_no_snakemake_in_a_solver(profile):
    """With the usual scheduler a stopped one can hang there, the folder locked."""
    content = read_yaml(ROOT / f"profiles/{profile}/profile.yaml")
    assert content["scheduler"] == "greedy" and content["logger"] == "gradscape"


@pytest.mark.parametrize("profile", ["slurm", "cluster-generic"])
def test_a_sites_partition_stays_beside_what_a_profile_asks_for(profile, tmp_path):
    """A dry run shows what would be submitted."""
    text = (ROOT / f"profiles/{profile}/profile.yaml").read_text()
    asked = read_yaml(ROOT / f"profiles/{profile}/profile.yaml")
    assert asked["set-resources"].keys() == {"train", "probe"}
    site = "default-resources: [slurm_partition=theirs, slurm_account=mine]\n"
    for name, content in {"site": site, "ours": text.replace("logger:", "# ")}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(content)
    (tmp_path / "config.yaml").write_text(TINY)
    command = ["snakemake", "-n", "-s", ROOT / "Snakefile", "--configfile", "config.yaml"]
    command += ["--workflow-profile", "ours", "--", "runs"]
    said = succeed(*command, cwd=tmp_path, SNAKEMAKE_PROFILE=str(tmp_path / "site"))
    assert "slurm_partition=theirs, slurm_account=mine" in said


def event(event: LogEvent, **fields) -> logging.LogRecord:
    return logging.makeLogRecord({"event": event, "levelno": logging.INFO} | fields)


def job(number: int, log, rule: str = "train", output=()) -> logging.LogRecord:
    about = {"rule_name": rule, "rule_msg": f"Training job {number}", "wildcards": {}}
    return event(LogEvent.JOB_INFO, jobid=number, log=[log], output=output, **about)


def test_runs_end_with_their_accuracy_and_failures_with_their_log(
    generated, tmp_path, capsys
):
    log = tmp_path / "logs" / "train" / "b.log"
    log.parent.mkdir(parents=True)
    log.write_text("epoch 1\ngradscape: no space for it\n")
    handler = LogHandler(SimpleNamespace(dryrun=False), None)
    handler.emit(event(LogEvent.RUN_INFO, stats={"train": 2, "total": 3}))
    train(generated, tmp_path / "run")
    handler.emit(job(1, log, output=[tmp_path / "run" / "metrics.csv"]))
    handler.emit(job(2, log, output=[tmp_path / "other" / ".done"]))
    handler.emit(event(LogEvent.JOB_FINISHED, job_id=1))
    fields = {"rule_name": "train", "rule_msg": None, "log": [str(log)]}
    handler.emit(event(LogEvent.JOB_ERROR, jobid=2, **fields))
    handler.emit(event(LogEvent.PROGRESS, done=1, total=3))
    handler.close()
    first, second, last = capsys.readouterr().err.splitlines()
    assert first.startswith("command-line/vgg08_lr1e-3_seed0: test accuracy ")
    assert second == f"Training job 2 failed: no space for it; see {log}"
    assert last.startswith("gradscape: 1 of 3 jobs done, 1 failed, ")
    assert f"logs: {log.parents[1]}; call again" in last


@pytest.mark.parametrize(
    "end", ["died with <Signals.SIGTERM: 15>.", "returned non-zero exit status 130."]
)
def test_a_job_that_was_interrupted_has_not_failed(end, tmp_path, capsys):
    """Of both it is said that the run which they would replace stands."""
    (tmp_path / "run.json").touch()
    handler = LogHandler(SimpleNamespace(dryrun=False), None)
    handler.emit(event(LogEvent.RUN_INFO, stats={"train": 3, "total": 3}))
    ends = [end, "returned non-zero exit status 1.", end]
    for number, how in enumerate(ends):
        output = [tmp_path / ".done" if number < 2 else tmp_path / "none" / ".done"]
        handler.emit(job(number, "nowhere.log", output=output))
        words = f"RuleException:\nCalledProcessError in file x, line 1:\nCommand 'y' {how}"
        error = {"levelno": logging.ERROR, "exception": "RuleException", "msg": words}
        handler.emit(event(LogEvent.ERROR, **error))
        fields = {"rule_name": "train", "rule_msg": None, "log": ["nowhere.log"]}
        handler.emit(event(LogEvent.JOB_ERROR, jobid=number, **fields))
    handler.close()
    first, second, third, last = capsys.readouterr().err.splitlines()
    stands, goes_on = "the finished run there stands", "the same command goes on from there"
    assert first == f"Training job 0 interrupted; {stands}; {goes_on}"
    assert second.startswith("Training job 1 failed: ") and f"; {stands}; see " in second
    assert third == f"Training job 2 interrupted; {goes_on}"
    assert last.startswith("gradscape: 0 of 3 jobs done, 1 failed, 2 interrupted, in ")


@pytest.mark.parametrize(
    "words",
    [
        "sinfo: fatal: Could not establish a configuration source",
        "sbatch: error: Batch job submission failed: Unable to contact slurm controller",
    ],
)
def test_a_slurm_that_is_down_is_one_sentence_and_what_was_refused_is_not_summed_up(
    words, capsys
):
    handler = LogHandler(SimpleNamespace(dryrun=False), None)
    handler.setFormatter(logging.Formatter())
    handler.emit(event(LogEvent.RUN_INFO, stats={"train": 2, "total": 3}))
    said = (
        f"Exception in run_job for rule train: {words}\nTraceback (most recent call last):"
    )
    handler.emit(logging.makeLogRecord({"levelno": logging.ERROR, "msg": said}))
    handler.close()
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "Slurm does not answer; try `sinfo`, and call again when it does"


def test_a_misspelt_target_and_a_locked_folder_are_one_sentence(tmp_path):
    """By Snakemake's own logger and by ours."""
    (tmp_path / "my config.yaml").write_text(TINY)
    for lock in ("input", "output"):
        path = tmp_path / f".snakemake/locks/0.{lock}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("results/tiny/report.pdf\n")
    words = ["-s", str(ROOT / "Snakefile"), "--cores", "1", "--configfile"]
    words += ["my config.yaml", "--", "results/tiny/repot.pdf"]
    done = conftest.run("snakemake", *words, cwd=tmp_path)
    said = (
        "results/tiny/repot.pdf: nothing makes it (did you mean 'results/tiny/report.pdf'?)"
    )
    assert f"gradscape: {said}" in done.stderr.splitlines()
    assert "MissingRule" not in done.stderr and done.returncode == 1
    words = ["results/tiny/report.pdf", *words[:-2], "--logger", "gradscape"]
    done = conftest.run("snakemake", *words, cwd=tmp_path)
    command = shlex.join(["snakemake", *words, "--unlock"])
    assert f"type `{command}` and then your command again" in done.stderr
    assert "LockException" not in done.stderr and done.returncode == 1


def test_a_target_of_another_configuration_names_that():
    """Likely forgotten is `--configfile`; so `all` would train the full studies."""
    full = Experiment.from_file(ROOT / "config/config.yaml")
    said = no_rule(full, "results/cpu/edinburgh.pdf")
    assert "results are in results/full" in said
    assert said.endswith("--configfile, such as config/cpu.yaml")
    assert no_rule(full, "results/x/a.pdf").endswith("such as results/x/config.json")
    assert no_rule(full, "rnus") == "rnus: nothing makes it (did you mean 'runs'?)"


def test_the_time_left_follows_the_plan_and_then_the_machine(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(handler.time, "monotonic", lambda: clock[0])
    runs = {"s/a": 100.0, "s/b": 300.0}
    monkeypatch.setattr(handler, "expected", lambda: dict(runs))
    guess = handler.Forecast()
    assert guess.left() is None
    guess.begin({"train": 2, "total": 2})
    guess.start(1, "train", {"study": "s", "run": "a"})
    assert guess.left() == pytest.approx(400)
    clock[0] = 1000.0  # ten times as slow as planned
    guess.finish(1)
    guess.start(2, "train", {"study": "s", "run": "b"})
    assert guess.left() == pytest.approx(300 * 1060 / 160)


# As a library


def test_published_runs_load_with_all_their_settings(monkeypatch):
    runs = gradscape.load(ROOT / "results/published/cpu")
    chosen = runs.where(study="degradation", model=["vgg08", "vgg38"], learning_rate=1e-3)
    folders = [*(ROOT / "results/published/cpu/runs/degradation").glob("vgg[03]8_lr1e-3_*")]
    assert {run.model for run in chosen} == {"vgg08", "vgg38"}
    assert len(chosen) == len(folders)
    assert chosen[0].metrics["epoch"].tolist() == [*range(1, 13)]
    table = runs.table
    assert len(table) == len(runs) and set(vars(SMALL)) <= {*table.columns}
    with pytest.raises(GradscapeError, match="runs have no 'modle'"):
        runs.where(modle="vgg08")
    with pytest.raises(GradscapeError, match="there are no finished runs"):
        gradscape.load(ROOT / "docs")


def test_loading_needs_no_torch():
    code = "import sys, gradscape; gradscape.load('results/published/engine'); "
    assert succeed("python", "-c", f"{code}print('torch' in sys.modules)") == "False\n"


def test_the_runs_of_a_configuration_and_how_far_they_are(tmp_path, capsys):
    """Finished by its record, running by its log's last line, which training wrote; one
    whose file has changed is damaged, and the others are told all the same."""
    config = tmp_path / "tiny.yaml"
    config.write_text(TINY.replace("results/tiny", str(tmp_path / "results")))
    experiment = Experiment.from_file(config)
    first, second = experiment.runs
    settings = first.settings
    write_run(experiment.directory(first).parent, settings.model, settings.learning_rate)
    log = experiment.results.log("train", second.study, f"{second.name}.log")
    log.parent.mkdir(parents=True)
    experiment.directory(second).mkdir()
    (experiment.directory(second) / ".lock").touch()  # which a process has while it trains
    row = {"epoch": 1, "train_loss": 2.25, "train_accuracy": 0.1, "val_loss": 2.3}
    log.write_text(f"begun\n{epoch_line(row | {'val_accuracy': 0.125}, 50.0, 2, 100)}\n")
    cli.main(["runs", "--config", str(config)])
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].split()[:3] == [first.id, "finished", "2/2"]
    assert printed[2].split()[:4] == [second.id, "running", "1/2", "12.5%"]
    assert 0 <= float(printed[2].split()[4]) <= 2 and printed[3] == "1 finished, 1 running"
    os.utime(log, (0, 0))  # or the process was killed long ago
    cli.main(["runs", "--config", str(config), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [run["status"] for run in found] == ["finished", "stopped"]
    with (experiment.directory(first) / "metrics.csv").open("a") as file:
        file.write("3,0,0,0,0,0\n")
    cli.main(["runs", "--config", str(config)])
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].split()[:3] == [first.id, "damaged", "–/2"]
    assert printed[2].split()[:2] == [second.id, "stopped"]
    shutil.rmtree(experiment.directory(second))
    cli.main(["runs", "--config", str(config)])
    assert capsys.readouterr().out.splitlines()[2].split()[1] == "waiting"


def test_an_option_of_other_programs_finds_ours(capsys):
    for theirs, ours in {"--lr": "--learning-rate", "--wd": "--weight-decay"}.items():
        with pytest.raises(SystemExit):
            cli.main(["train", theirs, "1"])
        assert f"did you mean '{ours}'?" in capsys.readouterr().err


def test_a_training_in_python_gives_a_run_and_its_network(tmp_path, generated, capsys):
    settings = {key: getattr(SMALL, key) for key in ("model", "dataset", "train_items")}
    settings |= {"validation_items": 40, "epochs": 1, "batch_size": 52, "device": "cpu"}
    found = gradscape.train(tmp_path / "run", data=generated, **settings)
    assert found.settings["epochs"] == 1 and len(found.metrics) == 1
    trained = gradscape.trained(found, data=generated)
    ((images, labels),) = trained.minibatches(8)
    logits = trained.network("best").eval()(images)
    assert logits.shape == (8, len(trained.class_names)) and len(labels) == 8
