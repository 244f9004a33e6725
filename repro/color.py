"""sRGB <-> CIE Lab (D65, 2 degree observer), in torch for any device and a fast path for uint8 photographs.

Method: the paper works in Lab because the network then predicts ab from a lightness it is given (section 2).
L runs over 0..100, a and b over about -86..98 and -108..94 for colours that sRGB can show.
"""

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32, Float64, UInt8
from torch import Tensor

Array = np.ndarray | Tensor  # what takes either hands back the same kind, unless its signature says otherwise

# IEC 61966-2-1 primaries and the D65 white of the CIE 1931 2 degree observer, as scikit-image has them.
RGB_TO_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
WHITE = np.array([0.95047, 1.0, 1.08883])
_LINEAR_LIMIT = 0.008856  # below this f(t) is a straight line, as the cube root is infinitely steep at 0
_VISIBLE = 1e-4  # of linear light; outside the gamut by less is a third of one of 255 levels, or nothing


def _channels_last_of_three(array, name):
    if array.shape[-1] != 3:
        raise ValueError(f"{name} must end in an axis of 3 channels, got shape {tuple(array.shape)}")


@cache
@torch.inference_mode(False)  # kept tensors must serve autograd too, whoever asks first
def _matrices(device):
    """(to XYZ over white, and back), transposed for `pixels @ matrix`."""
    forward = RGB_TO_XYZ / WHITE[:, None]
    make = lambda matrix: torch.tensor(matrix.T, dtype=torch.float32, device=device)
    return make(forward), make(np.linalg.inv(forward))


def rgb_to_lab(rgb01: Float[Tensor, "*n 3"]) -> Float32[Tensor, "*n 3"]:
    """sRGB in 0..1, on any device, to Lab: L 0..100, a, b.

    Raises ValueError if the last axis is not 3, or the values are integers or reach far above 1 (0..255
    would silently pile up at the gamut's corners).
    """
    _channels_last_of_three(rgb01, "rgb01")
    if not rgb01.is_floating_point():
        raise ValueError(f"rgb01 must be floats in 0..1, got {rgb01.dtype}; divide by 255 or use rgb8_to_lab")
    rgb = rgb01.float()
    # 2 and not 1: rounding and interpolation overshoot 1 a little, while a photograph in 0..255 goes far beyond
    if rgb.numel() and float(rgb.detach().max()) > 2:
        raise ValueError(f"rgb01 must lie in 0..1, but reaches {float(rgb.detach().max()):g}; divide 0..255 by 255")
    xyz = _srgb_to_linear(rgb) @ _matrices(rgb.device)[0]  # (..., 3), white = 1
    return _lab_of_f(*_f(xyz).unbind(-1))


def _srgb_to_linear(srgb):
    """sRGB 0..1 to linear light, IEC 61966-2-1: float array or tensor of any shape."""
    where = torch.where if isinstance(srgb, torch.Tensor) else np.where
    # both branches are computed everywhere: without the clip, the power of a negative number would be NaN
    return where(srgb > 0.04045, ((srgb + 0.055) / 1.055).clip(0) ** 2.4, srgb / 12.92)


def _f(t):
    """Lab's f, the cube root with a straight line near 0: float array or tensor of any shape, 0..1."""
    if isinstance(t, torch.Tensor):  # clipped, so that the branch not taken has no infinite gradient at 0
        where, root = torch.where, t.clip(_LINEAR_LIMIT) ** (1 / 3)
    else:
        where, root = np.where, np.cbrt(t)
    return where(t > _LINEAR_LIMIT, root, 7.787 * t + 16 / 116)


def _f_inverse(f):
    # 0.2068966 is f(0.008856), where the cube meets the line
    return torch.where(f > 0.2068966, f * f * f, (f - 16 / 116) / 7.787)


def _lab_of_f(x, y, z):
    """Lab (..., 3) from f(X), f(Y), f(Z), tensors (...)."""
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), -1)


def lab_to_rgb(lab: Float[Tensor, "*n 3"]) -> Float32[Tensor, "*n 3"]:
    """Lab to sRGB, clipped to 0..1: the inverse of `rgb_to_lab` for every colour sRGB can show."""
    return _linear_to_srgb(_lab_to_linear(lab))


def _lab_to_linear(lab):
    """Lab (..., 3) to linear light (..., 3), unclipped: outside 0..1 the colour is out of gamut."""
    _channels_last_of_three(lab, "lab")
    lightness, a, b = lab.float().unbind(-1)
    y = (lightness + 16) / 116
    # a strong yellow that is dark would need less than no light in Z; scikit-image clips it there, too
    f = torch.stack((y + a / 500, y, (y - b / 200).clamp_min(0)), -1)
    return _f_inverse(f) @ _matrices(lab.device)[1]


def _linear_to_srgb(linear):
    linear = linear.clamp(0, 1)
    return torch.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)


def lightness_to_gray(lightness: Float[Tensor, "*n"]) -> Float32[Tensor, "*n"]:
    """The gray of a lightness as a picture has it: L in 0..100 to sRGB in 0..1."""
    return _linear_to_srgb(_f_inverse((lightness.float() + 16) / 116))


def in_gamut(lab: Float[Tensor, "*n 3"], tolerance: float = 1e-3) -> Bool[Tensor, "*n"]:
    """Does sRGB hold this Lab colour?  tolerance: in linear light, 0..1."""
    linear = _lab_to_linear(lab)
    return ((linear >= -tolerance) & (linear <= 1 + tolerance)).all(-1)


