"""What is decided of a claim, from docs/statistics.md."""

import hashlib
import json
import math
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import yaml
from scipy import stats

from anew.metrics import METRICS, last_loss
from anew.runs import HOME, Run, label_of

ALPHA = 0.05


class Study:
    """A study's runs and claims, as its files in the published folder have them."""

    def __init__(self, folder, name, config):
        self.folder, self.name, self.config = folder, name, config
        below = folder / "runs" / name
        self.runs = [Run(path.parent) for path in sorted(below.glob("*/run.json"))]
        claims = config.get("claims", {})
        if isinstance(claims, str):
            claims = yaml.safe_load((HOME / claims).read_text("utf-8"))
        self.claims = claims
        path = folder / "claims" / f"{name}.json"
        self.printed = json.loads(path.read_text("utf-8")) if path.exists() else None
        if self.printed:  # in the grid's order
            order = {run: n for n, run in enumerate(self.printed["runs"])}
            self.runs.sort(key=lambda run: order.get(run.name, 10**6))
        self.values, self.prefix = {}, ""

    def beside(self, name):
        """Another study, with which a claim of this one compares."""
        other = Study(self.folder, name, {})
        other.prefix = f"{name}/"
        return other

    def measure(self, metric, runs):
        key = metric, *(run.name for run in runs)
        if key not in self.values:
            value = METRICS[metric].value(runs)
            self.values[key] = None if value is None else float(value)
        return self.values[key]

    @cached_property
    def cells(self):
        cells = {}
        for run in self.runs:
            cells.setdefault((run.model, run.rate, run.variant), []).append(run)
        return cells


class Side:
    def __init__(self, spec, study):
        if isinstance(spec, dict) and "study" in spec:
            study = study.beside(spec["study"])
        self.study, self.constant, self.groups, self.values = study, None, {}, {}
        if not isinstance(spec, dict):
            chance = max((run.chance for run in study.runs), default=math.nan)
            self.constant = chance if spec == "chance_loss" else float(spec)
            return
        self.metric, self.name = METRICS[spec["metric"]], spec["metric"]
        self.times, where = spec.get("times", 1), spec["where"]
        for run in study.runs:
            if run.is_one_of(where):
                rest = {k: v for k, v in run.varied.items() if k not in where}
                key = run.seed, "" if "variant" in where else label_of(rest)
                key = (0, "all seeds") if self.metric.fit else key
                self.groups.setdefault(key, []).append(run)
        for key, runs in self.groups.items():
            value = study.measure(self.name, runs)
            if value is not None:
                self.values[key] = self.times * value
        if self.values and self.metric.fact:
            self.constant = next(iter(self.values.values()))

    def take(self, keys):
        if keys is None or self.constant is not None:
            return np.array([self.constant])
        return np.array([self.values[key] for key in keys])

    def at_edge(self, keys):
        """Is a best learning rate the smallest or the largest of several?"""
        for key in keys if keys and self.metric.best else []:
            by_rate = {}
            for run in self.groups[key]:
                by_rate.setdefault(run.rate, []).append(run)
            best = self.study.measure(self.name, self.groups[key])
            for rate in {min(by_rate), max(by_rate)} if len(by_rate) > 1 else ():
                if best in [self.study.measure(self.name, [r]) for r in by_rate[rate]]:
                    return True
        return False

    def names(self, keys):
        chosen = sorted(self.groups) if keys is None else keys
        called = self.study.prefix + "{}"
        return [[called.format(r.name) for r in self.groups.get(key, [])] for key in chosen]

    def device(self, key):
        found = {run.device for run in self.groups[key]}
        return found.pop() if len(found) == 1 else None

    @property
    def log(self):
        return self.constant is not None or self.metric.log

    def alike(self, keys):
        """The study's cells that scatter as this one: [seeds] each."""
        own = [self.groups[key][0] for key in keys]
        first = own[0]
        if any(len(self.groups[key]) > 1 for key in keys):
            return []
        cells, counted = [], len(own) == 1
        for cell in self.study.cells.values():
            runs = [
                run
                for run in cell
                if run.device == first.device
                and all(
                    run.settings[k] == first.settings[k]
                    for k in ("epochs", "train_items", "batch_size")
                )
            ]
            if len(runs) < 2 or learns(runs) != learns(own):
                continue
            values = [self.study.measure(self.name, [run]) for run in runs]
            if all(value is not None and math.isfinite(value) for value in values):
                cells.append(self.times * np.array(values))
                counted = counted or first in runs
        return cells if counted else []


