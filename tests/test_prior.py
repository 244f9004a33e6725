"""The prior and the rebalancing weights, on priors small enough to check by hand."""

import hashlib
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from repro import paths
from repro.bins import ab_bins
from repro.encoding import densify, soft_encode
from repro.prior import count_colors, empirical_prior, rebalancing_weights, shares_of, smooth

share = st.just(0.0) | st.floats(1e-9, 1)
priors = st.lists(share, min_size=2, max_size=40).filter(lambda shares: sum(shares) > 1e-3)


def normalised(shares):
    shares = torch.tensor(shares, dtype=torch.float64)
    return shares / shares.sum()


def peak_at(bins, a, b):
    return (bins == torch.tensor([a, b])).all(1).double()


# -- counting --------------------------------------------------------------------------------------------------------


def test_nearest_bins_are_counted(bins):
    """Three pixels near (0, 0), one near (10, 0): shares 3/4 and 1/4."""
    ab = torch.tensor([[[1.0, 1], [-2, 3]], [[0, 0], [8, 1]]])
    prior = empirical_prior([ab], bins)
    assert prior.dtype == torch.float64 and prior.shape == (313,)
    assert torch.equal(prior, 0.75 * peak_at(bins, 0, 0) + 0.25 * peak_at(bins, 10, 0))


def test_soft_counting_spreads_every_pixel_over_five_bins(bins):
    """A gray pixel: 1 / 1.541341 = .648786 on (0, 0) and .087803 on each of its four neighbours."""
    prior = empirical_prior([torch.zeros(7, 2)], bins, soft=True)
    assert float(prior @ peak_at(bins, 0, 0)) == pytest.approx(0.648786, abs=1e-6)
    assert float(prior @ peak_at(bins, 0, -10)) == pytest.approx(0.087803, abs=1e-6)
    assert (prior > 0).sum() == 5


@pytest.mark.parametrize("soft", [False, True])
def test_batches_of_any_length_give_what_one_gives(bins, soft):
    ab = torch.rand(500, 2, generator=torch.Generator().manual_seed(0)) * 200 - 100
    at_once = empirical_prior([ab], bins, soft)
    parts = empirical_prior(iter([ab[:3], ab[3:3], ab[3:120].view(9, 13, 2), ab[120:]]), bins, soft)
    assert torch.allclose(at_once, parts, atol=1e-9)
    assert float(at_once.sum()) == pytest.approx(1, abs=1e-12)


def test_counts_of_several_processes_add_up(bins):
    ab = torch.randn(400, 2, generator=torch.Generator().manual_seed(1)) * 30
    for soft in (False, True):
        parts = [count_colors([part], bins, soft) for part in ab.split(150)]
        assert [float(part.sum()) for part in parts] == pytest.approx([150, 150, 100])
        assert torch.allclose(shares_of(sum(parts)), empirical_prior([ab], bins, soft), atol=1e-12)


@pytest.mark.parametrize("batches", [[], [torch.empty(0, 2)]])
def test_no_pixels_is_an_error(bins, batches):
    with pytest.raises(ValueError, match="no pixel to estimate"):
        empirical_prior(batches, bins)


# -- smoothing -------------------------------------------------------------------------------------------------------


def test_smoothing_by_hand(bins):
    """A peak at (0, 0), sigma 5.

    Shares exp(-d^2/50), d^2 = 100 (i^2 + j^2): a product of two sums over the lattice,

    (1 + 2 exp(-2) + 2 exp(-8) + ...)^2 = (1 + .270671 + .000671)^2 = 1.616310; so 1/1.61631 = .618693 stays and
    .135335/1.61631 = .083731 goes to each neighbour in the plane.
    """
    smoothed = smooth(peak_at(bins, 0, 0), bins)
    assert float(smoothed @ peak_at(bins, 0, 0)) == pytest.approx(0.618693, abs=2e-5)
    for a, b in ((10, 0), (-10, 0), (0, 10), (0, -10)):
        assert float(smoothed @ peak_at(bins, a, b)) == pytest.approx(0.083731, abs=2e-5)


