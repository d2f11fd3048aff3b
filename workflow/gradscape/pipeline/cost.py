"""What a configuration will cost, before it runs: device-hours, disk and the longest chain.

The times were measured, on the configuration's own finished runs and on those kept in
`results/published/`. For a kind of device that has none, they are guesses, and said to be.
"""

import torch

from gradscape.config.experiment import Experiment
from gradscape.data.datasets import facts
from gradscape.data.facts import Facts
from gradscape.pipeline import rates
from gradscape.pipeline.estimate import estimated_seconds, network_of
from gradscape.pipeline.work import steps
from gradscape.spec.settings import Settings
from gradscape.training.device import device_kind


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
    on_cpu = kind.startswith("CPU")
    times, guesses = rates.expected(experiment, kind)
    settings = {run.id: run.settings for run in experiment.runs}
    if not on_cpu:
        times |= {
            run: estimated_seconds(settings[run], facts(settings[run].dataset))
            for run in guesses
        }
    lines = [f"{'study':<20} {'runs':>6} {'to do':>6} {'hours':>9} {'disk':>9}"]
    disk = {run: disk_bytes(settings[run]) for run in times}
    for name, study in experiment.studies.items():
        missing = [run.id for run in study.runs if run.id in times]
        hours = sum(times[run] for run in missing) / 3600
        lines.append(
            f"{name:<20} {len(study.runs):>6} {len(missing):>6} {hours:>9.2f} "
            f"{size(sum(disk[run] for run in missing)):>9}"
        )
    unit = "CPU-hours" if on_cpu else "GPU-hours"
    datasets = {run.settings.dataset for run in experiment.runs}
    data = sum(dataset_bytes(facts(name)) for name in datasets)
    left = size(sum(disk.values()))
    lines.append(f"\ndisk: {left} for the runs to do, {size(data)} for the datasets")
    if times:
        total, longest = sum(times.values()), max(times, key=times.get)
        lines += [
            f"time: {total / 3600:.2f} {unit} on {kind}",
            f"longest chain: data, train {longest} ({times[longest] / 60:.0f} min), "
            "figure, tex, pdf; more devices do not shorten it",
        ]
    if guesses:
        basis = (
            "what they took on other CPUs, or the mean of the other runs"
            if on_cpu
            else "estimates for an H200 that each run has to itself, and may be off by a "
            "quarter"
        )
        runs, were = ("run", "was") if len(guesses) == 1 else ("runs", "were")
        lines.append(
            f"{len(guesses)} {runs} {were} never measured on {kind}: "
            f"their times are {basis}"
        )
    return "\n".join(lines)


def size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
