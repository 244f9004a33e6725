"""One shard: its photographs made small, packed into a tar, and that tar checked afterwards."""

import hashlib
import json
import re
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import ExifTags, Image

from repro.datasets.fetching import ShardError
from repro.datasets.folder import SPLITS, Item, SourceError
from repro.datasets.manifest import MANIFEST, open_shards, records
from repro.datasets.photographs import PhotoError, is_colorful, read_photo, resize_short
from repro.datasets.prepared import GRAY
from repro.files import overheard, read_file, write_atomically

LONGEST = 4  # short sides: what is longer loses both ends
_FINER = 2  # a reduced decoding has at least so many times the pixels wanted a side


@dataclass(frozen=True)
class Task:
    """One shard to be written.  first: key of its first photograph."""

    name: str
    split: str
    root: Path
    out: Path
    first: int
    items: tuple[Item, ...]
    short_side: int
    quality: int


def write_shard(task, plan):
    """Write <name>.tar, then <name>.json; returns what that holds but the plan."""
    buffer, left_out = BytesIO(), []
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for key, item in enumerate(task.items, task.first):
            try:
                with overheard():
                    jpeg = small_jpeg(_file_bytes(task.root, item.name), item.name, task.short_side, task.quality)
            except PhotoError as error:
                left_out.append({"name": item.name, "reason": error.reason})
                continue
            name = item.name.encode("utf-8", "surrogateescape")
            for suffix, content in (("jpg", jpeg), ("cls", b"%d" % item.label), ("txt", name)):
                member = tarfile.TarInfo(f"{key:08d}.{suffix}")  # time and owner are zero
                member.size = len(content)
                tar.addfile(member, BytesIO(content))
    entry = {
        "name": f"{task.name}.tar",
        "count": len(task.items) - len(left_out),
        "bytes": buffer.tell(),
        "sha256": hashlib.sha256(buffer.getbuffer()).hexdigest(),
        "left_out": left_out,
    }
    write_atomically(task.out / entry["name"], buffer.getbuffer())
    write_atomically(task.out / f"{task.name}.json", json.dumps(entry | {"plan": plan}).encode())
    return entry


def is_shard(path):
    """Whether a tar file begins as `write_shard` writes it, or is empty."""
    try:
        with tarfile.open(path) as tar:
            first = tar.next()
    except (OSError, tarfile.TarError):
        return False
    return first is None or (bool(re.fullmatch(r"\d{8}\.jpg", first.name)) and first.mtime == 0)


def _file_bytes(root, name):
    path = root / name
    try:
        return read_file(path)
    except OSError as error:
        if not path.parent.is_dir():  # not one photograph but the disk is gone
            raise SourceError(f"{path.parent} is gone; finished shards are kept") from error
        raise PhotoError(name, f"cannot be opened: {error.strerror or error}") from error


def small_jpeg(data, name, short_side, quality):
    """A photograph's file as a JPEG with the short side `short_side` pixels long.

    The long side is at most LONGEST times that, cut on both ends; colour is at full resolution (4:4:4).

    Raises PhotoError for a broken or a grayscale photograph.
    """
    photo = _read_reduced(data, name, short_side)
    height, width = photo.shape[:2]
    most = LONGEST * min(height, width)
    top, left = max(0, height - most) // 2, max(0, width - most) // 2
    photo = resize_short(photo[top : top + most, left : left + most], short_side)
    if not is_colorful(photo):
        raise PhotoError(name, GRAY)
    return simplejpeg.encode_jpeg(np.ascontiguousarray(photo), quality, "RGB", "444")


def _read_reduced(data, name, short):
    """`read_photo`, where a large plain JPEG is decoded at a reduced size.

    That is half its size, 3/8, 1/4 or 1/8, but never less than twice `short`.

    After `resize_short` the two differ by 0.6 levels of 255 on average and up to some 25 at sharp edges (JPEG at
    quality 90 changes 2 on average), and the long side may be a pixel longer.
    """
    try:
        with Image.open(BytesIO(data), formats=("JPEG",)) as image:
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
            if image.format == "JPEG" and image.mode == "RGB" and not turned and "icc_profile" not in image.info:
                least = _FINER * short
                return simplejpeg.decode_jpeg(data, "RGB", min_height=least, min_width=least, min_factor=2)
    except Exception:  # what is odd about it is for `read_photo` to say
        pass
    return read_photo(data, name)


# ---- verifying ----


def faults(location):
    """Yields (shard, None or what is wrong with it in one line) for all shards of a folder or URL.

    Raises ShardError where there is no manifest.
    """
    shards = open_shards(location)
    for shard in (shard for split in SPLITS for shard in shards.splits[split]):
        try:
            data = shards.fetch(shard)
        except ShardError as error:
            yield shard, str(error)
            continue
        fault = None
        if hashlib.sha256(data).hexdigest() != shard.sha256:
            fault = f"{shard.name}: its bytes are not those that were written (sha256)"
        elif (found := len(records(data))) != shard.count:
            fault = f"{shard.name}: it has {found} photographs, where {MANIFEST} says {shard.count}"
        yield shard, fault
