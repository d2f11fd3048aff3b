"""The workflow's steps, one after the other and through Snakemake, broken while they run.

Killed, twice at once, on a full or a read-only disk, with files of another time: the same
command again must end in the bytes of a chain that nothing happened to.
"""

import atexit
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from conftest import BIN, ROOT
from gradscape.base.paths import FIGURE_KINDS, RUN_FILES
from gradscape.cli import parser as cli
from gradscape.config.experiment import Experiment
from gradscape.spec.settings import flags
from hostile import Hang, Lost
from spoil import standing

CONFIG = {
    "title": "Faults — µ, é",
    "results": "results/faults",
    "defaults": {"device": "cpu"},
    "studies": {
        "s": {
            **{"title": "Faults", "dataset": "shapes.npz", "model": "vgg08"},
            **{"epochs": 2, "batch_size": 10, "train_items": 20, "validation_items": 10},
            "grid": {"learning_rate": [1e-3, 1e-2]},
            "tables": ["results"],
            "probes": {"surface": {"images": 10, "points": 3}},
            "figures": {"curves": {"draw": "curves"}, "surface": {"draw": "loss_surface"}},
        }
    },
}


@dataclass
class Step:
    words: list[str]
    makes: list[Path]
    seconds: float = 0.0


def lasting() -> Path:
    """A folder until the campaign ends."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    return folder


@cache
def chain() -> tuple[Path, dict[str, Step]]:
    """A folder in which every step has run, and the steps."""
    folder = lasting() / "work"
    folder.mkdir()
    images = np.random.RandomState(0).randint(0, 256, (90, 32, 32, 3), np.uint8)
    np.savez(folder / "shapes.npz", images=images, labels=np.arange(90) % 3)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    with inside(folder), redirect_stdout(None):
        steps = steps_of(Experiment.from_file("config.json"))
        for step in steps.values():  # here, so that what they import is there to fork
            cli.main(step.words)
    for step in steps.values():
        begun = time.monotonic()
        succeed(folder, step.words)
        step.seconds = time.monotonic() - begun
    return folder, steps


def steps_of(experiment: Experiment) -> dict[str, Step]:
    results, study = experiment.results, experiment.studies["s"]
    data = Path("results/data/shapes")
    files = [data / name for name in ("images.npy", "labels.npy", "dataset.json")]
    steps = {"data": Step(["data", "shapes.npz"], files)}
    folders = [experiment.directory(run) for run in experiment.runs]
    for n, (run, out) in enumerate(zip(experiment.runs, folders, strict=True)):
        spec = {"study": "s", "name": run.name, "varied": run.varied}
        words = ["train", *flags(run.settings), "--spec", json.dumps(spec)]
        made = [out / name for name in RUN_FILES]
        steps[f"train {n}"] = Step([*words, "--out", str(out)], made)
        table = results.probe("s", run.name, "surface")
        words = ["probe", "surface", "--run", str(out), "--out", str(table), "--options"]
        words.append(json.dumps(study.probes["surface"].options))
        steps[f"probe {n}"] = Step(words, [table])
    runs = ["--runs", *map(str, folders)]
    for figure in study.figures:
        made = [results.figure("s", figure.name, kind) for kind in FIGURE_KINDS]
        words = ["figure", "--spec", json.dumps(vars(figure)), "--out", *map(str, made)]
        steps[f"figure {figure.name}"] = Step([*words, *runs], made)
    made = [results.claims("s"), results.claims_csv]
    made += [results.table("s", "results", kind) for kind in ("csv", "html")]
    steps["claims"] = Step(["claims", "--config", "config.json"], made)
    steps["tex"] = Step(["tex", "--config", "config.json"], [results.tex("report")])
    if shutil.which("latexmk"):
        made = [results.pdf("report"), results.archive("report")]
        steps["pdf"] = Step(["pdf", "--results", str(results.root)], made)
    return steps


@contextmanager
def inside(folder: Path):
    here = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)


def start(folder: Path, words: list[str], memory: int = resource.RLIM_INFINITY) -> int:
    """A process that runs one step in `folder`, in so many bytes of address space; forked,
    so that torch is imported once. What it says lies beside the folder, which may be full.
    """
    log = os.open(folder.parent / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    child = os.fork()
    if child:
        os.close(log)
        return child
    code = 1
    try:
        signal.alarm(0)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # as gradscape starts
        os.setsid()
        os.chdir(folder)
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        for stream in (1, 2):
            os.dup2(log, stream)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        # As from a command line: torch saves equal texts and one text twice differently.
        cli.main([word.encode().decode() for word in words])
        code = 0
    except SystemExit as stopped:
        code = stopped.code
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError):
            sys.stderr.flush()
        os._exit(code)


def end(child: int) -> int:
    """Wait for a process; one that outlasts this trial goes with its group."""
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except Hang:
        for kill in (os.killpg, os.kill):  # it may have no group of its own yet
            with suppress(ProcessLookupError):
                kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise


def succeed(folder: Path, words: list[str]) -> None:
    if end(start(folder, words)):
        raise Lost(f"{words[0]} does not succeed: {said(folder)}")


def log_of(folder: Path) -> str:
    log = folder.parent / "said"
    return log.read_text("utf-8", errors="replace") if log.exists() else ""


def said(folder: Path) -> str:
    text = log_of(folder)
    if "Traceback" in text:
        raise RuntimeError(text)
    return text[-500:]


def check_end(what: str, code: int, text: str) -> None:
    """Has a command ended well, or in one sentence?"""
    last = text.strip().rpartition("\n")[2]
    if code not in (0, 2) or (code and not last.startswith("gradscape: ")):
        raise RuntimeError(f"{what}: exit code {code}: {text[-2000:]}")


def contents(folder: Path) -> dict[Path, bytes]:
    """All files but those that hold seconds and Snakemake's own."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    passing = {"timing.csv", "run.json", ".snakemake", "logs"}
    return {
        path: (folder / path).read_bytes() for path in files if not passing & {*path.parts}
    }


