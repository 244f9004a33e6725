"""From distributions to colours: mode, mean and everything between."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from repro.bins import ab_bins
from repro.decoding import annealed_mean, mean, mode
from repro.encoding import densify, soft_encode

TWO = torch.tensor([[0.0, 0.0], [40.0, -20.0]])


def logits_of(*probabilities):
    return torch.tensor(probabilities).log().view(1, -1, 1, 1)


def test_by_hand():
    """p = (1/4, 3/4) on (0, 0) and (40, -20).

    T = 1: (30, -15).  T = .5 squares: 1/16 to 9/16, so (.1, .9) and (36, -18).  T = .38: 3^(1/.38) =
    3^2.631579 = 18.0127, 18.0127 / 19.0127 = .947404, so (37.896, -18.948).
    """
    logits = logits_of(0.25, 0.75)
    assert mean(logits, TWO).flatten().tolist() == pytest.approx([30, -15], abs=1e-4)
    assert annealed_mean(logits, TWO, 0.5).flatten().tolist() == pytest.approx([36, -18], abs=1e-4)
    assert annealed_mean(logits, TWO).flatten().tolist() == pytest.approx([37.896, -18.948], abs=1e-3)
    assert mode(logits, TWO).flatten().tolist() == [40, -20]


def test_temperature_acts_on_log_probabilities_not_on_probabilities():
    """The known mistake is softmax(p / T).

    p = (1/4, 3/4) at T = .38 would give 1 / (1 + exp(-.5/.38)) = .788, so a = 31.5.
    """
    assert float(annealed_mean(logits_of(0.25, 0.75), TWO)[0, 0]) == pytest.approx(37.896, abs=1e-3)


def test_any_constant_may_be_added_to_logits(bins):
    logits = torch.randn(2, 313, 3, 4)
    assert torch.allclose(annealed_mean(logits, bins), annealed_mean(logits + 100, bins), atol=2e-3)


def test_shapes_and_types(bins):
    logits = torch.randn(2, 313, 3, 4).bfloat16()
    for decode in (annealed_mean, mean, mode):
        ab = decode(logits, bins)
        assert ab.shape == (2, 2, 3, 4) and ab.dtype == torch.float32


def test_each_pixel_is_decoded_by_itself(bins):
    logits = torch.randn(2, 313, 3, 4)
    for decode in (annealed_mean, mean, mode):
        assert torch.allclose(decode(logits, bins)[1:, :, 2:, 3:], decode(logits[1:, :, 2:, 3:], bins), atol=1e-5)


def test_cold_is_the_mode_and_hot_the_middle(bins):
    logits = torch.randn(1, 313, 4, 4)
    logits.scatter_add_(1, logits.argmax(1, keepdim=True), torch.ones(1, 1, 4, 4))  # a clear winner
    assert torch.allclose(annealed_mean(logits, bins, 1e-2), mode(logits, bins), atol=1e-2)
    assert torch.allclose(annealed_mean(logits, bins, 1e6)[0, :, 0, 0], bins.mean(0), atol=1e-2)


@given(arrays("float32", 313, elements=st.floats(-30, 30, width=32)), st.floats(0.01, 10))
def test_the_colour_stays_within_the_bins(values, temperature):
    bins = ab_bins()
    ab = annealed_mean(torch.from_numpy(values).view(1, -1, 1, 1), bins, temperature).flatten()
    assert (ab >= bins.min(0).values - 1e-3).all() and (ab <= bins.max(0).values + 1e-3).all()


@given(st.floats(0.05, 0.95))
def test_colder_is_more_vivid_between_two_colours(share):
    reds = [float(annealed_mean(logits_of(1 - share, share), TWO, t)[0, 0, 0, 0]) for t in (0.1, 0.38, 1.0, 3.0)]
    assert reds == sorted(reds, reverse=share > 0.5) or max(reds) - min(reds) < 1e-3


def test_decoding_an_encoded_color_gives_it_back(bins):
    ab = torch.tensor([[3.0, -4.0], [21.0, 17.0]])
    dense = densify(*soft_encode(ab, bins), 313).clamp_min(1e-30)
    decoded = mean(dense.log()[:, :, None, None], bins)[:, :, 0, 0]
    assert (decoded - ab).norm(dim=1).max() < 0.64  # the encoding's own tolerance


@pytest.mark.parametrize("temperature", [0, -1, math.nan])
def test_temperature_must_be_positive(bins, temperature):
    with pytest.raises(ValueError, match="temperature must be positive"):
        annealed_mean(torch.zeros(1, 313, 1, 1), bins, temperature)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("decode", [annealed_mean, mean, mode])
@pytest.mark.parametrize("shape", [(1, 2, 4, 4), (313, 4, 4), (4, 4, 313)])
def test_other_shapes_are_refused(bins, decode, shape):
    with pytest.raises(ValueError, match=r"expected logits \(N, Q, H, W\)"):
        decode(torch.zeros(shape), bins)


def test_a_tiny_temperature_overflows_nothing():
    logits = torch.tensor([1e30, 0.0, -1e30]).view(1, 3, 1, 1)
    bins = torch.tensor([[10.0, 20.0], [0.0, 0.0], [5.0, 5.0]])
    assert annealed_mean(logits, bins, 1e-6).flatten().tolist() == [10.0, 20.0]
