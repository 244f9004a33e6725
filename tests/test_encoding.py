"""Soft encoding: by hand, against brute force over all bins, and as a distribution."""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from repro.bins import ab_bins
from repro.encoding import densify, soft_encode

coordinate = st.floats(-1000, 1000, width=32)
points = st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=20)


def test_a_color_on_a_bin(bins):
    """ab = (0, 0): the bin itself at distance 0 and its four neighbours at 10.

    exp(-100 / (2 * 25)) = exp(-2) = .135335; the sum 1 + 4 * .135335 = 1.541341; so .648786 and four times
    .087803. With exp(-d^2 / (2 sigma)), the known mistake, the neighbours would get exp(-10) = .0000454.
    """
    indices, weights = soft_encode(torch.zeros(2), bins)
    assert bins[indices[0]].tolist() == [0, 0]
    assert sorted(map(tuple, bins[indices[1:]].tolist())) == [(-10, 0), (0, -10), (0, 10), (10, 0)]
    assert weights.tolist() == pytest.approx([0.648786] + 4 * [0.087803], abs=1e-6)


def test_a_color_between_bins(bins):
    """ab = (2, 1): squared distances to (0,0) 5, (10,0) 65, (0,10) 85, (0,-10) 125, (10,10) 145 and (-10,0) 145: a tie.

    exp(-d^2 / 50): .904837 .272532 .182684 .082085 .055023; sum 1.497161; weights .604369 .182032 .122020
    .054827 .036752.
    """
    indices, weights = soft_encode(torch.tensor([2.0, 1.0]), bins)
    assert bins[indices[:4]].tolist() == [[0, 0], [10, 0], [0, 10], [0, -10]]
    assert bins[indices[4]].tolist() == [-10, 0]  # of two equals the first in the list of bins
    assert weights.tolist() == pytest.approx([0.604369, 0.182032, 0.122020, 0.054827, 0.036752], abs=1e-6)


def test_sigma_stands_squared(bins):
    """Neighbour over nearest at (0, 0) is exp(-100 / (2 sigma^2)): sigma 10 gives exp(-1/2)."""
    for sigma in (2.5, 5.0, 10.0):
        weights = soft_encode(torch.zeros(2), bins, sigma=sigma)[1]
        assert float(weights[1] / weights[0]) == pytest.approx(math.exp(-100 / (2 * sigma**2)), rel=1e-5)


def test_neighbours_six_to_ten_carry_less_than_a_tenth(bins):
    """In the plane's middle (0, 0): four diagonal bins at exp(-4) = .018316 and one at 20: exp(-8) = .000335.

    (4 * .018316 + .000335) / (1.541341 + .073598) = .04557.
    """
    weights = soft_encode(torch.zeros(2), bins, neighbours=10)[1]
    assert float(weights[5:].sum()) == pytest.approx(0.04557, abs=1e-4)


@given(points, st.sampled_from([1, 5, 10]), st.sampled_from([2.0, 5.0, 12.0]))
@example([(0.0, -0.0), (5.0, 5.0), (1e3, -1e3), (-90.0, 50.0)], 5, 5.0)
def test_a_distribution_nearest_first(rows, neighbours, sigma):
    indices, weights = soft_encode(torch.tensor(rows), ab_bins(), neighbours, sigma)
    assert indices.shape == weights.shape == (len(rows), neighbours)
    assert indices.dtype == torch.int64 and weights.dtype == torch.float32
    assert (weights >= 0).all() and weights.sum(1).numpy() == pytest.approx(1, abs=1e-6)
    assert (weights.diff(dim=1) <= 0).all(), "nearest first"
    assert all(len(set(row)) == neighbours for row in indices.tolist()), "no bin twice"


@given(points)
@example([(0.0, 0.0), (5.0, 5.0), (5.0, 0.0), (-0.0, 10.0), (300.0, -300.0), (98.3, -0.0)])
def test_equals_brute_force_over_all_bins(rows):
    bins, ab = ab_bins(), torch.tensor(rows)
    squared = (ab[:, None, 0] - bins[:, 0]) ** 2 + (ab[:, None, 1] - bins[:, 1]) ** 2
    nearest, expected = squared.sort(dim=1, stable=True)
    raw = ((nearest[:, :1] - nearest[:, :5]).double() / 50).exp()
    indices, weights = soft_encode(ab, bins)
    assert torch.equal(indices, expected[:, :5])
    assert weights.numpy() == pytest.approx((raw / raw.sum(1, keepdim=True)).numpy(), abs=1e-6)


