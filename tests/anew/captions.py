"""What figures say of their runs."""

import math
import re
from collections import Counter

import numpy as np
import pandas as pd

from anew.metrics import along, envelope, inf_for_nan
from anew.printing import (
    listed,
    model_name,
    number,
    plain,
    rate_text,
    variant_name,
)
from anew.sections import View


def facts(study, figure, spec):
    """Every sentence with a number that a figure's caption may have."""
    runs = [run for run in study.runs if run.is_one_of(spec.get("where", {}))]
    if spec.get("best"):
        best = View(study, ())._best[0]  # figures have all seeds
        runs = study.cells[best.model, best.rate, best.variant]
    if probe := DRAWN.get(spec["draw"]):
        runs = [run for run in runs if run.probe(probe) is not None]
    if not runs:
        return []
    seeds = sorted({run.seed for run in runs})
    seeds_text = f"seed{'s' * (len(seeds) > 1)} {listed(seeds)}"
    rates = listed(rate_text(rate) for rate in sorted({run.rate for run in runs}))
    first = [run for run in runs if run.seed == seeds[0]]
    of = f" of {listed(seeds)}" * (len(seeds) > 1)
    said = [
        seeds_text,
        seeds_text.capitalize(),
        f"Seed {seeds[0]}{of}.",
        f"seed {seeds[0]}.",
        f"Seed {seeds[0]},",
    ]
    said += [f"learning rate {rates}", f"learning rates {rates}", f"lr {rates}"]
    said += [name_of(run) for run in runs]
    said += [f"{model_name(run.model)} ({variant_name(run.variant)})" for run in runs]
    said += [
        f"{name_of(r)} diverged in epoch {r.record['diverged']}."
        for r in runs
        if r.record["diverged"]
    ]
    diverged = sum(bool(run.record["diverged"]) for run in runs)
    said += [
        f"{diverged:,} of {len(runs):,} runs diverged.",
        f"{len(study_cells(runs))} settings",
    ]
    said.append(f"of {len({r.model for r in runs})} models, one line each")
    draw = spec["draw"]
    if extra := FACTS.get(draw):
        said += extra(study, runs, first, spec)
    return [plain(text) for text in said] + [plain(spec.get("caption", ""))]


def name_of(run):
    words = [model_name(run.model), f"lr {rate_text(run.rate)}"]
    return ", ".join(filter(None, [*words, variant_name(run.variant)]))


def study_cells(runs):
    return {(run.model, run.rate, run.variant) for run in runs}


def curve_facts(study, runs, first, spec):
    top = 1.15 * runs[0].chance
    highest = [
        run.metrics.groupby("epoch")[column].mean().max()
        for run in runs for column in ("train_loss", "val_loss")
    ]  # fmt: skip
    means = []
    for cell in study_cells(runs):
        chosen = [r for r in runs if (r.model, r.rate, r.variant) == cell]
        for column in ("train_loss", "val_loss"):
            table = pd.concat(
                [run.metrics.set_index("epoch")[column] for run in chosen], axis=1
            )
            means.append(float(table.mean(axis=1).max()))
    end = f"The loss axis ends at {top:.2f}; the highest curve reaches "
    return [f"{end}{max(values):.2f}." for values in (highest, means)]


def flow_facts(study, runs, first, spec):
    cell = [
        r
        for r in runs
        if (r.model, r.rate, r.variant) == (runs[0].model, runs[0].rate, runs[0].variant)
    ]
    names = cell[0].gradients[1]
    scales = [n for n in names if re.search("norm|bn", n)]
    weights = [n for n in names if n not in scales]
    tables = [run.gradients[0] for run in cell]
    epochs = max(map(len, tables))
    last = [table[epochs - 1] for table in tables if len(table) == epochs]
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = [
            math.exp(
                np.mean(
                    [
                        math.log(row[names.index(n)])
                        for row in last
                        if row[names.index(n)] > 0
                    ]
                    or [math.nan]
                )
            )
            for n in (weights[0], weights[-1])
        ]
    zeros = sum(int((table == 0).sum()) for table in tables)
    said = [
        f"in {len(weights)} layers' weights",
        f"and {len(scales)} scales of normalisations (crosses)",
        f"{zeros:,} exact zeros are not drawn.",
    ]
    every = np.concatenate([np.asarray(table, float).ravel() for table in tables])
    every, adam = every[every > 0], runs[0].settings["optimiser"] in ("adam", "adamw")
    if adam and every.min() < 1e-8 < every.max():
        said.append("Dotted: its optimiser's ε, 10⁻⁸.")
    if all(math.isfinite(end) for end in ends):
        first_, output = (number(end, "scientific") for end in ends)
        said.append(f"In the last epoch the first layer gets {first_}, the last {output}.")
    return said


def band_facts(study, runs, first, spec):
    top, said, window = 1.5 * runs[0].chance, [], spec.get("options", {}).get("window", 21)
    for model in dict.fromkeys(run.model for run in first):
        group = [run for run in first if run.model == model]
        if len(group) < 2:
            continue
        high = envelope([run.loss for run in group])[1]
        beyond = [n for n, loss in enumerate(high) if math.isfinite(loss) and loss > top]
        if beyond:
            worst = max(beyond, key=lambda n: high[n])
            at = "one step" if len(beyond) == 1 else f"{len(beyond):,} steps"
            most = f"up to {high[worst]:.2f}, at step {worst + 1:,}"
            said.append(f"{model_name(model)} at {at} ({most})")
    return [
        *said,
        f"The axis ends at {top:.2f}; beyond it lie",
        f"medians over {window} steps",
    ]


