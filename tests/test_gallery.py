"""Every figure for few and many settings, epochs and seeds: nothing overlaps or is cut."""

from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation, Text

from conftest import reseal, write_run
from gradscape.base.errors import GradscapeError
from gradscape.figures import style
from gradscape.figures.drawing import draw
from gradscape.runs.run import FinishedRun
from gradscape.spec.registry import declared, names
from gradscape.spec.study import Figure
from hostile import table

OPTIONS = {"lines": {"x": "width"}}
CLASSES = ["aeroplane", "cat", "dog", "ship"]
SLACK = 1.0  # points


def probes(settings: int) -> dict[str, pd.DataFrame]:
    """A sensible table of each probe."""
    chance = np.random.default_rng(settings)
    moments = ["initialisation", "best", "last"]
    images = pd.DataFrame({"image": range(40), "label": CLASSES * 10})
    images["predicted"] = chance.permutation(images["label"])
    images["confidence"] = chance.uniform(0.3, 1, 40)
    signal = table("moment depth", moments, range(6), size=1)
    signal["layer"] = [f"features.{depth}" for depth in signal["depth"]]
    columns = declared("probe", "signal", "NUMBERS").split()[2:]
    for column in columns:
        signal[column] = 10.0 ** -chance.uniform(0, 3, len(signal))
    maps = table(
        "layer channel row column", ["input", "conv1"], range(3), range(4), range(4)
    )
    maps = maps.assign(value=chance.uniform(size=len(maps)), depth=0)
    filters = table(
        "moment filter channel row column", moments[:2], range(8), *[range(3)] * 3
    )
    explained = table("image row column", range(4), range(8), range(8), label="cat")
    explained = explained.assign(predicted=explained["image"].map(lambda n: CLASSES[n % 2]))
    for column in ("confidence", "red", "green", "blue", "grad_cam", "occlusion"):
        explained[column] = chance.uniform(0, 1, len(explained))
    ends = pd.DataFrame({"alpha": [0.0, 1.0, 0.1], "beta": [0.0, 0.1, 0.0], "loss": 1.0})
    ends["moment"] = ["best", "initialisation", "last"]
    side = np.linspace(-1, 1, 5)
    grid = table("alpha beta", side, side, moment="grid")
    grid["loss"] = 1 + grid["alpha"] ** 2 + grid["beta"] ** 2
    return {
        "predictions": images,
        "signal": signal,
        "feature_maps": maps,
        "filters": filters.assign(weight=chance.normal(size=len(filters))),
        "explanations": explained,
        "surface": pd.concat([grid, ends], ignore_index=True),
        "trainability": table(
            "moment layer quantity",
            moments[::2],
            ["all"],
            ["gradient_cosine", "effective_rank"],
            value=0.5,
        ),
    }


def write_study(folder: Path, settings: int, epochs: int, seeds: int) -> list[FinishedRun]:
    """Runs of a grid over width, weight decay and learning rate; two networks of many."""
    runs = []
    grid = product((8, 16, 32), (1e-3, 1e-2), (0.0, 0.01))
    for number, (width, rate, decay) in enumerate([*grid][:settings]):
        for seed in range(seeds):
            level = 0.2 + 0.05 * number + 0.01 * seed
            accuracies = np.linspace(0.1, level, epochs) if epochs > 1 else [level]
            run = write_run(
                folder, "resnet-small" if number % 2 else "vgg38-bn-rc", rate, seed,
                losses=-np.log(accuracies), accuracies=tuple(accuracies),
                gradients=10.0 ** -np.arange(2.0, 8.0), steps=np.repeat(
                    -np.log(accuracies), 4),
                varied={"width": width, "weight_decay": decay},
            )  # fmt: skip
            count = 4 * epochs
            steps = run.steps | {
                "gradient_distance": np.linspace(1, 2, count),
                "weight_distance": np.linspace(0.1, 0.2, count),
                "probed_step": np.array([1, 3]),
                "probed_size": np.full((2, 3), 0.1),
                "probed_gradient_norm": np.full(2, 0.5),
                "probed_gradient_distance": np.full((2, 3), 0.3),
                "probed_loss": np.array([[2.0, 1.9, 2.1]] * 2),
            }
            np.savez(run.path / "steps.npz", **steps)
            lagged = run.record.settings | {"gradient_lag": 1}
            run = reseal(run.path, parameters=width**2 * 1000, settings=lagged)
            (run.path / "probes").mkdir()
            for name, rows in probes(number).items():
                rows.to_csv(run.path / "probes" / f"{name}.csv", index=False)
            runs.append(FinishedRun(run.path))
    return runs