def learns(runs):
    return np.mean([last_loss(run) for run in runs]) < runs[0].chance - 0.05


def common_variance(cells):
    """Pooled over cells, with its degrees of freedom; None unless Bartlett allows it."""
    cells = [cell for cell in cells if len(cell) > 1]
    if len(cells) < 2:
        return None
    variances = [cell.var(ddof=1) for cell in cells]
    if min(variances) == 0:
        equal = float(max(variances) == 0)
    else:
        equal = stats.bartlett(*cells).pvalue
    if equal < 0.05:
        return None
    freedom = sum(len(cell) - 1 for cell in cells)
    total = sum(((cell - cell.mean()) ** 2).sum() for cell in cells)
    return total / freedom, freedom, len(cells)


@dataclass
class Found:
    """A claim decided: the fields of claims/<study>.json, and what tests it."""

    fields: dict
    test: tuple = None  # difference, error, freedom, low, high, relation
    variance: tuple = None
    sides: int = 2
    level: float = ALPHA
    extra: dict = field(default_factory=dict)


def distribution(freedom):
    return stats.norm() if freedom > 1e8 else stats.t(freedom)


def decide(name, claim, study, registered):
    """A claim by itself; docs/statistics.md."""
    sides = [Side(claim[side], study) for side in ("left", "right")]
    if sides[1].constant is None:
        sides[0].constant = None
    keys = [None if side.constant is not None else sorted(side.values) for side in sides]
    if same_setting := claim.get("same"):
        rates = [
            {
                key: {run.settings[same_setting] for run in side.groups[key]}
                for key in side.groups
            }
            for side in sides
        ]
        both = sorted(
            key
            for key in set(keys[0] or []) & set(keys[1] or [])
            if rates[0].get(key) == rates[1].get(key)
        )
        keys = [None if k is None else both for k in keys]
    number = isinstance(claim["right"], int | float)
    ours = number or "margin" in claim or "relative_margin" in claim
    fields = {
        "name": name, "statement": claim["statement"], "source": claim["source"],
        "style": claim.get("style", "loss"), "verdict": "not measured",
        "left": [], "right": [],
        "low": None, "high": None, "basis": "", "rests": "", "reading": "", "p": None,
        "adjusted": None, "seeds": None, "ratio": [], "reversed": False, "edge": [],
        "threshold": claim.get("threshold", "ours") if ours else "", "asked": "before",
        "left_runs": [], "right_runs": [], "left_out": [], "effect": None,
    }  # fmt: skip
    found = Found(fields)
    if any(k == [] for k in keys):
        fields |= {"left_runs": sides[0].names(None), "right_runs": sides[1].names(None)}
        return found
    matched = {
        n for side, k in zip(sides, keys, strict=True) for g in side.names(k) for n in g
    }
    if not all(side.constant is not None for side in sides):
        keys = one_kind(sides, keys)
    left, right = (side.take(k) for side, k in zip(sides, keys, strict=True))
    names = [side.names(k) for side, k in zip(sides, keys, strict=True)]
    used = {n for groups in names for group in groups for n in group}
    fields |= {
        "verdict": "undecided", "left": left.tolist(), "right": right.tolist(),
        "left_runs": names[0], "right_runs": names[1], "left_out": sorted(matched - used),
        "effect": float(left.mean() - right.mean()),
        "edge": [
            name
            for name, side, chosen in zip(("left", "right"), sides, keys, strict=True)
            if side.constant is None and side.at_edge(chosen)
        ],
    }  # fmt: skip
    asked = {
        k: claim[k]
        for k in ("left", "is", "right", "margin", "relative_margin", "same")
        if k in claim
    }
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]
    by_name = {run.name: run for run in study.runs}
    old = {about.get("commit") for run in study.runs for about in run.replaced or []}
    chosen = None in old or bool(old & {run.commit for run in study.runs})
    for run in used & by_name.keys():  # another study's may be older
        stood = registered.get(by_name[run].commit, {}).get(study.name, {})
        if stood.get(name) != digest or (chosen and by_name[run].replaced):
            fields["asked"] = "after"
    finite = [np.isfinite(values) for values in (left, right)]
    margin = claim.get("margin", 0)
    is_fact = all(side.constant is not None for side in sides)
    counted = sides[0].constant is None and sides[0].metric.counts
    counted = counted and len(keys[0]) == 1 and sides[0].groups[keys[0][0]]
    is_fact = is_fact or bool(counted)
    if is_fact or not all(f.all() for f in finite):
        margin += claim.get("relative_margin", 0) * abs(float(right.mean()))
        difference = float(left.mean()) - float(right.mean())
        agrees = {
            "above": difference > margin, "below": -difference > margin,
            "near": abs(difference) <= margin, "apart": abs(difference) > margin,
        }[claim["is"]]  # fmt: skip
        word = "holds" if agrees else "does not hold"
        if not is_fact:
            word = "undecided" if all(f.any() for f in finite) else "does not hold"
        fields |= {"verdict": word, "reading": word}
        fields |= {"rests": "fact", "basis": "a fact"} if is_fact else {"basis": "diverged"}
        if counted:
            ends = wilson(sides[0].metric.counts(counted), len(counted))
            low, high = (end - float(right.mean()) for end in ends)
            basis = f"{len(counted)} runs, counted"
            fields |= {"basis": basis, "rests": "methods", "low": low, "high": high}
        return found
    estimate, reference = weigh(found, sides, keys, left, right)
    if estimate is None:
        fields["reading"] = "undecided"
        return found
    difference, error, freedom, log = estimate
    margin += claim.get("relative_margin", 0) * abs(reference)
    half = float(distribution(freedom).ppf(1 - ALPHA / 2)) * error
    ends = [difference - half, difference + half]
    low, high = -margin, margin
    if log:
        low = math.log1p(low / reference) if low > -reference else -math.inf
        high = math.log1p(high / reference)
        fields["ratio"] = list(map(math.exp, ends))
        ends = [reference * math.expm1(end) for end in ends]
    found.test = difference, error, freedom, low, high, claim["is"]
    reverse = bool({"above": ends[1] < 0, "below": ends[0] > 0}.get(claim["is"]))
    fields |= {
        "low": ends[0],
        "high": ends[1],
        "p": p_value(found.test),
        "reversed": reverse,
    }
    fields["reading"] = word_at(found.test, ALPHA)
    return found


