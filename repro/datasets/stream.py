"""Reading the shards that `shards.py` wrote, from a folder or any URL that fsspec opens: batches for training
in an order that is decided by (seed, position) alone, or every photograph once.

Whoever knows how many batches were used continues exactly there, with nothing else to remember.
"""

import hashlib
import json
import os
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from itertools import count

import fsspec
import numpy as np
import simplejpeg
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from webdataset.handlers import ignore_and_continue
from webdataset.tariterators import group_by_keys, tar_file_expander

from repro.datasets.folder import SPLITS, Item, Source, SourceError, check_split
from repro.datasets.photographs import center_square

MANIFEST, VERSION = "manifest.json", 1
TRIES = 6  # in a row that bring no new byte, before a file is given up
WAIT, LONGEST_WAIT = 0.5, 20.0  # seconds before the next try: doubled at each, up to the longest
CONNECT, SILENCE = 30, 60  # seconds after which a server that does not answer, or falls silent, is left
WORKERS = 8  # at most, unless asked for more
_PIECE = 2**20  # bytes read at a time
_ORDER_OF_SHARDS, _ORDER_OF_RECORDS, _PLACE = range(3)  # what a random number is for


class ShardError(SourceError):
    """Shards that are missing, broken, out of reach or too few; says which, where, and what to do."""


@dataclass(frozen=True)
class Shard:
    """One tar file, as the manifest has it: name, how many records, its size in bytes, its sha256."""

    name: str
    count: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Shards:
    """What a manifest says.  splits: {split: its shards that have records}.  short_side: pixels.

    Its length is that of the training split.
    """

    location: str
    classes: tuple[str, ...]
    short_side: int
    splits: dict[str, tuple[Shard, ...]]

    def count(self, split):
        """Photographs in a split.  Raises ShardError if there are none."""
        check_split(split)
        total = sum(shard.count for shard in self.splits[split])
        if not total:
            raise ShardError(f"{self.location} has no photographs in its {split} split; choose another split")
        return total

    def __len__(self):
        return self.count("train")

    def fingerprint(self):
        """Short sha256 that tells one training set from another: of the shards' own."""
        sums = "".join(shard.sha256 for shard in self.splits["train"])
        return hashlib.sha256(sums.encode()).hexdigest()[:16]

    def fetch(self, shard):
        """A shard's bytes, all of them.  Raises ShardError where it is missing, or does not come in time."""
        try:
            return _fetch(f"{self.location}/{shard.name}", shard.bytes)
        except FileNotFoundError:
            raise ShardError(
                f"{shard.name} is missing at {self.location}; write or copy it once more "
                "(`python -m repro shards --verify` names all that are missing)"
            ) from None


def open_shards(location):
    """The Shards in a folder or under a URL (https://, s3://, gs://, memory:// ...), by their manifest.

    Raises ShardError where there is no manifest, or it is none of ours.
    """
    location = str(location).rstrip("/")
    try:
        manifest = json.loads(_fetch(f"{location}/{MANIFEST}"))
        if manifest["version"] != VERSION:
            raise ValueError(f"version {manifest['version']}, where {VERSION} is known")
        splits = {
            split: tuple(
                Shard(**entry) for entry in manifest["splits"][split]["shards"] if entry["count"] > 0
            )
            for split in SPLITS
        }
        return Shards(location, tuple(manifest["classes"]), int(manifest["short_side"]), splits)
    except FileNotFoundError:
        raise ShardError(
            f"there is no {MANIFEST} at {location}; write shards there with "
            "`python -m repro shards FOLDER --out DIR` (the manifest comes last, when all are finished)"
        ) from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ShardError(
            f"{location}/{MANIFEST} is broken or of another kind ({type(error).__name__}: {error}); write it "
            "once more with the command that wrote the shards"
        ) from error


# ---- bytes ----


