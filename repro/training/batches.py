"""Batches: which photographs, where cropped, mirrored or not, all decided by (seed, step) alone.

A step's batch does not depend on the steps before it, so a run continues exactly where it stopped with
nothing to remember.  Several processes share a batch: each takes its part of the same one.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from repro.color import Array
from repro.examples import true_ab

RESIDENT = 0.3  # of a GPU's free memory may be taken by photographs that stay there


@runtime_checkable
class Sharded(Protocol):
    """What `datasets.manifest.Shards` are known by here: their libraries load only where they are used."""

    splits: dict
    short_side: int


Photos = UInt8[Array, "n s s 3"] | Sharded


def windows(count: int, size: int, side: int, batch: int, seed: int, step: int) -> Int64[np.ndarray, "4 {batch}"]:
    """The windows of a step, a column each.

    The rows: which of `count` photographs; top and left of a window of `side` pixels in its `size`; mirrored or not.

    Every photograph is seen once an epoch, in an order of its own.
    """
    rng = np.random.default_rng((seed, step))
    # photographs are numbered through all epochs, so a batch may end one epoch and begin the next
    epochs, positions = np.divmod(step * batch + np.arange(batch), count)
    photographs = [_order(seed, int(epoch), count)[at] for epoch, at in zip(epochs, positions, strict=True)]
    corners = rng.integers(0, size - side + 1, (2, batch))
    return np.stack((photographs, *corners, rng.integers(0, 2, batch)))


def window_side(size: int, crop: int, seed: int, step: int) -> int:
    """The side of a step's windows where crops are resized: any from the crop's to the whole square's."""
    # the middle number keeps these draws apart from those of `windows` and `_order`
    return int(np.random.default_rng((seed, 2 << 40, step)).integers(crop, size + 1))


@lru_cache(maxsize=4)
def _order(seed, epoch, count):
    # 1 << 40 is more than any step, so the order shares no draws with a step's windows
    return np.random.default_rng((seed, 1 << 40, epoch)).permutation(count)


def cut(photos: UInt8[Array, "n s s 3"], where: Int64[Array, "4 m"], side: int) -> UInt8[Array, "m {side} {side} 3"]:
    """The pixels of the windows.

    An array gives an array.  A tensor gives a tensor on its device, in one gathering that can be compiled; its windows
    must be a tensor there, too.
    """
    if isinstance(photos, torch.Tensor):
        photograph, top, left, mirrored = where[..., None]  # each (n, 1)
        along = torch.arange(side, device=photos.device)
        columns = left + torch.where(mirrored > 0, side - 1 - along, along)
        # indices (m, 1, 1), (m, side, 1) and (m, 1, side) broadcast to every pixel of every window
        return photos[photograph[..., None], (top + along)[..., None], columns[:, None]]
    cuts = np.empty((where.shape[1], side, side, 3), np.uint8)
    for slot, (photograph, top, left, mirrored) in enumerate(where.T):
        window = photos[photograph, top : top + side, left : left + side]
        cuts[slot] = window[:, ::-1] if mirrored else window
    return cuts


def shrunk(rgb8: UInt8[Array, "n s s 3"], side: int) -> UInt8[Array, "n {side} {side} 3"]:
    """Squares, reduced to `side` pixels, antialiased.

    Squares of that side already are handed back as they are.
    """
    if rgb8.shape[1] == side:
        return rgb8
    tensor = torch.as_tensor(rgb8).permute(0, 3, 1, 2).float()
    small = F.interpolate(tensor, (side, side), mode="bilinear", antialias=True, align_corners=False)
    small = small.round_().to(torch.uint8).permute(0, 2, 3, 1)
    return small if isinstance(rgb8, torch.Tensor) else small.contiguous().numpy()


def training_crops(
    photos: UInt8[np.ndarray, "n s s 3"], batch: int, crop: int, seed: int, step: int
) -> UInt8[np.ndarray, "{batch} {crop} {crop} 3"]:
    """Random crops of photographs, half of them mirrored.

    Raises ValueError if the photographs are smaller than the crop, or there are none.
    """
    check_size(photos, crop)
    return cut(photos, windows(len(photos), photos.shape[1], crop, batch, seed, step), crop)


def sample_crops(
    photos: Photos, count: int, size: int | None, crop: int, seed: int
) -> UInt8[np.ndarray, "_ {crop} {crop} 3"]:
    """At most `count` random crops, as of the first training step; shards are read at `size`."""
    if is_array(photos):
        return training_crops(photos, min(count, len(photos)), crop, seed, 0)
    from repro.datasets import stream

    count = min(count, len(photos))
    squares, _ = next(stream.batches(photos, "train", size, count, seed, workers=0))
    return training_crops(squares.numpy(), count, crop, seed, 0)


def is_array(photos):
    """Whether it is an array of photographs, or a tensor, and not shards, which are read as a stream."""
    return hasattr(photos, "shape")


