"""Exercise 02: a colour as a distribution over its nearest bins."""

import numpy as np
import torch

from repro.bins import ab_bins
from repro.checks.exercises.exercise import Exercise, apart, single

FAR = "300 ab units from every bin the weights are not numbers that sum to 1: the first question of 'Then' is about it."


def soft_encode(ab, bins, neighbours, sigma):
    """ab (N, 2), bins (Q, 2), float32 -> indices (N, K), nearest first, and weights (N, K).

    The weights sum to 1, also far away.
    """
    distance, indices = _nearest(ab, bins, neighbours)
    return indices, torch.softmax(-(distance**2) / (2 * sigma**2), 1)


def _nearest(ab, bins, neighbours, largest=False):
    return torch.cdist(ab.double(), bins.double()).topk(neighbours, dim=1, largest=largest)


# ---- cases ----


def _colours(rng, count, bins, neighbours, reach=40.0):
    """Colours (N, 2) none of which is equally near to two bins that matter."""
    found = []
    while len(found) < count:
        colour = rng.uniform(-reach, reach, 2)
        distance = np.sort(np.linalg.norm(np.asarray(bins) - colour, axis=1))[: neighbours + 1]
        if (np.diff(distance) > 0.05).all():
            found.append(colour)
    return single(found)


def draw(rng):
    """One neighbour and all of them; a bin's colour; one in a gap 50 ab units wide; few bins and the paper's."""
    few, some, paper = single(apart(rng, 4, 6)), single(apart(rng, 7, 6)), ab_bins()
    line = single([[0, 0], [0, 3], [4, 0], [90, 0]])
    angle, away = rng.uniform(-0.2, 0.2), rng.choice([-1, 1]) * rng.uniform(60, 62)
    gap = single([[0, 0], [0, 12], [3, -8]] + np.array([np.cos(angle), np.sin(angle)]) * away)
    return [
        ("the colour by hand", (single([[0, 1]]), single([[0, 0], [0, 10], [0, -10]]), 2, 5.0)),
        ("one neighbour", (_colours(rng, 1, few, 1), few, 1, 5.0)),
        ("one neighbour of two colours", (_colours(rng, 2, few, 1), few, 1, 4.0)),
        ("a colour that is a bin", (few[1:2].clone(), few, 3, 10.0)),
        ("two colours, all bins", (_colours(rng, 2, few, 4), few, 4, 20.0)),
        ("bins at distances 0, 3 and 4", (single([[0, 0]]), line, 3, 4.0)),
        ("a colour some 60 ab units from every bin", (single([[0, 0]]), gap, 2, 5.0)),
        ("three colours", (_colours(rng, 3, some, 3), some, 3, 8.0)),
        ("as many colours as bins and neighbours", (_colours(rng, 7, some, 7), some, 7, 30.0)),
        ("twelve colours among the paper's bins", (_colours(rng, 12, paper, 5), paper, 5, 5.0)),
        ("ten neighbours and a wider Gaussian", (_colours(rng, 12, paper, 10, 80), paper, 10, 8.0)),
        ("a colour far from every bin", (single([[300, 290]]), few, 2, 5.0), FAR),
    ]


# ---- mistakes ----


def _weighted(weight, largest=False):
    """The encoding with other weights: weight(distances (N, K), sigma)."""

    def encode(ab, bins, neighbours, sigma):
        distance, indices = _nearest(ab, bins, neighbours, largest)
        return indices, weight(distance, sigma)

    return encode


def _by_exponent(exponent):
    return _weighted(lambda d, sigma: torch.softmax(-exponent(d, sigma), 1))


def _gauss(d, sigma):
    return torch.exp(-(d**2) / (2 * sigma**2))


def _over_all_bins(ab, bins, neighbours, sigma):
    indices = soft_encode(ab, bins, neighbours, sigma)[0]
    everywhere = torch.softmax(-(torch.cdist(ab.double(), bins.double()) ** 2) / (2 * sigma**2), 1)
    return indices, everywhere.gather(1, indices)


def _over_colours(d, sigma):
    return torch.softmax(-(d**2) / (2 * sigma**2), 0)


def _dense(ab, bins, neighbours, sigma):
    indices, weights = soft_encode(ab, bins, neighbours, sigma)
    return torch.zeros(len(ab), len(bins), dtype=weights.dtype).scatter_(1, indices, weights)


def _ranks(ab, bins, neighbours, sigma):
    ranks = torch.cdist(ab.double(), bins.double()).argsort(1).argsort(1)[:, :neighbours]
    return ranks, soft_encode(ab, bins, neighbours, sigma)[1]


def _five(ab, bins, neighbours, sigma):
    return soft_encode(ab, bins, min(5, len(bins)), sigma)


EXERCISE = Exercise(
    soft_encode,
    ("ab", "bins", "neighbours", "sigma"),
    ("indices", "weights"),
    draw,
    {
        "sigma stands for sigma squared: the Gaussian is exp(-d^2 / (2 sigma^2))": _by_exponent(
            lambda d, s: d**2 / (2 * s)
        ),
        "the distance is not squared in the Gaussian": _by_exponent(lambda d, s: d / (2 * s**2)),
        "the 2 in 2 sigma^2 is missing": _by_exponent(lambda d, s: d**2 / s**2),
        "the 2 is squared with sigma: it is 2 sigma^2, not (2 sigma)^2": _by_exponent(lambda d, s: d**2 / (2 * s) ** 2),
        "-d^2 / 2 * sigma^2 multiplies by sigma^2; put 2 sigma^2 into brackets": _by_exponent(
            lambda d, s: d**2 / 2 * s**2
        ),
        "the minus in the exponent is missing: the further bin gets the larger weight": _by_exponent(
            lambda d, s: -(d**2) / (2 * s**2)
        ),
        "the weights do not sum to 1": _weighted(_gauss),
        "a small number is added to the sum: far from every bin the weights do not sum to 1": tuple(
            _weighted(lambda d, s, small=small: _gauss(d, s) / (_gauss(d, s).sum(1, keepdim=True) + small))
            for small in (1e-6, 1e-8, 1e-10, 1e-12)
        ),
        "the weights were normalised over all bins, before the nearest were chosen": _over_all_bins,
        "the weights sum to 1 over the colours; they should for each colour, over its bins": (
            _weighted(_over_colours),
            _weighted(lambda d, s: _gauss(d, s) / _gauss(d, s).sum()),
        ),
        "all neighbours weigh the same; nearer ones should weigh more": _by_exponent(lambda d, s: 0 * d),
        "the order is furthest first; give the nearest first": lambda *given: tuple(
            part.flip(1) for part in soft_encode(*given)
        ),
        "these are the furthest bins, not the nearest": _weighted(
            lambda d, sigma: torch.softmax(-(d**2) / (2 * sigma**2), 1), largest=True
        ),
        "the two results are swapped: indices come first, then weights": lambda *given: soft_encode(*given)[::-1],
        "the distances come back instead of the weights": _weighted(lambda d, sigma: d),
        "these are the bins' ranks; argsort once gives the indices": _ranks,
        "the number of neighbours is always 5 here; use the one that is given": _five,
        "this is the dense distribution over all bins; give indices and weights of the nearest": _dense,
    },
)
