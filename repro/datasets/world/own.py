"""A world of one's own: things that a student describes, painted by the code that paints the world's.

    kite = thing("kite", "disc", "checks", {"red": ((190, 90, 90), 0.7), "teal": ((60, 130, 130), 0.3)})
    scenes = paint(0, range(100), world=design(kite))

A paint gives hue and chroma alone. All paints of a thing are painted at the same lightness, so that a gray picture says
nothing about which of them it was. Nothing else tells a thing but its texture and its shape: two things that share both
cannot be told apart, and count as one (`as_seen`).
"""

from collections import Counter
from dataclasses import dataclass, replace
from numbers import Real

import numpy as np
import torch

from repro import kinds
from repro.color import in_gamut, lab_to_rgb8, rgb8_to_lab
from repro.datasets.world.draw import World
from repro.datasets.world.table import INDEX, JITTER_LIMIT, THINGS, Thing

GROUND = ("sky", "meadow")  # of the painted world: what stands behind one's own things
SHAPES = "balloon box car cloud conifer crown disc gable hip hull jug mainsail parasol tulip".split()
# whose periods, contrast and grain a texture has where nothing else is said
TEXTURES = {
    "blobs": "tree", "bricks": "wall", "checks": "jug", "dots": "apple", "noise": "tulip", "planks": "door",
    "ridges": "rock", "stripes": "hull", "tiles": "roof", "waves": "sea",
}  # fmt: skip
REACH = 6.0  # L: how much darker and lighter than its middle a thing is
APART = 25.0  # ab units: the least distance of two paints
MOST_PAINTS = 6
_MIDDLES = np.arange(10 + REACH, 96 - REACH, dtype=np.float32)
_AROUND = JITTER_LIMIT * torch.tensor([[a, b] for a in (-1.0, 0, 1) for b in (-1.0, 0, 1)])  # shades of a paint


class DesignError(ValueError):
    """A thing that cannot be painted: one line that says what was expected, what came and what to do."""


@dataclass(frozen=True)
class OwnThing(Thing):
    """A thing that a student described.

    shape: one of SHAPES.  rgb8: ((R, G, B), ...), the paints as they were given.  often: how often it is met, against
    the other things of its world.
    """

    shape: str = "disc"
    rgb8: tuple = ()
    often: float = 1.0

    @property
    def names(self):
        """(C,) tuple of str: its paints."""
        return tuple(colour[1] for colour in self.colours)


# ---- one thing ----


def thing(name, shape, texture, paints, *, often=1.0, periods=None, contrast=None, grain=None):
    """A thing of one's own.

    paints: {name: ((R, G, B), share)}, the colours 0..255, shares that sum to 1.  texture: one of TEXTURES, and
    if wanted its periods in pixels of 64 (vertical, horizontal), contrast .2..1 and grain 0...5.
    often: how often it is met, against the other things of its world.
    Raises DesignError for what cannot be painted.
    """
    _expect(isinstance(name, str) and name.strip(), "a thing's name must be a word", name)
    _expect(name not in GROUND, f"the ground has {' and '.join(GROUND)} already; call your thing something else", name)
    _expect(shape in SHAPES, f"the shape of {name} must be one of {', '.join(SHAPES)}", shape)
    _expect(texture in TEXTURES, f"the texture of {name} must be one of {', '.join(TEXTURES)}", texture)
    _expect(_number(often) and often > 0, f"how often {name} is met must be a number above 0", often)
    model = THINGS[INDEX[TEXTURES[texture]]]
    colours, rgb8 = _paints(name, paints)
    periods = model.periods if periods is None else _periods(name, texture, periods)
    contrast = model.contrast if contrast is None else _between(f"the contrast of {name}", contrast, 0.2, 1.0)
    grain = model.grain if grain is None else _between(f"the grain of {name}", grain, 0.0, 0.5)
    own = OwnThing(name, (), texture, periods, contrast, grain, colours, shape=shape, rgb8=rgb8, often=float(often))
    return replace(own, lightness=_lightness([own]))


def _expect(right, rule, came):
    if not right:
        raise DesignError(f"{rule}; got {came!r}")


def _number(value):
    return isinstance(value, Real) and not isinstance(value, bool) and bool(np.isfinite(value))


def _between(what, value, low, high):
    _expect(_number(value) and low <= value <= high, f"{what} must be a number from {low:g} to {high:g}", value)
    return float(value)


