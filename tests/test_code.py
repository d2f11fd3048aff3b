"""Which code a result depends on: what it imports, and nothing that cannot change it."""

import ast
import copy
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from conftest import ROOT, TINY, run, succeed
from gradscape.base.paths import PACKAGE
from gradscape.config.experiment import Experiment
from gradscape.pipeline import dependencies
from gradscape.pipeline.jobs import Dag

MODULES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix(): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if "share" not in path.parts
}
RUN = SimpleNamespace(study="tiny", run="vgg08_lr1e-3_seed0")


@pytest.fixture(scope="module")
def stale() -> dict[str, set[str]]:
    """Of each module, the jobs of the tiny grid that run again when it changes."""
    config = copy.deepcopy(yaml.safe_load(TINY))
    config["studies"]["tiny"]["claims"] = "report/claims/precision.yaml"
    dag = Dag(Experiment(config))

    def job(**wildcards) -> SimpleNamespace:
        return SimpleNamespace(**vars(RUN), **wildcards)

    jobs = {
        "train": dependencies.of(dependencies.TRAINING) + dag.training_code(RUN),
        "probe surface": dependencies.of(dependencies.PROBING)
        + dag.probe_code(job(probe="surface")),
        "probe hessian": dependencies.of(dependencies.PROBING)
        + dag.probe_code(job(probe="hessian")),
        "figure curves": dag.figure_code(job(figure="curves")),
        "figure surface": dag.figure_code(job(figure="surface")),
        "claims": dag.claims_code(RUN),
        "table": dag.table_code(job(table="smoothness")),
        "report": dag.template(SimpleNamespace(document="tiny")),
    }
    inputs = {name: {Path(f).resolve() for f in files} for name, files in jobs.items()}
    return {
        module: {name for name, files in inputs.items() if path in files}
        for module, path in MODULES.items()
    }


@pytest.mark.parametrize(
    ("module", "jobs"),
    {
        "models/vgg_edinburgh": {"train", "probe surface", "probe hessian"},
        "models/vgg_a": set(),
        "training/train": {"train"},
        "training/step": {"train"},
        "training/losses": {"train"},
        "training/optimisers": {"train"},
        "training/schedules": {"train"},
        "training/augmentation": {"train", "probe surface", "probe hessian"},
        "training/gradients": {"train"},
        "data/splits": {"train", "probe surface", "probe hessian"},
        "data/datasets": set(),
        "probes/surface": {"probe surface", "probe hessian"},
        "probes/trained": {"probe surface", "probe hessian"},
        "figures/curves": {"figure curves"},
        "figures/loss_surface": {"figure surface"},
        "figures/style": {"figure curves", "figure surface"},
        "runs/run": {"figure curves", "figure surface", "claims", "table", "report"},
        "claims/tables": {"claims", "table", "report"},
        "claims/metrics": {"claims"},
        "report/literature": {"report"},
        "report/latex": {"report"},
        "claims/verdicts": {"claims", "report"},
        "training/trackers": set(),
        "runs/record": set(),
        "training/lease": set(),
        "base/files": set(),
        "spec/settings": set(),
        "cli/parser": set(),
        "pipeline/cost": set(),
    }.items(),
)
def test_a_module_that_changes_makes_again_what_depends_on_it(stale, module, jobs):
    assert stale[module] == jobs


def test_nothing_trains_again_for_figures_tables_or_words(stale):
    rooms = ("figures/", "runs/", "claims/", "report/", "cli/", "probes/")
    assert not [m for m in stale if m.startswith(rooms) and "train" in stale[m]]


def test_every_exemption_is_a_module():
    assert MODULES.keys() >= dependencies.WITHOUT_EFFECT


# From the ground up. A room may import those below it, and so there is no circle of rooms.
FLOORS = ["base", "spec", "data", "models", "config", "runs", "training", "probes"]
FLOORS += ["claims", "figures", "report", "pipeline", "cli"]


def room(module: str) -> str:
    return module.split("/")[0]


def imported(path: Path) -> set[str]:
    found = {p.relative_to(PACKAGE).with_suffix("") for p in dependencies.imports(path)}
    return {module.as_posix() for module in found}


def test_no_room_imports_upwards_and_no_module_is_long():
    for module, path in MODULES.items():
        assert len(path.read_text().splitlines()) <= 350, module
        if "/" in module:
            below = FLOORS[: FLOORS.index(room(module)) + 1]
            above = {m for m in imported(path) if "/" in m and room(m) not in below}
            assert not above, (module, above)


# What one has to know to change anything: the way from a learning rate to a sentence in
# docs/architecture.md, and the ground that it stands on.
TRUNK = [
    "base/errors",
    "base/files",
    "base/paths",
    "spec/settings",
    "spec/study",
    "spec/options",
    "spec/registry",
    "spec/quantity",
    "config/yaml",
    "config/expand",
    "config/experiment",
    "runs/record",
    "runs/run",
    "training/train",
    "training/loop",
    "training/step",
    "training/minibatches",
    "training/forward",
    "training/optimisers",
    "training/schedules",
    "training/save",
    "probes/trained",
    "claims/sides",
    "claims/metrics",
    "claims/evidence",
    "claims/inference",
    "claims/verdicts",
    "claims/registered",
    "claims/sentences",
    "claims/files",
    "report/view",
    "report/escape",
    "report/template",
    "report/latex",
    "pipeline/jobs",
    "pipeline/once",
    "cli/commands",
]


def test_the_trunk_is_read_in_an_evening():
    way = (ROOT / "docs" / "architecture.md").read_text("utf-8").split("\n## ")[2]
    assert set(re.findall(r"`(\w+/\w+)\.py`", way)) <= {*TRUNK}
    assert (
        sum(len(MODULES[module].read_text("utf-8").splitlines()) for module in TRUNK)
        <= 7000
    )


TORCH_TOO = {"pipeline/cost"}


def test_only_training_probing_and_networks_import_torch():
    for module, path in MODULES.items():
        if room(module) in ("training", "models", "probes") or module in TORCH_TOO:
            continue
        for node in ast.parse(path.read_text()).body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [n for n in names if n.split(".")[0] == "torch"], module


def test_no_test_module_imports_another():
    for path in Path(__file__).parent.rglob("test_*.py"):
        assert "\nfrom test_" not in path.read_text(), path.name


BINARY = ("os", "Image", "tarfile", "zipfile", "zip")  # whose `open` opens no text


def test_texts_are_utf8_whatever_the_locale():
    """No file is opened as text, and no program's output read, without its encoding."""
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            name, keywords = node.func.attr, {word.arg for word in node.keywords}
            owner = ast.unparse(node.func.value).split(".")[-1]
            modes = [a.value for a in node.args if isinstance(a, ast.Constant)]
            told = {
                "read_text": bool(node.args),
                "write_text": len(node.args) > 1,
                "open": owner in BINARY or any("b" in str(mode) for mode in modes),
            }.get(name, "text" not in keywords)
            assert told or "encoding" in keywords, (module, node.lineno)


@pytest.mark.parametrize("locale", ["C", "POSIX"])
def test_words_reach_a_terminal_that_lacks_letters(locale):
    """They are spelt as codes; nothing ends in a traceback."""
    plain = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    folder = ROOT / "results" / "published" / "engine"
    said = succeed("gradscape", "runs", "--config", folder / "config.json", **plain)
    assert "reference/" in said
    failed = run("gradscape", "runs", "--config", "µ—×.yaml", **plain)
    assert failed.returncode == 2 and "Traceback" not in failed.stderr
