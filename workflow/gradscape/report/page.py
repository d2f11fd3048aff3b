"""The report as one HTML page to explore: a story, live theory, a live network, all runs.

The page holds all that it shows and its own scripts, of `report/page/`; its policy forbids
it to load anything or to run any other.
"""

import base64
import hashlib
import json
import re
import zlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from gradscape.base.files import atomic_write, plain_file
from gradscape.base.paths import PAGE, PAGE_FILES
from gradscape.claims.sentences import tally
from gradscape.claims.verdicts import Verdict
from gradscape.config.experiment import Experiment
from gradscape.config.yaml import read_yaml
from gradscape.figures.layers import kinds_of, labels, split_scales
from gradscape.figures.loss_surface import CEILING, capped, grid, leads_back, numbers, path
from gradscape.report.colophon import colophon
from gradscape.report.view import StudyView, nothing_to_report, view_studies
from gradscape.runs.record import reading
from gradscape.runs.run import FinishedRun, by_setting

MAX_BYTES = 15_000_000  # of the page
RESERVED = 1_000_000  # for everything that is not counted
MAX_ROWS = 200  # of a table
MAX_EPOCHS = 20  # of a gradient flow
# The page's scripts in their order, and those of the network that trains in a worker.
SCRIPTS = ["view", "axes", "plot", "laws", "theory", "live", "against", "explore"]
SCRIPTS += ["trained"]
WORKER = ["layers", "images", "network", "worker"]
SCORES = ["test_accuracy", "val_accuracy", "final_train_loss", "test_loss"]
SCORES += ["parameters", "seconds_training"]
EDINBURGH = re.compile(r"vgg\d\d(-bn)?(-rc)?")
UNKNOWN_TO_LAWS = ["width", "reduction_batch_norm", "reduction_shortcut", "pre_activation"]
UNKNOWN_TO_LAWS += ["fold_after", "batch_norm", "skip"]
FIGURE = re.compile(r" \(figure “[^”]*”\)")  # which a sentence refers to, in a document
CURVES = ["train_loss", "val_loss", "train_accuracy", "val_accuracy"]


@dataclass
class Room:
    """How many bytes the page may still grow by."""

    left: int

    def fits(self, item: Any) -> bool:
        """Is there room for it? If so, it is taken."""
        size = len(json.dumps(item))
        if size > self.left:
            return False
        self.left -= size
        return True


def write_page(experiment: Experiment, viewed: dict[str, StudyView] | None = None) -> None:
    """Write `report.html` from the finished runs and the figures that are drawn; the same
    files give the same bytes. `viewed`: the views of all studies, if they were made before.
    Raises `GradscapeError` if no run is finished."""
    results = experiment.results
    views = list((viewed or view_studies(experiment)).values())
    runs = [run for view in views for run in view.finished]
    if not runs:
        raise nothing_to_report(experiment)
    documents = experiment.documents_of([view.name for view in views if view.finished])
    room = Room(MAX_BYTES - RESERVED)
    studies = [study(view, room) for view in views if view.finished]
    data, left_out = explored(views, room)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"allowed": allowed, "quote": quote}
    text = environment.from_string(PAGE.read_text("utf-8")).render(
        title=experiment.title,
        author=experiment.author,
        numbers=[
            (text, *sides(view.claims[claim]), view.claims[claim].word)
            for view in views
            for claim, text in view.key_numbers.items()
            if view.claims[claim].left
        ],
        tally=tally(v for view in views for v in view.claims.values()),
        studies=studies,
        documents=[d for d in documents if d not in experiment.studies],
        missing=sum(view.missing for view in views),
        damaged=[name for view in views for name in view.damaged],
        left_out=left_out,
        generated=any(run.synthetic for run in runs),
        origin=colophon(runs),
        data=data,
        story=list(story(views)),
        style=Markup((PAGE_FILES / "page.css").read_text("utf-8")),
        script=sources(SCRIPTS),
        worker=sources(WORKER),
    )
    with atomic_write(results.page) as partial:
        partial.write_text(text, "utf-8")


def sources(names: list[str]) -> Markup:
    """These files of `report/page/`, one after the other."""
    texts = [(PAGE_FILES / f"{name}.js").read_text("utf-8") for name in names]
    return Markup("\n".join(texts))


def story(views: list[StudyView]):
    """The steps of `story.yaml` that the runs tell, with what its claims' verdicts say."""
    studies = {view.name: view for view in views}
    for title, step in read_yaml(PAGE_FILES / "story.yaml").items():
        step["sentences"] = [
            FIGURE.sub("", studies[name].claims[claim].sentence)
            for name, claims in step["claims"].items()
            for claim in claims
            if name in studies and claim in studies[name].measured
        ]
        if curves := step.get("curves"):
            view = studies.get(curves["study"])
            drawn = view.chosen(model=curves["models"]) if view else []
            if len({run.model for run in drawn}) < 2:
                continue
            curves |= {"study": view.title, "guess": view.finished[0].chance_loss}
        yield {"title": title, "curves": None, "figure": "", **step}


