"""The input and parameter functions of the rules, which contain none themselves."""

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NoReturn

from snakemake.io import ancient

from gradscape.base import paths
from gradscape.base.errors import GradscapeError
from gradscape.base.files import say
from gradscape.base.paths import REPORT, TEMPLATES, nearby
from gradscape.claims.registered import register
from gradscape.config.claimed import check_claimed
from gradscape.config.experiment import Experiment
from gradscape.config.yaml import read_yaml
from gradscape.pipeline import dependencies, mps, upkeep
from gradscape.spec.registry import is_custom, names, own_names, short
from gradscape.spec.study import Figure, Probe, Run, Study

# A GPU's driver: NVIDIA's, on Linux and inside Windows, and AMD's.
DRIVERS = ["/dev/nvidiactl", "/proc/driver/nvidia", "/dev/dxg", "/dev/kfd"]
DATA_FILES = ["images.npy", "labels.npy", "dataset.json"]

chosen: Experiment | None = None  # the last that a Snakefile has read, for the bar


def experiment(config: dict, files: Iterable[str] = ()) -> Experiment:
    """The configuration, which Snakemake has read from `files`, or an end with what is
    wrong with it."""
    global chosen
    spelt = {"true": True, "false": False}  # text to Snakemake: `--config allow_cpu=true`
    for key in ("allow_cpu", *paths.TRACKERS):
        if str(config.get(key)) in spelt:
            config = config | {key: spelt[str(config[key])]}
    try:
        for path in files:
            if Path(path).is_file():  # and no pipe, which is read once
                read_yaml(Path(path))  # for Snakemake takes a key twice
        chosen = Experiment(config)
        check_claimed(chosen, config)
    except GradscapeError as error:
        stop(str(error))
    upkeep.bring_in_line(chosen)
    # Not parameters of the rule: a tracker is no reason to train again.
    root = chosen.results.root.absolute()
    wanted = [name for name in paths.TRACKERS if chosen.config.get(name)]
    os.environ[paths.TRACKED] = " ".join(wanted)
    places = {"MLFLOW_TRACKING_URI": (root / "mlruns").as_uri(), "WANDB_DIR": str(root)}
    places["MLFLOW_ALLOW_FILE_STORE"] = "true"  # without which it takes databases alone
    for name, place in places.items() if wanted else ():
        os.environ.setdefault(name, place)
    return chosen


def stop(sentence: str) -> NoReturn:
    """End Snakemake, which would print an exception with a traceback."""
    say(sentence)
    sys.exit(2)


def set_job_environment() -> None:
    """Let the jobs find this package, also inside conda environments, and the Python that
    runs Snakemake, activated or not; a conda environment's own comes before it."""
    found = {"PYTHONPATH": paths.PACKAGE.parent, "PATH": Path(sys.executable).parent}
    for variable, folder in found.items():
        others = os.environ.get(variable, "").split(os.pathsep)
        os.environ[variable] = os.pathsep.join([str(folder), *filter(None, others)])


def folder(wildcards, output) -> str:
    """A run's folder, from what it writes: a `module` with a prefix puts it elsewhere."""
    return str(Path(output[0]).parent)


def probed_folder(wildcards, input) -> str:
    return str(Path(input.trained).parent)


def results(wildcards, input) -> str:
    """The results folder, likewise from the configuration that is kept in it."""
    return str(Path(input.config).parent)


def data_folder(wildcards, input) -> str:
    return str(Path(input.data[0]).parents[1])


def weights_option(wildcards, input) -> list[str]:
    return [word for path in input.weights for word in ("--weights", path)]


def run_folders(wildcards, input) -> list[str]:
    return [str(Path(path).parent) for path in input.runs if Path(path).name == paths.DONE]


def as_json(value: object) -> str:
    """JSON that Snakemake's report can hold: no text in it ends the script it stands in."""
    return json.dumps(value).replace("<", r"\u003c")


