"""Break things at random, and count what becomes of it.

    python tests/faults.py [--seed 0] [--seconds 300] [--kinds configurations files …]

- configurations: demo's and a tiny one, with values, keys and bytes changed at random
- files: those of finished runs, of a dataset and of weights, flipped, cut or replaced
- folders: results from somebody who wants to run a program here, or to write elsewhere
- strangers: records and tables with wild values under right seals
- weights: the same with a run's `model.pt`, and with weights to start from
- downloads: from servers that stall, cut short, never end or lie
- kills: every step, killed at random moments or called twice at once, and called again
- retrain: a finished run of one's own network trained again after something has changed,
  which fails, is killed, finds no room or too little memory, or succeeds; some of them
  through Snakemake
- power: finished files cut or emptied with their dates kept, as a power cut leaves them
- links: links, pipes and folders in place of results
- pictures: one's own images in any format, mutated, or programs called pictures
- locale: commands where letters are not UTF-8
- stdout: commands whose output nobody reads, or that has no room
- disks: every step on a full or a read-only disk (as root)
- workflows: all steps through Snakemake, killed, called twice at once, on a full disk, with
  files of odd dates, from a read-only repository (as root)

A trial survives if it ends in the wanted result or in one sentence. It is lost if a sound
run is no longer reported, or a file is changed that should not be, or left behind. It is
executed if a stranger's program ran. Whatever else is raised is a traceback, and what
takes too long hangs. `tests/check_results.py`, a process that shares no code with
gradscape, tells whether finished runs stand.
"""

import argparse
import atexit
import copy
import csv
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
import zipfile
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import yaml

from chains import can_mount, disks, kills, workflows
from conftest import ROOT, TINY
from gradscape.base.files import seal
from gradscape.claims.files import decide_studies
from gradscape.claims.tables import write_table
from gradscape.config.experiment import Experiment
from gradscape.figures.drawing import draw, probed
from gradscape.report.build import build
from gradscape.report.latex import compile_pdf
from gradscape.report.page import write_page
from gradscape.report.template import write_tex
from gradscape.runs.run import finished_runs
from hostile import Executed, Hang, Lost, stand_in, write_broken
from outside import links, pictures
from retrainings import power, retrain
from spoil import digests, mutate, sentences, spoil, spoil_record, standing
from strangers import Touch, downloads, weights
from terminals import locale, stdout

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


@dataclass
class Tally:
    tried: int = 0
    survived: int = 0
    lost: int = 0
    executed: int = 0
    tracebacks: int = 0
    hangs: int = 0

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


# Files


def files(chance: random.Random, folder: Path) -> None:
    if chance.random() < 0.15:
        return stored_tensors(chance, folder)
    experiment = finished(folder)
    study, results = experiment.studies["s"], experiment.results
    paths = sorted(p for p in (results.root / "runs").rglob("*") if p.is_file())
    path = chance.choice(paths)
    path.write_bytes(spoil_record(chance, path))
    before, check_runs = digests(paths), standing(results.root)
    sound = finished_runs(study, results)
    if len(sound) < len(study.runs) - 1:
        raise Lost(f"{path}: {len(sound)} of {len(study.runs)} runs are left")
    for table in study.tables:
        with sentences():
            write_table(table, sound, results.table("s", table))
    figure = chance.choice(study.figures)
    with sentences():
        if chance.random() < 0.3 and probed(figure, sound):
            outputs = [results.figure("s", figure.name, kind) for kind in ("pdf", "txt")]
            draw(figure, sound, outputs)
    with sentences():
        decide_studies(experiment)
        write_tex(experiment)
    check_runs()
    if digests(paths) != before:
        raise Lost(f"{path}: a run's files were changed")


def stored_tensors(chance: random.Random, folder: Path) -> None:
    """A small dataset, or weights, with a byte changed: never taken for what they are."""
    import torch

    from gradscape.data.datasets import acquire
    from gradscape.data.store import load, save
    from gradscape.models import sealed
    from gradscape.models.sealed import read_weights

    images = np.random.RandomState(0).randint(0, 256, (40, 32, 32, 3), np.uint8)
    np.savez(folder / "shapes.npz", images=images, labels=np.arange(40) % 2)
    save(acquire(str(folder / "shapes.npz")), folder / "data")
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
    check_runs = standing(results.root)
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
    check_runs()
    others = [p for p in victim.parent.rglob("*") if p != victim]
    if victim.read_text() != "mine" or others:
        raise Lost(f"written outside: {others}")


# Runs from somebody else, whose seals are right

MARK = "<img src=x onerror=alert(1)>"
WILD = [1e308, -1e308, 1e19, 2**63, 2**70, 10**400, 5e-324, -1, 0, True, None, [], {}]
WILD += ["\ud800", "v" * 10_000, '=HYPERLINK("http://x")', "@x", "-1+2", MARK, "\u202e"]
WILD += ["\\input{/etc/passwd}", "$(touch canary)", "../../x", "nan", "1e999", "a\nb", "\0"]


