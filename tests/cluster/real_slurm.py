"""A real Slurm on this machine, with two pretend GPUs, set up and torn down."""

import os
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOST = socket.gethostname().split(".")[0]
# Snakemake's executor drops SLURM_CONF from the environment: only here is it found.
SETTINGS = Path("/etc/slurm")
PACKAGES = ["slurm-wlm", "munge"]

# The memory is pretended too. A requeued job waits until its credential has expired, by
# default two minutes. Jobs in the partition `urgent` put those of the other back into the
# queue; `gpu` is the one that a site's profile names.
SLURM_CONF = """\
ClusterName=gradscape
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthInfo=cred_expire=5
StateSaveLocation={state}/controller
SlurmdSpoolDir={state}/node
SlurmctldPidFile={state}/slurmctld.pid
SlurmdPidFile={state}/slurmd.pid
SlurmctldLogFile={state}/slurmctld.log
SlurmdLogFile={state}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
GresTypes=gpu
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
KillWait=3
SchedulerParameters=sched_interval=2,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory=64000 Gres=gpu:pretend:2
PartitionName=normal Nodes={host} Default=YES PriorityTier=1
PartitionName=gpu Nodes={host} PriorityTier=1
PartitionName=urgent Nodes={host} PriorityTier=2
"""
GRES_CONF = """\
AutoDetect=off
NodeName={host} Name=gpu Type=pretend File={state}/gpu[0-1]
"""
DAEMONS = [
    ["runuser", "-u", "munge", "--", "munged", "--foreground"],
    ["slurmctld", "-D"],
    ["slurmd", "-D"],
]


def impossible() -> str | None:
    """Why there can be no Slurm of the tests' own here."""
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        return "needs root and apt"
    path = SETTINGS / "slurm.conf"
    if path.exists() and not path.read_text().startswith("ClusterName=gradscape\n"):
        return f"{path} is there: this machine has a Slurm of its own"
    return None


def slurm(*command: str) -> str:
    """What a Slurm command prints; none may hang, as some do while a node is down."""
    return subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=30
    ).stdout


def wait_for(condition, seconds: float, what: str):
    """The first true value of `condition()`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.5)
    raise AssertionError(f"{what}: not within {seconds} s")


@contextmanager
def cluster(state: Path) -> Iterator[None]:
    """Slurm, with all that it keeps in the folder `state`, until the block ends."""
    install()
    for folder in ("controller", "node"):
        (state / folder).mkdir()
    for number in range(2):  # each the null device under another name
        os.mknod(state / f"gpu{number}", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    Path("/run/munge").mkdir(exist_ok=True)
    shutil.chown("/run/munge", "munge", "munge")
    values = {"host": HOST, "state": state, "cores": os.cpu_count()}
    SETTINGS.mkdir(exist_ok=True)
    files = {SETTINGS / "slurm.conf": SLURM_CONF, SETTINGS / "gres.conf": GRES_CONF}
    started = []
    try:
        for path, text in files.items():
            path.write_text(text.format(**values))
        for command in DAEMONS:
            with (state / f"{command[-2]}.out").open("w") as output:
                started.append(subprocess.Popen(command, stdout=output, stderr=output))
            time.sleep(1)
        wait_for(lambda: "idle" in states(), 60, "an idle node")
        yield
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(timeout=30)
        for path in files:
            path.unlink(missing_ok=True)


def install() -> None:
    if shutil.which("slurmctld") and shutil.which("munged"):
        return
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-q"],
        ["apt-get", "install", "-y", "-q", "--no-install-recommends", *PACKAGES],
    ):
        subprocess.run(
            command, env=environment, check=True, timeout=300, stdout=subprocess.DEVNULL
        )


def states() -> str:
    """The node's states; empty while the controller does not answer."""
    done = subprocess.run(
        ["sinfo", "-h", "-o", "%T"], capture_output=True, text=True, timeout=30
    )
    return done.stdout
