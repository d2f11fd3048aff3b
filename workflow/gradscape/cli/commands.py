"""Every step of the workflow as a command: a function whose parameters are its arguments.

Imports are inside the functions, so that a command loads only what it needs.
"""

import os
import shlex
import shutil
from json import dumps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated as A

from gradscape.base.errors import GradscapeError
from gradscape.base.files import folder_lock, say, write_csv
from gradscape.base.paths import CONFIGS, DATA, HOME, RECORD, REPORT, TRACKED, Results
from gradscape.cli.arguments import Count, File
from gradscape.config.checks import check_settings
from gradscape.config.experiment import Experiment, downloaded_weights
from gradscape.config.schema import check_options, validate
from gradscape.config.spelling import stored
from gradscape.spec.options import Named, Unset
from gradscape.spec.registry import check, names, short
from gradscape.spec.settings import SETTINGS, Settings, flags
from gradscape.spec.study import Figure, Run, run_name

DataFolder = A[Path, "folder of the datasets"]
Done = A[Path | None, Unset("none"), "an empty file to leave at the end"]
RunFolder = A[Path, "the run's directory"]
RunFolders = A[list[Path], "run directories"]
Own = A[list[str], "path/file.py:name of yours that the run's settings name"]
Threads = A[Count, "of the CPU"]
Document = A[str, f"{REPORT} (default), a study or a course"]


def data(
    dataset: A[str, Named("dataset"), "as a configuration calls it"],
    *,
    out: A[Path | None, Unset(f"in {DATA}"), "folder to write"] = None,
    data_dir: A[str | None, "folder with the archive or its extracted form"] = None,
) -> None:
    """get a dataset and lay it out as arrays"""
    from gradscape.data.datasets import acquire
    from gradscape.data.store import save

    out = out or DATA / short(dataset)
    with folder_lock(out) as waited:
        if waited and (out / "dataset.json").exists():
            return  # the other process has made it; this file is written last
        images = acquire(dataset, data_dir)
        save(images, out)
    known = images.facts
    print(
        f"{images.name}: {known.train:,} images for training, {known.test:,} for testing, "
        f"in {known.classes} classes, in {out}"
    )


def weights(model: A[str, Named("model"), "one with ImageNet weights"]) -> None:
    """download a network's ImageNet weights and check their hash"""
    from gradscape.models.pretrained import download

    out = downloaded_weights(model)
    with folder_lock(out.parent):
        if not out.exists():
            download(model, out)
    print(out)


def train(
    *,
    out: RunFolder,
    spec: A[dict | None, "study, name, settings, varied; options come on top"] = None,
    data: DataFolder = DATA,
    threads: Threads = 1,
    checkpoint_seconds: A[float, "between two checkpoints"] = 20.0,
    tensorboard: A[bool, "event files, in the run's directory"] = False,
    mlflow: A[bool, "an MLflow run, where MLFLOW_TRACKING_URI says"] = False,
    wandb: A[bool, "a W&B run, offline unless WANDB_MODE says otherwise"] = False,
    overwrite: A[bool, "replace a finished run, and all that was measured on it"] = False,
    update: A[bool, "replace it if its settings, images or code have changed"] = False,
    weights: A[Path | None, Unset("downloaded"), "pretrained"] = None,
    done: Done = None,
    **settings,
) -> None:
    """train one run, or resume it where it stopped"""
    run = run_from(spec or {}, settings)

    from gradscape.data.store import load
    from gradscape.pipeline.once import train_once
    from gradscape.runs.record import summary

    try:
        images = load(data / short(run.settings.dataset), run.settings.dataset)
    except GradscapeError:
        if (out / RECORD).exists():
            say(f"{out}: holds a finished run; it stands")
        raise
    if run.settings.pretrained and weights is None:
        weights = downloaded_weights(run.settings.model)
    asked = {"tensorboard": tensorboard, "mlflow": mlflow, "wandb": wandb}
    tracked = os.environ.get(TRACKED, "").split()
    trackers = [name for name in asked if asked[name] or name in tracked]
    options = {"threads": threads, "checkpoint_seconds": checkpoint_seconds}
    options |= {"trackers": trackers, "pretrained": weights}
    if not train_once(run, images, out, overwrite, update, **options):
        say(f"{out}: already finished; --overwrite trains it again")
    if done is not None:
        done.touch()
    print(f"{summary(out)}, in {out}")