def allowed(script: str) -> str:
    """A script or style as a content security policy names it (CSP Level 3, 2.3)."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def sides(verdict: Verdict) -> list[str]:
    """The two sides of a comparison; a dash where it was not measured."""
    both = (verdict.side(side) for side in ("left", "right"))
    return [Markup(side.html(unit=True)) if verdict.left else "–" for side in both]


def study(view: StudyView, room: Room) -> dict:
    """One study as the template sees it."""
    return {
        "view": view,
        "claims": [
            {"claim": c, "sides": sides(c), "interval": c.printed_interval.text()}
            for c in map(view.claims.get, view.measured)
        ],
        "figures": list(figures(view, room)),
        "tables": [table(name, view, room) for name in view.study.tables],
    }


def figures(view: StudyView, room: Room):
    """The drawn figures; `source`, deflated, is empty where one is too large."""
    for figure in view.study.figures:
        if not view.results.is_drawn(view.name, figure.name):
            continue
        path = view.results.figure(view.name, figure.name, "svg")
        facts = plain_file(path.with_suffix(".txt")).read_text("utf-8", "replace").strip()
        source = base64.b64encode(zlib.compress(plain_file(path).read_bytes(), 9)).decode()
        name = figure.heading(facts)
        rest = f"{figure.sentence} {facts}".strip().removeprefix(name).lstrip(":. ")
        rest = rest[:1].upper() + rest[1:]
        source = source if room.fits(source) else ""
        yield {"figure": figure, "title": name, "caption": rest, "source": source}


def table(name: str, view: StudyView, room: Room) -> dict:
    """A table without columns that tell nothing: the study, and those that are empty."""
    path = view.results.table(view.name, name)
    with reading(path):
        content = pd.read_csv(path).dropna(axis="columns", how="all")
    content = content.drop(columns="study", errors="ignore")
    rows = [list(map(cell, row)) for row in content[:MAX_ROWS].itertuples(index=False)]
    rows = rows if room.fits([rows, rows]) else []  # twice, for the markup
    return {"name": name, "columns": list(content), "rows": rows, "count": len(content)}


def cell(value: Any) -> str:
    if pd.isna(value):
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else f"{value:.4g}"
    return str(value)


def explored(views: list[StudyView], room: Room) -> tuple[dict, int]:
    """The data that the page draws: of every run curves and signal, of each setting's first
    seed gradient flow and loss surface; and how many are damaged or have no room."""
    drawn: dict[str, list[dict]] = {}
    left_out = 0
    for view in views:
        groups = by_setting(view.finished).values()
        first = [min(runs, key=lambda run: run.seed) for runs in groups]
        probed = [run for run in first if run.is_probed("surface")]
        of_runs = {
            "signals": (signal, filter(is_of_the_laws, view.finished)),
            "surfaces": (surface, probed),
            "flows": (flow, first),
            "curves": (curves, view.finished),
        }
        for name, (content, runs) in of_runs.items():
            items = drawn.setdefault(name, [])
            for run in runs:
                seed = f", seed {run.seed}" * (content is curves)
                name = f"{quote(run.path.parent.name)}/{quote(run.path.name)}"
                item = {"study": view.title, "label": run.label + seed, "run": name}
                try:
                    item |= content(run)
                    fits = room.fits(item)
                except (LookupError, TypeError, ValueError):  # rows twice, or none
                    fits = False
                if fits:
                    items.append(item)
                left_out += not fits
    return drawn, left_out


def curves(run: FinishedRun) -> dict:
    """A run's curves and scores, and its settings but for those left at nothing."""
    table, told = run.metrics, {"variant": run.variant, **run.settings, "device": ""}
    scores = (np.nan if run.scores[k] is None else run.scores[k] for k in SCORES)
    return {
        "settings": {k: v for k, v in told.items() if v not in (None, "")},
        "scores": dict(zip(SCORES, rounded(scores), strict=True)),
        "epoch": table["epoch"].tolist(),
        **{k: rounded(table[k]) for k in CURVES},
    }


def is_of_the_laws(run: FinishedRun) -> bool:
    """Is it an Edinburgh network whose changes the page's laws know, and was it probed?"""
    changed = any(run.settings[name] is not None for name in UNKNOWN_TO_LAWS)
    return bool(EDINBURGH.fullmatch(run.model)) and not changed and run.is_probed("signal")


def signal(run: FinishedRun) -> dict:
    """Mean squares of signal and gradient by layer, at initialisation."""
    table = run.probe("signal")
    table = table[table["moment"] == "initialisation"]
    settings, words, kinds = run.settings, run.model.split("-"), kinds_of(run)
    return {
        "layer": list(labels({name: kinds[name] for name in table["layer"]}).values()),
        "signal": rounded(table["activation_mean_square"], 3),
        "gradient": rounded(table["gradient_mean_square"], 3),
        "norm": "bn" in words,
        "shortcut": "rc" in words,
        "initialisation": settings["initialisation"] or "default",
        "slope": settings["slope"],
        "eta": settings["eta"],
        "classes": run.record.data.classes,
    }


def flow(run: FinishedRun) -> dict:
    """Mean absolute gradient of the layers' weights, a row for each of a few epochs."""
    table = run.gradients
    kinds = kinds_of(run)
    layers, _ = split_scales(kinds)
    epochs = np.linspace(0, len(table) - 1, min(len(table), MAX_EPOCHS)).astype(int)
    return {
        "epoch": (epochs + 1).tolist(),
        "layer": list(labels({name: kinds[name] for name in layers}).values()),
        "gradient": [rounded(row, 3) for row in table[layers].to_numpy()[epochs]],
    }


def surface(run: FinishedRun) -> dict:
    """The loss around the best weights, cut off where the figure cuts it."""
    measured = run.probe("surface")
    table = capped(grid(measured), CEILING * run.chance_loss)
    return {
        "back": leads_back(path(measured)),
        "hessian": numbers(run).replace(r"$\lambda$", "λ"),
        "alpha": rounded(table.index),
        "beta": rounded(table.columns),
        "loss": [rounded(row, 5) for row in table.to_numpy()],
    }


def rounded(values, digits: int = 4) -> list[float | None]:
    """Numbers with so many digits; None for what is no number, which JSON does not have."""
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in values]
