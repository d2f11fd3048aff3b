"""Kill a training again and again, at random moments, until it gets through.

    python tests/torture.py DATA OUT KILLS SEED

Forks, so that torch is imported once; each attempt is a process of its own. The first
KILLS attempts end by SIGKILL or SIGTERM in turn; afterwards one may finish.
"""

import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

import torch  # noqa: F401  before the forks

from gradscape.data.store import load
from gradscape.spec.settings import Settings
from gradscape.spec.study import Run
from gradscape.training.train import train

SETTINGS = Settings(
    model="vgg08-bn",
    dataset="generated10",
    epochs=15,
    batch_size=8,
    train_items=100,  # a smaller last minibatch
    validation_items=20,
    normalisation="cifar10",
    device="cpu",
)


def attempt(dataset, out: Path) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            # Saves after every step: many kills land while a checkpoint is written.
            train(Run("torture", "run", SETTINGS), dataset, out, checkpoint_seconds=0.0)
            code = 0
        except SystemExit as stopped:
            code = stopped.code
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return child


def saved_at(folder: Path) -> int:
    path = folder / ".checkpoint.pt"
    return path.stat().st_mtime_ns if path.exists() else 0


def main(data: str, out: str, kills: str, seed: str) -> None:
    moments = random.Random(int(seed))
    dataset, folder = load(Path(data) / SETTINGS.dataset), Path(out)
    killed = writing = 0
    while not (folder / "run.json").exists():
        before = saved_at(folder)
        child = attempt(dataset, folder)
        if killed < int(kills):
            while saved_at(folder) == before:  # let it get at least one step further
                if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                    sys.exit("an attempt ended by itself before it had saved")
                time.sleep(0.001)
            time.sleep(moments.uniform(0, 0.1))
            os.kill(child, (signal.SIGKILL, signal.SIGTERM)[killed % 3 == 2])
            killed += 1
        _, status = os.waitpid(child, 0)
        writing += (folder / "..checkpoint.pt").exists()
        if os.waitstatus_to_exitcode(status) not in (0, 128 + 15, -9, -15):
            sys.exit(f"attempt ended with {os.waitstatus_to_exitcode(status)}")
    print(f"killed {killed} times, {writing} of them during a checkpoint's writing")


if __name__ == "__main__":
    main(*sys.argv[1:])