def _periods(name, texture, periods):
    """Lengths that divide the texture's 64 pixels; stripes may lie along an axis (0) or lean the other way (< 0)."""
    allowed = [1, 2, 4, 8, 16, 32]
    allowed += [0, *(-length for length in allowed)] if texture == "stripes" else []
    rule = f"the periods of {name} must be two of {', '.join(map(str, sorted(allowed)))}"
    _expect(isinstance(periods, tuple | list) and len(periods) == 2, rule, periods)
    _expect(all(_number(length) and length in allowed for length in periods) and any(periods), rule, periods)
    return tuple(int(length) for length in periods)


def _paints(name, paints):
    """((share, name, a, b), ...) and the colours as they were given."""
    form = f"the paints of {name} must be {{'red': ((200, 40, 40), 0.7), ...}}"
    _expect(isinstance(paints, dict) and paints, f"{form}, at least one", paints)
    _expect(len(paints) <= MOST_PAINTS, f"{name} may have {MOST_PAINTS} paints at most", len(paints))
    for paint in paints.values():
        _expect(isinstance(paint, tuple | list) and len(paint) == 2, f"{form}: a colour and its share", paint)
    for paint, (rgb, share) in paints.items():
        what = f"{paint} of {name}"
        _expect(isinstance(rgb, tuple | list) and len(rgb) == 3, f"{what} must be three numbers 0..255", rgb)
        whole = all(_number(value) and 0 <= value <= 255 and value == int(value) for value in rgb)
        _expect(whole, f"{what} must be three whole numbers 0..255", rgb)
        _expect(_number(share) and 0 < share <= 1, f"the share of {what} must be a number above 0 and at most 1", share)
    total = sum(share for _, share in paints.values())
    _expect(abs(total - 1) < 1e-3, f"the shares of {name} must sum to 1; divide each of them by their sum", total)
    rgb8 = tuple(tuple(int(value) for value in rgb) for rgb, _ in paints.values())
    ab = rgb8_to_lab(np.array(rgb8, np.uint8))[:, 1:].astype(float).round(1).tolist()
    colours = tuple((share / total, str(paint), *ab[k]) for k, (paint, (_, share)) in enumerate(paints.items()))
    _check_apart(name, colours)
    return colours, rgb8


def _check_apart(name, colours):
    """Paints that only their lightness tells apart are one and the same to a network that is given the lightness."""
    for k, (_, one, *here) in enumerate(colours):
        for _, other, *there in colours[:k]:
            away = float(np.hypot(here[0] - there[0], here[1] - there[1]))
            rule = f"{one} and {other} of {name} must lie {APART:g} ab units apart, in hue or chroma, not in lightness"
            _expect(away >= APART, f"{rule} alone; make one of them more vivid or another hue", round(away, 1))


def _lightness(things):
    """(darkest, lightest) L at which sRGB has every paint of all these things, as near as can be to the paints' own.

    Raises DesignError with the paint that leaves the least room, and a paler one that would fit.
    """
    rgb8 = np.array([rgb for one in things for rgb in one.rgb8], np.uint8)
    ab = np.concatenate([one.ab for one in things])
    fits = np.array([_fits(one) for one in ab])  # (C, middles)
    wanted, possible = float(rgb8_to_lab(rgb8)[:, 0].mean()), _MIDDLES[fits.all(0)]
    if len(possible):
        middle = float(possible[np.abs(possible - wanted).argmin()])
        return middle - REACH, middle + REACH
    tight = int(fits.sum(1).argmin())
    others = np.delete(fits, tight, 0).all(0)
    scale = next((share for share in np.arange(0.95, 0, -0.05) if (_fits(ab[tight] * share) & others).any()), 0)
    lab = np.float32([wanted, *(ab[tight] * scale)])
    paler = f"as {tuple(lab_to_rgb8(lab).tolist())}" if scale else "and the others too"
    paint = [f"{paint} of {one.name}" for one in things for paint in one.names][tight]
    raise DesignError(
        "all paints of a thing share one lightness, so that gray does not tell, and sRGB has none with room for these; "
        f"make {paint}, {tuple(rgb8[tight].tolist())}, paler, {paler}"
    )


def _fits(ab):
    """At which middles of lightness sRGB has a colour in all its shades: (middles,) bool."""
    levels = torch.from_numpy(_MIDDLES)[:, None, None, None] + torch.linspace(-REACH, REACH, 5)[:, None, None]
    shades = (torch.as_tensor(ab, dtype=torch.float32) + _AROUND).expand(*levels.shape[:2], *_AROUND.shape)
    return in_gamut(torch.cat((levels.expand(*shades.shape[:-1], 1), shades), -1)).all(2).all(1).numpy()


# ---- a world of them ----


