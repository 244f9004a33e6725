"""Reading any photograph a person may hand us: one shape out, one kind of error.

Photographs come rotated by a flag, in print colours, with palettes, transparency, sixteen bits or a colour profile of
their own. `read_photo` turns each of them into upright sRGB, uint8 (H, W, 3), or raises `PhotoError`.
"""

import os
import re
import warnings
from functools import cache
from io import BytesIO

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from repro.datasets.deep import TIFF_STARTS, UnreadableTiff, read_deep_tiff, to_unit
from repro.examples import has_color, true_ab
from repro.files import read_file

# What Pillow may try. Its other readers hand the file to an outside program (EPS), take noise for a picture
# (TGA, which has no signature) or are not for photographs.
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "AVIF", "JPEG2000", "GIF", "BMP", "DIB", "PPM")
_UPRIGHT = {  # EXIF orientation -> what turns the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PROFILE_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # ICC colour space -> Pillow mode
RAW_SUFFIXES = frozenset(  # cameras' raw files: TIFF inside, of which a reader would take the small preview
    ".dng .nef .nrw .cr2 .cr3 .crw .arw .srf .sr2 .raf .orf .rw2 .rwl .pef .srw .x3f .3fr .fff .iiq .erf .kdc .dcr"
    " .mrw .mos .raw".split()
)
TOO_LITTLE_MEMORY = "too large for the memory of this machine; make it smaller first"
_PILLOW_MODULES = r"PIL\."


class PhotoError(Exception):
    """A photograph that cannot be read.  .name: which one; .reason: why, in one line for people."""

    def __init__(self, name, reason):
        super().__init__(name, reason)  # both in args, so that the error survives pickling
        self.name, self.reason = str(name), str(reason)

    def __str__(self):
        return f"{self.name}: {self.reason}"


# ---- reading ----


def read_photo(path_or_bytes, name: str | os.PathLike | None = None) -> UInt8[np.ndarray, "h w 3"]:
    """One photograph as upright sRGB.

    path_or_bytes: a path, or the file's bytes.  name: what errors call it (default: the path, or "bytes").
    Returns the first frame, turned by its EXIF flag, its colour profile applied, composited
    on white where transparent (but not where all of it is: nobody means that); sixteen bits and floats are
    scaled to 0..255 (`deep.black_and_white`), with a PhotoWarning where the range had to be guessed.
    Raises PhotoError, and nothing else, if that is impossible: missing, empty, broken or cut off, no
    photograph, or so many pixels that Pillow's limit against decompression bombs refuses it.
    """
    is_bytes = isinstance(path_or_bytes, (bytes, bytearray, memoryview))
    name = name or ("bytes" if is_bytes else os.fspath(path_or_bytes))
    data = bytes(path_or_bytes) if is_bytes else file_bytes(path_or_bytes, name)
    _refuse_raw(name)
    if not data:
        raise PhotoError(name, "the file is empty")
    silence_pillow()
    try:
        return _decode(data, name)
    except Exception as error:  # Pillow's readers let any kind through: struct.error, IndexError, SyntaxError ...
        raise PhotoError(name, _reason(error, data)) from error


def _refuse_raw(name):
    if os.path.splitext(str(name))[1].lower() in RAW_SUFFIXES:
        raise PhotoError(name, "a camera's raw file cannot be read here; develop it to TIFF or JPEG first")


def file_bytes(path, name):
    """The bytes of a photograph's file, which errors call `name`.  Raises PhotoError if they cannot be had."""
    try:
        return read_file(path)
    except MemoryError as error:
        raise PhotoError(name, TOO_LITTLE_MEMORY) from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise PhotoError(name, f"cannot be opened: {getattr(error, 'strerror', None) or error}") from error


@cache
def _formats():
    """Those of FORMATS that this Pillow was built with."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _decode(data, name):
    deep = _deep_tiff(data, name) if data[:4] in TIFF_STARTS else None
    with deep or Image.open(BytesIO(data), formats=_formats()) as image:
        image.load()
        if min(image.size) == 0:
            raise ValueError(f"{image.width} x {image.height} pixels: there is nothing in it")
        if image.format == "PNG":
            _scale_transparent_color(image, depth=data[24])
        return np.array(_to_srgb(_upright(image), image.info.get("icc_profile"), name))


def _deep_tiff(data, name):
    try:
        return read_deep_tiff(data, name)
    except (UnreadableTiff, Image.DecompressionBombError):
        raise
    except Exception:  # Pillow says what is wrong with it, or reads it after all
        return None


def _scale_transparent_color(image, depth):
    """PNG's one transparent colour (tRNS) is of the file's depth; Pillow scales the pixels, and leaves it as it is."""
    color = image.info.get("transparency")
    if image.mode == "L" and depth in (2, 4) and isinstance(color, int):
        image.info["transparency"] = color * 255 // (2**depth - 1)
    if image.mode == "RGB" and depth == 16 and isinstance(color, tuple):
        image.info["transparency"] = tuple(value >> 8 for value in color)


def _upright(image):
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # a broken EXIF block must not cost the photograph
        orientation = None
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def _to_srgb(image, icc_profile, name):
    """Any Pillow image to mode RGB: depth, then profile or gamma, then transparency over white."""
    gamma = None if icc_profile or "srgb" in image.info else image.info.get("gamma")
    if image.mode == "F" or image.mode.startswith("I"):
        image, gamma = _scaled_to_8_bit(image, gamma, name), None
    if image.mode == "La":
        image = image.convert("LA")  # Pillow makes nothing else of gray with transparency multiplied in
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    rgb = _through_profile(image, icc_profile) or (image if image.mode == "RGB" else image.convert("RGB"))
    if gamma:
        rgb = rgb.point((_srgb_of(np.arange(256) / 255, gamma) * 255).round().astype(int).tolist() * 3)
    one_color = isinstance(image.info.get("transparency"), (int, tuple))
    if alpha is not None and (one_color or alpha.getextrema()[1] > 0):  # else an alpha that nobody filled in
        rgb = Image.composite(rgb, Image.new("RGB", rgb.size, "white"), alpha)
    return rgb


def _srgb_of(values, gamma):
    """Samples 0..1 written with PNG's gamma (light = value ** (1 / gamma)) as sRGB has them."""
    if not gamma or not 0.01 < gamma < 100 or abs(gamma - 1 / 2.2) < 0.005:  # sRGB's own, as PNG rounds it
        return values
    linear = values ** (1 / gamma)
    return np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)


