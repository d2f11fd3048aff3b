"""Training throughput of the engine against the plain loop, alternating in one run.

    python benchmarks/throughput.py --data results/data --out results/benchmarks

For each network the plain loop and the engine (in fp32 and in the device's best precision)
train in turn, `--repeats` times, each turn in a process of its own that warms up and is
then timed for `--seconds`. Prints images/s, the median of the ratios within a turn, and the
share of a limit: on CUDA the calculated time of a step, on a CPU that of the network's
convolutions alone, timed in the same turn. Start-up (imports, device, data, first step) is
listed separately. `--pair` also times two one-thread trainings at once, as `--cores 2` runs
them; `--probe` training with the landscape measured along the gradient, against the passes
counted for it.
Writes throughput.csv, each row as soon as it is measured, and throughput.svg.
"""

import argparse
import csv
import multiprocessing
import os
import queue
import statistics
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
from gradscape.training.device import configure, has_fast_bf16
from gradscape.training.lease import RUNS_PER_GPU
from gradscape.training.loop import Training

NETWORKS = {
    "vgg08": Settings("vgg08", "cifar100"),
    "vgg38": Settings("vgg38", "cifar100"),
    "vgg38-bn-rc": Settings("vgg38-bn-rc", "cifar100"),
    "vgg-a": Settings("vgg-a", "cifar10", batch_size=128, augmentation="none"),
    "convnet": Settings("convnet", "cifar10", batch_size=200, augmentation="none"),
}

ITEMS = 10_000  # training images, fewer than the split's to start sooner
WARMUP = 5  # steps before the clock starts

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
    """The floor: the network's convolutions, forward and backward, and nothing else."""
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


def turn(kind: str, settings: Settings, options, threads: int, begun: float, results):
    """One timed turn, in a process of its own: (images/s, seconds until the first step)."""
    dataset = load(options.data / settings.dataset)
    steps = STEPS[kind](settings, dataset, threads)
    wait = torch.cuda.synchronize if settings.device == "cuda" else lambda: None
    next(steps)
    wait()
    start_up = time.time() - begun
    for _ in range(WARMUP):
        next(steps)
    wait()
    images, start = 0, time.perf_counter()
    while time.perf_counter() - start < options.seconds:
        images += sum(next(steps) for _ in range(5))
    wait()
    results.put((images / (time.perf_counter() - start), start_up))


def timed(kind: str, settings: Settings, options, at_once: int = 1) -> tuple[float, float]:
    """Images/s of `at_once` trainings together, and the longest start-up."""
    os.environ[RUNS_PER_GPU] = str(at_once)
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    threads = max(1, (os.cpu_count() or 1) // at_once)
    arguments = (kind, settings, options, threads, time.time(), results)
    processes = [context.Process(target=turn, args=arguments) for _ in range(at_once)]
    for process in processes:
        process.start()
    found = []
    while len(found) < at_once:
        with suppress(queue.Empty):
            found.append(results.get(timeout=1))
        if any(process.exitcode for process in processes):
            raise SystemExit(f"{settings.model}, {kind}: a turn failed, as said above")
    rates, start_ups = zip(*found, strict=True)
    for process in processes:
        process.kill()  # the plain loop's workers go with it
        process.join()
    return sum(rates), max(start_ups)


COLUMNS = "network", "what", "repeat", "images_per_second", "ratio", "start_up_seconds"


def turns(settings: Settings, options) -> Iterator[tuple[str, float, float]]:
    """What is timed of one network, the plain loop first: name, images/s, start-up."""
    best = "bf16" if has_fast_bf16(settings.device) else "fp32"
    precisions = list(dict.fromkeys(["fp32", best]))
    yield "plain loop", *timed("plain", settings, options)
    for precision in precisions:
        chosen = replace(settings, precision=precision)
        yield f"engine {precision}", *timed("engine", chosen, options)
    if options.pair:
        chosen = replace(settings, precision=best)
        yield f"two at once {best}", *timed("engine", chosen, options, 2)
    if options.probe:
        chosen = replace(settings, precision="fp32", **PROBED)
        yield "engine fp32, probed", *timed("engine", chosen, options)
    for precision in precisions if settings.device == "cpu" else []:
        chosen = replace(settings, precision=precision)
        yield f"convolutions alone {precision}", *timed("floor", chosen, options)


def measure(options, path: Path) -> None:
    """Write one row per turn, once measured, with its ratio to the plain loop just before.

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
                plain = None
                for what, speed, start_up in turns(settings, options):
                    plain = plain or speed
                    writer.writerow([name, what, repeat, speed, speed / plain, start_up])
                    said = f"{name} {what}: {speed:,.0f} images/s, {start_up:.1f} s"
                    print(said, flush=True)


def report(table: pd.DataFrame) -> None:
    speeds = table.groupby(["network", "what"], sort=False)["images_per_second"].median()
    for (network, what), group in table.groupby(["network", "what"], sort=False):
        speed = speeds[network, what]
        line = f"{network:<12} {what:<18} {speed:>10,.0f} images/s"
        line += f"   × {statistics.median(group['ratio']):.2f}"
        if torch.cuda.is_available() and what == "engine bf16":
            step = 1e6 * NETWORKS[network].batch_size / speed
            share = FLOOR_MICROSECONDS[network] / step
            line += f"   {step:,.0f} µs a step, floor {share:.0%}"
        floor = f"convolutions alone {what[-4:]}"
        if (network, floor) in speeds and what != floor:
            line += f"   {speed / speeds[network, floor]:.0%} of the floor"
        if what == "engine fp32, probed":
            counted = 1 + PROBED["landscape_points"] / PROBED["landscape_every"]
            cost = speeds[network, "engine fp32"] / speed
            line += f"   {cost:.2f} × the time of a step, counted {counted:.2f}"
        print(line)


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
        axis.set_ylabel("images/s, plain loop = 1")
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
    parser.add_argument("--pair", action="store_true")
    parser.add_argument("--probe", action="store_true")
    options = parser.parse_args()
    datasets.make((NETWORKS[name].dataset for name in options.networks), options.data)
    measure(options, options.out / "throughput.csv")
    table = pd.read_csv(options.out / "throughput.csv")
    draw(table, options.out / "throughput.svg")
    report(table)


if __name__ == "__main__":
    main()
