"""Every step of the workflow as a command: gradscape data|train|probe|figure|table|…

Imports stand inside the commands, so that a command loads only what it needs.
"""

import argparse
import dataclasses
import errno
import json
import sys
import typing
from pathlib import Path

from gradscape import __version__
from gradscape.config import (
    REPORT,
    RUN_RECORD,
    WEIGHTS,
    Experiment,
    Figure,
    Run,
    Settings,
    downloaded_weights,
    run_name,
)
from gradscape.errors import GradscapeError
from gradscape.models import PRETRAINED
from gradscape.probes import PROBES
from gradscape.report import TABLES


def data(arguments) -> None:
    """get a dataset and lay it out as arrays"""
    from gradscape.data.sources import acquire
    from gradscape.data.store import save
    from gradscape.files import exclusive

    with exclusive(arguments.out) as waited:
        if waited and (arguments.out / "dataset.json").exists():
            return  # the other process has made it; this file is written last
        save(acquire(arguments.name, arguments.data_dir), arguments.out)


def weights(arguments) -> None:
    """download a network's ImageNet weights and check their hash"""
    from gradscape.files import exclusive
    from gradscape.models.pretrained import download

    out = downloaded_weights(arguments.model)
    with exclusive(out.parent):
        if not out.exists():
            download(arguments.model, out)
    print(out)


def train(arguments) -> None:
    """train one run, or go on where it was stopped"""
    from gradscape.data.store import load
    from gradscape.engine.train import train as train_run
    from gradscape.files import exclusive

    settings = settings_from(arguments)
    if settings.pretrained and arguments.weights is None:
        arguments.weights = downloaded_weights(settings.model)
    name = arguments.name or run_name(settings, [])
    with exclusive(arguments.out) as waited:
        if waited and recorded_settings(arguments.out) == dataclasses.asdict(settings):
            return  # the other process has trained this run
        train_run(
            Run(arguments.study, name, settings),
            load(arguments.data / settings.dataset),
            arguments.out,
            arguments.threads,
            arguments.checkpoint,
            arguments.checkpoint_seconds,
            arguments.tensorboard,
            arguments.weights,
        )


def recorded_settings(folder: Path) -> dict | None:
    """The settings of the run that is finished in `folder`; None where none is."""
    path = folder / RUN_RECORD
    return json.loads(path.read_text())["settings"] if path.exists() else None


def probe(arguments) -> None:
    """measure a trained network from its weights and its training images"""
    from gradscape.engine.record import write_csv
    from gradscape.probes.trained import Trained
    from gradscape.registry import load

    run = Trained(arguments.run, arguments.data, arguments.threads)
    options = json.loads(arguments.options)
    write_csv(arguments.out, load(PROBES[arguments.name])(run, **options))


def test(arguments) -> None:
    """classify the test images with a trained network, one at a time on the CPU"""
    from gradscape.courses.marking import mark
    from gradscape.probes.trained import Trained

    marked = mark(Trained(arguments.run, arguments.data, arguments.threads, "cpu"))
    print(f"accuracy  {marked.accuracy:.4f} on {marked.images:,} test images")
    print(f"score     {marked.score:.2f} of 1 (CMPUT 328: 0 up to 0.65, 1 from 0.80)")
    print(f"time      {marked.seconds:.1f} s, batch size 1, {arguments.threads} threads")


def figure(arguments) -> None:
    """draw one figure from the tables of finished runs"""
    from gradscape.figures.draw import draw
    from gradscape.results.runs import FinishedRun

    spec = Figure(**json.loads(arguments.spec))
    draw(spec, [FinishedRun(path) for path in arguments.runs], arguments.out)


def table(arguments) -> None:
    """gather a study's finished runs into a table"""
    from gradscape.results.tables import write_table
    from gradscape.results.runs import FinishedRun

    runs = map(FinishedRun, arguments.runs)  # one at a time: there may be thousands
    write_table(arguments.name, runs, arguments.out)


def report(arguments) -> None:
    """draw, write and compile the report from the runs that are finished"""
    from gradscape.report.build import build

    experiment = Experiment.from_file(arguments.config)
    build(experiment, arguments.results or experiment.results)


def tex(arguments) -> None:
    """write the report's LaTeX from figures and tables that are drawn"""
    from gradscape.report.build import write_tex

    experiment = Experiment.from_file(arguments.config)
    results = arguments.results or experiment.results
    write_tex(experiment, results, arguments.document)


