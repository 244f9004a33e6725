"""What hints are worth: colours of the truth, revealed at random places, against the pictures that result.

As Zhang et al., "Real-time user-guided image colorization with learned deep priors" (2017), measure it: 0 to 20
places, each with the mean colour of a small patch.  There the places gather around the middle and patches have
several sizes; here places are uniform and patches alike.
"""

import copy

import numpy as np
import torch
from jaxtyping import UInt8

from repro.color import rgb8_to_lab
from repro.evaluation.held_out import differences, summary
from repro.examples import STRIDE

NUMBERS = 0, 1, 2, 5, 10, 20  # of hints
PATCH = 7  # pixels, the side of the square whose mean colour is a hint; no two overlap


def revealed(
    photo: UInt8[np.ndarray, "h w 3"], number: int, rng: np.random.Generator, picture: tuple | None = None
) -> list[tuple[int, int, tuple[float, float]]]:
    """Hints [(x, y, (a, b))] from the true colours at random places.

    picture: (top, bottom, left, right) of where they may lie, as within a frame; None: anywhere.
    Raises ValueError where so many patches find no room.
    """
    ab = rgb8_to_lab(photo)[..., 1:]
    top, bottom, left, right = picture or (0, len(photo), 0, photo.shape[1])
    half, hints = PATCH // 2, []
    tries = 100 * number if min(bottom - top, right - left) >= PATCH else 0
    for _ in range(tries):
        y, x = (int(rng.integers(low + half, high - half)) for low, high in ((top, bottom), (left, right)))
        if all(max(abs(x - other[0]), abs(y - other[1])) >= PATCH for other in hints):
            mean = ab[y - half : y + half + 1, x - half : x + half + 1].mean((0, 1))
            hints.append((x, y, tuple(map(float, mean))))
        if len(hints) == number:
            return hints
    if number:
        size = f"{photo.shape[1]} x {photo.shape[0]}"
        raise ValueError(f"{number} patches of {PATCH} pixels find no room in a photograph of {size}; take larger ones")
    return hints


def remembering(model):
    """The same model, which predicts each photograph once, however many hints it gets."""
    known, asked = {}, copy.copy(model)

    def predict_ab(lightness, *options):
        key = lightness.numpy().tobytes(), options
        if key not in known:
            known[key] = model.predict_ab(lightness, *options)
        return known[key].clone()

    asked.predict_ab = predict_ab
    return asked


def without_network(model):
    """The same way with hints, from gray in place of the network's prediction."""
    blind = copy.copy(model)
    small = lambda lightness: [side // STRIDE for side in lightness.shape[2:]]
    blind.predict_ab = lambda lightness, *_: torch.zeros(len(lightness), 2, *small(lightness))
    return blind


def measure_hints(held_out, model, numbers=NUMBERS, seed=0, report=print):
    """Rows, as `held_out.measure` gives them, of "N hints" and of "N hints, no network" for each number N."""
    rng = np.random.default_rng(seed)
    hints = [revealed(photo, max(numbers), rng, model.inside(photo)) for photo in held_out.photos]  # a frame stays gray
    rows = []
    for name, colorizer in (("", remembering(model)), (", no network", without_network(model))):
        for number in numbers:
            pairs = zip(held_out.photos, hints, strict=True)
            colored = np.stack([colorizer.colorize(photo, hints=known[:number]) for photo, known in pairs])
            rows += held_out.rows(f"{number} hints{name}", colored)
            report(f"{held_out.name}: {number} hints{name} measured on {len(colored)} photographs")
    return rows


def record_of(rows, numbers=NUMBERS):
    """What a record holds of rows: each number's figures, and its lead over no hints, with intervals."""
    pairs = [(f"{number} hints", f"{numbers[0]} hints") for number in numbers[1:]]
    pairs += [(f"{number} hints", f"{number} hints, no network") for number in numbers]
    return {"hints": summary(rows), "differences": differences(rows, pairs)}
