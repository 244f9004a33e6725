"""Exercise 01: the bins that colours fall into."""

import numpy as np
import torch

from repro.checks.exercises.exercise import Exercise, single


def gamut_bins(points, spacing):
    """points (P, 2) float32, ab units -> (Q, 2): lattice points nearest to a colour, a ascending, then b."""
    return torch.unique(torch.round(points / spacing), dim=0) * spacing


# ---- cases ----


def _around(rng, lattice, spacing, reach=0.4):
    """Colours (P, 2) near given lattice points (P, 2), never half-way to the next."""
    return single((lattice + rng.uniform(-reach, reach, np.shape(lattice))) * spacing)


def _beside_half_way(rng, count, spacing):
    """Colours that rounding in low precision puts on the wrong side."""
    lattice = rng.integers(-9, 10, (count, 2))
    return single((lattice + rng.choice([-0.4995, 0.4995], (count, 2))) * spacing)


def draw(rng):
    """Signs, spacings, one bin alone, equal coordinates and colours on the lattice itself."""
    one = rng.integers(-9, -1, (1, 2))
    column, row = rng.permutation(np.arange(-4, 5))[:4], rng.permutation(np.arange(-4, 5))[:4]
    fixed = np.full(4, rng.integers(-5, 6))
    twins = np.array([[3, 60], [4, -40], [2, 160], [-3, -150], [1, 106], [2, -150]])  # keys such as a * 100 + b collide
    wide = rng.integers(-11, 12, (300, 2))
    return [
        ("the three colours by hand", (single([[12, -4], [-9, 31], [13, 2]]), 10.0)),
        ("one colour", (_around(rng, one, 10.0), 10.0)),
        ("one colour on the other side", (_around(rng, -one, 5.0), 5.0)),
        ("three colours of one bin", (_around(rng, np.repeat(one, 3, 0), 10.0), 10.0)),
        ("colours on the lattice itself", (single([[0, 10], [-10, 0], [0, 0], [0, -10]]), 10.0)),
        ("four colours with one a", (_around(rng, np.stack([fixed, column], 1), 10.0), 10.0)),
        ("four colours with one b", (_around(rng, np.stack([row, fixed], 1), 20.0), 20.0)),
        ("four colours, spacing 2.5", (_around(rng, rng.integers(-20, 20, (4, 2)), 2.5), 2.5)),
        ("colours just beside half-way", (_beside_half_way(rng, 6, 10.0), 10.0)),
        ("two colours, spacing 7", (_around(rng, rng.integers(-12, 12, (2, 2)), 7.0), 7.0)),
        ("a fine lattice", (_around(rng, twins, 0.5), 0.5)),
        ("40 colours, spacing 1", (_around(rng, rng.integers(-110, 110, (40, 2)), 1.0), 1.0)),
        ("60 colours, spacing .5", (_around(rng, rng.integers(-220, 220, (60, 2)), 0.5), 0.5)),
        ("300 colours, spacing 10", (_around(rng, wide, 10.0), 10.0)),
    ]


# ---- mistakes ----


def _by(number):
    """Bins whose numbers on the lattice are found in another way than by rounding."""
    return lambda points, spacing: torch.unique(number(points / spacing), dim=0) * spacing


def _one_each(points, spacing):
    nearest = torch.round(points / spacing)
    return nearest[np.lexsort((nearest[:, 1], nearest[:, 0]))] * spacing


def _as_they_come(points, spacing):
    nearest = (torch.round(points / spacing) * spacing).tolist()
    return list(map(list, dict.fromkeys(map(tuple, nearest))))


def _squeezed(points, spacing):
    return gamut_bins(points, spacing).squeeze()


def _mixed(points, spacing):
    return torch.unique(torch.round(points / spacing)) * spacing


EXERCISE = Exercise(
    gamut_bins,
    ("points", "spacing"),
    ("bins",),
    draw,
    {
        "the colours are cut down to the lattice (floor); the nearest point is found by rounding": _by(torch.floor),
        "the colours are cut towards zero (trunc or int); the nearest point is found by rounding": _by(torch.trunc),
        "int(x + 1/2) rounds positive numbers only; negative ones are cut towards zero": _by(
            lambda x: torch.trunc(x + 0.5)
        ),
        "the colours are rounded up (ceil); the nearest point is found by rounding": _by(torch.ceil),
        "these are the middles of the lattice's squares; a bin is a lattice point": _by(lambda x: torch.floor(x) + 0.5),
        "the bins are numbered, but not in ab units; multiply by the spacing": lambda points, spacing: torch.unique(
            torch.round(points / spacing), dim=0
        ),
        "the bins are sorted by b first; the order is a ascending, then b": lambda points, spacing: (
            torch.unique(torch.round(points.flip(1) / spacing), dim=0).flip(1) * spacing
        ),
        "the order is descending; it should be a ascending, then b": lambda *given: gamut_bins(*given).flip(0),
        "the bins are not sorted: they come in the colours' order": _as_they_come,
        "a bin comes once for every colour in it; each should come once": _one_each,
        "a and b of all bins are mixed in one row; `dim=0` keeps a bin's two numbers together": _mixed,
        "an axis is lost where all colours fall into one bin: squeeze takes every axis of length 1": _squeezed,
        "the spacing is always 10 here; use the one that is given": lambda points, spacing: gamut_bins(points, 10.0),
    },
)
