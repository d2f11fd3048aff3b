"""The configuration: a mapping of studies, unfolded into runs with stable names.

One run is one (study, model, learning rate, seed, …). Everything that can change its
outcome is in its `Settings`; everything else (titles, captions, threads) is not.
This module is the only place that turns a learning rate into text.
"""

import dataclasses
import difflib
import itertools
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

from gradscape.errors import GradscapeError
from gradscape.figures import DRAWINGS, PROBES_DRAWN
from gradscape.models import MODELS, pretrained_file
from gradscape.report import TABLES

ROOT = Path(__file__).parents[2]  # of the repository
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"

RUN_RECORD = "run.json"  # what a run writes last
REPORT = "report"  # the document with all studies; one of a single study has its name
WEIGHTS = Path("results/data/weights")  # where pretrained weights are downloaded to


@dataclass(frozen=True)
class Settings:
    """All that decides the outcome of one run; the defaults are Edinburgh's.

    Each field is a key of a study in the config, explained in `config/README.md`.
    """

    model: str
    dataset: str
    width: int | None = None
    activation: str | None = None
    dropout: float | None = None
    batch_norm: bool | None = None
    skip: bool | None = None
    pretrained: bool = False
    freeze: str | None = None
    loss: str = "cross_entropy"
    label_smoothing: float = 0.0
    l1: float = 0.0
    learning_rate: float = 1e-3
    seed: int = 0
    epochs: int = 100
    patience: int | None = None
    batch_size: int = 100
    split: str = "edinburgh"
    train_items: int | None = None
    validation_items: int | None = None
    augmentation: str = "crop-flip"
    augmentation_strength: float = 1.0
    normalisation: str = "cifar10"
    optimiser: str = "adam"
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    schedule: str = "cosine"
    final_learning_rate: float = 2e-5
    decay: float = 0.95
    decay_epochs: int = 1
    warmup_epochs: int = 0
    device: str = "auto"
    precision: str = "auto"
    deterministic: bool = True
    gradient_lag: int | None = None
    landscape_every: int | None = None
    landscape_points: int = 8
    landscape_cap: float = 0.4


SETTING_NAMES = [field.name for field in dataclasses.fields(Settings)]


@dataclass(frozen=True)
class Run:
    """One training: its study, its directory name and its settings."""

    study: str
    name: str
    settings: Settings

    @property
    def id(self) -> str:
        return f"{self.study}/{self.name}"

    @property
    def traits(self) -> dict:
        """What a `where` chooses runs by: the settings, and `variant`."""
        return vars(self.settings) | {"variant": variant(self.name)}


@dataclass(frozen=True)
class Figure:
    """One figure of a study: which drawing function, of which runs, with what to say.

    `where` chooses runs (setting → value or list of values); `best` keeps, of those,
    the model and learning rate with the highest validation accuracy.
    """

    study: str
    name: str
    draw: str
    where: dict = dataclasses.field(default_factory=dict)
    best: bool = False
    caption: str = ""
    wide: bool = False
    options: dict = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Probe:
    """What is measured on which trained networks, with which options."""

    name: str
    where: dict
    options: dict


@dataclass(frozen=True)
class Study:
    """One question: a grid of runs, and what is measured on them and drawn from them."""

    name: str
    title: str
    section: str
    runs: list[Run]
    probes: dict[str, Probe]
    figures: list[Figure]
    tables: list[str]
    published: str | None


def format_learning_rate(rate: float) -> str:
    """`0.001` → `1e-3`, `0.0015` → `1.5e-3`: one text for one rate.

    >>> format_learning_rate(0.001), format_learning_rate(1.5e-3), format_learning_rate(1)
    ('1e-3', '1.5e-3', '1e0')
    """
    mantissa, exponent = f"{rate:.6e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def run_name(settings: Settings, varied: list[str]) -> str:
    """Directory name of a run: `vgg38-bn_lr1e-2_seed0`, then what else the grid varies."""
    parts = [
        settings.model.split(":")[-1],  # of a user's own, the constructor's name
        f"lr{format_learning_rate(settings.learning_rate)}",
        f"seed{settings.seed}",
    ]
    for key in varied:
        if key not in ("model", "learning_rate", "seed"):
            value = getattr(settings, key)
            parts.append(f"{key.replace('_', '-')}-{value}")
    return "_".join(parts)


def variant(run_name: str) -> str:
    """What a run's name says beyond model, rate and seed: what else varies in its study.

    >>> variant("vgg38_lr1e-3_seed0_schedule-constant"), variant("vgg38_lr1e-3_seed0")
    ('schedule-constant', '')
    """
    return run_name.partition("_seed")[2].partition("_")[2]


