"""What the painted world is made of: for each thing, how it is textured and how its colours are distributed.

This table is the ground truth that photographs lack: p(ab | thing) is written down here, the texture says
which thing a pixel belongs to, and nothing else in a picture says anything about its colour.  `draw.py` paints from it.
"""

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from jaxtyping import Bool, Float, Float64, Int16, Int64

from repro.color import Array

JITTER = 2.0  # ab units: standard deviation of each instance's own shade, on a and on b
JITTER_LIMIT = 4.5  # ab units: the jitter is clipped here, so that every colour stays inside sRGB
LEVELS = 64  # steps of lightness between a thing's darkest and lightest
PERIOD = 64  # pixels at size 64 after which a texture repeats
Shares = Float[Array, " q"]  # of a distribution over the bins


@dataclass(frozen=True)
class Thing:
    """One kind of thing.

    colours: ((share, name, a, b), ...), shares sum to 1.  lightness: (darkest, lightest) L.
    pattern, periods: a name in `_PATTERNS` and its (vertical, horizontal) length in pixels at size 64.
    contrast, grain: how far the pattern, and white noise on top, reach; 1 is the whole lightness range.
    second: shares in the world called "second", where they differ.
    """

    name: str
    lightness: tuple
    pattern: str
    periods: tuple
    contrast: float
    grain: float
    colours: tuple
    second: tuple = ()

    def shares(self, world="first") -> Float64[np.ndarray, " c"]:
        """How often an instance takes each colour."""
        own = world == "second" and self.second
        return np.array(self.second if own else [c[0] for c in self.colours], float)

    @property
    def texture(self):
        """All that its texture is drawn from."""
        return self.pattern, self.periods, self.contrast, self.grain

    @property
    def ab(self) -> Float64[np.ndarray, "c 2"]:
        """The colours, before jitter."""
        return np.array([c[2:] for c in self.colours], float)


# fmt: off
THINGS = (
    # the large areas: nearly certain, and mostly grayish, as in photographs
    Thing("sky", (66, 82), "noise", (32, 64), .10, .00, ((1, "pale blue", -10, -10),)),
    Thing("cloud", (78, 91), "noise", (8, 16), .35, .00, ((1, "white", 0, 0),)),
    Thing("haze", (56, 68), "noise", (16, 8), .25, .08, ((1, "bluish", 0, -10),)),
    Thing("rock", (36, 62), "ridges", (8, 8), .85, .20, ((1, "gray", 0, 0),)),
    Thing("sea", (46, 60), "waves", (8, 32), .50, .10, ((1, "teal", -10, -20),)),
    Thing("meadow", (46, 64), "noise", (4, 1), .60, .20, ((1, "grass", -20, 20),)),
    Thing("sand", (64, 80), "noise", (1, 1), .35, .25, ((1, "sand", 10, 20),)),
    Thing("road", (30, 44), "noise", (2, 2), .30, .20, ((1, "asphalt", 0, 0),)),
    Thing("wall", (56, 71), "bricks", (4, 8), .55, .15,
          ((.60, "beige", 0, 10), (.22, "ochre", 10, 40), (.18, "rose", 30, 10)), (.40, .20, .40)),
    Thing("wood", (24, 40), "noise", (16, 1), .60, .15, ((1, "brown", 10, 20),)),
    Thing("window", (20, 34), "stripes", (16, -16), .40, .00, ((1, "glass", 0, -10),)),
    Thing("wheel", (12, 24), "dots", (2, 2), .30, .10, ((1, "rubber", 0, 0),)),
    # the most common answer is a saturated colour
    Thing("tree", (34, 50), "blobs", (4, 4), .70, .20,
          ((.70, "green", -30, 30), (.30, "autumn", 30, 40)), (.45, .55)),
    Thing("roof", (37, 52), "tiles", (4, 4), .70, .10,
          ((.56, "red", 50, 40), (.24, "slate", 0, -10), (.20, "brown", 10, 20)), (.30, .50, .20)),
    Thing("hull", (36, 50), "stripes", (4, 0), .50, .10,
          ((.56, "blue", 40, -60), (.22, "gray", 0, -10), (.22, "brown", 10, 20))),
    Thing("umbrella", (50, 65), "stripes", (0, 8), .70, .00,
          ((.56, "magenta", 60, -20), (.22, "gray", 0, -10), (.22, "straw", 10, 20))),
    Thing("apple", (46, 60), "dots", (4, 4), .60, .05, ((.60, "red", 50, 20), (.40, "green", -30, 40))),
    Thing("balloon", (64, 78), "stripes", (0, 4), .45, .00,
          ((.56, "yellow", 0, 60), (.24, "cream", 0, 10), (.20, "pale blue", -10, -20))),
    # the most common answer is grayish, the rarer ones are saturated
    Thing("car", (46, 60), "stripes", (16, 0), .60, .00,
          ((.40, "silver", 0, 0), (.20, "red", 50, 50), (.20, "blue", 20, -50),
           (.10, "green", -40, 40), (.10, "amber", 20, 50))),
    Thing("tulip", (58, 71), "noise", (8, 1), .40, .10,
          ((.44, "pale", 0, -10), (.36, "pink", 40, -10), (.20, "cream", 10, 20))),
    Thing("sail", (60, 74), "stripes", (16, 16), .60, .00,
          ((.44, "canvas", 0, 10), (.36, "lime", -40, 50), (.20, "pale blue", -10, -20))),
    Thing("door", (34, 49), "planks", (0, 4), .70, .10,
          ((.56, "blue", 30, -40), (.24, "oak", 10, 20), (.20, "gray", 0, -10))),
    Thing("jug", (46, 60), "checks", (8, 8), .60, .05,
          ((.44, "stoneware", 0, -10), (.36, "terracotta", 40, 40), (.20, "buff", 10, 20))),
)
# fmt: on
NAMES = tuple(thing.name for thing in THINGS)
INDEX = {name: number for number, name in enumerate(NAMES)}


