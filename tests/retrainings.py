"""A finished run of somebody's own network, and what goes wrong when it is trained again or
the power is cut."""

import io
import json
import os
import random
import resource
import shlex
import shutil
import signal
import time
from contextlib import nullcontext, redirect_stderr, suppress
from functools import cache
from pathlib import Path

from chains import (
    CONFIG,
    can_mount,
    chain,
    check_end,
    disk,
    end,
    fill,
    hit,
    inside,
    lasting,
    log_of,
    said,
    snakemake,
    start,
    succeed,
)
from gradscape.base.paths import RECORD, RUN_FILES
from gradscape.config.experiment import Experiment
from gradscape.pipeline.upkeep import REPORTED, bring_in_line
from hostile import Lost
from spoil import spoil, standing

NETWORK = """from torch import nn


def mine(classes, channels=3, size=32):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size * size, classes))
"""
LOSSES = """from torch.nn.functional import cross_entropy

CALLS = []


def early(logits, labels, settings):
    raise ValueError("early")


def late(logits, labels, settings):
    CALLS.append(1)
    assert len(CALLS) < 4, "late"
    return cross_entropy(logits, labels)
"""
RESULTS = Path(CONFIG["results"])
DATA = Path("results/data/shapes")
RUN = RESULTS / "runs" / "s" / "mine_lr1e-3_seed0"
INPUTS = ["mine.py", "loss.py", "config.json"]
INPUTS += [DATA / name for name in ("images.npy", "labels.npy", "dataset.json")]
ENDLESS = 100_000  # epochs
OWN = CONFIG["studies"]["s"] | {
    "model": "mine.py:mine",
    "grid": {"seed": [0]},
    "probes": {"predictions": {}},
    "figures": {"curves": {"draw": "curves"}},
}


@cache
def project() -> tuple[Path, list[str], float]:
    """A folder with one finished, probed run, the words that train it, and how long."""
    folder = lasting() / "work"
    shutil.copytree(chain()[0] / "results" / "data", folder / "results" / "data")
    shutil.copy(chain()[0] / "shapes.npz", folder)
    (folder / "mine.py").write_text(NETWORK)
    (folder / "loss.py").write_text(LOSSES)
    configure(folder)
    succeed(folder, ["runs", "--config", "config.json", "--commands"])
    words = [*shlex.split(said(folder))[1:], "--update"]
    begun = time.monotonic()
    succeed(folder, words)
    seconds = time.monotonic() - begun
    out = words[words.index("--out") + 1]
    probe = ["probe", "predictions", "--run", out, "--own", OWN["model"]]
    table = f"{out}/probes/predictions.csv"
    succeed(folder, [*probe, "--out", table])
    for name in (".done", "probes/.predictions.done"):
        (folder / out / name).touch()
    return folder, words, seconds


def configure(folder: Path, **settings) -> None:
    config = CONFIG | {"studies": {"s": OWN | settings}}
    (folder / "config.json").write_text(json.dumps(config))


# What changes, and what then happens


def change_network(chance: random.Random, place: Path) -> list[str]:
    edits = [NETWORK + "# a comment\n", NETWORK.replace("channels * size", "7 * size")]
    edits += [NETWORK.replace("nn.Flatten()", "nn.Flatten(), nn.ReLU()")]
    edits += [NETWORK.replace("classes))", "classes)"), NETWORK.replace("nn.", "mm.")]
    edits += [NETWORK.replace("mine", "yours"), "import nothing_of_this_name\n" + NETWORK]
    edits += ["", NETWORK.replace("return ", ""), NETWORK + "raise SystemExit(0)\n"]
    contents = [edit.encode() for edit in edits] + [spoil(chance, NETWORK.encode())]
    (place / "mine.py").write_bytes(chance.choice(contents))
    return []


def change_settings(chance: random.Random, place: Path) -> list[str]:
    changes = [("epochs", 3), ("momentum", 0.5), ("batch_size", 5), ("epochs", ENDLESS)]
    changes += [("loss", f"loss.py:{name}") for name in ("early", "late", "missing")]
    name, value = chance.choice(changes)
    configure(place, **{name: value})
    return [f"--{name.replace('_', '-')}", str(value)]


def change_images(chance: random.Random, place: Path) -> list[str]:
    path = chance.choice(sorted((place / DATA).iterdir()))
    content = path.read_bytes()
    path.write_bytes(chance.choice([b"", content[:-100], spoil(chance, content)]))
    return change_settings(chance, place) if chance.random() < 0.5 else []


def change_nothing(chance: random.Random, place: Path) -> list[str]:
    return ["--overwrite"] if chance.random() < 0.5 else []


CHANGES = [change_network, change_network, change_settings, change_settings]
CHANGES += [change_images, change_nothing]
FATES = ["none", "kill", "kill", "memory"] + ["disk"] * can_mount()


