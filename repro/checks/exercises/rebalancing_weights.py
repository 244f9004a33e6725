"""Exercise 01, second part: what a pixel weighs, by how rare its bin is."""

import numpy as np
import torch

from repro.bins import ab_bins
from repro.checks.exercises.exercise import Exercise, apart, double, shares


def rebalancing_weights(prior, bins, sigma, uniform_mix):
    """prior (Q,) that sums to 1, bins (Q, 2) ab units, both float64 -> weights (Q,).

    The sum of (smoothed prior * weights) is 1.
    """
    smoothed = _kernel(bins, sigma) @ prior
    return _scaled(_inverse(smoothed, uniform_mix), smoothed)


def _kernel(bins, sigma, axis=0):
    squared = ((bins[:, None] - bins) ** 2).sum(-1)
    return torch.softmax(-squared / (2 * sigma**2), axis)


def _inverse(smoothed, uniform_mix):
    return 1 / ((1 - uniform_mix) * smoothed + uniform_mix / len(smoothed))


def _scaled(weights, smoothed):
    return weights / (smoothed * weights).sum()


# ---- cases ----


def _prior(rng, count, empty=0):
    """Shares of bins, some of them empty.  They sum to 1 as sums of floats do, not to the last digit."""
    prior = shares(rng, count)
    prior[rng.permutation(count)[:empty]] = 0
    return double(prior / prior.sum() * (1 + 1e-9))


def draw(rng):
    """Irregular bins and the paper's; empty bins; lambda 0 and 1; a corner that has few neighbours."""
    near = [double(apart(rng, count, 4, reach=12)) for count in (3, 3, 4, 9)]
    corner = double([[a, b] for a in (0, 10, 20) for b in (0, 10, 20)])
    paper = ab_bins()[np.sort(rng.permutation(313)[:35])].double()
    return [
        ("the two bins by hand", (double([0.75, 0.25]), double([[0, 0], [1000, 0]]), 5.0, 0.3)),
        ("one bin", (double([1]), double([[10, -20]]), 5.0, 0.5)),
        ("three bins", (_prior(rng, 3), near[0], 5.0, 0.5)),
        ("one of three bins is empty", (_prior(rng, 3, 1), near[1], 4.0, 0.5)),
        ("bins nearer than 1 ab unit", (_prior(rng, 3), near[0] / 12, 0.5, 0.3)),
        ("lambda 1", (_prior(rng, 3), near[0], 5.0, 1.0)),
        ("lambda 0", (_prior(rng, 3), near[1], 7.5, 0.0)),
        ("two of four bins are empty", (_prior(rng, 4, 2), near[2], 6.0, 0.2)),
        ("nine bins in no order", (_prior(rng, 9, 2), near[3], 5.0, 0.3)),
        ("nine bins of a square, where corners have few neighbours", (_prior(rng, 9), corner, 6.5, 0.4)),
        ("35 of the paper's bins", (_prior(rng, 35), paper, 20.0, 0.5)),
        ("35 of the paper's bins, 5 empty, little of the uniform", (_prior(rng, 35, 5), paper, 12.5, 0.1)),
        ("a narrow Gaussian", (_prior(rng, 35), paper, 1.0, 0.5)),
    ]


# ---- mistakes ----


def _with_kernel(kernel):
    """The weights with another kernel (bins, sigma) -> (Q, Q) in place of the right one."""

    def weights(prior, bins, sigma, uniform_mix):
        smoothed = kernel(bins, sigma) @ prior
        return _scaled(_inverse(smoothed, uniform_mix), smoothed)

    return weights


def _gaussian(exponent):
    """A kernel whose columns sum to 1, from an exponent (squared distance, sigma)."""
    return _with_kernel(lambda bins, sigma: torch.softmax(-exponent(((bins[:, None] - bins) ** 2).sum(-1), sigma), 0))


def _raw(bins, sigma):
    return torch.exp(-((bins[:, None] - bins) ** 2).sum(-1) / (2 * sigma**2))


