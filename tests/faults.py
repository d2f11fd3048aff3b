"""Break things at random, and count what becomes of it.

    python tests/faults.py [--seed 0] [--seconds 300] [--kinds configurations files …]

- configurations: demo's and a tiny one, with values, keys and bytes changed at random
- files: those of finished runs, of a dataset and of weights, flipped, cut or replaced
- folders: results from somebody who wants to run a program here, or to write elsewhere
- weights: the same with a run's `model.pt`, and with weights to start from
- downloads: from servers that stall, cut short, never end or lie
- kills: every step, killed at random moments or called twice at once, and called again
- disks: every step on a full or a read-only disk (as root)
- workflows: all steps through Snakemake, killed, called twice at once, on a full disk, with
  files of odd dates, from a read-only repository (as root)

A trial survives if it ends in the wanted result or in one sentence. It is lost if a sound
run is no longer reported, or a file is changed that should not be, or left behind. It is
executed if a stranger's program ran. Whatever else is raised, or takes too long, is a
traceback.
"""

import argparse
import atexit
import copy
import hashlib
import io
import json
import math
import os
import pickle
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import yaml

from chains import can_mount, disks, kills, workflows
from conftest import ROOT, TINY
from gradscape.base.errors import GradscapeError
from gradscape.claims.files import decide_studies
from gradscape.claims.tables import write_table
from gradscape.config.experiment import Experiment
from gradscape.figures.drawing import draw, drawable
from gradscape.report.build import build
from gradscape.report.latex import compile_pdf
from gradscape.report.template import write_tex
from gradscape.runs.run import finished_runs
from hostile import Executed, Lost, check_sentence, stand_in, write_broken
from strangers import Touch, downloads, weights

HANGS = {"configurations": 10, "workflows": 600}  # seconds; others 60
SMALL = {
    "title": "Faults",
    "results": "results/faults",
    "studies": {
        "s": {
            "title": "Faults",
            **{"dataset": "cifar100", "model": "vgg08", "gradient_lag": 1},
            "grid": {"learning_rate": [1e-3, 1e-2], "seed": [0, 1]},
            "tables": ["results", "smoothness"],
            "probes": {name: {} for name in ("filters", "predictions", "signal", "surface")}
            | {name: {} for name in ("explanations", "feature_maps", "hessian")},
            "figures": {
                name.replace("_", "-"): {"draw": name}
                for name in (
                    *("calibration", "comparison", "confusion", "curves", "explanations"),
                    *("feature_maps", "filters", "gradient_flow", "loss_band"),
                    *("loss_surface", "signal_propagation", "smoothness"),
                )
            },
        }
    },
}
EVIL = [
    *(None, True, 0, -1, 1.0, 2.5, 10**9, 10**30, float("nan"), float("inf"), -0.0),
    *("", "x", "1e-3", "../..", "$(touch CANARY)", "; touch CANARY", "a'b", "a{b}", "a\nb"),
    *("\0", "\u202e", "🔥", "漢字", "é", "\udc80", "a" * 20_000, "/dev/zero", "~", "-x"),
    *([], [[]], {}, {"x": 1}, {1: 2}, b"x", {"a"}, [float("nan")], list(range(1000))),
]


@dataclass
class Tally:
    tried: int = 0
    survived: int = 0
    lost: int = 0
    executed: int = 0
    tracebacks: int = 0

    def row(self, kind: str) -> str:
        return f"| {kind} | " + " | ".join(f"{n:,}" for n in vars(self).values()) + " |"


