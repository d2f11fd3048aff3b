"""What each rule reads, answered from the configuration; the rules hold no functions."""

import dataclasses
import json
import os
import shlex
import sys
from pathlib import Path

from gradscape.cli import flags
from gradscape.config import (
    REPORT,
    ROOT,
    RUN_RECORD,
    Experiment,
    Figure,
    Probe,
    Run,
    Study,
    locate,
)
from gradscape.figures import DRAWINGS, PROBES_DRAWN
from gradscape.files import say
from gradscape.models import source_file
from gradscape.registry import source

PACKAGE = "workflow/gradscape"

# The modules that can change what a training computes. Their content is an input of
# every run: a change here retrains, a change in a figure, a table or a caption does not.
TRAINING_CODE = [
    f"{PACKAGE}/{module}.py"
    for module in (
        "data/splits",
        "engine/augmentation",
        "engine/device",
        "engine/losses",
        "engine/minibatches",
        "engine/muon",
        "engine/optimisers",
        "engine/schedules",
        "engine/step",
        "engine/train",
        "models/blocks",
        "models/pretrained",
        "engine/along_gradient",
        "engine/gradient_change",
        "engine/gradient_flow",
    )
]


def set_job_environment() -> None:
    """Have the jobs find this package and this Python.

    PYTHONPATH reaches jobs inside conda environments too; PATH makes `python` the one that
    runs Snakemake, activated or not, and a conda environment's own goes before it.
    """
    for variable, folder in (
        ("PYTHONPATH", str(ROOT / "workflow")),
        ("PATH", str(Path(sys.executable).parent)),
    ):
        others = os.environ.get(variable, "").split(os.pathsep)
        os.environ[variable] = os.pathsep.join([folder, *filter(None, others)])


class Dag:
    """Input and parameter functions: each takes a job's wildcards."""

    def __init__(self, experiment: Experiment):
        self.experiment = experiment

    # rule train

    def settings(self, wildcards) -> str:
        run = self._run(wildcards)
        weights = self.experiment.pretrained(run)
        words = flags(run.settings) + (["--weights", str(weights)] if weights else [])
        return shlex.join(words)

    def weights(self, wildcards) -> list[str]:
        weights = self.experiment.pretrained(self._run(wildcards))
        return [str(weights)] if weights and weights.exists() else []

    def dataset(self, wildcards) -> list[str]:
        folder = f"results/data/{self._run(wildcards).settings.dataset}"
        return [f"{folder}/{file}" for file in ("images.npy", "labels.npy", "dataset.json")]

    def training_code(self, wildcards) -> list[str]:
        model = source_file(self._run(wildcards).settings.model)
        return [*TRAINING_CODE, model]

    def say_what_is_left_out(self) -> None:
        runs = [run for run in self.experiment.runs if self.experiment.left_out(run)]
        for model in dict.fromkeys(run.settings.model for run in runs):
            say(
                f"{sum(run.settings.model == model for run in runs)} runs of {model} are "
                f"left out: their pretrained weights are missing; get them with `gradscape "
                f"weights {model}`, or name their file as weights in the config"
            )

    def gpus(self, wildcards) -> int:
        return 0 if self._run(wildcards).settings.device == "cpu" else 1

    def _run(self, wildcards):
        return self.experiment.run(wildcards.study, wildcards.run)

    # rule probe

    def probe_options(self, wildcards) -> str:
        return json.dumps(self._probe(wildcards).options)

    def probe_code(self, wildcards) -> list[str]:
        return [
            f"{PACKAGE}/probes/{wildcards.probe}.py",
            f"{PACKAGE}/probes/trained.py",
            source_file(self._run(wildcards).settings.model),
        ]

    def _probe(self, wildcards) -> Probe:
        return self.experiment.studies[wildcards.study].probes[wildcards.probe]

    # rules figure and table

    def figure_runs(self, wildcards) -> list[str]:
        figure = self._figure(wildcards)
        runs = self._possible(self.experiment.figure_runs(figure))
        probes = self.experiment.probed(runs, PROBES_DRAWN.get(figure.draw, []))
        return self._records(runs) + self._probe_files(probes)

    def figure_spec(self, wildcards) -> str:
        return json.dumps(dataclasses.asdict(self._figure(wildcards)))

    def figure_caption(self, wildcards) -> str:
        return self._figure(wildcards).caption

    def figure_code(self, wildcards) -> list[str]:
        own = f"workflow/{source(DRAWINGS[self._figure(wildcards).draw])}"
        shared = ("figures/style", "calibration", "smoothness")
        return [own, *(f"{PACKAGE}/{module}.py" for module in shared)]

    def figure_directories(self, wildcards) -> list[str]:
        return self._directories(self.experiment.figure_runs(self._figure(wildcards)))

    def study_runs(self, wildcards) -> list[str]:
        return self._records(self.experiment.studies[wildcards.study].runs)

    def study_directories(self, wildcards) -> list[str]:
        return self._directories(self.experiment.studies[wildcards.study].runs)

    def _figure(self, wildcards) -> Figure:
        return self.experiment.figure(wildcards.study, wildcards.figure)

    def _possible(self, runs) -> list[Run]:
        """Without those whose pretrained weights are missing: the rest goes on."""
        return [run for run in runs if not self.experiment.left_out(run)]

    def _directories(self, runs) -> list[str]:
        return [str(self.experiment.directory(run)) for run in self._possible(runs)]

    def _records(self, runs) -> list[str]:
        """What each run writes last; it stands for the run's tables, a fifth of the DAG."""
        return [f"{directory}/{RUN_RECORD}" for directory in self._directories(runs)]

    def _probe_files(self, probes) -> list[str]:
        return [
            f"{self.experiment.directory(run)}/probes/{name}.csv" for run, name in probes
        ]

    # the targets

    def figures(self, wildcards=None) -> list[str]:
        return [
            f"{self.experiment.results}/figures/{study.name}/{figure.name}.{kind}"
            for study in self._studies(wildcards)
            for figure in study.figures
            if self._possible(self.experiment.figure_runs(figure))
            for kind in ("pdf", "txt")
        ]

    def tables(self, wildcards=None) -> list[str]:
        return [
            f"{self.experiment.results}/tables/{study.name}/{table}.csv"
            for study in self._studies(wildcards)
            for table in study.tables
        ]

    def results(self, wildcards) -> str:
        return str(self.experiment.results)

    def _studies(self, wildcards) -> list[Study]:
        """The studies of a document: of `report` all, of a study's own that one."""
        studies = self.experiment.studies
        document = getattr(wildcards, "document", REPORT)
        return list(studies.values()) if document == REPORT else [studies[document]]

    def template(self, wildcards) -> list[str]:
        studies = self._studies(wildcards)
        sections = {study.section for study in studies} | {"published", "conclusion"}
        published = {str(locate(s.published)) for s in studies if s.published}
        return [
            "report/main.tex.j2",
            "report/claims.yaml",
            "report/references.bib",
            *(f"report/sections/{section}.tex.j2" for section in sorted(sections)),
            *sorted(published),
            *(f"{PACKAGE}/report/{name}.py" for name in ("build", "claims", "tex")),
        ]

    def configuration(self) -> str:
        return json.dumps(self.experiment.config)

    def runs(self, wildcards=None) -> list[str]:
        return self._records(self._runs(wildcards))

    def probes(self, wildcards=None) -> list[str]:
        runs = self._possible(self._runs(wildcards))
        return self._probe_files(self.experiment.probed(runs))

    def _runs(self, wildcards) -> list[Run]:
        return [run for study in self._studies(wildcards) for run in study.runs]