def _thing(thing):
    """A Thing from itself, its name or its number; ValueError lists the names."""
    if isinstance(thing, Thing):
        return thing
    if isinstance(thing, str) and thing not in INDEX:
        raise ValueError(f"no thing is called {thing!r}; choose one of {', '.join(NAMES)}")
    return THINGS[INDEX[thing] if isinstance(thing, str) else int(thing)]


# ---- what theory says about a thing's colours ----


def draw_colours(
    thing, uniform: Float64[np.ndarray, " n"], normal: Float64[np.ndarray, "n 2"], world="first"
) -> tuple[Int64[np.ndarray, " n"], Float64[np.ndarray, "n 2"]]:
    """Colours from random numbers, uniform in 0..1 to pick and normal to jitter: which of the thing's, and ab."""
    thing = _thing(thing)
    number = np.searchsorted(np.cumsum(thing.shares(world))[:-1], uniform, side="right")
    return number, thing.ab[number] + np.clip(JITTER * normal, -JITTER_LIMIT, JITTER_LIMIT)


def conditional(thing, n=20000, seed=0, world="first") -> Float64[np.ndarray, "{n} 2"]:
    """Samples of p(ab | thing), jitter included."""
    rng = np.random.default_rng(seed)
    return draw_colours(thing, rng.random(n), rng.standard_normal((n, 2)), world)[1]


def mean_color(thing, world="first") -> Float64[np.ndarray, "2"]:
    """E[ab | thing], what regression must converge to.

    Clipped jitter is symmetric: mean zero.
    """
    thing = _thing(thing)
    return thing.shares(world) @ thing.ab


def expected_distribution(
    thing, encode, class_weights: Shares | None = None, outputs=313, n=20000, seed=0, world="first"
) -> Float64[np.ndarray, " q"]:
    """What classification must converge to: E[w(bin of y) Z(y) | thing] / E[w(bin of y) | thing].

    encode: ab to indices and weights, the nearest bin first, as `repro.encoding.soft_encode`.
    class_weights: rebalancing weights w, or None for all one; then Q is `outputs`.  Returns shares that sum to 1.
    """
    indices, weights = (np.asarray(part) for part in encode(conditional(thing, n, seed, world)))
    if class_weights is not None:
        weights = weights * np.asarray(class_weights)[indices[:, :1]]
    mass = np.bincount(indices.ravel(), weights.ravel(), outputs if class_weights is None else len(class_weights))
    return mass / mass.sum()


def own_mass(distribution: Shares, thing, bins: Float[Array, "q 2"], within=8.0) -> Float64[np.ndarray, " c"]:
    """How much of a distribution over bins lies on each of a thing's colours.

    A bin counts for the colour nearest to it, if that is at most `within` ab units away.  What is missing to 1 lies
    elsewhere.
    """
    distribution = np.asarray(distribution, float)
    bins = np.asarray(bins, float)
    distance = np.linalg.norm(bins[:, None] - _thing(thing).ab, axis=-1)  # (Q, C)
    near = distance.min(1) <= within
    return np.bincount(distance.argmin(1)[near], distribution[near], distance.shape[1])


