"""A finished run's files: tables, arrays, weights and `run.json`."""

import platform
import resource
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gradscape.base.files import atomic_write, write_csv
from gradscape.base.paths import RECORD
from gradscape.data.store import Dataset
from gradscape.models import sealed
from gradscape.models.anatomy import weights
from gradscape.models.blocks import parameter_count
from gradscape.runs.record import VERSION, Data, Revision, RunRecord, write
from gradscape.spec.study import Run
from gradscape.training.history import History
from gradscape.training.landscape import landscape_arrays
from gradscape.training.loop import Training
from gradscape.training.step import evaluate


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with atomic_write(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)


def step_arrays(history: History) -> dict[str, np.ndarray]:
    """The arrays that hold a value a step; config/README.md explains the names."""
    arrays = {
        name: torch.cat([epoch[name] for epoch in history.steps]).numpy()
        for name in history.steps[0]
        if name != "accuracy"
    }
    arrays["steps_per_epoch"] = np.array(len(history.steps[0]["loss"]))
    return arrays | (landscape_arrays(history.probes) if history.probes else {})


def gradient_arrays(training: Training) -> dict[str, np.ndarray]:
    """Gradient flow [epochs, layers], and of each layer its kind and the place of its first
    call, by which it is as deep as it is, or -1 if no gradient reaches it; and the layers
    that are `frozen`."""
    known, tried = training.weights, training.tried
    places = [-1 if name in tried.absent else w.call for name, w in known.items()]
    return {
        "mean_absolute_gradient": np.array(training.history.gradients, np.float32),
        "layer": np.array(list(known)),
        "kind": np.array([weight.kind for weight in known.values()]),
        "call": np.array(places),
        "frozen": np.array(list(weights(training.model, tried.calls, False)), str),
    }


def test_scores(
    training: Training, last: dict[str, Tensor]
) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Loss and accuracy on the test images: of the epoch with the best validation accuracy,
    as the courses ask, and of the last if that is another. And the best one's answers: the
    class that each image is taken for, the confidence in it, 0 to 255, and if it is right.
    """
    images, history = training.test(), training.history
    moments = {history.best["epoch"]: history.best["model"], history.epoch: last}
    rows, found = [], []
    for epoch, state in moments.items():
        training.model.load_state_dict(state)
        loss, accuracy, logits = evaluate(training.model, images, training.backend)
        found.append(logits)
        scores = history.metrics[epoch - 1].items()
        clean = {name: score for name, score in scores if name.startswith("clean_")}
        rows.append({"epoch": epoch, "test_loss": loss, "test_accuracy": accuracy} | clean)
    confidence, predicted = found[0].softmax(1).max(dim=1)
    smallest = np.min_scalar_type(logits.shape[1] - 1)  # that holds all classes
    answers = {
        "predicted": predicted.cpu().numpy().astype(smallest),
        "confidence": (255 * confidence.nan_to_num()).round().byte().cpu().numpy(),
        "right": (predicted == images.labels).cpu().numpy(),
    }
    return rows, answers


def one_object_each(settings: dict) -> dict:
    """Settings whose equal texts are one object: a pickle refers to an object that it holds
    already, so that its bytes would tell where a text came from."""
    return {
        sys.intern(key): sys.intern(value) if isinstance(value, str) else value
        for key, value in settings.items()
    }


def write_results(
    training: Training, run: Run, dataset: Dataset, out: Path, wall_seconds: float
) -> None:
    model, history = training.model, training.history
    saved = {
        "settings": one_object_each(asdict(run.settings)),
        "classes": dataset.classes,
        "best": history.best["model"],
        "last": training.weights_now(),
        "layout": training.backend.layout,
    }
    scores, predictions = test_scores(training, saved["last"])
    write_csv(out / "metrics.csv", history.metrics)
    write_csv(out / "timing.csv", history.timing)
    write_csv(out / "test.csv", scores)
    write_arrays(out / "predictions.npz", predictions)
    write_arrays(out / "steps.npz", step_arrays(history))
    write_arrays(out / "gradients.npz", gradient_arrays(training))
    sealed.save(out / "model.pt", saved)
    seconds = sum(row["seconds"] for row in history.timing)
    versions = {"python": platform.python_version(), "torch": str(torch.__version__)}
    versions["numpy"] = np.__version__
    finished = RunRecord(
        study=run.study,
        run=run.name,
        varied=run.varied,
        settings=asdict(run.settings),
        data=Data(
            name=dataset.name,
            source=dataset.source,
            classes=len(dataset.classes),
            sha256=dataset.checksum,
            train=training.train.count,
            validation=training.scored["val"].count,
            test=len(dataset.labels) - dataset.train,
        ),
        parameters=parameter_count(model),
        flops=training.tried.flops,
        pretrained_sha256=training.weights_sha256,
        best_epoch=history.best["epoch"],
        diverged=history.epoch if history.diverged else None,
        backend=training.backend,
        seconds_training=seconds,
        seconds_probing=history.seconds_probing,
        seconds_last_attempt=wall_seconds,
        images_per_second=training.train.count * len(history.timing) / seconds,
        peak_memory_bytes={
            "host": host_peak(),
            "gpu": torch.cuda.max_memory_allocated() if training.backend.is_cuda else None,
        },
        resumed=history.resumed,
        revision=Revision(**history.revision),
        versions=versions,
        version=VERSION,
    )
    write(out / RECORD, finished)


def host_peak() -> int:
    """Bytes of memory; the system counts in KiB, on macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
