"""Soft encoding: a colour becomes a distribution over its nearest ab bins (paper, section 2.1).

Z = H^-1(Y): the five nearest bins, weighted by a Gaussian of their distance, sigma = 5, summing to 1.
The result is kept as indices and weights; the dense (N, 313, H, W) tensor that they stand for is never built.
"""

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from repro.bins import nearest_bins, nearest_bins_of_srgb


def soft_encode(
    ab: Float[Tensor, "*n 2"], bins: Float[Tensor, "q 2"], neighbours: int = 5, sigma: float = 5.0
) -> tuple[Int64[Tensor, "*n {neighbours}"], Float32[Tensor, "*n {neighbours}"]]:
    """Soft-encode colours, exactly: the indices of each one's bins, nearest first, and weights that sum to 1.

    ab: ab units, on any device.  neighbours: K; the paper says 5, the release uses 10.
    sigma: of the Gaussian exp(-d^2 / (2 sigma^2)), ab units.
    Raises ValueError for a wrong shape, K outside 1..Q, or a sigma that is not positive.
    """
    if ab.shape[-1] != 2 or bins.ndim != 2 or bins.shape[1] != 2:
        raise ValueError(f"expected ab (..., 2) and bins (Q, 2), got {tuple(ab.shape)} and {tuple(bins.shape)}")
    if not 1 <= neighbours <= len(bins):
        raise ValueError(f"neighbours must be 1..{len(bins)}, the number of bins, got {neighbours}")
    if not sigma > 0:
        raise ValueError(f"sigma must be positive (ab units), got {sigma}")
    return _weighted(ab, *nearest_bins(ab.reshape(-1, 2), bins, neighbours), sigma)


def soft_encode_srgb(
    ab: Float[Tensor, "*n 2"], table: tuple[Tensor, ...], neighbours: int, sigma: float
) -> tuple[Int64[Tensor, "*n {neighbours}"], Float32[Tensor, "*n {neighbours}"]]:
    """`soft_encode` of colours that sRGB has, by a table of `repro.bins.search_table`.

    It does not check their values, so a GPU's host never waits for the answer.
    """
    return _weighted(ab, *nearest_bins_of_srgb(ab.reshape(-1, 2), table, neighbours), sigma)


def _weighted(ab, squared, indices, sigma):
    """Indices and weights (..., K) from the bins' squared distances and indices (P, K)."""
    # relative to the nearest bin, so that a colour far outside the gamut does not underflow to 0 / 0
    weights = torch.exp((squared[:, :1] - squared) / (2 * sigma**2))
    weights /= weights.sum(1, keepdim=True)
    shape = *ab.shape[:-1], indices.shape[1]
    return indices.reshape(shape), weights.reshape(shape)


def densify(
    indices: Int64[Tensor, "*n k"], weights: Float[Tensor, "*n k"], count: int
) -> Float32[Tensor, "*n {count}"]:
    """The distribution over all `count` bins that indices and weights stand for, for looking at."""
    dense = torch.zeros(*indices.shape[:-1], count, device=indices.device)
    return dense.scatter_add_(-1, indices, weights.float())  # added, should an index come twice