def _fetch(url, size=None):
    """A file's bytes; what is cut short is continued, what is refused is tried again, with growing waits.

    size: bytes it must have.  Raises FileNotFoundError at once, ShardError for all else.
    """
    try:
        fs, path = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:  # no such protocol, or its package is not installed
        raise ShardError(f"{url} cannot be opened: {error}") from error
    data, furthest, tries = bytearray(), -1, 0
    while True:
        try:
            _read_on(fs, path, data, size)
            reason = f"{len(data)} bytes came, where the manifest says {size}"
        except FileNotFoundError:
            raise
        except Exception as error:  # every file system has errors of its own
            reason = " ".join(str(error).split()) or type(error).__name__
            if isinstance(error, PermissionError) or _is_refusal(error):
                raise ShardError(f"{url} cannot be read: {reason}") from error
        else:
            if size in (None, len(data)):
                return bytes(data)
        tries = 1 if len(data) > furthest else tries + 1
        furthest = max(furthest, len(data))
        if tries >= TRIES or "file" in fs.protocol:
            raise ShardError(
                f"{url} could not be read ({reason}); see that it is whole and its server up, then run again"
            )
        if size is not None and len(data) >= size:
            data.clear()
        time.sleep(min(LONGEST_WAIT, WAIT * 2 ** (tries - 1)))


def _read_on(fs, path, data, size):
    """Append what a file holds from byte len(data) on; where its server knows no ranges, all of it anew."""
    if "http" not in fs.protocol:
        data += fs.cat_file(path, start=len(data))
        return
    from aiohttp import ClientTimeout

    headers = {**fs.kwargs.get("headers", {}), "Accept-Encoding": "identity"}
    if data:
        headers["Range"] = f"bytes={len(data)}-"
    timeout = ClientTimeout(total=None, sock_connect=CONNECT, sock_read=SILENCE)
    # block size 0: one answer, read as it comes; a size, so that it is not asked for first
    with fs.open(path, block_size=0, size=size or 1, headers=headers, timeout=timeout) as file:
        if file.r.status != 206:
            data.clear()
        while (size is None or len(data) <= size) and (piece := file.read(_PIECE)):
            data += piece


def _is_refusal(error):
    """An HTTP answer that will be the same the next time.  416: no byte is there, so the file has changed."""
    status = getattr(error, "status", None)
    return isinstance(status, int) and 400 <= status < 500 and status not in (408, 416, 425, 429)


# ---- records ----


def records(data):
    """The records of a tar, as webdataset reads them: list of dicts with "jpg", "cls" and "txt" (bytes).

    What is incomplete, or cannot be found because the tar is broken, is left out: the manifest's count says
    how many that are.
    """
    tar = [{"url": "", "stream": BytesIO(data)}]
    found = group_by_keys(tar_file_expander(tar, handler=ignore_and_continue), handler=ignore_and_continue)
    return [record for record in found if {"jpg", "cls", "txt"} <= record.keys()]


def _square(jpeg, size, random=None):
    """A square of the short side, resized: at a random place along the long side, or in the middle.

    random: a number in 0..1, or None for the middle.  Returns uint8 (size, size, 3); None for a corrupt JPEG.
    """
    try:  # at the smallest size that libjpeg can decode directly and that is large enough
        photo = simplejpeg.decode_jpeg(jpeg, "RGB", min_height=size, min_width=size)
    except ValueError:
        return None
    side = min(photo.shape[:2])
    top, left = (
        room // 2 if random is None else int(random * (room + 1))
        for room in (photo.shape[0] - side, photo.shape[1] - side)
    )
    square = photo[top : top + side, left : left + side]
    return square if side == size else center_square(square, size)


def _check_size(shards, size):
    if not 1 <= size <= shards.short_side:
        raise ValueError(
            f"size must be 1..{shards.short_side}, the short side of these shards, got {size}; for more "
            f"pixels write them anew with --short-side {size}"
        )


def _ahead(function, items):
    """function(item) of each item, while a thread already works out the next one."""
    pool, results = ThreadPoolExecutor(1), deque()
    try:
        for item in items:
            results.append(pool.submit(function, item))
            if len(results) == 2:
                yield results.popleft().result()
        yield from (result.result() for result in results)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


# ---- training ----


