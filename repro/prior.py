"""How common each colour is, and what a rare one weighs: class rebalancing (paper, section 2.2).

w = ((1 - lambda) p~ + lambda / Q)^-1, scaled so that sum(p~ w) = 1, with lambda = 1/2 and p~ the empirical
distribution of colours smoothed with a Gaussian of sigma = 5 in the ab plane.

The authors' released prior is counted in another way: it is the mean of soft-encoded colours, each spread over
its 10 nearest bins with sigma = 5, and it is not smoothed again, since the soft encoding has smoothed it.
`empirical_prior(..., soft=True, neighbours=10)` with `smooth(..., sigma=0)` gives that.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from repro.bins import nearest_bin
from repro.encoding import soft_encode


def empirical_prior(
    ab_batches: Iterable[Float[Tensor, "... 2"]], bins: Float[Tensor, "q 2"], soft: bool = False, neighbours: int = 5
) -> Float64[Tensor, " q"]:
    """Share of pixels in each bin; they sum to 1.  Arguments as for `count_colors`.

    Raises ValueError if there was no pixel.
    """
    return shares_of(count_colors(ab_batches, bins, soft, neighbours))


def count_colors(
    ab_batches: Iterable[Float[Tensor, "... 2"]], bins: Float[Tensor, "q 2"], soft: bool = False, neighbours: int = 5
) -> Float64[Tensor, " q"]:
    """How many pixels each bin has.

    ab_batches: ab units, of any length: one pass, constant memory.
    soft: count soft-encoded colours, as the released prior does, instead of nearest bins, as the paper says.
    neighbours: of the soft encoding; the release's prior has 10.
    The counts may be added to those of other photographs.
    """
    counts = torch.zeros(len(bins), dtype=torch.float64)  # float32 loses whole numbers beyond 2^24, 17 million pixels
    for ab in ab_batches:
        if soft:
            indices, weights = soft_encode(ab, bins, neighbours)
            counts += torch.bincount(indices.flatten(), weights.flatten().double(), len(bins)).cpu()
        else:
            counts += torch.bincount(nearest_bin(ab, bins).flatten(), minlength=len(bins)).cpu()
    return counts


def shares_of(counts: Float[Tensor, " q"]) -> Float[Tensor, " q"]:
    """Counts as shares that sum to 1.  Raises ValueError if there was nothing to count."""
    if not counts.sum() > 0:
        raise ValueError("no pixel to estimate a prior from: every photograph was empty, gray or unreadable")
    return counts / counts.sum()


def smooth(prior: Float[Tensor, " q"], bins: Float[Tensor, "q 2"], sigma: float = 5.0) -> Float64[Tensor, " q"]:
    """Gaussian smoothing in the ab plane, not along the bin index: every bin hands its mass to its neighbourhood.

    prior, and what is returned: sums to 1.  sigma: ab units; 0 leaves the prior as it is, which is what a prior of
    soft-encoded colours needs.  Raises ValueError for a negative sigma, or a prior that does not go with the bins.
    """
    _check_prior(prior)
    if len(prior) != len(bins):
        raise ValueError(f"expected a share for every bin, got a prior of {len(prior)} entries for {len(bins)} bins")
    if not sigma >= 0:
        raise ValueError(f"sigma must be at least 0 (ab units; 0 does not smooth), got {sigma}")
    if sigma == 0:
        return prior.double()
    squared = torch.cdist(bins.double(), bins.double()) ** 2
    # softmax is the Gaussian divided by its sum over the bins that exist, so that no mass is lost at the rim
    share = torch.softmax(squared / (-2 * sigma**2), 0)  # column j: where the mass of bin j goes
    return share @ prior.double()


def rebalancing_weights(prior: Float[Tensor, " q"], uniform_mix: float = 0.5) -> Float64[Tensor, " q"]:
    """Weight of each bin: 1 / ((1 - lambda) p + lambda / Q), scaled so that sum(prior * weights) = 1.

    prior: sums to 1, smoothed.  uniform_mix: the paper's lambda, 0 (only the prior) to 1 (no rebalancing).
    With uniform_mix = 0 a bin that never occurs weighs 0 rather than infinity.
    """
    _check_prior(prior)
    if not 0 <= uniform_mix <= 1:
        raise ValueError(f"uniform_mix (the paper's lambda) must be 0..1, got {uniform_mix}")
    prior = prior.double()
    mixed = (1 - uniform_mix) * prior + uniform_mix / len(prior)
    weights = torch.where(mixed > 0, 1 / mixed, 0)
    return weights / (prior * weights).sum()


def _check_prior(prior):
    total = float(prior.sum())
    if prior.ndim != 1 or bool((prior < 0).any()) or not abs(total - 1) < 1e-3:
        raise ValueError(
            f"prior must be (Q,) of shares that sum to 1, got shape {tuple(prior.shape)} with sum {total:g}"
        )
