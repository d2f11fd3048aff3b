"""Loss surfaces on the plane of two filter-normalised directions (Li et al. 2018)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from gradscape.figures import style
from gradscape.results.runs import FinishedRun
from gradscape.study import Figure

PROBES = ["surface", "hessian"]  # what it draws; only the first is required
LEVELS = 14
CEILING = 2  # times the loss of a uniform guess; walls higher than this are cut
FLAT = 1e-3  # the least height that is drawn
TICKS = [-1, 0, 1]  # times the span


def loss_surface(figure: Figure, runs: list[FinishedRun]):
    """The surface and its contours, side by side for each run, in the same colours.

    The Hessian's numbers are under the name, where they were measured.
    """
    seed = min(run.seed for run in runs)
    drawn = [run for run in runs if run.seed == seed]
    tables = [grid(run.probe("surface")) for run in drawn]
    ceiling = CEILING * drawn[0].chance_loss
    inside = [np.isfinite(table) & (table <= ceiling) for table in tables]
    cut = sum(int((~part).to_numpy().sum()) for part in inside)
    tables = [
        table.where(part, ceiling) for table, part in zip(tables, inside, strict=True)
    ]
    smallest = min(table.to_numpy().min() for table in tables)
    largest = max(table.to_numpy().max() for table in tables)
    largest = max(largest, smallest + FLAT)
    levels = np.linspace(smallest, largest, LEVELS)
    width, count = style.width(figure.wide), 2 * len(drawn)
    picture = plt.figure(figsize=(width, width / count + 0.5))
    contour_axes = []
    for number, (run, table) in enumerate(zip(drawn, tables, strict=True)):
        alpha, beta = np.meshgrid(table.index, table.columns, indexing="ij")
        loss = table.to_numpy()
        ticks = table.index.max() * np.array(TICKS)
        surface = picture.add_subplot(1, count, 2 * number + 1, projection="3d")
        look = {"cmap": "viridis", "vmin": smallest, "vmax": largest}
        surface.plot_surface(
            alpha, beta, loss, lw=0, rcount=99, ccount=99, rasterized=True, **look
        )
        surface.set_zlim(smallest, largest)
        surface.tick_params(labelsize=5, pad=-3)
        surface.set_title(f"{run.label}\n{numbers(run)}")
        contours = picture.add_subplot(1, count, 2 * number + 2)
        filled = contours.contourf(alpha, beta, loss, levels, extend="both", cmap="viridis")
        contours.contour(alpha, beta, loss, levels, colors="white", linewidths=0.3)
        contours.plot(0, 0, "+", color="#D55E00", ms=5)
        contours.set_aspect("equal")
        contours.set_xlabel(r"$\alpha$")
        contours.set_ylabel(r"$\beta$", labelpad=-4)
        contours.grid(visible=False)
        for axis in (surface, contours):
            axis.set_xticks(ticks)
            axis.set_yticks(ticks)
        contour_axes.append(contours)
    picture.colorbar(
        filled, ax=contour_axes, label="training loss", pad=0.02, shrink=0.8, format="%.1f"
    )
    points = len(tables[0])
    facts = [
        f"Seed {seed}, weights with the best validation accuracy (+), {points} x {points} "
        "points, evaluation mode; both directions scaled filter by filter to the weights."
    ]
    if cut:
        facts.append(f"Points above {ceiling:.1f} ({cut}) are cut off there.")
    if any(run.probe("hessian") is not None for run in drawn):
        facts.append(
            "Under the names: the Hessian's eigenvalue of largest magnitude, and its trace."
        )
    return picture, " ".join(facts)


def grid(table: pd.DataFrame) -> pd.DataFrame:
    """Rows alpha, columns beta, values loss."""
    return table.pivot(index="alpha", columns="beta", values="loss")


def numbers(run: FinishedRun) -> str:
    table = run.probe("hessian")
    if table is None:
        return ""
    value = table.set_index("quantity")["value"]
    eigenvalue, trace = value["largest_eigenvalue"], value["trace"]
    return rf"$\lambda$ {eigenvalue:.3g}, trace {trace:.3g}"