def compare(folder: Path, whole: Path) -> None:
    """Is everything as in a chain that nothing happened to, and nothing else there?"""
    wanted, found = contents(whole), contents(folder)
    for path in wanted.keys() | found.keys():
        if wanted.get(path) != found.get(path):
            state = "is missing" if path not in found else "has other bytes"
            raise Lost(f"{path}: {state if path in wanted else 'should not be there'}")


def kills(chance: random.Random, folder: Path) -> None:
    """A step killed at random moments, perhaps beside another of the same."""
    whole, steps = chain()
    place = shutil.copytree(whole, folder / "work")
    step = steps[chance.choice(list(steps))]
    if chance.random() < 0.7:
        remove(place, step.makes)
    if chance.random() < 0.3:
        skew(chance, place)
    check_runs = standing(place / CONFIG["results"])
    for _ in range(chance.randint(1, 2)):
        often = ["--checkpoint-seconds", "0"] if step.words[0] == "train" else []
        count = chance.choice([1, 1, 2])
        children = [start(place, [*step.words, *often]) for _ in range(count)]
        time.sleep(chance.uniform(0, 1.2 * step.seconds))
        victim = chance.choice(children)
        hit(chance, victim)
        codes = {child: end(child) for child in children}
        text = said(place)
        if any(code and child != victim for child, code in codes.items()):
            raise Lost(f"{step.words[0]} failed beside a killed one: {text}")
    check_runs()
    succeed(place, step.words)
    compare(place, whole)


def hit(chance: random.Random, process: int, group: float = 0.5) -> int:
    """A signal, to one process or, with this probability, to all of its group."""
    number = chance.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    with suppress(ProcessLookupError):  # it may have no group of its own yet
        (os.killpg if chance.random() < group else os.kill)(process, number)
    return number


def remove(folder: Path, paths: list[Path]) -> None:
    for path in paths:
        (folder / path).unlink(missing_ok=True)


def skew(chance: random.Random, folder: Path) -> None:
    """Files dated in the past and in the future, as by another machine's clock."""
    for path in sorted(folder.rglob("*")):
        if chance.random() < 0.3 and path.is_file():
            moment = time.time() + chance.uniform(-3e8, 3e8)
            os.utime(path, (moment, moment))


# Disks


