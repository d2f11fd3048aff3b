"""What a configuration will cost, before it runs: device-hours, disk and the longest chain.

The times were measured, on the configuration's own finished runs and on those kept in
`results/published/`. For a GPU that has none, they are estimates and are marked as such.
"""

import torch

from gradscape import rates
from gradscape.config import Experiment
from gradscape.data.datasets import facts
from gradscape.data.facts import Facts
from gradscape.engine.device import device_kind
from gradscape.engine.estimate import estimated_seconds, network_of
from gradscape.engine.work import steps
from gradscape.settings import Settings


def model_bytes(settings: Settings) -> int:
    """Size of a network's weights and statistics."""
    tensors = network_of(settings, facts(settings.dataset)).state_dict().values()
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def disk_bytes(settings: Settings) -> int:
    """What a run leaves on disk: its best and last weights, and the loss of every step."""
    return 2 * model_bytes(settings) + 4 * steps(settings)


def dataset_bytes(known: Facts) -> int:
    return (known.train + known.test) * known.channels * known.size**2


def plan(experiment: Experiment, kind: str | None = None) -> str:
    """The cost of the runs that are not finished yet, as a few lines of text."""
    if kind is None:
        cuda = torch.cuda.is_available()
        needs = {run.settings.device for run in experiment.runs}
        kind = device_kind("cuda" if cuda and needs != {"cpu"} else "cpu")
    measured = rates.of(experiment, kind)
    lines = [f"{'study':<20} {'runs':>6} {'to do':>6} {'hours':>9} {'disk':>9}"]
    seconds, unmeasured, estimated, disk = {}, set(), set(), 0
    for name, study in experiment.studies.items():
        missing = [
            run
            for run in study.runs
            if not experiment.is_finished(run) and not experiment.left_out(run)
        ]
        times = {
            run.id: measured.seconds(run.settings, experiment.threads) for run in missing
        }
        if not kind.startswith("CPU"):
            guesses = {r.id: r.settings for r in missing if times[r.id] is None}
            estimated |= guesses.keys()
            times |= {
                run: estimated_seconds(settings, facts(settings.dataset))
                for run, settings in guesses.items()
            }
        unmeasured |= {run.settings.model for run in missing if times[run.id] is None}
        known = {run: time for run, time in times.items() if time is not None}
        seconds |= known
        bytes_left = sum(disk_bytes(run.settings) for run in missing)
        disk += bytes_left
        hours = f"{sum(known.values()) / 3600:.2f}" if len(known) == len(times) else "?"
        lines.append(
            f"{name:<20} {len(study.runs):>6} {len(missing):>6} {hours:>9} "
            f"{size(bytes_left):>9}"
        )
    unit = "CPU-hours" if kind.startswith("CPU") else "GPU-hours"
    datasets = {run.settings.dataset for run in experiment.runs}
    data = sum(dataset_bytes(facts(name)) for name in datasets)
    lines.append(f"\ndisk: {size(disk)} for the runs to do, {size(data)} for the datasets")
    if seconds:
        total, longest = sum(seconds.values()), max(seconds, key=seconds.get)
        lines += [
            f"time: {total / 3600:.2f} {unit} on {kind}",
            f"longest chain: data, train {longest} ({seconds[longest] / 60:.0f} min), "
            "figure, tex, pdf; more devices do not shorten it",
        ]
    if estimated:
        lines.append(
            f"{len(estimated)} runs were never measured on {kind}: their times are "
            "estimates for an H200, from counted kernels and operations, and may be off "
            "by a third"
        )
    if unmeasured:
        lines.append(
            f"not measured on {kind} in this precision and with these threads: "
            f"{', '.join(sorted(unmeasured))}"
        )
    return "\n".join(lines)


def size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
