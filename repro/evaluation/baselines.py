"""Predictions that need no network: gray, and another photograph's colours (paper, table 1)."""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from repro.color import lab_to_rgb8, rgb8_to_lab


def gray(true_ab: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n 2"]:
    """ab = 0 everywhere."""
    return torch.zeros_like(true_ab)


def random(training: UInt8[np.ndarray, "m h w 3"], count: int, seed=0) -> UInt8[np.ndarray, "{count} h w 3"]:
    """Photographs drawn from those of a training set, one for each evaluated photograph: their ab is the prediction.

    As the paper's row "random" (section 3.1): the colours of a random training image.  training: of the size of the
    evaluated ones; only what is drawn is read.  A photograph may be drawn twice.  seed: int, list of int, or a NumPy
    Generator, which then draws on.  Raises ValueError where there are no training photographs.
    """
    if not len(training):
        raise ValueError("random colours are those of training photographs, and there are none; hand in at least one")
    return np.asarray(training[np.random.default_rng(seed).integers(len(training), size=count)])


def others(photos: UInt8[np.ndarray, "n h w 3"], seed=0) -> UInt8[np.ndarray, "n h w 3"]:
    """The same photographs in another order, in which none keeps its place: for `random` where no training set is.

    seed: as of `random`.  Raises ValueError for a single photograph.
    """
    if len(photos) < 2:
        raise ValueError("random colours are those of another photograph, so there must be at least two")
    order = np.random.default_rng(seed).permutation(len(photos))
    other = np.empty_like(order)
    other[order] = np.roll(order, 1)  # one cycle through all photographs
    return np.asarray(photos[other])


def painted(
    rgb8: UInt8[np.ndarray, "n h w 3"], colours: UInt8[np.ndarray, "n h w 3"] | None = None
) -> UInt8[np.ndarray, "n h w 3"]:
    """Photographs with the colours of others on their own lightness, or, without any, in gray.

    colours: as many photographs of the same size.  Raises ValueError for others.
    """
    if colours is not None and np.shape(colours) != np.shape(rgb8):
        raise ValueError(f"colours must be those of photographs {np.shape(rgb8)} as these, got {np.shape(colours)}")
    lab = torch.from_numpy(rgb8_to_lab(np.ascontiguousarray(rgb8)))
    if colours is None:
        ab = gray(lab[..., 1:])
    else:
        ab = torch.from_numpy(rgb8_to_lab(np.ascontiguousarray(colours)))[..., 1:]
    return lab_to_rgb8(torch.cat((lab[..., :1], ab), -1))
