"""The scenes of the painted world: how things are put together, in two worlds of different composition.

Each scene class is a function that paints on a `repro.datasets.world.draw.Canvas`, back to front. It decides what
stands where and how large; colours are drawn later, so nothing here can tell anything about them.
"""

import numpy as np

# -- objects made of several things
# ----------------------------------------------------------------------------------


def _sky(canvas, clouds=3):
    canvas.put("sky", 0, 0, 1, 1, "sky")
    for _ in range(canvas.count(0, clouds)):
        width = canvas.between(0.4, 0.65)
        canvas.put("cloud", canvas.between(-0.2, 0.8), canvas.between(0.0, 0.12), width, 0.45 * width, "cloud")


def _tree(canvas, x, foot, height, fruit=0):
    """x: middle, foot: where it stands, height: of the whole tree."""
    conifer = not fruit and canvas.chance(0.3)
    canvas.put("wood", x - 0.05 * height, foot - 0.4 * height, 0.1 * height, 0.4 * height)
    width = height * (0.5 if conifer else 0.8)
    crown = height * (0.85 if conifer else 0.72)
    canvas.put("tree", x - width / 2, foot - height, width, crown, "conifer" if conifer else "crown")
    for _ in range(fruit):
        size = canvas.between(0.26, 0.32) * height
        u, v = canvas.between(-0.3, 0.3) * width, canvas.between(-0.3, 0.3) * crown
        canvas.put("apple", x + u - size / 2, foot - height + crown / 2 + v - size / 2, size, size, "disc")


def _house(canvas, left, foot, width, height):
    """Walls of the given size; the roof stands on top of them."""
    eaves = foot - height
    roof = height * canvas.between(0.4, 0.6)
    outline = "gable" if canvas.chance(0.5) else "hip"
    if canvas.chance(0.5):
        canvas.put("wall", left + 0.68 * width, eaves - 1.1 * roof, 0.13 * width, roof)
    canvas.put("wall", left, eaves, width, height, "facade")
    canvas.put("roof", left - 0.08 * width, eaves - roof, 1.16 * width, roof * 1.02, outline)
    door_left = left + width * canvas.between(0.08, 0.62)
    tall = min(0.6 * height, 0.2)
    canvas.put("door", door_left, foot - tall, max(0.26 * width, 0.07), tall)
    for column in (0.12, 0.62):
        for row in np.arange(eaves + 0.14 * height, foot - 0.24, 0.2):
            canvas.put("window", left + column * width, row, 0.25 * width, 0.12, "panes")
        x = left + column * width
        if abs(x - door_left) > 0.3 * width:
            canvas.put("window", x, foot - 0.9 * tall, 0.25 * width, 0.5 * tall, "panes")


def _car(canvas, left, foot, width):
    height = 0.56 * width
    canvas.put("car", left, foot - height, width, height, "car")
    for x, w in ((0.22, 0.24), (0.5, 0.24)):
        canvas.put("window", left + x * width, foot - 0.92 * height, w * width, 0.32 * height, "glass")
    wheel = 0.24 * width
    for x in (0.1, 0.66):
        canvas.put("wheel", left + x * width, foot - 0.8 * wheel, wheel, wheel, "disc")


def _boat(canvas, x, foot, height):
    """A sailing boat; its two sails are two instances."""
    canvas.put("wood", x - 0.03 * height, foot - height, 0.05 * height, height * 0.9)
    canvas.put("sail", x - 0.42 * height, foot - 0.95 * height, 0.38 * height, 0.66 * height, "mainsail")
    canvas.put("sail", x + 0.05 * height, foot - 0.85 * height, 0.34 * height, 0.56 * height, "jib")
    canvas.put("hull", x - 0.5 * height, foot - 0.24 * height, height, 0.26 * height, "hull")


def _parasol(canvas, x, foot, height):
    canvas.put("wood", x - 0.03 * height, foot - 0.7 * height, 0.06 * height, 0.7 * height)
    canvas.put("umbrella", x - 0.6 * height, foot - height, 1.2 * height, 0.55 * height, "parasol")


def _hot_air_balloon(canvas, x, top, width):
    canvas.put("wood", x - 0.13 * width, top + 1.22 * width, 0.26 * width, 0.2 * width)
    canvas.put("balloon", x - 0.5 * width, top, width, 1.2 * width, "balloon")


def _tulip(canvas, x, foot, height):
    canvas.put("meadow", x - 0.05 * height, foot - 0.5 * height, max(0.1 * height, 0.016), 0.5 * height)
    canvas.put("tulip", x - 0.28 * height, foot - height, 0.56 * height, 0.62 * height, "tulip")


def _jug(canvas, x, foot, height):
    canvas.put("jug", x - 0.4 * height, foot - height, 0.85 * height, height, "jug")


def _row(canvas, number, left=0.0, right=1.0):
    """`number` places from left to right, each a little out of line."""
    step = (right - left) / number
    return [left + step * (k + canvas.between(0.25, 0.75)) for k in range(number)]