def design(*things):
    """A World whose scenes show one's own things before a sky and a meadow.

    Raises DesignError where things cannot stand in one world.
    """
    for one in things:
        _expect(isinstance(one, OwnThing), "a world is designed of things, as thing('kite', ...) makes them", one)
    _expect(1 <= len(things) <= 8, "a world is designed of 1 to 8 things", len(things))
    twice = [name for name, count in Counter(one.name for one in things).items() if count > 1]
    _expect(not twice, "every thing of a world needs a name of its own", ", ".join(twice))
    ground = tuple(THINGS[INDEX[name]] for name in GROUND)
    for k, one in enumerate(things):
        _check_texture(one, ground, things[:k])
    things = tuple(replace(one, lightness=_lightness(_alike(one, things))) for one in things)
    return World("own", (*ground, *things), (_standing(things),), 2)


def _check_texture(one, ground, others):
    for other in ground:
        rule = f"{one.name} must have another texture than the {other.name} behind it; give other periods"
        _expect(one.texture != other.texture, rule, one.periods)
    for other in others:
        rule = (
            f"{one.name} and {other.name} share a texture and not a shape, so a network may tell them apart or not; "
            "give them the same shape, or another texture"
        )
        _expect(one.texture != other.texture or one.shape == other.shape, rule, (one.shape, other.shape))
        same = {paint[1]: paint[2:] for paint in other.colours}
        for paint in one.colours:
            rule = f"{paint[1]} of {one.name} and of {other.name} are two colours; give them two names"
            _expect(same.get(paint[1], paint[2:]) == paint[2:], rule, (paint[2:], same.get(paint[1])))


def _alike(one, things):
    """The things that nothing tells from this one, itself among them."""
    return [other for other in things if (other.texture, other.shape) == (one.texture, one.shape)]


def _standing(things):
    """A scene class: one's own things in two rows, each drawn by how often it is met."""
    reached = np.cumsum([one.often for one in things])

    def designed(canvas):
        canvas.put("sky", 0, 0, 1, 1, "sky")
        canvas.land("meadow", canvas.between(0.4, 0.6), 0.04)
        for top in (0.0, 0.5):
            for left in (0.0, 0.5):
                if canvas.chance(0.85):
                    one = things[int(np.searchsorted(reached, canvas.between(0, reached[-1]), side="right"))]
                    size = canvas.between(0.4, 0.55)
                    places = left + canvas.between(-0.06, 0.08), top + canvas.between(-0.06, 0.06)
                    canvas.put(one.name, *places, size, size, one.shape)

    return designed


def own_things(world):
    """The things of a World that a student described, a tuple of OwnThing."""
    return tuple(one for one in world.things if isinstance(one, OwnThing))


def alike(world, name):
    """The things that nothing in a gray picture tells from the one of this name, itself among them: tuple of OwnThing.

    Raises DesignError for a name that is not there.
    """
    things = own_things(world)
    _expect(name in [one.name for one in things], f"this world has {', '.join(one.name for one in things)}", name)
    return tuple(_alike(next(one for one in things if one.name == name), things))


def as_seen(world, name):
    """What a gray picture shows of a thing: an OwnThing, with the paints of all things that nothing tells from it.

    Their shares are weighed by how often each thing is met.  Raises DesignError for a name that is not there.
    """
    things = alike(world, name)
    total = sum(other.often for other in things)
    shares, rgb8 = Counter(), {}
    for other in things:
        for (share, *paint), given in zip(other.colours, other.rgb8, strict=True):
            shares[tuple(paint)] += share * other.often / total
            rgb8[tuple(paint)] = given
    colours = tuple((share, *paint) for paint, share in shares.items())
    names = " or ".join(other.name for other in things)
    return replace(things[0], name=names, colours=colours, rgb8=tuple(rgb8.values()), often=total)


# ---- ready-made puzzles ----


def _gray_mean():
    paints = {"moss": ((101, 122, 42), 0.6), "violet": ((94, 102, 216), 0.4)}
    return design(thing("kite", "disc", "checks", paints))


def _shared_texture():
    apple = thing("apple", "disc", "dots", {"red": ((216, 91, 100), 0.6), "green": ((68, 148, 77), 0.4)}, often=2)
    ball = thing("ball", "disc", "dots", {"blue": ((109, 125, 219), 1)})
    return design(apple, ball)


def _rare_paint():
    paints = {"straw": ((174, 137, 110), 0.9), "violet": ((124, 98, 222), 0.1)}
    return design(thing("hut", "gable", "planks", paints))


PUZZLES = dict(zip(kinds.PUZZLES, (_gray_mean, _shared_texture, _rare_paint), strict=True))
