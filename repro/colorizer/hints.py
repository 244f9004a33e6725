"""Colours that a person knows: hints that spread over what belongs together, and what else a thing could be.

After Levin, Lischinski and Weiss, "Colorization using optimization" (2004): neighbours of like lightness have like
colours.  The colours U minimise  sum_rs w_rs (U_r - U_s)^2 + LEAK sum_r (U_r - P_r)^2  on the small copy, with the
hints fixed: w_rs is small across an edge of lightness, and P is what the network predicts.  So a hint reaches as far
as its thing, and where none reaches the prediction stays.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Float64
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.linalg import splu
from torch import Tensor

from repro.color import lab_to_rgb_at_its_lightness, srgb_ab_hull
from repro.colorizer.enlarge import guided, interpolation
from repro.examples import STRIDE

# LEAK 1e-4 gains 1.6 dB of PSNR with 5 hints on 20 validation photographs, but there a hint runs over faces.
LEAK = 1e-3  # weight of the prediction beside that of a neighbour of the same lightness
SIGMA = 4.0  # L; a step in lightness of three times as much is an edge
GRIP = 0.1  # a hint and the prediction count the same where the hint's share is this; its share is 1 at its place
RADIUS = 2  # of the guided filter that lets a hint end at edges, pixels of the small copy
SAME = 10.0  # ab units: two hints for one pixel of the small copy may differ by this much; their mean is taken
SHARE = 0.02  # an alternative has at least so much of the distribution


class HintError(ValueError):
    """A hint that cannot be kept to; the message says which, and why."""


@dataclass(frozen=True)
class Alternative:
    """A colour that a thing may have.

    ab: (a, b), ab units.  probability: of this colour and those like it, 0..1.  rgb8: (r, g, b), 0..255, at the
    lightness of the place.
    """

    ab: tuple
    probability: float
    rgb8: tuple

    @property
    def hexadecimal(self):
        """The colour as #RRGGBB."""
        return "#{:02X}{:02X}{:02X}".format(*self.rgb8)


def checked(hints, shape: tuple, picture: tuple) -> list[tuple[float, float, Float64[np.ndarray, "2"]]]:
    """Hints [(x, y, (a, b))] with an array for the colour, places counted within the picture.

    x, y: pixels from the photograph's left and top, from 0.  shape: (H, W, ...) of the photograph.  picture: (top,
    bottom, left, right) within its frame.  Raises HintError.
    """
    try:
        hints = list(hints)
    except TypeError:
        raise HintError(f"hints must be a list of (x, y, (a, b)), got {hints!r}") from None
    return [_checked(number, hint, shape, picture) for number, hint in enumerate(hints, 1)]


def _checked(number, hint, shape, picture):
    name = f"hint {number}"
    try:
        x, y, ab = hint
        x, y, ab = float(x), float(y), np.asarray(ab, float)
    except (TypeError, ValueError):
        raise HintError(f"{name}: expected (x, y, (a, b)), got {hint!r}") from None
    if ab.shape != (2,) or not np.isfinite([x, y, *ab.ravel()]).all():
        raise HintError(
            f"{name}: expected two finite numbers for the place and two for the colour (a, b), got {hint!r}"
        )
    x, y = within(x, y, shape, picture, name)
    if outside_gamut(ab):
        raise HintError(
            f"{name}: sRGB has no colour with ab ({ab[0]:g}, {ab[1]:g}) at any lightness; a, b lie within about 110"
        )
    return x, y, ab


def within(x, y, shape, picture, name):
    """(x, y) counted within the picture.  Raises HintError if the place lies elsewhere."""
    (height, width), (top, bottom, left, right) = shape[:2], picture
    if not (0 <= x <= width - 1 and 0 <= y <= height - 1):
        raise HintError(
            f"{name}: ({x:g}, {y:g}) lies outside the photograph; x is 0 to {width - 1}, y is 0 to {height - 1}"
        )
    if not (left <= x <= right - 1 and top <= y <= bottom - 1):
        raise HintError(
            f"{name}: ({x:g}, {y:g}) lies on the frame around the picture, which stays gray; the picture is x "
            f"{left} to {right - 1}, y {top} to {bottom - 1}"
        )
    return x - left, y - top


def outside_gamut(ab: Float64[np.ndarray, "2"]) -> bool:
    """Whether sRGB lacks a colour (a, b) at every lightness, by its convex hull and 1 ab unit more."""
    corners = srgb_ab_hull()
    along, to = np.roll(corners, -1, axis=0) - corners, ab - corners
    # the hull runs counter-clockwise, so outside is right of an edge, where the cross product, length times distance,
    # is negative
    return bool(((along[:, 0] * to[:, 1] - along[:, 1] * to[:, 0]) < -np.hypot(*along.T)).any())


