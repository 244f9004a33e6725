"""Pictures whose samples are not plain bytes: what scanners, microscopes and telescopes write, brought to 0..255.

What such a file means by black and white is often not said in it. What it says is followed; what it does not is
judged by its darkest and brightest sample, and every such judgement is told by a `PhotoWarning`.
"""

import logging
import warnings
from io import BytesIO

import numpy as np
from jaxtyping import Float32, Num
from PIL import Image

TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # classic and BigTIFF, either byte order
FULL_SCALES = (255, 1023, 4095, 16383, 65535)  # what 8, 10, 12, 14 and 16 bits hold
ORIENTATION = 274  # the TIFF tag that says how the picture is turned
OVERSHOOT = 1.05  # sharpening and resampling take floats so much above white
COLORS = {0: 1, 1: 1, 2: 3, 5: 4}  # TIFF photometric (white is zero, black is zero, RGB, inks) -> channels
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3  # TIFF sample formats
_NAMES = {_UNSIGNED: "unsigned", _SIGNED: "signed", _FLOAT: "float"}
_DARKEST_WHITE = 10 / 255  # floats whose brightest is below this show nothing on a scale to 1


class PhotoWarning(UserWarning):
    """What had to be guessed to read a photograph."""


class UnreadableTiff(ValueError):
    """A whole TIFF, but of a kind that cannot be read; its text is the reason."""


def read_deep_tiff(data, name):
    """A TIFF that Pillow cannot do justice: any that is not made of 8-bit or 1-bit channels side by side.

    data: the file. Returns its first picture in mode L, LA, RGB, RGBA or CMYK with its ICC profile and EXIF
    orientation, or None where Pillow is the right reader. Raises UnreadableTiff if the picture is whole but cannot be
    shown: codecs that are not there, channels of unknown meaning.
    """
    import tifffile  # takes a tenth of a second

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    with tifffile.TiffFile(BytesIO(data)) as tiff:
        page = tiff.pages[0]
        if _is_plain(page):
            return None
        _refuse_bomb(page)
        inks = COLORS.get(page.photometric)
        if inks is None or page.samplesperpixel < inks or page.sampleformat not in _NAMES:
            raise UnreadableTiff(_not_readable(page))
        if inks == 1 and page.samplesperpixel > 1 and not _alpha(page, inks):
            raise UnreadableTiff(_not_readable(page, "what its channels mean is not said"))
        samples = _samples(page)
        return None if samples is None else _as_image(page, samples, inks, name)


