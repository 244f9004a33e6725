"""sRGB to Lab: from bytes by table, and from floats in torch, beside scikit-image."""

import numpy as np
import torch
from skimage.color import rgb2lab

from benchmarks.measure import Figure, best_seconds
from benchmarks.photographs import squares
from repro.color import rgb8_to_lab, rgb_to_lab


def run(small=False):
    rgb8 = squares(32 if small else 256)
    rgb01 = (rgb8 / 255).astype(np.float32)
    tensor = torch.from_numpy(rgb01)
    seconds = best_seconds(
        {
            "table": lambda: rgb8_to_lab(rgb8),
            "skimage, bytes": lambda: rgb2lab(rgb8),
            "torch": lambda: rgb_to_lab(tensor),
            "skimage, floats": lambda: rgb2lab(rgb01),
        },
        1 if small else 7,
    )
    exact = rgb2lab(rgb8.astype(np.float64) / 255)
    error = lambda lab: {"lab_error": float(np.abs(np.asarray(lab) - exact).max())}
    pixels = f"{rgb8.size // 3:,} pixels"
    return [
        Figure(
            f"rgb8_to_lab, {pixels}",
            "scikit-image on bytes",
            seconds["table"],
            seconds["skimage, bytes"],
            notes=error(rgb8_to_lab(rgb8)),
        ),
        Figure(
            f"rgb_to_lab, {pixels}",
            "scikit-image on float32",
            seconds["torch"],
            seconds["skimage, floats"],
            notes=error(rgb_to_lab(tensor)),
        ),
    ]
