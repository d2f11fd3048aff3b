"""How often a verdict is false, and an interval misses: `python tests/nulls.py`, by hand.

`nulls`: the published runs with nothing left to find. In every claim that an interval
decides, the difference is put on the claim's own threshold, and what scatters around it is
dealt out anew: among the runs of a pool their residuals, times sqrt(n / (n - 1)), between
two networks which of them got an image right, along training blocks of steps. Variances
are estimated anew. A draw is false if any claim of the family is decided, and a *holds* is
counted apart.

`coverage`: how often an interval contains a difference that is known, with cells that
scatter as the published ones do; ten times as many draws.

docs/statistics.md has what they came to, with seed and revision.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

from gradscape.claims import inference, registered, single
from gradscape.claims.evidence import METHODS, seed_variances
from gradscape.claims.inference import Estimate, of_images, of_seeds, of_steps, variance
from gradscape.claims.sides import Measurements, Side, trains
from gradscape.claims.verdicts import BEFORE, HOLDS, UNDECIDED, Decision, adjust, decide
from gradscape.config.experiment import Experiment
from gradscape.runs.run import finished_runs, scores

PUBLISHED = Path(__file__).parents[1] / "results" / "published"


class Seen:
    """A function that keeps what it was last called with."""

    def __init__(self, function):
        self.function, self.arguments = function, None

    def __call__(self, values, *more):
        self.arguments = values
        return self.function(values, *more)


class Null:
    """One claim's comparison, whose numbers can be drawn anew around its threshold."""

    def __init__(self, name: str, claim: dict, measured: Measurements, stood: dict):
        self.images, self.steps = Seen(of_images), Seen(of_steps)
        single.of_images, single.of_steps = self.images, self.steps
        self.decision = decide(name, claim, measured, stood)
        self.verdict, self.found, self.comparison = self.decision
        if self.comparison is None or self.found.rests != METHODS:
            return
        log = self.comparison.estimate.log
        self.scale = np.log if log else np.asarray
        sides = [Side(claim[side], measured) for side in ("left", "right")]
        self.measured = [
            (side, pairs)
            for side, pairs in zip(sides, self.found.pairs, strict=True)
            if pairs is not None and side.constant is None
        ]

    @property
    def threshold(self) -> float:
        """Where the claim begins to hold: of an equality, the end that is nearer."""
        difference = self.comparison.estimate.difference
        return min(self.comparison.ends, key=lambda end: abs(difference - end))

    def estimate(self, deal, random) -> Estimate | None:
        """An estimate of a difference that is the threshold, from numbers drawn anew."""
        real = self.comparison.estimate
        if self.found.variance:
            found = self._of_seeds(deal, random, real)
        elif self.images.arguments is not None:
            values = np.asarray(self.images.arguments, float)
            found = of_images(values * random.choice([-1, 1], len(values)))
        elif self.steps.arguments is not None:
            values = np.asarray(self.steps.arguments, float)
            found = of_steps(reordered(values - values.mean(), random), real.log)
        else:
            found = replace(real, difference=random.normal(0, real.error))
        return found and replace(found, difference=found.difference + self.threshold)

    def _of_seeds(self, deal, random, real) -> Estimate:
        values, pools = [], []
        for side, pairs in self.measured:
            own = self.scale(side.of(pairs))
            pool = [self.scale(cell) for cell in side.pool(pairs)]
            at = [n for n, cell in enumerate(pool) if np.array_equal(cell, own)]
            if self.found.sides == 1 and len(self.measured) == 2:
                own = self.scale(self.found.left) - self.scale(self.found.right)
            if not at or inference.pooled(pool) is None:
                values.append(random.normal(0, own.std(ddof=1), len(own)))
                pools.append([])
                continue
            drawn = deal(side.name, pool)
            values.append(drawn[at[0]])
            pools.append(drawn)
        if self.found.sides == 1:
            values, pools = values[:1], pools[:1]
        stand_ins = [(StandIn(pool), None) for pool in pools]
        variances, _ = seed_variances(stand_ins, values, np.asarray)
        return of_seeds(values, variances, real.log)


class StandIn:
    """A side of which only the pool is asked."""

    def __init__(self, cells):
        self.cells = cells

    def pool(self, pairs):
        return self.cells


