"""Photograph in, photograph out: predicted ab joined with the photograph's own full-resolution lightness.

The network sees a small copy, at the scale it was trained at; only its few ab values are enlarged. Lightness,
and so every detail, is the original's (paper, section 2; release). The full-size picture is worked on in
strips, so memory stays near that of the result.
"""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from repro import decoding as decoding_module
from repro import paths
from repro.bins import ab_bins
from repro.color import rgb8_to_lightness
from repro.colorizer import hints as hints_module
from repro.colorizer import release
from repro.colorizer.enlarge import as_release, join, reduced, squashed
from repro.colorizer.scans import picture_in, stretch
from repro.colorizer.weights import (
    DECODINGS,
    DEFAULT,
    MODELS,
    PRETRAINED,
    WeightsError,
    check_options,
    folded,
    load_weights,
    photographs_seen,
    read_header,
)
from repro.network import MULTIPLE
from repro.objectives import NAMES, REGRESSION_SCALE, gives_ab

GAP = 3.0  # blocks of pixels are averaged until the small copy is this much smaller, and then it is interpolated
LONGEST = 4  # the small copy's long side is at most so many times its short side
Photo = UInt8[np.ndarray, "h w"] | UInt8[np.ndarray, "h w 3"] | Image.Image  # what is coloured
UTMOST = 1000.0  # ab units: sRGB's colours stay within 110, and no sound network is so far out


