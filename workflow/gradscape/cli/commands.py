"""Every step of the workflow as a function of its command-line arguments.

Imports are inside the commands, so that a command loads only what it needs.
"""

import json
import os
import shlex

from gradscape.base.errors import GradscapeError
from gradscape.base.paths import DATA, TENSORBOARD, Results
from gradscape.config.expand import check_settings
from gradscape.config.experiment import Experiment, downloaded_weights
from gradscape.config.schema import validate, validate_options
from gradscape.spec.options import coerce_integers
from gradscape.spec.registry import find, names, short
from gradscape.spec.registry import options as options_of
from gradscape.spec.settings import SETTINGS, Settings, flags
from gradscape.spec.study import Figure, Run, run_name


def experiment(arguments) -> Experiment:
    """The configuration that a command names, with the results folder to use."""
    return Experiment.from_file(arguments.config, arguments.results)


def data(arguments) -> None:
    """get a dataset and lay it out as arrays"""
    from gradscape.base.files import folder_lock
    from gradscape.data.datasets import acquire
    from gradscape.data.store import save

    out = arguments.out or DATA / short(arguments.name)
    with folder_lock(out) as waited:
        if waited and (out / "dataset.json").exists():
            return  # the other process has made it; this file is written last
        dataset = acquire(arguments.name, arguments.data_dir)
        save(dataset, out)
    known = dataset.facts
    print(
        f"{dataset.name}: {known.train:,} images for training, {known.test:,} for testing, "
        f"in {known.classes} classes, in {out}"
    )


def weights(arguments) -> None:
    """download a network's ImageNet weights and check their hash"""
    from gradscape.base.files import folder_lock
    from gradscape.models.pretrained import download

    out = downloaded_weights(arguments.model)
    with folder_lock(out.parent):
        if not out.exists():
            download(arguments.model, out)
    print(out)


def train(arguments) -> None:
    """train one run, or resume it where it stopped"""
    settings = settings_from(arguments)

    from gradscape.base.files import folder_lock, say
    from gradscape.data.store import load
    from gradscape.runs.existing import is_finished, summary
    from gradscape.training.train import train as train_run

    if settings.pretrained and arguments.weights is None:
        arguments.weights = downloaded_weights(settings.model)
    name, out = arguments.name or run_name(settings), arguments.out
    run = Run(arguments.study, name, settings, mapping(arguments.varied, "--varied"))
    dataset = load(arguments.data / short(settings.dataset), settings.dataset)
    with folder_lock(out):
        if is_finished(out, settings, dataset.checksum, arguments.overwrite):
            say(f"{out}: already finished; --overwrite trains it again")
        else:
            train_run(
                run,
                dataset,
                out,
                threads=arguments.threads,
                checkpoint_seconds=arguments.checkpoint_seconds,
                tensorboard=arguments.tensorboard or TENSORBOARD in os.environ,
                pretrained=arguments.weights,
            )
    print(f"{summary(out)}, in {out}")


def probe(arguments) -> None:
    """measure a trained network from its weights and its training images"""
    from gradscape.training.record import write_csv

    options = mapping(arguments.options, "--options")
    known = options_of("probe", arguments.name)
    validate_options(options, known, "--options")
    measure = find("probe", arguments.name)
    rows = measure(trained(arguments), **coerce_integers(options, known or {}))
    write_csv(arguments.out, rows)
    print(f"{arguments.name}: {len(rows):,} rows, in {arguments.out}")


def test(arguments) -> None:
    """classify the test images with a trained network, one at a time on the CPU"""
    from gradscape.probes.trained import one_at_a_time

    accuracy, images, seconds = one_at_a_time(trained(arguments, "cpu"))
    print(f"accuracy  {accuracy:.4f} on {images:,} test images")
    print(f"time      {seconds:.1f} s, batch size 1, {arguments.threads} threads")


