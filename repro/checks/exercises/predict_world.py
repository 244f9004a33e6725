"""Exercise 13: what each objective must answer for a thing, from the table that its world is painted by."""

import numpy as np
import torch

from repro.checks.exercises.exercise import Exercise, apart, double, shares


def predict_world(ab, paints, often, weights):
    """ab (C, 2) of the paints; paints (K, C): each thing's shares; often (K,); weights (C,), all float64.

    Gives regression's ab (2,), classification's shares (C,) and rebalanced classification's (C,).
    """
    p = _mixed(paints, often)
    return p @ ab, p, _normal(p * weights)


def _mixed(paints, often):
    return often @ paints / often.sum()


def _normal(values):
    return values / values.sum()


# ---- cases ----


def _world(rng, things, count, missing=0):
    """Arguments of a world; of each thing but the first some paints are missing."""
    table = shares(rng, things, count)
    for row in table[1:]:
        row[rng.permutation(count)[:missing]] = 0
    table /= table.sum(1, keepdims=True)
    often = np.round(rng.uniform(0.5, 4, things), 1)
    return (
        double(apart(rng, count, 5)),
        double(table),
        double(often),
        double(np.round(rng.uniform(0.2, 4, count), 2)),
    )


def draw(rng):
    """One thing and several; paints that a thing lacks; as often as each other or not; weights of any size."""
    ab, table, often, weights = _world(rng, 2, 3)
    lone = _world(rng, 1, 3)
    return [
        ("the kite by hand",
         (double([[10, -40], [30, 40]]), double([[0.75, 0.25]]), double([1]), double([1, 3]))),
        ("one paint", (double([[20, 10]]), double([[1]]), double([2]), double([0.3]))),
        ("one thing of three paints", (*lone[:2], double([1]), lone[3])),
        ("one thing that is met 2.5 times", (*lone[:2], double([2.5]), lone[3])),
        ("two things as often as each other", (ab, table, double([1, 1]), weights)),
        ("two things, one met twice as often",
         (double([[50, 20], [-40, 30], [20, -50]]), double([[0.6, 0.4, 0], [0, 0, 1]]), double([2, 1]),
          double([0.5, 2, 1]))),
        ("two things, neither as often as the other", (ab, table, often + double([0, 1]), weights)),
        ("three things that lack paints", _world(rng, 3, 4, 2)),
        ("weights in the hundreds", (ab, table, often, 300 * weights)),
        ("a paint that weighs hardly anything", (ab, table, often, weights * double([1, 1e-6, 1]))),
        ("five things of twelve paints", _world(rng, 5, 12, 4)),
    ]  # fmt: skip


# ---- mistakes ----


def _from(mix):
    """All three from other shares: mix(paints, often)."""

    def answer(ab, paints, often, weights):
        p = mix(paints, often)
        return p @ ab, p, _normal(p * weights)

    return answer


def _regression(of):
    """The right answer but for regression's: of(ab, p, weights)."""

    def answer(ab, paints, often, weights):
        _, p, lifted = predict_world(ab, paints, often, weights)
        return of(ab, p, weights), p, lifted

    return answer


def _rebalanced(of):
    """The right answer but for the rebalanced one: of(p, weights)."""

    def answer(ab, paints, often, weights):
        mean, p, _ = predict_world(ab, paints, often, weights)
        return mean, p, of(p, weights)

    return answer


def _apart(ab, paints, often, weights):
    mean, p, _ = predict_world(ab, paints, often, weights)
    lifted = paints * weights / (paints @ weights)[:, None]
    return mean, p, often @ lifted / often.sum()


def _likeliest(ab, paints, often, weights):
    mean, p, lifted = predict_world(ab, paints, often, weights)
    return mean, *(torch.eye(len(p), dtype=p.dtype)[one.argmax()] for one in (p, lifted))


def _exchanged(ab, paints, often, weights):
    mean, p, lifted = predict_world(ab, paints, often, weights)
    return mean, lifted, p


EXERCISE = Exercise(
    predict_world,
    ("ab", "paints", "often", "weights"),
    ("regression", "classification", "rebalanced"),
    draw,
    {
        "every thing counts the same; weigh each row by how often the thing is met": _from(
            lambda paints, often: paints.mean(0)
        ),
        "only the first thing is answered for; nothing in gray tells it from the others": _from(
            lambda paints, often: paints[0]
        ),
        "the rows are added up and not divided: how often all things are met together must divide them": _from(
            lambda paints, often: often @ paints
        ),
        "divided by the number of things; divide by how often all of them are met": _from(
            lambda paints, often: often @ paints / len(often)
        ),
        "how often each thing is met is forgotten, and the rows are added up": _from(
            lambda paints, often: paints.sum(0)
        ),
        "regression counts every paint the same; multiply each by its share": _regression(lambda ab, p, w: ab.mean(0)),
        "regression is weighed here; only rebalanced classification has weights": _regression(
            lambda ab, p, w: _normal(p * w) @ ab
        ),
        "this is the likeliest paint; regression answers with the mean of all": _regression(
            lambda ab, p, w: ab[p.argmax()]
        ),
        "regression is divided by the number of paints too; the shares sum to 1 already": _regression(
            lambda ab, p, w: p @ ab / len(p)
        ),
        "the weights are forgotten in the rebalanced answer": _rebalanced(lambda p, w: p),
        "the rebalanced shares do not sum to 1; divide share times weight by their sum": _rebalanced(
            lambda p, w: p * w
        ),
        "the rebalanced shares are divided by the sum of the weights; divide by the sum of share times weight": (
            _rebalanced(lambda p, w: p * w / w.sum())
        ),
        "the weight counts twice; multiply by it once": _rebalanced(lambda p, w: _normal(p * w**2)),
        "divided by the weight; a rare colour weighs more, so multiply": _rebalanced(lambda p, w: _normal(p / w)),
        "these are the weights alone; each stands before its paint's share": _rebalanced(lambda p, w: _normal(w)),
        "softmax makes numbers sum to 1 in another way; divide by the sum": _rebalanced(
            lambda p, w: torch.softmax(p * w, 0)
        ),
        "rebalancing does not make all paints the same; multiply each share by its weight": _rebalanced(
            lambda p, w: torch.full_like(p, 1 / len(p))
        ),
        "each thing is rebalanced alone and mixed then; a network cannot tell them apart, so mix first": _apart,
        "these are the likeliest paints; both objectives answer with a share for each": _likeliest,
        "classification and rebalanced stand in each other's place": _exchanged,
    },
)