def repainted(
    ab: Float[Tensor, "2 h w"], lightness: Float[np.ndarray, "4*h 4*w"], hints: list, shape: tuple, edges: bool = True
) -> tuple[Float[Tensor, "2 4*h 4*w"], Float[Tensor, "2 4*h 4*w"]]:
    """The prediction with its hints: offset and slope, as `guided` gives them.

    ab: the prediction.  lightness: of the small copy, 0..100.  hints: of `checked`.  shape: (H, W) of the picture.
    edges: whether colours end where lightness says that things end.
    At a hint's place the colour is the hint's, but where another hint lies within two pixels of the small copy.
    Raises HintError where hints contradict each other.
    """
    light = torch.from_numpy(np.ascontiguousarray(lightness))
    rows, columns = (interpolation(STRIDE * count, count) for count in ab.shape[1:])
    offset, slope = guided(ab, light) if edges else (rows @ ab @ columns.T, torch.zeros(2, *light.shape))
    places = [in_small(x, y, shape, lightness.shape) for x, y, _ in hints]
    pixels, colors = _one_a_pixel([tuple(np.round(place).astype(int)) for place in places], hints)
    shares = torch.from_numpy(reach(lightness, pixels)).float()  # (K, 4 h, 4 w)
    total = shares.sum(0)
    mixed = torch.einsum("khw,kc->chw", shares, colors) / total.clamp_min(1e-12)
    change = _grip(total) * (mixed - offset - slope * light)  # from the prediction to the hints
    if edges:
        more, steeper = guided(change, light, RADIUS)  # so that the change, too, ends at edges
        offset, slope = offset + more, slope + steeper
        there = tuple(np.transpose(pixels))
        # the filter's windows blur the hint at its own place: spread what it lost there
        missing = colors.T - (offset + slope * light)[:, *there]
        offset = offset + torch.einsum("khw,ck->chw", shares, missing)
    else:
        offset = offset + change
    for place, (_, _, color) in zip(places, hints, strict=True):  # between these four pixels lies the place
        for row in {int(np.floor(place[0])), int(np.ceil(place[0]))}:
            for column in {int(np.floor(place[1])), int(np.ceil(place[1]))}:
                offset[:, row, column], slope[:, row, column] = torch.from_numpy(color).float(), 0
    return offset, slope


def in_small(x: float, y: float, shape: tuple, small: tuple) -> Float64[np.ndarray, "2"]:
    """(row, column) in the small copy, floats, of the photograph's pixel x, y; shape, small: (H, W) of both."""
    place = [(at + 0.5) * count / length - 0.5 for at, count, length in zip((y, x), small, shape, strict=True)]
    return np.clip(place, 0, np.array(small) - 1)


def _one_a_pixel(pixels, hints):
    """Different pixels (row, column) and the mean colour of each, (K, 2) float32.  Raises HintError."""
    found = {}
    for pixel, (*_, color) in zip(pixels, hints, strict=True):
        found.setdefault(pixel, []).append(color)
    for pixel, colors in found.items():
        apart = max(np.hypot(*(one - other)) for one in colors for other in colors)
        if apart > SAME:
            one, other = [number for number, at in enumerate(pixels, 1) if at == pixel][:2]
            raise HintError(
                f"hints {one} and {other} ask for different colours, {apart:.0f} ab units apart, at one place of the "
                "small copy that the network sees; keep one of them"
            )
    return list(found), torch.tensor(np.array([np.mean(colors, 0) for colors in found.values()]), dtype=torch.float32)


def _grip(share):
    """How much a hint counts beside the prediction, 0..1, where it has this share.

    A share falls fast around a single point, so that .1 is much already; this function lifts small shares.
    """
    return share * (1 + GRIP) / (share + GRIP)


def reach(lightness: Float[np.ndarray, "h w"], pixels: list) -> Float64[np.ndarray, "k h w"]:
    """How much of each hint every pixel has: 0..1, 1 at its own pixel and 0 at the others'.

    lightness: 0..100.  pixels: K different (row, column).  What is missing to a sum of 1 is the prediction's.
    """
    solve = _factored(np.ascontiguousarray(lightness, np.float64).tobytes(), lightness.shape)
    flat = np.ravel_multi_index(tuple(np.transpose(pixels)), lightness.shape)
    sources = np.zeros((lightness.size, len(flat)))
    sources[flat, np.arange(len(flat))] = 1
    spread = solve(sources)  # each hint as a source; then mixed so that each is 1 at home and 0 at the others
    return (spread @ np.linalg.inv(spread[flat])).T.reshape(-1, *lightness.shape).clip(0, 1)


