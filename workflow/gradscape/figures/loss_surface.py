"""Loss surfaces on the plane of two filter-normalised directions (Li et al. 2018)."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from gradscape.figures import style
from gradscape.runs.run import FinishedRun
from gradscape.spec.labels import setting_label
from gradscape.spec.quantity import Quantity
from gradscape.spec.study import Figure

PROBES = ["surface", "hessian"]  # what it draws; only the first is required
LEVELS = 14
CEILING = 2  # times the loss of a uniform guess; walls higher than this are cut
FLAT = 1e-3  # the least height that is drawn
TICKS = [-1, 0, 1]  # times the span
ORANGE = style.COLOURS[0]
MARKS = {"initialisation": "o", "best": "+", "last": "x"}
UNSEEN = 0.02  # from the centre: a path that its mark covers
EXACT = 1e-6


def loss_surface(figure: Figure, runs: list[FinishedRun]):
    """The surface and its contours, side by side for each run, in the same colours. The
    Hessian's numbers are under the name, where they were measured."""
    drawn, _ = style.smallest_seed(runs)
    ceiling = CEILING * drawn[0].chance_loss
    grids = [grid(run.probe("surface")) for run in drawn]
    tables = [capped(table, ceiling) for table in grids]
    smallest = min(table.to_numpy().min() for table in tables)
    largest = max(table.to_numpy().max() for table in tables)
    largest = max(largest, smallest + FLAT)
    levels = np.linspace(smallest, largest, LEVELS)
    across = min(len(drawn), 2 if figure.wide else 1)
    down = -(-len(drawn) // across)
    width, count = style.width(figure.wide), 2 * across
    picture = plt.figure(figsize=(width, down * (width / count + 0.5)))
    contour_axes = []
    for number, (run, table) in enumerate(zip(drawn, tables, strict=True)):
        alpha, beta = np.meshgrid(table.index, table.columns, indexing="ij")
        loss = table.to_numpy()
        surface = picture.add_subplot(down, count, 2 * number + 1, projection="3d")
        look = {"cmap": "viridis", "vmin": smallest, "vmax": largest, "rasterized": True}
        surface.plot_surface(alpha, beta, loss, lw=0, rcount=99, ccount=99, **look)
        surface.set_zlim(smallest, largest)
        surface.tick_params(labelsize=style.SMALL, pad=-3)
        name = style.wrapped(setting_label(run.model, run.variant), 0.7 * width / count)
        surface.set_title(f"{name}\n{numbers(run)}", fontsize=style.SMALL)
        contours = picture.add_subplot(down, count, 2 * number + 2)
        filled = contours.contourf(alpha, beta, loss, levels, extend="both", cmap="viridis")
        contours.contour(alpha, beta, loss, levels, colors="white", linewidths=0.3)
        draw_path(contours, path(run.probe("surface")))
        contours.set(xlim=table.index[[0, -1]], ylim=table.columns[[0, -1]], aspect="equal")
        contours.set_xlabel(r"$\alpha$")
        contours.set_ylabel(r"$\beta$", labelpad=-4)
        contours.grid(visible=False)
        ticks = table.index.max() * np.array(TICKS)
        for axis in (surface, contours):
            axis.set(xticks=ticks, yticks=ticks)
        contour_axes.append(contours)
    look = {"label": "training loss", "pad": 0.02, "shrink": 0.8, "format": "%.1f"}
    picture.colorbar(filled, ax=contour_axes, **look)
    return picture, " ".join(facts(drawn, grids, ceiling))


def grid(table: pd.DataFrame) -> pd.DataFrame:
    """Rows alpha, columns beta, values loss; a table without `moment` is all grid."""
    if "moment" in table:
        table = table[table["moment"] == "grid"]
    return table.pivot(index="alpha", columns="beta", values="loss")


def capped(table: pd.DataFrame, ceiling: float) -> pd.DataFrame:
    """A table with the ceiling for what is higher, or not finite."""
    return table.where(np.isfinite(table) & (table <= ceiling), ceiling)


def path(table: pd.DataFrame) -> pd.DataFrame:
    """Where the weights were, by moment: alpha, beta. Older tables have the best alone."""
    if "moment" not in table:
        return pd.DataFrame({"alpha": [0.0], "beta": [0.0]}, index=["best"])
    return table[table["moment"] != "grid"].set_index("moment")[["alpha", "beta"]]


def draw_path(axis, places: pd.DataFrame) -> None:
    """An arrow from each of the places to the next, and a mark at each; the best weights
    alone where the others lie within their mark."""
    if places.abs().to_numpy().max() < UNSEEN:
        places = places.loc[["best"]]
    look = {"arrowstyle": "->", "color": ORANGE, "lw": 0.8, "shrinkA": 0, "shrinkB": 0}
    for start, end in pairwise(places.to_numpy()):
        axis.annotate("", end, start, arrowprops=look)
    for moment, place in places.iterrows():
        axis.plot(*place, MARKS[moment], color=ORANGE, ms=5, mfc="none", clip_on=False)


def leads_back(places: pd.DataFrame) -> bool:
    """Does alpha lead from the best weights back to the first ones, at 1?"""
    if "initialisation" not in places.index:
        return False
    return bool(abs(places.loc["initialisation", "alpha"] - 1) < EXACT)


def facts(drawn: list[FinishedRun], grids: list[pd.DataFrame], ceiling: float) -> list[str]:
    points = len(grids[0])
    told = [
        f"Loss around the best weights (+) of {style.named(drawn)}: a surface and its "
        f"contours. {style.seeds(drawn).capitalize()}, {points} × {points} points, "
        "evaluation mode.",
        *path_facts([path(run.probe("surface")) for run in drawn]),
    ]
    if cut := sum(int((capped(g, ceiling) != g).to_numpy().sum()) for g in grids):
        whole, lie = sum(g.size for g in grids), "lies" if cut == 1 else "lie"
        told.append(f"{cut:,} of {whole:,} points {lie} above {ceiling:.1f}, drawn there.")
    if any(map(numbers, drawn)):
        told.append(
            "Under the names: the Hessian's eigenvalue of largest magnitude, and its trace."
        )
    return told


def path_facts(paths: list[pd.DataFrame]) -> list[str]:
    scaled = "random, scaled filter by filter to the weights"
    if any("initialisation" not in places.index for places in paths):
        return [f"Both directions are {scaled}."]
    farthest = [places.abs().to_numpy().max() for places in paths]
    facts = ["Arrows: from the first weights (○) to the best and the last (×)."]
    facts *= bool(max(farthest) >= UNSEEN)
    if all(map(leads_back, paths)):
        return [*facts, f"α leads back to the first weights, at 1; β is {scaled}."]
    within = Quantity(max(farthest), style="scientific").text()
    return [
        *facts,
        f"Both directions are {scaled}; the first and the last weights lie, seen in this "
        f"plane, within {within} of the centre.",
    ]


def numbers(run: FinishedRun) -> str:
    """`$\\lambda$ 0.13, trace 1.3`; empty where the Hessian was not measured."""
    table = run.probe("hessian")
    if table is None:
        return ""
    values = table.set_index("quantity")["value"][["largest_eigenvalue", "trace"]]
    eigenvalue, trace = (f"{float(f'{value:.3g}'):,g}" for value in values)
    return rf"$\lambda$ {eigenvalue}, trace {trace}"
