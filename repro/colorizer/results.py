"""Coloured photographs on disk: under which name, with what of the original's EXIF, and known again later.

A result bears the fingerprint of its original's bytes in the EXIF field ProcessingSoftware. So a second run knows
what is done, and a file of somebody else's under the same name is never taken for a result, nor written over.
"""

import hashlib
import os
import unicodedata
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, ImageCms

from repro.files import identity, write_atomically

_MARK = "repro colorize, from the file with sha256 "
_LONGEST_NAME = 255  # bytes, on nearly every disk
_JPEG = (".jpg", ".jpeg")
_LONGEST_VALUE = 2000  # bytes of one EXIF field; the whole of a JPEG's may have 65,533
_KEPT = [  # fields of the first EXIF folder that tell of the photograph; its others tell of the file's own layout
    ExifTags.Base[name]
    for name in "ImageDescription Make Model Software DateTime Artist HostComputer Copyright Rating RatingPercent"
    " XPTitle XPComment XPAuthor XPKeywords XPSubject".split()
]
_OF_THE_OLD_FILE = [ExifTags.Base[name] for name in "ExifImageWidth ExifImageHeight MakerNote ColorSpace".split()]


def fingerprint(data):
    """sha256 of a file's bytes, as hex digits."""
    return hashlib.sha256(data).hexdigest()


def original_of(path):
    """The fingerprint of the original that a result was made from; None if it is no whole result of ours."""
    if not os.path.isfile(path):  # a pipe would be waited for
        return None
    try:
        with Image.open(path, formats=("JPEG", "PNG")) as image:
            made_by = str(image.getexif().get(ExifTags.Base.ProcessingSoftware, ""))
            if not made_by.startswith(_MARK):
                return None
            image.load()
    except Exception:  # whatever is wrong with it, it is no whole result
        return None
    return made_by.removeprefix(_MARK)


# ---- names ----


class Places:
    """Where the results of one run go.

    Each result has a name of its own, compared as macOS and Windows compare names.  Nothing that lay there before
    the run is written over; with `overwrite` only the originals are spared.
    out: a folder.  sources: [(path, its name within out)] of every original of the run.
    """

    def __init__(self, out, sources, overwrite=False):
        self.out, self.overwrite = Path(out), overwrite
        self._originals = {identity(path) for path, _ in sources}
        folders = {parent for _, inside in sources for parent in (self.out / inside).parents}
        self._taken = {_folded(os.path.realpath(folder)) for folder in folders}
        self._before = {}  # folder -> the names in it before we wrote there

    def place(self, source, inside, digest):
        """(path, whether the result of this very original stands there already).

        JPEG stays JPEG, anything else becomes PNG; beside its original a result is called NAME-colored.
        Names that are taken get -2, -3 ...  Raises OSError where the folder cannot be read.
        """
        folder = (self.out / inside).parent
        suffix = inside.suffix if inside.suffix.lower() in _JPEG else ".png"
        beside = os.path.realpath(folder) == os.path.realpath(source.parent)
        for name in _names(inside.stem + "-colored" * beside, suffix):
            path = folder / name
            key = _folded(os.path.join(os.path.realpath(folder), name))
            if key in self._taken or identity(path) in self._originals:
                continue
            there = _folded(name) in self._names_before(folder) or os.path.lexists(path)  # another run's, meanwhile
            free = not there or (self.overwrite and path.is_file())
            if free or original_of(path) == digest:
                self._taken.add(key)
                return path, not free
        raise AssertionError("there is always another name")

    def _names_before(self, folder):
        if folder not in self._before:
            self._before[folder] = {_folded(name) for name in os.listdir(folder)} if folder.exists() else set()
        return self._before[folder]


def _folded(name):
    """Names that are one on some disk become equal."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", str(name)).casefold())


def _names(stem, suffix):
    """stem.suffix, stem-2.suffix ...: each short enough for a disk."""
    count = 1
    while True:
        ending = f"-{count}{suffix}" if count > 1 else suffix
        while len(os.fsencode(stem + ending)) > _LONGEST_NAME:
            stem = stem[:-1]
        yield stem + ending
        count += 1


# ---- what is written ----


def save_result(photo: UInt8[np.ndarray, "h w 3"], path: Path, data: bytes):
    """Write a coloured photograph whole or not at all: JPEG at quality 95 or PNG, by the path's ending.

    photo: sRGB, upright.  data: bytes of the original's file, whose date, place, camera and
    resolution are kept.  Raises OSError.
    """
    is_jpeg = path.suffix.lower() in _JPEG
    options = {"format": "JPEG", "quality": 95, "subsampling": 0} if is_jpeg else {"format": "PNG"}
    image = Image.fromarray(photo)
    exif, dpi = kept_of(data)
    exif[ExifTags.Base.ProcessingSoftware] = _MARK + fingerprint(data)
    options |= {"icc_profile": _srgb(), "exif": exif} | ({"dpi": dpi} if dpi else {})
    buffer = BytesIO()
    try:
        image.save(buffer, **options)
    except Exception:  # an odd EXIF field must not cost the photograph
        buffer = BytesIO()
        image.save(buffer, **options | {"exif": _only_mark(exif)})
    write_atomically(path, buffer.getvalue())


def kept_of(data):
    """(Exif, (x, y) dots per inch or None) of a file's bytes, for the picture as it is once upright.

    The fields that tell of the photograph, without those that tell of the file: its layout, small copy and turning.
    """
    kept, dpi = Image.Exif(), None
    try:
        with Image.open(BytesIO(data)) as image:
            found, dpi = image.getexif(), _usable(image.info.get("dpi"))
            if found.get(ExifTags.Base.Orientation, 1) >= 5 and dpi:
                dpi = dpi[::-1]  # it lay on its side
            kept.update((tag, found[tag]) for tag in _KEPT if tag in found and _is_short(found[tag]))
            for part in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
                fields = {tag: value for tag, value in found.get_ifd(part).items() if _is_short(value)}
                if part == ExifTags.IFD.Exif:
                    fields = {tag: value for tag, value in fields.items() if tag not in _OF_THE_OLD_FILE}
                if fields:
                    kept.get_ifd(part).update(fields)
    except Exception:  # a broken EXIF block must not cost the photograph
        return Image.Exif(), dpi
    return kept, dpi


def _is_short(value):
    return not isinstance(value, (bytes, str, tuple)) or len(value) <= _LONGEST_VALUE


def _usable(dpi):
    try:
        x, y = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if 1 <= x < 65536 and 1 <= y < 65536 else None


def _only_mark(exif):
    tag = ExifTags.Base.ProcessingSoftware
    alone = Image.Exif()
    alone[tag] = exif[tag]
    return alone


def _srgb():
    """The profile of sRGB, always the same bytes: its date is set to zero."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + bytes(12) + profile[36:]


def pages_of(data):
    """How many pages a file has, or pictures of an animation; 1 for a JPEG, whose others are small copies."""
    try:
        with Image.open(BytesIO(data)) as image:
            return 1 if image.format in ("JPEG", "MPO") else getattr(image, "n_frames", 1)
    except Exception:  # what is wrong with it, reading it says
        return 1
