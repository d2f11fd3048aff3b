"""The configuration: read, laid over what it extends, and expanded into studies and runs.
Everything that can change a run's outcome is in its `Settings`, and nothing else is."""

import math
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import yaml

from gradscape.base.errors import GradscapeError, suggest
from gradscape.base.paths import DATA_LOGS, REPORT, WEIGHTS, Results, locate
from gradscape.config.checks import look_up
from gradscape.config.expand import expand_study, grids
from gradscape.config.schema import validate
from gradscape.config.spelling import modernise
from gradscape.config.yaml import check_plain, numbers, read_yaml
from gradscape.models import named_after, pretrained_file
from gradscape.spec import registry
from gradscape.spec.study import Figure, Run, Study, matches

FOLDER = re.compile(r"[^-./{}\n][^/{}\n]{0,99}")  # of a dataset
RESERVED = {DATA_LOGS, WEIGHTS.name}
MAX_CHAIN = 100  # of files that extend each other
MAX_RUNS = 20_000  # of a study, unless the configuration says another number


class Experiment:
    """A validated configuration and its runs; `results` is a folder to use instead of its
    own. Raises `GradscapeError`, which names the key that is wrong."""

    def __init__(self, config: dict, results: Path | None = None):
        self.config = assigned(resolve(config))
        validate(self.config)
        check_count(self.config)
        self.title = self.config["title"]
        self.author = self.config.get("author", "")
        self.date = self.config.get("date", "")
        self.results = Results(results or Path(self.config["results"]).expanduser())
        validate(str(self.results), "results", "path")
        self.file = self.results.config  # it was read from, or is kept in
        self.data_dir = self.config.get("data_dir")
        self.threads = int(self.config.get("threads", 1))
        seeds, defaults = self.config.get("max_seeds"), self.config.get("defaults", {})
        studies = {
            name: expand_study(name, fewer_seeds(study, seeds), defaults)
            for name, study in self.config["studies"].items()
        }
        for study in studies.values():
            named = {side["study"] for _, side in study.sides if "study" in side}
            study.others.update({n: studies[n] for n in studies if n in named})
        self.studies = studies
        self.runs = [run for study in self.studies.values() for run in study.runs]
        self.run_by_id = {run.id: run for run in self.runs}
        self.datasets = named_datasets(self.runs)
        given = self.config.get("courses", {})
        check_courses(given, self.studies)
        self.courses = {name: what for name, what in given.items() if self.of_course(name)}

    @classmethod
    def from_file(
        cls, path: str | Path, results: Path | None = None, changes: Sequence[str] = ()
    ) -> "Experiment":
        """The experiment of a file, with `changes` of keys: `studies.mine.epochs=2`."""
        made = cls({"extends": str(path), "set": [*changes]}, results)
        made.file = Path(path)
        return made

    def snakemake(self, target: str | Path) -> str:
        """The whole command that makes a target of this configuration."""
        words = ["snakemake", str(target), "--cores", "2", "--configfile", str(self.file)]
        if str(self.results) != str(Path(self.config["results"])):
            words += ["--config", f"results={self.results}"]
        return shlex.join(words)

    def gradscape(self, command: str) -> str:
        """The whole command of gradscape's own on this configuration."""
        words = [] if self.file == self.results.config else ["--config", str(self.file)]
        if not words or str(self.results) != str(Path(self.config["results"])):
            words += ["--results", str(self.results)]
        return f"gradscape {command} {shlex.join(words)}"

    def run(self, study: str, name: str) -> Run:
        return self.run_by_id[f"{study}/{name}"]

    def figure(self, study: str, name: str) -> Figure:
        return next(f for f in self.studies[study].figures if f.name == name)

    def figure_runs(self, figure: Figure) -> list[Run]:
        runs = self.studies[figure.study].runs
        return [run for run in runs if matches(run.traits, figure.where)]

    def probed(self, runs: list[Run], names=None) -> list[tuple[Run, str]]:
        """The probes (all, or those in `names`) that the config wants for these runs."""
        return [
            (run, name)
            for run in runs
            for name, _ in self.studies[run.study].measures[run.name]
            if names is None or name in names
        ]

    def pretrained(self, run: Run) -> Path | None:
        """The file that a run takes its first weights from, if it starts from one: that of
        the configuration, unless it is named after another network's."""
        if not run.settings.pretrained:
            return None
        own = downloaded_weights(run.settings.model)
        given = Path(self.config.get("weights", own))
        return own if named_after(given) not in (None, run.settings.model) else given

    def left_out(self, run: Run) -> bool:
        """Tell whether a run cannot be made, since its pretrained weights are missing."""
        weights = self.pretrained(run)
        return bool(weights and not weights.exists() and not self.is_finished(run))

    def directory(self, run: Run) -> Path:
        return self.results.run(run.study, run.name)

    def is_finished(self, run: Run) -> bool:
        """Tell whether a run is finished: its record is written last."""
        return self.results.record(run.study, run.name).exists()

    def documents(self, document: str = REPORT) -> list[Study]:
        """The studies of a document: all for `report`, a course's in its order and those
        that it quotes, else the one that the document is named after."""
        if document == REPORT:
            return list(self.studies.values())
        if document in self.courses:
            return self.of_course(document) + self.of_course(document, "CITED")
        if document not in self.studies:
            hint = suggest(document, [*self.studies, *self.courses])
            raise GradscapeError(f"{document}: neither a study nor a course{hint}")
        return [self.studies[document]]

    def title_of(self, document: str) -> str:
        if document in self.courses:
            return registry.declared("course", document, "TITLE", document)
        return self.studies[document].title if document in self.studies else self.title

    def documents_of(self, studies: list[str]) -> list[str]:
        """All documents that studies with runs have: the report, theirs, their courses'."""
        wanted = {c: {study.name for study in self.of_course(c)} for c in self.courses}
        courses = [course for course, names in wanted.items() if names & {*studies}]
        return [REPORT, *studies, *courses]

    def of_course(self, course: str, which: str = "STUDIES") -> list[Study]:
        """A course's studies, or those it has `CITED`, of those in the configuration."""
        names = registry.declared("course", course, which, [])
        return [self.studies[name] for name in names if name in self.studies]