def pdf(arguments) -> None:
    """compile the report's LaTeX"""
    from gradscape.report.build import compile_pdf

    compile_pdf(arguments.results, arguments.document)


def publish(arguments) -> None:
    """keep the finished runs as tables, without weights, where a report can use them"""
    from gradscape.report.publish import publish as publish_runs

    experiment = Experiment.from_file(arguments.config)
    results = arguments.results or experiment.results
    count = publish_runs(experiment, results, arguments.out)
    print(f"{count} of {len(experiment.runs)} runs are in {arguments.out}")


def submission(arguments) -> None:
    """pack report, code and results as a coursework wants them handed in"""
    from gradscape.courses.submission import write_submission

    experiment = Experiment.from_file(arguments.config)
    results = arguments.results or experiment.results
    print(write_submission(experiment, results, arguments.course, arguments.student))


def models(arguments) -> None:
    """list every model with its parameters and layers"""
    from gradscape.models import MODELS, build
    from gradscape.models.blocks import layer_counts, parameter_count

    rows = []
    for name in MODELS:
        parameters = {
            f"parameters_{classes}_classes": parameter_count(build(name, classes))
            for classes in (10, 100)
        }
        rows.append({"model": name, **parameters, **layer_counts(build(name, 10))})
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'':<14} {'parameters':^23} {'layers':^17}")
    print(f"{'model':<14} {'10 classes':>11} {'100 classes':>11}   conv   bn linear")
    for row in rows:
        name, ten, hundred, convolutions, norms, linear = row.values()
        print(
            f"{name:<14} {ten:>11,} {hundred:>11,} {convolutions:>6} {norms:>4} {linear:>6}"
        )


def runs(arguments) -> None:
    """list the runs of a configuration, or the commands that train them"""
    experiment = Experiment.from_file(arguments.config)
    for run in experiment.runs:
        if arguments.commands:
            out = experiment.directory(run)
            print(
                f"gradscape train {' '.join(flags(run.settings))} --study {run.study} "
                f"--name {run.name} --data results/data --out {out}"
            )
        else:
            print(run.id)


def plan(arguments) -> None:
    """say what a configuration will cost: device-hours, disk, the longest chain"""
    from gradscape.plan import plan as plan_costs

    experiment = Experiment.from_file(arguments.config)
    print(plan_costs(experiment, arguments.results or experiment.results, arguments.on))


def flags(settings: Settings) -> list[str]:
    """Settings as command-line arguments; what is None is left out."""
    words = []
    for name, value in vars(settings).items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-", 1))
        elif value is not None:
            words += [flag, str(value)]
    return words


def add_settings(parser: argparse.ArgumentParser) -> None:
    """One option a setting, of its type, with its default."""
    types = typing.get_type_hints(Settings)
    group = parser.add_argument_group("settings (explained in config/README.md)")
    for field in dataclasses.fields(Settings):
        flag = f"--{field.name.replace('_', '-')}"
        required = field.default is dataclasses.MISSING
        default = None if required else field.default
        if types[field.name] in (bool, bool | None):
            action = argparse.BooleanOptionalAction
            group.add_argument(flag, action=action, default=default)
            continue
        options = [t for t in typing.get_args(types[field.name]) if t is not type(None)]
        kind = options[0] if options else types[field.name]
        help_text = "required" if required else f"default: {default}"
        group.add_argument(
            flag, type=kind, default=default, required=required, help=help_text
        )