def _apples(canvas, left, top, width, number, size):
    for x in _row(canvas, number, left, left + width):
        canvas.put("wood", x, top - 1.1 * size, 0.016, 0.3 * size)
        canvas.put("apple", x - size / 2, top - size * canvas.between(0.8, 1.0), size, size, "disc")


def _house_row(canvas, foot, number, low=0.3, high=0.45):
    for k in range(number):
        width = 1 / number
        inset = canvas.between(0.02, 0.1) * width
        _house(canvas, k * width + inset, foot, width - 2 * inset, canvas.between(low, high))


# -- scene classes of the first world
# --------------------------------------------------------------------------------


def seaside(c):
    """Boats on the sea, and parasols on the beach before it."""
    _sky(c)
    horizon = c.between(0.32, 0.45)
    c.put("sea", 0, horizon, 1, 1 - horizon, "ground")
    for x in _row(c, c.count(1, 2)):
        _boat(c, x, horizon + c.between(0.06, 0.16), c.between(0.3, 0.42))
    beach = c.between(0.62, 0.72)
    c.land("sand", beach, 0.03)
    for x in _row(c, c.count(1, 3)):
        _parasol(c, x, c.between(beach + 0.14, 0.97), c.between(0.24, 0.34))


def meadow(c):
    """A meadow with trees behind and tulips before."""
    _sky(c)
    c.land("haze", c.between(0.38, 0.46), 0.06)
    ground = c.between(0.55, 0.64)
    c.land("meadow", ground, 0.03)
    for x in _row(c, c.count(1, 2)):
        _tree(c, x, c.between(ground + 0.04, 0.74), c.between(0.3, 0.5))
    for foot in (0.82, 0.98):
        for x in _row(c, c.count(2, 3)):
            _tulip(c, x, foot + c.between(-0.03, 0.03), c.between(0.28, 0.36))


def street(c):
    """Houses behind a road with cars and trees."""
    _sky(c, 1)
    curb = c.between(0.6, 0.68)
    _house_row(c, curb, c.count(1, 3))
    c.put("road", 0, curb, 1, 1 - curb, "ground")
    for x in _row(c, c.count(1, 2)):
        if c.chance(0.4):
            _tree(c, x, curb + 0.03, c.between(0.3, 0.4))
    _car(c, c.between(-0.1, 0.6), curb + 0.14, c.between(0.56, 0.66))
    if c.chance(0.7):
        _car(c, c.between(-0.1, 0.5), c.between(0.92, 0.98), c.between(0.72, 0.86))


def orchard(c):
    """Trees with apples, near and far, and apples under them."""
    _sky(c, 2)
    c.land("haze", c.between(0.4, 0.5), 0.03)
    ground = c.between(0.55, 0.65)
    c.land("meadow", ground, 0.02)
    for x in _row(c, 2):
        _tree(c, x, ground + 0.08, c.between(0.4, 0.5), c.count(0, 1))
    _tree(c, c.between(0.25, 0.75), c.between(0.88, 0.96), c.between(0.7, 0.85), c.count(2, 3))
    for x in _row(c, c.count(1, 3)):
        size = c.between(0.22, 0.28)
        c.put("apple", x - size / 2, c.between(0.86, 0.99) - size, size, size, "disc")


def market(c):
    """Stalls under parasols before a wall, with apples or jugs."""
    c.put("wall", 0, 0, 1, 1, "facade")
    floor = c.between(0.52, 0.6)
    for x in _row(c, 2):
        if c.chance(0.5):
            c.put("window", x - 0.08, 0.06, 0.16, 0.2, "panes")
    c.put("road", 0, floor, 1, 1 - floor, "ground")
    for x in _row(c, 2):
        foot, wide = c.between(floor + 0.14, 0.95), c.between(0.38, 0.46)
        _parasol(c, x, foot, c.between(0.48, 0.58))
        if c.chance(0.4):
            _apples(c, x - wide / 2, foot - 0.15, wide, 2, c.between(0.2, 0.24))
        else:
            for middle in _row(c, c.count(1, 2), x - wide / 2, x + wide / 2):
                _jug(c, middle, foot - 0.17, c.between(0.32, 0.38))
        c.put("wood", x - wide / 2, foot - 0.18, wide, 0.18)


def harbour(c):
    """Houses on a quay, and boats before it."""
    _sky(c, 2)
    quay = c.between(0.46, 0.54)
    _house_row(c, quay, c.count(2, 3), 0.18, 0.3)
    c.put("rock", 0, quay, 1, 0.1)
    c.put("sea", 0, quay + 0.08, 1, 1, "ground")
    for foot in (quay + 0.2, 0.95):
        for x in _row(c, c.count(1, 2)):
            _boat(c, x, foot, c.between(0.38, 0.5))


