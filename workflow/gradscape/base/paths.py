"""Where everything is: results below the working directory, gradscape's files by its code.

    results/data/<dataset>/                     images, labels, class names, checksums
    results/<config>/config.json                the configuration as it ran
                     runs/<study>/<run>/        a training's files, probes/<probe>.csv;
                                                .done and .<probe>.done for Snakemake,
                                                which deletes what it makes anew
                     figures/<study>/           <figure>.pdf, .svg and .txt, its facts
                     tables/<study>/            <table>.csv and .html
                     registered.json            which claims stood before which runs
                     claims/<study>.json        verdicts, and claims.csv of all studies
                     report/<document>.tex      LaTeX, with what it includes beside it
                     report.html                the report to explore in a browser
                     <document>.pdf             and its sources, <document>-source.tar.gz
                     logs/<rule>/

A document is `report`, with all studies, one study, or one course. Arguments may be
wildcards.
"""

from pathlib import Path

PACKAGE = Path(__file__).parents[1]
# Beside the package in a clone; inside it in an installed wheel.
HOME = PACKAGE / "share" if (PACKAGE / "share").is_dir() else PACKAGE.parents[1]
SNAKEFILE = HOME / "Snakefile"
TEMPLATES = HOME / "report"
SECTIONS = TEMPLATES / "sections"
PAGE = TEMPLATES / "page.html"
PAGE_FILES = TEMPLATES / "page"  # its styles and scripts
SCHEMA = HOME / "workflow" / "schemas" / "config.schema.yaml"
CONFIGS = HOME / "config"
COURSES = HOME / "workflow" / "courses"
PUBLISHED = HOME / "results" / "published"

DATA = Path("results/data")
DATA_LOGS = "logs"  # beside the datasets
WEIGHTS = DATA / "weights"  # where pretrained weights are downloaded to

RECORD = "run.json"  # what a run writes last
DONE = ".done"  # empty; all that Snakemake knows of a finished training, and may delete
CODE = ".code"  # a digest of the code that the run was trained with
LOCK = ".lock"  # in a folder that a process is at work in
CHECKPOINT = ".checkpoint.pt"  # beside it, until then
PROBES = "probes"
EVENTS = "tensorboard"  # its folder of TensorBoard's event files
TRACKED = "GRADSCAPE_TRACKERS"  # in the environment: what follows every training, of
TRACKERS = ["tensorboard", "mlflow", "wandb"]
REPLACED = "replaced.json"  # the runs whose place a published one has taken
# The tables of a run, whose checksums its record holds; the weights have their own.
SEALED = ["metrics.csv", "timing.csv", "test.csv", "predictions.npz", "steps.npz"]
SEALED += ["gradients.npz"]
RUN_FILES = [*SEALED, "model.pt", RECORD]
REPORT = "report"  # the document with all studies; one of a single study has its name
FIGURE_KINDS = ["pdf", "svg", "txt"]


class Results:
    """Everything that one configuration makes, below `root`."""

    def __init__(self, root: Path):
        self.root = root
        self.config = root / "config.json"
        self.registered = root / "registered.json"
        self.claims_csv = root / "claims" / "claims.csv"
        self.sources = root / "report"
        self.page = root / "report.html"

    def __str__(self) -> str:
        return str(self.root)

    def run(self, study: str, run: str) -> Path:
        return self.root / "runs" / study / run

    def record(self, study: str, run: str) -> Path:
        return self.run(study, run) / RECORD

    def trained(self, study: str, run: str) -> Path:
        return self.run(study, run) / DONE

    def probe(self, study: str, run: str, probe: str) -> Path:
        return probe_file(self.run(study, run), probe)

    def probed(self, study: str, run: str, probe: str) -> Path:
        return self.run(study, run) / PROBES / f".{probe}{DONE}"

    def figure(self, study: str, figure: str, kind: str = "pdf") -> Path:
        return self.root / "figures" / study / f"{figure}.{kind}"

    def is_drawn(self, study: str, figure: str) -> bool:
        """Tell whether a figure is there; one that cannot be drawn leaves empty files."""
        path = self.figure(study, figure)
        return path.exists() and path.stat().st_size > 0

    def claims(self, study: str) -> Path:
        return self.root / "claims" / f"{study}.json"

    def table(self, study: str, table: str, kind: str = "csv") -> Path:
        return self.root / "tables" / study / f"{table}.{kind}"

    def tex(self, document: str) -> Path:
        return self.sources / f"{document}.tex"

    def pdf(self, document: str) -> Path:
        return self.root / f"{document}.pdf"

    def archive(self, document: str) -> Path:
        return self.root / f"{document}-source.tar.gz"

    def log(self, rule: str, *names: str) -> Path:
        return (self.root / "logs" / rule).joinpath(*names)


def probe_file(run: Path, probe: str) -> Path:
    return run / PROBES / f"{probe}.csv"


def locate(path: str | Path) -> Path:
    """The file that a configuration names: from the working directory, else gradscape's."""
    theirs = HOME / path
    return theirs if theirs.exists() and not Path(path).exists() else Path(path)


def nearby(path: Path) -> str:
    """A path relative to the working directory, if possible: a clone may be moved."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