def check_size(photos: UInt8[Array, "n s s 3"], crop: int):
    """Raise ValueError unless there are photographs and crops fit into them."""
    if not len(photos):
        raise ValueError("expected photographs (N, S, S, 3), got no photographs")
    if photos.shape[1] < crop:
        raise ValueError(f"photographs are stored at {photos.shape[1]} pixels, too small for crops of {crop}")


def center_crops(photos: UInt8[np.ndarray, "n s s 3"], crop: int) -> UInt8[np.ndarray, "n {crop} {crop} 3"]:
    """The middle of each photograph.

    Raises ValueError where the photographs are smaller than the crop.
    """
    check_size(photos, crop)
    margin = (photos.shape[1] - crop) // 2
    return photos[:, margin : margin + crop, margin : margin + crop]


def true_colors(
    photos: Photos, size: int | None = None, most: int = 0, rank: int = 0, world: int = 1, batch: int = 64
) -> Iterator[Float32[Tensor, "n _ _ 2"]]:
    """ab of every 4th pixel of photographs, each once, in batches: what the prior counts.

    size: that shards are read at, by all cores.  most: of the photographs; 0: all.  Of several processes each gets a
    part.
    """
    most = min(most or len(photos), len(photos))
    if is_array(photos):
        for first in range(rank * batch, most, world * batch):  # the processes take the batches in turn
            yield true_ab(photos[first : min(first + batch, most)])
        return
    from repro.datasets import stream

    left = -(-most // world)  # each process's part, rounded up
    for squares, *_ in stream.once(photos, "train", size, rank, world):
        if left <= 0:
            return
        yield true_ab(squares[:left].numpy())
        left -= len(squares)


# ---- feeds: what the loop takes its batches from ----


def feed_of(photos: Photos, size, settings, fabric, start=0, workers=None):
    """The feed for an array of photographs, or for shards, read at `size` pixels."""
    where = fabric.device, fabric.global_rank, fabric.world_size
    if is_array(photos):
        return PhotoFeed(photos, settings, *where)
    return ShardFeed(photos, size, settings, *where, start, workers)


class PhotoFeed:
    """Batches of an array of photographs; on a GPU the whole array, where it fits."""

    def __init__(self, photos: UInt8[np.ndarray, "n s s 3"], settings, device, rank=0, world=1):
        self.photos, self.settings, self.device = photos, settings, device
        self.mine = slice(rank * settings.batch // world, (rank + 1) * settings.batch // world)
        self.skipped = 0
        self.resident = device.type == "cuda" and photos.nbytes < RESIDENT * torch.cuda.mem_get_info(device)[0]
        if self.resident:
            self.photos = torch.from_numpy(np.array(photos)).to(device)

    @property
    def size(self):
        """Side of the photographs, pixels."""
        return self.photos.shape[1]

    def batch(self, step: int, side: int) -> tuple[UInt8[Array, "n s s 3"], Int64[Array, "4 m"]]:
        """(photographs, windows of `side` pixels into them) of this process's part of a step's batch, for `cut`."""
        wanted = self.settings
        where = windows(len(self.photos), self.size, side, wanted.batch, wanted.seed, step)
        where = where[:, self.mine]  # of the whole batch's windows: however many share it, the batch is the same
        if self.device.type == "cpu":
            return self.photos, where
        if self.resident:
            return self.photos, _sent(where, self.device)
        # too large for the GPU: send only the batch's photographs, and count them from 0 there
        chosen = np.stack([self.photos[index] for index in where[0]])
        where[0] = np.arange(len(chosen))
        return _sent(chosen, self.device), _sent(where, self.device)


class ShardFeed:
    """Batches of shards, decoded by worker processes and cropped on the device.

    size: of the squares that workers hand over, pixels.  start: the first step that will be asked for; steps
    are asked for in order.  skipped: corrupt records passed over so far.
    """

    def __init__(self, shards, size, settings, device, rank=0, world=1, start=0, workers=None):
        self.size, self.settings, self.device = size, settings, device
        self.mine = slice(rank * settings.batch // world, (rank + 1) * settings.batch // world)
        self.skipped = 0
        from repro.datasets import stream  # not needed, and not loaded, for arrays

        self.squares = stream.batches(
            shards, "train", size, settings.batch // world, settings.seed, rank, world, workers, start
        )

    def batch(self, step: int, side: int) -> tuple[UInt8[Array, "n s s 3"], Int64[Array, "4 m"]]:
        """As `PhotoFeed.batch`."""
        squares, skipped = next(self.squares)
        self.skipped += skipped
        wanted = self.settings
        where = windows(wanted.batch, self.size, side, wanted.batch, wanted.seed, step)[:, self.mine]
        where[0] = np.arange(len(squares))  # the shards' order is random already, so take them as they come
        if self.device.type == "cpu":
            return squares.numpy(), where
        return squares.to(self.device, non_blocking=True), _sent(where, self.device)


def _sent(array, device):
    """Send an array to a device without waiting for it."""
    tensor = torch.from_numpy(array)  # a GPU copies on its own only from pinned memory
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)