class Colorizer:
    """A trained network with its decoding.  Make one with `Colorizer.load`.

    short_side: of the small copy that the network sees, pixels.  origin: where the weights come from.
    guided: whether colours end at the edges of things (`guided`).  mirrored: whether a photograph and its
    mirror image are both asked, and the mean of the two taken.  as_scan: whether the network is shown the
    photograph without its frame and at full contrast (`scans.py`).  as_release: whether the copy is squashed to a
    square and the colours lie where the authors' PyTorch release draws them (`enlarge.py`).  header: what the
    weights' file says of them.
    """

    def __init__(
        self, network, bins: Float[Tensor, "q 2"], objective: str, *,
        short_side=64, origin="", decoding="annealed", temperature=0.38,
        guided=False, mirrored=False, as_scan=False, as_release=False, header=None,
    ):  # fmt: skip
        self.network, self.bins, self.objective = network.eval(), bins, objective
        self.guided, self.mirrored, self.as_scan, self.as_release = guided, mirrored, as_scan, as_release
        self.short_side, self.origin, self.header = short_side, origin, header or {}
        self.decoding, self.temperature = decoding, temperature

    @classmethod
    def load(cls, path=None, device="cpu", **options):
        """Load weights: a safetensors file, or one of the models that come along, trained on photographs.

        path: the file; or, of those that come along, "regression", "regression_finetuned", "classification",
        "rebalanced" (the paper's) or "encoder" (beyond the paper; the default); or "release", the authors' own,
        which are fetched once.
        options: short_side, decoding ("annealed", "mean", "mode"), temperature, guided, mirrored, as_scan,
        as_release; in place of those that the file names, as measured to be the best for it.  None means as the
        file says.
        Raises WeightsError if the file is missing, broken, made for other bins or cannot be fetched, ValueError
        for an option or a device that cannot be.
        """
        given = check_options({name: value for name, value in options.items() if value is not None})
        path = DEFAULT if path is None else path
        path = PRETRAINED / f"{path}.safetensors" if path in MODELS else path
        path = release.kept_or_fetched() if path == release.NAME else path
        bins = ab_bins()
        network, header, _ = load_weights(path, bins)
        # of two the later wins: a default, what was measured to be best for this file, what the caller says
        options = {"short_side": header.get("short_side", 64)} | header.get("colorize", {}) | given
        objective = header["objective"]
        try:
            network = folded(network).to(device)
        except (RuntimeError, AssertionError) as error:  # torch's, for a device that is not here or is none
            told = str(error).splitlines()[0]
            raise ValueError(f"device {device!r} cannot be used here: {told}; cpu can") from None
        return cls(network, bins, objective, origin=str(path), header=header, **options)

    @torch.inference_mode()
    def predict(self, lightness: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n outputs h//4 w//4"]:
        """The network's raw output for lightness in 0..100.

        Raises WeightsError where it is not finite.
        """
        device = next(self.network.parameters()).device
        output = self.network(lightness.to(device)).float().cpu()
        if not bool(output.isfinite().all()):
            raise WeightsError(f"{self.origin}: what the network answers is not finite; its weights are unsound")
        return output

    def decode(
        self, output: Float[Tensor, "n outputs h w"], decoding: str | None = None, temperature: float | None = None
    ) -> Float[Tensor, "n 2 h w"]:
        """Raw output to ab.

        A regression's output already is ab; decoding and temperature do not touch it.
        """
        decoding_name = decoding or self.decoding
        if decoding_name not in DECODINGS:
            raise ValueError(f"no decoding {decoding_name!r}; there are {', '.join(DECODINGS)}")
        if gives_ab(self.objective):
            return output * REGRESSION_SCALE
        if decoding_name == "annealed":
            temperature = self.temperature if temperature is None else temperature
            return decoding_module.annealed_mean(output, self.bins, temperature)
        return getattr(decoding_module, decoding_name)(output, self.bins)

    def colorize(self, photo: Photo, decoding=None, temperature=None, hints=()) -> UInt8[np.ndarray, "h w 3"]:
        """Colour a photograph, keeping to what a person knows of its colours.

        photo: of any size; a Pillow image must be without transparency.  Of a colour photograph only the lightness is
        used.
        hints: [(x, y, (a, b))]: the pixel x from the left and y from the top has this colour, ab units.  It spreads
        over what belongs together (`hints.py`).  There the result's ab is the hint's to 3 ab units, where sRGB has that
        colour at that lightness and no other hint lies within two pixels of the small copy.
        Raises ValueError for another shape or type, or a temperature that is not
        positive; HintError, a ValueError, for a hint that cannot be kept to.
        """
        photo = _as_rgb8(photo)
        result = np.empty(photo.shape, np.uint8)
        top, bottom, left, right = inside = self.inside(photo)
        # views: to fill `colored` is to fill the result
        picture, colored = (whole[top:bottom, left:right] for whole in (photo, result))
        hints = hints_module.checked(hints, photo.shape, inside)
        if picture.size < photo.size:
            join(photo, torch.zeros(2, 1, 1), into=result)  # a frame has no colour
        self._colorize(picture, decoding, temperature, colored, hints)
        return result

    def alternatives(self, photo: Photo, x, y, most: int = 5) -> list[hints_module.Alternative]:
        """The likely colours of the thing at a place, the likeliest first.

        photo: as in `colorize`.  x, y: the pixel, from the left and from the top.  most: how many, at most.  The
        distributions over what a hint there would reach are averaged and divided into groups (`hints.groups`).  A
        rebalanced model's probabilities favour rare, vivid colours, as its training does.
        Raises HintError, a ValueError, for a place outside the picture; ValueError for a regression, which predicts one
        colour and no distribution.
        """
        if not 1 <= most <= len(self.bins):
            raise ValueError(f"most must be 1 to {len(self.bins)} colours, got {most}")
        if gives_ab(self.objective):
            raise ValueError(
                "a regression predicts one colour and no distribution, so it has no alternatives; load another model, "
                "such as rebalanced"
            )
        photo = _as_rgb8(photo)
        top, bottom, left, right = inside = self.inside(photo)
        try:
            x, y = float(x), float(y)
        except (TypeError, ValueError):
            raise hints_module.HintError(f"the place must be two numbers, got {x!r}, {y!r}") from None
        x, y = hints_module.within(x, y, photo.shape, inside, "the place")
        picture = photo[top:bottom, left:right]
        lightness, shown = self._shown(picture)
        place = hints_module.in_small(x, y, picture.shape[:2], lightness.shape)
        logits = self.predict(shown)[0]
        return hints_module.alternatives(logits, self.bins, lightness, place, most)

    def _colorize(self, photo, decoding, temperature, into, hints=()):
        lightness, shown = self._shown(photo)
        ab = self.predict_ab(shown, decoding, temperature)[0]
        if self.as_release and not (self.guided or hints):
            join(photo, as_release(ab), into=into, step=1)
            return
        if hints:
            ab = hints_module.repainted(ab, lightness, hints, photo.shape[:2], self.guided)
        join(photo, ab, torch.from_numpy(lightness) if self.guided or hints else None, into)

    def inside(self, photo: UInt8[np.ndarray, "h w 3"]) -> tuple[int, int, int, int]:
        """Where the picture is in a photograph, without a scan's frame: (top, bottom, left, right) for slices."""
        return picture_in(photo) if self.as_scan else (0, len(photo), 0, photo.shape[1])

    def _shown(self, picture):
        """Lightness of the small copy, (h, w) array, and what the network is shown of it, (1, 1, h, w) tensor."""
        lightness = rgb8_to_lightness(self.small(picture))
        return lightness, torch.from_numpy(stretch(lightness) if self.as_scan else lightness)[None, None]

    def small(self, photo: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "_ _ 3"]:
        """The copy that the network is shown of a photograph."""
        return squashed(photo, self.short_side) if self.as_release else shrink(photo, self.short_side)

    def predict_ab(
        self, lightness: Float[Tensor, "n 1 h w"], decoding: str | None = None, temperature: float | None = None
    ) -> Float[Tensor, "n 2 h//4 w//4"]:
        """Lightness in 0..100 to ab, within UTMOST; else WeightsError."""
        asked = torch.cat((lightness, lightness.flip(3))) if self.mirrored else lightness
        ab = self.decode(self.predict(asked), decoding, temperature)
        if self.mirrored:
            ab, mirror = ab.chunk(2)
            mirror = mirror.flip(3)
            # turned back, value i is pixel 4 i + 3's; pixel 4 i lies a quarter of the way from value i - 1 to it
            before = torch.cat((mirror[..., :1], mirror[..., :-1]), 3)
            ab = (ab + 0.75 * before + 0.25 * mirror) / 2
        if not bool((ab.abs() < UTMOST).all()):
            raise WeightsError(f"{self.origin}: the network's colours are beyond {UTMOST:g}; its weights are unsound")
        return ab

    @property
    def description(self):
        """The model in words: its name, or its file with its objective and network."""
        path = Path(self.origin)
        if path.parent == PRETRAINED and path.stem in MODELS:
            return f"{path.stem}: {MODELS[path.stem]}"
        if path == release.place():
            return f"{release.NAME}: {release.WHAT}"
        network = "" if self.network.kind == "paper" else f", network {self.network.kind}"
        return f"{self.origin} ({self.objective}{network})"

    def card(self):
        """What a record of figures should say of the model, from its file and its settings here."""
        known = ("network", "settings", "trained_on", "step", "photos")
        chosen = "short_side", "decoding", "temperature", "guided", "mirrored", "as_scan", "as_release"
        return {name: getattr(self, name) for name in chosen} | {
            name: self.header[name] for name in known if name in self.header
        }


def trained_models(pipeline=False):
    """{objective: Colorizer} of every model that there is, in the paper's order.

    Where page 04 was run by hand, its model is compared with the pipeline's and with the one that comes along, and the
    one that has seen most photographs is taken.  Printed lines say where a small or another network stands in.
    Raises FileNotFoundError if there is none.
    """
    models = {}
    for name in NAMES:
        try:
            path = paths.find(f"models/{name}.safetensors", pipeline, "page 04, once for each objective")
        except FileNotFoundError as error:
            missing = error
            continue
        if paths.SCRATCH in path.parents:
            path = _longer_trained(path, paths.OUTPUTS / path.relative_to(paths.SCRATCH))
            path = _longer_trained(path, paths.READY / f"models/{name}.safetensors")
        models[name] = Colorizer.load(path)
    if not models:
        raise missing
    if ready := [name for name, model in models.items() if paths.READY in Path(model.origin).parents]:
        print(f"{', '.join(ready)}: small networks that come along, trained for minutes on painted scenes. "
              "`make repro` trains larger ones.")  # fmt: skip
    if any(model.network.kind == "encoder" for model in models.values()):
        print(f"These models are {MODELS['encoder']}: no evidence for the paper's claims.")
    return models


def _longer_trained(path, other):
    """Whichever of two weights files has seen more photographs; the first if the other is not there."""
    if not other.exists() or other == path:
        return path
    seen = {file: photographs_seen(read_header(file)) for file in (path, other)}
    if seen[path] >= seen[other]:
        return path
    print(f"{path.stem}: page 04's training by hand has seen {seen[path]:,} photographs; shown is a network "
          f"that has seen {seen[other]:,}.")  # fmt: skip
    return other


def _as_rgb8(photo):
    if isinstance(photo, Image.Image) and photo.mode in ("1", "P", "CMYK", "YCbCr", "HSV"):  # no gray, no RGB
        photo = photo.convert("RGBA" if photo.has_transparency_data else "RGB")
    if isinstance(photo, Image.Image) and photo.mode not in ("L", "RGB"):
        deep = photo.mode.startswith(("I", "F"))  # Pillow cuts off what lies above 255
        way = "" if deep else "convert it to RGB first, or "
        raise ValueError(f"a Pillow image of mode {photo.mode} cannot be coloured; {way}read its file with read_photo")
    photo = np.asarray(photo)
    if (
        photo.dtype != np.uint8
        or photo.ndim not in (2, 3)
        or (photo.ndim == 3 and photo.shape[2] != 3)
        or not photo.size
    ):
        raise ValueError(f"expected a photograph (H, W) or (H, W, 3) uint8, got {photo.shape} {photo.dtype}")
    # of gray, a view that shows the one channel three times: no copy
    return np.broadcast_to(photo[..., None], (*photo.shape, 3)) if photo.ndim == 2 else photo


def shrink(photo: UInt8[np.ndarray, "h w 3"], short_side: int) -> UInt8[np.ndarray, "_ _ 3"]:
    """The small copy: short side about `short_side`, both sides multiples of 8, at most 4 times as long as wide.

    Pillow's `resize` with a `reducing_gap`, bit for bit, without its copy of the whole.
    """
    height, width = photo.shape[:2]
    scale = min(short_side / min(height, width), LONGEST * short_side / max(height, width))
    rounded = lambda side: max(MULTIPLE, round(side * scale / MULTIPLE) * MULTIPLE)
    size = rounded(width), rounded(height)
    across, down = (max(1, int(old / new / GAP)) for old, new in zip((width, height), size, strict=True))
    image = Image.fromarray(reduced(photo, across, down))
    # the box is the photograph's own size: its last blocks may be cut off, but count as whole pixels of the image
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC, (0, 0, width / across, height / down)))
