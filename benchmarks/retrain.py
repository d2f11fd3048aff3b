"""Train finished runs again with the code as it is, and compare every byte that counts.

    python benchmarks/retrain.py results/published/cpu degradation/vgg08_lr1e-3_seed0 …

Holds all tables but the timing against those in the folder. They agree on the same kind of
device, with the same torch and threads.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import datasets
from gradscape.base.paths import DATA
from gradscape.pipeline.reproduce import differences
from gradscape.runs.run import FinishedRun
from gradscape.spec.settings import flags


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="a results folder, or one published")
    parser.add_argument("runs", nargs="+", help="study/run")
    parser.add_argument("--data", type=Path, default=DATA, help=f"default: {DATA}")
    arguments = parser.parse_args()
    wrong = 0
    for run in arguments.runs:
        theirs = arguments.results / "runs" / run
        finished = FinishedRun(theirs)
        settings = finished.rerun().settings
        datasets.make([settings.dataset], arguments.data)
        command = [sys.executable, "-m", "gradscape", "train", *flags(settings)]
        command += ["--data", str(arguments.data)]
        command += ["--threads", str(finished.record.backend.threads)]
        with tempfile.TemporaryDirectory() as folder:
            start = time.monotonic()
            subprocess.run([*command, "--out", folder], check=True, capture_output=True)
            differ = differences(Path(folder), theirs)
        seconds = time.monotonic() - start
        wrong += bool(differ)
        verdict = f"differs in {', '.join(differ)}" if differ else "the same bytes"
        print(f"{run}: {verdict} ({seconds:.0f} s)", flush=True)
    sys.exit(f"{wrong} runs differ" if wrong else 0)


if __name__ == "__main__":
    main()
