"""How far one method is ahead of another on the same photographs, and whether a claim about that holds.

Both methods are drawn together, so what makes a photograph easy or hard for both does not widen the interval.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from repro.evaluation.intervals import Interval, bootstrap, students_t
from repro.evaluation.raw_accuracy import auc_interval, by_colour

HOLDS, FAILS, OPEN, UNTESTED = "holds", "does not hold", "not distinguishable", "not tested"


# ---- the rule ----


def verdict(low, high, least=0.0, most=math.inf):
    """What a 95 % interval says of the claim that a difference lies between `least` and `most`.

    It holds if the whole interval does, does not hold if none of it does, else the two are not distinguishable.
    "A is ahead of B" is the claim that A - B lies between 0 and infinity.
    """
    if least < low and high < most:
        return HOLDS
    return FAILS if high < least or low > most else OPEN


def together(verdicts):
    """The verdict of a claim with several comparisons.

    One that does not hold refutes it, and all must hold for it to hold.  Without any it is not tested.
    """
    found = set(verdicts)
    return UNTESTED if not found else FAILS if FAILS in found else HOLDS if found == {HOLDS} else OPEN


# ---- ab maps: raw accuracy, vividness, evenness ----


def steps(ab: Float[Tensor, "n h w 2"]) -> Float64[np.ndarray, " n"]:
    """How patchy colours are: mean distance in ab of neighbours in each map, ab units."""
    distances = [difference.norm(dim=-1).mean((1, 2)) for difference in (ab.diff(dim=1), ab.diff(dim=2))]
    return torch.stack(distances).mean(0).double().numpy()


@dataclass(frozen=True)
class Coloured:
    """What a method made of N photographs.

    counts, errors: of `by_colour`.  chroma: mean distance from gray, ab units.  steps: mean distance of the colours
    of neighbouring values, ab units: how patchy the colours are.
    """

    counts: Float64[np.ndarray, "n q"]
    errors: Float64[np.ndarray, "n q"]
    chroma: Float64[np.ndarray, " n"]
    steps: Float64[np.ndarray, " n"]

    @classmethod
    def of(
        cls, predicted_ab: Float[Tensor, "n h w 2"], true_ab: Float[Tensor, "n h w 2"], bins: Float[Tensor, "q 2"]
    ) -> "Coloured":
        """Measure predicted maps beside the true ones: ab units, h and w at least 2."""
        ab = predicted_ab.cpu().float()
        chroma = ab.norm(dim=-1).mean((1, 2)).double().numpy()
        return cls(*by_colour(ab, true_ab, bins), chroma, steps(ab))

    def intervals(self, seed=0):
        """{"auc" and "auc_rebalanced": {mean, error, low, high}} over photographs."""
        kinds = (("auc", False), ("auc_rebalanced", True))
        return {name: asdict(auc_interval(self.counts, self.errors, kind, None, seed)) for name, kind in kinds}

    @classmethod
    def joined(cls, parts):
        """Join the photographs of several parts into one."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__annotations__))


def leads(found, pairs, truth="truth", seed=0):
    """{"A - B": {figure: {mean, error, low, high}}} of the pairs of methods that there are.

    found: {method: Coloured} of the same photographs, the true colours among them.  The figures: auc and
    auc_rebalanced, 0..1; chroma and steps as shares of the truth's mean.
    """
    result = {}
    for one, other in pairs:
        if not {one, other} <= set(found):
            continue
        a, b, true = found[one], found[other], found[truth]
        figures = {
            "auc": auc_interval(a.counts, a.errors, False, b.errors, seed),
            "auc_rebalanced": auc_interval(a.counts, a.errors, True, b.errors, seed),
        }
        for name in ("chroma", "steps"):
            scale = getattr(true, name).mean()
            if scale > 0:  # a gray truth has no chroma to take a share of
                figures[name] = bootstrap((getattr(a, name) - getattr(b, name)) / scale, seed=seed)
        result[f"{one} - {other}"] = {name: asdict(interval) for name, interval in figures.items()}
    return result


# ---- shares of right answers ----


def share_leads(hits: dict[str, Bool[np.ndarray, " n"]], pairs, seed=0):
    """{"A - B": {mean, error, low, high}} of shares of right answers.

    hits: {method: which are right} on the same photographs.
    """
    return {
        f"{one} - {other}": asdict(bootstrap(np.asarray(hits[one], float) - hits[other], seed=seed))
        for one, other in pairs
        if {one, other} <= set(hits)
    }


