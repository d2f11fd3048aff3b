"""profiles/cluster-generic with stand-ins for PBS's qsub, qstat and qdel."""

import os
import sys

from conftest import BIN, copy_repository, run

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


def test_a_grid_through_qsub(tmp_path):
    repository = copy_repository(tmp_path / "gradscape")
    pbs = tmp_path / "pbs"
    pbs.mkdir()
    for name, text in (("qsub", QSUB), ("qstat", QSTAT)):
        (pbs / name).write_text(text.format(python=sys.executable, folder=pbs))
        (pbs / name).chmod(0o755)
    done = run(
        *("snakemake", "--workflow-profile", "profiles/cluster-generic", "runs"),
        *("--configfile", "config/tiny.yaml", "--config", "defaults={device: auto}"),
        cwd=repository,
        PATH=os.pathsep.join([str(pbs), str(BIN), os.environ["PATH"]]),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    asked = [path.read_text() for path in sorted(pbs.glob("*.words"))]
    assert len(asked) == 3, asked  # two runs, and the killed one again with more
    assert sum("ngpus=1:mem=3000mb -l walltime=01:00:00" in words for words in asked) == 2
    assert sum("ngpus=1:mem=6000mb -l walltime=02:00:00" in words for words in asked) == 1
    assert len(list((repository / "results" / "tiny" / "runs").rglob("run.json"))) == 2
