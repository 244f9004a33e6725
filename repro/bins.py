"""The 313 ab bins of the paper (section 2.1), found from the sRGB gamut instead of loaded from a file.

The paper quantises ab on a lattice of spacing 10 and keeps the Q = 313 "in gamut" points, without saying how.
The rule that gives the released set, in the released order: keep each lattice point whose closed square of
half-width 10 touches the convex hull of the sRGB cube's ab projection.
"""

import hashlib
from functools import cache, lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from repro.color import Array, srgb_ab_hull

SPACING = 10  # ab units


def ab_bins(spacing: float = SPACING) -> Float32[Tensor, "q 2"]:
    """Centres of the ab bins: ab units, a ascending, then b.

    Q is 313 for spacing 10.
    """
    return torch.from_numpy(_ab_bins(spacing).copy())  # a copy: who changes it must not change the cached one


@cache
def _ab_bins(spacing):
    if not spacing > 0:
        raise ValueError(f"spacing must be a positive number of ab units, got {spacing}")
    # up to 150, which is beyond every colour of sRGB, so that the lattice cuts no bin off
    ticks = np.arange(-np.ceil(150 / spacing), np.ceil(150 / spacing) + 1) * spacing
    # "ij": a changes slowest, which is the order of the released bins
    lattice = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), -1).reshape(-1, 2)
    return lattice[squares_touching(lattice, spacing, srgb_ab_hull())].astype(np.float32)


def squares_touching(
    centres: Float[np.ndarray, "p 2"], half_width: float, hull: Float[np.ndarray, "v 2"]
) -> Bool[np.ndarray, " p"]:
    """Which closed squares touch a convex polygon?  By the separating axis theorem.

    half_width: of the axis-parallel squares.  hull: the polygon's vertices in order.
    """
    edges = np.roll(hull, -1, axis=0) - hull
    normals = np.stack((edges[:, 1], -edges[:, 0]), 1)
    axes = np.vstack((normals, np.eye(2)))  # the squares' own normals too
    shadow = hull @ axes.T  # (V, A): the polygon on each axis
    # a square's projection is widest from corner to corner, hence the sum of the axis's absolute components
    middle, reach = centres @ axes.T, half_width * np.abs(axes).sum(1)
    return ((middle - reach <= shadow.max(0)) & (middle + reach >= shadow.min(0))).all(1)


def fingerprint(bins: Float[Array, "q 2"]) -> str:
    """Short sha256 of the bins' values in their order: a file of weights carries it, so that it meets no other bins."""
    return hashlib.sha256(np.ascontiguousarray(np.asarray(bins), np.float32).tobytes()).hexdigest()[:16]


def nearest_bin(ab: Float[Tensor, "*n 2"], bins: Float[Tensor, "q 2"]) -> Int64[Tensor, "*n"]:
    """Index of the bin nearest to each colour."""
    return nearest_bins(ab.reshape(-1, 2), bins, 1)[1].reshape(ab.shape[:-1])


CELL = 1.0  # ab units: side of a cell of the search table
REACH = 128  # ab units: the table covers -128..128 in a and b; sRGB stays within -108..98


def nearest_bins(
    points: Float[Tensor, "p 2"], bins: Float[Tensor, "q 2"], neighbours: int
) -> tuple[Float32[Tensor, "p {neighbours}"], Int64[Tensor, "p {neighbours}"]]:
    """The nearest bins of each colour, exactly: their squared distances and their indices, nearest first.

    points: ab units, on any device.  bins: best kept on the CPU.

    The bins are few and fixed, so the bins that can be among the K nearest of any point of a unit cell are
    tabulated once; a colour is then compared with about a dozen candidates instead of all Q.
    """
    points = points.float()
    squared, indices, inside = _nearest_within(points, search_table(bins, neighbours, points.device), neighbours)
    if not inside.all():  # beyond the table: rare, so compared with every bin
        far = ~inside
        every = torch.arange(len(bins), device=points.device).expand(int(far.sum()), -1)
        a, b = bins.to(points).t()[:, None]
        squared[far], indices[far] = _smallest(points[far], every, a, b, neighbours)
    return squared, indices