def run_from(spec: dict, settings: dict) -> Run:
    """The run of `--spec` with what other options say, checked as a configuration's is."""
    run = {"study": "command-line", "varied": {}} | spec
    run["settings"] = stored(run.get("settings", {}) | settings)
    validate(run, "run", "run")
    for name, setting in SETTINGS.items():
        if setting.required and name not in run["settings"]:
            raise GradscapeError(f"required: --{name}; see `gradscape train --help`")
    run["settings"] = Settings(**run["settings"])
    check_settings(run["settings"], "run.settings")
    return Run(**({"name": run_name(run["settings"])} | run))


def probe(
    probe: A[str, Named("probe", own=True)],
    *,
    run: RunFolder,
    own: Own = (),
    data: DataFolder = DATA,
    out: A[File, "CSV file to write"],
    options: A[dict | None, "as in the config"] = None,
    threads: Threads = 1,
    done: Done = None,
) -> None:
    """measure a trained network from its weights and its training images"""
    from gradscape.probes.trained import Trained, measured

    given = check_options("probe", probe, options or {}, "--options")
    trained = Trained(run, data, threads, own)
    settings = {k: v for k, v in vars(trained.settings).items() if v is not None}
    validate(settings, f"{run}: settings", "settings")  # somebody else may have sent it
    rows = measured(probe, trained, given)
    write_csv(out, rows)
    if done is not None:
        done.touch()
    print(f"{probe}: {len(rows):,} rows, in {out}")


def figure(
    *,
    spec: A[dict, 'as in the config, such as {"draw": "curves", "where": {"seed": 0}}'],
    out: A[list[File], "files to write"],
    runs: RunFolders = (),
) -> None:
    """draw one figure from the tables of finished runs"""
    from gradscape.figures.drawing import draw_or_leave_out
    from gradscape.runs.run import FinishedRun

    validate(spec, "--spec", "figure")
    given = check_options("figure", spec["draw"], spec.get("options", {}), "--spec.options")
    chosen = Figure(**({"study": "", "name": out[0].stem} | spec | {"options": given}))
    draw_or_leave_out(chosen, [FinishedRun(path) for path in runs], out)


def table(
    table: A[str, Named("table")], *, out: A[File, "a CSV"], runs: RunFolders = ()
) -> None:
    """gather a study's finished runs into a table"""
    check("table", table)

    from gradscape.claims.tables import write_table
    from gradscape.runs.run import FinishedRun

    write_table(table, map(FinishedRun, runs), out)  # one at a time: may be thousands


def claims(
    *,
    experiment: Experiment,
    study: A[str, "decide this one alone"] = REPORT,
    read: A[bool, "decide nothing: print what is decided already"] = False,
    json: A[bool, "print all that is known of each, as JSON"] = False,
) -> None:
    """decide what is claimed from the finished runs, write the verdicts and print them"""
    from gradscape.claims import files

    decided = files.decide_studies(experiment, study, anew=not read)
    if json:
        told = {study: found.as_json() for study, found in decided.items()}
        print(dumps(told, indent=1, ensure_ascii=False))
    else:
        print(*files.as_lines(decided), sep="\n")


def report(*, experiment: Experiment) -> None:
    """decide, draw, write and compile the report from the finished runs; write its page"""
    from gradscape.report.build import build

    build(experiment)


def page(*, experiment: Experiment) -> None:
    """write the report as one HTML page to explore, from figures and verdicts"""
    from gradscape.report.page import write_page

    write_page(experiment)


def tex(document: Document = REPORT, *, experiment: Experiment) -> None:
    """write a document's LaTeX from figures and verdicts"""
    from gradscape.report.template import write_tex

    write_tex(experiment, document)


def pdf(document: Document = REPORT, *, results: A[Path, "as for tex"]) -> None:
    """compile a document's LaTeX"""
    from gradscape.report.latex import compile_pdf

    compile_pdf(Results(results), document)


def diff(
    old: A[Path, "results/<config>"], new: A[Path, "another, which gets report-diff.pdf"]
) -> None:
    """mark what changed between the reports of two results folders, by latexdiff"""
    from gradscape.report.diff import write_diff

    print(write_diff(old, new))


def publish(*, experiment: Experiment, out: A[Path, "folder for the tables"]) -> None:
    """save the finished runs as tables, without weights, for reports to use"""
    from gradscape.runs.publish import publish as publish_runs

    count = publish_runs(experiment, Results(out))
    print(f"{count} of {len(experiment.runs)} runs are in {out}")