def _scaled_to_8_bit(image, gamma, name):
    """A deep gray image (I;16, I or F) to mode L, or LA where one of its grays is transparent.

    Full scale is sixteen bits, whatever the format, but for TIFF: there `deep.black_and_white` says it.
    """
    values = np.asarray(image)
    transparent = image.info.get("transparency")
    if image.format == "TIFF":
        gray = to_unit(values, name, image.tag_v2.get(258, (None,))[0])
        gray = 1 - gray if image.tag_v2.get(262) == 0 else gray  # white is zero; Pillow turns only 8-bit files over
    else:
        gray = (values / np.float32(65535)).clip(0, 1)
    gray = Image.fromarray((_srgb_of(gray, gamma) * 255).round().astype(np.uint8))
    if isinstance(transparent, int):
        gray.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return gray


@cache
def _srgb_profile():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _through_profile(image, icc_profile):
    """The image in sRGB by its embedded profile, or None where there is none that fits and works."""
    if not icc_profile:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(icc_profile))
        mode = _PROFILE_MODES.get(profile.profile.xcolor_space.strip())
        if mode is None or not _fits(image.mode, mode):
            return None
        return ImageCms.profileToProfile(image.convert(mode), profile, _srgb_profile(), outputMode="RGB")
    except Exception:  # a broken profile: plain conversion is the better half of a loaf
        return None


