"""Intervals by bootstrap and by jackknife: how far a figure would move with other photographs or raters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped
from scipy.special import stdtrit


@dataclass(frozen=True)
class Interval:
    """A figure, its standard error, and the interval that holds the true one in the given share of samples."""

    mean: float
    error: float
    low: float
    high: float


def bootstrap(
    values: Sequence | Shaped[np.ndarray, " n"],
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    weights: Sequence | Shaped[np.ndarray, " n"] | None = None,
) -> Interval:
    """Percentile bootstrap of a mean (Efron 1979).

    values: one number for each independent unit, such as 0 or 1 for a photograph.  For the difference of
    two methods on the same photographs hand in their differences: that is the paired bootstrap.
    weights: of the units in a weighted mean, all alike if None; a unit is drawn together with its weight.
    Raises ValueError if there are no values, one is not finite, or nothing has weight.
    """
    values = np.asarray(values, float)
    weights = np.ones_like(values) if weights is None else np.asarray(weights, float)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"expected (N,) finite values, N > 0, got shape {values.shape}")
    if weights.shape != values.shape or not (weights >= 0).all() or not 0 < weights.sum() < np.inf:
        raise ValueError(f"expected weights {values.shape}, none negative and some positive, got {weights.shape}")
    columns = np.stack((weights * values, weights), 1)  # the mean's numerator and denominator, by one product

    def weighted_mean(times):
        totals = times @ columns
        return totals[:, 0] / totals[:, 1]

    return resampled(weighted_mean, len(values), level, resamples, seed)


def resampled(statistic: Callable, units: int, level: float = 0.95, resamples: int = 2000, seed: int = 0) -> Interval:
    """The bootstrap of any figure of N units, which are drawn again and again, with repeats.

    statistic: how often each unit was drawn (R, N) float64 -> the figure of each of the R samples (R,).
    """
    rng = np.random.default_rng(seed)
    # a resample is told by how often it drew each unit, which is all that a mean needs
    found = np.concatenate(
        [
            statistic(np.stack([np.bincount(row, minlength=units) for row in drawn]).astype(float))
            for first in range(0, resamples, 200)  # in parts: memory stays small for 10,000 photographs
            for drawn in [rng.integers(0, units, (min(200, resamples - first), units))]
        ]
    )
    figure = float(statistic(np.ones((1, units)))[0])
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Interval(figure, float(found.std(ddof=1)), float(low), float(high))


def students_t(freedom: float, level: float = 0.95) -> float:
    """How many standard errors an interval of that level reaches to each side, after Student's t."""
    return float(stdtrit(min(freedom, 1e6), (1 + level) / 2))  # beyond, it is the normal distribution's


def jackknife(figure: float, without: Float[np.ndarray, " n"], level: float = 0.95) -> Interval:
    """The jackknife of a figure of N units (Quenouille 1956, Tukey 1958): each is left out once.

    For figures that depend on how many different units there are: a bootstrap's resample holds only 63 % of them.
    without: the figure without each unit, of which there are at least 2.  Returns figure ± t errors.
    """
    units = len(without)
    # figures that lack one unit of N differ far less than samples do, hence the factor: the variance is
    # (N - 1) / N times the sum of their squared deviations
    error = float(np.sqrt((units - 1) * np.var(without)))
    reach = students_t(units - 1, level) * error
    return Interval(float(figure), error, float(figure) - reach, float(figure) + reach)
