"""The configuration: read, laid over what it extends, and unfolded into studies and runs.

One run is one (study, model, learning rate, seed, …). Everything that can change its
outcome is in its `Settings`; everything else (titles, captions, threads) is not.
"""

from pathlib import Path

from gradscape import registry
from gradscape.errors import GradscapeError, suggest
from gradscape.layout import REPORT, WEIGHTS, Results, locate
from gradscape.models import pretrained_file
from gradscape.reading import read_yaml
from gradscape.schema import validate
from gradscape.study import Figure, Run, Study, matches
from gradscape.unfold import unfold_study


class Experiment:
    """A validated configuration, with the studies' runs laid out.

    `results` is the folder to use instead of the configuration's own. Raises
    `GradscapeError` with one sentence naming the key for anything wrong in it.
    """

    def __init__(self, config: dict, results: Path | None = None):
        self.config = resolve(config)
        validate(self.config)
        self.title = self.config["title"]
        self.author = self.config.get("author", "")
        self.results = Results(results or Path(self.config["results"]))
        self.data_dir = self.config.get("data_dir")
        self.threads = self.config.get("threads", 1)
        defaults = self.config.get("defaults", {})
        self.studies = {
            name: unfold_study(name, fewer_seeds(study, self.config.get("seeds")), defaults)
            for name, study in self.config["studies"].items()
        }
        self.runs = [run for study in self.studies.values() for run in study.runs]
        self.run_by_id = {run.id: run for run in self.runs}
        self.datasets = named_datasets(self.runs)

    @classmethod
    def from_file(cls, path: str | Path, results: Path | None = None) -> "Experiment":
        return cls({"extends": str(path)}, results)

    def run(self, study: str, name: str) -> Run:
        return self.run_by_id[f"{study}/{name}"]

    def figure(self, study: str, name: str) -> Figure:
        return next(f for f in self.studies[study].figures if f.name == name)

    def figure_runs(self, figure: Figure) -> list[Run]:
        runs = self.studies[figure.study].runs
        return [run for run in runs if matches(run.traits, figure.where)]

    def probed(self, runs: list[Run], names=None) -> list[tuple[Run, str]]:
        """The probes (all, or those in `names`) that the config wants of these runs."""
        return [
            (run, probe.name)
            for run in runs
            for probe in self.studies[run.study].probes.values()
            if matches(run.traits, probe.where) and (names is None or probe.name in names)
        ]

    def pretrained(self, run: Run) -> Path | None:
        """The file that a run takes its first weights from, if it does."""
        if not run.settings.pretrained:
            return None
        return Path(self.config.get("weights", downloaded_weights(run.settings.model)))

    def left_out(self, run: Run) -> bool:
        """Is the run not to be had, because its pretrained weights are not there?"""
        weights = self.pretrained(run)
        if weights is None or weights.exists():
            return False
        return not self.is_finished(run)

    def directory(self, run: Run) -> Path:
        return self.results.run(run.study, run.name)

    def is_finished(self, run: Run) -> bool:
        """Has the run come to its end? Its record is written last."""
        return self.results.record(run.study, run.name).exists()

    def documents(self, document: str = REPORT) -> list[Study]:
        """The studies of a document: of `report` all, else the one it is named after."""
        if document == REPORT:
            return list(self.studies.values())
        if document not in self.studies:
            raise GradscapeError(
                f"{document}: not a study{suggest(document, self.studies)}"
            )
        return [self.studies[document]]


def downloaded_weights(model: str) -> Path:
    """Where a model's pretrained weights are downloaded to."""
    return WEIGHTS / pretrained_file(model)


def resolve(config: dict, above: tuple[Path, ...] = ()) -> dict:
    """Lay a configuration over the one it `extends`, key by key; null drops a key.

    `above` are the files that led here.
    """
    if "extends" not in config:
        return config
    if not isinstance(config["extends"], str):
        raise GradscapeError("config: extends: the name of a file is needed")
    path = locate(config["extends"])
    if path.resolve() in above:
        raise GradscapeError(f"{path}: extends itself, in a circle of {len(above)} files")
    base = resolve(read_yaml(path), (*above, path.resolve()))
    return merge(base, {k: v for k, v in config.items() if k != "extends"})


def fewer_seeds(study: dict, seeds: int | None) -> dict:
    """A study with only the first `seeds` of the seeds in its grid."""
    grid = study.get("grid", {})
    if seeds is None or "seed" not in grid:
        return study
    return study | {"grid": grid | {"seed": grid["seed"][:seeds]}}


def merge(base: dict, over: dict) -> dict:
    merged = dict(base)
    for key, value in over.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def named_datasets(runs: list[Run]) -> dict[str, str]:
    """By the name of its folder, each dataset as the configuration calls it."""
    datasets: dict[str, str] = {}
    for run in runs:
        name = run.settings.dataset
        other = datasets.setdefault(registry.short(name), name)
        if other != name:
            raise GradscapeError(
                f"config: the datasets {other!r} and {name!r} would share one folder, "
                f"results/data/{registry.short(name)}: rename one of them"
            )
    return datasets
