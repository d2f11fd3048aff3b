"""A run's folder as its files have it, and whether these agree with each other."""

import hashlib
import json
import math
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

HOME = Path(__file__).resolve().parents[2]


class Run:
    """A folder of runs/<study>/."""

    def __init__(self, folder):
        self.folder, self.name = folder, folder.name
        self.record = json.loads((folder / "run.json").read_text("utf-8"))
        self.settings, self.data = self.record["settings"], self.record["data"]
        self.backend = self.record["backend"]
        self.varied = self.record["varied"]
        self.variant = label_of(self.varied)
        self.traits = self.settings | {"variant": self.variant}
        self.model, self.rate = self.settings["model"], self.settings["learning_rate"]
        self.seed = self.settings["seed"]
        self.chance = math.log(self.data["classes"])
        self.commit = self.record["revision"]["commit"] or "unknown"
        self.probes = {}
        replaced = folder / "replaced.json"
        self.replaced = json.loads(replaced.read_text("utf-8")) if replaced.exists() else []

    @property
    def device(self):
        """docs/statistics.md: an old record's AVX-512 is of unknown kind, and its training
        means are over minibatches."""
        kind = self.backend["kind"]
        if kind == "CPU AVX512":
            return None
        kind = "CPU AVX2, no bf16" if kind == "CPU AVX2" else kind
        return kind, self.backend["torch"], self.older

    @property
    def older(self):
        """Are its training means over unequal minibatches?"""
        size = self.settings.get("batch_size", 100)
        uneven = self.data["train"] > size and self.data["train"] % size > 0
        return self.record.get("version", 1) == 1 and uneven

    def is_one_of(self, where):
        wanted = {k: v if isinstance(v, list) else [v] for k, v in where.items()}
        return all(self.traits[key] in values for key, values in wanted.items())

    def csv(self, name):
        path = self.folder / name
        return pd.read_csv(path) if path.exists() else None

    @cached_property
    def metrics(self):
        return self.csv("metrics.csv")

    @cached_property
    def test(self):
        return self.csv("test.csv")

    @cached_property
    def steps(self):
        with np.load(self.folder / "steps.npz") as packed:
            return {name: packed[name] for name in packed.files}

    @property
    def loss(self):
        return self.steps["loss"]

    @property
    def epoch_steps(self):
        return int(self.steps["steps_per_epoch"])

    @cached_property
    def gradients(self):
        """[epochs, tensors], and the tensors' names."""
        with np.load(self.folder / "gradients.npz") as packed:
            names = [str(name) for name in packed["layer"]]
            return packed["mean_absolute_gradient"].reshape(-1, len(names)), names

    @cached_property
    def right(self):
        path = self.folder / "predictions.npz"
        if not path.exists():
            return None
        with np.load(path) as packed:
            return packed["right"]

    def probe(self, name):
        if name not in self.probes:
            self.probes[name] = self.csv(f"probes/{name}.csv")
        return self.probes[name]

    @cached_property
    def scores(self):
        """The best epoch's scores, the last one's, and what the record says."""
        table, record = self.metrics, self.record
        values = table["val_accuracy"].tolist()
        best = max(range(len(values)), key=lambda i: (values[i] == values[i], values[i]))
        best, last = table.iloc[best], table.iloc[-1]
        tested = {int(row["epoch"]): row for _, row in self.test.iterrows()}
        end = tested.get(len(table), {"test_accuracy": math.nan})
        scores = {name: best[name] for name in ACCURACIES[:-1]}
        scores |= {"train_loss": best["train_loss"], "val_loss": best["val_loss"]}
        scores |= {name: self.test.iloc[0][name] for name in ("test_loss", "test_accuracy")}
        for name in ("train_loss", "train_accuracy", "val_accuracy"):
            scores[f"final_{name}"] = last[name]
        scores |= {"final_test_accuracy": end["test_accuracy"], "epochs": len(table)}
        scores |= {"best_epoch": int(best["epoch"])}
        for name in ("parameters", "flops", "diverged", "seconds_training"):
            scores[name] = record[name]
        return scores | {"images_per_second": record["images_per_second"]}


ACCURACIES = ("train_accuracy", "val_accuracy", "test_accuracy")


def label_of(varied):
    """`schedule-constant_long`: a variant by its name, a setting with its value."""
    parts = []
    for key, value in varied.items():
        parts.append(value if key == "variant" else f"{key.replace('_', '-')}-{value}")
    return "_".join(parts)


def check_files(run, where, problems):
    """Digests against the record, the record's own, and what the two say twice."""
    for name, digest in run.record["sha256"].items():
        path = run.folder / name
        if not path.exists():
            problems.say(where, f"{name} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            problems.say(where, f"{name} is not what run.json has the digest of")
    expected = run_name(run)
    if run.name != expected or run.record["run"] != run.name:
        problems.say(where, f"the folder holds the run {run.record['run']} ({expected})")
    if run.record["study"] != run.folder.parent.name:
        problems.say(where, f"its record is of the study {run.record['study']}")
    best = run.scores["best_epoch"]
    problems.compare(f"{where}/run.json: best_epoch", run.record["best_epoch"], best)
    problems.compare(f"{where}/test.csv: epoch", int(run.test["epoch"].iloc[0]), best)
    if run.right is not None:
        accuracy = run.test["test_accuracy"].iloc[0]
        problems.compare(
            f"{where}/predictions.npz", float(run.right.mean()), accuracy, 1e-9
        )
    epochs = run.loss.astype(float)[: len(run.metrics) * run.epoch_steps]
    if run.record["diverged"] is None:  # each epoch is whole
        means = epochs.reshape(len(run.metrics), -1).mean(axis=1).tolist()
        printed = run.metrics["train_loss"].tolist()
        problems.compare(f"{where}/metrics.csv: train_loss", printed, means, 1e-9)
        problems.compare(f"{where}/steps.npz: loss", len(run.loss), len(epochs))
        problems.compare(f"{where}/gradients.npz", len(run.gradients[0]), len(run.metrics))


def run_name(run):
    mantissa, exponent = f"{run.rate:.6e}".split("e")
    rate = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    parts = [run.model, f"lr{rate}", f"seed{run.seed}", run.variant]
    return "_".join(part for part in parts if part)