def test_smoothing_is_in_the_plane_not_along_the_index(bins):
    """The known mistake: the next index is the next b, and at a column's end a bin far away."""
    column_end = next(i for i in range(313) if bins[i, 0] != bins[i + 1, 0] and bins[i, 0] == 0)
    apart = float((bins[column_end] - bins[column_end + 1]).norm())
    assert apart > 100
    peak = torch.zeros(313, dtype=torch.float64)
    peak[column_end] = 1
    smoothed = smooth(peak, bins)
    assert smoothed[column_end + 1] < 1e-30
    beside = (bins == bins[column_end] - torch.tensor([10.0, 0])).all(
        1
    )  # next in a: more than 15 places away in the list
    assert smoothed[beside] > 0.05


@given(
    st.dictionaries(st.integers(0, 312), st.floats(1e-9, 1), min_size=1, max_size=30),
    st.sampled_from([1.0, 5.0, 30.0]),
)
def test_smoothing_conserves_mass(shares, sigma):
    prior = torch.zeros(313, dtype=torch.float64)
    prior[list(shares)] = normalised(list(shares.values()))
    smoothed = smooth(prior, ab_bins(), sigma)
    assert float(smoothed.sum()) == pytest.approx(1, abs=1e-9)
    assert (smoothed >= 0).all()


def test_smoothing_is_linear_and_vanishes_with_sigma(bins):
    one, other = peak_at(bins, 0, 0), peak_at(bins, 50, 50)
    assert torch.allclose(smooth((one + other) / 2, bins), (smooth(one, bins) + smooth(other, bins)) / 2)
    assert torch.allclose(smooth(one, bins, 0.1), one)


@pytest.mark.usefixtures("unchecked")
def test_smoothing_refuses_what_is_no_prior(bins):
    peak = peak_at(bins, 0, 0)
    for wrong, message in (
        (peak * 2, "sum to 1"),
        (peak - 1 / 313, "sum to 1"),
        (peak[None], "sum to 1"),
        (peak * math.nan, "sum to 1"),
        (torch.ones(4) / 4, "4 entries for 313 bins"),
    ):
        with pytest.raises(ValueError, match=message):
            smooth(wrong, bins)
    for sigma in (-1, math.nan):
        with pytest.raises(ValueError, match="sigma must be at least 0"):
            smooth(peak, bins, sigma)
    assert torch.equal(smooth(peak, bins, 0), peak)


# -- weights ---------------------------------------------------------------------------------------------------------


def test_weights_by_hand():
    """p = (3/4, 1/4, 0, 0) and lambda = 1/2, so the mix is (1/2, 1/4, 1/8, 1/8).

    Mixed (3/8 + 1/8, 1/8 + 1/8, 1/8, 1/8), inverse (2, 4, 8, 8);

    sum p w = 3/4 * 2 + 1/4 * 4 = 5/2; so (.8, 1.6, 3.2, 3.2).
    """
    assert rebalancing_weights(torch.tensor([0.75, 0.25, 0, 0])).tolist() == pytest.approx([0.8, 1.6, 3.2, 3.2])


def test_lambda_0_and_1_by_hand():
    """lambda = 0: inverse (4/3, 4), sum p w = 1 + 1 = 2, so (2/3, 2), and 0 where nothing occurs.

    lambda = 1: all are alike.
    """
    prior = torch.tensor([0.75, 0.25, 0])
    assert rebalancing_weights(prior, 0).tolist() == pytest.approx([2 / 3, 2, 0])
    assert rebalancing_weights(prior, 1).tolist() == pytest.approx([1, 1, 1])


@given(priors, st.just(0.0) | st.floats(1e-9, 1))
def test_the_expected_weight_is_one(shares, mix):
    prior = normalised(shares)
    weights = rebalancing_weights(prior, mix)
    assert weights.dtype == torch.float64 and weights.isfinite().all()
    assert float((prior * weights).sum()) == pytest.approx(1)


@given(priors, st.floats(0.01, 1))
def test_rarer_never_weighs_less(shares, mix):
    prior = normalised(shares)
    assert (rebalancing_weights(prior, mix)[prior.argsort()].diff() <= 1e-9).all()