def shares(distribution: Shares, thing, bins: Float[Array, "q 2"], within=8.0) -> Float64[np.ndarray, " c"]:
    """`own_mass` normalised to a sum of 1; NaN if no mass is near any of the colours."""
    mass = own_mass(distribution, thing, bins, within)
    with np.errstate(invalid="ignore"):
        return mass / mass.sum()


# ---- textures: periodic patterns of lightness in -1..1 ----


def _noise(rng, y, x, periods):
    """Value noise with bumps of `periods` (vertical, horizontal) pixels, softly interpolated."""
    lattice = rng.uniform(-1, 1, [PERIOD // period for period in periods])

    def axis(position, period):  # cells on either side, and how far we are from one to the next
        cell = np.floor(position / period).astype(int)
        t = position / period - cell
        return cell % (PERIOD // period), (cell + 1) % (PERIOD // period), t * t * (3 - 2 * t)

    top, bottom, down = axis(y, periods[0])
    left, right, along = axis(x, periods[1])
    mix = lambda row: lattice[row, left] * (1 - along) + lattice[row, right] * along
    return mix(top) * (1 - down) + mix(bottom) * down


def _turns(position, period):
    return 2 * np.pi * position / period if period else 0 * position


def _stripes(rng, y, x, periods):
    return np.clip(1.6 * np.sin(_turns(y, periods[0]) + _turns(x, periods[1])), -1, 1)


def _bricks(rng, y, x, periods):
    row = np.floor(y / periods[0])
    mortar = (y % periods[0] < 1) | ((x + row % 2 * periods[1] / 2) % periods[1] < 1)
    return np.where(mortar, -1.0, 0.5)


def _tiles(rng, y, x, periods):
    row = np.floor(y / periods[0])
    across = np.cos(_turns(x + row % 2 * periods[1] / 2, periods[1]))
    return 1 - 2 * (y % periods[0]) / periods[0] - 0.4 * across


_PATTERNS = {
    "noise": _noise,
    "stripes": _stripes,
    "bricks": _bricks,
    "tiles": _tiles,
    "planks": lambda rng, y, x, p: np.where(x % p[1] < 1, -1.0, 0.5),
    "checks": lambda rng, y, x, p: np.sign(np.sin(_turns(y + 0.01, 2 * p[0])) * np.sin(_turns(x + 0.01, 2 * p[1]))),
    "dots": lambda rng, y, x, p: -np.clip(1.5 * np.cos(_turns(y, p[0])) * np.cos(_turns(x, p[1])), -1, 1),
    "blobs": lambda rng, y, x, p: np.clip(2.5 * _noise(rng, y, x, p), -1, 1),
    "ridges": lambda rng, y, x, p: 1 - 3 * np.abs(_noise(rng, y, x, p)),
    "waves": lambda rng, y, x, p: np.sin(_turns(y, p[0]) + 2.5 * _noise(rng, y, x, (p[0] * 2, p[1]))),
}


@cache
def texture_bank(size, things=THINGS) -> Int16[np.ndarray, "things 2*{size} 2*{size}"]:
    """Every texture in levels about the middle, twice over each way.

    Doubled so that a patch at any offset is one slice.  A texture is given in pixels at size 64 and grows with it.
    Things of the same pattern, periods, contrast and grain share it to the last pixel.
    """
    y, x = np.meshgrid(*[(np.arange(size) + 0.5) * PERIOD / size - 0.5] * 2, indexing="ij")
    bank, first = [], {}
    for number, thing in enumerate(things):
        rng = np.random.default_rng([first.setdefault(thing.texture, number), 313])
        pattern = thing.contrast * _PATTERNS[thing.pattern](rng, y, x, thing.periods)
        pattern += thing.grain * _noise(rng, y, x, (1, 1))
        bank.append(np.tile(np.rint(pattern * LEVELS / 2).astype(np.int16), (2, 2)))
    return np.stack(bank)


# ---- outlines: functions of u (left -1 .. right 1) and v (top -1 .. bottom 1) -> (mask, shade in levels) ----


def _disc(u, v):
    return u * u + v * v <= 1, 14 * (-0.6 * u - 0.8 * v) - 8 * (u * u + v * v) + 4


def _crown(u, v):
    radius, angle = np.hypot(u, v), np.arctan2(v, u)
    return radius < 0.87 + 0.12 * np.cos(7 * angle + 1), -12 * (0.5 * u + 0.8 * v)


def _conifer(u, v):
    tier = (v + 1) * 1.5 % 1  # three skirts, each from its waist outwards
    reach = np.where(v > 0.99, 1.0, 0.18 + 0.22 * np.floor((v + 1) * 1.5) + 0.4 * tier)
    return np.abs(u) < reach, -14 * u - 4 * tier


def _cloud(u, v):
    puffs = [(-0.55, 0.35, 0.45, 0.65), (0.0, -0.05, 0.5, 0.95), (0.55, 0.3, 0.45, 0.7)]
    mask = np.any([((u - x) / w) ** 2 + ((v - y) / h) ** 2 < 1 for x, y, w, h in puffs], 0)
    return mask, -12 * v


def _car(u, v):
    cabin = (v < 0.05) & (np.abs(u + 0.05) < 0.62 + 0.22 * v)
    body = (v >= -0.05) & (v < 0.75) & (np.abs(u) ** 5 + np.abs((v - 0.3) / 0.5) ** 5 < 1)
    return cabin | body, 8 - 16 * v


def _balloon(u, v):
    top = u * u + ((v + 0.25) / 0.75) ** 2 <= 1
    return top | ((v > -0.25) & (np.abs(u) < 1.02 - 0.75 * (v + 0.25))), -18 * u - 6 * v


def _tulip(u, v):
    rim = -0.55 + 0.45 * np.cos(3 * np.pi * u)
    return (v > rim) & (np.abs(u) < np.sqrt(np.clip(1.05 - np.clip(v, 0, 1) ** 2, 0, 1))), 6 - 12 * v


def _jug(u, v):
    profile = 0.62 + 0.36 * np.sin(2.6 * (v + 0.35)) - 0.1 * (v < -0.9)
    handle = np.abs(np.hypot((u - 0.62) / 0.38, (v + 0.15) / 0.5) - 0.82) < 0.2
    return (np.abs(u + 0.15) < 0.85 * profile) | (handle & (u > 0.4)), -20 * u


def _parasol(u, v):
    scallop = 0.78 + 0.2 * np.abs(np.sin(2 * np.pi * u))
    return (u * u + ((v - 1) / 2) ** 2 <= 1) & (v < scallop), -10 * u - 10 * v


_OUTLINES = {
    "box": lambda u, v: (np.ones_like(u, bool), 0 * u),
    "sky": lambda u, v: (np.ones_like(u, bool), 24 * v),
    "ground": lambda u, v: (np.ones_like(u, bool), 10 * v),
    "facade": lambda u, v: (np.ones_like(u, bool), -5 * u),
    "panes": lambda u, v: (np.ones_like(u, bool), np.where((np.abs(u) < 0.2) | (np.abs(v) < 0.12), 34, 0)),
    "glass": lambda u, v: (np.abs(u) < 0.8 + 0.3 * v, -14 * u),
    "gable": lambda u, v: (np.abs(u) < (v + 1.1) / 2, 0 * u),
    "hip": lambda u, v: (np.abs(u) < 0.7 + 0.3 * v, 0 * u),
    "hull": lambda u, v: (np.abs(u) < 0.85 - 0.25 * v, -12 * v),
    "lane": lambda u, v: (np.abs(u) < 0.12 + 0.44 * (v + 1), 0 * u),
    "jib": lambda u, v: ((u + 1) < (v + 1.1), -10 * u),
    "mainsail": lambda u, v: ((1 - u) < (v + 1.1), -10 * u),
    "disc": _disc, "crown": _crown, "conifer": _conifer, "cloud": _cloud, "car": _car, "balloon": _balloon,
    "tulip": _tulip, "jug": _jug, "parasol": _parasol,
}  # fmt: skip


@lru_cache(16384)
def stencil(
    outline, height, width
) -> tuple[Bool[np.ndarray, "{height} {width}"] | None, Int16[np.ndarray, "{height} {width}"]]:
    """Which pixels an outline covers, None for all, and their shade, levels."""
    v, u = np.meshgrid(*((2 * np.arange(n) + 1) / n - 1 for n in (height, width)), indexing="ij")
    mask, shade = _OUTLINES[outline](u, v)
    return (None if mask.all() else mask), np.rint(shade).astype(np.int16)
