"""Feedback on the exercises: kind, immediate, and as precise as can be.

    from repro.checks import check
    check(soft_encode)        # the student's function, known by its name

First whether it was tried, then whether it runs, then shapes, then values; and where the values are those of
a typical mistake, that mistake is named.  Everything is seeded: the same function gets the same answer.
"""

import copy
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from repro.bins import ab_bins
from repro.decoding import annealed_mean as annealed_mean_of_maps
from repro.encoding import soft_encode
from repro.evaluation.raw_accuracy import auc
from repro.prior import rebalancing_weights as weights_of_smoothed
from repro.prior import smooth

TOLERANCE = 1e-4  # relative, and absolute where values are small


@dataclass(frozen=True)
class Feedback:
    """What a check found.  state: "right", "not tried yet" or "not yet right"; true only if right."""

    state: str
    message: str

    def __bool__(self):
        return self.state == "right"

    def __repr__(self):
        mark = {"right": "✓", "not tried yet": "…", "not yet right": "✗"}[self.state]
        return f"{mark} {self.message}"


@dataclass(frozen=True)
class Exercise:
    """A function to write.

    solution: gives the right answer.  results: names of what it returns, for messages.  cases: {description:
    arguments}.  mistakes: {what the student is told: a function that makes that mistake}.
    """

    solution: Callable
    results: tuple
    cases: dict
    mistakes: dict = field(default_factory=dict)


def check(function):
    """Feedback on a student's function, whose name says which exercise it is.  Raises ValueError for another
    name."""
    name = getattr(function, "__name__", str(function))
    if name not in EXERCISES:
        raise ValueError(f"there is no exercise {name!r}; there are {', '.join(EXERCISES)}")
    exercise, right = EXERCISES[name], 0
    for case, arguments in exercise.cases.items():
        wrong = _case(function, exercise, name, case, arguments)
        if wrong is not None:
            return wrong
        right += 1
    return Feedback("right", f"{name}: right in all {right} cases. Well done.")


def _case(function, exercise, name, case, arguments):
    """Feedback if a case is not right, else None."""
    given = copy.deepcopy(arguments)
    try:
        found = function(*given)
    except NotImplementedError:
        found = None
    except Exception as error:  # whatever a student's code may do is to be explained, not to end the page
        line = traceback.extract_tb(error.__traceback__)[-1]
        where = f" in the line `{line.line}`" if line.line else ""
        return _wrong(name, case, f"it stops with {type(error).__name__}: {error}{where}")
    if found is None:
        return Feedback("not tried yet", f"{name}: not tried yet. Replace the line below the description.")
    if not all(_equal(before, after) for before, after in zip(arguments, given, strict=True)):
        return _wrong(name, case, "it changes what it was given; work on a copy")
    expected, found = _arrays(exercise.solution(*copy.deepcopy(arguments))), _arrays(found)
    if _close(found, expected):
        return None
    trouble = (
        _known_mistake(function, exercise)
        or _of_shape(exercise, expected, found)
        or _of_numbers(exercise, found)
        or _first_difference(exercise, expected, found)
    )
    return _wrong(name, case, trouble)


def _wrong(name, case, what):
    return Feedback("not yet right", f"{name}, {case}: {what}.")


def _arrays(result):
    """What a function returned, a number, array, tensor or tuple of them, as a list of float64 arrays."""
    parts = result if isinstance(result, tuple) else (result,)
    return [_array(part) for part in parts]


def _array(part):
    if isinstance(part, torch.Tensor):
        part = part.detach().cpu().numpy()
    try:
        return np.asarray(part, dtype=np.float64)
    except (TypeError, ValueError):
        return None


def _equal(before, after):
    return before is after or np.array_equal(np.asarray(before), np.asarray(after))


def _close(found, expected):
    return len(found) == len(expected) and all(
        one is not None and one.shape == other.shape and np.allclose(one, other, TOLERANCE, TOLERANCE)
        for one, other in zip(found, expected, strict=True)
    )


def _known_mistake(function, exercise):
    """What a student is told whose function gives, in every case that it survives, what a mistake gives."""
    answers = []
    for arguments in exercise.cases.values():
        try:
            found = _arrays(function(*copy.deepcopy(arguments)))
        except Exception:
            continue
        if all(one is not None and np.isfinite(one).all() for one in found):
            answers.append((arguments, found))
    for told, mistaken in exercise.mistakes.items():
        if answers and all(_close(found, _arrays(mistaken(*copy.deepcopy(given)))) for given, found in answers):
            return told
    return None


