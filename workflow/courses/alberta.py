"""Alberta CMPUT 328, assignment 6 (2019): sections D, what is handed in, and E, the marks.

One file that stands alone, and the saved model. The network is the one with the best
validation accuracy among those that meet all requirements of section A.
"""

import ast
import inspect
import io
import re
import tempfile
import time
from importlib import import_module
from pathlib import Path

from gradscape.base.errors import GradscapeError
from gradscape.base.files import say
from gradscape.cli.submission import FILES, Files, HandIn
from gradscape.runs.run import FinishedRun
from gradscape.spec.registry import own_module
from gradscape.spec.study import matches

TITLE = "A small residual network for CIFAR-10"
STUDIES = ["accuracy"]
STUDENT = r"\d{5,10}"
EXAMPLE = "1234567"
ARCHIVE = "Assignment6-{}"

NOTHING, FULL = 0.65, 0.80  # test accuracies, with marks in proportion in between
IMAGES, MAX_SECONDS, LONG = 10_000, 100, 60  # of testing, by section E; what is warned of
TIMED = 100  # images, of which the time for all is inferred
# What a6.py can train; the optimiser is free.
WRITTEN = {"model": "resnet-small", "loss": "cross_entropy", "augmentation": "crop-flip"}
WRITTEN |= {"schedule": "cosine", "l1": 0.0, "final_learning_rate": 0.0}
WRITTEN |= {"normalisation": "cifar10"}


def alberta(work: HandIn) -> Files:
    """`a6.py` and the model that it loads. Says the marks and the time to expect."""
    run = chosen(work.runs)
    model, text = f"model_{work.student}.pt", script(run, work.student)
    content = {"a6.py": text.encode(), model: weights(run)}
    accuracy, seconds = run.test["test_accuracy"], seconds_of_testing(content)
    say(
        f"{run.path.name}: test accuracy {accuracy:.4f}, {score(accuracy):.2f} of the "
        f"marks; testing {IMAGES:,} images one at a time takes about {seconds:.0f} s here"
    )
    if seconds > LONG:
        say(f"the limit is {MAX_SECONDS} s on another CPU: choose a narrower network")
    return content


def score(accuracy: float) -> float:
    """The share of the marks, from 0 to 1, for a test accuracy."""
    return min(max((accuracy - NOTHING) / (FULL - NOTHING), 0.0), 1.0)


def chosen(runs: list[FinishedRun]) -> FinishedRun:
    """The best on validation of the networks that meet every requirement."""
    refused = {}
    for run in sorted(runs, key=lambda run: -run.best["val_accuracy"]):
        if not matches(run.settings, WRITTEN):
            refused[run.path.name] = "another recipe than a6.py has"
        elif missing := unmet(network(run)):
            refused[run.path.name] = f"no {', '.join(missing)}"
        else:
            return run
    reasons = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
    raise GradscapeError(f"alberta: no network meets the requirements ({reasons})")


def network(run: FinishedRun):
    from gradscape.models import build

    return build(run.model, run.record["data"]["classes"], run.rerun().settings)


def unmet(model) -> list[str]:
    """Which of the requirements (a) to (g) of section A a network does not meet.

    Read from its graph, which torch traces. A layer is counted by the activation that it
    leads into, if that is a module. Normalisation must neither come first nor last.
    """
    from torch import fx, nn

    from gradscape.models.blocks import ACTIVATIONS

    graph, modules = fx.symbolic_trace(model).graph, dict(model.named_modules())
    calls = [modules[n.target] for n in graph.nodes if n.op == "call_module"]
    calls = [m for m in calls if not isinstance(m, nn.Identity)]

    def has(*kinds, where=lambda module: True) -> bool:
        return any(isinstance(m, kinds) and where(m) for m in calls)

    layers = sum(isinstance(m, tuple(ACTIVATIONS.values())) for m in calls)
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    inside = [i for i, m in enumerate(calls) if isinstance(m, norms)]
    linear = [i for i, m in enumerate(calls) if isinstance(m, nn.Conv2d | nn.Linear)]
    met = {
        "five layers (a)": layers >= 5,
        "convolution (b)": has(nn.Conv2d),
        "fully connected layer at the end (c)": isinstance(calls[-1], nn.Linear),
        "pooling or strided convolution (d)": has(nn.MaxPool2d)
        or has(nn.Conv2d, where=lambda m: max(m.stride) > 1),
        "batch normalisation inside (e)": bool(inside)
        and linear[1] < inside[0]
        and inside[-1] < linear[-1],
        "dropout (f)": has(nn.Dropout, nn.Dropout2d, where=lambda m: m.p > 0),
        "skip connection (g)": any(map(is_skip, graph.nodes)),
    }
    return [name for name, is_met in met.items() if not is_met]


