"""Figures of photographs, and what is made of them to be looked at."""

import numpy as np
import torch

from repro.color import lab_to_rgb8, rgb8_to_lightness
from repro.pages.show import new_figure


def photographs(photos, titles=None, columns=None, height=1.7):
    """Photographs in a grid: list of (H, W, 3) or (H, W) uint8 arrays.  Returns a Figure."""
    columns = min(columns or len(photos), len(photos))
    rows = -(-len(photos) // columns)
    figure, axes = new_figure(
        columns, rows, width=height * 1.05 * columns, height=(height + 0.25) * rows, squeeze=False
    )
    for axis, photo, title in zip(axes.flat, photos, titles or [""] * len(photos), strict=False):
        axis.imshow(photo, cmap="gray", vmin=0, vmax=255)
        axis.set_title(title, fontsize=8, loc="center", parse_math=False)  # a name may hold dollars
        axis.set(xticks=[], yticks=[])
        for side in axis.spines.values():  # a thin frame: a white mask ends where it ends, not with the page
            side.set(visible=True, color="#999", linewidth=0.5)
    for axis in axes.flat[len(photos) :]:
        axis.axis("off")
    return figure


def lightness_only(rgb8):
    """What the network is given, as a gray photograph: (H, W, 3) uint8 -> (H, W, 3) uint8."""
    lightness = torch.from_numpy(rgb8_to_lightness(rgb8))
    return lab_to_rgb8(torch.stack((lightness, torch.zeros_like(lightness), torch.zeros_like(lightness)), -1))


def halves(left, right, percent):
    """Two pictures (H, W, 3) uint8 in one, with a white line at `percent` of the width between.

    The first is to the left of the line, the second to its right.
    """
    at = round(left.shape[1] * percent / 100)
    picture = np.concatenate((left[:, :at], right[:, at:]), 1)
    if 0 < at < picture.shape[1]:
        picture[:, max(0, at - max(1, picture.shape[1] // 160)) : at] = 255
    return picture