def faults(picture) -> list[str]:
    """Texts that stick out of the picture or lie over each other."""
    canvas = FigureCanvasAgg(picture)
    if layout := picture.get_layout_engine():
        layout.execute(picture)
        picture.set_layout_engine(None)
    picture.draw_without_rendering()
    renderer = canvas.get_renderer()
    slack = SLACK * picture.dpi / 72
    solid = {  # whose places are no boxes
        text
        for axes in picture.axes
        if axes.name == "3d"
        for text in axes.findobj(Text)
        if text is not axes.title
    }
    shown = [
        text
        for text in picture.findobj(Text)
        if text.get_visible() and text.get_text().strip()
        if text not in solid and not isinstance(text, Annotation)
    ]
    ticks = {
        label: axis
        for axes in picture.axes
        for axis in (axes.xaxis, axes.yaxis)
        for label in axis.get_ticklabels(which="both")
    }
    boxes = []
    for text in shown:
        if text in ticks:
            low, high = sorted(ticks[text].get_view_interval())
            at = text.get_position()[0 if ticks[text].axis_name == "x" else 1]
            if not low <= at <= high:
                continue
        boxes.append((text.get_text(), text.get_window_extent(renderer)))
    found = []
    page = picture.bbox.padded(slack)
    for text, box in boxes:
        if not (page.contains(*box.min) and page.contains(*box.max)):
            found.append(f"cut: {text!r}")
    for (one, first), (other, second) in combinations(boxes, 2):
        across = min(first.x1, second.x1) - max(first.x0, second.x0)
        down = min(first.y1, second.y1) - max(first.y0, second.y0)
        if across > slack and down > slack:
            found.append(f"{one!r} over {other!r}")
    return found


SHAPES = [*product((1, 2, 4, 12), (1, 3), (1, 3))]
FEW = [(4, 1, 1), (2, 3, 3)]


@pytest.mark.parametrize(
    "shape",
    [s if s in FEW else pytest.param(s, marks=pytest.mark.networks) for s in SHAPES],
    ids=lambda shape: "{} settings, {} epochs, {} seeds".format(*shape),
)
def test_nothing_overlaps_or_is_cut(shape, tmp_path, monkeypatch):
    runs, found, seeds = write_study(tmp_path, *shape), {}, shape[-1]
    for name in names("figure").keys() - {"lines", "heat_map"}:
        for wide in {True, declared("figure", name, "WIDE", False)}:

            def check(picture, *paths, key=(name, wide)):
                found[key] = faults(picture)

            monkeypatch.setattr(style, "save", check)
            figure = Figure("s", name, name, wide=wide, options=OPTIONS.get(name, {}))
            try:
                draw(figure, runs, [tmp_path / "drawn.pdf", tmp_path / "drawn.txt"])
            except GradscapeError as error:
                assert "differ in something else" in str(error), error
                continue
            if seeds == 1:
                assert "Mean over" not in (tmp_path / "drawn.txt").read_text(), name
            if name == "comparison":  # all of these vary something
                assert "the study's own" not in (tmp_path / "drawn.txt").read_text()
    wrong = {key: texts for key, texts in found.items() if texts}
    assert not wrong, wrong


@pytest.mark.parametrize("name", ["Lepidoptera_caterpillar_of_the_large_white", "x" * 60])
def test_names_of_classes_may_be_long(name, tmp_path, monkeypatch):
    (run,), found = write_study(tmp_path, 1, 1, 1), {}
    for figure in ("predictions", "explanations"):
        table = run.path / "probes" / f"{figure}.csv"
        table.write_text(table.read_text().replace("cat", name))
    for figure in ("confusion", "explanations"):
        for wide in (True, False):

            def check(picture, *paths, key=(figure, wide)):
                sizes = [a.get_window_extent().width for a in picture.axes if a.axison]
                found[key] = faults(picture)
                assert min(sizes) > 0.2 * picture.dpi

            monkeypatch.setattr(style, "save", check)
            chosen = Figure("s", figure, figure, wide=wide)
            draw(chosen, [FinishedRun(run.path)], [tmp_path / "drawn.pdf"])
    assert len(found) == 4 and not any(found.values()), found
