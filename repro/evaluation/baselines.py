"""Predictions that need no network: gray, and another photograph's colours (paper, table 1)."""

import numpy as np
import torch

from repro.color import lab_to_rgb8, rgb8_to_lab


def gray(true_ab):
    """ab = 0 everywhere: (N, h, w, 2) -> the same shape."""
    return torch.zeros_like(true_ab)


def random(true_ab, seed=0):
    """The colours of another photograph of the set: (N, h, w, 2), N > 1 -> the same shape.

    No photograph keeps its own.  The paper takes a random training photograph's colours; here the others of the
    evaluated set serve, so that no training photographs are needed.  Raises ValueError for a single photograph.
    """
    if len(true_ab) < 2:
        raise ValueError("random colours are those of another photograph, so there must be at least two")
    order = torch.randperm(len(true_ab), generator=torch.Generator().manual_seed(seed))
    other = torch.empty_like(order)
    other[order] = order.roll(1)  # one cycle through all photographs
    return true_ab[other]


def painted(rgb8, baseline=gray, **options):
    """Photographs with a baseline's colours on their own lightness: (N, H, W, 3) uint8 -> the same shape.

    baseline: `gray` or `random`, with its options.
    """
    lab = torch.from_numpy(rgb8_to_lab(np.ascontiguousarray(rgb8)))
    return lab_to_rgb8(torch.cat((lab[..., :1], baseline(lab[..., 1:], **options)), -1))
