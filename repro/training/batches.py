"""Batches from an array of photographs: which, where cropped, mirrored or not, all decided by (seed, step)
alone.

A step's batch does not depend on the steps before it, so a run continues exactly where it stopped with
nothing to remember.
"""

from functools import lru_cache

import numpy as np
import torch

from repro.color import rgb8_to_lab, rgb8_to_lightness

STRIDE = 4  # the network's output, and so its target, is every 4th pixel


def training_crops(photos, batch, crop, seed, step):
    """Random crops, half of them mirrored: photos (N, S, S, 3) uint8 -> (batch, crop, crop, 3) uint8.

    Every photograph is seen once an epoch, in an order of its own.  Raises ValueError if the photographs are
    smaller than the crop, or there are none.
    """
    size = _check_size(photos, crop)
    rng = np.random.default_rng((seed, step))
    first = step * batch
    crops = np.empty((batch, crop, crop, 3), np.uint8)
    for slot in range(batch):
        epoch, position = divmod(first + slot, len(photos))
        photo = photos[_order(seed, epoch, len(photos))[position]]
        top, left = rng.integers(0, size - crop + 1, 2)
        window = photo[top : top + crop, left : left + crop]
        crops[slot] = window[:, ::-1] if rng.integers(2) else window
    return crops


def _check_size(photos, crop):
    """The photographs' side in pixels, if crops fit into it."""
    size = photos.shape[1]
    if not len(photos):
        raise ValueError("no photographs")
    if size < crop:
        raise ValueError(f"photographs are stored at {size} pixels, too small for crops of {crop}")
    return size


@lru_cache(maxsize=4)
def _order(seed, epoch, count):
    return np.random.default_rng((seed, 1 << 40, epoch)).permutation(count)


def center_crops(photos, crop):
    """The middle of each photograph: (N, S, S, 3) uint8 -> (N, crop, crop, 3) uint8.  Raises as
    `training_crops`."""
    _check_size(photos, crop)
    margin = (photos.shape[1] - crop) // 2
    return photos[:, margin : margin + crop, margin : margin + crop]


def to_example(rgb8):
    """What the network is given and what it should say.

    rgb8: (N, H, W, 3) uint8 array.  Returns lightness (N, 1, H, W) float32, 0..100, and true ab (N, H/4, W/4,
    2), ab units, of every 4th pixel.  Only those pixels go through the whole conversion; the others need
    their lightness alone.
    """
    lightness = torch.from_numpy(rgb8_to_lightness(rgb8))[:, None]
    return lightness, torch.from_numpy(rgb8_to_lab(rgb8[:, ::STRIDE, ::STRIDE])[..., 1:].copy())
