"""Exercise 05: from a distribution to one colour."""

import numpy as np
import torch

from repro.bins import ab_bins
from repro.checks.exercises.exercise import Exercise, apart, single


def annealed_mean(logits, bins, temperature):
    """logits (N, Q), bins (Q, 2), float32; temperature > 0 -> ab (N, 2)."""
    return torch.softmax(logits.double() / temperature, 1) @ bins.double()


# ---- cases ----


def _logits(rng, count, bins, reach):
    return single(np.round(rng.normal(0, reach, (count, bins)), 2))


def _sure(rng, count, bins):
    """Logits in the hundreds, the largest of each pixel 60 above the rest, so that no precision decides."""
    logits = rng.normal(0, 150, (count, bins))
    best = logits.argmax(1)
    logits[np.arange(count), best] += 60
    return single(np.round(logits))


def draw(rng):
    """T = 1, near 0, and large; logits far above and below 0; two pixels and two bins; few bins and the paper's."""
    two, few, paper = single(apart(rng, 2, 20)), single(apart(rng, 4, 10)), ab_bins()
    near = single(1 + 0.01 * rng.permutation(4)[None])
    return [
        ("the two bins by hand", (single([[0, np.log(3)]]), single([[0, 0], [40, 0]]), 0.5)),
        ("one pixel, T = 1", (_logits(rng, 1, 4, 1.5), few, 1.0)),
        ("two pixels, two bins", (_logits(rng, 2, 2, 1), two, 0.7)),
        ("two pixels, T = 2", (_logits(rng, 2, 4, 2), few, 2.0)),
        ("T near 0 and bins almost alike", (near, few, 0.01)),
        ("T near 0", (_logits(rng, 2, 4, 3), few, 0.02)),
        ("one pixel, logits near 300", (_logits(rng, 1, 4, 1) + 300, few, 1.0)),
        ("one pixel, logits near -300", (_logits(rng, 1, 4, 1) - 300, few, 1.0)),
        ("logits far apart and T = 100", (_logits(rng, 2, 4, 150), few, 100.0)),
        ("three pixels, T = 3", (_logits(rng, 3, 4, 40), few, 3.0)),
        ("eight pixels of the paper's bins", (_logits(rng, 8, 313, 3), paper, 0.38)),
        ("five pixels, T = 1.5", (_logits(rng, 5, 313, 3), paper, 1.5)),
        ("logits in the hundreds", (_sure(rng, 8, 313), paper, 0.1)),
    ]


# ---- mistakes ----


def _probabilities(logits):
    return torch.softmax(logits.double(), 1)


def _powers(logits, bins, temperature, normalised=True):
    powers = torch.softmax(logits, 1) ** (1 / temperature)
    return powers @ bins / (powers.sum(1, keepdim=True) if normalised else 1)


def _decimal(logits, bins, temperature):
    return torch.softmax(torch.log10(torch.softmax(logits, 1)) / temperature, 1) @ bins


def _plain_exp(logits, bins, temperature):
    powers = torch.exp(logits / temperature)
    return powers / powers.sum(1, keepdim=True) @ bins


def _guarded_logarithm(small):
    return lambda x, bins, t: torch.softmax(torch.log(_probabilities(x) + small) / t, 1) @ bins.double()


def _clamped(lowest):
    return lambda x, bins, t: torch.softmax(torch.log(_probabilities(x).clamp(min=lowest)) / t, 1) @ bins.double()


def _over_pixels(logits, bins, temperature):
    return torch.softmax(logits.double() / temperature, 0) @ bins.double()


EXERCISE = Exercise(
    annealed_mean,
    ("logits", "bins", "temperature"),
    ("ab",),
    draw,
    {
        "the temperature is applied to the probabilities; it divides the logits, before softmax": lambda x, bins, t: (
            annealed_mean(_probabilities(x), bins, t)
        ),
        "the temperature changes nothing: this is the mean, as for T = 1": lambda x, bins, t: annealed_mean(
            x, bins, 1.0
        ),
        "multiplied by the temperature instead of divided": lambda x, bins, t: annealed_mean(x, bins, 1 / t),
        "divided by the temperature squared": lambda x, bins, t: annealed_mean(x, bins, t**2),
        "the temperature divides the mean colour; it should divide the logits": lambda x, bins, t: (
            annealed_mean(x, bins, 1) / t
        ),
        "the temperature is always .38 here; use the one that is given": lambda x, bins, t: annealed_mean(
            x, bins, 0.38
        ),
        "this is the mode, the limit of temperature 0": lambda x, bins, t: bins[x.argmax(1)],
        "softmax goes over the wrong axis: it is the bins' probabilities that sum to 1": _over_pixels,
        "the decimal logarithm does not undo exp; use the natural one": (
            _decimal,
            lambda x, bins, t: annealed_mean(x, bins, t * np.log(10)),
        ),
        "the sharpened probabilities do not sum to 1 any more; divide by their sum": lambda *given: _powers(
            *given, False
        ),
        "exp of large numbers is infinite, of very small ones 0; subtract the largest logit first, or use softmax": (
            _plain_exp,
            lambda x, bins, t: _plain_exp(x.double(), bins.double(), t),
        ),
        "a probability raised to 1 / T becomes 0 for all bins where T is near 0; divide the logits by T": (
            _powers,
            lambda *given: torch.nan_to_num(_powers(*given)),
        ),
        "nan is replaced by 0, so a sure pixel becomes gray; subtract the largest logit first": lambda *given: (
            torch.nan_to_num(_plain_exp(*given))
        ),
        "a small number in the logarithm lifts all rare bins; log_softmax needs none": (
            *map(_guarded_logarithm, (1e-8, 1e-10, 1e-12)),
            *map(_clamped, (1e-8, 1e-10, 1e-12)),
        ),
        "the mean runs over the bins' numbers, not over their colours": lambda x, bins, t: (
            torch.softmax(x.double() / t, 1) @ torch.arange(x.shape[1]).double()
        ),
    },
)
