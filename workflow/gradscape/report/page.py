"""The report as one HTML page to explore: pictures, tables, curves, gradients, surfaces.

The page holds all that it shows, plotly.js (MIT licence) included, and its own policy
forbids it to load anything or to run any script but its two.
"""

import base64
import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import jinja2
import numpy as np
import pandas as pd
from plotly.offline import get_plotlyjs

from gradscape.base.errors import GradscapeError
from gradscape.base.files import atomic_write, plain_file
from gradscape.base.paths import PAGE, REPORT, TEMPLATES, locate
from gradscape.claims.verdicts import Verdict
from gradscape.config.experiment import Experiment
from gradscape.figures.layers import labels, split_scales
from gradscape.figures.loss_surface import CEILING, grid, numbers
from gradscape.report import numbers as tex
from gradscape.report.colophon import colophon
from gradscape.report.document import StudyView
from gradscape.runs.run import FinishedRun, by_setting
from gradscape.spec.registry import find
from gradscape.spec.study import Figure, Study

MAX_BYTES = 15_000_000  # of the page
RESERVED = 1_000_000  # for everything that is not counted
MAX_ROWS = 200  # of a table
MAX_EPOCHS = 20  # of a gradient flow
CURVES = ["train_loss", "val_loss", "train_accuracy", "val_accuracy"]
FIGURE = re.compile(r'(?:figure|include) ?\(?"([\w./-]+)"')


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


def write_page(experiment: Experiment) -> None:
    """Write `report.html` from the finished runs and the figures that are drawn.

    Raises `GradscapeError` if no run is finished. The same files give the same bytes.
    """
    results = experiment.results
    views = [StudyView(study, results) for study in experiment.studies.values()]
    runs = [run for view in views for run in view.finished]
    if not runs:
        raise GradscapeError(f"{results}/runs: no finished run, so nothing to report")
    plotly = get_plotlyjs()
    room = Room(MAX_BYTES - RESERVED - len(plotly.encode()))
    studies = [study(view, room) for view in views if view.finished]
    data, left_out = explored(views, room)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"allowed": allowed, "quote": quote}
    text = environment.from_string(PAGE.read_text()).render(
        title=experiment.title,
        author=experiment.author,
        numbers=list(key_numbers(views)),
        verdicts=Counter(v.verdict for view in views for v in view.claims.values()),
        studies=studies,
        documents=[REPORT, *(d for d in experiment.courses if results.pdf(d).exists())],
        missing=sum(view.missing for view in views),
        damaged=[name for view in views for name in view.damaged],
        left_out=left_out,
        generated=any(run.synthetic for run in runs),
        origin=[(name, tex.plain(text)) for name, text in colophon(runs)],
        data=data,
        plotly=plotly,
    )
    with atomic_write(results.page) as partial:
        partial.write_text(text)


def allowed(script: str) -> str:
    """A script as a content security policy names it (W3C, CSP Level 3, section 2.3)."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def key_numbers(views: list[StudyView]):
    """What is measured, both sides and the verdict, of those numbers that were measured."""
    for view in views:
        for claim, text in view.key_numbers.items():
            verdict = view.claims[claim]
            if verdict.left:
                yield text, *sides(verdict), verdict.verdict


def sides(verdict: Verdict) -> list[str]:
    """The two sides of a comparison; a dash where it was not measured."""
    both = (verdict.left, verdict.right)
    return [tex.plain(tex.quantity(side, verdict.style)) if side else "–" for side in both]


def study(view: StudyView, room: Room) -> dict:
    """One study as the template sees it."""
    return {
        "view": view,
        "pdf": view.results.pdf(view.name).exists(),
        "claims": [
            {"claim": c, "sides": sides(c), "interval": tex.plain(tex.interval(c))}
            for c in map(view.claims.get, view.measured)
        ],
        "figures": list(figures(view, room)),
        "tables": [table(name, view, room) for name in view.study.tables],
    }


def figures(view: StudyView, room: Room):
    """The drawn figures in the report's order; `source` is empty where one is too large."""
    for figure in in_order(view.study):
        path = view.results.figure(view.name, figure.name, "svg")
        if not path.exists():
            continue
        facts = plain_file(path.with_suffix(".txt")).read_text(errors="replace").strip()
        source = base64.b64encode(plain_file(path).read_bytes()).decode()
        name = title(figure, facts)
        rest = f"{figure.caption} {facts}".strip().removeprefix(name).lstrip(":. ")
        source = source if room.fits(source) else ""
        yield {"figure": figure, "title": name, "caption": rest, "source": source}


