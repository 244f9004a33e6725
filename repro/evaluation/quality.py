"""How good a classifier's scores are: top-1 accuracy, average precision, and how sure both are."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from repro.color import Array

# A class each, or for each class -1, 0 or 1: not there, difficult, there.
Targets = Sequence[int] | Int[Array, " n"] | Int[Array, "n c"]


def score(scores: Float[Array, "n c"], targets: Targets) -> float:
    """Top-1 accuracy where each photograph has one class, else mean average precision.  In 0..1."""
    targets = torch.as_tensor(np.asarray(targets))
    if targets.ndim == 1:
        return float((scores.argmax(1) == targets).float().mean())
    return mean_average_precision(scores, targets)


def right(scores: Float[Array, "n c"], targets: Targets) -> Bool[np.ndarray, " n"] | None:
    """Which photographs' highest score is their class's; None where they have several classes."""
    targets = np.asarray(targets)
    return np.asarray(scores).argmax(1) == targets if targets.ndim == 1 else None


def sampling_error(scores: Float[Array, "n c"], targets: Targets, resamples: int = 200) -> float:
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


def average_precision(
    scores: Sequence[float] | Float[Array, " n"], relevant: Sequence[bool] | Bool[Array, " n"]
) -> float:
    """PASCAL VOC 2007: the mean of the precision at recalls 0, .1 ...

    1, each the best at that recall or a higher one (Everingham et al. 2010, equation 2).

    scores: higher is surer.  NaN if nothing is relevant.
    """
    scores, relevant = np.asarray(scores, float), np.asarray(relevant, bool)
    if not relevant.any():
        return math.nan
    hits = relevant[np.argsort(-scores, kind="stable")].cumsum()
    recall, precision = hits / relevant.sum(), hits / np.arange(1, len(hits) + 1)
    return float(np.mean([precision[recall >= r - 1e-12].max() for r in np.linspace(0, 1, 11)]))


def mean_average_precision(scores: Float[Array, "n c"], targets: Int[Array, "n c"]) -> float:
    """Mean over classes of `average_precision`; targets in {-1, 0, 1}.

    Photographs with 0 ("difficult") are left out of that class.
    """
    scores, targets = np.asarray(scores), np.asarray(targets)
    kept = [targets[:, c] != 0 for c in range(targets.shape[1])]
    found = [average_precision(scores[k, c], targets[k, c] > 0) for c, k in enumerate(kept)]
    return float(np.nanmean(found))