def check_count(config: dict) -> None:
    """Raise `GradscapeError` for more runs than are meant, before they are expanded."""
    most = config.get("max_runs", MAX_RUNS)
    for name, study in config["studies"].items():
        each = [math.prod(map(len, grid.values())) for grid in grids(study)]
        count = sum(each) * (1 + len(study.get("variants", {})))
        count *= study.get("sample", {}).get("n", 1)
        if count > most:
            why = f"above max_runs ({most:,}); raise that, if so many are meant"
            raise GradscapeError(f"config: studies.{name}.grid: has {count:,} runs, {why}")


def check_courses(courses: dict[str, dict], studies) -> None:
    for name, course in courses.items():
        at = f"config: courses.{name}"
        look_up("course", name, at)
        if name in studies:
            raise GradscapeError(f"{at}: a study has that name too; rename the study")
        years = registry.declared("course", name, "YEARS", [])
        year = course.get("year")
        if year is not None and year not in years:
            known = " or ".join(map(str, years)) or "no year"
            raise GradscapeError(f"{at}.year: {year} is unknown; it takes {known}")


def downloaded_weights(model: str) -> Path:
    return WEIGHTS / pretrained_file(model)


def resolve(config: dict, above: tuple[Path, ...] = ()) -> dict:
    """Lay a configuration over the one it `extends`, key by key; null drops a key. `above`
    are the files that led here."""
    at = str(above[-1]) if above else "config"
    check_plain(config, at)
    config = modernise(config, at)
    if "extends" not in config:
        return config
    if not isinstance(config["extends"], str):
        raise GradscapeError("config: extends: must be the name of a file")
    if len(above) >= MAX_CHAIN:
        raise GradscapeError(f"{above[-1]}: extends a chain of over {MAX_CHAIN} files")
    path = locate(config["extends"])
    if path.resolve() in above:
        raise GradscapeError(f"{path}: extends itself, in a circle of {len(above)} files")
    base = resolve(read_yaml(path), (*above, path.resolve()))
    return merge(base, {k: v for k, v in config.items() if k != "extends"})


def assigned(config: dict) -> dict:
    """A configuration with what its `set` changes: `studies.mine.epochs=2 threads=2`."""
    words = config.get("set", "")
    words = words if isinstance(words, list) else shlex.split(str(words))
    made = {key: value for key, value in config.items() if key != "set"}
    for word in map(str, words):
        path, is_assignment, value = word.partition("=")
        if not is_assignment:
            raise GradscapeError(f"set: {word!r} is no KEY=VALUE, as studies.NAME.epochs=2")
        try:
            change = numbers(yaml.safe_load(value))
        except yaml.YAMLError:
            raise GradscapeError(f"set: {word!r}: its value is no YAML") from None
        for key in reversed(path.split(".")):
            change = {key: change}
        made = merge(made, change)
    return made


def fewer_seeds(study: dict, count: int | None) -> dict:
    """A study with only the first `count` of the seeds in its grids."""
    kept = [dict(grid) for grid in grids(study)]
    for grid in kept:
        if "seed" in grid:
            grid["seed"] = grid["seed"][:count]
    return study | {"grid": kept}


def merge(base: dict, over: dict) -> dict:
    """One mapping laid over another; a grid over a list of grids is laid over each."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(below, dict):
            merged[key] = merge(below, value)
        elif key == "grid" and isinstance(value, dict) and isinstance(below, list):
            # Anything that is no grid is left to the schema.
            merged[key] = [merge(g, value) if isinstance(g, dict) else g for g in below]
        else:
            merged[key] = value
    return merged


def named_datasets(runs: list[Run]) -> dict[str, str]:
    """Each dataset as the configuration calls it, by the name of its folder."""
    datasets: dict[str, str] = {}
    for run in runs:
        name = run.settings.dataset
        folder = registry.short(name)
        if not FOLDER.fullmatch(folder) or folder in RESERVED:
            why = f"cannot have the folder {folder!r} in results/data: rename it"
            raise GradscapeError(f"config: the dataset {name!r} {why}")
        if (other := datasets.setdefault(folder, name)) != name:
            why = f"would share one folder, results/data/{folder}: rename one of them"
            raise GradscapeError(f"config: the datasets {other!r} and {name!r} {why}")
    return datasets