def _along_the_index(bins, sigma):
    place = torch.arange(len(bins), dtype=bins.dtype)[:, None]
    return _kernel(torch.cat([place, 0 * place], 1), sigma)


def _only_total(prior, bins, sigma, uniform_mix):
    smoothed = _raw(bins, sigma) @ prior
    smoothed = smoothed / smoothed.sum()
    return _scaled(_inverse(smoothed, uniform_mix), smoothed)


def _end(scale):
    """The weights, scaled in another way: scale(weights, smoothed, prior)."""

    def weights(prior, bins, sigma, uniform_mix):
        smoothed = _kernel(bins, sigma) @ prior
        return scale(_inverse(smoothed, uniform_mix), smoothed, prior)

    return weights


def _occupied(prior, bins, sigma, uniform_mix):
    smoothed = _kernel(bins, sigma) @ prior
    weights = 1 / ((1 - uniform_mix) * smoothed + uniform_mix / (prior > 0).sum())
    return _scaled(weights, smoothed)


def _nothing_for_empty(prior, bins, sigma, uniform_mix):
    smoothed = _kernel(bins, sigma) @ prior
    return _scaled(_inverse(smoothed, uniform_mix) * (prior > 0), smoothed)


def _without_q(prior, bins, sigma, uniform_mix):
    smoothed = _kernel(bins, sigma) @ prior
    return _scaled(1 / ((1 - uniform_mix) * smoothed + uniform_mix), smoothed)


EXERCISE = Exercise(
    rebalancing_weights,
    ("prior", "bins", "sigma", "uniform_mix"),
    ("weights",),
    draw,
    {
        "the prior is smoothed along the bins' numbers; neighbours in the list are not neighbours in the ab plane": (
            _with_kernel(_along_the_index)
        ),
        "softmax goes over the wrong axis: what each bin hands out (a column) sums to 1, not what it gets": (
            _with_kernel(lambda bins, sigma: _kernel(bins, sigma, 1))
        ),
        "a bin hands out more or less than its share; its Gaussian must sum to 1 over the bins that receive": (
            _with_kernel(_raw),
            _only_total,
        ),
        "the weights are divided by their own sum; scale them so that sum(smoothed * weights) = 1": _end(
            lambda w, smoothed, prior: w / w.sum()
        ),
        "the weights are divided by their plain mean; scale them so that sum(smoothed * weights) = 1": _end(
            lambda w, smoothed, prior: w / w.mean()
        ),
        "the scale is missing; sum(smoothed * weights) must be 1": _end(lambda w, smoothed, prior: w),
        "the scale is taken with the prior as it was before smoothing; the smoothed one belongs into the sum": _end(
            lambda w, smoothed, prior: w / (prior * w).sum()
        ),
        "common bins weigh more than rare ones: the power -1 is missing": _end(
            lambda w, smoothed, prior: _scaled(1 / w, smoothed)
        ),
        "the prior was not smoothed": _with_kernel(lambda bins, sigma: torch.eye(len(bins), dtype=bins.dtype)),
        "-d^2 / 2 * sigma^2 multiplies by sigma^2; put 2 sigma^2 into brackets": _gaussian(lambda d2, s: d2 / 2 * s**2),
        "lambda stands at the wrong term: it mixes in the uniform, 1 - lambda is the prior's": lambda p, b, s, mix: (
            rebalancing_weights(p, b, s, 1 - mix)
        ),
        "lambda is not divided by Q: the uniform share of a bin is 1 / Q": _without_q,
        "Q counts all bins, the empty ones too": _occupied,
        "empty bins get no weight here; smoothing has given them a share": _nothing_for_empty,
        "sigma stands for sigma squared in the Gaussian": _gaussian(lambda d2, s: d2 / (2 * s)),
        "the distance is not squared in the Gaussian": _gaussian(lambda d2, s: d2**0.5 / (2 * s**2)),
        "the 2 in 2 sigma^2 is missing": _gaussian(lambda d2, s: d2 / s**2),
        "the 2 is squared with sigma: it is 2 sigma^2, not (2 sigma)^2": _gaussian(lambda d2, s: d2 / (2 * s) ** 2),
    },
)