@contextmanager
def mounted(folder: Path, *words: str):
    """Something mounted at `folder`, which needs root."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", *words, str(folder)], check=True, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def disk(folder: Path):
    return mounted(folder, "-t", "tmpfs", "-o", "size=64m", "none")


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def can_mount() -> bool:
    with tempfile.TemporaryDirectory() as folder, suppress(Exception), disk(Path(folder)):
        return True
    return False


def fill(folder: Path, room: float) -> None:
    """Leave so many bytes."""
    free = shutil.disk_usage(folder).free
    (folder / "ballast").write_bytes(bytes(max(0, free - int(room))))


def size(folder: Path, step: Step) -> int:
    return sum((folder / path).stat().st_size for path in step.makes)


def disks(chance: random.Random, folder: Path) -> None:
    """A step on a disk that is full, or cannot be written."""
    whole, steps = chain()
    step, place = steps[chance.choice(list(steps))], folder / "work"
    with disk(place):
        shutil.copytree(whole, place, dirs_exist_ok=True)
        remove(place, step.makes)
        before, check_runs = contents(place), standing(place / CONFIG["results"])
        if chance.random() < 0.3:
            remount(place, "ro")
        else:
            fill(place, chance.uniform(0, 1.2) * size(whole, step))
        code = end(start(place, step.words))
        check_end(step.words[0], code, said(place))
        remount(place, "rw")
        remove(place, [Path("ballast")])
        if before.items() - contents(place).items():
            raise Lost(f"{step.words[0]} changed what was finished")
        check_runs()
        succeed(place, step.words)
        compare(place, whole)


# Through Snakemake


@cache
def repository() -> Path:
    """gradscape's files, which nothing writes to."""
    folder = lasting()
    for name in ("Snakefile", "config", "envs", "profiles", "report", "workflow"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, folder / name)
    return folder


def snakemake(folder: Path, *words: str, target: str = "all") -> subprocess.Popen:
    """The workflow in `folder`, from a repository that cannot be written to."""
    home = repository()
    command = ["snakemake", target, "-s", f"{home}/Snakefile", "--cores", "2"]
    command += ["--configfile", "config.json", "--logger", "gradscape", *words]
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    paths = {"PATH": path, "PYTHONPATH": str(home / "workflow")}
    with (folder.parent / "said").open("a") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | paths,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


@cache
def made() -> Path:
    """A folder in which Snakemake has made everything."""
    folder = lasting() / "work"
    folder.mkdir()
    for name in ("shapes.npz", "config.json"):
        shutil.copy(chain()[0] / name, folder)
    finish(folder)
    return folder


def finish(folder: Path, *words: str) -> None:
    if snakemake(folder, *words).wait():
        raise Lost(f"the same command does not end well: {said(folder)}")


def workflows(chance: random.Random, folder: Path) -> None:
    """The workflow, out of a read-only repository, killed, called twice at once, on a full
    disk, with files of odd dates."""
    whole, steps = made(), chain()[1]
    place = folder / "work"
    home = repository()
    with disk(place), mounted(home, "--bind", str(home)):
        remount(home, "bind,ro")
        shutil.copytree(whole, place, dirs_exist_ok=True)
        chosen = list(steps.values())[chance.randrange(len(steps)) :]
        for step in chosen:
            remove(place, step.makes)
        check_runs = standing(place / CONFIG["results"])
        break_in = chance.choice([killed_workflow, full_workflow, twice, at_odd_times])
        break_in(chance, place, sum(size(whole, step) for step in chosen))
        said(place)
        check_runs()
        finish(place)
        page = Path(CONFIG["results"]) / "report.html"
        for path in [*steps["claims"].makes, page]:  # hold seconds, or hashes of such
            shutil.copy(whole / path, place / path)
        compare(place, whole)


def killed_workflow(chance: random.Random, place: Path, needed: int) -> None:
    process = snakemake(place)
    time.sleep(chance.uniform(0.5, 20))
    number = hit(chance, process.pid)
    process.wait()
    if number == signal.SIGKILL:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its jobs
        finish(place, "--unlock")


def full_workflow(chance: random.Random, place: Path, needed: int) -> None:
    fill(place, chance.uniform(0, 1.5) * needed)
    if snakemake(place).wait() and "make room and call again" not in said(place):
        raise RuntimeError(f"a full disk is not said: {said(place)}")
    remove(place, [Path("ballast")])


def twice(chance: random.Random, place: Path, needed: int) -> None:
    processes = [snakemake(place), snakemake(place)]
    if all(process.wait() for process in processes):
        raise Lost(f"neither of two calls at once ends well: {said(place)}")


def at_odd_times(chance: random.Random, place: Path, needed: int) -> None:
    skew(chance, place)
