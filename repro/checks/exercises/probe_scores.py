"""Exercise 09: what frozen features know, by least squares."""

import numpy as np
import torch

from repro.checks.exercises.exercise import Exercise, double


def probe_scores(train, labels, test, decay, correction=1):
    """train (N, D) and test (M, D) float64 features, labels (N,) int64 -> scores (M, C).

    Each label of 0..C-1 occurs at least once.
    """
    mean, deviation = train.mean(0), train.std(0, correction=correction)
    return _fitted((train - mean) / deviation, labels, (test - mean) / deviation, decay)


def _fitted(seen, labels, unseen, decay, level=True):
    """Scores from features that are standardised already.

    Without level the classes' shares are neither taken off nor added.
    """
    target = torch.nn.functional.one_hot(labels).to(seen.dtype)
    shares = target.mean(0) * level
    square = seen.T @ seen + decay * torch.eye(seen.shape[1], dtype=seen.dtype)
    return unseen @ torch.linalg.solve(square, seen.T @ (target - shares)) + shares


# ---- cases ----


def _photographs(rng, counts, features, unseen, decay):
    """Features that differ by class, in scale and in level; counts: training photographs of each class."""
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    centres = rng.normal(0, 1.5, (len(counts), features))
    scale, level = rng.uniform(0.3, 5, features), rng.uniform(-5, 5, features)
    train = (centres[labels] + rng.normal(0, 1, (len(labels), features))) * scale + level
    test = (rng.normal(0, 1.5, (unseen, features)) + 0.5) * scale + level
    return double(train), torch.tensor(labels), double(test), decay


def draw(rng):
    """Two to four classes of unequal size, and the odd cases.

    One feature, more features than photographs, one test photograph, no decay.
    """
    return [
        ("five photographs, one feature, two classes", _photographs(rng, (3, 2), 1, 1, 1.0)),
        ("two features, no decay", _photographs(rng, (5, 3), 2, 2, 0.0)),
        ("two features, two classes", _photographs(rng, (2, 5), 2, 2, 3.0)),
        ("three unequal classes", _photographs(rng, (2, 3, 6), 2, 3, 0.5)),
        ("one photograph to score", _photographs(rng, (4, 2, 3), 3, 1, 5.0)),
        ("as many features as classes and test photographs", _photographs(rng, (3, 5, 4), 3, 3, 1.5)),
        ("more features than photographs", _photographs(rng, (3, 4), 12, 4, 0.5)),
        ("much decay", _photographs(rng, (9, 4, 5), 4, 6, 30.0)),
        ("equal classes", _photographs(rng, (8, 8, 8), 5, 12, 2.0)),
        ("four classes", _photographs(rng, (12, 5, 3, 9), 6, 5, 0.1)),
        ("40 photographs, no decay", _photographs(rng, (20, 15, 5), 5, 8, 0.0)),
    ]


# ---- mistakes ----


def _standardised(scale, **options):
    """Probes whose features are standardised by scale(train, test, correction) -> seen, unseen.

    The correction is n - 1 and n.
    """

    def probe(correction):
        def scores(train, labels, test, decay):
            return _fitted(*_around(labels, scale(train, test, correction)), decay, **options)

        return scores

    return probe(1), probe(0)


def _around(labels, features):
    seen, unseen = features
    return seen, labels, unseen


def _right(train, test, correction):
    mean, deviation = train.mean(0), train.std(0, correction=correction)
    return (train - mean) / deviation, (test - mean) / deviation


def _alone(features, correction):
    return (features - features.mean(0)) / features.std(0, correction=correction)


def _together(train, test, correction):
    return tuple(_alone(torch.cat([train, test]), correction).split([len(train), len(test)]))


def _one_for_all(train, test, correction):
    mean, deviation = train.mean(0), train.std(correction=correction)
    return (train - mean) / deviation, (test - mean) / deviation


def _by_variance(train, test, correction):
    mean, variance = train.mean(0), train.var(0, correction=correction)
    return (train - mean) / variance, (test - mean) / variance


def _decayed(change):
    """Probes with another decay: change(decay, train)."""
    return tuple(
        lambda train, labels, test, decay, c=c: probe_scores(train, labels, test, change(decay, train), c)
        for c in (1, 0)
    )


def _changed(change):
    """Probes whose scores are changed at the end."""
    return tuple(lambda *given, c=c: change(probe_scores(*given, c)) for c in (1, 0))


def _shrunk_constant(train, test, correction):
    seen, unseen = _right(train, test, correction)
    return torch.cat([seen, seen.new_ones(len(seen), 1)], 1), torch.cat([unseen, unseen.new_ones(len(unseen), 1)], 1)


def _everywhere(train, labels, test, decay, correction=1):
    seen, unseen = _right(train, test, correction)
    target = torch.nn.functional.one_hot(labels).to(seen.dtype)
    shares = target.mean(0)
    return unseen @ torch.linalg.solve(seen.T @ seen + decay, seen.T @ (target - shares)) + shares


EXERCISE = Exercise(
    probe_scores,
    ("train", "labels", "test", "decay"),
    ("scores",),
    draw,
    {
        "the test photographs are standardised by their own mean and deviation; use the training ones'": (
            *_standardised(lambda train, test, c: (_alone(train, c), _alone(test, c))),
            *_standardised(lambda train, test, c: (_alone(train, c), torch.nan_to_num(_alone(test, c)))),
        ),
        "the features are standardised over training and test photographs together; the test ones must not help": (
            _standardised(_together)
        ),
        "the test photographs are not standardised; use the training ones' mean and deviation": _standardised(
            lambda train, test, c: (_alone(train, c), test)
        ),
        "all features are divided by one deviation; each has its own: std(0)": _standardised(_one_for_all),
        "the features are divided by the variance; divide by the deviation": _standardised(_by_variance),
        "the features are not divided by their deviation, so the decay hits them unequally": _standardised(
            lambda train, test, c: (train - train.mean(0), test - train.mean(0))
        ),
        "the features are not standardised": _standardised(lambda train, test, c: (train, test)),
        "the classes' levels are missing: fit the targets minus their mean, and add it again": _standardised(
            _right, level=False
        ),
        "the constant is fitted under the decay too, so it shrinks; take the mean off the targets and add it again": (
            _standardised(_shrunk_constant, level=False)
        ),
        "the decay is forgotten": _decayed(lambda decay, train: 0.0),
        "the decay is squared": _decayed(lambda decay, train: decay**2),
        "the decay is doubled; the equation has it once": _decayed(lambda decay, train: 2 * decay),
        "the decay is halved; the equation has it whole": _decayed(lambda decay, train: decay / 2),
        "the decay is multiplied by the number of photographs; the equation has it once": _decayed(
            lambda decay, train: decay * len(train)
        ),
        "the decay is divided by the number of photographs; the equation has it whole": _decayed(
            lambda decay, train: decay / len(train)
        ),
        "the decay's root is taken; the equation has it whole": _decayed(lambda decay, train: decay**0.5),
        "the decay is subtracted; it should be added": _decayed(lambda decay, train: -decay),
        "the decay is added to every entry of the matrix; it belongs on the diagonal (times I)": (
            _everywhere,
            lambda *given: _everywhere(*given, 0),
        ),
        "these are the classes; the scores are asked for, before argmax": _changed(lambda scores: scores.argmax(1)),
        "the scores are turned into probabilities; give them as they are": _changed(lambda scores: scores.softmax(1)),
    },
    also_right=(lambda train, labels, test, decay: probe_scores(train, labels, test, decay, 0),),
)
