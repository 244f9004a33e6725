"""A split of a source as one array on disk: small colour squares, ready for training.

<destination>/<split>.npy    uint8 (N, size, size, 3), read by memory map
<destination>/<split>.json   names, labels, classes, what was set aside and why; written last: it vouches for
the array
"""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from repro import paths
from repro.datasets.folder import Source, SourceError, check_split, taking_turns
from repro.datasets.photographs import PhotoError, center_square, is_colorful

_BATCH = 64  # photographs read at a time: bounds memory, and what is read in vain once `limit` is reached


@dataclass(frozen=True, eq=False)
class Prepared:
    """A prepared split.

    photos: memory-mapped, read-only.  labels: -1 where there is none.
    classes: names of the labels.  names: N names within the source.
    report: source, settings, split, size, limit; kept, gray, copies and broken (counts); rejected (list of
    {name, reason}).
    """

    photos: UInt8[np.ndarray, "n size size 3"]
    labels: Int64[np.ndarray, " n"]
    classes: tuple[str, ...]
    names: tuple[str, ...]
    report: dict


def prepare(
    source: Source, split: str, size: int, limit: int | None = None, destination: str | os.PathLike | None = None
) -> Prepared:
    """Read a split, cut central squares of `size` pixels, keep those in colour, write them.

    limit: keep at most so many, spread evenly over the classes; the same ones every time, and always the first ones of
    a larger limit. destination: a folder (default data/prepared/<source>-<size>). Grayscale photographs and copies of
    another's pixels are set aside and broken ones skipped, all reported with their reasons. A source with `bulk` is
    asked for that instead (as `WorldSource.bulk`). One with `stream` is asked for that (as `ShardSource.stream`), in an
    order as random as ours and with every photograph in colour, and for count(split). Raises ValueError for a bad
    split, size or limit; SourceError when the disk is too full, nothing remains, or a file of somebody else's is in
    the way. An interrupted run leaves nothing that could be taken for a prepared split.
    """
    check_split(split)
    if size < 1 or (limit is not None and limit < 1):
        raise ValueError(f"size and limit must be 1 or more (limit None: all), got size {size}, limit {limit}")
    destination = Path(destination or paths.DATA / "prepared" / f"{source.name}-{size}")
    destination.mkdir(parents=True, exist_ok=True)
    _require_ours(destination, split)
    fill = next((_FILLS[way] for way in _FILLS if hasattr(source, way)), _from_items)
    with (
        _commit(destination / f"{split}.json") as json_file,
        _commit(destination / f"{split}.npy") as npy_file,
    ):
        report = {
            "source": source.name,
            "settings": getattr(source, "settings", {}),
            "split": split,
            "size": size,
            "limit": limit,
        }
        report |= fill(source, split, size, limit, npy_file) | {"classes": list(source.classes)}
        json_file.write_text(json.dumps(report, indent=1), encoding="utf-8")
        (destination / f"{split}.json").unlink(missing_ok=True)  # an older report must never vouch for the new array
    return load_prepared(destination, split)


def load_prepared(folder: str | os.PathLike, split: str) -> Prepared:
    """What `prepare` wrote.

    Raises FileNotFoundError if it did not (yet), SourceError if the two files disagree.
    """
    check_split(split)
    photos_file, report_file = Path(folder) / f"{split}.npy", Path(folder) / f"{split}.json"
    for file in (report_file, photos_file):
        if not file.exists():
            raise FileNotFoundError(f"{file} does not exist; prepare the {split} split first, or run `make repro`")
    try:
        report = json.loads(report_file.read_text(encoding="utf-8"))
        photos = np.load(photos_file, mmap_mode="r", allow_pickle=False)
        names, labels, classes = (report.pop(key) for key in ("names", "labels", "classes"))
    except (ValueError, KeyError, TypeError, AttributeError, EOFError):
        raise SourceError(
            f"{report_file} and {photos_file.name} are no prepared photographs, or broken; delete both and prepare the "
            f"{split} split again"
        ) from None
    if not len(photos) == len(names) == len(labels):
        raise SourceError(
            f"{photos_file} holds {len(photos)} photographs but {report_file.name} names {len(names)}; "
            f"delete both and prepare the {split} split again"
        )
    return Prepared(photos, np.array(labels, dtype=np.int64), tuple(classes), tuple(names), report)


# ---- filling the array ----


def _from_bulk(source, split, size, limit, npy_file):
    photos, labels = source.bulk(split, size, limit)
    if photos.dtype != np.uint8 or photos.shape != (len(labels), size, size, 3):
        raise SourceError(
            f"{source.name}.bulk must give uint8 {(len(labels), size, size, 3)}, one photograph a "
            f"label; got {photos.dtype} {photos.shape}"
        )
    _require_space(npy_file.parent, len(photos), size)
    with _PhotoWriter(npy_file, len(photos), size) as writer:
        writer.append(photos)
    names = [f"{split}/{index:06d}" for index in range(len(photos))]
    return {
        "kept": len(names),
        "gray": 0,
        "copies": 0,
        "broken": 0,
        "rejected": [],
        "names": names,
        "labels": [int(label) for label in labels],
    }