def _fits(mode, profile_mode):
    """Whether a picture of this mode may be put through a profile for that one.

    Print and gray profiles need their own.
    """
    own = {"CMYK": ("CMYK",), "L": ("1", "L", "LA", "La")}
    return mode in own[profile_mode] if profile_mode in own else mode not in ("CMYK", "LAB")


def _reason(error, data):
    """Pillow's error as one line for people."""
    if isinstance(error, Image.DecompressionBombError):
        pixels = re.search(r"\d+", str(error))
        size = f"{int(pixels[0]) / 1e6:,.0f} megapixels" if pixels else "too many pixels"
        allowed = f"{2 * Image.MAX_IMAGE_PIXELS / 1e6:,.0f}"
        return f"refused: {size} is more than the {allowed} allowed; make it smaller first"
    if isinstance(error, UnreadableTiff):
        return str(error)
    if isinstance(error, UnidentifiedImageError) and data[:4] in TIFF_STARTS:
        return "a TIFF that is broken, or of a kind that cannot be read; save it as RGB or gray of 8 or 16 bits first"
    if isinstance(error, UnidentifiedImageError):
        if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1"):
            return "HEIC cannot be read here; save it as JPEG or PNG first"
        return "not a photograph in a format that can be read (JPEG, PNG, TIFF, WebP, AVIF, JPEG 2000, GIF, BMP ...)"
    if isinstance(error, MemoryError):
        return TOO_LITTLE_MEMORY
    return f"broken or cut off ({' '.join(str(error).split()) or type(error).__name__})"


def silence_pillow():
    """Keep Pillow's warnings (odd EXIF, many pixels) off the screen, for good.

    `warnings.catch_warnings` would undo itself, but is not safe in the threads that read photographs.
    """
    ours = ("ignore", None, Warning, re.compile(_PILLOW_MODULES), 0)
    if list(warnings.filters[:1]) != [ours]:
        warnings.filterwarnings("ignore", module=_PILLOW_MODULES)


# ---- looking and resizing ----


def is_colorful(rgb8: UInt8[np.ndarray, "h w 3"]) -> bool:
    """Is it a colour photograph?  The released code's rule, `has_color`, on every 4th pixel.

    A black-and-white photograph teaches no colour and is set aside.
    """
    return bool(has_color(true_ab(rgb8[None]))[0])


def resize_short(rgb8: UInt8[np.ndarray, "h w 3"], short: int) -> UInt8[np.ndarray, "_ _ 3"]:
    """The photograph with its shorter side `short` pixels long, proportions kept.

    Antialiased (Lanczos).  Raises ValueError for other arrays.
    """
    height, width = _photo_shape(rgb8, short)
    shorter = min(height, width)
    size = (max(1, round(width * short / shorter)), max(1, round(height * short / shorter)))  # Pillow: W, H
    return _resized(Image.fromarray(rgb8), size)


def center_square(rgb8: UInt8[np.ndarray, "h w 3"], size: int) -> UInt8[np.ndarray, "{size} {size} 3"]:
    """The largest central square of the photograph, resized.

    The same picture as shortening the short side to `size` and cropping, but a strip of 1 x 100,000 pixels
    never grows on the way.  Raises ValueError for other arrays.
    """
    height, width = _photo_shape(rgb8, size)
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return _resized(Image.fromarray(rgb8[top : top + side, left : left + side]), (size, size))


def _resized(image, size):
    return np.array(image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))


def _photo_shape(rgb8, side):
    if rgb8.dtype != np.uint8 or rgb8.ndim != 3 or rgb8.shape[-1] != 3 or 0 in rgb8.shape:
        raise ValueError(f"rgb8 must be uint8 (H, W, 3) with pixels in it, got {rgb8.dtype} {rgb8.shape}")
    if side < 1:
        raise ValueError(f"the wanted side must be 1 pixel or more, got {side}")
    return rgb8.shape[:2]