def _refuse_bomb(page):
    """Pillow's own limit, before anything is unpacked: a header of some bytes may speak of gigabytes."""
    plane = page.imagewidth * page.imagelength * page.imagedepth
    pixels = max(plane, plane * page.samplesperpixel // 4)  # as many as would take the room of its samples
    if pixels > 2 * Image.MAX_IMAGE_PIXELS:
        raise Image.DecompressionBombError(f"Image size ({pixels} pixels) exceeds the limit")


def _is_plain(page):
    """Whether Pillow reads it as it is meant."""
    if page.bitspersample not in (1, 2, 4, 8) or page.sampleformat != _UNSIGNED:
        return False
    more = page.samplesperpixel - COLORS.get(page.photometric, page.samplesperpixel)
    if page.photometric in (0, 1):
        return more == 0 or more == 1 and _alpha(page, 1) == 2
    return more in ((0,) if page.photometric == 5 else (0, 1))


def _alpha(page, inks):
    """Which kind of transparency the first channel after the inks is: 1 multiplied in, 2 apart, 0 none."""
    kinds = page.extrasamples or ()
    return int(kinds[0]) if page.samplesperpixel > inks and kinds and int(kinds[0]) in (1, 2) else 0


def _samples(page):
    """(H, W, channels) of the page; None where only Pillow has the codec, and reads what is in it."""
    try:
        samples = page.asarray()
    except (ValueError, NotImplementedError, KeyError) as error:
        if "imagecodecs" not in str(error):
            raise
        if _pillow_reads(page):
            return None
        raise UnreadableTiff(_not_readable(page)) from error
    samples = np.moveaxis(samples, 0, -1) if page.axes.startswith("S") else samples
    return samples.reshape(*page.shape[-2:], 1) if page.samplesperpixel == 1 else samples


def _pillow_reads(page):
    gray = page.samplesperpixel == 1 and page.photometric in (0, 1)
    known = {(12, _UNSIGNED), (16, _UNSIGNED), (16, _SIGNED), (32, _SIGNED), (32, _FLOAT)}
    return gray and (page.bitspersample, page.sampleformat) in known


def _as_image(page, samples, inks, name):
    values = to_unit(samples[..., :inks], name, page.bitspersample, _plain_number(page.tags.valueof("MaxSampleValue")))
    if page.photometric == 0:
        values = 1 - values
    if alpha := _alpha(page, inks):
        opaque = np.iinfo(samples.dtype).max if samples.dtype.kind in "ui" else 1.0
        cover = (samples[..., inks : inks + 1].astype(np.float32) / opaque).clip(0, 1)
        if inks == 4:  # Pillow has no inks with transparency: where nothing covers, there is no ink
            values = values * cover if alpha == 2 else values
        else:
            values = values if alpha == 2 else (values / np.maximum(cover, 1e-6)).clip(0, 1)
            values = np.concatenate((values, cover), -1)
    pixels = np.ascontiguousarray((values * 255).round().astype(np.uint8))
    mode = "CMYK" if inks == 4 else {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[pixels.shape[-1]]
    image = Image.frombytes(mode, pixels.shape[1::-1], pixels.tobytes())
    image.info["icc_profile"] = page.tags.valueof("InterColorProfile")
    image.getexif()[ORIENTATION] = page.tags.valueof("Orientation", 1)
    return image


def _plain_number(stated):
    stated = stated[0] if isinstance(stated, tuple) else stated
    return stated if isinstance(stated, int) and stated in FULL_SCALES else None


def _not_readable(page, why=""):
    channels = "" if page.samplesperpixel == 1 else f"{page.samplesperpixel} channels of "
    photometric = getattr(page.photometric, "name", page.photometric)
    compression = getattr(page.compression, "name", page.compression)
    numbers = f"{page.bitspersample} bits {_NAMES.get(page.sampleformat, 'complex')}"
    kind = f"{channels}{numbers} ({photometric}, compression {compression})"
    return (
        f"a TIFF of {kind} cannot be read{', as ' + why if why else ''}; save it as RGB or gray of 8 or 16 bits first"
    )


# ---- the range of samples ----


def to_unit(samples: Num[np.ndarray, "*n"], name, bits=None, stated=None) -> Float32[np.ndarray, "*n"]:
    """Samples of any type to 0..1, by what is black and white in them (`black_and_white`).

    name: of the photograph, for the warning.  bits, stated: how many bits and which full scale the file says.
    """
    if samples.dtype.kind == "f":
        if not np.isfinite(samples).any():
            raise UnreadableTiff("none of its samples is a number")
        samples = np.nan_to_num(samples, nan=0, posinf=0, neginf=0)
    black, white, guess = black_and_white(samples, bits, stated)
    if guess:
        warnings.warn(
            f"{name}: the file does not say its range; {black:g} is read as black, {white:g} as white", PhotoWarning, 3
        )
    if samples.dtype.kind == "f" and not 1e-30 < white - black < 1e30:  # more than 32 bits can hold, or less
        return ((samples.astype(np.longdouble) - black) / (np.longdouble(white) - black)).clip(0, 1).astype(np.float32)
    return ((samples.astype(np.float32) - np.float32(black)) * np.float32(1 / (white - black))).clip(0, 1)


def black_and_white(samples: Num[np.ndarray, "*n"], bits=None, stated=None) -> tuple[float, float, bool]:
    """(black, white, whether that is a guess) of finite samples of any type.

    Unsigned: 0, and the full scale that the file says, or else the first of 8, 10, 12, 14 and 16 bits that holds the
    brightest; beyond sixteen bits that itself.  Signed: the same of one bit less, and from the darkest to the brightest
    where there is anything below 0.  Floats: 0 and 1, or what a full scale of integers holds, with a little overshoot;
    -1 and 1; or else the brightest, also where that is next to black.  A full scale that is reached only to a quarter
    is none for floats.
    """
    darkest, brightest = float(samples.min()), float(samples.max())
    if samples.dtype.kind == "f":
        return _of_floats(darkest, brightest)
    if darkest < 0:
        return darkest, max(brightest, darkest + 1), True
    bits = bits or 8 * samples.dtype.itemsize
    most = (2**bits - 1) >> (samples.dtype.kind == "i")  # one bit of theirs is the sign
    if bits not in (16, 32, 64):  # 8, or 12 packed: all that there is room for
        return 0, most, False
    if stated and brightest <= stated <= most:
        return 0, stated, False
    scales = [scale for scale in (*FULL_SCALES, most) if brightest <= scale <= min(most, 65535)]
    white = min(scales) if scales else brightest
    return 0, white, white != most


def _of_floats(darkest, brightest):
    if darkest >= -OVERSHOOT and darkest < -0.5 and 0.5 < brightest <= OVERSHOOT:
        return -1, 1, True
    if brightest <= 0:
        return darkest, max(brightest, darkest + max(1e-6, -1e-6 * darkest)), darkest < 0
    if brightest < _DARKEST_WHITE and darkest >= 0:
        return 0, brightest, True
    if brightest <= OVERSHOOT:
        return 0, 1, darkest < -0.05
    scales = [scale for scale in FULL_SCALES if scale / 4 < brightest <= scale * OVERSHOOT]
    return 0, scales[0] if scales else brightest, True