def strangers(chance: random.Random, folder: Path) -> None:
    """Records and tables of a run with wild values and right seals: the run is reported or
    named, the others are reported, and its texts are no markup, formula or LaTeX."""
    experiment = finished(folder)
    study, results = experiment.studies["s"], experiment.results
    run = experiment.directory(chance.choice(experiment.runs))
    record = json.loads((run / "run.json").read_text())
    if chance.random() < 0.5:
        for _ in range(chance.randint(1, 3)):
            make_wild(chance, record)
    else:
        tables = [*run.rglob("*.csv"), *run.rglob("*.npz")]
        table = chance.choice(sorted(tables))
        table.write_bytes(wild_table(chance, table))
        if table.name in record["sha256"]:
            record["sha256"][table.name] = digests([table])[0]
    record["record_sha256"] = seal(record)
    (run / "run.json").write_text(json.dumps(record))
    check_runs = standing(results.root)
    sound = finished_runs(study, results)
    if len(sound) < len(study.runs) - 1:
        raise Lost(f"{len(sound)} of {len(study.runs)} runs are left")
    with sentences():
        decide_studies(experiment)
    with sentences():
        for table in study.tables:
            write_table(table, sound, results.table("s", table))
    for write in (write_tex, write_page):
        with sentences():
            write(experiment)
    figure = chance.choice(study.figures)
    with sentences():
        if chance.random() < 0.2 and probed(figure, sound):
            draw(figure, sound, [results.figure("s", figure.name, "pdf")])
    check_runs()
    if (folder / "canary").exists():
        raise Executed("a text in a record")
    for path in results.root.rglob("*"):
        if path.suffix in (".html", ".tex", ".csv") and "runs" not in path.parts:
            check_harmless(path)


def make_wild(chance: random.Random, record: dict) -> None:
    """Put a wild value in place of any of a record's."""
    holder = record
    while True:
        key = chance.choice([*holder])
        if not isinstance(holder[key], dict) or not holder[key] or chance.random() < 0.1:
            break
        holder = holder[key]
    if chance.random() < 0.2:
        holder[str(chance.choice(WILD))] = holder.pop(key)
    else:
        holder[key] = copy.deepcopy(chance.choice(WILD))


def wild_table(chance: random.Random, path: Path) -> bytes:
    """A table with wild cells; or an array of another kind, or that declares terabytes."""
    if path.suffix != ".npz":
        lines = [line.split(",") for line in path.read_text().splitlines()]
        cells = chance.choice(lines)
        cells[chance.randrange(len(cells))] = str(chance.choice(WILD))
        text = "\n".join(map(",".join, lines))
        return text.encode("utf-8", "surrogatepass")
    file, shape = io.BytesIO(), chance.choice([(10**12,), (2**40, 3), (0,), (), (2, 2, 2)])
    header = {"descr": chance.choice(["<f8", "<i8", "|S9", "<U99", "|b1", "<c16"])}
    header |= {"fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    packed = io.BytesIO()
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(packed, "w") as after:
        torn = chance.choice(before.namelist())
        for name in before.namelist():
            after.writestr(name, file.getvalue() if name == torn else before.read(name))
    return packed.getvalue()


def check_harmless(path: Path) -> None:
    text = path.read_text("utf-8")
    cells = (
        []
        if path.suffix != ".csv"
        else [c for row in csv.reader(io.StringIO(text)) for c in row]
    )
    if MARK in text and path.suffix == ".html":
        raise Executed(f"{path.name}: markup of a stranger's")
    if r"\input{/etc/passwd}" in text and path.suffix == ".tex":
        raise Executed(f"{path.name}: LaTeX of a stranger's")
    if formulas := [cell for cell in cells if cell[:1] in ("=", "@")]:
        raise Executed(f"{path.name}: {formulas}")


KINDS = [configurations, files, folders, strangers, weights, downloads, kills, retrain]
KINDS += [power, links, pictures, locale, stdout]
KINDS += [disks, workflows] * can_mount()
KINDS = {kind.__name__: kind for kind in KINDS}


# The campaign

AGAIN = "python tests/faults.py --again"


def hang(number: int, frame: object) -> None:
    raise Hang("took too long")


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
        print(f"{AGAIN} {seed}: lost: {lost}", file=sys.stderr)
    except Executed as executed:
        tally.executed += 1
        print(f"{AGAIN} {seed}: executed: {executed}", file=sys.stderr)
    except Hang as hung:
        tally.hangs += 1
        print(f"{AGAIN} {seed}: hangs: {hung}", file=sys.stderr)
    except Exception:
        tally.tracebacks += 1
        print(f"{AGAIN} {seed}:\n{traceback.format_exc()}", file=sys.stderr)
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
    print(f"| kind | {' | '.join(vars(Tally()))} |")
    print("|---|" + "---:|" * len(vars(Tally())))
    for kind, tally in tallies.items():
        print(tally.row(kind))
    if any(tally.survived < tally.tried for tally in tallies.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
