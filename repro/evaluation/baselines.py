"""Predictions that need no network: gray, and another photograph's colours (paper, table 1)."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from repro.color import lab_to_rgb8, rgb8_to_lab


def gray(true_ab: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n 2"]:
    """ab = 0 everywhere."""
    return torch.zeros_like(true_ab)


def random(true_ab: Float[Tensor, "n h w 2"], seed: int = 0) -> Float[Tensor, "n h w 2"]:
    """The colours of another photograph of the set.

    No photograph keeps its own.  The paper takes a random training photograph's colours; here the others of the
    evaluated set serve, so that no training photographs are needed.  Raises ValueError for a single photograph.
    """
    if len(true_ab) < 2:
        raise ValueError("random colours are those of another photograph, so there must be at least two")
    order = torch.randperm(len(true_ab), generator=torch.Generator().manual_seed(seed))
    other = torch.empty_like(order)
    other[order] = order.roll(1)  # one cycle through all photographs
    return true_ab[other]


def painted(rgb8: UInt8[np.ndarray, "n h w 3"], baseline: Callable = gray, **options) -> UInt8[np.ndarray, "n h w 3"]:
    """Photographs with a baseline's colours on their own lightness.

    baseline: `gray` or `random`, with its options.
    """
    lab = torch.from_numpy(rgb8_to_lab(np.ascontiguousarray(rgb8)))
    return lab_to_rgb8(torch.cat((lab[..., :1], baseline(lab[..., 1:], **options)), -1))
