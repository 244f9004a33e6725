"""A photograph as the network meets it: lightness in, the ab of every 4th pixel as what it should say."""

import torch

from repro.color import rgb8_to_lab, rgb8_to_lightness

STRIDE = 4  # the network's output, and so its target, is every 4th pixel
COLOR_THRESHOLD = 5.0  # ab units; a photograph with no |a| or |b| above it counts as colourless, as in the release


def centred(lightness):
    """Lightness, 0..100, as the network's first layer takes it: -.5 to .5, the release's centring."""
    return (lightness - 50) / 100


def to_example(rgb8):
    """What the network is given and what it should say.

    rgb8: (N, H, W, 3) uint8 array, or tensor on any device.  Returns lightness (N, 1, H, W) float32, 0..100,
    and true ab (N, H/4, W/4, 2), ab units, of every 4th pixel.  Only those pixels go through the whole
    conversion; the others need their lightness alone.
    """
    lightness, ab = rgb8_to_lightness(rgb8)[:, None], rgb8_to_lab(rgb8[:, ::STRIDE, ::STRIDE])[..., 1:]
    if isinstance(rgb8, torch.Tensor):
        return lightness, ab
    return torch.from_numpy(lightness), torch.from_numpy(ab.copy())


def true_ab(rgb8):
    """The ab of every 4th pixel: (N, H, W, 3) uint8 array -> (N, H/4, W/4, 2) float32 tensor, ab units."""
    return torch.from_numpy(rgb8_to_lab(rgb8[:, ::STRIDE, ::STRIDE])[..., 1:].copy())


def has_color(ab, threshold=COLOR_THRESHOLD):
    """Which photographs have any colour: ab (N, h, w, 2) -> (N,) bool."""
    return (ab.abs() > threshold).flatten(1).any(1)