def nearest_bins_of_srgb(
    points: Float[Tensor, "p 2"], table: tuple[Tensor, ...], neighbours: int
) -> tuple[Float32[Tensor, "p {neighbours}"], Int64[Tensor, "p {neighbours}"]]:
    """`nearest_bins` of colours that sRGB has, by a table of `search_table`.

    These colours lie within the table.  So their values need no check, for which a GPU's host would have to wait.
    """
    squared, indices, _ = _nearest_within(points.float(), table, neighbours)
    return squared, indices


def _nearest_within(points, table, neighbours):
    """Squared distances (P, K) and indices (P, K), right where the table reaches, and where that is: (P,) bool."""
    side = int(2 * REACH / CELL)
    cell = ((points + REACH) / CELL).floor()
    inside = ((cell >= 0) & (cell < side)).all(-1)  # False for NaN too
    # the table's cells are numbered row by row; points outside take any cell's, and the caller looks at `inside`
    row = torch.where(inside, cell[:, 0] * side + cell[:, 1], 0).long()
    candidates, a, b = (part.index_select(0, row) for part in table)  # each (P, C)
    return *_smallest(points, candidates, a, b, neighbours), inside


def _smallest(points, candidates, a, b, neighbours):
    squared = (points[:, :1] - a).square_() + (points[:, 1:] - b).square_()  # (P, C)
    if neighbours == 1:
        squared, slot = squared.min(dim=1, keepdim=True)
        return squared, candidates.gather(1, slot)
    squared, slot = squared.sort(dim=1, stable=True)  # of equals the first bin; faster than topk for a dozen
    return squared[:, :neighbours].contiguous(), candidates.gather(1, slot[:, :neighbours])


def search_table(
    bins: Float[Tensor, "q 2"], neighbours: int, device: str | torch.device
) -> tuple[Int64[Tensor, "cells c"], Float32[Tensor, "cells c"], Float32[Tensor, "cells c"]]:
    """For every cell: its candidates in ascending order, and their a and b.

    All cells have the same number of candidates: where there are fewer, bins far away fill the row up.
    """
    # a cache can tell bytes apart by their value, tensors only by where they lie
    return _search_table(np.asarray(bins.cpu(), np.float32).tobytes(), neighbours, str(device))


@lru_cache(maxsize=8)
def _search_table(bins_bytes, neighbours, device):
    bins = torch.frombuffer(bytearray(bins_bytes), dtype=torch.float32).reshape(-1, 2)
    ticks = torch.arange(-REACH, REACH, CELL) + CELL / 2
    slack = CELL * 2**0.5  # how much two distances can change against each other within a cell: twice its half-diagonal
    rows = []
    for strip in ticks.split(32):  # all cells at once would take the memory of 65,536 x Q distances
        # differences and not the faster product of matrices, which loses the digits that near bins differ in
        distance = torch.cdist(torch.cartesian_prod(strip, ticks), bins, compute_mode="donot_use_mm_for_euclid_dist")
        # a bin further than the Kth nearest of the cell's middle, and the slack, is no point's Kth nearest;
        # 1e-3 is for rounding
        limit = distance.kthvalue(neighbours, dim=1, keepdim=True).values + slack + 1e-3
        count = int((distance <= limit).sum(1).max())
        near, order = distance.topk(count, dim=1, largest=False)
        # in ascending order, so that of equally near bins the first one wins, as when all bins are compared
        rows.append(order.masked_fill(near > limit, len(bins)).sort(1).values)
    width = max(row.shape[1] for row in rows)
    rows = torch.cat([torch.nn.functional.pad(row, (0, width - row.shape[1]), value=len(bins)) for row in rows])
    a, b = torch.cat((bins, torch.full((1, 2), 1e9))).t()  # the padding, one bin more, which is never near
    return rows.to(device), a[rows].to(device), b[rows].to(device)