def matches(traits: dict, where: dict) -> bool:
    """Does a run have the wanted traits? Each value may be one value or a list."""
    return all(
        traits[key] in (wanted if isinstance(wanted, list) else [wanted])
        for key, wanted in where.items()
    )


class Experiment:
    """A validated configuration, with the studies' runs laid out.

    Raises `GradscapeError` with one sentence naming the key for anything wrong in it.
    """

    def __init__(self, config: dict):
        self.config = resolve(config)
        validate(self.config)
        self.title = self.config["title"]
        self.author = self.config.get("author", "")
        self.results = Path(self.config["results"])
        self.data_dir = self.config.get("data_dir")
        self.threads = self.config.get("threads", 1)
        self.studies = {
            name: unfold_study(name, study, self.config.get("defaults", {}))
            for name, study in self.config["studies"].items()
        }
        self.runs = [run for study in self.studies.values() for run in study.runs]
        self.run_by_id = {run.id: run for run in self.runs}

    @classmethod
    def from_file(cls, path: str | Path) -> "Experiment":
        return cls(read_yaml(Path(path)))

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
        return not (self.directory(run) / RUN_RECORD).exists()

    def directory(self, run: Run) -> Path:
        return self.results / "runs" / run.study / run.name


def downloaded_weights(model: str) -> Path:
    """Where a model's pretrained weights are downloaded to."""
    return WEIGHTS / pretrained_file(model)


def locate(path: str) -> Path:
    """A path of the configuration: from the working directory, else the repository."""
    return Path(path) if Path(path).exists() else ROOT / path


def read_yaml(path: Path) -> dict:
    # JSON by its own reader: to YAML, the 1e-05 that JSON writes is text.
    read = json.loads if path.suffix == ".json" else yaml.safe_load
    try:
        content = read(path.read_text())
    except OSError as error:
        raise GradscapeError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, json.JSONDecodeError) as error:
        raise GradscapeError(f"{path}: cannot be parsed ({error})") from None
    if not isinstance(content, dict):
        raise GradscapeError(f"{path}: a configuration is a mapping of keys to values")
    return content


def resolve(config: dict) -> dict:
    """Lay a configuration over the one it `extends`, key by key; null drops a key."""
    if "extends" not in config:
        return config
    base = resolve(read_yaml(locate(config["extends"])))
    return merge(base, {k: v for k, v in config.items() if k != "extends"})


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


def load_schema() -> dict:
    """The schema, with each setting also as a list in `grid` and either way in `where`."""
    schema = yaml.safe_load(SCHEMA.read_text())
    settings = schema["$defs"]["settings"]
    lists = {
        name: {"type": "array", "minItems": 1, "items": spec}
        for name, spec in settings.items()
    }
    text = {"type": "string"}
    schema["$defs"]["where"]["properties"] = {
        name: {"anyOf": [spec, lists[name]]} for name, spec in settings.items()
    } | {"variant": {"anyOf": [text, {"type": "array", "items": text}]}}
    schema["properties"]["defaults"]["properties"] = settings
    study = schema["properties"]["studies"]["additionalProperties"]["properties"]
    study["grid"]["properties"] = lists
    study["exceptions"]["items"]["properties"]["set"]["properties"] = settings
    study["variants"]["additionalProperties"]["properties"] = settings
    study.update(settings)
    return schema


def validate(config: dict) -> None:
    """Hold a configuration against the schema and the registry of models."""
    schema = load_schema()
    errors = sorted(Draft202012Validator(schema).iter_errors(config), key=str)
    if errors:
        raise GradscapeError(describe(min(errors, key=lambda e: len(e.path))))
    for name, study in config["studies"].items():
        changes = study.get("variants", {}).values()
        models = [study.get("model"), *(changed.get("model") for changed in changes)]
        models += study.get("grid", {}).get("model", [])
        for model in filter(None, models):
            file = model.partition(".py:")[0] + ".py"
            if model not in MODELS and not (".py:" in model and Path(file).is_file()):
                hint = f": no file {file}" if ".py:" in model else suggest(model, MODELS)
                raise GradscapeError(
                    f"config: studies.{name}: unknown model {model!r}{hint}"
                )


