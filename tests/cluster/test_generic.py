"""profiles/cluster-generic with stand-ins for PBS's qsub, qstat and qdel."""

import os
import sys

from conftest import BIN, GENERIC, copy_repository, run

# As the real ones do: qsub prints a number and returns while the job runs, qstat -x still
# knows a job that has ended. The first job is killed as by a scheduler: it leaves no word.
QSUB = """#!{python}
import os, subprocess, sys
from pathlib import Path

folder = Path(__file__).parent
number = len(list(folder.glob("*.words")))
(folder / f"{{number}}.words").write_text(" ".join(sys.argv[1:]))
print(f"{{number}}.stand-in", flush=True)
os.close(1)
if os.fork() == 0:
    command = ["sh", sys.argv[-1]] if number else ["sh", "-c", "kill -9 $$"]
    with (folder / f"{{number}}.log").open("w") as log:
        code = subprocess.run(command, stdout=log, stderr=log).returncode
    (folder / f"{{number}}.exit").write_text(f"Exit_status = {{code}}")
"""
QSTAT = """#!/bin/sh
for job; do :; done
file="{folder}/${{job%.stand-in}}.exit"
if [ -f "$file" ]; then echo "job_state = F"; cat "$file"; else echo "job_state = R"; fi
"""


ONE = """
extends: config/tiny.yaml
defaults: {device: auto}
studies:
  tiny:
    grid: {learning_rate: [1.0e-3]}
    probes: null
    tables: [results]
    figures: {flow: null, smoothness: null, surface: null}
"""


def test_a_grid_through_qsub(tmp_path):
    repository = copy_repository(tmp_path / "gradscape")
    (repository / "config" / "one.yaml").write_text(ONE)
    pbs = tmp_path / "pbs"
    pbs.mkdir()
    for name, text in (("qsub", QSUB), ("qstat", QSTAT)):
        (pbs / name).write_text(text.format(python=sys.executable, folder=pbs))
        (pbs / name).chmod(0o755)
    done = run(
        *GENERIC.split(),
        *("--configfile", "config/one.yaml", "--seconds-between-status-checks", "2"),
        cwd=repository,
        PATH=os.pathsep.join([str(pbs), str(BIN), os.environ["PATH"]]),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    asked = [path.read_text() for path in sorted(pbs.glob("*.words"))]
    first, again = asked  # the killed one, and once more with more
    assert "ngpus=1:mem=3000mb -l walltime=01:00:00" in first
    assert "ngpus=1:mem=6000mb -l walltime=02:00:00" in again
    assert (repository / "results" / "tiny" / "report.pdf").exists()