def one_kind(sides, keys):
    """Of each side the runs of the kind of device that both have most of."""
    free = [side.constant is not None for side in sides]
    counts = {}
    for n, (side, chosen) in enumerate(zip(sides, keys, strict=True)):
        for key in [] if free[n] else chosen:
            if (kind := side.device(key)) is not None:
                counts.setdefault(kind, Counter())[n] += 1

    def rank(kind):
        return (
            min(counts[kind][n] for n in (0, 1) if not free[n]),
            counts[kind].total(),
            kind,
        )

    best = max(counts, key=rank, default=None)
    if best is None or not rank(best)[0]:
        return keys
    return [
        k if free[n] else [key for key in k if sides[n].device(key) == best]
        for n, k in enumerate(keys)
    ]


def weigh(found, sides, keys, left, right):
    """What the difference rests on: (difference, error, freedom, by ratio), and the right
    side's mean."""
    fields, reference = found.fields, float(right.mean())
    measured = [(s, k) for s, k in zip(sides, keys, strict=True) if s.constant is None]
    found.sides = len(measured)
    if any(len({variant for _, variant in k}) > 1 for _, k in measured):
        fields["basis"] = "several settings, not averaged over"
        return None, reference
    if all(len(k) == 1 for _, k in measured):
        return single(fields, [(s, k[0]) for s, k in measured], left, right), reference
    count = basis = " + ".join(str(len(k)) for _, k in measured) + " seeds"
    kinds = {side.device(key) for side, k in measured for key in k}
    if len(kinds) > 1 or None in kinds:
        fields["basis"] = f"{basis}, several or unknown devices"
        return None, reference
    log = all(side.log for side in sides) and min(*left, *right) > 0
    scale = np.log if log else np.asarray
    if len(measured) == 2 and fields["left_runs"] == fields["right_runs"]:
        values = scale(left) - scale(right)
        variance = values.var(ddof=1), len(values) - 1, 1
        fields["basis"], found.sides = f"{len(values)} seeds, paired", 1
        if not variance[0]:
            fields["basis"] = f"{count}, all alike"
            return None, reference
        found.variance = variance
        estimate = values.mean(), (variance[0] / len(values)) ** 0.5, variance[1]
    else:
        cells = [scale(values) for values in (left, right)][: len(measured)]
        if sides[0].constant is not None:
            cells = [scale(right)]
        variances = []
        for (side, k), cell in zip(measured, cells, strict=True):
            common = common_variance([scale(v) for v in side.alike(k)])
            if common is None and len(cell) == 1:
                fields["basis"] = basis
                return None, reference
            variances.append(common or (cell.var(ddof=1), len(cell) - 1, 1))
        if not any(v[0] for v in variances):
            fields["basis"] = f"{count}, all alike"
            return None, reference
        parts = [v[0] / len(cell) for v, cell in zip(variances, cells, strict=True)]
        total = sum(parts)
        freedom = variances[0][1]
        is_shared = len(variances) == 1 or (
            variances[0] == variances[1] and variances[0][2] > 1
        )
        if not is_shared and total > 0:
            freedom = total**2 / sum(
                p * p / v[1] for p, v in zip(parts, variances, strict=True)
            )
        pooled = sorted({v[2] for v in variances if v[2] > 1})
        if pooled:
            basis += f", σ of {' and '.join(map(str, pooled))} cells"
        elif not is_shared:
            basis += ", Welch"
        fields["basis"] = basis
        found.variance = max(variances)
        difference = scale(left).mean() - scale(right).mean()
        estimate = difference, total**0.5, freedom
    fields["rests"] = "methods"
    if log:
        reference = float(np.exp(np.log(right).mean()))
    return (*map(float, estimate), log), reference


