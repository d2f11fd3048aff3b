"""All of a configuration on this machine's GPU, in pieces that end by themselves.

    python benchmarks/full_run.py results/published/full --seconds 540

Trains and probes the most informative runs first, until all is done or the time is up. Then
call it again: a training that was cut off resumes. After each call the finished runs'
tables are in the given folder, without weights; on another machine that folder alone is
enough to continue. Runs that share a GPU gain more from it with NVIDIA's MPS running
(`nvidia-cuda-mps-control -d`). Nothing is drawn here: `make published` draws the figures
and writes the PDFs.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from gradscape.base.paths import CONFIGS, HOME, Results
from gradscape.config.experiment import Experiment
from gradscape.pipeline.jobs import Dag
from gradscape.runs.publish import copy_run, publish
from gradscape.runs.record import read, sound_runs
from gradscape.spec.study import matches
from gradscape.training.lease import RUNS_PER_GPU

# The most telling runs first: a study, and which of its runs. The others follow.
ORDER = [
    ("degradation", {"seed": 0}),
    ("landscape", {}),
    ("accuracy", {"variant": "long"}),
    ("degradation", {}),
    ("landscape-paper", {}),
    ("regularisation", {}),
]
GRACE = 30  # seconds for the trainings to save and for Snakemake to end


def missing(dag: Dag, study: str, where: dict) -> list[str]:
    """The files that a study's runs and their probes still have to make."""
    runs = dag.experiment.studies[study].runs
    files = dag.files([run for run in runs if matches(run.traits, where)])
    return [file for file in files if not Path(file).exists()]


def make(files: list[str], options, seconds: float) -> None:
    """Have Snakemake make them, for so long; SIGTERM then ends it and all of its jobs."""
    command = [sys.executable, "-m", "snakemake", *files, "--nolock", "--keep-going"]
    command += ["--rerun-incomplete", "--configfile", str(options.config)]
    command += ["--cores", str(options.cores), "--resources", f"gpu={options.at_once}"]
    environment = os.environ | {RUNS_PER_GPU: str(options.at_once)}
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:  # costs the trainings a few seconds' work
            os.killpg(process.pid, signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the tables")
    parser.add_argument("--config", type=Path, default=CONFIGS / "config.yaml")
    parser.add_argument("--seconds", type=float, default=540.0)
    parser.add_argument("--at-once", type=int, default=3, help="trainings that share a GPU")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    options = parser.parse_args()
    options.out, options.config = options.out.resolve(), options.config.resolve()
    os.chdir(HOME)  # where the configuration's paths start
    end = time.monotonic() + options.seconds
    experiment = Experiment.from_file(options.config)
    out = Results(options.out)
    for run in experiment.runs:
        is_kept = out.record(run.study, run.name).exists()
        if is_kept and not experiment.is_finished(run):
            copy_run(out.run(run.study, run.name), experiment.directory(run))
    dag = Dag(experiment)
    order = [*ORDER, *((study, {}) for study in experiment.studies)]
    for study, where in order:
        if study not in experiment.studies:
            continue
        files, left = missing(dag, study, where), end - time.monotonic()
        if files and left > 0:
            make(files, options, left)
    count = publish(experiment, out)
    seconds = sum(record.seconds_training for record in sound_runs(options.out, read))
    print(f"{count} runs are in {options.out}, {seconds / 60:.1f} minutes of training")
    rest = sum(len(missing(dag, study, {})) for study in experiment.studies)
    sys.exit(f"{rest} runs and probes are missing: call again" if rest else 0)


if __name__ == "__main__":
    main()