@lru_cache(4)
def _factored(data, shape):
    """Solves (D + LEAK - W) x = b for the lightness given by its bytes; D: how much all neighbours weigh."""
    weights = affinity(np.frombuffer(data).reshape(shape))
    # factored once: each hint, and each later one in the same picture, is then a cheap solve
    return splu((diags_array(weights.sum(1) + LEAK) - weights).tocsc()).solve


def affinity(lightness: Float[np.ndarray, "h w"]) -> csr_array:
    """How much each of a pixel's eight neighbours weighs: W, sparse, symmetric (N, N), exp(-(L_r - L_s)^2 / 2 SIGMA^2).

    lightness: 0..100.  Levin et al. take sigma from the variance around the pixel and divide by the neighbours'
    sum.  That suits scribbles all around a thing, but the colour of a single point would in the end cross every edge.
    """
    number = np.arange(lightness.size).reshape(lightness.shape)
    rows, columns, weights = [], [], []
    for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):  # each pair of neighbours once
        here = np.s_[: lightness.shape[0] - down, max(0, -across) : lightness.shape[1] - max(0, across)]
        there = np.s_[down:, max(0, across) : lightness.shape[1] + min(0, across)]
        step = (lightness[here] - lightness[there]).ravel()
        rows.append(number[here].ravel())
        columns.append(number[there].ravel())
        weights.append(np.exp(-(step**2) / (2 * SIGMA**2)))
    one, other, weight = map(np.concatenate, (rows, columns, weights))
    ends = np.concatenate((one, other)), np.concatenate((other, one))
    return coo_array((np.concatenate((weight, weight)), ends), shape=(lightness.size,) * 2).tocsr()


def alternatives(
    logits: Float[Tensor, "q h w"],
    bins: Float[Tensor, "q 2"],
    lightness: Float[np.ndarray, "4*h 4*w"],
    place: Float64[np.ndarray, "2"],
    most: int,
) -> list[Alternative]:
    """The likely colours at a place of the small copy, the likeliest first.

    place: (row, column) of `in_small`.
    The distributions of the pixels that a hint at this place would reach are averaged, each as far as it is reached;
    `groups` divides what results.
    """
    pixel = tuple(np.round(place).astype(int))
    share = reach(lightness, [pixel])[0, ::STRIDE, ::STRIDE]
    row, column = (min(round(at / STRIDE), count - 1) for at, count in zip(pixel, share.shape, strict=True))
    share[row, column] = 1  # the nearest answer counts in any case
    probabilities = torch.softmax(logits.double(), 0).numpy()
    distribution = (probabilities * share).sum((1, 2)) / share.sum()
    found = groups(distribution, np.asarray(bins, float), most)
    light = float(lightness[pixel])
    kept = [(ab, share) for ab, share in found if share >= SHARE] or found[:1]
    return [Alternative(tuple(map(float, ab)), float(share), _rgb8(light, ab)) for ab, share in kept]


def _rgb8(lightness, ab):
    rgb = lab_to_rgb_at_its_lightness(torch.tensor([[lightness, *ab]], dtype=torch.float32))[0]
    return tuple((rgb * 255).round().int().tolist())


def groups(
    distribution: Float64[np.ndarray, " q"], bins: Float64[np.ndarray, "q 2"], most: int, rounds: int = 50
) -> list[tuple[Float64[np.ndarray, "2"], float]]:
    """A distribution over bins divided into colours: [(ab, its probability)], the largest first; they sum to 1.

    distribution: sums to 1.  most: groups, at most; fewer where fewer bins hold anything.
    By weighted k-means, as Zhang et al. (2017) suggest colours: a trained network's distribution over a thing is
    mostly one broad hill, whose only mode would be no choice.  It starts from the likeliest bin, then each time from
    the one whose probability times squared distance from the earlier ones is largest.
    """
    centers = bins[[distribution.argmax()]]
    squared = lambda: ((bins[:, None] - centers[None]) ** 2).sum(-1)  # (Q, K)
    while len(centers) < most and (pull := distribution * squared().min(1)).max() > 0:
        centers = np.vstack((centers, bins[pull.argmax()]))
    for _ in range(rounds):
        nearest, before = np.eye(len(centers))[squared().argmin(1)], centers  # (Q, K), a 1 for each bin's group
        weight = distribution @ nearest
        # a group that lost all its bins keeps its centre, and the tiny number only avoids 0 / 0
        mean = (nearest * distribution[:, None]).T @ bins / np.maximum(weight, 1e-300)[:, None]
        centers = np.where(weight[:, None] > 0, mean, centers)
        if np.array_equal(centers, before):
            break
    weight = distribution @ np.eye(len(centers))[squared().argmin(1)]
    return [(centers[group], weight[group]) for group in np.argsort(-weight, kind="stable")]
