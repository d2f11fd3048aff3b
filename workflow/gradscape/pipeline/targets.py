"""Names of what can be made, for one who mistypes them."""

from pathlib import Path

from gradscape.base.errors import suggest
from gradscape.base.paths import CONFIGS, nearby
from gradscape.config.experiment import Experiment
from gradscape.config.yaml import read_yaml

TARGETS = ["all", "runs", "figures", "report"]


def no_rule(experiment: Experiment, target: str) -> str:
    """A sentence on a target that the configuration does not make."""
    root, folder = experiment.results.root, Path(target).parent
    if Path(target).suffix == ".pdf" and folder != root:
        files = [path for path in CONFIGS.glob("*.yaml") if made_in(path) == folder]
        name = files[0] if files else folder / experiment.results.config.name
        return (
            f"{target}: this configuration's results are in {root}; name another with "
            f"--configfile, such as {nearby(name)}"
        )
    documents = experiment.documents_of([*experiment.studies])
    known = [*map(str, map(experiment.results.pdf, documents)), *TARGETS]
    return f"{target}: nothing makes it{suggest(target, known)}"


def made_in(config: Path) -> Path:
    return Path(read_yaml(config).get("results", ""))