def wilson(count, runs):
    """The interval of a share of runs (Wilson 1927)."""
    found = stats.binomtest(count, runs).proportion_ci(1 - ALPHA, method="wilson")
    return found.low, found.high


def single(fields, measured, left, right):
    """Single runs: their images, else their steps."""
    fields["basis"] = "one run" if len(measured) == 1 else "one run each"
    runs = [run for side, key in measured for run in side.groups[key]]
    if len({(run.backend["kind"], run.backend["torch"]) for run in runs}) > 1:
        fields["basis"] = "runs of several devices"
        return None
    side, key = measured[0]
    if side.metric.fit and len(measured) == 1:
        runs = side.groups[key]
        power, error = side.metric.fit(runs)
        fields |= {"rests": "methods", "basis": f"a fit to {len(runs)} runs"}
        return power - float(right[0]), error, math.inf, False
    found = by_images(measured, left, right) or by_steps(measured, right)
    if found:
        fields["rests"], fields["basis"] = "networks", found[1]
        return found[0]
    return None


def by_images(measured, left, right):
    kept, shares = [], []
    for side, key in measured:
        runs = side.groups[key]
        if side.times != 1 or (len(runs) > 1 and side.name != "best_val_accuracy"):
            return None
        if side.metric.images:
            kept.append(side.metric.images(runs))
        if side.name in ("test_accuracy", "final_test_accuracy", "best_val_accuracy"):
            part = "validation" if side.name.startswith("best") else "test"
            images = runs[0].data[part]
            shares.append([(side.values[key], images)])
        elif side.metric.shares:
            shares.append(side.metric.shares(runs[0]))
        elif not side.metric.images:
            return None
    difference = float(left.mean() - right.mean())
    if len(kept) == len(measured) and all(k is not None for k in kept):
        n = len(kept[0])
        if len(kept) == 2 and len(kept[1]) == n:
            only = [int((a > b).sum()) for a, b in (kept, kept[::-1])]
            if set(np.unique(kept[0])) | set(np.unique(kept[1])) <= {0, 1}:
                mean, squares = (only[0] - only[1]) / n, sum(only) + 2
            else:
                apart = np.subtract(*map(np.asarray, kept))
                mean, squares = apart.mean(), (apart**2).sum() + 2
            error = ((squares / (n + 4) - mean**2) / (n + 4)) ** 0.5
            return (mean, error, math.inf, False), f"{n:,} images"
        if len(kept) == 1 and not shares:
            error = np.std(kept[0], ddof=1) / n**0.5
            return (difference, error, math.inf, False), f"{n:,} images"
    every = [share for side in shares for share in side]
    if len(shares) != len(measured) or not all(n for _, n in every):
        return None
    variance, fewest = 0, min(n for _, n in every)
    for share, images in every:  # a success and a failure more (Agresti and Caffo 2000)
        share = (round(share * images) + 1) / (images + 2)
        variance += share * (1 - share) / (images + 2)
    return (difference, variance**0.5, math.inf, False), f"{fewest:,} images"