def reordered(values: np.ndarray, random) -> np.ndarray:
    """Neighbouring steps stay together, in blocks of n^(1/3) (Künsch 1989)."""
    length = max(1, round(len(values) ** (1 / 3)))
    starts = random.integers(len(values), size=-(-len(values) // length))
    places = (starts[:, None] + np.arange(length)).ravel()[: len(values)]
    return values[places % len(values)]


def dealer(random):
    """Residuals of a pool, dealt out anew once a draw for all claims about a metric."""
    dealt = {}

    def deal(metric: str, pool):
        key = (metric, *(float(cell[0]) for cell in pool))
        if key not in dealt:
            grown = [
                (cell - cell.mean()) * np.sqrt(len(cell) / (len(cell) - 1)) for cell in pool
            ]
            mixed = random.permutation(np.concatenate(grown))
            ends = np.cumsum([len(cell) for cell in pool])[:-1]
            dealt[key] = np.split(mixed, ends)
        return dealt[key]

    return deal


def nulls(draws: int, random) -> None:
    print("| folder | study | claims | any decided | any holds |\n|---|---|---|---|---|")
    worst = 0.0
    for folder in ("cpu", "engine", "h200"):
        root = PUBLISHED / folder
        experiment = Experiment.from_file(root / "config.json", root)
        known = registered.read(experiment.results)
        for study in experiment.studies.values():
            measured = Measurements(finished_runs(study, experiment.results))
            stood = {commit: found.get(study.name, {}) for commit, found in known.items()}
            family = [
                Null(name, claim, measured, stood) for name, claim in study.claims.items()
            ]
            family = [n for n in family if n.comparison and n.verdict.asked == BEFORE]
            if not family:
                continue
            decided = holds = 0
            for _ in range(draws):
                deal, drawn = dealer(random), {}
                for null in family:
                    estimate = null.estimate(deal, random)
                    if estimate is None:
                        continue
                    comparison = replace(null.comparison, estimate=estimate)
                    verdict = replace(null.verdict, p=comparison.p)
                    drawn[verdict.name] = Decision(verdict, null.found, comparison)
                words = {verdict.verdict for verdict in adjust(drawn).values()}
                decided += bool(words - {UNDECIDED})
                holds += HOLDS in words
            worst = max(worst, decided / draws)
            row = f"{100 * decided / draws:.1f} % | {100 * holds / draws:.1f} %"
            print(f"| {folder} | {study.name} | {len(family)} | {row} |", flush=True)
    error = 1.96 * np.sqrt(0.05 * 0.95 / draws)
    print(f"\nThe most: {100 * worst:.1f} %; 5 % and its Monte Carlo error are "
          f"{100 * (0.05 + error):.1f} %.")  # fmt: skip


def coverage(draws: int, random) -> None:
    def share(estimate) -> str:
        inside = [found.interval() for found in (estimate() for _ in range(draws)) if found]
        covered = np.mean([low <= 0 <= high for low, high in inside])
        return f"{100 * covered:.1f} %" if len(inside) > draws / 2 else "none given"

    print("\n| interval | scatter | coverage |\n|---|---|---|")
    root = PUBLISHED / "cpu"
    experiment = Experiment.from_file(root / "config.json", root)
    study = experiment.studies["degradation"]
    measured = Measurements(finished_runs(study, experiment.results))
    cells = [cell for cell in measured.cells if len(cell) > 2 and trains(cell)]
    deviations = [np.std(scores(cell, "test_accuracy"), ddof=1) for cell in cells]
    for seeds in (2, 3, 5):
        for name, scatter in (("equal", [1.0] * 8), ("as published", deviations)):

            def of_pool(seeds=seeds, scatter=scatter):
                scatter = random.permutation(scatter)
                cells = [random.normal(0, s, seeds) for s in scatter]
                sides = [(StandIn(cells), None)] * 2
                return of_seeds(cells[:2], seed_variances(sides, cells[:2], np.asarray)[0])

            print(f"| two cells of {seeds} seeds, pooled or Welch | {name} | "
                  f"{share(of_pool)} |", flush=True)  # fmt: skip
        for ratio in (1, 3, 10):

            def welch(seeds=seeds, ratio=ratio):
                cells = random.normal(0, 1, seeds), random.normal(0, ratio, seeds)
                return of_seeds(cells, [variance(cell) for cell in cells])

            print(f"| two cells of {seeds} seeds, Welch | 1 : {ratio} | {share(welch)} |")
    for seeds in (2, 3, 5):

        def alone(seeds=seeds):
            cell = random.normal(size=seeds)
            return of_seeds([cell], [variance(cell)])

        print(f"| one cell of {seeds} seeds | its own | {share(alone)} |")
    for images, apart in ((1_000, 0.3), (10_000, 0.3), (10_000, 0.01)):

        def mcnemar(images=images, apart=apart):
            return of_images(
                random.choice([-1, 0, 1], images, p=[apart / 2, 1 - apart, apart / 2])
            )

        print(f"| {images:,} images | {100 * apart:.0f} % apart | {share(mcnemar)} |")
    for steps in (39, 120, 240, 391, 1173):
        for correlation in (0.0, 0.2):

            def autoregressive(steps=steps, correlation=correlation):
                noise = random.normal(size=steps + 20)
                return of_steps(lfilter([1], [1, -correlation], noise)[20:])

            print(
                f"| {steps} steps | correlation {correlation} | {share(autoregressive)} |"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    nulls(given.draws, np.random.default_rng(given.seed))
    coverage(10 * given.draws, np.random.default_rng(given.seed + 1))
