"""Grids from 10 to 10,000 runs: time and memory of the workflow around the trainings.

    python benchmarks/scale.py --out docs/scale.csv --figure docs/scale.svg

Nothing is trained: every run gets the tables of a published one. For comparison, what
Snakemake alone takes for a Snakefile with as many jobs and files. Minutes on two cores.
"""

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import yaml

from gradscape.base.paths import DATA as DATASETS
from gradscape.base.paths import DONE
from gradscape.config.experiment import Experiment
from gradscape.pipeline.dependencies import of_training
from gradscape.pipeline.jobs import DATA_FILES
from gradscape.runs.record import read, write

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
SIZES = [10, 100, 1000, 10_000]
TRAINED = ROOT / "results/published/cpu/runs/degradation/vgg08_lr1e-3_seed0"
MODELS = ["vgg08", "vgg38", "vgg38-bn", "vgg38-rc", "vgg38-bn-rc"]
SEEDS = [0, 1]

# What is measured, in this order; after the dry runs the trainings' files are put there.
CALL = "snakemake {targets} --quiet --cores 1 --configfile config/scale-{count}.yaml"
BARE = "snakemake {targets} --quiet --cores 1 --directory bare --snakefile bare/{count}.smk"
STEPS = {
    "dry run": CALL.replace("{targets}", "all -n"),
    "dry run, Snakemake alone": BARE.replace("{targets}", "all -n"),
    "table, figures, PDF": "gradscape report --config config/scale-{count}.yaml",
    "nothing to do": CALL.replace("{targets}", "runs figures"),
    "nothing to do, Snakemake alone": BARE.replace("{targets}", "runs figures"),
}
TRAININGS_FROM = "table, figures, PDF"
COLOURS = {"dry run": "C0", "nothing to do": "C1", "table, figures, PDF": "C2"}

# What Snakemake itself takes: as many jobs, inputs and outputs, and nothing of gradscape.
# It looks at the same files.
SNAKEFILE = """
RUNS = expand("{results}/runs/scale/{{run}}/.done", run={runs})
FIGURES = expand("{results}/figures/scale/{{name}}.pdf", name=["curves", "gradient-flow"])

rule all:
    input: "{results}/report.pdf"

rule runs:
    input: RUNS

rule figures:
    input: FIGURES, "{results}/tables/scale/results.csv"

rule train:
    input: {inputs}
    output: {outputs}
    shell: "false"

rule figure:
    input: RUNS, "workflow/gradscape/figures/style.py"
    output: "{results}/figures/scale/{{name}}.pdf", "{results}/figures/scale/{{name}}.svg"
    shell: "false"

rule table:
    input: RUNS, "workflow/gradscape/claims/tables.py"
    output: "{results}/tables/scale/results.csv"
    shell: "false"

rule tex:
    input: RUNS, FIGURES, "{results}/tables/scale/results.csv"
    output: "{results}/report/report.tex"
    shell: "false"

rule pdf:
    input: "{results}/report/report.tex"
    output: "{results}/report.pdf"
    shell: "false"
"""


def configuration(count: int) -> dict:
    """One study of models × learning rates × seeds: half as many settings as runs."""
    different = count // len(MODELS) // len(SEEDS)
    rates = [float(f"{rate:.5g}") for rate in np.geomspace(1e-4, 1e-1, different)]
    study = {
        "title": "Many models, rates and seeds",
        "dataset": "generated10",
        "grid": {"model": MODELS, "learning_rate": rates, "seed": SEEDS},
    }
    results = f"results/scale-{count}"
    return {"title": f"{count} runs", "results": results, "studies": {"scale": study}}


def finish(experiment: Experiment, folder: Path) -> None:
    """Give every run of the experiment the files of a finished one."""
    record = read(TRAINED / "run.json")
    for run in experiment.runs:
        out = folder / experiment.directory(run)
        shutil.copytree(TRAINED, out, copy_function=shutil.copyfile)  # dated now
        changed = {"model": run.settings.model, "seed": run.settings.seed}
        changed["learning_rate"] = run.settings.learning_rate
        named = {"study": run.study, "run": run.name}
        named["settings"] = record.settings | changed
        write(out / "run.json", replace(record, **named))
        (out / "model.pt").write_bytes(b"none")
        (out / DONE).touch()  # or Snakemake's call would make it, later than the figures


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
    data = [f"{DATASETS}/generated10/{name}" for name in DATA_FILES]
    for file in data:
        (repository / file).parent.mkdir(parents=True, exist_ok=True)
        (repository / file).touch()
    bare = repository / "bare"
    bare.mkdir()
    for name in ("workflow", "results"):
        (bare / name).symlink_to(repository / name)
    rows = []
    for count in sizes:
        experiment = Experiment(configuration(count))
        text = yaml.safe_dump(experiment.config)
        (repository / f"config/scale-{count}.yaml").write_text(text)
        folder = experiment.results.run("scale", "{run}")
        text = SNAKEFILE.format(
            results=experiment.results,
            runs=[run.name for run in experiment.runs],
            inputs=[*data, *of_training(experiment.runs[0])],
            outputs=[f"{folder}/{DONE}"],
        )
        (bare / f"{count}.smk").write_text(text)
        for step, command in STEPS.items():
            if step == TRAININGS_FROM:
                finish(experiment, repository)
            seconds, memory = measure(command.format(count=count), repository)
            row = {"runs": count, "step": step, "seconds": round(seconds, 1)}
            rows.append(row | {"MB": round(memory)})
            print(*rows[-1].values(), sep="\t", flush=True)
    return rows


def draw(rows: list[dict], path: Path) -> None:
    picture, axes = plt.subplots(1, 2, figsize=(7, 3.3), layout="constrained")
    for axis, column in zip(axes, ("seconds", "MB"), strict=True):
        for step in STEPS:
            chosen = [row for row in rows if row["step"] == step]
            sizes, values = ([row[key] for row in chosen] for key in ("runs", column))
            what, _, alone = step.partition(", Snakemake")  # dashed, in the same colour
            look = {"color": COLOURS[what], "ls": "--" if alone else "-", "marker": "."}
            axis.loglog(sizes, values, label=step, **look)
        axis.set_xlabel("runs")
        axis.set_title(
            "CPU time in seconds" if column == "seconds" else "peak memory in MB"
        )
    handles, labels = axes[0].get_legend_handles_labels()
    picture.legend(
        handles, labels, frameon=False, loc="outside lower center", ncols=3, fontsize=8
    )
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
