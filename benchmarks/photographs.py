"""Real colours to measure on: the photographs that come with scikit-image and scikit-learn."""

import numpy as np
import torch
from PIL import Image

from repro.color import rgb8_to_lab
from repro.datasets.photographs import center_square
from repro.datasets.sources import SPLITS, BundledSource


def squares(size):
    """Central squares of all eight: (8, size, size, 3) uint8."""
    source = BundledSource()
    return np.stack([center_square(source.read(item), size) for split in SPLITS for item in source.items(split)])


def colours(size):
    """ab of their pixels: (8 * size * size, 2) float32 tensor."""
    return torch.from_numpy(rgb8_to_lab(squares(size))[..., 1:].reshape(-1, 2).copy())


def photograph(megapixels, index=0):
    """One of them at any size, 4:3: (H, W, 3) uint8."""
    width = max(16, round((megapixels * 1e6 * 4 / 3) ** 0.5))
    return np.asarray(Image.fromarray(squares(512)[index]).resize((width, width * 3 // 4), Image.Resampling.BICUBIC))


def write_jpegs(folder, count, size, quality=92):
    """Write `count` different crops of about `size` pixels as JPEG files; returns their paths."""
    pictures, rng, written = squares(2 * size), np.random.default_rng(0), []
    for number in range(count):
        top, left = rng.integers(0, size, 2)
        crop = pictures[number % len(pictures), top : top + size, left : left + size]
        written.append(folder / f"{number:04d}.jpg")
        Image.fromarray(crop).save(written[-1], quality=quality)
    return written
