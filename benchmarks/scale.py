"""Grids from 10 to 10,000 runs: time and memory of the workflow around the trainings.

    python benchmarks/scale.py --out docs/scale.csv --figure docs/scale.svg

Nothing is trained: every run gets the tables of a published one. Minutes on two cores.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import yaml

from gradscape.config import Experiment

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
SIZES = [10, 100, 1000, 10_000]
TRAINED = ROOT / "results/published/cpu/runs/degradation/vgg08_lr1e-3_seed0"
MODELS = ["vgg08", "vgg38", "vgg38-bn", "vgg38-rc", "vgg38-bn-rc"]
RATES = [1.0e-2, 1.0e-3]

# What is measured, in the order in which it is possible.
STEPS = {
    "dry run": "snakemake all -n --quiet --cores 1 --configfile {config}",
    "nothing to do": "snakemake runs --quiet --cores 1 --configfile {config}",
    "table, figures, PDF": "gradscape report --config {config}",
}


def configuration(count: int) -> dict:
    """One study of models × learning rates × seeds."""
    seeds = list(range(count // len(MODELS) // len(RATES)))
    study = {
        "title": "Many models, rates and seeds",
        "dataset": "generated10",
        "grid": {"model": MODELS, "learning_rate": RATES, "seed": seeds},
    }
    results = f"results/scale-{count}"
    return {"title": f"{count} runs", "results": results, "studies": {"scale": study}}


def finish(experiment: Experiment, folder: Path) -> None:
    """Give every run of the experiment the files of a finished one."""
    record = json.loads((TRAINED / "run.json").read_text())
    for run in experiment.runs:
        out = folder / experiment.directory(run)
        shutil.copytree(TRAINED, out, copy_function=shutil.copyfile)  # dated now
        changed = {"model": run.settings.model, "seed": run.settings.seed}
        changed["learning_rate"] = run.settings.learning_rate
        record |= {"study": run.study, "run": run.name}
        record["settings"] |= changed
        (out / "run.json").write_text(json.dumps(record))
        (out / "model.pt").touch()


def measure(command: str, folder: Path) -> tuple[float, float]:
    """CPU seconds, which other work does not change, and peak memory in MB."""
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    process = subprocess.Popen(
        command.split(),
        cwd=folder,
        env=os.environ | {"PATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{command}: ended with status {status}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def benchmark(sizes: list[int], repository: Path) -> list[dict]:
    for file in ("images.npy", "labels.npy", "dataset.json"):
        (repository / "results/data/generated10").mkdir(parents=True, exist_ok=True)
        (repository / "results/data/generated10" / file).touch()
    rows = []
    for count in sizes:
        config = f"config/scale-{count}.yaml"
        (repository / config).write_text(yaml.safe_dump(configuration(count)))
        for step, command in STEPS.items():
            if step == "nothing to do":
                finish(Experiment(configuration(count)), repository)
            seconds, memory = measure(command.format(config=config), repository)
            rows.append(
                {
                    "runs": count,
                    "step": step,
                    "seconds": round(seconds, 1),
                    "MB": round(memory),
                }
            )
            print(*rows[-1].values(), sep="\t", flush=True)
    return rows


def draw(rows: list[dict], path: Path) -> None:
    picture, axes = plt.subplots(1, 2, figsize=(7, 2.8), layout="constrained")
    for axis, column in zip(axes, ("seconds", "MB"), strict=True):
        for step in STEPS:
            chosen = [row for row in rows if row["step"] == step]
            sizes, values = ([row[key] for row in chosen] for key in ("runs", column))
            axis.loglog(sizes, values, marker=".", label=step)
        axis.set_xlabel("runs")
        axis.set_title(
            "CPU time in seconds" if column == "seconds" else "peak memory in MB"
        )
    axes[0].legend(frameon=False)
    picture.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="CSV file to write")
    parser.add_argument("--figure", type=Path, help="picture to write")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "gradscape"
        kept = ("Snakefile", "workflow", "config", "report", "profiles", "envs")
        for name in kept:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            repository.mkdir(exist_ok=True)
            copy(ROOT / name, repository / name)
        rows = benchmark(arguments.sizes, repository)
    if arguments.out:
        with arguments.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    if arguments.figure:
        draw(rows, arguments.figure)


if __name__ == "__main__":
    main()