@cache
def has_driver() -> bool:
    """Tell whether there is a GPU to ask for. torch knows, but takes seconds to load."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and any(map(os.path.exists, DRIVERS))


class Dag:
    """Functions of a job's wildcards, for inputs and parameters: in plain parameters
    Snakemake takes a text's braces for wildcards. `workflow` is Snakemake's."""

    def __init__(self, experiment: Experiment, workflow=None):
        self.experiment = experiment
        self.results = experiment.results
        self.workflow = workflow

    @property
    def is_local(self) -> bool:
        """Whether jobs run on this machine, known once Snakemake has read the rules."""
        return self.workflow is None or self.workflow.local_exec

    def _run(self, wildcards) -> Run:
        return self.experiment.run(wildcards.study, wildcards.run)

    def _study(self, wildcards) -> Study:
        return self.experiment.studies[wildcards.study]

    def _probe(self, wildcards) -> Probe:
        return self._study(wildcards).probes[wildcards.probe]

    def _figure(self, wildcards) -> Figure:
        return self.experiment.figure(wildcards.study, wildcards.figure)

    # rule data

    def source(self, wildcards) -> str:
        """The dataset as the configuration calls it."""
        return self.experiment.datasets[wildcards.dataset]

    def data_options(self, wildcards) -> list[str]:
        folder = self.experiment.data_dir
        return ["--data-dir", folder] if folder else []

    def listing(self, wildcards) -> str:
        """What tells a user's folder of images from the same when it has changed."""
        name = self.source(wildcards)
        return "" if name in names("dataset") else dependencies.listing(Path(name))

    def own_file(self, wildcards) -> list[str]:
        """The user's file that a dataset is made from, and what a program imports."""
        name = self.source(wildcards)
        if is_custom(name):
            return list(map(str, dependencies.own_files("dataset", name)))
        return [name] if Path(name).is_file() else []

    # rule train

    def run_spec(self, wildcards) -> str:
        return as_json(self._run(wildcards).spec)

    def weights(self, wildcards) -> list[str]:
        weights = self.experiment.pretrained(self._run(wildcards))
        return [str(weights)] if weights and weights.exists() else []

    def dataset(self, wildcards) -> list[str]:
        """The dataset's files; dates count only of a user's own, which may change."""
        name = self._run(wildcards).settings.dataset
        files = [f"{paths.DATA / short(name)}/{file}" for file in DATA_FILES]
        return list(map(ancient, files)) if name in names("dataset") else files

    def training_code(self, wildcards) -> list[str]:
        """The code of what a run's settings name."""
        run = self._run(wildcards)
        named = dependencies.called(run, *dependencies.CALLED)
        return dependencies.beyond(dependencies.TRAINING, *named)

    def begin(self, kept: str) -> None:
        """Before the first job, register the claims and say which runs are left out; let
        runs share a GPU; stop a configuration that asks for one, finds none and is too much
        for a CPU, unless it says `allow_cpu`. `kept` is the configuration's place in the
        results folder."""
        results = paths.Results(Path(kept).parent)
        try:
            register(self.experiment, results)
        except GradscapeError as error:
            stop(str(error))
        except OSError as error:  # a full disk, a folder that is not to be written to
            stop(f"{results.registered}: {error.strerror}")
        config, runs = self.experiment.config, self.experiment.runs
        left_out = Counter(r.settings.model for r in runs if self.experiment.left_out(r))
        for model, count in left_out.items():
            say(
                f"{count} runs of {model} are left out: their pretrained weights are "
                f"missing; get them with `gradscape weights {model}`, or name their file "
                "as weights in the config"
            )
        if self.is_local and has_driver() and "runs_per_gpu" in config:
            mps.begin(config["runs_per_gpu"])
        on_cpu = {run.settings.device for run in runs} == {"cpu"}
        if on_cpu or not self.is_local or config.get("allow_cpu"):
            return
        from gradscape.pipeline.times import too_long  # loads numpy

        if not has_driver() and (sentence := too_long(self.experiment)):
            stop(sentence)

    def gpus(self, wildcards) -> int:
        """None where a run would find none: `auto` on this machine, without a driver."""
        device = self._run(wildcards).settings.device
        finds_none = device == "auto" and self.is_local and not has_driver()
        return 0 if device == "cpu" or finds_none else 1

    # rule probe

    def probe_measure(self, wildcards) -> str:
        return self._probe(wildcards).measure

    def probe_options(self, wildcards) -> str:
        return as_json(self._probe(wildcards).options)

    def own_programs(self, wildcards) -> list[str]:
        """The user's own files that a run's settings name: the probe may call these."""
        own = own_names(vars(self._run(wildcards).settings))
        return [word for name in own.values() for word in ("--own", name)]

    def probe_code(self, wildcards) -> list[str]:
        measure = ("probe", self._probe(wildcards).measure)
        run = dependencies.called(self._run(wildcards), "model", "split")
        return dependencies.beyond(dependencies.PROBING, measure, *run)

    # rules figure, claims and table

    def figure_runs(self, wildcards) -> list[str]:
        figure = self._figure(wildcards)
        runs = self.experiment.figure_runs(figure)
        return self.records(runs) + self._probe_files(runs, figure.probes)

    def figure_spec(self, wildcards) -> str:
        return as_json(vars(self._figure(wildcards)))

    def figure_code(self, wildcards) -> list[str]:
        draw = self._figure(wildcards).draw
        called = dependencies.BY_NAME.get(draw, [])
        return dependencies.of("figures/drawing", ("figure", draw), *called)

    def figure_files(self, wildcards) -> list[str]:
        """The files, the user's or gradscape's, that a figure's options name."""
        named = self._figure(wildcards).options.values()
        files = [paths.locate(name) for name in named if isinstance(name, str)]
        return [nearby(file) for file in files if file.is_file()]

    def study_files(self, wildcards) -> list[str]:
        """What a study is measured by, runs and probes."""
        return self.files(self._study(wildcards).runs)

    def claims_files(self, wildcards) -> list[str]:
        """What a study's claims are decided from: its own and the studies' that they
        compare with, of which also cells that no claim names tell how seeds scatter."""
        return self.files(self._study(wildcards).runs_compared)

    def claims_asked(self, wildcards) -> str:
        study = self._study(wildcards)
        return as_json([study.claims, [run.id for run in study.runs_compared]])

    def claims_code(self, wildcards) -> list[str]:
        sides = self._study(wildcards).sides
        metrics = {("metric", side["metric"]) for _, side in sides}
        return dependencies.of("claims/files", *sorted(metrics))

    def table_code(self, wildcards) -> list[str]:
        called = dependencies.BY_NAME.get(wildcards.table, [])
        return dependencies.of(("table", wildcards.table), *called)

    # the report, and the targets: of all studies, unless `wildcards` names a document

    def configuration(self, wildcards) -> str:
        return json.dumps(self.experiment.config)

    def files(self, runs: list[Run]) -> list[str]:
        """The files that runs and their probes write last."""
        return self.records(runs) + self._probe_files(runs)

    def figures(self, wildcards=None) -> list[str]:
        return [
            str(self.results.figure(study.name, figure.name, kind))
            for study in self._studies(wildcards)
            for figure in study.figures
            if self._possible(self.experiment.figure_runs(figure))
            for kind in ("pdf", "txt")
        ]

    def tables(self, wildcards=None) -> list[str]:
        return [
            str(self.results.table(study.name, table))
            for study in self._studies(wildcards)
            for table in dict.fromkeys(["results", *study.tables])
        ]

    def claims(self, wildcards=None) -> list[str]:
        """The files with the verdicts on a document's studies."""
        return [str(self.results.claims(s.name)) for s in self._studies(wildcards)]

    def documents(self) -> list[str]:
        """The report, each study's and each course's document, the page, all verdicts."""
        begun = [s.name for s in self.experiment.studies.values() if self._possible(s.runs)]
        pdfs = map(self.results.pdf, self.experiment.documents_of(begun))
        return list(map(str, [*pdfs, self.results.page, self.results.claims_csv]))

    def template(self, wildcards) -> list[str]:
        """A document's sources, besides what was measured."""
        files = [Path(f) for study in self._studies(wildcards) for f in study.files]
        files += [TEMPLATES / "references.bib", *TEMPLATES.glob("*.j2")]
        for folder in ("parts", "courses", "conclusions"):
            files += TEMPLATES.glob(f"{folder}/*.j2")
        return sorted({*map(nearby, files), *dependencies.of("report/template")})

    def page_template(self, wildcards) -> list[str]:
        """The HTML page's sources, likewise."""
        files = map(nearby, [paths.PAGE, *paths.PAGE_FILES.iterdir()])
        page = {*files, *dependencies.of("report/page")}
        return sorted(page | {*self.template(wildcards)})

    def _studies(self, wildcards) -> list[Study]:
        return self.experiment.documents(getattr(wildcards, "document", REPORT))

    def _possible(self, runs: list[Run]) -> list[Run]:
        """The runs without those whose pretrained weights are missing."""
        return [run for run in runs if not self.experiment.left_out(run)]

    def records(self, runs: list[Run]) -> list[str]:
        """The files that say that each run is finished, in place of all that it writes."""
        possible = self._possible(runs)
        return [str(self.results.trained(run.study, run.name)) for run in possible]

    def _probe_files(self, runs: list[Run], names=None) -> list[str]:
        probed = self.experiment.probed(self._possible(runs), names)
        return [str(self.results.probed(run.study, run.name, name)) for run, name in probed]