@cache
def template() -> Path:
    """The results of four finished, probed runs, with nothing drawn."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    experiment = Experiment(copy.deepcopy(SMALL), folder / "results")
    model = write_broken(folder / "made", 1.0, epochs=2)[0].path
    stand_in(experiment.studies["s"].runs, model, experiment.results)
    return folder / "results"


def finished(folder: Path) -> Experiment:
    shutil.copytree(template(), folder / "results")  # links become files
    return Experiment(copy.deepcopy(SMALL), folder / "results")


# Configurations


def configurations(chance: random.Random, folder: Path) -> None:
    text = chance.choice([TINY, (ROOT / "config" / "demo.yaml").read_text()])
    if chance.random() < 0.3:
        content = spoil(chance, text.encode())
    else:
        wanted = copy.deepcopy(parsed(text))
        for _ in range(chance.randint(1, 3)):
            mutate(chance, wanted)
        dumper = yaml.Dumper if r"\udc80" in repr(wanted) else yaml.CDumper
        content = yaml.dump(wanted, Dumper=dumper, allow_unicode=True)
        content = content.encode("utf-8", "surrogatepass")
    path = folder / "config.yaml"
    path.write_bytes(content)
    with sentences():
        check_unfolded(Experiment.from_file(path), folder)


def check_unfolded(experiment: Experiment, folder: Path) -> None:
    json.dumps(experiment.config, allow_nan=False)
    root = Path(os.path.abspath(folder / "root"))  # noqa: PTH100  resolves no links
    for run in experiment.runs:
        place = Path(os.path.abspath(root / run.study / run.name))  # noqa: PTH100
        if not place.is_relative_to(root):
            raise Lost(f"{run.id} would lie outside the results")


@cache
def parsed(text: str) -> dict:
    return yaml.safe_load(text)


def mutate(chance: random.Random, value) -> None:
    """Change one value, one key or one item, anywhere."""
    holder = value
    while isinstance(holder, dict | list) and holder:
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        key = chance.choice(keys)
        inner = holder[key]
        if not isinstance(inner, dict | list) or not inner or chance.random() < 0.25:
            break
        holder = inner
    if not isinstance(holder, dict | list) or not holder:
        return
    action = chance.random()
    if action < 0.6:
        holder[key] = copy.deepcopy(chance.choice(EVIL))
    elif action < 0.75 or isinstance(holder, list):
        del holder[key]
    else:
        new = chance.choice([1, None, "x\n", "a" * 300, "../x", "report", "Ä", True])
        holder[new] = holder.pop(key)


def spoil(chance: random.Random, content: bytes) -> bytes:
    """Bytes as a disk, a cable or somebody may leave them."""
    data = bytearray(content)
    match chance.randrange(6):
        case 0:
            for _ in range(chance.randint(1, 8)):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        case 1:
            del data[chance.randrange(len(data)) :]
        case 2:
            start = chance.randrange(len(data))
            data[start : start + 512] = bytes(min(512, len(data) - start))
        case 3:
            data = bytearray(chance.choice([b"", b"\n", b"{}", b"[]", b"null", b"\xff"]))
        case 4:
            data[:0] = chance.randbytes(chance.randint(1, 99))
        case 5:
            lines = content.splitlines(keepends=True)
            lines.insert(chance.randrange(len(lines)), chance.choice(lines))
            data = bytearray(b"".join(lines))
    return bytes(data)


# Files


def files(chance: random.Random, folder: Path) -> None:
    if chance.random() < 0.15:
        return stored_tensors(chance, folder)
    experiment = finished(folder)
    study, results = experiment.studies["s"], experiment.results
    paths = sorted(p for p in (results.root / "runs").rglob("*") if p.is_file())
    path = chance.choice(paths)
    path.write_bytes(spoil_record(chance, path))
    before = digests(paths)
    sound = finished_runs(study, results)
    if len(sound) < len(study.runs) - 1:
        raise Lost(f"{path}: {len(sound)} of {len(study.runs)} runs are left")
    for table in study.tables:
        with sentences():
            write_table(table, sound, results.table("s", table))
    figure = chance.choice(study.figures)
    with sentences():
        if chance.random() < 0.3 and drawable(figure, sound):
            outputs = [results.figure("s", figure.name, kind) for kind in ("pdf", "txt")]
            draw(figure, sound, outputs)
    with sentences():
        decide_studies(experiment)
        write_tex(experiment)
    if digests(paths) != before:
        raise Lost(f"{path}: a run's files were changed")


@contextmanager
def sentences():
    """One sentence is what may become of something broken."""
    try:
        yield
    except GradscapeError as error:
        check_sentence(error)


def spoil_record(chance: random.Random, path: Path) -> bytes:
    if path.suffix == ".json" and chance.random() < 0.6:
        record = json.loads(path.read_text())
        mutate(chance, record)
        return json.dumps(record, default=str, skipkeys=True).encode()
    return spoil(chance, path.read_bytes())


def stored_tensors(chance: random.Random, folder: Path) -> None:
    """A small dataset, or weights, with a byte changed: never taken for what they are."""
    import torch

    from gradscape.data.own import read
    from gradscape.data.store import load, save
    from gradscape.models import sealed
    from gradscape.training.record import read_weights

    images = np.random.RandomState(0).randint(0, 256, (40, 32, 32, 3), np.uint8)
    np.savez(folder / "shapes.npz", images=images, labels=np.arange(40) % 2)
    save(read(str(folder / "shapes.npz")), folder / "data")
    sealed.save(folder / "model.pt", {"best": {"w": torch.arange(999.0)}})
    path = chance.choice([*(folder / "data").iterdir(), folder / "model.pt"])
    before = path.read_bytes()
    after = spoil(chance, before)
    path.write_bytes(after)
    right = True
    with sentences():
        if path.name == "model.pt":
            content = read_weights(path)
            right = torch.equal(content["best"]["w"], torch.arange(999.0))
        else:
            read_back = np.sort(load(folder / "data", str(folder / "shapes.npz")).images, 0)
            right = bool((read_back == np.sort(images, axis=0)).all())
    if not right:
        raise Lost(f"{path}: other bytes were taken for what was written")


def digests(paths: list[Path]) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


# Folders from somebody else


def folders(chance: random.Random, folder: Path) -> None:
    experiment, canary = finished(folder), folder / "canary"
    victim = folder / "outside" / "victim"
    victim.parent.mkdir()
    victim.write_text("mine")
    run = experiment.directory(experiment.runs[0])
    results = experiment.results
    results.sources.mkdir()
    perl = f"system(q(touch '{canary}'));"
    shadow = rf"\immediate\write18{{touch '{canary}'}}\input{{{victim}}}"
    pickled = io.BytesIO()
    np.savez(pickled, loss=np.array([0]), steps_per_epoch=1)
    texts = {
        results.sources / "latexmkrc": perl,
        results.sources / ".latexmkrc": perl,
        results.sources / "texmf.cnf": "shell_escape = t\nopenout_any = a\n",
        results.sources / "booktabs.sty": shadow,
        results.sources / "build" / "report.aux": shadow,
        results.sources / "sitecustomize.py": f"open({str(canary)!r}, 'w')",
        results.root / "sitecustomize.py": f"open({str(canary)!r}, 'w')",
    }
    for path, text in texts.items():
        if chance.random() < 0.6:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    links = [results.root / "figures", results.root / "tables", results.sources / "figures"]
    links += [results.root / ".report.pdf", results.sources / ".report.tex"]
    links += [results.sources / "report.tex", results.sources / "references.bib"]
    for link in links:
        if chance.random() < 0.15:
            is_folder = link.name in ("figures", "tables")
            link.symlink_to(victim.parent if is_folder else victim)
    if chance.random() < 0.5:
        packed = pickle.dumps(Touch(canary))
        (run / chance.choice(["steps.npz", "gradients.npz"])).write_bytes(packed)
    if chance.random() < 0.3:
        (run / "metrics.csv").unlink()
        os.mkfifo(run / "metrics.csv")
    with sentences():
        if shutil.which("latexmk") and chance.random() < 0.5:
            experiment.studies["s"].figures[:] = chance.sample(
                experiment.studies["s"].figures, 1
            )
            build(experiment)
        else:
            decide_studies(experiment)
            write_tex(experiment)
            results.tex("report").write_text(
                rf"\documentclass{{article}}\begin{{document}}{shadow}x\end{{document}}"
            )
            compile_pdf(results)
    if canary.exists():
        raise Executed(str(sorted(texts)))
    others = [p for p in victim.parent.rglob("*") if p != victim]
    if victim.read_text() != "mine" or others:
        raise Lost(f"written outside: {others}")


KINDS = [configurations, files, folders, weights, downloads, kills]
KINDS += [disks, workflows] * can_mount()
KINDS = {kind.__name__: kind for kind in KINDS}


# The campaign


def hang(number: int, frame: object) -> None:
    raise TimeoutError("took too long")


def attempt(kind: str, seed: str, tally: Tally) -> None:
    tally.tried += 1
    signal.signal(signal.SIGALRM, hang)
    signal.alarm(HANGS.get(kind, 60))
    here = Path.cwd()
    try:
        with tempfile.TemporaryDirectory() as temporary, redirect_stderr(io.StringIO()):
            os.chdir(temporary)
            try:
                KINDS[kind](random.Random(seed), Path(temporary))
            finally:
                os.chdir(here)
        tally.survived += 1
    except Lost as lost:
        tally.lost += 1
        print(f"{seed}: lost: {lost}", file=sys.stderr)
    except Executed as executed:
        tally.executed += 1
        print(f"{seed}: executed: {executed}", file=sys.stderr)
    except Exception:
        tally.tracebacks += 1
        print(f"{seed}:\n{traceback.format_exc()}", file=sys.stderr)
    finally:
        signal.alarm(0)


def campaign(
    seed: int, seconds: float, kinds: list[str], most: float = math.inf
) -> dict[str, Tally]:
    """Each kind for its share of the time, trial by trial, and for so many at most."""
    tallies = {kind: Tally() for kind in kinds}
    for kind, tally in tallies.items():
        end = time.monotonic() + seconds / len(kinds)
        while time.monotonic() < end and tally.tried < most:
            attempt(kind, f"{seed}-{kind}-{tally.tried}", tally)
    return tallies


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--seconds", type=float, default=300)
    options.add_argument("--most", type=int, default=math.inf, help="trials of each kind")
    options.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    options.add_argument("--again", metavar="SEED", help="one trial, as it was printed")
    given = options.parse_args()
    if given.again:
        tallies = {given.again.split("-")[1]: Tally()}
        for kind, tally in tallies.items():
            attempt(kind, given.again, tally)
    else:
        tallies = campaign(given.seed, given.seconds, given.kinds, given.most)
    print("| kind | tried | survived | lost | executed | tracebacks |")
    print("|---|---:|---:|---:|---:|---:|")
    for kind, tally in tallies.items():
        print(tally.row(kind))
    if any(tally.survived < tally.tried for tally in tallies.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