def smooth_facts(study, runs, first, spec):
    options = spec.get("options", {})
    probed = [run for run in first if "probed_step" in run.steps]
    lag = min(run.settings["gradient_lag"] or 0 for run in runs)
    said = [
        f"output layer, {lag} step{'s' * (lag != 1)} apart; running medians of "
        f"{options.get('window', 21)} steps."
    ]
    if probed:
        s, sizes = probed[0].settings, probed[0].steps["probed_size"].shape[1]
        rate = options.get("learning_rate") or probed[0].rate
        said.append(
            f"the gradient: every {s['landscape_every']} steps at learning rate "
            f"{rate_text(rate)}, {sizes} step sizes from 1/2 to 4 times it, at most "
            f"{s['landscape_cap']:g}; all parameters; running medians of 3 probes."
        )
    for run in probed:
        infinite = 0
        for measure in ("loss", "gradient", "beta"):
            infinite += int((~np.isfinite(highest_of(run, measure))).sum())
        said.append(
            f"{infinite} values of {model_name(run.model)} overflowed; drawn at the top."
        )
    return said


def highest_of(run, measure):
    if measure == "loss":
        return inf_for_nan(run.steps["probed_loss"]).max(axis=1)
    return along(run, "definition", measure)[1]


def surface_facts(study, runs, first, spec):
    tables = [run.probe("surface") for run in first]
    grids = [t[t["moment"] == "grid"] if "moment" in t else t for t in tables]
    ceiling, side = 2 * first[0].chance, grids[0]["alpha"].nunique()
    whole = sum(len(grid) for grid in grids)
    cut = whole - sum(int((grid["loss"] <= ceiling).sum()) for grid in grids)
    said = [f"{side} × {side} points", "α leads back to the first weights, at 1;"]
    lie = "lies" if cut == 1 else "lie"
    said.append(f"{cut:,} of {whole:,} points {lie} above {ceiling:.1f}, drawn there.")
    if "moment" in tables[0]:
        paths = [t[t["moment"] != "grid"][["alpha", "beta"]] for t in tables]
        farthest = max(path.abs().to_numpy().max() for path in paths)
        farthest = number(farthest, "scientific")
        said.append(f"within {farthest} of the centre.")
    return said


def phase_facts(study, runs, first, spec):
    guess = f"{runs[0].chance:.2f}"
    guess = f"training loss is more than 0.1 below that of a uniform guess, {guess}."
    return [
        guess,
        f"Shares below {number(2.0**-46, 'scientific')}",
        "Shares below 1×10^-14",
        f"Shares below {2.0**-46:.0e} are rounding",
    ]


def comparison_facts(study, runs, first, spec):
    accuracy, images = (
        np.mean([r.scores["test_accuracy"] for r in runs]),
        runs[0].data["test"],
    )
    half = 196 * math.sqrt(accuracy * (1 - accuracy) / images)
    return [
        f"The 95% interval from {images:,} test images alone reaches {half:.1f} points to "
        "either side."
    ]


def confusion_facts(study, runs, first, spec):
    said = []
    for run in first:
        table = run.probe("predictions")
        if table is None:
            continue
        totals = Counter(table["label"])
        wrong = Counter(
            (label, taken)
            for label, taken in zip(table["label"], table["predicted"], strict=True)
            if label != taken
        )
        order = sorted(wrong, key=lambda pair: (-wrong[pair] / totals[pair[0]], pair))
        for many in range(1, 7):
            words = [
                f"{label} for {taken} ({100 * wrong[label, taken] / totals[label]:.1f}%)"
                for label, taken in order[:many]
            ]
            said.append(f"most often takes {', '.join(words)}.")
    return said


def filter_facts(study, runs, first, spec):
    said = []
    for run in first:
        table = run.probe("filters")
        if table is None:
            continue
        ends = []
        for moment in ("initialisation", "best"):
            weights = table.loc[table["moment"] == moment, "weight"]
            ends.append(f"{weights.min():.2f} to {weights.max():.2f}")
        many = table["filter"].nunique()
        said.append(f"{many} filters, weights {ends[0]} before and {ends[1]} after.")
    return said


def map_facts(study, runs, first, spec):
    table = first[0].probe("feature_maps")
    layers = 0 if table is None else table["layer"].nunique()
    return [f"the outputs of {layers - n} convolutions of" for n in (0, 1)]


DRAWN = {
    "loss_surface": "surface",
    "confusion": "predictions",
    "calibration": "predictions",
}
DRAWN |= {"filters": "filters", "feature_maps": "feature_maps", "phase": "signal"}
DRAWN |= {"signal_propagation": "signal", "explanations": "explanations"}
FACTS = {
    "curves": curve_facts, "gradient_flow": flow_facts, "loss_band": band_facts,
    "smoothness": smooth_facts, "loss_surface": surface_facts, "phase": phase_facts,
    "comparison": comparison_facts, "confusion": confusion_facts, "filters": filter_facts,
    "feature_maps": map_facts, "calibration": lambda *_: ["in 15 bins of equal width"],
}  # fmt: skip
