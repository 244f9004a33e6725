"""Exercise 06: the area under the curve of pixels within a distance."""

import torch

from repro.checks.exercises.exercise import Exercise, single


def auc(predicted, true, weights):
    """predicted and true (N, 2), ab units; weights (N,), all float32 -> a number, 0..1."""
    return 1 - _mean(_distance(predicted, true).clamp(max=150), weights) / 150


def _distance(predicted, true):
    return (predicted.double() - true.double()).norm(dim=1)


def _mean(values, weights):
    return (weights.double() * values).sum() / weights.sum()


# ---- cases ----


def _pixels(rng, count, distances=(1, 140)):
    """Pixels whose colours are wrong by distances between the two given, in all directions.

    No two weights are alike.
    """
    angle, distance = rng.uniform(0, 6.28, count), rng.uniform(*distances, count)
    true = rng.uniform(-60, 60, (count, 2))
    away = (
        distance * torch.tensor([angle.tolist()]).cos().numpy()[0],
        distance * torch.tensor([angle.tolist()]).sin().numpy()[0],
    )
    weights = rng.permutation(count) + rng.uniform(0.3, 1.3, count)
    return single(true + torch.tensor(list(zip(*away, strict=True))).numpy()), single(true), single(weights)


def draw(rng):
    """One pixel, near and far; distances over 150 off the axes; weights of 0 and of 1; fractions of thresholds."""
    idle = _pixels(rng, 3)
    idle[2][1] = 0
    diagonal = single([[rng.uniform(110, 130), -rng.uniform(110, 130)], [20, 10]])
    hand = single([[3, 4], [0, 20], [200, 0]])
    same = _pixels(rng, 2)
    return [
        ("the distances 5, 20 and 200 by hand", (hand, single([[0, 0]] * 3), single([1, 1, 1]))),
        ("one pixel", _pixels(rng, 1)),
        ("one pixel at distance 0", (same[1][:1].clone(), same[1][:1].clone(), single([2]))),
        ("one pixel further than 150", _pixels(rng, 1, (160, 260))),
        (
            "two pixels, one further than 150, but not in a or b alone",
            (diagonal, single([[0, 0], [0, 0]]), single([1, 2])),
        ),
        ("two pixels", _pixels(rng, 2)),
        ("two pixels near each other and a third far away", _pixels(rng, 3, (1, 250))),
        ("three pixels, one of weight 0", idle),
        ("four pixels with whole distances", (_whole(rng), single([[0, 0]] * 4), single([1, 2, 3, 4]))),
        ("small weights", (*same[:2], same[2] * 1e-3)),
        ("forty pixels", _pixels(rng, 40)),
        ("forty pixels, some far away", _pixels(rng, 40, (100, 300))),
    ]


def _whole(rng):
    return single([[0, value] for value in rng.integers(1, 150, 4)])


# ---- mistakes ----


def _by_distance(change):
    """The area for distances that are changed before they are limited: change(predicted - true) -> (N,)."""
    return lambda p, t, w: 1 - _mean(change(p.double() - t.double()).clamp(max=150), w) / 150


def _over_thresholds(thresholds, strict=False):
    """The mean over the given thresholds of the share of pixels within each."""

    def area(p, t, w):
        within = _distance(p, t)[:, None] < thresholds if strict else _distance(p, t)[:, None] <= thresholds
        return _mean(within.double().mean(1), w)

    return area


def _trapezoids(p, t, w):
    within = (_distance(p, t)[:, None] <= torch.arange(151)).double()
    return torch.trapezoid((w.double()[:, None] * within).sum(0) / w.sum(), dx=1.0) / 150


def _dropped(p, t, w):
    near = _distance(p, t) <= 150
    return 1 - (w * _distance(p, t))[near].sum() / w[near].sum() / 150


EVERY = torch.arange(151)
EXERCISE = Exercise(
    auc,
    ("predicted", "true", "weights"),
    ("auc",),
    draw,
    {
        "this is the area above the curve; subtract from 1": lambda p, t, w: 1 - auc(p, t, w),
        "this is in per cent; give a number from 0 to 1": lambda p, t, w: 100 * auc(p, t, w),
        "a mean over whole thresholds is near the area, but not the formula; each pixel counts (150 - d) / 150": (
            *(_over_thresholds(chosen) for chosen in (EVERY, EVERY[1:], EVERY[:-1], EVERY[::10])),
            *(_over_thresholds(chosen, strict=True) for chosen in (EVERY, EVERY[1:], EVERY[:-1])),
            _trapezoids,
        ),
        "distances over 150 are not cut off, so they count as less than nothing": lambda p, t, w: (
            1 - _mean(_distance(p, t), w) / 150
        ),
        "the mean distance is cut off at 150; each pixel's own should be": lambda p, t, w: (
            1 - _mean(_distance(p, t), w).clamp(max=150) / 150
        ),
        "a and b are cut off apart; cut off the distance": lambda p, t, w: (
            1 - _mean((p.double() - t.double()).clamp(-150, 150).norm(dim=1), w) / 150
        ),
        "pixels further than 150 are left out; they should count as 0": _dropped,
        "divided by the number of pixels; divide by the weights' sum": lambda p, t, w: (
            1 - (w * _distance(p, t).clamp(max=150)).mean() / 150
        ),
        "the weights are forgotten": lambda p, t, w: auc(p, t, torch.ones_like(w)),
        "the weights are squared": lambda p, t, w: auc(p, t, w.double() ** 2),
        "the distance is squared; the root is missing": _by_distance(lambda apart: (apart**2).sum(1)),
        "the distance is of a and b apart (|a| + |b|), not the Euclidean one": _by_distance(
            lambda apart: apart.abs().sum(1)
        ),
        "only the larger of the differences in a and b counts; the distance is the Euclidean one": _by_distance(
            lambda apart: apart.abs().amax(1)
        ),
        "the division by 150 is missing": lambda p, t, w: 1 - _mean(_distance(p, t).clamp(max=150), w),
        "divided by the largest distance; the thresholds go to 150 whatever the pixels": lambda p, t, w: (
            1 - _mean(_distance(p, t).clamp(max=150), w) / _distance(p, t).clamp(max=150).max()
        ),
    },
)