def retrain(chance: random.Random, folder: Path) -> None:
    """A finished run trained again, which fails, is killed, finds no room or succeeds.

    Then what was changed is undone, and the same call ends in the run of before. An error
    in one's own network or loss may end in its traceback.
    """
    whole, words, seconds = project()
    place, fate = folder / "work", chance.choice(FATES)
    with disk(place) if fate == "disk" else nullcontext():
        shutil.copytree(whole, place, dirs_exist_ok=True)
        check_runs = standing(place / RESULTS, runs=1)
        change = chance.choice(CHANGES)
        changed = change(chance, place)
        if fate == "disk":
            fill(place, chance.uniform(0, 1.2) * bytes_of(whole / RUN))
        if through_snakemake := chance.random() < 0.1:
            process, seconds = snakemake(place, target="runs").pid, 15
        else:
            most = memory(chance) if fate == "memory" else resource.RLIM_INFINITY
            process = start(place, [*words, *changed], most)
        if stopped := fate == "kill" or str(ENDLESS) in changed:
            time.sleep(chance.uniform(0, 1.2) * seconds)
            hit(chance, process, group=1 if through_snakemake else 0.5)  # as Ctrl-C does
        code = end(process)
        kill_group(process)
        check_runs()
        own = change is change_network or "loss.py" in "".join(changed)
        text = log_of(place) if own else said(place)
        if not (own or stopped or through_snakemake):
            check_end("train", code, text)
        undo(place, whole)
        succeed(place, words)
        check_runs()
        if not is_whole(place / RUN, whole / RUN):
            raise Lost(f"{RUN}: other bytes, after {text[-500:]}")


def undo(place: Path, whole: Path) -> None:
    """Make the inputs those of before, with room on the disk and nothing said."""
    for path in (place / "ballast", place.parent / "said"):
        path.unlink(missing_ok=True)
    (place / DATA).mkdir(parents=True, exist_ok=True)  # Snakemake may have made it anew
    for name in INPUTS:
        shutil.copy(whole / name, place / name)


def bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def is_whole(run: Path, before: Path) -> bool:
    """Has a run the bytes of before, but for its clock?"""
    names = set(RUN_FILES) - {"timing.csv", RECORD}
    return all((run / n).read_bytes() == (before / n).read_bytes() for n in names)


def kill_group(process: int) -> None:
    """What a killed process has started ends too."""
    with suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)


def memory(chance: random.Random) -> int:
    """Bytes of address space: what this process has, and hardly more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize() + chance.randrange(2**29)


def power(chance: random.Random, folder: Path) -> None:
    """Files of a finished project, cut or emptied with their dates kept: what Snakemake
    takes for made though it is empty is named before its first job; a run of which a file
    is cut, by the report at the latest."""
    whole, steps = chain()
    place = shutil.copytree(whole, folder / "work")
    results = place / RESULTS
    for done in sorted(results.glob("runs/*/*")):
        (done / ".done").touch()
        (done / "probes" / ".surface.done").touch()
    paths = sorted(path for path in results.rglob("[!.]*") if path.is_file())
    torn = chance.sample(paths, chance.choice([1, 1, 1, 2, 5]))
    for path in torn:
        status, content = path.stat(), path.read_bytes()
        path.write_bytes(content[: chance.choice([0, 0, chance.randrange(len(content))])])
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    check_runs = standing(results)
    runs = {path.parent for path in torn if path.parent.parent == results / "runs" / "s"}
    empty = {path for path in torn if not path.stat().st_size}
    made = {run for run in runs if any(run / name in empty for name in RUN_FILES)}
    made |= {path for path in empty if path.parent.name == "probes"}
    made |= {path for kind in REPORTED for path in results.glob(kind)} & empty
    with inside(place), redirect_stderr(io.StringIO()) as told:
        if chance.random() >= 0.1:
            bring_in_line(Experiment.from_file("config.json"))
        elif snakemake(place, target="runs").wait():
            raise Lost(f"{torn}: {said(place)}")
    words = told.getvalue() + log_of(place)
    for path in map(str, sorted(made)):
        if path.removeprefix(f"{place}/") not in words:
            raise Lost(f"{path}: empty, and not named: {words}")
    commands = [[name, "--config", "config.json"] for name in ("claims", "tex", "page")]
    commands += [steps[name].words for name in ("probe 0", "probe 1")]  # read weights
    for command in commands:
        check_end(command[0], end(start(place, command)), said(place))
    check_runs()
    words += log_of(place)
    for run in runs:
        named = str(run.relative_to(place)) in words
        if not named and not is_whole(run, whole / run.relative_to(place)):
            raise Lost(f"{run}: torn, and neither named nor made again: {torn}")