def _of_shape(exercise, expected, found):
    if len(found) != len(expected):
        wanted = f"{len(expected)} results ({', '.join(exercise.results)})" if len(expected) > 1 else "one result"
        return f"expected {wanted}, got {len(found)}"
    for name, right, here in zip(exercise.results, expected, found, strict=True):
        if here is None:
            return f"{name} should be numbers"
        if here.shape != right.shape:
            turned = "; it looks transposed" if here.shape == right.shape[::-1] and right.ndim > 1 else ""
            return f"{name} should have shape {right.shape}, has {here.shape}{turned}"
    return None


def _of_numbers(exercise, found):
    for name, here in zip(exercise.results, found, strict=True):
        if not np.isfinite(here).all():
            return (
                f"{name} holds nan or infinity; look for 0 / 0 and for exp of large numbers (what changes if the "
                "largest is subtracted first?)"
            )
    return None


def _first_difference(exercise, expected, found):
    for name, right, here in zip(exercise.results, expected, found, strict=True):
        bad = ~np.isclose(here, right, TOLERANCE, TOLERANCE)
        if bad.any():
            place = tuple(int(i) for i in np.argwhere(bad)[0]) if bad.ndim else ()
            where = f"[{', '.join(map(str, place))}]" if place else ""
            share = f" ({bad.size - bad.sum()} of {bad.size} are right)" if bad.size > 1 else ""
            return f"{name}{where} should be {right[place]:.6g}, is {here[place]:.6g}{share}"
    raise AssertionError("equal results differ nowhere")


# ---- what is checked ----


