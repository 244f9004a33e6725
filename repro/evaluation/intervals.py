"""Bootstrap intervals: how far a mean would move if other photographs, raters or seeds had been drawn."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A mean, its bootstrap standard error, and the interval that holds the given share of the resampled
    means."""

    mean: float
    error: float
    low: float
    high: float


def bootstrap(values, level=0.95, resamples=2000, seed=0, weights=None):
    """Percentile bootstrap of a mean (Efron 1979).

    values: (N,) one number for each independent unit, such as 0 or 1 for a photograph.  For the difference of
    two methods on the same photographs hand in their differences: that is the paired bootstrap.
    weights: (N,) of the units in a weighted mean, all alike if None; a unit is drawn together with its weight.
    Returns an Interval.  Raises ValueError if there are no values, one is not finite, or nothing has weight.
    """
    values = np.asarray(values, float)
    weights = np.ones_like(values) if weights is None else np.asarray(weights, float)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"expected (N,) finite values, N > 0, got shape {values.shape}")
    if weights.shape != values.shape or not (weights >= 0).all() or not 0 < weights.sum() < np.inf:
        raise ValueError(f"expected weights {values.shape}, none negative and some positive, got {weights.shape}")
    weighted, rng = weights * values, np.random.default_rng(seed)
    means = np.concatenate(
        [
            weighted[drawn].sum(1) / weights[drawn].sum(1)
            for first in range(0, resamples, 200)  # in parts: memory stays small for 10,000 photographs
            for drawn in [rng.integers(0, len(values), (min(200, resamples - first), len(values)))]
        ]
    )
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(weighted.sum() / weights.sum()), float(means.std(ddof=1)), float(low), float(high))
