"""What networks have before they train, and what that tells; claims/coordinates."""

import math
from itertools import pairwise

import numpy as np
import pandas as pd

from anew.metrics import METRICS
from anew.printing import powers

NAMES = {
    "gradient_range": "gradient, decades between its layers",
    "initial_share_below_epsilon": "share of weights below Adam's ε",
    "image_share": "share of the signal from the image",
    "effective_rank": "effective rank of the features",
    "gradient_cosine": "cosine of neighbouring gradients",
    "isometry_ratio": "largest over median singular value",
}


def networks(study):
    """(model, variant) → whether it trains, and its coordinates."""
    rows = {}
    for model, variant in dict.fromkeys((run.model, run.variant) for run in study.runs):
        runs = [r for r in study.runs if (r.model, r.variant) == (model, variant)]
        by_rate = {}
        for run in runs:
            loss = run.scores["final_train_loss"]
            by_rate.setdefault(run.rate, []).append(math.inf if loss != loss else loss)
        best = min(sum(losses) / len(losses) for losses in by_rate.values())
        row = {"trains": best < runs[0].chance - 0.1}
        for name in NAMES:
            values = [METRICS[name].value([run]) for run in runs]
            values = [value for value in values if value is not None]
            row[name] = sum(values) / len(values) if values else math.nan
        rows[model, variant] = row
    return rows


def check_coordinates(study, problems):
    """tables/<study>/coordinates.csv, if the study has it."""
    study.networks = {}
    if "coordinates" not in study.config.get("tables", []):
        return
    where = f"tables/{study.name}/coordinates.csv"
    table = pd.read_csv(study.folder / where, keep_default_na=False, na_values=[""])
    table["variant"] = table["variant"].fillna("")
    study.networks = networks(study)
    theirs = {(row["model"], row["variant"]): row for _, row in table.iterrows()}
    problems.compare(f"{where}: networks", [*theirs], [*study.networks])
    for key in theirs.keys() & study.networks.keys():
        for name, value in study.networks[key].items():
            problems.compare(f"{where}: {key}, {name}", theirs[key][name], value, 1e-5)


def hits(cells, threshold, above):
    return sum(((value > threshold) is above) is trains for _, value, trains in cells)


def best_rule(cells):
    known = sorted({value for _, value, _ in cells})
    cuts = [
        -math.inf,
        *((a + b) / 2 for a, b in pairwise(known)),
        math.inf,
    ]
    best = None
    for above in (True, False):
        for cut in cuts:
            if best is None or hits(cells, cut, above) > hits(cells, *best):
                best = cut, above
    return best


def told(studies):
    """Rows of the report's table, as text, the best first."""
    rows = []
    for name, label in NAMES.items():
        cells = [
            (study.name, float(row[name]), bool(row["trains"]))
            for study in studies
            for row in study.networks.values()
            if not np.isnan(row[name])
        ]
        if len({s for s, *_ in cells}) < 2 or len({t for *_, t in cells}) < 2:
            continue
        cut, above = best_rule(cells)
        right, elsewhere = hits(cells, cut, above), 0
        for study in {s for s, *_ in cells}:
            rule = best_rule([cell for cell in cells if cell[0] != study])
            elsewhere += hits([cell for cell in cells if cell[0] == study], *rule)
        side = f"{'above' if above else 'below'} {powers(f'{cut:.4g}')}"
        trained = sum(trains for *_, trains in cells)
        alike = max(trained, len(cells) - trained)
        counts = [f"{n} of {len(cells)}" for n in (right, elsewhere, alike)]
        rows.append((-elsewhere / len(cells), [label, side, *counts]))
    return [row for _, row in sorted(rows, key=lambda row: row[0])]
