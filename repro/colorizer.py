"""Photograph in, photograph out: predicted ab joined with the photograph's own full-resolution lightness.

The network sees a small copy, at the scale it was trained at; only its few ab values are enlarged. Lightness,
and so every detail, is the original's (paper, section 2; release). The full-size picture is worked on in
strips, so memory stays near that of the result.
"""

import numpy as np
import torch
from PIL import Image

from repro import decoding as decoding_module
from repro import paths
from repro.bins import ab_bins
from repro.color import lab_to_rgb, rgb8_to_lightness
from repro.network import MULTIPLE
from repro.objectives import NAMES, REGRESSION_SCALE
from repro.weights import WeightsError, load_weights

DECODINGS = ("annealed", "mean", "mode")
STRIP = 1 << 19  # pixels worked on at once at full resolution
LONGEST = 4  # the small copy's long side is at most so many times its short side


class Colorizer:
    """A trained network with its decoding.  Make one with `Colorizer.load`.

    short_side: of the small copy that the network sees, pixels.  origin: where the weights come from.
    """

    def __init__(
        self, network, bins, objective, short_side=64, origin="", decoding="annealed", temperature=0.38
    ):
        self.network, self.bins, self.objective = network.eval(), bins, objective
        self.short_side, self.origin = short_side, origin
        self.decoding, self.temperature = decoding, temperature

    @classmethod
    def load(cls, path=None, device="cpu", **options):
        """Load weights: a safetensors file, or by default the rebalanced model of the last pipeline run.

        options: short_side, decoding ("annealed", "mean", "mode"), temperature.
        Raises WeightsError if there are none, or they are broken or made for other bins.
        """
        path = default_weights() if path is None else path
        bins = ab_bins()
        network, header, _ = load_weights(path, bins)
        options = {"short_side": header.get("short_side", 64)} | options
        return cls(network.to(device), bins, header["objective"], origin=str(path), **options)

    @torch.inference_mode()
    def predict(self, lightness):
        """The network's raw output for lightness (N, 1, h, w) in 0..100: (N, outputs, h/4, w/4)."""
        device = next(self.network.parameters()).device
        return self.network(lightness.to(device)).float().cpu()

    def decode(self, output, decoding=None, temperature=None):
        """Raw output to ab (N, 2, h/4, w/4).  A regression's output already is ab; decoding and temperature
        do not touch it."""
        decoding_name = decoding or self.decoding
        if decoding_name not in DECODINGS:
            raise ValueError(f"no decoding {decoding_name!r}; there are {', '.join(DECODINGS)}")
        if self.objective == "regression":
            return output * REGRESSION_SCALE
        if decoding_name == "annealed":
            temperature = self.temperature if temperature is None else temperature
            return decoding_module.annealed_mean(output, self.bins, temperature)
        return getattr(decoding_module, decoding_name)(output, self.bins)

    def colorize(self, photo, decoding=None, temperature=None):
        """Colour a photograph.

        photo: (H, W) or (H, W, 3) uint8, of any size; of a colour photograph only the lightness is used.
        Returns (H, W, 3) uint8.  Raises ValueError for another shape or type, or a temperature that is not
        positive.
        """
        photo = _as_rgb8(photo)
        lightness = torch.from_numpy(rgb8_to_lightness(shrink(photo, self.short_side)))[None, None]
        ab = self.decode(self.predict(lightness), decoding, temperature)[0]
        return join(photo, ab)


def default_weights():
    """The weights used when none are named: the rebalanced model of the last pipeline run, or of page 04 run
    by hand since."""
    try:
        return paths.find("models/rebalanced.safetensors")
    except FileNotFoundError:
        raise WeightsError(
            "no trained weights yet: run `make repro` once (some minutes), or name a file with --weights / Colorizer.load(path)"
        ) from None


def trained_models(pipeline=False):
    """{objective: Colorizer} of every model that there is, in the paper's order.  Raises FileNotFoundError if
    there is none."""
    models = {}
    for name in NAMES:
        try:
            models[name] = Colorizer.load(
                paths.find(f"models/{name}.safetensors", pipeline, "page 04, once for each objective")
            )
        except FileNotFoundError as error:
            missing = error
    if not models:
        raise missing
    return models


def _as_rgb8(photo):
    photo = np.asarray(photo)
    if (
        photo.dtype != np.uint8
        or photo.ndim not in (2, 3)
        or (photo.ndim == 3 and photo.shape[2] != 3)
        or not photo.size
    ):
        raise ValueError(f"expected a photograph (H, W) or (H, W, 3) uint8, got {photo.shape} {photo.dtype}")
    return np.repeat(photo[..., None], 3, 2) if photo.ndim == 2 else photo


def shrink(photo, short_side):
    """The small copy: short side about `short_side`, both sides multiples of 8, at most 4 times as long as
    wide."""
    height, width = photo.shape[:2]
    scale = min(short_side / min(height, width), LONGEST * short_side / max(height, width))
    rounded = lambda side: max(MULTIPLE, round(side * scale / MULTIPLE) * MULTIPLE)
    size = rounded(width), rounded(height)
    return np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0))


def join(photo, ab):
    """Colour a photograph with a small ab map: (H, W, 3) uint8, (2, h, w) -> (H, W, 3) uint8.

    Network output i stands for pixel 4 i of the small copy (targets are every 4th pixel), so ab is
    interpolated between those.
    """
    height, width = photo.shape[:2]
    rows = interpolation(height, ab.shape[1])
    columns = interpolation(width, ab.shape[2]).T
    result = np.empty_like(photo)
    step = max(1, STRIP // width)
    for top in range(0, height, step):
        strip = slice(top, top + step)
        lab = torch.empty(*photo[strip].shape)
        lab[..., 0] = torch.from_numpy(rgb8_to_lightness(photo[strip]))
        lab[..., 1:] = (rows[strip] @ ab @ columns).permute(1, 2, 0)
        result[strip] = (lab_to_rgb(lab) * 255).round_().to(torch.uint8).numpy()
    return result


def interpolation(length, count):
    """Linear interpolation from `count` values, at every 4th pixel of the small copy, to `length` pixels:
    (length, count)."""
    position = ((torch.arange(length) + 0.5) * (4 * count / length) - 0.5) / 4  # in units of values
    position = position.clamp(0, count - 1)
    below = position.floor().long().clamp(max=max(count - 2, 0))
    matrix = torch.zeros(length, count)
    matrix.scatter_(1, below[:, None], (1 - (position - below))[:, None])
    if count > 1:
        matrix.scatter_(1, below[:, None] + 1, (position - below)[:, None])
    return matrix