@given(priors)
def test_more_lambda_is_less_contrast(shares):
    contrast = [
        float(w.max() / w.min()) for w in (rebalancing_weights(normalised(shares), mix) for mix in (0.1, 0.5, 0.9))
    ]
    assert contrast[0] >= contrast[1] - 1e-9 and contrast[1] >= contrast[2] - 1e-9


def test_weights_refuse_what_is_no_prior():
    with pytest.raises(ValueError, match="sum to 1"):
        rebalancing_weights(torch.tensor([3.0, 4.0]))
    for mix in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="lambda"):
            rebalancing_weights(torch.tensor([0.5, 0.5]), mix)


# -- the released prior ----------------------------------------------------------------------------------------------


def test_a_prior_as_the_release_counts_it(bins):
    """The mean of the dense targets of 10 neighbours, and nothing smoothed again."""
    ab = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0)) * 20
    ours = smooth(empirical_prior([ab], bins, soft=True, neighbours=10), bins, sigma=0)
    theirs = densify(*soft_encode(ab, bins, 10), 313).double().mean(0)
    assert torch.allclose(ours, theirs, atol=1e-7)
    gray = empirical_prior([torch.zeros(3, 2)], bins, soft=True, neighbours=10)
    assert (gray > 0).sum() == 10 and float(gray.max()) < 0.648786, "ten bins, so the nearest has less than of five"


RELEASED = paths.DATA / "prior_probs.npy"  # the authors' file, which this repository does not hold
DIGEST = "19d00659c7d6f6ee47456fd2c19c86a073f7124875e3d5ab9d601864e062b56c"  # sha256


@pytest.mark.skipif(not RELEASED.is_file(), reason="copy the authors' prior_probs.npy to data/")
def test_the_weights_of_the_released_prior(bins):
    """.0965 to 6.175 with lambda = 1/2, and .1229 to 5.850 where the prior is smoothed once more; its bins are ours."""
    assert hashlib.sha256(RELEASED.read_bytes()).hexdigest() == DIGEST, "another file"
    prior = torch.from_numpy(np.load(RELEASED))
    assert bins[prior.argsort(descending=True)[:3]].tolist() == [[0, 0], [0, 10], [0, -10]]
    assert float(torch.special.entr(prior).sum()) == pytest.approx(3.437, abs=1e-3)
    for sigma, lightest, heaviest in ((0, 0.0965, 6.1749), (5, 0.1229, 5.8497)):
        weights = rebalancing_weights(smooth(prior, bins, sigma))
        assert float(weights.min()) == pytest.approx(lightest, abs=1e-4)
        assert float(weights.max()) == pytest.approx(heaviest, abs=1e-4)


def test_the_released_weights_follow_from_four_figures_of_its_prior(bins):
    """Stands in for the test above where the authors' file is not: a prior of what is known of theirs.

    The largest shares are .2012 at (0, 0), .1083 at (0, 10) and .0642 at (0, -10), and the entropy is 3.437 nats.  The
    other 310 shares are made up: they fall exponentially with the distance from gray, as fast as that entropy asks
    for.  The released weights, .0965 to 6.175, come out to 3 %, and those of a prior smoothed once more, .1229 to
    5.850, to 4 %.  It proves the formula, not that every share of the release is read in its place.
    """
    known = {(0, 0): 0.2012, (0, 10): 0.1083, (0, -10): 0.0642}
    at = [bins.tolist().index(list(place)) for place in known]

    def prior_that_falls(scale):
        prior = torch.exp(bins.double().norm(dim=1) / -scale)
        prior[at] = 0
        prior *= (1 - sum(known.values())) / prior.sum()
        prior[at] = torch.tensor(list(known.values()), dtype=torch.float64)
        return prior

    prior = prior_that_falls(
        optimize.brentq(lambda scale: float(torch.special.entr(prior_that_falls(scale)).sum()) - 3.437, 2, 200)
    )
    for sigma, lightest, heaviest, within in ((0, 0.0965, 6.175, 0.03), (5, 0.1229, 5.850, 0.04)):
        weights = rebalancing_weights(smooth(prior, bins, sigma))
        assert float(weights.min()) == pytest.approx(lightest, rel=within)
        assert float(weights.max()) == pytest.approx(heaviest, rel=within)
