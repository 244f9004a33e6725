"""python -m benchmarks.coverage [--json FILE]: how often the 95 % intervals hold what they are intervals of.

Photographs: drawn again and again from a large made-up population in which, as in photographs, few colours are
common, most are rare, and one photograph holds few of them.  Gray's error is the chroma of each colour.  The
rebalanced AuC depends on how many photographs there are, so what an interval should hold is the figure's mean over all
sets of that size.  Raters: each has a share of their own, beta-distributed about the paper's 32.3 %, and answers 36
pairs.
"""

import argparse

import numpy as np

from repro.bins import ab_bins
from repro.evaluation.intervals import Interval, bootstrap
from repro.evaluation.raw_accuracy import LIMIT, auc_interval
from repro.files import write_atomically
from repro.pages.evidence import WIDER
from repro.pages.records import as_json, run_description
from repro.study.statistics import _interval

COLOURS, PIXELS, POPULATION = 313, 256, 5000
BOOTSTRAPPED = tuple(f"paired lead in rebalanced AuC, bootstrap{ending}" for ending in ("", " taken twice as wide"))


def population(seed=0, photographs=POPULATION):
    """counts (N, Q) and the errors of two methods and of gray (N, Q each), as `by_colour` gives them."""
    rng = np.random.default_rng(seed)
    common = rng.dirichlet(np.full(COLOURS, 0.1))  # of all photographs together
    of_photograph = rng.gamma(np.maximum(6 * common, 1e-4), size=(photographs, COLOURS))
    counts = np.stack([rng.multinomial(PIXELS, row / row.sum()) for row in of_photograph]).astype(float)
    rare = 25 + 12 * (1 - common / common.max())  # ab units: rare colours are missed by more
    hard = rng.lognormal(0, 0.4, (photographs, 1))  # some photographs are, for both methods
    own = rng.lognormal(0, 0.2, (2, photographs, COLOURS))
    errors = [counts * np.minimum(scale * rare * hard * own[place], LIMIT) for place, scale in ((0, 1.0), (1, 0.93))]
    return counts, *errors, counts * ab_bins().norm(dim=1).double().numpy()


def figure_of(counts, errors):
    """The rebalanced AuC of photographs: every colour that occurs counts the same."""
    pixels = counts.sum(0)
    return 1 - (errors.sum(0)[pixels > 0] / pixels[pixels > 0]).mean() / LIMIT


def of_photographs(number, trials, sets):
    """{interval: share of trials in which it holds the figure's mean over sets of `number` photographs}."""
    counts, one, other, gray = population()
    rng = np.random.default_rng(1)
    draw = lambda: rng.choice(len(counts), number, replace=False)
    known = np.array(
        [
            [figure_of(counts[rows], errors[rows]) for errors in (one, other, gray)]
            for rows in (draw() for _ in range(sets))
        ]
    )
    truth = {"rebalanced AuC": known[:, 0].mean(), "paired lead in rebalanced AuC": (known[:, 1] - known[:, 0]).mean()}
    plain = 1 - one.sum() / counts.sum() / LIMIT
    truth |= {"AuC": plain, "paired lead in AuC": 1 - other.sum() / counts.sum() / LIMIT - plain}
    truth["rebalanced AuC of gray"] = known[:, 2].mean()
    truth |= {f"{name}, weights held fixed": truth[name] for name in ("rebalanced AuC", "rebalanced AuC of gray")}
    truth |= dict.fromkeys(BOOTSTRAPPED, truth["paired lead in rebalanced AuC"])
    held, width = dict.fromkeys(truth, 0), dict.fromkeys(truth, 0.0)
    for trial in range(trials):
        rows = draw()
        mine, theirs, few = one[rows], other[rows], counts[rows]
        weights = np.divide(1, few.sum(0), where=few.sum(0) > 0, out=np.zeros(COLOURS))
        rarity = few @ weights
        found = {
            "AuC": auc_interval(few, mine, False, seed=trial),
            "paired lead in AuC": auc_interval(few, theirs, False, mine, trial),
            "rebalanced AuC": auc_interval(few, mine, True, seed=trial),
            "paired lead in rebalanced AuC": auc_interval(few, theirs, True, mine, trial),
            "rebalanced AuC of gray": auc_interval(few, gray[rows], True, seed=trial),
        }
        found |= bootstrapped(few, theirs, mine, trial)
        for name, errors in (("rebalanced AuC", mine), ("rebalanced AuC of gray", gray[rows])):
            of_each = 1 - errors @ weights / rarity / LIMIT
            found[f"{name}, weights held fixed"] = bootstrap(of_each, seed=trial, weights=rarity)
        for name, interval in found.items():
            held[name] += interval.low <= truth[name] <= interval.high
            width[name] += (interval.high - interval.low) / trials
    return {name: {"covers": held[name] / trials, "mean_width": width[name]} for name in truth}


def bootstrapped(counts, one, other, seed):
    """{name: Interval} of the paired lead in rebalanced AuC by bootstrap, the weights anew in each resample."""
    rng = np.random.default_rng(seed)
    times = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), 1000)  # how often each is drawn
    pixels, lost = times @ counts, times @ (other - one) / LIMIT
    leads = np.divide(lost, pixels, where=pixels > 0, out=np.zeros_like(lost)).sum(1) / (pixels > 0).sum(1)
    mean = figure_of(counts, one) - figure_of(counts, other)
    low, high = np.percentile(leads, (2.5, 97.5))
    ends = [(mean - wider * (mean - low), mean + wider * (high - mean)) for wider in (1, WIDER)]
    return {name: Interval(mean, leads.std(), *pair) for name, pair in zip(BOOTSTRAPPED, ends, strict=True)}


def of_raters(raters, trials, share=0.323, spread=0.085, pairs=36):
    """{interval: share of studies in which it holds the true share}, of Student's t and of a percentile bootstrap."""
    rng = np.random.default_rng(2)
    size = share * (1 - share) / spread**2 - 1
    held = {"Student's t": 0, "percentile bootstrap": 0}
    for trial in range(trials):
        shares = rng.binomial(pairs, rng.beta(share * size, (1 - share) * size, raters)) / pairs
        _, _, low, high = _interval(shares, np.full(raters, pairs))
        drawn = bootstrap(shares, resamples=1000, seed=trial)
        held["Student's t"] += low <= share <= high
        held["percentile bootstrap"] += drawn.low <= share <= drawn.high
    return {name: {"covers": count / trials} for name, count in held.items()}


def measured(small=False):
    """{what: {interval: {"covers", ...}}}."""
    trials, sets, studies = (4, 20, 20) if small else (300, 1500, 2000)
    numbers, groups = ((40,), (3,)) if small else ((100, 400), (3, 4, 12, 40))
    found = {f"{number} photographs": of_photographs(number, trials, sets) for number in numbers}
    return found | {f"{raters} raters": of_raters(raters, studies) for raters in groups}


def main(arguments=None):
    """Print what share of trials each interval covers, and write it where that is asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__.split("\n\n")[0])
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument("--small", action="store_true", help="few trials: to see that it runs")
    chosen = parser.parse_args(arguments)
    found = measured(chosen.small)
    for what, intervals in found.items():
        for name, values in intervals.items():
            width = f", mean width {100 * values['mean_width']:.2f} points" if "mean_width" in values else ""
            print(f"{what}: {name} covers {values['covers']:.3f} where .95 is promised{width}")
    if chosen.json:
        write_atomically(chosen.json, as_json({"run": run_description(0), "coverage": found}))


if __name__ == "__main__":
    main()
