"""Exercise 04: the gradient of the weighted loss by the logits."""

import numpy as np
import torch

from repro.checks.exercises.exercise import Exercise, double, shares, single

LARGE = (
    "With logits near 1000 it gives something else than numbers near 1: exp(1000) is too large. "
    "Subtract the largest first."
)


def gradient(logits, target, weights):
    """logits and target (N, Q), weights (N,), all float32 or all float64 -> (N, Q)."""
    return weights[:, None] * (torch.softmax(logits, 1) - target) / len(logits)


# ---- cases ----


def _pixels(rng, count, bins, kind, reach=2.0):
    """Logits, targets and weights of pixels; no two weights are alike."""
    weights = rng.permutation(np.linspace(0.5, 4, count)) + rng.uniform(0, 0.2, count)
    return kind(rng.normal(0, reach, (count, bins))), kind(shares(rng, count, bins)), kind(weights)


def draw(rng):
    """One pixel; as many pixels as bins and not; both precisions; a weight of 0; one bin; large logits."""
    hard = list(_pixels(rng, 2, 3, single))
    hard[1] = single(np.eye(3)[rng.permutation(3)[:2]])
    idle = list(_pixels(rng, 3, 2, double))
    idle[2][1] = 0
    large = list(_pixels(rng, 1, 3, single))
    large[0] += 1000
    return [
        ("the pixel by hand", (single([[0, np.log(3)]]), single([[0.5, 0.5]]), single([3]))),
        ("one pixel, four bins", _pixels(rng, 1, 4, double)),
        ("two pixels, two bins", _pixels(rng, 2, 2, single)),
        ("two pixels, one bin certain for each", tuple(hard)),
        ("three pixels, one of weight 0", tuple(idle)),
        ("three pixels, three bins", _pixels(rng, 3, 3, double)),
        ("four pixels, two bins", _pixels(rng, 4, 2, single)),
        ("two pixels, five bins", _pixels(rng, 2, 5, double)),
        ("logits up to 40", _pixels(rng, 3, 4, double, 20.0)),
        ("seven pixels, four bins", _pixels(rng, 7, 4, single)),
        ("twelve pixels, twenty bins", _pixels(rng, 12, 20, double)),
        ("logits near 1000", tuple(large), LARGE),
    ]


# ---- mistakes ----


def _along_the_bins(logits, target, weights):
    return weights * (torch.softmax(logits, 1) - target) / len(logits)


def _hard(logits, target, weights):
    certain = torch.nn.functional.one_hot(target.argmax(1), target.shape[1])
    return gradient(logits, certain, weights)


def _loss(logits, target, weights, each=False):
    loss = -weights * (target * torch.log_softmax(logits, 1)).sum(1)
    return loss if each else loss.mean()


EXERCISE = Exercise(
    gradient,
    ("logits", "target", "weights"),
    ("gradient",),
    draw,
    {
        "the sign is turned: it is prediction minus target": lambda x, z, v: -gradient(x, z, v),
        "the weights are forgotten": lambda x, z, v: gradient(x, z, torch.ones_like(v)),
        "the loss is a mean over the pixels; divide by their number": lambda x, z, v: gradient(x, z, v) * len(x),
        "divided by the weights' sum; the mean is over pixels": lambda x, z, v: gradient(x, z, v) * len(x) / v.sum(),
        "divided by the number of bins; the mean is over pixels": lambda x, z, v: (
            gradient(x, z, v) * len(x) / x.shape[1]
        ),
        "divided by pixels and bins; the loss is a sum over bins and a mean over pixels": lambda x, z, v: (
            gradient(x, z, v) / x.shape[1]
        ),
        "the weights lie along the bins; a column, weights[:, None], gives each pixel its own": _along_the_bins,
        "softmax goes over the wrong axis: each pixel's probabilities sum to 1": lambda x, z, v: (
            v[:, None] * (torch.softmax(x, 0) - z) / len(x)
        ),
        "this takes the logits for probabilities; a softmax comes first": lambda x, z, v: v[:, None] * (x - z) / len(x),
        "this takes the logarithm of the probabilities; the probabilities themselves belong here": lambda x, z, v: (
            v[:, None] * (torch.log_softmax(x, 1) - z) / len(x)
        ),
        "this is the gradient by the probabilities; by the logits it has no fraction": lambda x, z, v: (
            -v[:, None] * z / torch.softmax(x, 1) / len(x)
        ),
        "multiplied by the probabilities once more; the derivative of the logarithm takes them away": lambda x, z, v: (
            gradient(x, z, v) * torch.softmax(x, 1)
        ),
        "multiplied by the target once more; sum over all bins before the target drops out": lambda x, z, v: (
            gradient(x, z, v) * z
        ),
        "the target is taken for one certain bin; it is a distribution": _hard,
        "the target is forgotten: this is the weighted prediction": lambda x, z, v: gradient(x, 0 * z, v),
        "the weights are squared": lambda x, z, v: gradient(x, z, v**2),
        "this is the loss, not its gradient": (_loss, lambda x, z, v: _loss(x, z, v, each=True)),
    },
)