def garden(c):
    """A wall with a door, a lane, trees behind and tulips before."""
    _sky(c, 1)
    top, foot = c.between(0.14, 0.26), c.between(0.52, 0.6)
    for x in _row(c, c.count(1, 2)):
        _tree(c, x, foot, c.between(0.45, 0.58))
    c.put("wall", 0, top, 1, foot - top)
    x = c.between(0.1, 0.7)
    c.put("door", x, foot - 0.28, 0.17, 0.28)
    c.put("meadow", 0, foot, 1, 1 - foot, "ground")
    c.put("sand", x - 0.12, foot, 0.41, 1 - foot, "lane")
    for low in (foot + 0.2, 0.97):
        for flower in _row(c, c.count(2, 4)):
            _tulip(c, flower, low + c.between(-0.02, 0.02), c.between(0.26, 0.32))


def hills(c):
    """Hot-air balloons over hills with trees."""
    _sky(c, 3)
    c.land("haze", c.between(0.4, 0.48), 0.08, 2.6)
    c.land("rock", c.between(0.5, 0.6), 0.12, 1.8, shade=12)
    c.land("meadow", c.between(0.78, 0.86), 0.05, 1.2)
    for x in _row(c, c.count(2, 3)):
        _hot_air_balloon(c, x, c.between(0.02, 0.25), c.between(0.24, 0.36))
    for x in _row(c, c.count(1, 3)):
        _tree(c, x, c.between(0.86, 0.98), c.between(0.16, 0.3))


# -- scene classes of the second world: the same things, other compositions
# ------------------------------------------


def lake(c):
    """A boat on a lake between mountains and trees."""
    _sky(c, 2)
    c.land("rock", c.between(0.25, 0.34), 0.1, 2.2, shade=12)
    shore = c.between(0.44, 0.5)
    c.land("meadow", shore - 0.06, 0.015)
    for x in _row(c, c.count(2, 4)):
        _tree(c, x, shore, c.between(0.16, 0.3))
    c.put("sea", 0, shore, 1, 1 - shore, "ground")
    _boat(c, c.between(0.25, 0.75), c.between(0.75, 0.92), c.between(0.4, 0.55))


def village(c):
    """Houses and trees in three rows on a meadow."""
    _sky(c, 2)
    c.land("meadow", c.between(0.36, 0.46), 0.08, 1.5)
    for foot, scale in ((0.58, 0.2), (0.72, 0.26), (0.92, 0.34)):
        for x in _row(c, 2):
            if c.chance(0.7):
                _house(c, x - scale / 2, foot, scale, 0.75 * scale)
            else:
                _tree(c, x, foot, 1.2 * scale)


def parking(c):
    """Cars in three rows."""
    c.put("road", 0, 0, 1, 1, "ground")
    c.put("wall", 0, 0, 1, c.between(0.12, 0.22))
    for foot in (0.42, 0.68, 0.94):
        for x in (0.02, 0.35, 0.68):
            if c.chance(0.7):
                _car(c, x + c.between(-0.02, 0.02), foot, 0.3)


def still_life(c):
    """Jugs, apples and tulips on a table."""
    c.put("wall", 0, 0, 1, 1, "facade")
    if c.chance(0.5):
        c.put("window", c.between(0.05, 0.6), 0.06, 0.34, 0.3, "panes")
    table = c.between(0.66, 0.74)
    c.put("wood", 0, table, 1, 1 - table, "ground")
    for x in _row(c, c.count(1, 2), 0.15, 0.85):
        height = c.between(0.36, 0.48)
        if c.chance(0.5):
            for dx in (-0.12, 0, 0.12):
                _tulip(c, x + dx, table + 0.12 - 0.7 * height, c.between(0.24, 0.32))
        _jug(c, x, table + 0.1, height)
    _apples(c, 0.05, c.between(0.9, 0.98), 0.9, c.count(2, 4), c.between(0.18, 0.23))


def fair(c):
    """Balloons over parasols on the sand."""
    _sky(c, 1)
    ground = c.between(0.62, 0.7)
    c.land("sand", ground, 0.01)
    for x in _row(c, c.count(2, 3)):
        _hot_air_balloon(c, x, c.between(0.02, 0.2), c.between(0.2, 0.3))
    for x in _row(c, c.count(2, 4)):
        _parasol(c, x, c.between(ground + 0.12, 0.95), c.between(0.26, 0.36))


def canal(c):
    """Houses along a canal with a boat, and tulips on the bank."""
    _sky(c, 1)
    bank = c.between(0.56, 0.62)
    _house_row(c, bank, 3, 0.34, 0.46)
    c.put("sea", 0, bank, 1, 1 - bank, "ground")
    x = c.between(0.2, 0.7)
    c.put("hull", x - 0.24, c.between(0.7, 0.74), 0.5, 0.1, "hull")
    c.put("rock", 0, 0.86, 1, 0.14)
    for flower in _row(c, c.count(3, 6)):
        _tulip(c, flower, 0.9, c.between(0.2, 0.26))


SCENES = {
    "first": (seaside, meadow, street, orchard, market, harbour, garden, hills),
    "second": (lake, village, parking, still_life, fair, canal),
}