def is_skip(node) -> bool:
    """Does a node of the graph add something to what it was itself computed from?"""
    if getattr(node.target, "__name__", node.target) not in ("add", "iadd", "add_"):
        return False
    terms = node.all_input_nodes
    return len(terms) == 2 and any(
        other in behind(term) for term, other in (terms, reversed(terms))
    )


def behind(node) -> set:
    """All nodes of the graph that a node is computed from."""
    found, waiting = set(), [*node.all_input_nodes]
    while waiting:
        here = waiting.pop()
        if here not in found:
            found.add(here)
            waiting += here.all_input_nodes
    return found


def script(run: FinishedRun, student: str) -> str:
    """`a6.py` for a run: its recipe, and the package's source where it is imported."""
    settings, model = run.settings, inspect.signature(type(network(run))).parameters
    default = {name: model[name].default for name in ("width", "activation", "dropout")}
    given = {name: settings[name] for name in default if settings[name] is not None}
    options = {"lr": settings["learning_rate"], "weight_decay": settings["weight_decay"]}
    if settings["optimiser"] in ("sgd", "muon"):
        options["momentum"] = settings["momentum"]
    if settings["optimiser"] == "sgd":
        options["nesterov"] = settings["nesterov"]
    names = ("seed", "epochs", "batch_size", "optimiser", "warmup_epochs")
    recipe = {name: settings[name] for name in (*names, "label_smoothing")}
    recipe["options"] = options
    text = (FILES / "alberta" / "a6.py").read_text().replace("YOURIDNUMBER", student)
    for constant, values in (("NETWORK", default | given), ("RECIPE", recipe)):
        lines = [
            f'    "{key}": {value!r},'.replace("'", '"') for key, value in values.items()
        ]
        written = "\n".join([f"{constant} = {{", *lines, "}"])
        text = re.sub(rf"(?ms)^{constant} = \{{.*?\}}$", written, text)
    for imports in reversed(re.findall(r"(?m)^from gradscape.*\n", text)):
        part = "# 3. Training\n" if "engine" in imports else "# 2. The network\n"
        head, tail = text.replace(imports, "").split(part)
        text = f"{head}{part}\n{source(imports)}\n{tail}"
    return text.replace("CIFAR10\n\n", "CIFAR10\n", 1)


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
    return "\n".join(found).strip() + "\n\n"


def weights(run: FinishedRun) -> bytes:
    """The best epoch's weights, from which a6.py tests and trains on."""
    import torch

    from gradscape.training.record import read_weights

    content = io.BytesIO()
    saved = {"model": read_weights(run.path / "model.pt")["best"]}
    epoch, accuracy = int(run.best["epoch"]), float(run.best["val_accuracy"])
    torch.save(saved | {"epoch": epoch, "accuracy": accuracy}, content)
    return content.getvalue()


def seconds_of_testing(content: Files) -> float:
    """How long the packed test takes here for all images, inferred from a few of noise."""
    import torch

    images, threads = torch.randn(TIMED, 1, 3, 32, 32), torch.get_num_threads()
    with tempfile.TemporaryDirectory(prefix="gradscape-") as folder:
        for name, data in content.items():
            (Path(folder) / name).write_bytes(data)
        (weights,) = Path(folder).glob("*.pt")
        packed = own_module(Path(folder) / "a6.py")
        packed.MODEL = str(weights)
        model = packed.load_model()
    start = time.perf_counter()
    with torch.inference_mode():
        for image in images:
            model(image)
    torch.set_num_threads(threads)
    return (time.perf_counter() - start) * IMAGES / TIMED