def submission(
    course: A[str, Named("course")],
    *,
    student: A[str, "your number"],
    name: A[str, "yours; both stand on every page"],
    helped: A[str, "whom you talked to, and about what: Alberta's comment"] = "",
    experiment: Experiment,
) -> None:
    """pack what a course wants handed in"""
    check("course", course)

    from gradscape.cli.submission import write_submission

    print(write_submission(experiment, course, student, name, helped))


def models() -> None:
    """list every model with its parameters and layers"""
    import torch

    from gradscape.models import build
    from gradscape.models.blocks import layer_counts, parameter_count

    print(f"{'':<14} {'parameters':^23} {'layers':^17}")
    print(f"{'model':<14} {'10 classes':>11} {'100 classes':>11}   conv   bn linear")
    for name in names("model"):
        with torch.device("meta"):  # shapes, without a number in them
            ten, hundred = (build(name, classes) for classes in (10, 100))
        sizes = f"{parameter_count(ten):>11,} {parameter_count(hundred):>11,}"
        convolutions, norms, linear = layer_counts(ten).values()
        print(f"{name:<14} {sizes} {convolutions:>6} {norms:>4} {linear:>6}")


def runs(
    *,
    experiment: Experiment,
    commands: A[bool, "print the commands that train them"] = False,
    json: A[bool, "as JSON, not as a table"] = False,
    watch: A[bool, "print it every two seconds until all are finished"] = False,
) -> None:
    """list a configuration's runs: status, epoch, accuracy, seconds left"""
    from gradscape.pipeline.status import show

    if not commands:
        return show(experiment, json, watch)
    for run in experiment.runs:
        spec = {"study": run.study, "name": run.name, "varied": run.varied}
        words = [*flags(run.settings), "--spec", dumps(spec)]
        words += ["--out", str(experiment.directory(run))]
        print(f"gradscape train {shlex.join(words)}")


def plan(
    *,
    experiment: Experiment,
    on: A[str | None, Unset("this one's"), "kind of device, such as CPU or H200"] = None,
) -> None:
    """estimate the device-hours that a configuration will cost"""
    from gradscape.pipeline.times import known_kind

    kind = known_kind(experiment, on) if on is not None else None

    from gradscape.pipeline.cost import plan as plan_costs  # loads torch

    print(plan_costs(experiment, kind))


def reproduce(
    *,
    claim: A[str, "study/claim"],
    experiment: Experiment,
    out: A[Path | None, Unset("none is kept"), "a results folder for the runs"] = None,
    data: DataFolder = DATA,
    estimate: A[bool, "say what it would cost, and train nothing"] = False,
) -> None:
    """train the runs of a claim again: same bytes, inside the interval or changed?"""
    from gradscape.pipeline.reproduce import CHANGED, Reproduction

    found = Reproduction(experiment, claim)
    if estimate:
        from gradscape.pipeline.cost import costs  # loads torch

        times, told = costs(experiment, runs=found.runs)
        lines = [f"{run}: {seconds:,.0f} s" for run, seconds in times.items()]
        return print(*lines, *told, sep="\n")
    with TemporaryDirectory() as folder:
        outcome = found.train(data, out or Path(folder))
    if outcome == CHANGED:
        raise SystemExit(1)


def new(folder: A[Path, "a new or empty folder"]) -> None:
    """lay out a project of your own: a configuration, a Snakefile, a network, a claim"""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise GradscapeError(f"{folder}: is not empty; name a new folder")
    shutil.copytree(CONFIGS / "new", folder, dirs_exist_ok=True)
    shutil.copytree(HOME / "profiles" / "default", folder / "profiles" / "default")
    config = folder / "config.yaml"
    line = f"# yaml-language-server: $schema={CONFIGS / 'schema.json'}\n"  # for editors
    results = f"results/{folder.absolute().name}"
    text = config.read_text("utf-8").replace("results/mine", dumps(results))
    config.write_text(line + text, "utf-8")
    print(f"{folder}/ holds a configuration, a network, a claim and a Snakefile.")
    there = shlex.quote(str(folder))
    print(f"cd {there} && snakemake --cores 2    # ends in {results}/report.pdf")


COMMANDS = [data, weights, train, probe, figure, table, claims, report, page, tex]
COMMANDS += [pdf, diff, publish, submission, models, runs, plan, reproduce, new]