def by_steps(measured, right):
    series = []
    for side, key in measured:
        values = side.metric.steps and side.metric.steps(side.groups[key])
        if values is None:
            return None
        series.append(side.times * np.asarray(values, float))
    ratio = measured[-1][0].metric.by_ratio
    ratio = ratio and all((np.asarray(v) > 0).all() for v in (*series, right))
    scale = np.log if ratio else np.asarray
    series, n = [scale(v) for v in series], min(map(len, series))
    if len(series) == 1:
        mean = batches(series[0] - scale(right[0]))
        return mean and ((*mean, 7, ratio), f"{n:,} steps")
    settings = [side.groups[key][0].settings for side, key in measured]
    shared = ("seed", "dataset", "split", "train_items", "batch_size", "landscape_every")
    if all(settings[0][k] == settings[1][k] for k in shared) and len(series[0]) == len(
        series[1]
    ):
        mean = batches(series[0] - series[1])
        return mean and ((*mean, 7, ratio), f"{n:,} steps, paired")
    both = [batches(values) for values in series]
    if None in both:
        return None
    difference, error = both[0][0] - both[1][0], math.hypot(both[0][1], both[1][1])
    return (difference, error, 7, ratio), f"{n:,} steps"


def batches(values):
    """The mean, and its error from eight batches of neighbouring steps; None if too few or
    too much alike."""
    if len(values) < 16 or not np.isfinite(values).all():
        return None
    centred = values - values.mean()
    if (centred[1:] * centred[:-1]).sum() > 0.4 * (centred**2).sum():
        return None
    means = [part.mean() for part in np.array_split(values, 8)]
    return float(values.mean()), float(np.std(means, ddof=1) / 8**0.5)