def _random(*shape, seed=0, scale=1.0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


def _shares(*shape, seed=0):
    return torch.softmax(_random(*shape, seed=seed, scale=1.5).double(), -1)


# -- page 01: bins, and weights


def _gamut_bins(points, spacing):
    return torch.unique(torch.round(points / spacing), dim=0) * spacing


def _sorted_by_b(points, spacing):
    return torch.unique(torch.round(points.flip(1) / spacing), dim=0).flip(1) * spacing


def _rebalancing_weights(prior, bins, sigma, uniform_mix):
    return weights_of_smoothed(smooth(prior, bins, sigma), uniform_mix)


def _raw_weights(prior, uniform_mix):
    return 1 / ((1 - uniform_mix) * prior + uniform_mix / len(prior))


def _along_the_index(prior, bins, sigma, uniform_mix):
    place = torch.arange(len(prior), dtype=torch.float64)
    share = torch.softmax((place[:, None] - place) ** 2 / (-2 * sigma**2), 0)
    return weights_of_smoothed(share @ prior, uniform_mix)


def _scaled_to_sum_1(prior, bins, sigma, uniform_mix):
    weights = _raw_weights(smooth(prior, bins, sigma), uniform_mix)
    return weights / weights.sum()


def _unscaled(prior, bins, sigma, uniform_mix):
    return _raw_weights(smooth(prior, bins, sigma), uniform_mix)


def _few_bins():
    return ab_bins()[::9].double()


# -- page 02: soft encoding


def _encode(distance_to_weight, furthest=False):
    def encode(ab, bins, neighbours, sigma):
        distance = torch.cdist(ab, bins)
        near, indices = distance.topk(neighbours, dim=1, largest=furthest)
        return indices, distance_to_weight(near, sigma)

    return encode


def _normalised(weights):
    return weights / weights.sum(1, keepdim=True)


def _over_all_bins(ab, bins, neighbours, sigma):
    distance = torch.cdist(ab, bins)
    near, indices = distance.topk(neighbours, dim=1, largest=False)
    return indices, torch.softmax(distance**2 / (-2 * sigma**2), 1).gather(1, indices)


def _furthest_first(ab, bins, neighbours, sigma):
    return tuple(part.flip(1) for part in soft_encode(ab, bins, neighbours, sigma))


# -- page 03: receptive fields


def _receptive_field(layers, grow=lambda kernel, stride, dilation, jump: (kernel - 1) * dilation * jump):
    field, jump = 1, 1
    for kernel, stride, dilation in layers:
        field, jump = field + grow(kernel, stride, dilation, jump), jump * stride
    return field, jump


def _grown_by(rule):
    return lambda layers: _receptive_field(layers, rule)


# -- page 04: the gradient


def _gradient(logits, target, weights):
    return weights[:, None] * (torch.softmax(logits, 1) - target) / len(logits)


# -- page 05: decoding


def _annealed_mean(logits, bins, temperature):
    return annealed_mean_of_maps(logits[:, :, None, None], bins, temperature)[:, :, 0, 0]


def _of_probabilities(logits, bins, temperature):
    return torch.softmax(torch.softmax(logits, 1) / temperature, 1) @ bins


# -- page 06: raw accuracy


def _error(predicted, true):
    return (predicted - true).norm(dim=1).clamp(max=150)


# -- page 08: the bootstrap


def _bootstrap_error(shares, draws):
    return shares[draws].mean(1).std()


# -- page 09: a linear probe


def _probe(train, labels, test, decay, of_test=False, bias=True, standardise=True):
    seen = test if of_test else train
    mean, deviation = seen.mean(0), seen.std(0) if standardise else torch.ones(train.shape[1])
    train, test = (train - train.mean(0) if of_test else train - mean) / deviation, (test - mean) / deviation
    target = torch.nn.functional.one_hot(labels).double()
    level = target.mean(0) if bias else torch.zeros(target.shape[1], dtype=torch.float64)
    square = train.T @ train + decay * torch.eye(train.shape[1], dtype=torch.float64)
    return test @ torch.linalg.solve(square, train.T @ (target - level)) + level


def _probe_data(seed=0):
    rng = torch.Generator().manual_seed(seed)
    labels = torch.arange(24) % 3
    features = torch.randn(36, 5, generator=rng, dtype=torch.float64) * torch.tensor([1, 2, 5, 0.5, 1.0])
    features[:24] += labels[:, None] * torch.tensor([1.0, -1, 2, 0, 0.5])
    return features[:24] + 3, labels, features[24:] + 4, 2.0


EXERCISES = {
    "gamut_bins": Exercise(
        _gamut_bins,
        ("bins",),
        {
            "three colours by hand": (torch.tensor([[12.0, -4.0], [-9.0, 31.0], [13.0, 2.0]]), 10.0),
            "300 random colours": (_random(300, 2, scale=30), 10.0),
            "a finer lattice": (_random(300, 2, seed=1, scale=30), 5.0),
        },
        {
            "the colours are cut down to the lattice (floor); the nearest point is found by rounding": lambda points, spacing: (
                torch.unique(torch.floor(points / spacing), dim=0) * spacing
            ),
            "the bins are numbered, but not in ab units; multiply by the spacing": lambda points, spacing: torch.unique(
                torch.round(points / spacing), dim=0
            ),
            "the bins are sorted by b first; the order is a ascending, then b": _sorted_by_b,
        },
    ),
    "rebalancing_weights": Exercise(
        _rebalancing_weights,
        ("weights",),
        {
            "two bins by hand": (
                torch.tensor([0.75, 0.25], dtype=torch.float64),
                torch.tensor([[0.0, 0.0], [1000.0, 0.0]], dtype=torch.float64),
                5.0,
                0.3,
            ),
            "35 of the paper's bins": (_shares(35), _few_bins(), 20.0, 0.5),
            "with little of the uniform": (_shares(35, seed=1), _few_bins(), 20.0, 0.2),
        },
        {
            "the prior is smoothed along the bins' numbers; neighbours in the list are not neighbours in the ab plane": _along_the_index,
            "the weights are divided by their own sum; scale them so that sum(prior * weights) = 1": _scaled_to_sum_1,
            "the scale is missing; sum(prior * weights) must be 1": _unscaled,
            "the prior was not smoothed": lambda prior, bins, sigma, uniform_mix: weights_of_smoothed(prior, uniform_mix),
            "lambda stands at the wrong term: it mixes in the uniform, 1 - lambda is the prior's": lambda prior, bins, sigma, uniform_mix: (
                _rebalancing_weights(prior, bins, sigma, 1 - uniform_mix)
            ),
            "sigma stands for sigma squared in the Gaussian": lambda prior, bins, sigma, uniform_mix: _rebalancing_weights(
                prior, bins, sigma**0.5, uniform_mix
            ),
        },
    ),
    "soft_encode": Exercise(
        soft_encode,
        ("indices", "weights"),
        {
            "one colour by hand": (
                torch.tensor([[0.0, 1.0]]),
                torch.tensor([[0.0, 0.0], [0.0, 10.0], [0.0, -10.0]]),
                2,
                5.0,
            ),
            "twelve colours among the paper's bins": (_random(12, 2, scale=35), ab_bins(), 5, 5.0),
            "ten neighbours and a wider Gaussian": (_random(12, 2, seed=1, scale=35), ab_bins(), 10, 8.0),
        },
        {
            "sigma stands for sigma squared: the Gaussian is exp(-d^2 / (2 sigma^2))": _encode(
                lambda d, sigma: _normalised(torch.exp(-(d**2) / (2 * sigma)))
            ),
            "the distance is not squared in the Gaussian": _encode(
                lambda d, sigma: _normalised(torch.exp(-d / (2 * sigma**2)))
            ),
            "the 2 in 2 sigma^2 is missing": _encode(lambda d, sigma: _normalised(torch.exp(-(d**2) / sigma**2))),
            "the weights do not sum to 1": _encode(lambda d, sigma: torch.exp(-(d**2) / (2 * sigma**2))),
            "the weights were normalised over all bins, before the nearest were chosen": _over_all_bins,
            "the order is furthest first; give the nearest first": _furthest_first,
            "these are the furthest bins, not the nearest": _encode(
                lambda d, sigma: torch.softmax(d**2 / (-2 * sigma**2), 1), furthest=True
            ),
        },
    ),
    "receptive_field": Exercise(
        _receptive_field,
        ("field", "stride"),
        {
            "two 3 x 3 layers": ([(3, 1, 1), (3, 1, 1)],),
            "a stride between": ([(3, 1, 1), (3, 2, 1), (3, 1, 1)],),
            "the network up to conv5": (
                [(3, 1, 1), (3, 2, 1)] * 2 + [(3, 1, 1), (3, 1, 1), (3, 2, 1)] + [(3, 1, 1)] * 3 + [(3, 1, 2)] * 3,
            ),
        },
        {
            "each layer adds kernel - 1 pixels, not the whole kernel": _grown_by(lambda k, s, d, jump: k * d * jump),
            "dilation is forgotten: the kernel's taps lie `dilation` apart": _grown_by(
                lambda k, s, d, jump: (k - 1) * jump
            ),
            "the strides before a layer are forgotten: its taps lie so many input pixels apart": _grown_by(
                lambda k, s, d, jump: (k - 1) * d
            ),
            "a layer's own stride counts only for the layers after it": _grown_by(
                lambda k, s, d, jump: (k - 1) * d * jump * s
            ),
        },
    ),
    "gradient": Exercise(
        _gradient,
        ("gradient",),
        {
            "one pixel by hand": (
                torch.tensor([[0.0, np.log(3)]]),
                torch.tensor([[0.5, 0.5]]),
                torch.tensor([3.0]),
            ),
            "six pixels, four bins": (_random(6, 4).double(), _shares(6, 4, seed=1), _shares(6, seed=2) * 6),
        },
        {
            "the sign is turned: it is prediction minus target": lambda x, z, v: -_gradient(x, z, v),
            "the weights are forgotten": lambda x, z, v: _gradient(x, z, torch.ones_like(v)),
            "the loss is a mean over the pixels; divide by their number": lambda x, z, v: _gradient(x, z, v) * len(x),
            "divided by the weights' sum; the mean is over pixels": lambda x, z, v: _gradient(x, z, v) * len(x) / v.sum(),
            "softmax goes over the wrong axis: each pixel's probabilities sum to 1": lambda x, z, v: (
                v[:, None] * (torch.softmax(x, 0) - z) / len(x)
            ),
            "this takes the logits for probabilities; a softmax comes first": lambda x, z, v: (
                v[:, None] * (x - z) / len(x)
            ),
        },
    ),
    "annealed_mean": Exercise(
        _annealed_mean,
        ("ab",),
        {
            "two bins by hand": (torch.tensor([[0.0, np.log(3)]]).float(), torch.tensor([[0.0, 0], [40, 0]]), 0.5),
            "eight pixels of the paper's bins": (_random(8, 313, scale=3), ab_bins(), 0.38),
            "logits in the hundreds": (_random(8, 313, seed=1, scale=300), ab_bins(), 0.1),
        },
        {
            "the temperature is applied to the probabilities; it divides the logits, before the softmax": _of_probabilities,
            "multiplied by the temperature instead of divided": lambda x, bins, t: _annealed_mean(x, bins, 1 / t),
            "the temperature is forgotten: this is the mean": lambda x, bins, t: _annealed_mean(x, bins, 1.0),
            "this is the mode, the limit of temperature 0": lambda x, bins, t: bins[x.argmax(1)],
            "softmax goes over the wrong axis: it is the bins' probabilities that sum to 1": lambda x, bins, t: (
                torch.softmax(x / t, 0) @ bins
            ),
        },
    ),
    "auc": Exercise(
        auc,
        ("auc",),
        {
            "distances 5, 20 and 200 by hand": (
                torch.tensor([[3.0, 4.0], [0.0, 20.0], [200.0, 0.0]]),
                torch.zeros(3, 2),
                torch.ones(3),
            ),
            "weighted": (_random(40, 2, scale=40), _random(40, 2, seed=1, scale=40), _shares(40, seed=2) * 9),
        },
        {
            "this is the area above the curve; subtract from 1": lambda p, t, w: 1 - auc(p, t, w),
            "distances over 150 are not cut off, so they count as less than nothing": lambda p, t, w: (
                1 - (w * (p - t).norm(dim=1)).sum() / w.sum() / 150
            ),
            "divided by the number of pixels; divide by the weights' sum": lambda p, t, w: (
                1 - (w * _error(p, t)).mean() / 150
            ),
            "the weights are forgotten": lambda p, t, w: auc(p, t),
            "the distance is squared": lambda p, t, w: (
                1 - (w * ((p - t) ** 2).sum(1).clamp(max=150)).sum() / w.sum() / 150
            ),
            "the distance is of a and b apart (|a| + |b|), not the Euclidean one": lambda p, t, w: (
                1 - (w * (p - t).abs().sum(1).clamp(max=150)).sum() / w.sum() / 150
            ),
        },
    ),
    "bootstrap_error": Exercise(
        _bootstrap_error,
        ("error",),
        {
            "two raters by hand": (
                torch.tensor([0.2, 0.6], dtype=torch.float64),
                torch.tensor([[0, 0], [0, 1], [1, 1]]),
            ),
            "thirty raters, 400 draws": (
                _shares(30) * 10,
                torch.randint(30, (400, 30), generator=torch.Generator().manual_seed(3)),
            ),
        },
        {
            "this is how single raters scatter, over all draws; take each draw's mean first": lambda x, draws: x[draws].std(),
            "mean and deviation are over the wrong axes: a row of draws is one experiment": lambda x, draws: (
                x[draws].mean(0).std()
            ),
            "this is the raters' own deviation; nothing was drawn": lambda x, draws: x.std(),
            "divided by the root of the number once more; the spread of the draws' means is the error already": lambda x, draws: (
                x[draws].mean(1).std() / draws.shape[1] ** 0.5
            ),
            "divided by the root of the number of draws: more draws do not make raters surer": lambda x, draws: (
                x[draws].mean(1).std() / len(draws) ** 0.5
            ),
            "this is the mean of the draws' deviations; the error is the deviation of their means": lambda x, draws: (
                x[draws].std(1).mean()
            ),
        },
    ),
    "probe_scores": Exercise(
        _probe,
        ("scores",),
        {"24 photographs, 5 features, 3 classes": _probe_data(), "others": _probe_data(1)},
        {
            "the test photographs are standardised by their own mean and deviation; use the training ones'": lambda *a: (
                _probe(*a, of_test=True)
            ),
            "the classes' levels are missing: fit the targets minus their mean, and add it again": lambda *a: _probe(
                *a, bias=False
            ),
            "the features are not divided by their deviation, so the decay hits them unequally": lambda *a: _probe(
                *a, standardise=False
            ),
            "the decay is forgotten": lambda train, labels, test, decay: _probe(train, labels, test, 0.0),
            "the decay is squared": lambda train, labels, test, decay: _probe(train, labels, test, decay**2),
        },
    ),
}
