"""What a student predicts for a thing of their own, judged before any network is asked.

    judge({"regression": (4, -12), "classification": {"red": 0.7, "teal": 0.3}}, theory(world, "kite", bins, weights))

An answer is right within a stated tolerance. A wrong one is told the mistake behind it where its numbers are those of a
typical mistake, else how far off it is, with a hint.
"""

from numbers import Real
from textwrap import shorten

import numpy as np

from repro.checks import Feedback
from repro.color import lab_to_rgb, rgb8_to_lab, rgb_to_lab

QUESTIONS = ("regression", "classification", "largest bin", "rebalanced")
TOLERANCE = {"regression": 1.0, "classification": 0.02, "largest bin": 0.08, "rebalanced": 0.02}  # ab units, shares
EVEN = 0.02  # two paints of the same share, to this, are both the likeliest
HINTS = {
    "regression": "Regression has one answer for all of the thing's pixels: add up share times (a, b) over its paints",
    "classification": "Classification ends at the colours as often as they come: each paint's share",
    "largest bin": "Take the likeliest paint's share times what soft encoding leaves on the nearest bin, about .6",
    "rebalanced": "Multiply each paint's share by its weight, then divide by the sum of these products",
}


def judge(prediction, found):
    """A Feedback for each question of a prediction: {question: Feedback}.

    prediction: {"regression": (a, b) in ab units or (R, G, B); "classification" and "rebalanced": {paint: probability}
    or the likeliest paint's name; "largest bin": the largest probability that classification gives to one bin}.
    found: `repro.evaluation.own_world.Theory` of the thing.  A question that is left out, or None, is not tried yet.
    """
    if not isinstance(prediction, dict):
        told = f"a prediction is a dict with {', '.join(map(repr, QUESTIONS))}; got a {type(prediction).__name__}"
        return dict.fromkeys(QUESTIONS, Feedback("not yet right", told))
    judged = {name: _judge(name, prediction.get(name), found) for name in QUESTIONS}
    for name in prediction:
        if name not in QUESTIONS:
            told = f"there is no question {name!r}; there are {', '.join(map(repr, QUESTIONS))}"
            judged[name] = Feedback("not yet right", told)
    return judged


def read(prediction, found):
    """What a prediction says, to be drawn: {question: ab (2,), shares (C,), a number, or None}.

    prediction, found: as for `judge`.  None stands for what cannot be read, for no answer, and for a paint's name where
    shares are asked for.
    """
    ways = {"regression": lambda answer: _as_ab(answer, found), "largest bin": _number}
    given = prediction if isinstance(prediction, dict) else {}
    return {
        name: _or_none(ways.get(name, lambda answer: _as_shares(answer, found.thing.names)), given.get(name))
        for name in QUESTIONS
    }


def _or_none(way, answer):
    try:
        return way(answer)
    except ValueError:
        return None


def _judge(name, answer, found):
    if answer is None:
        return Feedback("not tried yet", f"{name}: not tried yet. Write down what you expect before you train.")
    try:
        if name == "regression":
            return _point(_as_ab(answer, found), found)
        if name == "largest bin":
            return _told(name, f"{_number(answer):.3g}", _number(answer), found.largest_bin, _largest_mistakes(found))
        if isinstance(answer, str):  # a paint's name
            return _likeliest(name, answer, found)
        return _shares(name, _as_shares(answer, found.thing.names), found)
    except ValueError as error:
        return Feedback("not yet right", f"{name}: {error}.")


# ---- reading an answer ----


def _short(value):
    return shorten(" ".join(repr(value).split()), 80, placeholder=" ...")


def _number(value):
    value = value.item() if hasattr(value, "item") and getattr(value, "size", 1) in (1,) else value
    if not isinstance(value, Real) or isinstance(value, bool) or not np.isfinite(value):
        raise ValueError(f"expected a number, got {_short(value)}")
    return float(value)


def _as_ab(answer, found):
    """(2,) ab units of (a, b), of a colour (R, G, B), 0..255, or of a paint's name."""
    if isinstance(answer, str) and answer in found.thing.names:
        return found.thing.ab[found.thing.names.index(answer)]
    try:
        numbers = [] if isinstance(answer, str | bytes | dict) else [_number(one) for one in answer]
    except TypeError:
        numbers = []
    if len(numbers) == 3 and all(0 <= one <= 255 for one in numbers):
        return rgb8_to_lab(np.array([numbers]).round().astype(np.uint8))[0, 1:].astype(float)
    if len(numbers) != 2:
        raise ValueError(f"expected one colour, (a, b) in ab units or (R, G, B) in 0..255, got {_short(answer)}")
    return np.array(numbers)