@cache
@torch.inference_mode(False)  # as for `_matrices`
def largest_chroma(
    device: str | torch.device = "cpu", lightnesses: int = 101, hues: int = 361
) -> Float32[Tensor, "{lightnesses} {hues}"]:
    """How far from gray sRGB reaches: chroma, ab units, for L 0..100 and hue -pi..pi.

    Found by halving, 24 times, the stretch between a chroma that sRGB has and one that it lacks.
    """
    lightness = torch.linspace(0, 100, lightnesses, device=device)[:, None].expand(-1, hues)
    # -pi and pi are the same hue and both stand in the table, so that interpolation works up to either
    hue = torch.linspace(-np.pi, np.pi, hues, device=device).expand(lightnesses, -1)
    inside, outside = torch.zeros_like(hue), torch.full_like(hue, 200)
    for _ in range(24):  # 200 / 2^24 is .00001 ab units, about what float32 can tell apart
        middle = (inside + outside) / 2
        found = in_gamut(torch.stack((lightness, middle * hue.cos(), middle * hue.sin()), -1), 1e-6)
        inside, outside = torch.where(found, middle, inside), torch.where(found, outside, middle)
    return inside


def lab_to_rgb_at_its_lightness(lab: Float[Tensor, "*n 3"]) -> Float32[Tensor, "*n 3"]:
    """Lab to sRGB like `lab_to_rgb`, but a colour that sRGB lacks moves straight towards gray until sRGB has it.

    So it keeps its lightness and its hue.  Clipping each channel for itself changes both, lightness by up to 24 L.
    Black stays black and white white, whatever their ab is.  lab: ab up to 200 from gray.  Returns 0..1.
    """
    linear = _lab_to_linear(lab)
    outside = ((linear < -_VISIBLE) | (linear > 1 + _VISIBLE)).any(-1)
    if outside.any():
        lightness, a, b = lab[outside].float().unbind(-1)  # they are few, so only these are worked on further
        # `grid_sample` wants (x, y), each -1..1: hue runs along the table's columns, lightness along its rows
        place = torch.stack((torch.atan2(b, a) / np.pi, lightness / 50 - 1), -1)
        table = largest_chroma(lab.device)[None, None]
        reach = F.grid_sample(table, place[None, None], padding_mode="border", align_corners=True)[0, 0, 0]
        scale = (reach / torch.hypot(a, b).clamp_min(1e-6)).clamp(max=1)
        linear[outside] = _lab_to_linear(torch.stack((lightness, a * scale, b * scale), -1))
    return _linear_to_srgb(linear)


@cache  # a byte has 256 values, so the slow power is computed 256 times and looked up from then on
def _linear_of_byte():
    return _srgb_to_linear(np.arange(256) / 255).astype(np.float32)


# `_lab_of_f` as `f @ matrix - (16, 0, 0)`, which is faster for arrays.
_LAB_OF_F = np.array([[0, 500, 0], [116, -500, 200], [0, 0, -200]], np.float32)


def rgb8_to_lab(rgb8: UInt8[Array, "*n 3"]) -> Float32[Array, "*n 3"]:
    """Photograph to Lab: on the CPU by a table of 256 gammas, several times scikit-image's rate, error under 1e-3.

    Returns L 0..100, a, b.  An array gives an array.  A tensor gives a tensor on its own device, by operations that a
    GPU can fuse into one pass and that do not make the host wait.
    """
    if isinstance(rgb8, torch.Tensor):
        return _lab_of_f(*_f_of_tensor(rgb8, _XYZ_ROWS))
    lab = _f(_linear_light(rgb8) @ _RGB8_TO_XYZ.T) @ _LAB_OF_F
    lab[..., 0] -= 16
    return lab


def rgb8_to_lightness(rgb8: UInt8[Array, "*n 3"]) -> Float32[Array, "*n"]:
    """Photograph to its lightness L alone, 0..100, for a third of the work of `rgb8_to_lab`."""
    if isinstance(rgb8, torch.Tensor):
        return 116 * _f_of_tensor(rgb8, _XYZ_ROWS[1:2])[0] - 16
    return 116 * _f(_linear_light(rgb8) @ _RGB8_TO_XYZ[1]) - 16


_RGB8_TO_XYZ = (RGB_TO_XYZ / WHITE[:, None]).astype(np.float32)
_XYZ_ROWS = _RGB8_TO_XYZ.tolist()  # plain numbers, which torch.compile makes constants


def _linear_light(rgb8):
    _check_rgb8(rgb8)
    return np.take(_linear_of_byte(), rgb8)


def _check_rgb8(rgb8):
    _channels_last_of_three(rgb8, "rgb8")
    if rgb8.dtype not in (np.uint8, torch.uint8):
        raise ValueError(f"rgb8 must be uint8 in 0..255, got {rgb8.dtype}")


def _f_of_tensor(rgb8, rows):
    """f of X, Y, Z or some of them: tensor (..., 3) uint8, rows of the matrix -> a list of (...) float32."""
    _check_rgb8(rgb8)
    r, g, b = _srgb_to_linear(rgb8.float() / 255).unbind(-1)
    return [_f(row[0] * r + row[1] * g + row[2] * b) for row in rows]


def lab_to_rgb8(lab: Float[Array, "*n 3"]) -> UInt8[np.ndarray, "*n 3"]:
    """Lab to a photograph, clipped and rounded."""
    return (lab_to_rgb(torch.as_tensor(lab)) * 255).round().to(torch.uint8).cpu().numpy()


@cache
def srgb_ab_hull(steps: int = 33) -> Float64[np.ndarray, "vertices 2"]:
    """Convex hull of the ab projection of the sRGB cube, from steps^3 colours, counter-clockwise."""
    from scipy.spatial import ConvexHull

    ramp = torch.linspace(0, 1, steps)
    ab = rgb_to_lab(torch.cartesian_prod(ramp, ramp, ramp))[:, 1:].double().numpy()
    return ab[ConvexHull(ab).vertices]
