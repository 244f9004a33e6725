"""AuC: by hand, against its definition, and as a stream; and the two predictions that need no network."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from repro.bins import ab_bins, nearest_bin
from repro.color import rgb8_to_lab
from repro.evaluation import baselines
from repro.evaluation.intervals import jackknife
from repro.evaluation.raw_accuracy import LIMIT, RawAccuracy, auc, auc_interval, distances


def colors(seed, count=200, reach=100):
    return torch.rand(count, 2, generator=torch.Generator().manual_seed(seed)) * 2 * reach - reach


def dense(predicted, true, weights, steps=30_001):
    """The definition: the share within t, averaged over a fine grid of t in 0..150."""
    error = (predicted - true).double().norm(dim=-1).flatten()
    weights = weights.double().flatten() / weights.double().sum()
    error, order = error.sort()
    share = torch.cat((torch.zeros(1, dtype=torch.float64), weights[order].cumsum(0)))
    thresholds = torch.linspace(0, LIMIT, steps, dtype=torch.float64)
    return float(torch.trapezoid(share[torch.searchsorted(error, thresholds, right=True)], thresholds) / LIMIT)


# -- AuC -------------------------------------------------------------------------------------------------------------


def test_by_hand():
    """Errors 5 (3-4-5), 0 and 300, which counts as 150: 1 - (5 + 0 + 150) / 3 / 150 = .655556.

    Weights 2, 1, 1: 1 - (10 + 150) / 4 / 150 = .733333.
    """
    true = torch.tensor([[10.0, 10], [0, 0], [-150, 0]])
    predicted = torch.tensor([[13.0, 14], [0, 0], [150, 0]])
    assert distances(predicted, true).tolist() == [5, 0, 300]
    assert auc(predicted, true) == pytest.approx(0.655556, abs=1e-6)
    assert auc(predicted, true, torch.tensor([2.0, 1, 1])) == pytest.approx(0.733333, abs=1e-6)


@given(st.integers(0, 10_000), st.floats(1, 200))
def test_equals_the_definition_and_lies_in_0_to_1(seed, reach):
    predicted, true = colors(seed, reach=reach), colors(seed + 1, reach=reach)
    weights = torch.rand(200, generator=torch.Generator().manual_seed(seed))
    found = auc(predicted, true, weights)
    assert 0 <= found <= 1
    assert found == pytest.approx(dense(predicted, true, weights), abs=1e-4)


def test_perfect_is_1_and_hopeless_0():
    true = colors(0)
    assert auc(true, true) == 1
    assert auc(true + 1e4, true) == 0


def test_shape_does_not_matter():
    predicted, true = colors(1), colors(2)
    assert auc(predicted.view(2, 10, 10, 2), true.view(2, 10, 10, 2)) == pytest.approx(auc(predicted, true))


@given(st.integers(0, 1000), st.floats(0.001, 1000))
def test_only_ratios_of_weights_count(seed, factor):
    weights = torch.rand(200, generator=torch.Generator().manual_seed(seed)) + 0.01
    assert auc(colors(1), colors(2), weights) == pytest.approx(auc(colors(1), colors(2), weights * factor), abs=1e-6)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_refused(bins, value):
    bad = colors(1)
    bad[3, 0] = value
    for predicted, true in ((bad, colors(2)), (colors(2), bad), (bad, bad)):
        with pytest.raises(ValueError, match="not finite"):
            auc(predicted, true)
        with pytest.raises(ValueError, match="not finite"):
            RawAccuracy(bins).add(predicted, true)


@pytest.mark.usefixtures("unchecked")
def test_wrong_shapes_and_no_weight_are_refused():
    with pytest.raises(ValueError, match=r"expected two \(..., 2\) tensors alike"):
        auc(colors(1), colors(1)[:10])
    with pytest.raises(ValueError, match=r"expected two \(..., 2\) tensors alike"):
        auc(torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4))
    for predicted, weights in ((torch.empty(0, 2), None), (colors(1), torch.zeros(200))):
        with pytest.raises(ValueError, match="no pixel has any weight"):
            auc(predicted, predicted, weights)


# -- a stream of photographs
# -----------------------------------------------------------------------------------------


def test_rebalanced_by_hand(bins):
    """Three pixels of bin (0, 0) with error 15 each, one of bin (50, 0) with error 45.

    Plain: 1 - (3 * 15 + 45) / 4 / 150 = .85.  Rebalanced, both bins alike: 1 - (15 + 45) / 2 / 150 = .8.
    """
    true = torch.tensor([[0.0, 0], [1, 1], [-2, 0], [50, 0]])
    predicted = true + torch.tensor([[15.0, 0], [0, 15], [-15, 0], [0, 45]])
    accuracy = RawAccuracy(bins).add(predicted, true)
    assert accuracy.auc() == pytest.approx(0.85)
    assert accuracy.auc(rebalanced=True) == pytest.approx(0.8)


@given(st.integers(0, 10_000), st.lists(st.integers(0, 200), max_size=6))
def test_a_stream_equals_all_at_once_in_any_order(seed, cuts):
    bins = ab_bins()
    predicted, true = colors(seed), colors(seed + 1)
    at_once = RawAccuracy(bins).add(predicted, true)
    edges = [0, *sorted(cuts), 200]
    stream = RawAccuracy(bins)
    for first, last in reversed(list(pairwise(edges))):
        stream.add(predicted[first:last], true[first:last])
    for rebalanced in (False, True):
        assert stream.auc(rebalanced) == pytest.approx(at_once.auc(rebalanced), abs=1e-12)
        assert torch.allclose(stream.curve(rebalanced), at_once.curve(rebalanced))


@given(st.integers(0, 10_000))
def test_both_figures_equal_auc_with_the_weights_spelt_out(seed):
    bins = ab_bins()
    predicted, true = colors(seed, reach=120), colors(seed + 1, reach=60)
    accuracy = RawAccuracy(bins).add(predicted, true)
    nearest = nearest_bin(true, bins)
    weights = 1 / torch.bincount(nearest, minlength=313)[nearest]
    assert accuracy.auc() == pytest.approx(auc(predicted, true), abs=1e-9)
    assert accuracy.auc(rebalanced=True) == pytest.approx(auc(predicted, true, weights), abs=1e-6)


def test_the_curve_is_the_share_within_each_threshold(bins):
    predicted, true = colors(3, 500, 130), colors(4, 500, 130)
    curve = RawAccuracy(bins).add(predicted, true).curve()
    error = distances(predicted, true)
    assert error.max() > LIMIT, "some are beyond every threshold"
    expected = [float((error <= t).double().mean()) for t in range(151)]
    assert curve.shape == (151,) and curve.tolist() == pytest.approx(expected)
    # 151 thresholds 0, 1, ... 150 fall about a quarter of a point short of the integral
    assert float(curve.mean()) == pytest.approx(auc(predicted, true), abs=0.005)


def test_whole_errors_count_at_their_own_threshold(bins):
    """Distances 0, 5 and 150 exactly: within 0 a third, within 5 two thirds, within 150 all."""
    curve = RawAccuracy(bins).add(torch.tensor([[0.0, 0], [3, 4], [150, 0]]), torch.zeros(3, 2)).curve()
    assert [float(curve[t]) for t in (0, 4, 5, 149, 150)] == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3, 1])


def test_nothing_added_is_an_error(bins):
    for ask in (RawAccuracy(bins).auc, RawAccuracy(bins).curve):
        with pytest.raises(ValueError, match="no pixel was added"):
            ask()


# -- baselines -------------------------------------------------------------------------------------------------------


def test_gray_has_no_color():
    assert torch.equal(baselines.gray(torch.ones(3, 4, 5, 2)), torch.zeros(3, 4, 5, 2))


def test_grays_auc_is_one_minus_the_mean_chroma(bins):
    """True ab at distance 30 from gray: 1 - 30 / 150 = .8."""
    true = torch.tensor([[30.0, 0], [0, -30], [18, 24]])
    assert auc(baselines.gray(true), true) == pytest.approx(0.8)


def numbered(count, first=0):
    """Photographs of 2 x 3 pixels, each of one level, by which it is known again."""
    return np.arange(first, first + count, dtype=np.uint8)[:, None, None, None].repeat(2, 1).repeat(3, 2).repeat(3, 3)


@given(st.integers(1, 9), st.integers(0, 30), st.integers(0, 2**32 - 1))
def test_random_takes_photographs_of_the_training_set_alone(training, count, seed):
    drawn = baselines.random(numbered(training, first=100), count, seed)
    assert drawn.shape == (count, 2, 3, 3)
    assert all(any(np.array_equal(one, photo) for photo in numbered(training, first=100)) for one in drawn)
    assert np.array_equal(drawn, baselines.random(numbered(training, first=100), count, seed))


def test_random_takes_every_training_photograph_about_as_often():
    """Of 3, in 3,000 draws, each 1,000 times; the deviation is sqrt(3000 x 1/3 x 2/3) = 26."""
    counts = np.bincount(baselines.random(numbered(3), 3000)[:, 0, 0, 0])
    assert len(counts) == 3 and np.abs(counts - 1000).max() < 4 * 26


def test_a_generator_draws_on_and_a_part_draws_as_the_whole():
    rng, whole = np.random.default_rng(5), baselines.random(numbered(200), 20, 5)
    parts = [baselines.random(numbered(200), count, rng) for count in (8, 12)]
    assert np.array_equal(np.concatenate(parts), whole) and not np.array_equal(parts[0], parts[1][:8])


def test_random_colours_by_hand():
    """A gray of L = 53.6 with the ab of red, (80.1, 67.2) at L = 53.2: lightness is kept, the colour is red's."""
    red, gray = (np.full((1, 2, 2, 3), level, np.uint8) for level in ([255, 0, 0], [128, 128, 128]))
    assert np.abs(rgb8_to_lab(baselines.painted(gray, red)) - [53.6, 80.1, 67.2]).max() < 0.5
    assert np.array_equal(baselines.painted(gray), gray) and np.array_equal(baselines.painted(gray, gray), gray)
    assert np.abs(rgb8_to_lab(baselines.painted(red)) - [53.2, 0, 0]).max() < 0.5