def _as_shares(answer, paints):
    """(C,) numbers in the order of the paints; a paint that is left out has none."""
    if not isinstance(answer, dict):
        rule = "expected {paint: probability} or the name of the likeliest paint"
        raise ValueError(f"{rule}, got {_short(answer)}")
    if strange := [name for name in answer if name not in paints]:
        raise ValueError(f"{strange[0]!r} is no paint of this thing; its paints are {', '.join(paints)}")
    return np.array([_number(answer.get(name, 0.0)) for name in paints])


# ---- judging it ----


def _told(name, given, answer, right, mistakes):
    """Feedback on one number or several.  mistakes: [(told, what it gives)], the likeliest first."""
    unit = " ab units" if name == "regression" else ""
    measure = np.linalg.norm if name == "regression" else lambda difference: np.abs(difference).max()
    away, tolerance = float(measure(np.subtract(answer, right))), TOLERANCE[name]
    if away <= tolerance:
        return Feedback("right", f"{name}: {given} is right, {away:.2g}{unit} from theory.")
    known = [(float(measure(np.subtract(answer, value))), order, told) for order, (told, value) in enumerate(mistakes)]
    nearest = min(known, default=(np.inf, 0, ""))
    head = f"{name}: {given} is {away:.2g}{unit} from theory; {tolerance:g} would do."
    if nearest[0] <= min(tolerance, away):
        return Feedback("not yet right", f"{head}\n{nearest[2]}.", nearest[2])
    return Feedback("not yet right", f"{head}\n{HINTS[name]}.")


def _point(answer, found):
    return _told("regression", f"({answer[0]:.3g}, {answer[1]:.3g})", answer, found.mean, _mean_mistakes(found))


def _shares(name, answer, found):
    given = ", ".join(f"{paint} {share:.3g}" for paint, share in zip(found.thing.names, answer, strict=True))
    if (answer < 0).any() or not answer.any():
        return Feedback("not yet right", f"{name}: {given}; probabilities are not below 0, and sum to 1.")
    right, total = found.shares[name], answer.sum()
    if abs(total - 1) > TOLERANCE[name]:
        return _not_normalised(name, given, answer, total, found)
    mistakes = _share_mistakes(found) if name == "classification" else _rebalanced_mistakes(found)
    return _told(name, given, answer, right, [*mistakes, _exchanged(answer, right)])


def _not_normalised(name, given, answer, total, found):
    head, told = f"{name}: {given} sum to {total:.3g}.", "the probabilities do not sum to 1; divide each by their sum"
    if name == "rebalanced" and np.allclose(answer, found.thing.shares() * found.weights, rtol=0.05):
        told = "these are the shares times the weights, and nothing has made them sum to 1; divide each by their sum"
    elif abs(total - 100) <= 3:
        told = "these are per cent; give shares, which sum to 1"
    return Feedback("not yet right", f"{head}\n{told}.", told)


def _likeliest(name, answer, found):
    """Feedback on the name of a paint: the likeliest one, or one that is as likely to EVEN."""
    paints, right = found.thing.names, found.shares[name]
    if answer not in paints:
        raise ValueError(f"{answer!r} is no paint of this thing; its paints are {', '.join(paints)}")
    share, best = right[paints.index(answer)], paints[int(right.argmax())]
    if share >= right.max() - EVEN:
        return Feedback("right", f"{name}: {answer} is the likeliest paint, or as likely as any, with {share:.2f}.")
    plain = found.shares["classification"]
    told = f"{HINTS[name]}; the largest is the likeliest paint"
    if name == "rebalanced" and answer == paints[int(plain.argmax())]:
        told = "the weight is forgotten: this is the commonest paint, and a rarer one weighs more"
    elif name == "classification" and answer == paints[int(found.shares["rebalanced"].argmax())]:
        told = "this is the likeliest paint after rebalancing; classification weighs no colour"
    elif mine := _alone(found, lambda one: one.shares(), lambda one: one.names[int(one.shares().argmax())] == answer):
        told = mine[0][0]
    return Feedback("not yet right", f"{name}: {answer} gets {share:.2f}, and {best} more.\n{told}.", told)


# ---- what typical mistakes give ----


def _alone(found, value_of, where=lambda one: True):
    """[(told, value)] for an answer about one of several things that nothing tells apart."""
    if len(found.things) == 1:
        return []
    told = "this is {} alone; nothing in gray tells it from {}, so both things' paints count, as often as each is met"
    others = lambda one: " and ".join(other.name for other in found.things if other is not one)
    return [(told.format(one.name, others(one)), value_of(one)) for one in found.things if where(one)]


