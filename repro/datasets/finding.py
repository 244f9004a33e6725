"""Finding photographs in whatever a person names: files, folders, links that lead round in circles.

What is in a folder is either found or not meant: everything that looks like a picture is found, even if it can
only be refused when it is read, so that nothing a person counts on is passed over without a word.
"""

import os
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from repro.datasets.photographs import RAW_SUFFIXES, PhotoError, read_photo
from repro.files import printable

_READABLE = (
    ".jpg .jpeg .jpe .jif .jfi .jfif .mpo .jps .png .apng .tif .tiff .ptif .btf .tf8 .webp .avif .avifs"
    " .jp2 .j2k .j2c .jpc .jpf .jpx .gif .bmp .dib .ppm .pgm .pbm .pnm .pfm"
).split()
_REFUSED = (  # pictures that no reader here knows: reading one says so
    ".heic .heif .hif .jxl .jxr .wdp .hdp .bpg .qoi .psd .psb .xcf .tga .pcx .sgi .exr .hdr .djvu .ico .icns .dds"
).split()
PHOTO_SUFFIXES = RAW_SUFFIXES.union(_READABLE, _REFUSED)
# Small copies and what was thrown away, as network drives, cameras and archives keep them beside the photographs.
_NOT_MEANT = frozenset(
    "@eadir @recycle #recycle $recycle.bin @recently-snapshot #snapshot __macosx lost+found".split()
    + ["system volume information"]
)


def find_photos(paths):
    """The photographs that paths name, as a list of Path without repeats.

    paths: a file or folder, or several.  A file is kept whatever its suffix.  A folder is walked with its
    subfolders (linked ones too), in sorted order; what is hidden (".name"), lies among a drive's small copies
    (@eaDir) or lacks one of PHOTO_SUFFIXES is not meant.  A subfolder that may not be opened stands in the list
    itself: reading it says why.
    Raises FileNotFoundError that names a path which does not exist.
    """
    paths = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    found = []
    for path in map(Path, paths):
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist; give a photograph or a folder of photographs")
        found += _walk(path) if path.is_dir() else [path]
    return list(dict.fromkeys(found))


def read_photos(folder: str | os.PathLike, most: int) -> tuple[dict[str, UInt8[np.ndarray, "_ _ 3"]], list[str]]:
    """The first photographs of a folder that can be read, by name, and why others cannot.

    most: photographs, at most.  Names are those within the folder, as they can be printed.
    """
    photos, set_aside = {}, []
    folder = Path(folder).expanduser()
    for path in find_photos(folder):
        name = printable(path.relative_to(folder).as_posix() if path != folder else path.name)
        try:
            photos[name] = read_photo(path, name)
        except PhotoError as error:
            set_aside.append(str(error))
        if len(photos) == most:
            break
    return photos, set_aside


def _walk(root):
    found, seen = [], set()
    walk = os.walk(root, followlinks=True, onerror=lambda error: found.append(Path(error.filename)))
    for folder, subfolders, files in walk:
        real = os.path.realpath(folder)
        if real in seen:  # a link that leads back
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = sorted(name for name in subfolders if not _is_hidden(name))
        found += [Path(folder, name) for name in files if _is_photo_name(name)]
    return sorted(found, key=lambda photo: photo.as_posix())


def _is_hidden(name):
    return name.startswith(".") or name.lower() in _NOT_MEANT


def _is_photo_name(name):
    return not _is_hidden(name) and Path(name).suffix.lower() in PHOTO_SUFFIXES
