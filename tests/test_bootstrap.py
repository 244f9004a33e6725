"""Bootstrap intervals: by hand, and beside scipy's."""

from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats

from repro.evaluation.intervals import bootstrap


def test_the_standard_error_of_a_share():
    """p (1 - p) / N: 100 photographs, 36 right, so .48 / 10."""
    found = bootstrap(np.arange(100) < 36, resamples=20000)
    assert found.mean == 0.36
    assert found.error == pytest.approx(0.048, rel=0.03)
    assert found.low == pytest.approx(0.36 - 1.96 * 0.048, abs=0.012)
    assert found.high == pytest.approx(0.36 + 1.96 * 0.048, abs=0.012)


def test_weighted_means():
    """(1 x 0 + 3 x 1) / 4; and units of weight n count as n units that are always drawn together."""
    assert bootstrap([0, 1], weights=[1, 3]).mean == 0.75
    values = np.random.default_rng(0).normal(size=50)
    assert vars(bootstrap(values, weights=np.full(50, 7.0))) == pytest.approx(vars(bootstrap(values)))
    few = bootstrap(values, weights=np.r_[np.full(5, 1.0), np.full(45, 1e-9)])
    alone = values[:5].std() / 5**0.5
    assert few.error == pytest.approx(alone, rel=0.3), "as if the five were alone"
    for count in (3, 7, 49, 400):  # a share of 1 is 1, without a rounding that turns an interval over
        found = bootstrap(np.ones(count), resamples=50)
        assert found.low == found.mean == found.high == 1
    for bad in ([1], [-1, 3], [0, 0], [np.nan, 1], [np.inf, 1]):
        with pytest.raises(ValueError, match="weights"):
            bootstrap([0, 1], weights=bad)


def test_scipy_agrees():
    values = np.random.default_rng(0).gamma(1.5, size=60)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20000, method="percentile", rng=1)
    ours = bootstrap(values, resamples=20000)
    assert ours.error == pytest.approx(theirs.standard_error, rel=0.03)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.02)


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = 0
    for trial in range(300):
        found = bootstrap(rng.normal(2.0, 1.0, 60), resamples=400, seed=trial)
        inside += found.low <= 2.0 <= found.high
    assert 0.90 < inside / 300 < 0.98


def test_paired_differences_are_narrower_than_unpaired_ones():
    rng = np.random.default_rng(1)
    easy = rng.random(300)  # how easy a photograph is for both methods
    first, second = rng.random(300) < easy, rng.random(300) < easy
    paired = bootstrap(second.astype(float) - first)
    unpaired = bootstrap(second.astype(float) - rng.permutation(first))
    assert paired.error < unpaired.error


def test_equal_values_have_no_spread_and_the_seed_decides():
    assert bootstrap(np.ones(5)).error == 0
    values = np.arange(10.0)
    assert bootstrap(values, seed=3) == bootstrap(values, seed=3) != bootstrap(values, seed=4)
    assert set(asdict(bootstrap(values))) == {"mean", "error", "low", "high"}


@pytest.mark.parametrize("values", [[], [[1.0, 2.0]], [1.0, float("nan")]])
def test_what_is_no_list_of_numbers_is_refused(values):
    with pytest.raises(ValueError, match="finite values"):
        bootstrap(values)
