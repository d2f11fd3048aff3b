"""Training throughput of the engine against the plain loop, and against its floor.

    python benchmarks/throughput.py --out results/benchmarks

For each network the plain loop and the engine (in fp32 and in the device's best precision)
train in turn, `--repeats` times, each turn in processes of its own that warm up and are
then timed together for `--seconds`: the plain loop in one, the engine in `--at-once`, by
default one for each core, with one thread each. On a CPU its floor is timed in the same
turn, one thread a core: the network's convolutions alone, forward and backward, over and
over on the same tensors. The share of it is one of images per second of CPU time, which
other work on the machine changes little; on CUDA it is one of a step's calculated time.

Prints images/s and the medians of the ratios within a turn; start-up (imports, device,
data, first step) is listed separately. `--floor` times no more than the engine and its
floor, in the best precision; `--probe` also training with the landscape measured along the
gradient, against the passes counted for it; `--profile` tells instead what one thread
spends a step on. Images are generated: a step takes as long on any. Writes throughput.csv,
each row as soon as it is measured, and throughput.svg.
"""

import argparse
import csv
import multiprocessing
import os
import queue
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import datasets
import plain_loop
from gradscape.data.splits import split
from gradscape.data.store import Dataset, load
from gradscape.figures import style
from gradscape.models import build
from gradscape.spec.settings import Settings
from gradscape.training.device import configure, device_kind, has_fast_bf16
from gradscape.training.lease import RUNS_PER_GPU
from gradscape.training.loop import Training

NETWORKS = {
    "vgg08": Settings("vgg08", "generated100"),
    "vgg38": Settings("vgg38", "generated100"),
    "vgg38-bn-rc": Settings("vgg38-bn-rc", "generated100"),
    "vgg-a": Settings("vgg-a", "generated10", batch_size=128, augmentation="none"),
    "convnet": Settings("convnet", "generated10", batch_size=200, augmentation="none"),
}

ITEMS = 9_000  # training images
WARMUP = 5  # steps before the clock starts
CORES = os.cpu_count() or 1
SHOWN = 12  # operations of a profile

# Counted µs a step of one H200 with ideal fusion: bytes and FLOP at the card's rates.
FLOOR_MICROSECONDS = {
    "vgg08": 95,
    "vgg38": 573,
    "vgg38-bn-rc": 761,
    "vgg-a": 585,
    "convnet": 1447,
}


def plain_steps(settings: Settings, dataset: Dataset, threads: int) -> Iterator[int]:
    torch.set_num_threads(threads)
    train = split(dataset, "edinburgh", ITEMS)["train"]
    images, labels = np.asarray(dataset.images[train]), dataset.labels[train]
    yield from plain_loop.steps(settings, images, labels, dataset, settings.device)


def convolution_steps(settings: Settings, dataset: Dataset, threads: int) -> Iterator[int]:
    """The floor: the network's convolutions, forward and both backward products, and
    nothing else."""
    backend = configure(settings.device, settings.precision, True, threads)
    model = build(settings.model, len(dataset.classes))
    model = model.to(memory_format=torch.channels_last)
    shapes = {}
    hooks = [
        module.register_forward_hook(lambda m, x, y: shapes.update({m: x[0].shape}))
        for module in model.modules()
        if isinstance(module, torch.nn.Conv2d)
    ]
    model(torch.zeros(settings.batch_size, 3, 32, 32))
    for hook in hooks:
        hook.remove()
    dtype = torch.bfloat16 if settings.precision == "bf16" else torch.float32
    inputs = {}
    for layer, shape in shapes.items():
        image = torch.randn(shape, dtype=dtype).to(memory_format=torch.channels_last)
        inputs[layer] = image.requires_grad_(shape[1] != 3)  # nothing asks for an image's
    while True:
        for layer, image in inputs.items():
            with backend.autocast():
                out = layer(image)
            out.backward(out)
        yield settings.batch_size


