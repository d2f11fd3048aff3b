"""Alberta CMPUT 328, assignment 6 (2019): sections D, what is handed in, and E, the marks.

One file that stands alone, and the saved model, of the best network that meets section A;
beside the folder, notes for the oral part.
"""

import ast
import inspect
import io
import json
import re
from importlib import import_module

import torch

from gradscape.base.errors import GradscapeError
from gradscape.base.files import say
from gradscape.base.paths import COURSES
from gradscape.cli.submission import Files, HandIn
from gradscape.models.resnet_small import ResNetSmall
from gradscape.models.sealed import read_weights
from gradscape.report.prose import mistakes
from gradscape.runs.run import FinishedRun, mean_accuracy

TITLE = "A small residual network for CIFAR-10"
STUDIES = ["accuracy"]
STUDENT = r"\d{5,10}"
EXAMPLE = "1234567"
ARCHIVE = "Assignment6-{student}"
HELP = "(name here whom you talked to, and about what)"  # in a6.py

NOTHING, FULL = 0.65, 0.80  # test accuracies, with marks in proportion in between
# The recipe of a6.py, on the images that the marks are for.
WRITTEN = {"dataset": "cifar10", "model": "resnet-small", "normalisation": "cifar10"}
WRITTEN |= {"loss": "cross_entropy", "augmentation": "crop-flip", "l1": 0.0}
WRITTEN |= {"optimiser": "muon", "schedule": "cosine", "final_learning_rate": 0.0}
RECIPE = ("seed", "epochs", "batch_size", "learning_rate", "momentum", "weight_decay")
RECIPE += ("warmup_epochs", "label_smoothing")
# The requirements of section A that a setting can undo; the network has the others.
REQUIRED = {"batch_norm": "batch normalisation (e)", "dropout": "dropout (f)"}
REQUIRED |= {"skip": "skip connection (g)"}


def alberta(work: HandIn) -> Files:
    """`a6.py` and the model that it loads. Says the marks."""
    run = chosen(work.finished)
    accuracy = run.test["test_accuracy"]
    say(
        f"{run.path.name}: accuracy {accuracy:.4f} on CIFAR-10's test images, "
        f"{score(accuracy):.2f} of the marks; `python a6.py test` prints how long they "
        "take one at a time"
    )
    if not work.helped:
        say("a6.py: name in its first comment whom you talked to, as the assignment asks")
    notes = (COURSES / "alberta" / "notes.md").read_text("utf-8")
    values = run.settings | network_options(run.settings) | {"marks": score(accuracy)}
    values["mistakes"] = commonest_mistakes(run)
    notes = notes.format_map(values | {"run": run, "last": run.metrics.iloc[-1]})
    work.beside[f"{work.archive}-notes.md"] = notes.encode() + work.declaration
    text = script(run.settings, work)
    return {"a6.py": text.encode(), f"model_{work.student}.pt": weights(run)}


def score(accuracy: float) -> float:
    """The share of the marks, from 0 to 1, for a test accuracy."""
    return min(max((accuracy - NOTHING) / (FULL - NOTHING), 0.0), 1.0)


def commonest_mistakes(run: FinishedRun) -> str:
    """The two classes that it confuses most, if its answers were probed."""
    table = run.probe("predictions") if run.is_probed("predictions") else None
    return "" if table is None else str(mistakes(table))


def chosen(runs: list[FinishedRun]) -> FinishedRun:
    """The best on validation that `a6.py` can train. Raises `GradscapeError` for none."""
    fitting = [run for run in runs if not refused(run.settings)]
    if not fitting:
        reasons = [f"{run.path.name}: {', '.join(refused(run.settings))}" for run in runs]
        raise GradscapeError(
            "alberta: no finished run meets the requirements on CIFAR-10's images "
            f"({'; '.join(reasons) or 'none is finished'})"
        )
    return max(fitting, key=lambda run: mean_accuracy([run]))


def refused(settings: dict) -> list[str]:
    """The reasons not to hand a run in; None is the network's own, which is right."""
    lacking = [f"no {REQUIRED[k]}" for k in REQUIRED if settings[k] in (False, 0)]
    return lacking + [f"{k} {settings[k]}" for k in WRITTEN if settings[k] != WRITTEN[k]]


def network_options(settings: dict) -> dict:
    """Keywords that `a6.py` gives the network: the settings, else the network's own."""
    own = inspect.signature(ResNetSmall).parameters
    names = ("width", "activation", "dropout")
    return {n: own[n].default if settings[n] is None else settings[n] for n in names}


def script(settings: dict, work: HandIn) -> str:
    """`a6.py` for a run: its recipe, and the package's source where it is imported."""
    text = (COURSES / "alberta" / "a6.py").read_text("utf-8")
    text = text.replace("YOURIDNUMBER", work.student).replace("YOURNAME", work.name)
    text = text.replace(HELP, work.helped or HELP)
    recipe = {name: settings[name] for name in RECIPE}
    for constant, values in (("NETWORK", network_options(settings)), ("RECIPE", recipe)):
        written = f"{constant} = {json.dumps(values, indent=4)}"
        text = re.sub(rf"(?ms)^{constant} = \{{.*?\}}$", written, text)
    return re.sub(r"(?m)^from gradscape.*\n", lambda found: source(found[0]), text)


def source(imports: str) -> str:
    """The text of what a line imports from one of gradscape's modules."""
    _, module, _, *wanted = re.findall(r"[\w.]+", imports)
    text = inspect.getsource(import_module(module))
    found = []
    for node in ast.parse(text).body:
        targets = [node, *getattr(node, "targets", [])]
        if {getattr(t, "name", getattr(t, "id", None)) for t in targets} & set(wanted):
            gap = "" if isinstance(node, ast.Assign) else "\n\n"
            found.append(gap + ast.get_source_segment(text, node))
    return "\n".join(found).strip() + "\n"


def weights(run: FinishedRun) -> bytes:
    """The best epoch's weights, from which a6.py tests and trains on."""
    content = io.BytesIO()
    saved = {"model": read_weights(run.path / "model.pt")["best"]}
    epoch, accuracy = int(run.best["epoch"]), float(run.best["val_accuracy"])
    torch.save(saved | {"epoch": epoch, "accuracy": accuracy}, content)
    return content.getvalue()
