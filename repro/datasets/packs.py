"""Collections of photographs as zip files of small squares: a training set that can be carried to another machine.

<out>/pack-1.zip, pack-2.zip ...    WebP files in train/, val/ and test/<collection>/<their own folders>/

Unpacked into one folder they are what `FolderSource` takes as it is.  A photograph's split follows from a hash
of its name, so the same photographs are held back whatever else is packed beside them; those come first, so
that one pack is enough to try everything with.
"""

import os
import re
import shutil
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile

from PIL import Image

from repro.datasets.finding import find_photos
from repro.datasets.folder import SourceError, originals, unit_hash
from repro.datasets.photographs import PhotoError, center_square, is_colorful, read_photo
from repro.files import printable

HELD_BACK = 0.025  # of the photographs are for validation, and as many for testing
ENTRY = 150  # bytes of a zip file for each photograph, besides twice its name
STALE = 3600  # seconds after which a folder of unfinished packs was left by a run that was killed
_BATCH = 256  # photographs read at a time


def pack(collections, out, size=128, mib=45, quality=65, without=()):
    """Write the photographs of several folders as packs.

    collections: {name: folder}.  size: of the squares, pixels; smaller photographs are not enlarged.  mib: of a
    pack, at most.  quality: of WebP, 1..100.  without: names of folders to leave out, as those that hold
    drawings.  Of files with the same bytes one is kept; gray and broken ones are left out.
    Earlier packs, pack-<number>.zip, are replaced one by one when all new ones are whole; no other file is touched.
    Returns the packs' paths and {reason: how many were left out}.  Raises SourceError for a folder that is
    missing or gives nothing, OSError where `out` cannot be written to.
    """
    out, left_out = Path(out), Counter()
    members = _members(collections, set(without), left_out)
    out.mkdir(parents=True, exist_ok=True)
    earlier = [path for path in out.iterdir() if re.fullmatch(r"pack-\d+\.zip", path.name)]
    for path in earlier:
        if not _is_pack(path):
            raise SourceError(f"{path} is there already and is no pack; choose another folder")
    for left in out.glob(".packing-*"):  # by a run that was killed
        if time.time() - left.stat().st_mtime > STALE:
            shutil.rmtree(left, ignore_errors=True)
    with TemporaryDirectory(dir=out, prefix=".packing-") as folder:
        made = _write(_encoded(members, size, quality), Path(folder), mib * 2**20, left_out)
        if not made:
            reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count)
            raise SourceError(f"none of the photographs can be used: {reasons or 'there are none'}")
        for new in made:
            os.replace(new, out / new.name)
    packs = [out / new.name for new in made]
    for old in earlier:
        if old not in packs:
            old.unlink()
    return packs, left_out


def _is_pack(path):
    """Whether a file is a zip file of small squares, as `pack` writes it."""
    try:
        with ZipFile(path) as archive:
            return all(re.fullmatch(r"(train|val|test)/.+\.webp", name) for name in archive.namelist())
    except (OSError, BadZipFile):
        return False


def _write(encoded, folder, most, left_out):
    """Write zip files of at most so many bytes; returns their paths."""
    packs, room, archive = [], 0, None
    try:
        for name, webp, reason in encoded:
            if reason:
                left_out[reason] += 1
                continue
            needed = len(webp) + 2 * len(name.encode()) + ENTRY
            if needed > room:
                if archive:
                    archive.close()
                room = most
                packs.append(folder / f"pack-{len(packs) + 1}.zip")
                archive = ZipFile(packs[-1], "w")
            archive.writestr(name, webp)
            room -= needed
    finally:
        if archive:
            archive.close()
    return packs


def _members(collections, without, left_out):
    """[(path, name in the packs)], held back ones first; no name twice, and none that a zip file cannot hold."""
    paths = {}
    for collection, folder in collections.items():
        root = Path(folder).expanduser().resolve()
        if not root.is_dir():
            raise SourceError(f"{folder} is not a folder; give NAME=FOLDER with the folder that holds the photographs")
        for path in find_photos(root):
            inside = path.relative_to(root)
            if without.isdisjoint(inside.parts):
                paths[path.as_posix()] = f"{collection}/{printable(inside.with_suffix('.webp').as_posix())}"
    original = originals(Path("/"), list(paths))
    left_out["copies"] = sum(path != original[path] for path in paths)
    found, taken = [], set()
    for path, name in paths.items():
        if path == original[path]:
            while name in taken:  # x.jpg beside x.png
                name = f"{name.removesuffix('.webp')}_.webp"
            taken.add(name)
            place = unit_hash(name)
            split = "val" if place < HELD_BACK else "test" if place < 2 * HELD_BACK else "train"
            found.append((path, f"{split}/{name}"))
    return sorted(found, key=lambda member: (member[1].startswith("train/"), unit_hash(f"order of {member[1]}")))


def _encoded(members, size, quality):
    """(name, WebP bytes, None) or (name, None, why it is left out), in the order of members, by all cores."""

    def encode(member):
        path, name = member
        try:
            photo = read_photo(path)
        except PhotoError:
            return name, None, "broken"
        square = center_square(photo, min(size, *photo.shape[:2]))
        if not is_colorful(square):
            return name, None, "gray"
        file = BytesIO()
        Image.fromarray(square).save(file, "WEBP", quality=quality)
        return name, file.getvalue(), None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(members), _BATCH):
            yield from pool.map(encode, members[start : start + _BATCH])