def _from_items(source, split, size, limit, npy_file):
    items = taking_turns(source.items(split))
    squares = _read_squares(source, items, size)
    return _from_squares(squares, len(items), f"{source.name}/{split}", size, limit, npy_file)


def _from_stream(source, split, size, limit, npy_file):
    squares = source.stream(split, size)
    return _from_squares(squares, source.count(split), f"{source.name}/{split}", size, limit, npy_file)


_FILLS = {"bulk": _from_bulk, "stream": _from_stream}  # for sources that offer more than items


def _from_squares(squares, count, where, size, limit, npy_file):
    """squares: (item, square or None, reason or None), `count` of them at most."""
    most = min(count, limit or count)
    _require_space(npy_file.parent, most, size)
    kept, rejected, seen = [], [], {}
    with _PhotoWriter(npy_file, most, size) as writer:
        for item, square, reason in squares:
            first = None if reason else seen.setdefault(sha256(square.tobytes()).digest(), item.name)
            if first not in (None, item.name):
                reason = COPY + first
            if reason:
                rejected.append({"name": item.name, "reason": reason})
                continue
            kept.append(item)
            writer.append(square[None])
            if len(kept) == most:
                break
    gray = sum(entry["reason"] == GRAY for entry in rejected)
    copies = sum(entry["reason"].startswith(COPY) for entry in rejected)
    if not kept:
        first = rejected[0]
        raise SourceError(
            f"none of the {count} photographs of {where} can be used: {gray} are "
            f"gray, {len(rejected) - gray} broken. The first: {first['name']}: {first['reason']}"
        )
    return {
        "kept": len(kept),
        "gray": gray,
        "copies": copies,
        "broken": len(rejected) - gray - copies,
        "rejected": rejected,
        "names": [item.name for item in kept],
        "labels": [item.label for item in kept],
    }


GRAY = "a grayscale photograph"
COPY = "a copy of "


def _read_squares(source, items, size):
    """(item, square or None, reason or None) in the order of items, read by all cores, a batch ahead at most."""

    def read(item):
        try:
            square = center_square(source.read(item), size)
        except PhotoError as error:
            return item, None, error.reason
        return (item, square, None) if is_colorful(square) else (item, None, GRAY)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(items), _BATCH):
            yield from pool.map(read, items[start : start + _BATCH])


# ---- writing ----


class _PhotoWriter:
    """An .npy file of photographs that grows by batches; how many there are is put in its header at the end."""

    def __init__(self, path, most, size):
        self.path, self.most, self.size, self.count = path, most, size, 0

    def __enter__(self):
        self._file = open(self.path, "wb")
        self._write_header(self.most)
        return self

    def append(self, photos: UInt8[np.ndarray, "n {self.size} {self.size} 3"]):
        self._file.write(np.ascontiguousarray(photos).data)
        self.count += len(photos)

    def __exit__(self, *error):
        self._file.seek(0)
        self._write_header(self.count)
        self._file.close()

    def _write_header(self, count):
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, self.size, self.size, 3)}
        np.lib.format.write_array_header_1_0(self._file, header)  # padded by NumPy to one length for every count


@contextmanager
def _commit(path):
    """A path to write to; takes its final name when the block ends well, and vanishes when it does not."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _require_ours(folder, split):
    """Raises SourceError where a file that is to be replaced is no earlier one of `prepare`."""
    report, photos = folder / f"{split}.json", folder / f"{split}.npy"
    told = "is there already, and not as this command writes it; choose another folder"
    if report.exists():
        try:
            known = json.loads(report.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = None
        if not isinstance(known, dict) or not {"source", "split", "size"} <= known.keys():
            raise SourceError(f"{report} {told}")
    if photos.exists():
        try:
            with open(photos, "rb") as file:
                np.lib.format.read_magic(file)
                shape, _, kind = np.lib.format.read_array_header_1_0(file)
        except (OSError, ValueError):
            shape, kind = (), None
        if kind != np.uint8 or len(shape) != 4:
            raise SourceError(f"{photos} {told}")


def _require_space(folder, count, size):
    needed, free = count * size * size * 3, shutil.disk_usage(folder).free
    if needed > free:
        raise SourceError(
            f"{count} photographs of {size} x {size} need {needed / 2**20:,.1f} MiB in {folder}, where "
            f"{free / 2**20:,.1f} MiB are free; lower limit or size, or choose another destination"
        )