class ShardStream(IterableDataset):
    """Endless batches of random squares: (photos uint8 (batch, size, size, 3) tensor, corrupt records met).

    Worker w of W on rank r is stream r W + w of S = W world.  In every epoch the shards are permuted by
    (seed, epoch) and dealt to the streams in turns, and a shard's records by (seed, epoch, shard).  Batch k
    of a rank is batch k // W of its stream k % W; `start` gives the batches from there on.
    A corrupt record's place is taken by the next sound one, which so comes twice.
    Raises ValueError for parameters that make no sense; ShardError when it is read: fewer shards than
    streams, nothing sound at all, or as `Shards.fetch`.
    """

    def __init__(self, shards, split, size, batch, seed=0, rank=0, world=1, start=0):
        shards.count(split)
        _check_size(shards, size)
        if batch < 1 or start < 0 or not 0 <= rank < world:
            raise ValueError(
                f"expected batch >= 1, start >= 0, 0 <= rank < world; got {batch}, {start}, {rank}, {world}"
            )
        self.shards, self.split, self.size, self.batch = shards, split, size, batch
        self.seed, self.rank, self.world, self.start = seed, rank, world, start

    def __iter__(self):
        worker, workers = _this_worker()
        streams, shards = self.world * workers, len(self.shards.splits[self.split])
        if streams > shards:
            raise ShardError(
                f"{shards} shards of {self.split} at {self.shards.location} are too few for {self.world} x "
                f"{workers} readers; use at most {shards // self.world} workers a rank, or write them with a "
                "smaller --per-shard"
            )
        turn = self.start + worker  # the loader takes its workers in turns, beginning with worker 0
        stream = self.rank * workers + turn % workers
        squares = self._squares(stream, streams, first=turn // workers * self.batch)
        while True:
            photos, skipped = np.empty((self.batch, self.size, self.size, 3), np.uint8), 0
            for place in range(self.batch):
                photos[place], replaces = next(squares)
                skipped += replaces
            yield torch.from_numpy(photos), skipped

    def _squares(self, stream, streams, first):
        """(square, does it stand for a corrupt record?) of a stream, endless, from its record `first` on."""
        corrupt = 0
        for (epoch, number, order), found in _ahead(self._load, self._plan(stream, streams, first)):
            for index in order:
                square = None
                if index < len(found):
                    place = _rng(_PLACE, self.seed, epoch, number, index).random()
                    square = _square(found[index]["jpg"], self.size, place)
                if square is None:
                    corrupt += 1
                    if corrupt > self.shards.count(self.split):
                        raise ShardError(
                            f"no record of {self.split} at {self.shards.location} is sound; write them anew"
                        )
                    continue
                yield from ((square, True) for _ in range(corrupt))
                yield square, False
                corrupt = 0

    def _plan(self, stream, streams, first):
        """(epoch, shard number, its records in order) of a stream, endless, from its record `first` on."""
        shards = self.shards.splits[self.split]
        for epoch in count():
            for number in _rng(_ORDER_OF_SHARDS, self.seed, epoch).permutation(len(shards))[stream::streams]:
                number, records_in = int(number), shards[number].count
                if first >= records_in:
                    first -= records_in
                    continue
                order = _rng(_ORDER_OF_RECORDS, self.seed, epoch, number).permutation(records_in)
                yield epoch, number, order[first:].tolist()
                first = 0

    def _load(self, plan):
        return plan, records(self.shards.fetch(self.shards.splits[self.split][plan[1]]))


def _rng(*key):
    return np.random.default_rng(key)


def _this_worker():
    """(number, of how many) of the loader's workers; (0, 1) without any."""
    worker = get_worker_info()
    return (worker.id, worker.num_workers) if worker else (0, 1)


def batches(shards, split, size, batch, seed=0, rank=0, world=1, workers=None, start=0):
    """What ShardStream gives, by processes: an endless generator of (photos, corrupt records met).

    workers: default as many as there are cores, up to WORKERS and to what the shards allow; 0: none, all is
    done here.  The order depends on world and workers, so a run that goes on must have the same ones.
    """
    if workers is None:
        workers = _default_workers(len(shards.splits[split]) // world)
    stream = ShardStream(shards, split, size, batch, seed, rank, world, start)
    yield from _from_loader(stream, workers)


def _default_workers(most):
    return max(1, min(WORKERS, os.cpu_count() or 1, most))


def _from_loader(dataset, workers):
    """A dataset's batches, by worker processes of one thread each; a worker's ShardError arrives as one."""
    loader = DataLoader(
        dataset,
        batch_size=None,
        num_workers=workers,
        collate_fn=_as_it_is,
        pin_memory=torch.cuda.is_available(),
    )
    try:
        yield from map(tuple, loader)
        return
    except ShardError as error:  # the loader puts the worker's traceback before the message
        reason = str(error).rstrip().rsplit(f"{ShardError.__name__}: ", 1)[-1]
        error.__traceback__ = (
            None  # it holds the loader, which must end its workers now and not at some later time
        )
    raise ShardError(reason)


def _as_it_is(item):
    return item


# ---- every photograph once ----


def once(shards, split, size, rank=0, world=1, workers=None, batch=64):
    """Central squares of every photograph of a split, exactly once over all ranks and workers, in batches.

    Yields (photos uint8 (n, size, size, 3) tensor, labels int64 (n,) tensor, corrupt records left out); n is
    `batch`, or less at a worker's end.  For the colour prior and for validation.  Raises as ShardStream,
    except that a rank or worker for which there is no shard gets nothing.
    """
    if workers is None:
        workers = _default_workers(-(-len(shards.splits[split]) // world))
    yield from _from_loader(_Once(shards, split, size, rank, world, batch), workers)


class _Once(IterableDataset):
    def __init__(self, shards, split, size, rank, world, batch):
        shards.count(split)
        _check_size(shards, size)
        self.shards, self.size, self.batch, self.world, self.rank = shards, size, batch, world, rank
        self.split = split

    def __iter__(self):
        worker, workers = _this_worker()
        own = self.shards.splits[self.split][self.rank * workers + worker :: self.world * workers]
        photos, labels, skipped = [], [], 0
        for _, item, square in _in_order(self.shards, own, self.size):
            if square is None:
                skipped += 1
                continue
            if len(photos) == self.batch:
                yield _stacked(photos, self.size), torch.tensor(labels), skipped
                photos, labels, skipped = [], [], 0
            photos.append(square)
            labels.append(item.label)
        if photos or skipped:
            yield _stacked(photos, self.size), torch.tensor(labels, dtype=torch.int64), skipped


def _stacked(photos, size):
    return torch.from_numpy(np.stack(photos) if photos else np.empty((0, size, size, 3), np.uint8))


def _in_order(shards, some, size):
    """(shard, Item, central square or None where corrupt) of some shards' records, as they were written."""
    for shard, found in _ahead(lambda shard: (shard, records(shards.fetch(shard))), some):
        for number in range(shard.count):
            try:
                record = found[number]
                item = Item(record["txt"].decode("utf-8", "surrogateescape"), int(record["cls"]))
                yield shard, item, _square(record["jpg"], size)
            except (IndexError, ValueError):  # not found, or its label is no number
                yield shard, Item(f"{shard.name}, record {number}"), None


class ShardSource(Source):
    """Shards as a source for `prepare`, which takes their first photographs: shards are random samples.

    root: their folder or URL.  Raises ShardError, a SourceError, as `open_shards`.
    """

    name = "shards"

    def __init__(self, root):
        self.shards = open_shards(root)
        self.settings = {"root": str(root)}
        self.classes = self.shards.classes

    def count(self, split):
        return self.shards.count(split)

    def stream(self, split, size):
        """(Item, uint8 (size, size, 3), None) of each photograph, in the order of the shards, and
        (Item, None, reason) of each corrupt one."""
        self.count(split)
        _check_size(self.shards, size)
        for shard, item, square in _in_order(self.shards, self.shards.splits[split], size):
            yield item, square, None if square is not None else f"a corrupt record of {shard.name}"
