"""One sentence about what failed, a job or Snakemake itself: why, and what to do."""

import re
import shlex
import shutil
import sys
from collections.abc import Iterable
from logging import LogRecord
from pathlib import Path

TAIL = 4000  # characters of a log that are looked at
LITTLE = 2**20  # bytes: a disk with less is full
OWN = "gradscape: "
FULL = "No space left on device"

# Words of schedulers, kernels and Snakemake, and their meaning; the first match counts.
ADVICE = {
    r"No such file or directory: '(sacct(mgr)?|sinfo|sbatch)'"
    r"|sbatch: (command )?not found": (
        "there is no Slurm on this machine (no sbatch on PATH); "
        "call from the cluster's login node, or without --workflow-profile"
    ),
    r"[Uu]nable to contact slurm controller|Connection refused"
    r"|[Cc]ould not establish a configuration source": (
        "Slurm does not answer; try `sinfo`, and call again when it does"
    ),
    r"[Ii]nvalid partition": (
        "Slurm has no partition of that name; `sinfo -s` lists them, "
        "slurm_partition in the profile names one"
    ),
    r"[Ii]nvalid account|The given account": (
        "Slurm does not take that account; `sacctmgr show user $USER withassoc` lists "
        "yours, slurm_account in the profile names one"
    ),
    r"exceeded memory limit|status is: 'OUT_OF_MEMORY'|oom[-_ ]kill": (
        "the job was killed for memory; it is tried once more with twice as much; "
        "if that fails, raise mem_mb in the profile"
    ),
    r"DUE TO TIME LIMIT|status is: '(TIMEOUT|DEADLINE)'": (
        "the job ran into its time limit; it resumes from its checkpoint once more with "
        "twice the time; after that, call again or raise runtime in the profile"
    ),
    r"status is: 'NODE_FAIL'|DUE TO NODE FAILURE": (
        "the job's node failed; the job resumes from its checkpoint when resubmitted"
    ),
    rf"Disk quota exceeded|{FULL}": (
        "the disk or the quota is full; make room and call again, what is finished is kept"
    ),
    r"Read-only file system: '\S*\.snakemake": (
        "this folder cannot be written; name another with --directory"
    ),
    r"clock skew": (
        "the clocks of this machine and of a node disagree; have them synchronised (NTP) "
        "and call again, finished jobs are not repeated"
    ),
    r"status is: 'CANCELLED'|CANCELLED AT": (
        "the job was cancelled; call again to run what is missing"
    ),
}


def explain(text: str, logs: Iterable[str] = ()) -> str | None:
    """One sentence about the first thing that is known in `text` and in the ends of those
    logs, else gradscape's own last sentence in these, else their last line.

    >>> explain("sbatch: error: invalid partition specified: nosuch")[:35]
    'Slurm has no partition of that name'
    >>> explain("all is well")
    """
    said = ""
    for path in map(Path, logs):
        if path.is_file():
            said += path.read_text("utf-8", "replace")[-TAIL:] + "\n"
        if path.parent.is_dir() and shutil.disk_usage(path.parent).free < LITTLE:
            said += FULL + "\n"
    for pattern, sentence in ADVICE.items():
        if re.search(pattern, f"{text}\n{said}"):
            return sentence
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    own = [line.removeprefix(OWN) for line in lines if line.startswith(OWN)]
    return next(reversed(own or lines), None)


def clarify(record: LogRecord) -> bool:
    """Put a sentence in place of an error that ends Snakemake before any job, whichever
    logger prints it."""
    sentence = CLEARER.get(getattr(record, "exception", ""), str)(str(record.msg))
    record.msg = sentence or record.msg
    return True


def locked(text: str) -> str:
    """Snakemake's own sentence on a locked folder does not say the configuration."""
    command = shlex.join(["snakemake", *sys.argv[1:], "--unlock"])
    return (
        f"{OWN}another Snakemake works in {Path.cwd()}, or one was killed there; if none "
        f"runs any more, type `{command}` and then your command again"
    )


def chosen():
    """The configuration that gradscape's Snakefile has read, if one has."""
    jobs = sys.modules.get("gradscape.pipeline.jobs")
    return jobs and jobs.chosen


def unmade(text: str) -> str | None:
    """The likeliest name for a target that no rule makes."""
    target = re.search(r"No rule to produce (.+?) \(if you use", text)
    return f"{OWN}{no_rule(chosen(), target[1])}" if target and chosen() else None


def no_rule(experiment, target: str) -> str:
    """A sentence on a target that a configuration does not make."""
    from gradscape.base.errors import suggest
    from gradscape.base.paths import CONFIGS, nearby
    from gradscape.config.yaml import read_yaml

    root, folder = experiment.results.root, Path(target).parent
    if target.endswith(".pdf") and folder != root:
        files = sorted(CONFIGS.glob("*.yaml"))  # cpu.yaml before what goes on from it
        made = [f for f in files if Path(read_yaml(f).get("results", "")) == folder]
        name = [*map(nearby, made), folder / experiment.results.config.name][0]
        return (
            f"{target}: this configuration's results are in {root}; name another with "
            f"--configfile, such as {name}"
        )
    pdfs = map(experiment.results.pdf, experiment.documents_of([*experiment.studies]))
    known = [*map(str, pdfs), "all", "runs", "figures", "report"]
    return f"{target}: nothing makes it{suggest(target, known)}"


CLEARER = {"LockException": locked, "MissingRuleException": unmade}
