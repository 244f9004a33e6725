"""A photograph as the network meets it: lightness in, the ab of every 4th pixel as what it should say."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor

from repro.color import Array, rgb8_to_lab, rgb8_to_lightness

STRIDE = 4  # the network's output, and so its target, is every 4th pixel
COLOR_THRESHOLD = 5.0  # ab units; a photograph with no |a| or |b| above it counts as colourless, as in the release


def centred(lightness: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Lightness, 0..100, as the network's first layer takes it: -.5 to .5, the release's centring."""
    return (lightness - 50) / 100


def to_example(
    rgb8: UInt8[Array, "n h w 3"],
) -> tuple[Float32[Tensor, "n 1 h w"], Float32[Tensor, "n (h+3)//4 (w+3)//4 2"]]:
    """What the network is given and what it should say: lightness, 0..100, and the true ab of every 4th pixel.

    rgb8: array, or tensor on any device.  Only every 4th pixel goes through the whole conversion; the others need
    their lightness alone.
    """
    lightness, ab = rgb8_to_lightness(rgb8)[:, None], rgb8_to_lab(rgb8[:, ::STRIDE, ::STRIDE])[..., 1:]
    if isinstance(rgb8, torch.Tensor):
        return lightness, ab
    return torch.from_numpy(lightness), torch.from_numpy(ab.copy())


def true_ab(rgb8: UInt8[np.ndarray, "n h w 3"]) -> Float32[Tensor, "n (h+3)//4 (w+3)//4 2"]:
    """The ab of every 4th pixel, ab units."""
    return torch.from_numpy(rgb8_to_lab(rgb8[:, ::STRIDE, ::STRIDE])[..., 1:].copy())


def has_color(ab: Float[Tensor, "n h w 2"], threshold: float = COLOR_THRESHOLD) -> Bool[Tensor, " n"]:
    """Which photographs have any colour."""
    return (ab.abs() > threshold).flatten(1).any(1)
