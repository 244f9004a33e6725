"""How near the colours are: area under the curve of ab errors (paper, section 3.1, "raw accuracy (AuC)").

The share of pixels whose predicted ab lies within t of the truth, averaged over t in 0..150. Integrating over
t gives AuC = 1 - E_w[min(d, 150)] / 150. Rebalanced: each pixel weighs the inverse of how common its true
colour is (lambda = 0), so that every bin that occurs counts the same.

The rebalanced figure depends on how many photographs it is measured on, because more photographs hold more of
the rare colours (page 06 shows by how much).  So the number stands beside the figure, and collections are compared at
one number only.
"""

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor

from repro.bins import nearest_bin
from repro.evaluation.intervals import Interval, bootstrap, jackknife

LIMIT = 150.0  # ab units
THRESHOLDS = 151  # of the curve: 0, 1, ... 150


def distances(predicted_ab: Float[Tensor, "*n 2"], true_ab: Float[Tensor, "*n 2"]) -> Float32[Tensor, "*n"]:
    """Euclidean distance in the ab plane.

    Raises ValueError as `auc` does.
    """
    if predicted_ab.shape != true_ab.shape or true_ab.shape[-1] != 2:
        raise ValueError(
            f"expected two (..., 2) tensors alike, got {tuple(predicted_ab.shape)} and {tuple(true_ab.shape)}"
        )
    error = (predicted_ab.float() - true_ab.float()).norm(dim=-1)
    if not bool(error.isfinite().all()):
        raise ValueError("predicted or true ab holds a value that is not finite")
    return error


def auc(
    predicted_ab: Float[Tensor, "*n 2"], true_ab: Float[Tensor, "*n 2"], weights: Float[Tensor, "..."] | None = None
) -> float:
    """AuC of one prediction.

    predicted_ab, true_ab: ab units.  weights: of the pixels, or what expands to them; 1 if None.
    Returns 0..1; 1 is perfect.  Raises ValueError if shapes differ, nothing has weight, or a value
    is not finite.
    """
    error = distances(predicted_ab, true_ab).clamp(max=LIMIT).double()
    weights = torch.ones_like(error) if weights is None else weights.double().expand_as(error)
    if not weights.sum() > 0:
        raise ValueError("no pixel has any weight")
    return float(1 - (weights * error).sum() / weights.sum() / LIMIT)


class RawAccuracy:
    """Both AuC figures over any number of photographs, in one pass and constant memory.

    The rebalanced figure weighs by the evaluated photographs' own colours: 1 / (histogram of their nearest
    bins), pooled over all pixels. A prior from elsewhere would move gray's figure by some 20 points.
    """

    def __init__(self, bins: Float[Tensor, "q 2"]):
        self.bins = bins
        self.count = torch.zeros(len(bins), dtype=torch.float64)
        self.error = torch.zeros(len(bins), dtype=torch.float64)  # sum of min(d, 150) of the pixels of each bin
        self.within = torch.zeros(len(bins), THRESHOLDS + 1, dtype=torch.float64)  # by ceil(d); last: beyond 150

    def add(self, predicted_ab: Float[Tensor, "*n 2"], true_ab: Float[Tensor, "*n 2"]) -> "RawAccuracy":
        """Add pixels: predicted and true colours, ab units, of any device."""
        predicted_ab, true_ab = predicted_ab.cpu(), true_ab.cpu()
        distance = distances(predicted_ab, true_ab).flatten()
        bin_of = nearest_bin(true_ab.reshape(-1, 2), self.bins)
        self.count += torch.bincount(bin_of, minlength=len(self.bins))
        self.error += torch.bincount(bin_of, distance.clamp(max=LIMIT).double(), minlength=len(self.bins))
        # bin and distance as one number, so that one count makes the whole table; rounded up, as d = t is within t
        cell = bin_of * (THRESHOLDS + 1) + distance.clamp(max=THRESHOLDS).ceil().long()
        self.within += torch.bincount(cell, minlength=self.within.numel()).view_as(self.within)
        return self

    def reduce(self, summed):
        """Add up what all processes measured: `summed` gives the sum of every process's tensor."""
        self.count, self.error, self.within = (summed(part) for part in (self.count, self.error, self.within))

    def _weights(self, rebalanced):
        if not self.count.sum() > 0:
            raise ValueError("no pixel was added; call `add` before asking for a figure")
        weights = torch.where(self.count > 0, 1 / self.count, 0) if rebalanced else torch.ones_like(self.count)
        return weights / (weights * self.count).sum()  # those of all pixels sum to 1

    def auc(self, rebalanced: bool = False) -> float:
        """AuC in 0..1; rebalanced: every occupied bin counts the same."""
        return float(1 - (self._weights(rebalanced) * self.error).sum() / LIMIT)

    def curve(self, rebalanced: bool = False) -> Float64[Tensor, "151"]:
        """Share of pixels within t of the truth for t = 0..150."""
        return (self._weights(rebalanced)[:, None] * self.within).sum(0).cumsum(0)[:THRESHOLDS]


# ---- how sure the figures are ----


def by_colour(
    predicted_ab: Float[Tensor, "n h w 2"], true_ab: Float[Tensor, "n h w 2"], bins: Float[Tensor, "q 2"]
) -> list[Float64[np.ndarray, "n q"]]:
    """What photographs give to each colour: counts, and errors.

    predicted_ab, true_ab: ab units.  counts: pixels whose true colour is nearest to each bin.
    errors: the sum of min(d, 150) over them, ab units.
    """
    number, size = len(true_ab), len(bins)
    distance = distances(predicted_ab.cpu(), true_ab.cpu()).reshape(number, -1).clamp(max=LIMIT).double()
    bin_of = nearest_bin(true_ab.cpu().reshape(-1, 2), bins).view(number, -1)
    place = (bin_of + size * torch.arange(number)[:, None]).flatten()  # photograph and bin as one number
    sums = (torch.bincount(place, amount, number * size) for amount in (None, distance.flatten()))
    return [part.view(number, size).double().numpy() for part in sums]


def auc_interval(
    counts: Float[np.ndarray, "n q"],
    errors: Float[np.ndarray, "n q"],
    rebalanced: bool = False,
    other: Float[np.ndarray, "n q"] | None = None,
    seed: int = 0,
) -> Interval:
    """AuC of a method on N photographs with its 95 % interval, or its lead over another method.

    counts, errors: of `by_colour`.  other: the other method's errors on the same photographs; then the
    figure is this method's AuC minus the other's, in -1..1, always of the same photographs.
    Rebalanced, it is the jackknife's, and the weights of the colours are computed anew without each photograph.  That
    holds the figure's mean over other sets of N photographs about as often as it says (python -m benchmarks.coverage);
    a bootstrap, whose resamples lack a third of the photographs and so of the rare colours, does clearly less often.
    """
    per_pixel = np.asarray(errors if other is None else other - errors) / LIMIT
    turned = (lambda share: 1 - share) if other is None else (lambda share: share)
    if not rebalanced:
        pixels = counts.sum(1)
        return bootstrap(turned(per_pixel.sum(1) / pixels), seed=seed, weights=pixels)

    def figure(pixels, errors):
        seen = pixels > 0
        return turned(np.divide(errors, pixels, where=seen, out=np.zeros_like(errors)).sum(-1) / seen.sum(-1))

    pixels, errors = counts.sum(0), per_pixel.sum(0)
    if len(counts) < 2:
        return bootstrap([figure(pixels, errors)])
    # all photographs, and row by row all but one
    return jackknife(figure(pixels, errors), figure(pixels - counts, errors - per_pixel))
