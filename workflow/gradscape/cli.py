"""Every step of the workflow as a command: gradscape data|train|probe|figure|table|…

Imports stand inside the commands, so that a command loads only what it needs.
"""

import argparse
import dataclasses
import errno
import json
import shlex
import sys
from pathlib import Path

from gradscape import __version__
from gradscape.config import Experiment, downloaded_weights
from gradscape.errors import GradscapeError
from gradscape.layout import DATA, RECORD, REPORT, WEIGHTS, Results
from gradscape.models import pretrained_files
from gradscape.registry import find, names, short
from gradscape.schema import validate
from gradscape.settings import SETTINGS, Settings, flags
from gradscape.study import Figure, Run, run_name
from gradscape.unfold import check_settings


def experiment(arguments) -> Experiment:
    """The configuration that a command names, and the results it is to use."""
    return Experiment.from_file(arguments.config, arguments.results)


def data(arguments) -> None:
    """get a dataset and lay it out as arrays"""
    from gradscape.data.datasets import acquire
    from gradscape.data.store import save
    from gradscape.files import exclusive

    out = arguments.out or DATA / short(arguments.name)
    with exclusive(out) as waited:
        if waited and (out / "dataset.json").exists():
            return  # the other process has made it; this file is written last
        save(acquire(arguments.name, arguments.data_dir), out)


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
    settings = settings_from(arguments)

    from gradscape.data.store import load
    from gradscape.engine.train import train as train_run
    from gradscape.files import exclusive

    if settings.pretrained and arguments.weights is None:
        arguments.weights = downloaded_weights(settings.model)
    name = arguments.name or run_name(settings)
    with exclusive(arguments.out) as waited:
        if waited and recorded_settings(arguments.out) == dataclasses.asdict(settings):
            return  # the other process has trained this run
        train_run(
            Run(arguments.study, name, settings, json.loads(arguments.varied)),
            load(arguments.data / short(settings.dataset), settings.dataset),
            arguments.out,
            threads=arguments.threads,
            checkpoint_seconds=arguments.checkpoint_seconds,
            tensorboard=arguments.tensorboard,
            pretrained=arguments.weights,
        )


def recorded_settings(folder: Path) -> dict | None:
    """The settings of the run that is finished in `folder`; None where none is."""
    path = folder / RECORD
    return json.loads(path.read_text())["settings"] if path.exists() else None


def probe(arguments) -> None:
    """measure a trained network from its weights and its training images"""
    from gradscape.engine.record import write_csv
    from gradscape.probes.trained import Trained

    measure = find("probe", arguments.name)
    run = Trained(arguments.run, arguments.data, arguments.threads)
    write_csv(arguments.out, measure(run, **json.loads(arguments.options)))


def test(arguments) -> None:
    """classify the test images with a trained network, one at a time on the CPU"""
    from gradscape.courses.alberta import mark
    from gradscape.probes.trained import Trained

    marked = mark(Trained(arguments.run, arguments.data, arguments.threads, "cpu"))
    print(f"accuracy  {marked.accuracy:.4f} on {marked.images:,} test images")
    print(f"score     {marked.score:.2f} of 1 (CMPUT 328: 0 up to 0.65, 1 from 0.80)")
    print(f"time      {marked.seconds:.1f} s, batch size 1, {arguments.threads} threads")


def figure(arguments) -> None:
    """draw one figure from the tables of finished runs"""
    from gradscape.figures.drawing import draw
    from gradscape.results.runs import FinishedRun

    spec = Figure(**json.loads(arguments.spec))
    draw(spec, [FinishedRun(path) for path in arguments.runs], arguments.out)


def table(arguments) -> None:
    """gather a study's finished runs into a table"""
    from gradscape.results.runs import FinishedRun
    from gradscape.results.tables import write_table

    runs = map(FinishedRun, arguments.runs)  # one at a time: there may be thousands
    write_table(arguments.name, runs, arguments.out)


def report(arguments) -> None:
    """draw, write and compile the report from the runs that are finished"""
    from gradscape.report.build import build

    build(experiment(arguments))


def tex(arguments) -> None:
    """write a document's LaTeX from figures and tables that are drawn"""
    from gradscape.report.build import write_tex

    write_tex(experiment(arguments), arguments.document)


def pdf(arguments) -> None:
    """compile a document's LaTeX"""
    from gradscape.report.pdf import compile_pdf

    compile_pdf(Results(arguments.results), arguments.document)


def publish(arguments) -> None:
    """keep the finished runs as tables, without weights, where a report can use them"""
    from gradscape.report.publish import publish as publish_runs

    chosen = experiment(arguments)
    count = publish_runs(chosen, Results(arguments.out))
    print(f"{count} of {len(chosen.runs)} runs are in {arguments.out}")


def submission(arguments) -> None:
    """pack what a course wants handed in"""
    from gradscape.courses.archive import write_submission

    print(write_submission(experiment(arguments), arguments.course, arguments.student))


