"""Whether colours follow from what things are, or from low-level cues such as contrast and blur.

Paper, figure 12 and its appendix: a gray chart of colour patches is not recovered, while two vegetables of one
lightness are told apart; lightness and contrast change little, blur more.  There it is pictures; here it is measured: a
photograph is changed, coloured, the change undone, and the colours compared.  Shuffled tiles are the control: within
each tile every low-level cue is as before, and only what the tiles show together is gone.
"""

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64, UInt8
from scipy import ndimage
from torch import Tensor

from repro.color import rgb8_to_lab
from repro.examples import STRIDE

LIGHTER, CONTRAST, BLUR = 10.0, 0.6, 1.5  # L; share of the contrast that is left; pixels of a Gaussian's deviation
CHANGES = ("lighter", "darker", "less contrast", "blurred", "upside down", "tiles of 16 px shuffled")
TILE = 16  # pixels, a multiple of STRIDE

# The 24 patches of a ColorChecker chart (McCamy and others, 1976) as sRGB, as its maker publishes them, row by row.
CHART = np.array(
    [
        [(115, 82, 68), (194, 150, 130), (98, 122, 157), (87, 108, 67), (133, 128, 177), (103, 189, 170)],
        [(214, 126, 44), (80, 91, 166), (193, 90, 99), (94, 60, 108), (157, 188, 64), (224, 163, 46)],
        [(56, 61, 150), (70, 148, 73), (175, 54, 60), (231, 199, 31), (187, 86, 149), (8, 133, 161)],
        [(243, 243, 242), (200, 200, 200), (160, 160, 160), (122, 122, 121), (85, 85, 85), (52, 52, 52)],
    ],
    np.uint8,
)


def changed(
    lightness: Float[Tensor, "n 1 h w"], change: str, seed: int = 0
) -> tuple[Float[Tensor, "n 1 h w"], Int64[Tensor, " tiles"] | None]:
    """Photographs changed in one way, and the order of the tiles where these were shuffled, else None.

    lightness: 0..100; h and w multiples of `TILE`.  change: one of CHANGES; else ValueError.
    """
    if change in ("lighter", "darker"):
        return (lightness + (LIGHTER if change == "lighter" else -LIGHTER)).clamp(0, 100), None
    if change == "less contrast":
        middle = lightness.mean((2, 3), keepdim=True)
        return middle + CONTRAST * (lightness - middle), None
    if change == "blurred":
        blurred = ndimage.gaussian_filter(lightness.numpy(), (0, 0, BLUR, BLUR), mode="nearest")
        return torch.from_numpy(blurred), None
    if change == "upside down":
        return lightness.flip(2), None
    if change != CHANGES[-1]:
        raise ValueError(f"no change {change!r}; there are {', '.join(CHANGES)}")
    number = lightness.shape[2] // TILE * (lightness.shape[3] // TILE)
    order = torch.randperm(number, generator=torch.Generator().manual_seed(seed))
    return tiles_in_order(lightness, TILE, order), order


def tiles_in_order(
    maps: Float[Tensor, "n c h w"], side: int, order: Int64[Tensor, " h//{side}*(w//{side})"]
) -> Float[Tensor, "n c h w"]:
    """Maps whose square tiles are put into another order: place i, row by row, takes tile order[i]."""
    n, c, h, w = maps.shape
    tiles = maps.reshape(n, c, h // side, side, w // side, side).transpose(3, 4).flatten(2, 3)[:, :, order]
    return tiles.reshape(n, c, h // side, w // side, side, side).transpose(3, 4).reshape(n, c, h, w)


def moves(model, lightness: Float32[Tensor, "n 1 h w"], seed: int = 0) -> dict[str, Float64[np.ndarray, " n"]]:
    """How far colours move when photographs are changed: {change: mean distance in each photograph, ab units}.

    model: a Colorizer, of which `predict_ab` is asked.  lightness: of the copies that it is shown, 0..100, sides
    multiples of `TILE`.  Each answer is brought back to where the photograph has it before it is compared.
    """
    before, found = model.predict_ab(lightness), {}
    for change in CHANGES:
        given, order = changed(lightness, change, seed)
        after = model.predict_ab(given)
        if change == "upside down":  # value i stands for pixel 4 i, from the top: shifted by 3 of 4 pixels when turned
            after = after.flip(2)
            after = 0.25 * after + 0.75 * torch.cat((after[:, :, :1], after[:, :, :-1]), 2)
        if order is not None:
            after = tiles_in_order(after, TILE // STRIDE, order.argsort())
        found[change] = (after - before).norm(dim=1).mean((1, 2)).double().numpy()
    return found


def gray_chart(patch: int = 24, border: int = 8, around: int = 30) -> UInt8[np.ndarray, "h w 3"]:
    """The chart of 24 patches on a dark ground, in colour: 4 rows of 6 patches, of `patch` px."""
    wide = np.pad(np.ones((patch, patch), bool), border // 2)
    colours = CHART.repeat(len(wide), 0).repeat(len(wide), 1)
    inside = np.tile(wide, CHART.shape[:2])[..., None]
    return np.where(inside, colours, np.uint8(around))


def chart_distances(picture: UInt8[np.ndarray, "h w 3"], truth: UInt8[np.ndarray, "h w 3"]) -> tuple[float, float]:
    """How far the coloured patches of a chart are from the true ones, and how far gray is: two means, ab units.

    picture: the chart as it was coloured.  truth: as `gray_chart` draws it.  The row of gray patches does not count.
    """
    ab, true = (rgb8_to_lab(version)[..., 1:] for version in (picture, truth))
    height, width = (side // count for side, count in zip(truth.shape, CHART.shape[:2], strict=False))
    middles = np.s_[height // 2 : 3 * height : height, width // 2 :: width]
    ab, true = ab[middles], true[middles]
    return float(np.linalg.norm(ab - true, axis=-1).mean()), float(np.linalg.norm(true, axis=-1).mean())
