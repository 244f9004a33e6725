"""The photographs that scikit-image and scikit-learn bring along: no download."""

import importlib.util
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from repro.datasets.folder import Item, Source, check_split
from repro.datasets.photographs import read_photo

_SKIMAGE, _SKLEARN = ("skimage", "data"), ("sklearn", "datasets/images")
_BUNDLED = {  # split -> {name: (where, file)}; both views of the motorcycle are one scene, so one split
    "train": {
        "chelsea": (_SKIMAGE, "chelsea.png"),
        "coffee": (_SKIMAGE, "coffee.png"),
        "flower": (_SKLEARN, "flower.jpg"),
        "motorcycle_left": (_SKIMAGE, "motorcycle_left.png"),
        "motorcycle_right": (_SKIMAGE, "motorcycle_right.png"),
    },
    "val": {"rocket": (_SKIMAGE, "rocket.jpg")},
    "test": {"astronaut": (_SKIMAGE, "astronaut.png"), "china": (_SKLEARN, "china.jpg")},
}
_LEGACY = ("camera", "coins", "moon", "brick", "grass")


class BundledSource(Source):
    """The eight colour photographs that scikit-image and scikit-learn bring along: no download, no labels."""

    name = "bundled"

    def items(self, split):
        """The photographs of a split, a fixed handful each."""
        check_split(split)
        return [Item(name) for name in sorted(_BUNDLED[split])]

    def read(self, item: Item) -> UInt8[np.ndarray, "h w 3"]:
        """A photograph by its item."""
        places = {name: place for photos in _BUNDLED.values() for name, place in photos.items()}
        return _read_bundled(*places[item.name], item.name)


def bundled_legacy() -> list[tuple[str, UInt8[np.ndarray, "_ _"]]]:
    """Black-and-white photographs that come with scikit-image, each with its name."""
    return [(name, _read_bundled(_SKIMAGE, f"{name}.png", name)[..., 0]) for name in _LEGACY]


def _read_bundled(where, file, name):
    """Straight from the installed package: nothing is imported, so nothing is fetched."""
    package, folder = where
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise ModuleNotFoundError(f"{name} comes with {package}, which is not installed", name=package)
    return read_photo(Path(spec.submodule_search_locations[0], folder, file), name)
