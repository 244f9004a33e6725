"""A few predicted ab values joined with the photograph's own full-size lightness, and the way down to its small copy.

The full-size picture is worked on in strips, so memory stays near that of the result.
"""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from repro.color import lab_to_rgb_at_its_lightness, rgb8_to_lightness
from repro.examples import STRIDE
from repro.network import MULTIPLE

STRIP = 1 << 19  # pixels worked on at once at full resolution ...
LONG = 1 << 14  # ... and of one side at once


def join(
    photo: UInt8[np.ndarray, "h w 3"],
    ab: Float[Tensor, "2 _ _"] | tuple[Float[Tensor, "2 _ _"], Float[Tensor, "2 _ _"]],
    guide: Float[Tensor, "_ _"] | None = None,
    into: UInt8[np.ndarray, "h w 3"] | None = None,
    step: int = STRIDE,
) -> UInt8[np.ndarray, "h w 3"]:
    """Colour a photograph with a small ab map.

    Network output i stands for pixel 4 i of the small copy (targets are every 4th pixel), so ab is
    interpolated between those.  guide: lightness (4 h, 4 w) of the small copy; colours then end where
    lightness says that things end (`guided`), instead of fading over four of its pixels.  into: an array that takes
    the result, in place of a new one.  With a guide, ab may also be what `guided` gives: offset and slope.
    step: pixels of the small copy from one value of ab to the next, where there is no guide.
    """
    height, width = photo.shape[:2]
    step = step if guide is None else 1
    offset, slope = ab if isinstance(ab, tuple) else (ab, None) if guide is None else guided(ab, guide)
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
            # bilinear interpolation is linear in rows, then in columns: two products of matrices
            lab[..., 1:] = (rows @ offset @ columns).permute(1, 2, 0)
            if slope is not None:  # times the full-size lightness: so colours end as sharply as the photograph's edges
                lab[..., 1:] += (rows @ slope @ columns).permute(1, 2, 0) * lab[..., :1]
            result[tile] = (lab_to_rgb_at_its_lightness(lab) * 255).round_().to(torch.uint8).numpy()
    return result


def as_release(ab: Float[Tensor, "2 h w"]) -> Float[Tensor, "2 4*h 4*w"]:
    """The ab map that the authors' PyTorch release draws from, for `join` with a step of 1.

    Its output i lies in the middle of four pixels, at 4 i + 1.5 (`align_corners=False`), although it was trained to
    tell pixel 4 i: so its colours lie 1.5 pixels off.
    """
    return F.interpolate(ab[None], scale_factor=STRIDE, mode="bilinear", align_corners=False)[0]


def squashed(photo: UInt8[np.ndarray, "h w 3"], side: int) -> UInt8[np.ndarray, "s s 3"]:
    """The small copy as the authors' PyTorch release makes it: a square, whatever the photograph's shape.

    Its side is `side`, or the nearest multiple of 8.  By Pillow's bicubic filter.
    """
    side = max(MULTIPLE, round(side / MULTIPLE) * MULTIPLE)
    return np.asarray(Image.fromarray(photo).resize((side, side), Image.Resampling.BICUBIC))


def reduced(
    photo: UInt8[np.ndarray, "h w 3"], across: int, down: int
) -> UInt8[np.ndarray, "-(-h//{down}) -(-w//{across}) 3"]:
    """Means of blocks of `across` x `down` pixels, as many as cover the photograph.

    Like Pillow's `Image.reduce`, it averages what there is of the last blocks.  It works in strips, because Pillow
    copies what it is given.
    """
    high = max(1, STRIP // (photo.shape[1] * down)) * down
    strips = (photo[top : top + high] for top in range(0, len(photo), high))
    return np.concatenate([np.asarray(Image.fromarray(strip).reduce((across, down))) for strip in strips])


def guided(
    ab: Float[Tensor, "2 _ _"], lightness: Float[Tensor, "h w"], radius: int = 4, epsilon: float = 10.0
) -> tuple[Float[Tensor, "2 h w"], Float[Tensor, "2 h w"]]:
    """Fast guided filter (He and Sun, arXiv 1505.00996): ab as a linear function of lightness near every pixel.

    ab: of every 4th pixel, or already of each.  lightness: of the small copy.  radius: of the windows, its pixels.
    epsilon: L squared; a step in lightness smaller than its root is no edge.
    Returns offset and slope: ab = offset + slope * lightness at full resolution, whatever that is.
    """
    if ab.shape[1:] != lightness.shape:
        rows, columns = (interpolation(STRIDE * count, count) for count in ab.shape[1:])
        ab = rows @ ab @ columns.T
    light = lightness[None]
    means = _window_means(torch.cat((light, light * light, ab, light * ab)), radius)
    of_light, of_square, of_ab, of_product = means.split((1, 1, 2, 2))
    # linear regression in each window: covariance over variance, which epsilon keeps from 0 where it is even
    slope = (of_product - of_light * of_ab) / (of_square - of_light**2 + epsilon)
    return _window_means(torch.cat((of_ab - slope * of_light, slope)), radius).split(2)


def _window_means(maps, radius):
    """Means of the windows around every pixel, which end at the borders: (n, h, w)."""
    # along one side and then the other: 2 (2 r + 1) values a pixel instead of (2 r + 1)^2
    wide = 2 * radius + 1
    rows = F.avg_pool2d(maps[None], (1, wide), 1, (0, radius), count_include_pad=False)
    return F.avg_pool2d(rows, (wide, 1), 1, (radius, 0), count_include_pad=False)[0]


def interpolation(
    length: int, count: int, step: int = STRIDE, first: int = 0, end: int | None = None
) -> Float[Tensor, "pixels {count}"]:
    """Linear interpolation from `count` values to `length` pixels, as a matrix.

    The values lie at every `step`-th pixel of the small copy.  With `first` and `end`, the pixels are those from
    `first` to before `end`.
    """
    pixels = torch.arange(first, length if end is None else min(end, length))
    # pixels have their centres at .5: first the place in the small copy, then counted in values
    position = ((pixels + 0.5) * (step * count / length) - 0.5) / step
    position = position.clamp(0, count - 1)
    below = position.floor().long().clamp(max=max(count - 2, 0))  # so that there is a value above it
    matrix = torch.zeros(len(position), count)
    matrix.scatter_(1, below[:, None], (1 - (position - below))[:, None])
    if count > 1:
        matrix.scatter_(1, below[:, None] + 1, (position - below)[:, None])
    return matrix