def test_agrees_with_the_releases_own_way(bins):
    """scikit-learn's neighbours and exp(-d^2 / (2 sigma^2)), normalised, as the authors' code does it."""
    ab = np.random.default_rng(1).uniform(-100, 100, (3000, 2)).astype(np.float32)
    distance, expected = NearestNeighbors(n_neighbors=10).fit(bins.numpy()).kneighbors(ab)
    dense = np.zeros((len(ab), 313))
    raw = np.exp(-(distance**2) / 50) + 1e-300
    np.put_along_axis(dense, expected, raw / raw.sum(1, keepdims=True), 1)
    near = distance[:, 0] < 60  # farther out the release's own sums underflow
    ours = densify(*soft_encode(torch.from_numpy(ab), bins, 10), 313).numpy()
    assert np.abs(ours - dense)[near].max() < 1e-4


@given(coordinate, coordinate)
def test_far_colors_do_not_turn_into_nan(a, b):
    _, weights = soft_encode(torch.tensor([a * 1e6, b * 1e6]), ab_bins())
    assert weights.isfinite().all()


def inner_lattice():
    """Colours whose sixteen surrounding bins all exist."""
    bins = ab_bins()
    have = set(map(tuple, bins.int().tolist()))
    return [
        corner
        for corner in have
        if all((corner[0] + i, corner[1] + j) in have for i in range(-20, 31, 10) for j in range(-20, 31, 10))
    ]


def test_the_mean_gives_the_color_back_in_the_inner_gamut(bins):
    """Within .64 ab units for the paper's five, a lopsided neighbourhood, and .35 for ten.

    This is where no bin of the five or ten is missing.

    (All bins would leave .32: a Gaussian of sigma 5 is narrow for a lattice of spacing 10.)
    """
    corners = inner_lattice()
    assert len(corners) > 50
    ticks = torch.linspace(0, 10, 21)
    cell = torch.cartesian_prod(ticks, ticks)
    ab = torch.tensor(corners[0]).float() + cell
    worst = {}
    for neighbours in (5, 10):
        indices, weights = soft_encode(ab, bins, neighbours)
        mean = (bins[indices] * weights[..., None]).sum(1)
        worst[neighbours] = float((mean - ab).norm(dim=1).max())
    assert worst == pytest.approx({5: 0.638, 10: 0.349}, abs=0.002)


@pytest.mark.parametrize("spacing, sigma", [(5, 2.5), (20, 10.0)])
def test_other_lattices_scale(spacing, sigma):
    """Everything scales with the spacing: the weights on a bin are those of spacing 10 and sigma 5."""
    weights = soft_encode(torch.zeros(2), ab_bins(spacing), sigma=sigma)[1]
    assert weights.tolist() == pytest.approx([0.648786] + 4 * [0.087803], abs=1e-6)


def test_one_neighbour_is_one_hot_and_all_are_allowed():
    bins = ab_bins(20)
    indices, weights = soft_encode(bins, bins, neighbours=1)
    assert torch.equal(indices[:, 0], torch.arange(len(bins))) and (weights == 1).all()
    indices, weights = soft_encode(bins[:3], bins, neighbours=len(bins))
    assert weights.sum(1).tolist() == pytest.approx([1, 1, 1])


def test_densify():
    dense = densify(torch.tensor([[2, 0]]), torch.tensor([[0.75, 0.25]]), 4)
    assert dense.tolist() == [[0.25, 0, 0.75, 0]]


def test_leading_shape_is_kept_and_may_be_empty(bins):
    assert soft_encode(torch.zeros(2, 3, 4, 2), bins)[0].shape == (2, 3, 4, 5)
    assert soft_encode(torch.zeros(0, 4, 2), bins)[1].shape == (0, 4, 5)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "change, message",
    [
        ({"ab": torch.zeros(4, 3)}, "expected ab"),
        ({"bins": torch.zeros(313)}, "expected ab"),
        ({"neighbours": 0}, r"neighbours must be 1\.\.313"),
        ({"neighbours": 314}, r"neighbours must be 1\.\.313"),
        ({"sigma": 0.0}, "sigma must be positive"),
        ({"sigma": float("nan")}, "sigma must be positive"),
    ],
)
def test_wrong_arguments_are_named(bins, change, message):
    with pytest.raises(ValueError, match=message):
        soft_encode(**({"ab": torch.zeros(4, 2), "bins": bins} | change))