def in_order(study: Study) -> list[Figure]:
    """A study's figures as its section shows them; after them those that it does not."""
    own = study.section.endswith(".j2")
    shown = shown_in(study.section if own else f"sections/{study.section}.tex.j2")
    places = {name: place for place, name in reversed(list(enumerate(shown)))}
    return sorted(study.figures, key=lambda figure: places.get(figure.name, len(shown)))


def shown_in(template: str) -> list[str]:
    """The figures that a template names, also in what it includes."""
    path, names = TEMPLATES / template, []
    for name in FIGURE.findall((path if path.is_file() else locate(template)).read_text()):
        names += shown_in(name) if name.endswith(".j2") else [name]
    return names


def title(figure: Figure, facts: str = "") -> str:
    """A short name: the configured caption, else what the facts begin with."""
    words = figure.caption or facts or figure.name.replace("-", " ")
    return re.split(r"[:.](?:\s|$)", words)[0]


def table(name: str, view: StudyView, room: Room) -> dict:
    """Without the columns that tell nothing: the study, and those that are empty."""
    content = find("table", name)(view.finished).dropna(axis="columns", how="all")
    content = content.drop(columns="study", errors="ignore")
    shown = content[:MAX_ROWS].itertuples(index=False)
    rows = [[cell(value) for value in row] for row in shown]
    rows = rows if room.fits([rows, rows]) else []  # twice, for the markup
    return {"name": name, "columns": list(content), "rows": rows, "count": len(content)}


def cell(value: Any) -> str:
    if pd.isna(value):
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else f"{value:.4g}"
    return str(value)


def explored(views: list[StudyView], room: Room) -> tuple[dict, int]:
    """What the page draws itself: every run's curves, and of each setting's first seed the
    gradient flow and the loss surface; and how many of them have no room or are damaged."""
    drawn: dict[str, list[dict]] = {"surfaces": [], "flows": [], "curves": []}
    left_out = 0
    for view in views:
        groups = by_setting(view.finished).values()
        first = [min(runs, key=lambda run: run.seed) for runs in groups]
        probed = [run for run in first if run.is_probed("surface")]
        of_runs = (surface, probed), (flow, first), (curves, view.finished)
        for items, (content, runs) in zip(drawn.values(), of_runs, strict=True):
            for run in runs:
                seed = f", seed {run.seed}" * (content is curves)
                item = {"study": view.title, "label": run.label + seed}
                try:
                    item |= content(run)
                except (LookupError, TypeError, ValueError):  # rows twice, or none
                    item = {}
                if item and room.fits(item):
                    items.append(item)
                else:
                    left_out += 1
    return drawn, left_out


def curves(run: FinishedRun) -> dict:
    """By epoch."""
    table = run.metrics
    return {"epoch": table["epoch"].tolist()} | {k: rounded(table[k]) for k in CURVES}


def flow(run: FinishedRun) -> dict:
    """Mean absolute gradient of the layers' weights, a row for each of a few epochs."""
    table = run.gradients
    layers, _ = split_scales(list(table))
    epochs = np.linspace(0, len(table) - 1, min(len(table), MAX_EPOCHS)).astype(int)
    return {
        "epoch": (epochs + 1).tolist(),
        "layer": list(labels(layers).values()),
        "gradient": [rounded(row, 3) for row in table[layers].to_numpy()[epochs]],
    }


def surface(run: FinishedRun) -> dict:
    """The loss around the best weights, cut off where the figure cuts it."""
    table = grid(run.probe("surface"))
    ceiling = CEILING * run.chance_loss
    loss = table.where(np.isfinite(table) & (table <= ceiling), ceiling).to_numpy()
    return {
        "hessian": numbers(run).replace(r"$\lambda$", "λ"),
        "alpha": rounded(table.index),
        "beta": rounded(table.columns),
        "loss": [rounded(row, 5) for row in loss],
    }


def rounded(values, digits: int = 4) -> list[float | None]:
    """To so many digits; None for what is no number, which JSON does not have."""
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in values]