def figure(arguments) -> None:
    """draw one figure from the tables of finished runs"""
    from gradscape.figures.drawing import draw
    from gradscape.runs.run import FinishedRun

    given = mapping(arguments.spec, "--spec")
    validate(given, "--spec", "figure")
    spec = Figure(**given)
    known = options_of("figure", spec.draw)
    validate_options(spec.options, known, "--spec.options")
    draw(spec, [FinishedRun(path) for path in arguments.runs], arguments.out)


def table(arguments) -> None:
    """gather a study's finished runs into a table"""
    from gradscape.claims.tables import write_table
    from gradscape.runs.run import FinishedRun

    runs = map(FinishedRun, arguments.runs)  # one at a time: there may be thousands
    write_table(arguments.name, runs, arguments.out)


def report(arguments) -> None:
    """draw, write and compile the report from the finished runs, and write its HTML page"""
    from gradscape.report.build import build
    from gradscape.report.page import write_page

    chosen = experiment(arguments)
    try:
        build(chosen)
    except GradscapeError:  # such as that there is no LaTeX
        write_page(chosen)
        raise
    write_page(chosen)


def page(arguments) -> None:
    """write the report as one HTML page to explore, from finished runs and figures"""
    from gradscape.report.page import write_page

    write_page(experiment(arguments))


def tex(arguments) -> None:
    """write a document's LaTeX from finished figures and tables"""
    from gradscape.report.build import write_tex

    write_tex(experiment(arguments), arguments.document)


def pdf(arguments) -> None:
    """compile a document's LaTeX"""
    from gradscape.report.latex import compile_pdf

    compile_pdf(Results(arguments.results), arguments.document)


def diff(arguments) -> None:
    """mark what changed between the reports of two results folders, by latexdiff"""
    from gradscape.report.diff import write_diff

    print(write_diff(arguments.old, arguments.new))


def publish(arguments) -> None:
    """save the finished runs as tables, without weights, for reports to use"""
    from gradscape.report.publish import publish as publish_runs

    chosen = experiment(arguments)
    count = publish_runs(chosen, Results(arguments.out))
    print(f"{count} of {len(chosen.runs)} runs are in {arguments.out}")


def submission(arguments) -> None:
    """pack what a course wants handed in"""
    from gradscape.cli.submission import write_submission

    print(write_submission(experiment(arguments), arguments.course, arguments.student))


def new(arguments) -> None:
    """lay out a project of your own: a configuration, a Snakefile, a network, a claim"""
    from gradscape.cli.new import lay_out

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
    """estimate what a configuration will cost: device-hours, disk, the longest chain"""
    from gradscape.pipeline.cost import plan as plan_costs

    print(plan_costs(experiment(arguments), arguments.on))


def completion(arguments) -> None:
    """print what makes a shell complete commands, options and names"""
    import shtab

    from gradscape.cli.parser import parser

    print(shtab.complete(parser(), shell=arguments.shell))


def mapping(text: str, flag: str) -> dict:
    """An argument that is a JSON object."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise GradscapeError(f"{flag}: cannot be parsed as JSON ({error})") from None
    if not isinstance(content, dict):
        raise GradscapeError(f"{flag}: is no JSON object")
    return content


def trained(arguments, device: str = ""):
    """The run that a command names, with its settings checked: another may have sent it."""
    from gradscape.probes.trained import Trained

    where = (arguments.run, arguments.data, arguments.threads)
    run = Trained(*where, device, arguments.own)
    check_known(run.settings, f"{arguments.run}: settings")
    return run


def settings_from(arguments) -> Settings:
    """The settings on the command line, checked against the schema like a config's."""
    values = {name: getattr(arguments, name) for name in SETTINGS}
    settings = Settings(**values)
    check_known(settings, "command line")
    check_settings(settings, "command line")
    return settings


def check_known(settings: Settings, at: str) -> None:
    given = {k: v for k, v in vars(settings).items() if v is not None}
    validate(given, at, "settings")
