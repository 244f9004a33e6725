"""Reading the shards that `shards.py` wrote, from a folder or any URL that fsspec opens.

Batches for training come in an order that is decided by (seed, position) alone; otherwise every photograph comes once.

Whoever knows how many batches were used continues exactly there, with nothing else to remember.
"""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import numpy as np
import simplejpeg
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from repro.datasets.fetching import ShardError
from repro.datasets.folder import Item, Source
from repro.datasets.manifest import Shards, open_shards
from repro.datasets.photographs import center_square

WORKERS = 8  # at most, unless asked for more
LARGEST_PHOTO = 2**26  # pixels: no shard of ours has one so large, and a small file may say it is
_ORDER_OF_SHARDS, _ORDER_OF_RECORDS, _PLACE = range(3)  # what a random number is for


def _square(jpeg, size, random=None):
    """A square of the short side, resized: at a random place along the long side, or in the middle.

    random: a number in 0..1, or None for the middle.  Returns uint8 (size, size, 3); None for a corrupt JPEG.
    """
    try:  # at the smallest size that libjpeg can decode directly and that is large enough
        height, width, *_ = simplejpeg.decode_jpeg_header(jpeg)
        if height * width > LARGEST_PHOTO:
            return None
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
    """Endless batches of random squares, each with the number of corrupt records met.

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

    def __iter__(self) -> Iterator[tuple[UInt8[Tensor, "{self.batch} {self.size} {self.size} 3"], int]]:
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
        return plan, self.shards.read(self.shards.splits[self.split][plan[1]])


def _rng(*key):
    return np.random.default_rng(key)


def _this_worker():
    """(number, of how many) of the loader's workers; (0, 1) without any."""
    worker = get_worker_info()
    return (worker.id, worker.num_workers) if worker else (0, 1)


def batches(
    shards: Shards,
    split: str,
    size: int,
    batch: int,
    seed: int = 0,
    rank: int = 0,
    world: int = 1,
    workers: int | None = None,
    start: int = 0,
) -> Iterator[tuple[UInt8[Tensor, "{batch} {size} {size} 3"], int]]:
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
        error.__traceback__ = None  # it holds the loader, which must end its workers now and not at some later time
    raise ShardError(reason)


def _as_it_is(item):
    return item


# ---- every photograph once ----


def once(
    shards: Shards,
    split: str,
    size: int,
    rank: int = 0,
    world: int = 1,
    workers: int | None = None,
    batch: int = 64,
) -> Iterator[tuple[UInt8[Tensor, "n {size} {size} 3"], Int64[Tensor, " n"], int]]:
    """Central squares of every photograph of a split, exactly once over all ranks and workers, in batches.

    Yields (photographs, labels, corrupt records left out); n is `batch`, or less at a worker's end.  For the colour
    prior and for validation.  Raises as ShardStream, except that a rank or worker for which there is no shard gets
    nothing.
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
    for shard, found in _ahead(lambda shard: (shard, shards.read(shard)), some):
        for number in range(shard.count):
            try:
                record = found[number]
                item = Item(record["txt"].decode("utf-8", "surrogateescape"), _label(record, shards.classes))
                yield shard, item, _square(record["jpg"], size)
            except (IndexError, ValueError):  # not found, or its label is no number
                yield shard, Item(f"{shard.name}, record {number}"), None


def _label(record, classes):
    """Index into the classes, -1 for none.  Raises ValueError for anything else."""
    label = int(record["cls"])
    if not -1 <= label < len(classes):
        raise ValueError(f"label {label} of {len(classes)} classes")
    return label


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
        """How many photographs a split has."""
        return self.shards.count(split)

    def stream(
        self, split: str, size: int
    ) -> Iterator[tuple[Item, UInt8[np.ndarray, "{size} {size} 3"] | None, str | None]]:
        """(Item, square, None) of each photograph, in the order of the shards.

        A corrupt one is (Item, None, reason).
        """
        self.count(split)
        _check_size(self.shards, size)
        for shard, item, square in _in_order(self.shards, self.shards.splits[split], size):
            yield item, square, None if square is not None else f"a corrupt record of {shard.name}"
