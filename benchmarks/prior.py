"""Estimating the prior from every 4th pixel of JPEG files, as page 01 does.

Beside it stands decoding the same files and doing nothing with them.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.measure import Figure, best_seconds
from benchmarks.photographs import write_jpegs
from repro.bins import ab_bins
from repro.color import rgb8_to_lab
from repro.datasets.photographs import read_photo
from repro.prior import empirical_prior


def run(small=False):
    count, size = (8, 64) if small else (400, 256)
    bins = ab_bins()
    with tempfile.TemporaryDirectory() as folder:
        files = write_jpegs(Path(folder), count, size)

        def decoded():
            for file in files:
                np.array(Image.open(file).convert("RGB"))

        def estimated():
            return empirical_prior(
                (torch.from_numpy(rgb8_to_lab(read_photo(file)[::4, ::4])[..., 1:].copy()) for file in files),
                bins,
            )

        seconds = best_seconds({"ours": estimated, "decoding": decoded}, 1 if small else 5)
    name = f"prior from {count} JPEG files of {size} px"
    return [Figure(name, "decoding alone (Pillow)", seconds["ours"], seconds["decoding"], reading="plain")]