def new(arguments) -> None:
    """lay out a project of your own: a configuration, a Snakefile, a network, a claim"""
    from gradscape.new import lay_out

    print(lay_out(arguments.folder))


def models(arguments) -> None:
    """list every model with its parameters and layers"""
    from gradscape.models import build
    from gradscape.models.blocks import layer_counts, parameter_count

    rows = []
    for name in names("model"):
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
    chosen = experiment(arguments)
    for run in chosen.runs:
        words = [*flags(run.settings), "--study", run.study, "--name", run.name]
        words += ["--varied", json.dumps(run.varied), "--out", str(chosen.directory(run))]
        print(f"gradscape train {shlex.join(words)}" if arguments.commands else run.id)


def plan(arguments) -> None:
    """say what a configuration will cost: device-hours, disk, the longest chain"""
    from gradscape.plan import plan as plan_costs

    print(plan_costs(experiment(arguments), arguments.on))


def add_settings(parser: argparse.ArgumentParser) -> None:
    """One option a setting, as its line in `settings.py` has it."""
    group = parser.add_argument_group("settings")
    for name, option in SETTINGS.items():
        flag = f"--{name.replace('_', '-')}"
        default = None if option.required else option.default
        shown = "required" if option.required else f"default: {option.unset or default}"
        text = f"{option.help} ({shown})".replace("%", "%%").replace("`", "")
        if option.type is bool:
            action = argparse.BooleanOptionalAction
            group.add_argument(flag, action=action, default=default, help=text)
        else:
            group.add_argument(
                flag,
                type=option.type,
                default=default,
                required=option.required,
                metavar=option.type.__name__.upper(),
                help=text,
            )


def settings_from(arguments) -> Settings:
    """The settings on the command line, held against the schema like a config's."""
    values = {name: getattr(arguments, name) for name in SETTINGS}
    given = {k: v for k, v in values.items() if v is not None}
    validate(given, "command line", "settings")
    settings = Settings(**values)
    check_settings(settings, "command line")
    return settings


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
    added.add_argument("name", help="a dataset, as a configuration calls it")
    added.add_argument("--out", type=Path, help=f"folder to write (default: in {DATA})")
    added.add_argument("--data-dir", help="folder with the archive or its extracted form")

    added = command(weights)
    added.add_argument("model", choices=list(pretrained_files()))

    added = command(train)
    add_data(added)
    added.add_argument("--out", type=Path, required=True, help="the run's directory")
    added.add_argument("--study", default="command-line")
    added.add_argument("--name", help="default: from model, learning rate and seed")
    added.add_argument("--varied", default="{}", help="what tells it apart, as JSON")
    added.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    added.add_argument("--checkpoint-seconds", type=float, default=20.0, help="default: 20")
    added.add_argument("--tensorboard", metavar="DIR", help="also write event files")
    added.add_argument("--weights", type=Path, help=f"pretrained (default: in {WEIGHTS})")
    add_settings(added)

    added = command(probe)
    added.add_argument(
        "name", help=f"{', '.join(names('probe'))}, or path/file.py:function"
    )
    added.add_argument("--run", type=Path, required=True, help="the run's directory")
    add_data(added)
    added.add_argument("--out", type=Path, required=True, help="CSV file to write")
    added.add_argument("--options", default="{}", help="as in the config, as JSON")
    added.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")

    added = command(test)
    added.add_argument("--run", type=Path, required=True, help="the run's directory")
    add_data(added)
    added.add_argument("--threads", type=int, default=2, help="default: 2")

    added = command(figure)
    added.add_argument("--spec", required=True, help="the figure, as JSON")
    added.add_argument("--out", type=Path, nargs="+", required=True, help="files to write")
    added.add_argument("--runs", type=Path, nargs="*", default=[], help="run directories")

    added = command(table)
    added.add_argument("name", choices=list(names("table")))
    added.add_argument("--out", type=Path, required=True, help="CSV file to write")
    added.add_argument("--runs", type=Path, nargs="*", default=[], help="run directories")

    add_config(command(report))

    added = command(tex)
    add_document(added)
    add_config(added)

    added = command(pdf)
    add_document(added)
    added.add_argument("--results", type=Path, required=True, help="as for tex")

    added = command(publish)
    add_config(added)
    added.add_argument("--out", type=Path, required=True, help="folder for the tables")

    added = command(submission)
    added.add_argument("course", choices=list(names("course")))
    added.add_argument("--student", required=True, help="number, or number_name (fudan)")
    add_config(added)

    added = command(models)
    added.add_argument("--json", action="store_true")

    added = command(runs)
    add_config(added)
    added.add_argument("--commands", action="store_true", help="as commands that train")

    added = command(plan)
    add_config(added)
    added.add_argument("--on", metavar="KIND", help="kind of device (default: this one's)")

    command(new).add_argument("folder", type=Path, help="a new or empty folder")
    return top


def add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--results", type=Path, help="default: the config's results")


def add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=DATA, help=f"default: {DATA}")


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