def disagreements(hits: dict[str, dict[str, Bool[np.ndarray, " n"]]], pair, seed=0):
    """Whether judges differ over how far method A is ahead of B: {(C, D): figures} of every two judges.

    hits: {judge: {method: which are right}} on the same photographs.  pair: (A, B).  The figures: gap, {mean, error,
    low, high} of A - B under C less A - B under D, all four drawn together; differ, the photographs where the step from
    B to A does not do to C what it does to D; opposite, those of them where it helps one and harms the other.
    """
    one, other = pair
    change = {judge: np.asarray(found[one], int) - found[other] for judge, found in hits.items()}
    return {
        (first, second): {
            "gap": asdict(bootstrap(change[first] - change[second], seed=seed)),
            "differ": int((change[first] != change[second]).sum()),
            "opposite": int((change[first] * change[second] < 0).sum()),
        }
        for first, second in itertools.combinations(hits, 2)
    }


def disputed(first, second, most=3) -> Int64[np.ndarray, " found"]:
    """The photographs over which two judges differ most: positions, opposite verdicts first.

    first, second: of each judge (before, after), the `Answers` to two methods on the same photographs.
    """
    right = [(after.among == 0).astype(int) - (before.among == 0) for before, after in (first, second)]
    surer = [after.certainty - before.certainty for before, after in (first, second)]
    apart = np.flatnonzero(right[0] != right[1])
    # `lexsort` sorts by its last key first: by how far the verdicts lie apart, then by the certainties
    order = np.lexsort((-np.abs(surer[0] - surer[1])[apart], -np.abs(right[0] - right[1])[apart]))
    return apart[order][:most]


def layer_leads(found, over=("random", "k-means")):
    """{"network - start": {layer: {mean, error, low, high}}} of linear probes on the same layers and seeds.

    found: a list of `LayerQuality`.  over: the networks that every other one is compared with.  The interval is of
    other seeds and other test photographs.
    """
    rows = {(row.network, row.layer, row.seed): row for row in found}
    networks, layers, seeds = (list(dict.fromkeys(key[place] for key in rows)) for place in range(3))
    return {
        f"{name} - {start}": {
            layer: asdict(_probe_lead([(rows[name, layer, s], rows[start, layer, s]) for s in seeds]))
            for layer in layers
        }
        for name in networks
        for start in over
        if name not in over and start in networks
    }


def _probe_lead(pairs):
    """An Interval of pairs of `LayerQuality`, one a seed."""
    by_seed = np.array([one.quality - other.quality for one, other in pairs])
    if all(row.right is not None for pair in pairs for row in pair):
        of_photograph = np.mean([one.right.astype(float) - other.right for one, other in pairs], 0)
        sample = of_photograph.var(ddof=1) / len(of_photograph)
    else:  # several labels a photograph: as if the two were measured on other photographs, which is wider
        sample = np.mean([one.error**2 + other.error**2 for one, other in pairs])
    mean, reach = float(by_seed.mean()), t_reach(sample, by_seed)
    # var() over S - 1 is the variance of a mean of S values, as var() itself divides by S; with one seed it is 0
    return Interval(mean, math.sqrt(sample + by_seed.var() / max(1, len(by_seed) - 1)), mean - reach, mean + reach)


def t_reach(sample: float, values: Sequence[float] | Float[np.ndarray, " s"]) -> float:
    """Half of the 95 % interval of a mean over seeds that are all measured on the same test photographs.

    sample: the variance that other test photographs would bring, which more seeds do not lessen.  values: of
    the seeds.  Student's t with Welch and Satterthwaite's degrees of freedom; one seed: 1.96 errors.
    """
    if len(values) < 2:
        return 1.96 * math.sqrt(sample)
    seeds = float(np.var(values, ddof=1)) / len(values)
    # only the seeds' variance is estimated from few values; the sample's counts as known
    freedom = (sample + seeds) ** 2 * (len(values) - 1) / seeds**2 if seeds else math.inf
    return students_t(freedom) * math.sqrt(sample + seeds)


def unpaired_lead(one, other):
    """An Interval of the difference of two means of other units each: Welch's t.

    one, other: (mean, its standard error, number of units), as of the raters of two methods.
    """
    variances = np.array([error**2 for _, error, _ in (one, other)])
    error = math.sqrt(variances.sum())
    parts = sum(v**2 / (n - 1) for v, (_, _, n) in zip(variances, (one, other), strict=True))
    reach = students_t(variances.sum() ** 2 / parts if parts else math.inf) * error
    mean = one[0] - other[0]
    return Interval(mean, error, mean - reach, mean + reach)
