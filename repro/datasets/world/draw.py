"""The painted world: scenes from a seed whose colours, given what the lightness shows, follow a stated distribution.

Every picture is put together from the things in `table.py`. Composition, size, place, texture and lightness are drawn
first; each object (instance) then draws its colour from its thing's table, independently of all of it. So p(ab |
grayscale picture) is known, and what a network learns can be held against what theory says it must learn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float32, Int8, Int16, Int64, UInt8
from scipy import ndimage

from repro.color import lab_to_rgb8
from repro.datasets.folder import Item, Source, check_split
from repro.datasets.world.scenes import SCENES
from repro.datasets.world.table import LEVELS, THINGS, draw_colours, stencil, texture_bank

MAX_INSTANCES = 96  # objects a scene may hold; what a composition adds beyond is left out
_BATCH = 256  # scenes converted to sRGB together


@dataclass(frozen=True)
class World:
    """What there is to paint.

    things: `table.Thing`s, at most 255.  scenes: its scene classes, functions that paint on a Canvas.  number: of its
    random draws.
    """

    name: str
    things: tuple
    scenes: tuple
    number: int

    @cached_property
    def index(self):
        """{name: position in `things`}."""
        return {thing.name: position for position, thing in enumerate(self.things)}


WORLDS = {name: World(name, THINGS, scenes, number) for number, (name, scenes) in enumerate(SCENES.items())}


def world_of(world):
    """A World from its name, or itself; ValueError lists the names."""
    if not isinstance(world, World) and world not in WORLDS:
        raise ValueError(f"no world is called {world!r}; choose one of {', '.join(WORLDS)}")
    return world if isinstance(world, World) else WORLDS[world]


@dataclass(frozen=True)
class Scenes:
    """N painted scenes.

    labels: position in `classes(world)`.  things: position in the world's things.  instances: which object of a scene.
    And per object, padded to M: instance_ab, ab units, and instance_colour (-1: no such object).
    """

    rgb8: UInt8[np.ndarray, "n h w 3"]
    things: UInt8[np.ndarray, "n h w"]
    labels: Int64[np.ndarray, " n"]
    instances: UInt8[np.ndarray, "n h w"]
    instance_ab: Float32[np.ndarray, "n m 2"]
    instance_colour: Int8[np.ndarray, "n m"]

    @property
    def ab(self) -> Float32[np.ndarray, "n h w 2"]:
        """The colour that was painted, before rounding to 8 bits."""
        return self.instance_ab[np.arange(len(self.labels))[:, None, None], self.instances]


class Canvas:
    """One scene being composed. Lengths are fractions of the picture; (0, 0) is the upper left corner."""

    def __init__(
        self,
        levels: Int16[np.ndarray, "s s"],
        instances: UInt8[np.ndarray, "s s"],
        rng: np.random.Generator,
        world: World,
        bank: Int16[np.ndarray, "things 2*s 2*s"],
    ):
        self.levels, self.instances, self.rng = levels, instances, rng
        self.size, self.index, self.bank = len(levels), world.index, bank
        self.things = []
        self._draws = iter(())

    def draw(self):
        """The next uniform number in 0..1; they are made in blocks, for speed."""
        number = next(self._draws, None)
        if number is None:
            self._draws = iter(self.rng.random(256).tolist())
            number = next(self._draws)
        return number

    def between(self, low, high):
        """A number of the range, all of them equally likely."""
        return low + (high - low) * self.draw()

    def count(self, low, high):
        """A whole number, low and high included."""
        return low + int((high - low + 1) * self.draw())

    def chance(self, probability):
        """True with a probability, 0..1."""
        return self.draw() < probability

    def put(self, thing, left, top, width, height, outline="box"):
        """Paint a new instance of a thing into a box, in front of what is there. Returns nothing."""
        size = self.size
        x, y = round(left * size), round(top * size)
        w, h = max(1, round((left + width) * size) - x), max(1, round((top + height) * size) - y)
        self._paint(thing, x, y, w, h, *stencil(outline, h, w))

    def land(self, thing, horizon, roughness=0.0, waves=2.0, shade=6.0):
        """A band from an uneven horizon down to the picture's lower edge: hills, mountains, beaches."""
        size = self.size
        x = (np.arange(size) + 0.5) / size
        a, b = self.draw() * 6.3, self.draw() * 6.3
        profile = horizon - roughness * (0.6 * np.sin(x * waves * 3 + a) + 0.4 * np.sin(x * waves * 7.3 + b))
        top = max(0, int(profile.min() * size))
        rows = (np.arange(top, size) + 0.5) / size
        shading = np.rint(np.broadcast_to(shade * (rows[:, None] - horizon) / (1.01 - horizon), (size - top, size)))
        self._paint(thing, 0, top, size, size - top, rows[:, None] > profile, shading.astype(np.int16))

    def _paint(self, thing, x, y, w, h, mask, shade):
        size = self.size
        offset_y, offset_x = int(self.draw() * size), int(self.draw() * size)
        brightness = int(self.draw() * 9) - 4
        x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + w, size), min(y + h, size)
        if x0 >= x1 or y0 >= y1 or len(self.things) >= MAX_INSTANCES:
            return
        part = np.s_[y0 - y : y1 - y, x0 - x : x1 - x]
        number = self.index[thing]
        texture = self.bank[number, offset_y : offset_y + y1 - y0, offset_x : offset_x + x1 - x0]
        value = texture + (shade[part] + np.int16(LEVELS // 2 + brightness))
        levels, instances = self.levels[y0:y1, x0:x1], self.instances[y0:y1, x0:x1]
        if mask is None:
            levels[...] = value
            instances[...] = len(self.things)
        else:
            np.copyto(levels, value, where=mask[part])
            np.copyto(instances, len(self.things), where=mask[part])
        self.things.append(number)


# ---- painting ----


def classes(world="first"):
    """Names of a world's scene classes, in the order of their labels."""
    return tuple(compose.__name__.replace("_", " ") for compose in world_of(world).scenes)


def label_of(
    index: int | np.integer | Int64[np.ndarray, " n"], world: str | World = "first"
) -> np.integer | Int64[np.ndarray, " n"]:
    """The class of scene `index`: classes take turns, so any run of scenes is balanced."""
    return np.asarray(index) % len(world_of(world).scenes)


def paint(
    seed: int,
    index_or_indices: int | Sequence[int] | Int64[np.ndarray, " n"],
    size: int = 64,
    world: str | World = "first",
) -> Scenes:
    """Paint scenes; scene i of a seed and world is the same in whatever batch it is painted.

    A scene at another size has the same composition and colours, drawn finer.  world: "first", "second", or a World
    of one's own (`own.design`).
    """
    indices, world = np.atleast_1d(index_or_indices).astype(np.int64), world_of(world)
    count = len(indices)
    scenes = Scenes(
        rgb8=np.empty((count, size, size, 3), np.uint8),
        things=np.empty((count, size, size), np.uint8),
        labels=indices % len(world.scenes),
        instances=np.zeros((count, size, size), np.uint8),
        instance_ab=np.zeros((count, MAX_INSTANCES, 2), np.float32),
        instance_colour=np.full((count, MAX_INSTANCES), -1, np.int8),
    )
    for start in range(0, count, _BATCH):
        _paint_batch(scenes, np.s_[start : start + _BATCH], seed, indices, world)
    return scenes


def _paint_batch(scenes, part, seed, indices, world):
    size = scenes.things.shape[-1]
    levels = np.empty(scenes.things[part].shape, np.int16)
    things, bank = np.zeros((len(levels), MAX_INSTANCES), np.uint8), texture_bank(size, world.things)
    uniform, normal = np.empty(things.shape), np.empty((*things.shape, 2))
    for k, index in enumerate(indices[part]):
        rng = np.random.default_rng([seed, index, world.number])
        uniform[k], normal[k] = rng.random(MAX_INSTANCES), rng.standard_normal((MAX_INSTANCES, 2))
        canvas = Canvas(levels[k], scenes.instances[part][k], rng, world, bank)
        world.scenes[label_of(index, world)](canvas)
        things[k, : len(canvas.things)] = canvas.things
        scenes.instance_colour[part][k, : len(canvas.things)] = 0
    used = scenes.instance_colour[part] == 0
    for number, thing in enumerate(world.things):
        of_it = used & (things == number)
        colour, ab = draw_colours(thing, uniform[of_it], normal[of_it], world.name)
        scenes.instance_colour[part][of_it], scenes.instance_ab[part][of_it] = colour, ab
    # One row of LEVELS colours for each instance, converted to sRGB once: 4 to 8 times fewer than there are
    # pixels.
    row = np.cumsum(used).reshape(used.shape) - 1  # (n, M)
    low, high = np.array([thing.lightness for thing in world.things], np.float32)[things[used]].T
    palette = np.empty((len(low), LEVELS, 3), np.float32)
    palette[..., 0] = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, LEVELS, dtype=np.float32)
    palette[..., 1:] = scenes.instance_ab[part][used][:, None]
    packed = np.zeros((*palette.shape[:2], 4), np.uint8)
    packed[..., :3] = lab_to_rgb8(palette)
    packed = packed.reshape(-1, 4).view(np.uint32)[:, 0]
    np.clip(levels, 0, LEVELS - 1, out=levels)
    for k in range(len(levels)):
        instances = scenes.instances[part][k]
        scenes.things[part][k] = things[k].take(instances)
        pixels = packed.take((row[k] * LEVELS).take(instances) + levels[k])
        scenes.rgb8[part][k] = pixels.view(np.uint8).reshape(size, size, 4)[..., :3]


def interior(instances: UInt8[np.ndarray, "*n h w"], margin=3) -> Bool[np.ndarray, "*n h w"]:
    """Where a map of instances or things has the same one everywhere within `margin` pixels."""
    width = (1,) * (instances.ndim - 2) + (2 * margin + 1,) * 2
    return ndimage.minimum_filter(instances, width) == ndimage.maximum_filter(instances, width)


# ---- as a source of pictures ----


@dataclass(frozen=True, order=True)
class WorldItem(Item):
    """A scene that has not been painted yet.  index: its number in this seed."""

    index: int = 0


class WorldSource(Source):
    """The painted world as a data source: `items`, `read` one at 128 px, or `bulk` many at any size.

    train, val, test: scenes in each split.  Splits take their scenes from ranges that cannot meet.
    """

    name = "world"
    _STRIDE = 10**9

    def __init__(self, seed=0, world="first", train=12000, val=500, test=500):
        self.seed, self.world = seed, world
        self.classes, self.settings = classes(world), {"seed": seed, "world": world}
        self._counts = {"train": train, "val": val, "test": test}

    def indices(self, split: str, limit: int | None = None) -> Int64[np.ndarray, " n"]:
        """The scenes of a split, by their number in this seed."""
        check_split(split)
        count = self._counts[split] if limit is None else min(limit, self._counts[split])
        return list(self._counts).index(split) * self._STRIDE + np.arange(count)

    def items(self, split):
        """List of WorldItem, in order."""
        labels = label_of(self.indices(split), self.world).tolist()
        return [
            WorldItem(f"{split}-{number:06d}-{self.classes[label].replace(' ', '_')}", label, int(index))
            for number, (index, label) in enumerate(zip(self.indices(split), labels, strict=True))
        ]

    def read(self, item: WorldItem) -> UInt8[np.ndarray, "128 128 3"]:
        """The picture of one item."""
        return paint(self.seed, item.index, 128, self.world).rgb8[0]

    def bulk(
        self, split: str, size: int = 64, limit: int | None = None
    ) -> tuple[UInt8[np.ndarray, "n {size} {size} 3"], Int64[np.ndarray, " n"]]:
        """Pictures and labels of the first `limit` scenes of a split."""
        scenes = paint(self.seed, self.indices(split, limit), size, self.world)
        return scenes.rgb8, scenes.labels

    def scenes(self, split, size=64, limit=None):
        """The same pictures as `Scenes`, with the maps of things and instances."""
        return paint(self.seed, self.indices(split, limit), size, self.world)