def _as_often(found, value_of):
    """[(told, value)] for several things that count the same, however often each is met."""
    if len({one.often for one in found.things}) == 1:
        return []
    names = " and ".join(one.name for one in found.things)
    value = np.mean([value_of(one) for one in found.things], axis=0)
    return [(f"{names} count the same here; weigh each by how often it is met", value)]


def _mean_mistakes(found):
    thing, shares = found.thing, found.thing.shares()
    ab, rgb = thing.ab, np.array(thing.rgb8) / 255
    middle = np.full((len(ab), 1), np.mean(thing.lightness))
    shown = lab_to_rgb(_tensor(np.concatenate((middle, ab), 1))).numpy()
    likeliest = int(shares.argmax())
    in_rgb = "this is averaged in RGB; regression averages a and b, and the mean of RGB is another colour"
    tilted = found.shares["rebalanced"]
    known = [
        (in_rgb, _ab_of(shares @ rgb)),
        (in_rgb, _ab_of(shares @ shown)),
        ("a and b are swapped; a runs from green to magenta, b from blue to yellow", found.mean[::-1]),
        (
            "this is the likeliest paint, as classification would choose; regression answers with the mean of all",
            ab[likeliest],
        ),
        ("every paint counts the same here; weigh each by its share", ab.mean(0)),
        ("rebalancing has no part in regression: only the shares count, not the weights", tilted @ ab),
        ("the paints are added up without their shares", ab.sum(0)),
        ("the shares are in per cent here; they should sum to 1", 100 * found.mean),
        ("the sign is turned", -found.mean),
        ("this is gray, and the mean of these paints is not", np.zeros(2)),
    ]
    alone = lambda one: one.shares() @ one.ab
    return _alone(found, alone) + _as_often(found, alone) + known


def _tensor(values):
    import torch

    return torch.tensor(values, dtype=torch.float32)


def _ab_of(rgb01):
    return rgb_to_lab(_tensor(rgb01))[1:].double().numpy()


def _among_paints(found, one):
    """The shares of one thing's paints (C,), among the paints of all that are alike."""
    own = dict(zip(one.names, one.shares(), strict=True))
    return np.array([own.get(paint, 0.0) for paint in found.thing.names])


def _share_mistakes(found):
    right = found.shares["classification"]
    alone = lambda one: _among_paints(found, one)
    return [
        *_alone(found, alone),
        *_as_often(found, alone),
        ("this is the rebalanced answer; classification weighs no colour", found.shares["rebalanced"]),
        (
            "all of it lies on the likeliest paint, which is one colour; the answer is a distribution over all paints",
            np.eye(len(right))[right.argmax()],
        ),
        ("every paint counts the same here; give each its share", np.full(len(right), 1 / len(right))),
    ]


def _exchanged(answer, right):
    """The right shares in the order in which the answer has them: of all their orders, the nearest to it."""
    value = np.empty_like(right)
    value[np.argsort(answer)] = np.sort(right)
    return "the shares stand at the wrong paints", value


def _rebalanced_mistakes(found):
    plain, weights = found.shares["classification"], found.weights
    tilted = lambda shares, power: shares * weights**power / (shares * weights**power).sum()
    return [
        ("the weight is forgotten: these are the shares as they are", plain),
        ("the weight counts twice here; multiply by it once", tilted(plain, 2)),
        ("this divides by the weight; multiply by it, as a rare colour weighs more", tilted(plain, -1)),
        ("the shares are forgotten: these are the weights alone", tilted(np.ones_like(plain), 1)),
        *_alone(found, lambda one: tilted(_among_paints(found, one), 1)),
        *_as_often(found, lambda one: tilted(_among_paints(found, one), 1)),
        (
            "rebalancing lifts what is rare, it does not make all paints the same; multiply each share by its weight",
            np.full(len(plain), 1 / len(plain)),
        ),
    ]


def _largest_mistakes(found):
    plain, largest = found.shares["classification"], found.largest_bin
    return [
        ("soft encoding is forgotten: all of the paint lies on one bin here, and five share it", plain.max()),
        ("the share is forgotten: this is what one colour leaves on its nearest bin", largest / plain.max()),
        ("the five bins do not weigh the same; the nearest gets about .6", plain.max() / 5),
        ("this is one bin of all 313 alike", 1 / 313),
        ("this is the rebalanced answer", found.distributions["rebalanced"].max()),
    ]
