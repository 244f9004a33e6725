"""How good a classifier's scores are: top-1 accuracy, average precision, and how sure both are."""

import math

import numpy as np
import torch


def score(scores, targets):
    """Top-1 accuracy for (N,) targets; mean average precision for (N, C) ones.  In 0..1."""
    targets = torch.as_tensor(np.asarray(targets))
    if targets.ndim == 1:
        return float((scores.argmax(1) == targets).float().mean())
    return mean_average_precision(scores, targets)


def right(scores, targets):
    """Which photographs' highest score is their class's: (N,) bool; None for (N, C) targets."""
    targets = np.asarray(targets)
    return np.asarray(scores).argmax(1) == targets if targets.ndim == 1 else None


def sampling_error(scores, targets, resamples=200):
    """Standard error of `score` over other test photographs.

    It is by formula for top-1, by bootstrap for mean average precision.
    """
    targets = np.asarray(targets)
    if targets.ndim == 1:
        right = score(scores, targets)
        return math.sqrt(right * (1 - right) / len(targets))
    rng = np.random.default_rng(0)
    drawn = (rng.integers(0, len(targets), len(targets)) for _ in range(resamples))
    found = [mean_average_precision(np.asarray(scores)[rows], targets[rows]) for rows in drawn]
    return float(np.nanstd(found, ddof=1))


def average_precision(scores, relevant):
    """PASCAL VOC 2007: the mean of the precision at recalls 0, .1 ...

    1, each the best at that recall or a higher one (Everingham et al. 2010, equation 2).

    scores: (N,) higher is surer. relevant: (N,) bool. NaN if nothing is relevant.
    """
    scores, relevant = np.asarray(scores, float), np.asarray(relevant, bool)
    if not relevant.any():
        return math.nan
    hits = relevant[np.argsort(-scores, kind="stable")].cumsum()
    recall, precision = hits / relevant.sum(), hits / np.arange(1, len(hits) + 1)
    return float(np.mean([precision[recall >= r - 1e-12].max() for r in np.linspace(0, 1, 11)]))


def mean_average_precision(scores, targets):
    """Mean over classes of `average_precision`: scores (N, C), targets (N, C) in {-1, 0, 1}.

    Photographs with 0 ("difficult") are left out of that class.
    """
    scores, targets = np.asarray(scores), np.asarray(targets)
    kept = [targets[:, c] != 0 for c in range(targets.shape[1])]
    found = [average_precision(scores[k, c], targets[k, c] > 0) for c, k in enumerate(kept)]
    return float(np.nanmean(found))