def engine_steps(settings: Settings, dataset: Dataset, threads: int) -> Iterator[int]:
    """The engine's own steps, as its loop issues them."""
    backend = configure(settings.device, settings.precision, True, threads)
    training = Training(replace(settings, train_items=ITEMS), dataset, backend)
    while True:
        training.begin_epoch()
        training.step.index.zero_()
        for at, size in enumerate(training.train.sizes):
            training.advance(at, settings.learning_rate)
            yield size


STEPS = {"plain": plain_steps, "engine": engine_steps, "floor": convolution_steps}
PROBED = {"landscape_every": 4, "landscape_points": 8}  # 1 + 8/4 times the passes


def turn(kind: str, settings: Settings, options, threads: int, together, results) -> None:
    """One process of a timed turn: puts images, seconds, its own CPU seconds, and the time
    at which its first step ended."""
    dataset = load(options.data / settings.dataset)
    steps = STEPS[kind](settings, dataset, threads)
    wait = torch.cuda.synchronize if settings.device == "cuda" else lambda: None
    next(steps)
    wait()
    ready = time.time()
    for _ in range(WARMUP):
        next(steps)
    wait()
    together.wait()
    images, start, worked = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - start < options.seconds:
        images += sum(next(steps) for _ in range(2))
    wait()
    seconds, worked = time.perf_counter() - start, time.process_time() - worked
    results.put((images, seconds, worked, ready))


def timed(kind: str, settings: Settings, options, at_once: int = 1) -> tuple[float, ...]:
    """Images/s of `at_once` processes together, images per second of their own CPU time
    (the plain loop's without its workers'), and the longest start-up."""
    os.environ[RUNS_PER_GPU] = str(at_once)
    context = multiprocessing.get_context("spawn")
    results, together = context.Queue(), context.Barrier(at_once)
    threads = max(1, CORES // at_once)
    begun = time.time()
    arguments = (kind, settings, options, threads, together, results)
    processes = [context.Process(target=turn, args=arguments) for _ in range(at_once)]
    for process in processes:
        process.start()
    found = []
    while len(found) < at_once:
        with suppress(queue.Empty):
            found.append(results.get(timeout=1))
        if any(process.exitcode for process in processes):
            for process in processes:
                process.kill()
            raise SystemExit(f"{settings.model}, {kind}: a turn failed, as said above")
    images, seconds, worked, ready = zip(*found, strict=True)
    for process in processes:
        process.kill()  # the plain loop's workers go with it
        process.join()
    rate = sum(count / taken for count, taken in zip(images, seconds, strict=True))
    return rate, sum(images) / sum(worked), max(ready) - begun


COLUMNS = ["device", "network", "what", "repeat", "images_per_second", "ratio"]
COLUMNS += ["images_per_cpu_second", "start_up_seconds"]
FLOOR = "convolutions alone"


def precisions(device: str) -> list[str]:
    return ["fp32", "bf16"] if has_fast_bf16(device) else ["fp32"]


def turns(settings: Settings, options) -> Iterator[tuple]:
    """What is timed of one network: its name, and what `timed` gives."""
    if not options.floor:
        yield "plain loop", *timed("plain", settings, options)
    known = precisions(settings.device)
    for precision in known[-1:] if options.floor else known:
        chosen = replace(settings, precision=precision)
        if settings.device == "cpu":
            yield f"{FLOOR} {precision}", *timed("floor", chosen, options, CORES)
        for count in options.at_once:
            what = f"engine {precision}, {count} at once"
            yield what, *timed("engine", chosen, options, count)
    if options.probe:
        chosen = replace(settings, precision="fp32", **PROBED)
        count = options.at_once[0]
        what = f"engine fp32, {count} at once, probed"
        yield what, *timed("engine", chosen, options, count)


def measure(options, path: Path) -> None:
    """Write one row per turn, once measured, with its ratio to the plain loop just before,
    or to what comes first in its place.

    All networks once, then all again, so that stopping early leaves something of each.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", buffering=1) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for repeat in range(options.repeats):
            for name in options.networks:
                settings = replace(NETWORKS[name], device=device)
                first = None
                for what, speed, worked, start_up in turns(settings, options):
                    first = first or speed
                    row = [device_kind(device), name, what, repeat]
                    values = speed, speed / first, worked, start_up
                    writer.writerow([*row, *(f"{value:.5g}" for value in values)])
                    said = f"{name} {what}: {speed:,.0f} images/s, {start_up:.1f} s"
                    print(said, flush=True)


def report(table: pd.DataFrame) -> None:
    """Medians over the turns, of speeds and of ratios within a turn."""
    first = table["what"].iloc[0]
    for network, rows in table.groupby("network", sort=False):
        wide = rows.pivot(index="repeat", columns="what")
        speeds, worked = wide["images_per_second"], wide["images_per_cpu_second"]
        for what in rows["what"].unique():
            speed = speeds[what].median()
            ratio = (speeds[what] / speeds[first]).median()
            line = f"{network:<12} {what:<28} {speed:>10,.0f} images/s   × {ratio:.2f}"
            if torch.cuda.is_available() and what.startswith("engine bf16, 1 "):
                step = 1e6 * NETWORKS[network].batch_size / speed
                share = FLOOR_MICROSECONDS[network] / step
                line += f"   {step:,.0f} µs a step, floor {share:.0%}"
            floor = f"{FLOOR} {what.split()[1].rstrip(',')}"
            if floor in speeds:
                share = (worked[what] / worked[floor]).median()
                line += f"   {share:.2f} of the floor"
            if what.endswith(", probed"):
                counted = 1 + PROBED["landscape_points"] / PROBED["landscape_every"]
                cost = (speeds[what.removesuffix(", probed")] / speeds[what]).median()
                line += f"   {cost:.2f} × the time of a step, counted {counted:.2f}"
            print(line)


def profile(name: str, options) -> None:
    """Print what one thread spends a step on: the operations' own time."""
    settings = replace(NETWORKS[name], device="cpu", precision=precisions("cpu")[-1])
    dataset = load(options.data / settings.dataset)
    steps = engine_steps(settings, dataset, threads=1)
    for _ in range(WARMUP):
        next(steps)
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities) as seen:
        start, count = time.perf_counter(), 0
        while time.perf_counter() - start < options.seconds:
            next(steps)
            count += 1
        seconds = time.perf_counter() - start
    print(f"{name}, {settings.precision}: {1e3 * seconds / count:.1f} ms a step")
    own = {event.key: event.self_cpu_time_total / 1e6 for event in seen.key_averages()}
    for key, time_of in sorted(own.items(), key=lambda pair: -pair[1])[:SHOWN]:
        print(f"  {time_of / seconds:6.1%}  {key}")


