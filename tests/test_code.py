"""Which code a result depends on: what it imports, and nothing that cannot change it."""

import ast
import copy
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from conftest import TINY
from gradscape import code
from gradscape.config import Experiment
from gradscape.dag import Dag
from gradscape.layout import PACKAGE

MODULES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix(): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if "share" not in path.parts and path.parent.parent.name != "courses"
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
        "train": dag.training_code(RUN),
        "probe surface": dag.probe_code(job(probe="surface")),
        "probe hessian": dag.probe_code(job(probe="hessian")),
        "figure curves": dag.figure_code(job(figure="curves")),
        "figure surface": dag.figure_code(job(figure="surface")),
        "table": dag.table_code(job(table="results")),
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
        "engine/train": {"train"},
        "engine/step": {"train"},
        "engine/losses": {"train"},
        "engine/optimisers": {"train"},
        "engine/schedules": {"train"},
        "engine/augmentation": {"train", "probe surface", "probe hessian"},
        "engine/gradient_flow": {"train"},
        "data/splits": {"train", "probe surface", "probe hessian"},
        "data/datasets": set(),
        "probes/surface": {"probe surface", "probe hessian"},
        "probes/trained": {"probe surface", "probe hessian"},
        "figures/curves": {"figure curves"},
        "figures/loss_surface": {"figure surface"},
        "figures/style": {"figure curves", "figure surface", "report"},
        "results/runs": {"figure curves", "figure surface", "table", "report"},
        "results/tables": {"table", "report"},
        "results/metrics": {"report"},
        "report/published": {"report"},
        "report/pdf": {"report"},
        "report/verdicts": {"report"},
        "engine/progress": set(),
        "engine/record": set(),
        "engine/lease": set(),
        "files": set(),
        "settings": set(),
        "cli": set(),
        "plan": set(),
    }.items(),
)
def test_a_module_that_changes_makes_again_what_depends_on_it(stale, module, jobs):
    assert stale[module] == jobs


def test_nothing_trains_again_for_figures_tables_or_words(stale):
    rooms = ("figures/", "results/", "report/", "courses/", "probes/")
    assert not [m for m in stale if m.startswith(rooms) and "train" in stale[m]]


def test_every_exemption_is_a_module():
    assert MODULES.keys() >= code.WITHOUT_EFFECT


def test_no_room_imports_upwards_and_no_module_is_long():
    """Engine, probes and figures know settings, not configurations, reports or commands."""
    upper = {"config", "unfold", "schema", "dag", "cli", "plan", "code"}
    for module, path in MODULES.items():
        lines = path.read_text().splitlines()
        assert len(lines) <= 350, module
        if module.split("/")[0] in ("engine", "probes", "figures", "models", "data"):
            imported = {
                p.relative_to(PACKAGE).with_suffix("").as_posix()
                for p in code.imports(path)
            }
            wrong = {m for m in imported if m in upper or m.startswith("report/")}
            assert not wrong, (module, wrong)


def test_only_training_probing_and_networks_import_torch():
    for module, path in MODULES.items():
        if module.split("/")[0] in ("engine", "models", "probes") or module == "plan":
            continue
        for node in ast.parse(path.read_text()).body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [n for n in names if n.split(".")[0] == "torch"], module


def test_no_test_module_imports_another():
    for path in Path(__file__).parent.rglob("test_*.py"):
        assert "\nfrom test_" not in path.read_text(), path.name