def test_random_needs_training_photographs_of_the_size(unchecked):
    with pytest.raises(ValueError, match="there are none; hand in at least one"):
        baselines.random(numbered(0), 3)
    with pytest.raises(ValueError, match=r"photographs \(2, 2, 3, 3\) as these, got \(2, 2, 2, 3\)"):
        baselines.painted(numbered(2), numbered(2)[:, :, :2])


@pytest.mark.parametrize("count", [2, 3, 10, 101])
@pytest.mark.parametrize("seed", [0, 1])
def test_others_takes_every_photograph_once_and_none_its_own(count, seed):
    taken = baselines.others(numbered(count), seed)[:, 0, 0, 0]
    assert (taken != np.arange(count)).all()
    assert np.array_equal(np.sort(taken), np.arange(count))
    assert np.array_equal(baselines.others(numbered(count), seed), baselines.others(numbered(count), seed))


def test_others_needs_another_photograph():
    with pytest.raises(ValueError, match="at least two"):
        baselines.others(numbered(1))


# -- how sure -------------------------------------------------------------------------------------------------------


def test_rebalanced_without_each_photograph_by_hand():
    """Three photographs of one colour and one of another, errors 15, 15, 15 and 45 ab units, a pixel each.

    All: 1 - (15 + 45) / 2 / 150 = .8.  Without one of the first three: the same.  Without the last one its colour does
    not occur: 1 - 15 / 150 = .9.  The variance of (.8, .8, .8, .9) is .001875, times 3: an error of .075.
    """
    counts = np.array([[1, 0], [1, 0], [1, 0], [0, 1.0]])
    errors = counts * [[15, 45]]
    found = auc_interval(counts, errors, rebalanced=True)
    assert found.mean == pytest.approx(0.8) and found.error == pytest.approx(0.075)
    assert found.high - found.mean == pytest.approx(stats.t.ppf(0.975, 3) * 0.075)
    lead = auc_interval(counts, errors, True, other=errors + counts * 15)
    assert lead.mean == pytest.approx(0.1) and lead.error == pytest.approx(0, abs=1e-9), "a lead of 15 everywhere"


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(0).normal(size=30)
    found = jackknife(values.mean(), (values.sum() - values) / 29)
    assert found.error == pytest.approx(stats.sem(values))
