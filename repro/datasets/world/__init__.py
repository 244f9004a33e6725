"""The painted world: scenes whose colours follow a written table."""

from repro.datasets.world.draw import Scenes, WorldItem, WorldSource, classes, interior, label_of, paint
from repro.datasets.world.scenes import SCENES
from repro.datasets.world.table import (
    INDEX,
    LEVELS,
    NAMES,
    THINGS,
    conditional,
    draw_colours,
    expected_distribution,
    mean_color,
    own_mass,
    shares,
    stencil,
    texture_bank,
)

__all__ = [
    "INDEX", "LEVELS", "NAMES", "SCENES", "THINGS", "Scenes", "WorldItem", "WorldSource", "classes", "conditional",
    "draw_colours", "expected_distribution", "interior", "label_of", "mean_color", "own_mass", "paint", "shares",
    "stencil", "texture_bank",
]  # fmt: skip