def draw(table: pd.DataFrame, path: Path) -> None:
    import matplotlib.pyplot as plt

    with style.applied():
        picture, axis = plt.subplots(figsize=(style.PAGE, 2.2))
        kinds = list(dict.fromkeys(table["what"]))
        networks = [name for name in NETWORKS if name in set(table["network"])]
        for number, kind in enumerate(kinds):
            medians = table[table.what == kind].groupby("network")["ratio"].median()
            places = np.arange(len(networks)) + number / (len(kinds) + 1)
            heights = [medians.get(name, 0) for name in networks]
            axis.bar(places, heights, 1 / (len(kinds) + 1), label=kind)
        axis.set_xticks(np.arange(len(networks)) + 0.3, networks)
        axis.set_ylabel(f"images/s, {kinds[0]} = 1")
        axis.set_axisbelow(True)
        handles, _ = axis.get_legend_handles_labels()
        style.legend_below(picture, handles, len(kinds))
        style.save(picture, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("results/data"))
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"))
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0)
    at_once = [1 if torch.cuda.is_available() else CORES]
    parser.add_argument("--at-once", type=int, nargs="+", default=at_once)
    parser.add_argument("--floor", action="store_true")
    parser.add_argument("--probe", action="store_true")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    datasets.make((NETWORKS[name].dataset for name in options.networks), options.data)
    if options.profile:
        for name in options.networks:
            profile(name, options)
        return
    measure(options, options.out / "throughput.csv")
    table = pd.read_csv(options.out / "throughput.csv")
    draw(table, options.out / "throughput.svg")
    report(table)


if __name__ == "__main__":
    main()