def settings_from(arguments) -> Settings:
    """The settings on the command line, held against the schema like a config's."""
    from gradscape.config import validate

    names = [field.name for field in dataclasses.fields(Settings)]
    values = {name: getattr(arguments, name) for name in names}
    given = {k: v for k, v in values.items() if v is not None}
    study = {"title": "command line", **given}
    validate({"title": "-", "results": "-", "studies": {"command-line": study}})
    return Settings(**values)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="gradscape",
        description="Why deep networks refuse to train: each step of the workflow.",
    )
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(function) -> argparse.ArgumentParser:
        added = commands.add_parser(
            function.__name__, help=function.__doc__, description=function.__doc__
        )
        added.set_defaults(function=function)
        return added

    added = command(data)
    added.add_argument("name", help="cifar10, cifar100, generated10 or generated100")
    added.add_argument("--out", type=Path, required=True, help="folder to write")
    added.add_argument("--data-dir", help="folder with the archive or its extracted form")

    added = command(weights)
    added.add_argument("model", choices=list(PRETRAINED))

    added = command(train)
    added.add_argument("--data", type=Path, default=Path("results/data"))
    added.add_argument("--out", type=Path, required=True, help="the run's directory")
    added.add_argument("--study", default="command-line")
    added.add_argument("--name", help="default: from model, learning rate and seed")
    added.add_argument("--threads", type=int, default=1, help="CPU threads")
    added.add_argument("--checkpoint", type=Path, help="default: OUT/.checkpoint.pt")
    added.add_argument("--checkpoint-seconds", type=float, default=20.0, help="default: 20")
    added.add_argument("--tensorboard", metavar="DIR", help="also write event files")
    added.add_argument("--weights", type=Path, help=f"pretrained; default: in {WEIGHTS}")
    add_settings(added)

    added = command(probe)
    added.add_argument("name", choices=list(PROBES))
    added.add_argument("--run", type=Path, required=True, help="the run's directory")
    added.add_argument("--data", type=Path, default=Path("results/data"))
    added.add_argument("--out", type=Path, required=True, help="CSV file to write")
    added.add_argument("--options", default="{}", help="as in the config, as JSON")
    added.add_argument("--threads", type=int, default=1, help="CPU threads")

    added = command(test)
    added.add_argument("--run", type=Path, required=True, help="the run's directory")
    added.add_argument("--data", type=Path, default=Path("results/data"))
    added.add_argument("--threads", type=int, default=2, help="default: 2")

    added = command(figure)
    added.add_argument("--spec", required=True, help="the figure, as JSON")
    added.add_argument("--out", type=Path, nargs="+", required=True, help="files to write")
    added.add_argument("--runs", type=Path, nargs="*", default=[], help="run directories")

    added = command(table)
    added.add_argument("name", choices=list(TABLES))
    added.add_argument("--out", type=Path, required=True, help="CSV file to write")
    added.add_argument("--runs", type=Path, nargs="*", default=[], help="run directories")

    for function in (report, tex):
        added = command(function)
        if function is tex:
            add_document(added)
        added.add_argument("--config", type=Path, required=True)
        added.add_argument("--results", type=Path, help="default: the config's results")

    added = command(pdf)
    add_document(added)
    added.add_argument("--results", type=Path, required=True, help="as for tex")

    added = command(publish)
    added.add_argument("--config", type=Path, required=True)
    added.add_argument("--results", type=Path, help="default: the config's results")
    added.add_argument("--out", type=Path, required=True, help="folder for the tables")

    added = command(submission)
    added.add_argument("course", choices=["edinburgh", "fudan", "alberta", "sapienza"])
    added.add_argument("--student", required=True, help="number, or number_name (fudan)")
    added.add_argument("--config", type=Path, required=True)
    added.add_argument("--results", type=Path, help="default: the config's results")

    added = command(models)
    added.add_argument("--json", action="store_true")

    added = command(runs)
    added.add_argument("--config", type=Path, required=True)
    added.add_argument("--commands", action="store_true")

    added = command(plan)
    added.add_argument("--config", type=Path, required=True)
    added.add_argument("--results", type=Path, help="default: the config's results")
    added.add_argument("--on", metavar="KIND", help="kind of device; default: this one's")
    return top


def add_document(parser: argparse.ArgumentParser) -> None:
    help_text = f"{REPORT} (default) or a study"
    parser.add_argument("document", nargs="?", default=REPORT, help=help_text)


def main(argv: list[str] | None = None) -> None:
    """Run one command; bad input ends in one sentence on stderr and exit code 2."""
    arguments = parser().parse_args(argv)
    try:
        arguments.function(arguments)
    except GradscapeError as error:
        sys.exit(fail(str(error)))
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        if error.filename is None and not full:
            raise
        advice = "; make room and call again, what is finished is kept" if full else ""
        sys.exit(fail(f"{error.filename or 'results'}: {error.strerror}{advice}"))
    except RuntimeError as error:
        if "out of memory" in str(error):
            sys.exit(fail("the GPU's memory is too small for batch_size: lower it"))
        raise


def fail(sentence: str) -> int:
    print(f"gradscape: {sentence}", file=sys.stderr)
    return 2
