"""The workflow on a real Slurm with two pretend GPUs; the log tells what was seen."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import real_slurm
import yaml
from pypdf import PdfReader
from real_slurm import HOST, slurm, states, wait_for

from conftest import BIN, GENERIC, ROOT, copy_repository, succeed
from gradscape.config.experiment import merge, read_yaml, resolve

# What README.md and docs/cluster.md tell to type.
PLAN = "gradscape plan --config config/config.yaml"
ALL = "snakemake --workflow-profile profiles/slurm all"
ARRAY = (
    "snakemake runs --workflow-profile profiles/slurm "
    "--slurm-array-jobs train --slurm-array-limit 20 --jobs 20000"
)
PAGES = {
    name: re.findall(r"```sh\n(.*?)```", (ROOT / name).read_text(), re.S)
    for name in ("README.md", "docs/cluster.md")
}
(SITE,) = (block for block in PAGES["docs/cluster.md"] if "SNAKEMAKE_PROFILE" in block)
RUNS = "snakemake runs --workflow-profile profiles/slurm"

# The demo, with one small network in four seeds. `device: auto` asks Slurm for a GPU, and
# trains on the CPU where there is none to see.
GRID = """
defaults: {device: auto}
studies:
  degradation:
    epochs: 20
    batch_size: 20
    train_items: 1000
    validation_items: 40
    grid: {model: [vgg08], learning_rate: [1.0e-3], seed: [0, 1, 2, 3]}
    probes: {surface: null, hessian: null, signal: {where: {model: vgg08, seed: 0}}}
    figures: {flow-vgg38: null, signal: null, surface: null, starts: null}
"""
SHORT = """
extends: config/config.yaml
results: results/short
studies: {degradation: {epochs: 1, train_items: 100, grid: {seed: [0, 1]}}}
"""
# Long enough to be seen by Slurm, which looks at a job's memory every second or two.
FAILS = """
extends: config/short.yaml
results: results/fails
studies: {degradation: {epochs: 1000, grid: {seed: [0]}}}
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    if reason := real_slurm.impossible():
        pytest.skip(reason)
    with real_slurm.cluster(tmp_path_factory.mktemp("slurm")):
        yield


@pytest.fixture(scope="module")
def repository(cluster, tmp_path_factory) -> Path:
    folder = copy_repository(tmp_path_factory.mktemp("cluster") / "gradscape")
    config = folder / "config"
    demo = merge(resolve(read_yaml(config / "demo.yaml")), yaml.safe_load(GRID))
    demo["studies"] = {"degradation": demo["studies"]["degradation"]}
    (config / "config.yaml").write_text(yaml.safe_dump(demo))
    (config / "short.yaml").write_text(SHORT)
    (config / "fails.yaml").write_text(FAILS)
    # What a site says once: this one has no accounting database. Its runs are short.
    subprocess.run(["bash", "-ec", SITE], env=environment(folder), check=True)
    with (folder / "home/.config/snakemake/site/config.yaml").open("a") as site:
        site.write("slurm-init-seconds-before-status-checks: 2\n")
    return folder


@pytest.fixture
def scene(capsys):
    """Says what was seen, in the log of a test that passes too."""
    start = time.monotonic()

    def say(sentence: str) -> None:
        with capsys.disabled():
            print(
                f"\n    {time.monotonic() - start:4.0f} s  {sentence}", end="", flush=True
            )

    return say