def suggest(word: str, known) -> str:
    near = difflib.get_close_matches(str(word), list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else f" (known: {', '.join(known)})"


def describe(error) -> str:
    """One sentence for a JSON-schema error, naming the key where it stands."""
    at = ".".join(str(part) for part in error.absolute_path)
    key = f"config: {at}" if at else "config"
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        unknown = [name for name in error.instance if name not in known]
        return f"{key}: unknown key {unknown[0]!r}{suggest(unknown[0], known)}"
    if error.validator == "propertyNames":
        return f"{key}: {error.instance!r} is not a name: use a-z, 0-9 and '-'"
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"{key}: the key {missing[0]!r} is missing"
    if error.validator in ("type", "anyOf") and isinstance(error.instance, str):
        try:
            number = float(error.instance)
            return (
                f"{key}: {error.instance!r} is text to YAML, not a number; "
                f"write {number:.1e}"
            )
        except ValueError:
            pass
    if error.validator in ("minItems", "minProperties"):
        return f"{key}: is empty, so there is nothing to run"
    return f"{key}: {error.message}"


def unfold_study(name: str, study: dict, defaults: dict) -> Study:
    """Unfold a study's variants and grid, less its exceptions, into runs."""
    shared = defaults | {k: v for k, v in study.items() if k in SETTING_NAMES}
    grid = study.get("grid", {})
    for key in ("model", "dataset"):
        if key not in shared and key not in grid:
            raise GradscapeError(f"config: studies.{name}: the key {key!r} is missing")
    variants = {None: {}} | study.get("variants", {})
    for label, changed in variants.items():
        if twice := [key for key in changed if key in grid]:
            raise GradscapeError(
                f"config: studies.{name}.variants.{label}: {twice[0]!r} is varied by the "
                "grid already"
            )
    runs = []
    for (label, changed), *values in itertools.product(variants.items(), *grid.values()):
        settings = Settings(**(shared | changed | dict(zip(grid, values, strict=True))))
        skipped = False
        for exception in study.get("exceptions", []):
            traits = vars(settings) | {"variant": label or ""}
            if matches(traits, exception["where"]):
                skipped |= exception.get("skip", False)
                settings = dataclasses.replace(settings, **exception.get("set", {}))
        if settings.pretrained:
            pretrained_file(settings.model)  # or say that there is none
        if not skipped:
            run = run_name(settings, list(grid))
            runs.append(Run(name, f"{run}_{label}" if label else run, settings))
    if not runs:
        raise GradscapeError(
            f"config: studies.{name}: no runs are left: its exceptions skip them all"
        )
    twice, count = Counter(run.name for run in runs).most_common(1)[0]
    if count > 1:
        raise GradscapeError(
            f"config: studies.{name}: two runs are called {twice}: "
            "a value stands twice in its grid"
        )
    probes = {
        probe: Probe(
            name=probe,
            where=spec.get("where", {}),
            options={key: value for key, value in spec.items() if key != "where"},
        )
        for probe, spec in study.get("probes", {}).items()
    }
    for probe in probes.values():
        if not any(matches(run.traits, probe.where) for run in runs):
            raise GradscapeError(
                f"config: studies.{name}.probes.{probe.name}: "
                f"no run of the study matches {json.dumps(probe.where)}"
            )
    figures = [
        Figure(study=name, name=figure_name, **spec)
        for figure_name, spec in study.get("figures", default_figures()).items()
        if spec
    ]
    for figure in figures:
        if figure.draw not in DRAWINGS:
            raise GradscapeError(
                f"config: studies.{name}.figures.{figure.name}: unknown drawing "
                f"{figure.draw!r}{suggest(figure.draw, DRAWINGS)}"
            )
        needed = PROBES_DRAWN.get(figure.draw, [])[:1]
        if not set(needed) <= set(probes):
            raise GradscapeError(
                f"config: studies.{name}.figures.{figure.name}: {figure.draw} draws the "
                f"probe {needed[0]!r}, which the study's `probes` do not name"
            )
        if not any(matches(run.traits, figure.where) for run in runs):
            raise GradscapeError(
                f"config: studies.{name}.figures.{figure.name}: "
                f"no run of the study matches {json.dumps(figure.where)}"
            )
    tables = study.get("tables", ["results"])
    for table in tables:
        if table not in TABLES:
            raise GradscapeError(
                f"config: studies.{name}.tables: unknown table {table!r}"
                f"{suggest(table, TABLES)}"
            )
    return Study(
        name=name,
        title=study["title"],
        section=study.get("section", "study"),
        runs=runs,
        probes=probes,
        figures=figures,
        tables=tables,
        published=study.get("published"),
    )


def default_figures() -> dict:
    """What a study shows when it does not say: all curves, the best run's gradients."""
    return {
        "curves": {
            "draw": "curves",
            "caption": "Training and validation curves of every run.",
            "wide": True,
        },
        "gradient-flow": {
            "draw": "gradient_flow",
            "best": True,
            "caption": "Gradient flow of the best model.",
        },
    }