def tails(test):
    """The one-sided p values of lying above a threshold and of lying below it."""
    difference, error, freedom = test[:3]

    def above(threshold):
        if error == 0:
            return float(difference <= threshold)
        return float(distribution(freedom).sf((difference - threshold) / error))

    def below(threshold):
        if error == 0:
            return float(difference >= threshold)
        return float(distribution(freedom).cdf((difference - threshold) / error))

    return above, below


def p_value(test):
    (above, below), (low, high, relation) = tails(test), test[3:]
    if relation in ("above", "below"):
        at = high if relation == "above" else low
        return min(1, 2 * min(above(at), below(at)))
    if low <= test[0] <= high:
        return min(1, 2 * max(above(low), below(high)))
    return min(1, 2 * min(above(high), below(low)))


def word_at(test, level):
    (above, below), (low, high, relation) = tails(test), test[3:]
    if p_value(test) > level:
        return "undecided"
    if relation in ("near", "apart"):
        inside = low <= test[0] <= high
        return "holds" if inside == (relation == "near") else "does not hold"
    at = high if relation == "above" else low
    if (test[0] > at) == (relation == "above"):
        return "holds"
    equal = high > 0 and min(1, 2 * max(above(low), below(high))) <= level
    return "equal within the margin" if equal else "does not hold"


REFUTED = ("does not hold", "equal within the margin")


def decide_all(claims, study, registered):
    """A study's claims, adjusted by Holm over those that stood before their runs."""
    found = {name: decide(name, claim, study, registered) for name, claim in claims.items()}
    refuted = [n for n in found if found[n].fields["reading"] in REFUTED]
    for name in claims:
        if found[name].test and any(ground in refuted for ground in below(claims, name)):
            found[name].fields |= {"reading": "undecided", "p": 1.0, "adjusted": 1.0}
            found[name].test = None
    asked = [
        f
        for f in found.values()
        if f.fields["asked"] == "before" and f.fields["left"]
        and f.fields["verdict"] != "not measured" and f.fields["basis"] != "a fact"
    ]  # fmt: skip
    family = sorted((f for f in asked if f.test), key=lambda f: f.fields["p"])
    largest = 0.0
    for n, one in enumerate(family):  # those without an interval come last, with p = 1
        largest = min(1.0, max(largest, (len(asked) - n) * one.fields["p"]))
        one.fields["adjusted"] = largest
        one.level = ALPHA * (one.fields["p"] / largest if largest else 1)
        one.fields["verdict"] = word_at(one.test, one.level)
        seeds_needed(one)
    for one in found.values():
        is_exempt = (
            one.fields["verdict"] == "not measured" or one.fields["basis"] == "a fact"
        )
        if one.fields["asked"] == "after" and not is_exempt:
            one.fields["verdict"] = "seen, not tested"
    last = {n: f.fields["verdict"] for n, f in found.items()}
    last |= {n: found[n].fields["reading"] for n in last if last[n] == "seen, not tested"}
    for name in claims:
        if any(last[ground] in REFUTED for ground in below(claims, name)):
            untold = {"reading": "", "p": None, "adjusted": None}
            found[name].fields |= {"verdict": "not measured"} | untold
    return found


def below(claims, name):
    """What a claim is given, and what that is given, down to the ground."""
    while name := claims[name].get("given"):
        yield name


def seeds_needed(found):
    difference, _, _, low, high, relation = found.test
    ends = {"above": [high], "below": [low]}.get(relation, [low, high])
    distance = min(abs(difference - end) for end in ends)
    if found.fields["verdict"] == "undecided" and found.variance and distance:
        variance, _, pools = found.variance
        pools = pools if pools > 1 else found.sides
        for seeds in range(2, 1001):
            quantile = stats.t.ppf(1 - found.level / 2, pools * (seeds - 1))
            if quantile * (found.sides * variance / seeds) ** 0.5 <= distance:
                found.fields["seeds"] = seeds
                return