@pytest.fixture
def snakemake(repository):
    """Start Snakemake with the profile; whatever happens, its jobs end with the test."""
    started = []

    def start(command: str, *words: str) -> subprocess.Popen:
        program, *own = command.split()
        process = subprocess.Popen(
            [BIN / program, *own, *words],
            cwd=repository,
            env=environment(repository),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
    slurm("scancel", "--user", "root")
    shutil.rmtree(repository / ".snakemake" / "locks", ignore_errors=True)


def environment(repository: Path) -> dict[str, str]:
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    home = str(repository / "home")
    return os.environ | {"PATH": path, "HOME": home, "SNAKEMAKE_PROFILE": "site"}


def end_of(process: subprocess.Popen, seconds: float = 900) -> str:
    output, _ = process.communicate(timeout=seconds)
    return output


def jobs(*states: str) -> dict[str, str]:
    """Run → Slurm's job id, of the jobs in one of the states."""
    listed = slurm("squeue", "-h", "-t", ",".join(states), "-o", "%i %k").split("\n")
    found = {}
    for line in filter(None, listed):
        job, comment = line.split(maxsplit=1)
        if "rule_train" in comment:
            found[comment.split("_", 4)[-1]] = job
    return found


def trainings(repository: Path) -> dict[str, tuple[int, str]]:
    """Run → process id and CUDA_VISIBLE_DEVICES, of the trainings that run."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_text().split("\0")
            variables = (process / "environ").read_text().split("\0")
            folder = (process / "cwd").readlink()
        except OSError:
            continue  # ended meanwhile
        if words[1:4] == ["-m", "gradscape", "train"] and folder == repository:
            gpu = dict(entry.partition("=")[::2] for entry in variables)
            name = json.loads(words[words.index("--spec") + 1])["name"]
            found[name] = int(process.name), gpu.get("CUDA_VISIBLE_DEVICES")
    return found


def record(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())


def start_unstopped(config: str, run: str, data: Path, out: Path) -> subprocess.Popen:
    """Train a run of a config without Snakemake or Slurm, by the command it would get."""
    commands = succeed("gradscape", "runs", "--commands", "--config", config)
    words = shlex.split(next(c for c in commands.splitlines() if run in c))
    assert words[words.index("--out") + 1].endswith(run)
    words[words.index("--out") + 1] = str(out)
    words += ["--data", str(data)]
    return subprocess.Popen([BIN / words[0], *words[1:]], stdout=subprocess.DEVNULL)


def test_the_demo_to_the_pdf_whatever_happens_to_its_runs(
    repository, snakemake, scene, tmp_path
):
    """Preempted, over the time limit, cancelled, on a node that drains: the runs end with
    the bytes of those that nothing happened to."""
    results = repository / "results" / "demo"
    folder = results / "runs" / "degradation"
    process = snakemake(ALL)

    def at_work() -> dict[str, tuple[int, str]]:
        """The trainings that are in their epochs, once there are two."""
        found = trainings(repository)
        logs = [results / f"logs/train/degradation/{run}.log" for run in found]
        begun = [log for log in logs if log.exists() and "epoch" in log.read_text()]
        return found if len(begun) == 2 else {}

    two = wait_for(at_work, 240, "two runs")
    gpus = {run: gpu for run, (_, gpu) in two.items()}
    assert sorted(gpus.values()) == ["0", "1"]
    scene(f"two runs on two GPUs at once: {gpus}")

    numbers = jobs("running")
    slurm("sbatch", "-p", "urgent", "--gpus=2", "--mem=1", "-o", "/dev/null", "--wrap=true")
    wait_for(lambda: set(two) <= set(jobs("pending")), 60, "two runs put back")
    assert all(restarts(numbers[run]) == 1 for run in two)
    scene("an urgent job preempts both: Slurm puts them back into its queue")

    stalled, requeued = two
    cancelled = next(run for run in jobs("pending", "running") if run not in two)
    ended = {}

    def step() -> bool:
        """Do to each run what is due; true when all of it has happened."""
        running = jobs("running")
        if (
            "stalled" not in ended
            and stalled in running
            and stalled in trainings(repository)
        ):
            os.kill(trainings(repository)[stalled][0], signal.SIGSTOP)
            ended["stalled"] = running[stalled]
            slurm("scontrol", "update", f"jobid={running[stalled]}", "timelimit=1")
            scene("a run stalls after its checkpoint, with a time limit of a minute")
        for attempt in ("cancelled", "cancelled again"):
            job = running.get(cancelled)
            if attempt not in ended and job and job not in ended.values():
                ended[attempt] = job
                slurm("scancel", job)
                scene(f"a run is {attempt}")
        return len(ended) == 3

    wait_for(step, 300, "all runs stopped")
    references = {
        run: start_unstopped(
            repository / "config" / "config.yaml",
            run,
            repository / "results" / "data",
            tmp_path / run,
        )
        for run in (stalled, requeued)
    }
    slurm("scontrol", "update", f"nodename={HOST}", "state=drain", "reason=test")
    wait_for(lambda: "drained" in states(), 300, "a drained node")
    waiting = wait_for(lambda: jobs("pending"), 120, "runs that wait")
    scene(f"the node drains: its runs end, {len(waiting)} wait")
    slurm("scontrol", "update", f"nodename={HOST}", "state=resume")
    wait_for(lambda: jobs("running"), 60, "runs on the node again")
    scene("the node comes back: they start")

    output = end_of(process)
    assert process.returncode != 0
    assert "the job ran into its time limit" in output
    assert "the job was cancelled; call again" in output
    assert not (folder / cancelled / "run.json").exists()
    for run, reference in references.items():
        assert reference.wait(timeout=300) == 0
        assert record(folder / run)["resumed"] >= 1, run
        metrics = [path / run / "metrics.csv" for path in (folder, tmp_path)]
        assert metrics[0].read_bytes() == metrics[1].read_bytes(), run
    scene("all others went on from their checkpoints, to the bytes of runs never stopped")

    dates = {path: path.stat().st_mtime for path in folder.glob("*/run.json")}
    assert len(dates) == 3
    process = snakemake(ALL)
    output = end_of(process)
    assert process.returncode == 0, output
    assert (folder / cancelled / "run.json").exists()
    assert dates == {path: path.stat().st_mtime for path in dates}
    assert len(PdfReader(results / "report.pdf").pages) > 1
    scene("the next call trained the cancelled run and no other, and made the PDF")
    again = succeed("snakemake", "all", "-n", "--cores", "1", cwd=repository)
    assert "nothing to be done" in again


def restarts(job: str) -> int:
    """How often Slurm has put a job back into its queue."""
    return int(re.search(r"Restarts=(\d+)", slurm("scontrol", "show", "job", job))[1])


def test_runs_as_one_job_array(repository, snakemake, scene):
    output = end_of(snakemake(ARRAY, "--configfile", "config/short.yaml"))
    folders = (repository / "results" / "short" / "runs" / "degradation").iterdir()
    seeds = sorted(record(folder)["settings"]["seed"] for folder in folders)
    assert seeds == [0, 1], output
    listed = slurm("squeue", "-h", "-t", "all", "-o", "%F %K %P").splitlines()
    tasks = sorted(line for line in listed if line.split()[1].isdigit())
    array = tasks[0].split()[0]
    assert tasks == [f"{array} {number} gpu" for number in (1, 2)]
    scene("two runs as the tasks of one job array, in the partition of the site's profile")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--default-resources", "slurm_partition=nosuch"], "no partition of that name"),
        (["--set-resources", "train:mem_mb=100*attempt"], "was killed for memory"),
    ],
)
def test_a_failure_is_one_sentence_an_attempt(
    repository, snakemake, scene, words, sentence
):
    process = snakemake(RUNS, "--configfile", "config/fails.yaml", *words)
    output = end_of(process)
    assert process.returncode != 0
    failures = [line for line in output.splitlines() if " failed: " in line]
    assert len(failures) == 2, output
    assert all(sentence in line for line in failures)
    scene(failures[-1])


def test_without_slurm_that_is_said(repository, tmp_path):
    for program in ("bash", "sh", "env", "which", "git", "uname", "rm", "mkdir", "cat"):
        (tmp_path / program).symlink_to(shutil.which(program))
    done = subprocess.run(
        [BIN / "snakemake", *RUNS.split()[1:], "--configfile", "config/fails.yaml"],
        cwd=repository,
        env=environment(repository) | {"PATH": os.pathsep.join([str(BIN), str(tmp_path)])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0
    assert "there is no Slurm on this machine" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_page_tells_to_type_what_is_not_run_here():
    """`gradscape plan` is run with the README's other commands, in test_pipeline.py."""
    (section,) = [block for block in PAGES["README.md"] if ALL in block]
    blocks = [section, *PAGES["docs/cluster.md"]]
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    commands = {line for line in lines if line.startswith(("snakemake", "gradscape"))}
    assert commands == {PLAN, ALL, ARRAY, GENERIC}
