"""A few predicted ab values joined with the photograph's own full-size lightness, and the way down to its small copy.

The full-size picture is worked on in strips, so memory stays near that of the result.
"""

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from repro.color import lab_to_rgb_at_its_lightness, rgb8_to_lightness
from repro.examples import STRIDE

STRIP = 1 << 19  # pixels worked on at once at full resolution ...
LONG = 1 << 14  # ... and of one side at once


def join(photo, ab, guide=None, into=None):
    """Colour a photograph with a small ab map: (H, W, 3) uint8, (2, h, w) -> (H, W, 3) uint8.

    Network output i stands for pixel 4 i of the small copy (targets are every 4th pixel), so ab is
    interpolated between those.  guide: lightness (4 h, 4 w) of the small copy; colours then end where
    lightness says that things end (`guided`), instead of fading over four of its pixels.  into: an array that takes
    the result, in place of a new one.
    """
    height, width = photo.shape[:2]
    step = STRIDE if guide is None else 1
    offset, slope = (ab, None) if guide is None else guided(ab, guide)
    result = np.empty(photo.shape, np.uint8) if into is None else into
    wide = min(width, LONG)
    high = min(LONG, max(1, STRIP // wide))
    for left in range(0, width, wide):
        columns = interpolation(width, offset.shape[2], step, left, left + wide).T
        for top in range(0, height, high):
            rows = interpolation(height, offset.shape[1], step, top, top + high)
            tile = slice(top, top + high), slice(left, left + wide)
            lab = torch.empty(*photo[tile].shape)
            lab[..., 0] = torch.from_numpy(rgb8_to_lightness(photo[tile]))
            lab[..., 1:] = (rows @ offset @ columns).permute(1, 2, 0)
            if slope is not None:
                lab[..., 1:] += (rows @ slope @ columns).permute(1, 2, 0) * lab[..., :1]
            result[tile] = (lab_to_rgb_at_its_lightness(lab) * 255).round_().to(torch.uint8).numpy()
    return result


def reduced(photo, across, down):
    """Means of blocks of `across` x `down` pixels: (H, W, 3) uint8 -> (ceil(H / down), ceil(W / across), 3) uint8.

    As Pillow's `Image.reduce`, the last blocks of what there is; but in strips, as Pillow copies what it is given.
    """
    high = max(1, STRIP // (photo.shape[1] * down)) * down
    strips = (photo[top : top + high] for top in range(0, len(photo), high))
    return np.concatenate([np.asarray(Image.fromarray(strip).reduce((across, down))) for strip in strips])


def guided(ab, lightness, radius=4, epsilon=10.0):
    """Fast guided filter (He and Sun, arXiv 1505.00996): ab as a linear function of lightness near every pixel.

    ab: (2, h, w).  lightness: (4 h, 4 w) of the small copy.  radius: of the windows, its pixels.  epsilon: L
    squared; a step in lightness smaller than its root is no edge.  Returns offset and slope (2, 4 h, 4 w): at
    full resolution ab = offset + slope * lightness, whatever the resolution is.
    """
    rows, columns = (interpolation(STRIDE * count, count) for count in ab.shape[1:])
    ab = rows @ ab @ columns.T
    mean = lambda x: F.avg_pool2d(x[None], 2 * radius + 1, 1, radius, count_include_pad=False)[0]
    light = lightness[None]
    covariance = mean(light * ab) - mean(light) * mean(ab)
    slope = covariance / (mean(light * light) - mean(light) ** 2 + epsilon)
    return mean(mean(ab) - slope * mean(light)), mean(slope)


def interpolation(length, count, step=STRIDE, first=0, end=None):
    """Linear interpolation from `count` values to `length` pixels: (length, count).

    The values lie at every `step`-th pixel of the small copy.  With `first` and `end`, the pixels are those from
    `first` to before `end`.
    """
    pixels = torch.arange(first, length if end is None else min(end, length))
    position = ((pixels + 0.5) * (step * count / length) - 0.5) / step  # in units of values
    position = position.clamp(0, count - 1)
    below = position.floor().long().clamp(max=max(count - 2, 0))
    matrix = torch.zeros(len(position), count)
    matrix.scatter_(1, below[:, None], (1 - (position - below))[:, None])
    if count > 1:
        matrix.scatter_(1, below[:, None] + 1, (position - below)[:, None])
    return matrix
