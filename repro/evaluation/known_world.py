"""What a network learned about the painted world, beside what theory says it must learn.

In the painted world p(colour | thing) is written down, so three predictions can be checked that photographs
only illustrate: regression converges to E[ab | thing], classification to E[Z(ab) | thing], and rebalanced
classification to the same with every colour weighed by w: E[w Z | thing] / E[w | thing].
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64
from torch import Tensor

from repro.color import Array
from repro.datasets.world import THINGS, Scenes, expected_distribution, interior, mean_color, own_mass
from repro.encoding import soft_encode
from repro.examples import STRIDE, to_example
from repro.objectives import gives_ab

GOALS = {"regression": 8.0, "classification": 0.1, "rebalanced": 0.1}  # of the furthest thing: ab units, shares


@dataclass(frozen=True)
class Comparison:
    """One thing: predicted by theory against learned by the network, over `pixels` interior pixels.

    For classification: shares of its colours, normalised over them, and `stray`: how much more of the learned
    distribution than of the predicted one lies on none of them, but on other things' colours.
    For regression: its mean colour, a and b, ab units.
    """

    thing: str
    colours: tuple
    expected: Float64[np.ndarray, " c"]
    learned: Float64[np.ndarray, " c"]
    pixels: int
    stray: float = 0.0

    @property
    def error(self):
        """Largest difference of a share; for regression, distance in ab units."""
        difference = self.learned - self.expected
        return float(np.linalg.norm(difference) if not self.colours else np.abs(difference).max())


def runs_within_goals(runs):
    """Rows of a table of several trainings: objective, precision, how many, how many within the goal, median, furthest.

    runs: of results/known_answers.json, dicts with objective, precision and largest_error, ab units or a share.
    """
    kinds, rows = dict.fromkeys((run["objective"], run["precision"]) for run in runs), []
    for objective, precision in kinds:
        errors = [
            run["largest_error"] for run in runs if (run["objective"], run["precision"]) == (objective, precision)
        ]
        within = sum(error <= GOALS[objective] for error in errors)
        rows.append([objective, precision, len(errors), within, float(np.median(errors)), max(errors)])
    return rows


def in_words(objective, comparisons):
    """Which thing is furthest from theory, how far, and whether that is within the goal: a sentence."""
    furthest = max(comparisons, key=lambda comparison: comparison.error)
    goal, unit = GOALS[objective], " ab units" if gives_ab(objective) else " of its colours' shares"
    found = f"Furthest from theory: {furthest.thing}, by {furthest.error:.3g}{unit}. The goal is {goal:g} at most"
    if furthest.error <= goal:
        return f"{found}, and this training reaches it."
    return f"{found}, and this training misses it; a longer one (train.steps) comes nearer."


def average_outputs(
    colorizer, scenes: Scenes, margin: int = STRIDE, batch: int = 50, things: tuple = THINGS
) -> tuple[Float64[np.ndarray, "things outputs"], Int64[np.ndarray, " things"]]:
    """Mean prediction on each thing's pixels, and how many pixels.

    The prediction is Q probabilities or ab.  The pixels lie `margin` px and more inside, by default as far as the
    network's outputs lie apart.  things: of the scenes' world.
    """
    kinds = len(things)
    things = np.where(interior(scenes.instances, margin), scenes.things, kinds)[:, ::STRIDE, ::STRIDE]
    size = 2 if gives_ab(colorizer.objective) else len(colorizer.bins)
    total, count = (
        torch.zeros(kinds + 1, size, dtype=torch.float64),
        np.bincount(things.ravel(), minlength=kinds + 1),
    )
    for first in range(0, len(things), batch):
        part = slice(first, first + batch)
        output = colorizer.predict(to_example(scenes.rgb8[part])[0])
        output = colorizer.decode(output) if gives_ab(colorizer.objective) else output.softmax(1)
        rows = output.permute(0, 2, 3, 1).reshape(-1, size).double()
        total.index_add_(0, torch.from_numpy(things[part].ravel().astype(np.int64)), rows)
    return (total / torch.from_numpy(count.clip(1))[:, None])[:-1].numpy(), count[:-1]


def compare(
    colorizer,
    scenes: Scenes,
    class_weights: Float[Array, " q"] | None = None,
    least_pixels: int = 100,
    world: str = "first",
) -> list[Comparison]:
    """Theory against network for every thing seen often enough.

    class_weights: the weights a rebalanced model was trained with.  For classification only things of
    several colours are listed.
    """
    averages, counts = average_outputs(colorizer, scenes)
    encode = lambda ab: soft_encode(torch.as_tensor(ab, dtype=torch.float32), colorizer.bins)
    found = []
    for index, thing in enumerate(THINGS):
        if counts[index] < least_pixels:
            continue
        if gives_ab(colorizer.objective):
            found.append(Comparison(thing.name, (), mean_color(thing, world), averages[index], int(counts[index])))
        elif len(thing.colours) > 1:
            expected = expected_distribution(thing, encode, class_weights, len(colorizer.bins), world=world)
            names = tuple(colour[1] for colour in thing.colours)
            masses = [own_mass(d, thing, colorizer.bins) for d in (expected, averages[index])]
            divided = [mass / mass.sum() for mass in masses]
            stray = float(masses[0].sum() - masses[1].sum())
            found.append(Comparison(thing.name, names, *divided, int(counts[index]), stray))
    return found


def ideal_predictions(
    scenes: Scenes, bins: Float[Tensor, "q 2"], class_weights: Float[Tensor, " q"], decode: Callable
) -> dict[str, Float32[Tensor, "n _ _ 2"]]:
    """What a perfect network of each objective would paint: {objective: ab} of every 4th pixel.

    decode: distribution's logits to ab, as `annealed_mean` with the bins and temperature filled in.
    """
    encode = lambda ab: soft_encode(torch.as_tensor(ab, dtype=torch.float32), bins)
    things = scenes.things[:, ::STRIDE, ::STRIDE].astype(np.int64)

    def paint(color_of):
        return torch.as_tensor(np.stack([color_of(thing) for thing in THINGS]), dtype=torch.float32)[
            torch.from_numpy(things)
        ]

    def decoded(weights):
        def color_of(thing):
            distribution = torch.as_tensor(
                expected_distribution(thing, encode, weights, len(bins)), dtype=torch.float32
            )
            return decode(distribution.clamp_min(1e-12).log()[None, :, None, None]).flatten().numpy()

        return color_of

    return {
        "regression": paint(mean_color),
        "classification": paint(decoded(None)),
        "rebalanced": paint(decoded(class_weights)),
    }


def decoded_things(colorizer, scenes: Scenes, temperature: float) -> list[tuple]:
    """Each many-coloured thing's average prediction, decoded.

    Rows of (thing, most common colour, mode, annealed mean, mean, E[ab]).

    The colours are (2,) arrays in ab units but for the second, its name; E[ab] is the written-down one.
    """
    averages, counts = average_outputs(colorizer, scenes)
    rows = []
    for index, thing in enumerate(THINGS):
        if counts[index] and len(thing.colours) > 1:
            logits = torch.from_numpy(averages[index]).float().clamp_min(1e-9).log()[None, :, None, None]
            decoded = [
                colorizer.decode(logits, name, temperature).flatten().numpy() for name in ("mode", "annealed", "mean")
            ]
            rows.append((thing.name, thing.colours[int(thing.shares().argmax())][1], *decoded, mean_color(thing)))
    return rows
