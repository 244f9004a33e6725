"""The 313 bins: the released set from the gamut alone; and the nearest bins, exactly."""

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from repro import bins as bins_module
from repro.bins import ab_bins, fingerprint, nearest_bin, nearest_bins, squares_touching
from repro.color import rgb8_to_lab, srgb_ab_hull

coordinate = st.floats(-200, 200, width=32)
points = st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=20)


def brute_force(ab, bins, neighbours):
    """All distances in float32, sorted; of equals the first bin."""
    squared = (ab[:, None, 0] - bins[:, 0]) ** 2 + (ab[:, None, 1] - bins[:, 1]) ** 2
    squared, indices = squared.sort(dim=1, stable=True)
    return squared[:, :neighbours], indices[:, :neighbours]


def test_the_released_set_in_the_released_order(bins):
    assert bins.shape == (313, 2) and bins.dtype == torch.float32
    assert fingerprint(bins) == "5275882a7263e526"
    assert bins[0].tolist() == [-90, 50] and bins[-1].tolist() == [100, 0]
    rows = bins.tolist()
    assert rows == sorted(rows), "a ascending, then b"
    assert len(set(map(tuple, rows))) == 313


@pytest.mark.parametrize("steps", [5, 6, 9, 17, 65])
def test_the_set_does_not_depend_on_how_finely_the_cube_is_sampled(bins, steps):
    ticks = np.arange(-150, 151, 10.0)
    lattice = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), -1).reshape(-1, 2)
    assert np.array_equal(lattice[squares_touching(lattice, 10, srgb_ab_hull(steps))], bins.numpy())


def test_only_261_bins_are_nearest_to_some_color_of_the_screen(bins):
    ramp = np.linspace(0, 255, 64).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(ramp, ramp, ramp), -1).reshape(-1, 3)
    found = nearest_bin(torch.from_numpy(rgb8_to_lab(cube)[:, 1:].copy()), bins).unique()
    assert len(found) == 261


def test_every_color_is_within_half_a_diagonal_of_its_bin(bins):
    ramp = np.arange(0, 256, 5, dtype=np.uint8)
    cube = np.stack(np.meshgrid(ramp, ramp, ramp), -1).reshape(-1, 3)
    squared, _ = nearest_bins(torch.from_numpy(rgb8_to_lab(cube)[:, 1:].copy()), bins, 1)
    assert squared.max() <= 50.01  # sqrt(5^2 + 5^2): no colour lacks its bin


def test_squares_touching_by_hand():
    triangle = np.array([[0.0, 0], [10, 0], [0, 10]])
    centres = np.array([[5.0, 5], [6, 6], [6.1, 6.1], [-1, 5], [-1.1, 5], [11, -1], [11, 1.5]])
    # half-width 1: the corner (5, 5) of the square at (6, 6) lies on x + y = 10; at 6.1 it is past it.
    # (-1, 5) shares the edge x = 0. (11, -1) shares the corner (10, 0). (11, 1.5): nearest corner (10, .5) is
    # past x + y = 10.
    assert squares_touching(centres, 1, triangle).tolist() == [True, True, False, True, False, True, False]


@pytest.mark.parametrize("spacing", [0, -10, float("nan")])
def test_spacing_must_be_positive(spacing):
    with pytest.raises(ValueError, match="spacing must be a positive"):
        ab_bins(spacing)


def test_callers_cannot_spoil_the_bins(bins):
    ab_bins().zero_()
    assert fingerprint(ab_bins()) == fingerprint(bins)


def test_fingerprint_sees_values_and_order(bins):
    moved = bins.clone()
    moved[7, 1] += 1e-3
    assert len({fingerprint(bins), fingerprint(moved), fingerprint(bins.flip(0)), fingerprint(ab_bins(20))}) == 4
    assert fingerprint(bins.double()) == fingerprint(bins.numpy()) == fingerprint(bins)


@given(points, st.sampled_from([1, 5, 10]))
@example([(0.0, 0.0), (5.0, 5.0), (5.0, 0.0), (-0.0, -0.0)], 5)  # a bin, a tie of four, a tie of two, negative zero
@example([(127.99999, -128.0), (128.0, 0.0), (-128.00002, 5.0), (199.0, -199.0)], 5)  # the table's rim and beyond
def test_nearest_equals_brute_force(rows, neighbours):
    bins, ab = ab_bins(), torch.tensor(rows, dtype=torch.float32)
    squared, indices = nearest_bins(ab, bins, neighbours)
    expected_squared, expected_indices = brute_force(ab, bins, neighbours)
    assert torch.equal(squared, expected_squared)
    assert torch.equal(indices, expected_indices)


@given(points)
def test_points_on_and_beside_the_edges_of_the_search_cells(rows):
    ab = torch.tensor(rows).round()
    ab = torch.cat((ab, ab.nextafter(ab + 1), ab.nextafter(ab - 1), ab + 0.5))
    for found, expected in zip(nearest_bins(ab, ab_bins(), 5), brute_force(ab, ab_bins(), 5), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("spacing, neighbours", [(5, 5), (10, 5), (10, 10), (20, 5)])
def test_nearest_agrees_with_scikit_learn(spacing, neighbours):
    bins = ab_bins(spacing)
    ab = torch.from_numpy(np.random.default_rng(0).uniform(-140, 140, (4000, 2)).astype(np.float32))
    squared, indices = nearest_bins(ab, bins, neighbours)
    distance, expected = (
        NearestNeighbors(n_neighbors=neighbours).fit(bins.double().numpy()).kneighbors(ab.double().numpy())
    )
    assert squared.sqrt().numpy() == pytest.approx(distance, rel=1e-5, abs=1e-4)
    assert (indices.numpy() == expected).mean() > 0.9999  # rounding may swap two bins at almost the same distance


def test_all_bins_can_be_asked_for():
    bins = ab_bins(20)
    ab = torch.tensor([[3.0, 4.0], [-60.0, 300.0]])
    squared, indices = nearest_bins(ab, bins, len(bins))
    assert torch.equal(indices.sort(1).values, torch.arange(len(bins)).expand(2, -1))
    assert (squared.diff(dim=1) >= 0).all()


def test_nearest_bin_keeps_the_shape_and_maps_bins_to_themselves(bins):
    assert torch.equal(nearest_bin(bins, bins), torch.arange(313))
    assert nearest_bin(bins[:312].reshape(2, 12, 13, 2), bins).shape == (2, 12, 13)
    assert nearest_bin(torch.empty(0, 2), bins).shape == (0,)


def test_other_bins_get_a_table_of_their_own(bins):
    ab = torch.tensor([[7.0, 7.0]])
    assert bins[nearest_bin(ab, bins)].tolist() == [[10, 10]]
    assert ab_bins(5)[nearest_bins(ab, ab_bins(5), 5)[1][:, 0]].tolist() == [[5, 5]]
    shuffled = ab_bins(20).flip(0)
    assert shuffled[nearest_bin(ab, shuffled)].tolist() == [[0, 0]]


def test_the_table_leaves_about_a_dozen_candidates(bins):
    candidates, _, _ = bins_module._search_table(bins.numpy().tobytes(), 5, "cpu")
    assert candidates.shape[1] <= 16
