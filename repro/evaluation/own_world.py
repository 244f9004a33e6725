"""What each objective must answer for a thing of one's own, and what a network answers.

Regression ends at E[ab | thing], classification at E[Z(ab) | thing], and rebalanced classification at the same with
every colour weighed by how rare it is among the pixels of this world: E[w Z | thing] / E[w | thing]. In the shares of
paints that is p w, made to sum to 1. A thing that shares texture and shape with another has both things' paints.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from repro import decoding
from repro.datasets.world import expected_distribution, mean_color, own_mass
from repro.datasets.world.draw import Scenes, World
from repro.datasets.world.own import OwnThing, alike, as_seen
from repro.datasets.world.table import conditional
from repro.encoding import soft_encode
from repro.evaluation.known_world import average_outputs
from repro.examples import true_ab
from repro.objectives import gives_ab
from repro.prior import empirical_prior, rebalancing_weights, smooth

NEAR = 20.0  # ab units: a bin counts for the paint nearest to it, if that is no further away
GOAL_AB, GOAL_SHARE = 6.0, 0.1  # what a network that has trained for a minute is expected to come within


@dataclass(frozen=True)
class Theory:
    """What must be answered for one thing, `thing` being all that nothing tells from it (`own.as_seen`).

    things: the OwnThings that it stands for.  mean: ab units, regression's answer.  weights: of each paint, the mean
    over its shades.  shares: {objective: (C,)} and distributions: {objective: (Q,)}, of classification and rebalanced;
    both sum to 1.
    """

    thing: OwnThing
    things: tuple
    mean: Float64[np.ndarray, "2"]
    weights: Float64[np.ndarray, " c"]
    shares: dict
    distributions: dict

    @property
    def largest_bin(self) -> float:
        """The largest probability that classification gives to a single bin."""
        return float(self.distributions["classification"].max())


def weights_of(
    scenes: Scenes, bins: Float[Tensor, "q 2"], uniform_mix: float = 0.5, sigma: float = 5.0
) -> Float64[Tensor, " q"]:
    """What every bin weighs in rebalanced training on these scenes: by how rare it is among their own pixels."""
    return rebalancing_weights(smooth(empirical_prior([true_ab(scenes.rgb8)], bins), bins, sigma), uniform_mix)


def theory(
    world: World, name: str, bins: Float[Tensor, "q 2"], class_weights: Float[Tensor, " q"], neighbours: int = 5
) -> Theory:
    """What each objective must converge to for a thing of a World, by the thing's name.

    Raises `own.DesignError` for a name that the world does not have.
    """
    thing = as_seen(world, name)
    encode = lambda ab: soft_encode(torch.as_tensor(ab, dtype=torch.float32), bins, neighbours)
    single = [replace(thing, colours=((1.0, *colour[1:]),)) for colour in thing.colours]
    weights = np.array([float(class_weights[encode(conditional(one))[0][:, 0]].mean()) for one in single])
    plain = thing.shares()
    return Theory(
        thing,
        alike(world, name),
        mean_color(thing),
        weights,
        {"classification": plain, "rebalanced": plain * weights / (plain @ weights)},
        {
            "classification": expected_distribution(thing, encode, None, len(bins)),
            "rebalanced": expected_distribution(thing, encode, class_weights),
        },
    )


@dataclass(frozen=True)
class Learned:
    """What a network answers for a thing, on the average over its pixels, beside what theory says.

    ab: mean colour, ab units.  distribution: (Q,), None for regression.  shares: of the paints, (C,), and
    `elsewhere` the rest of the distribution.  distance: of the mean colours, ab units.  variation: total variation
    of the two distributions, half the sum of the differences, 0..1.  furthest: of a paint's share.
    """

    objective: str
    ab: np.ndarray
    distance: float
    pixels: int
    distribution: np.ndarray | None = None
    shares: np.ndarray | None = None
    elsewhere: float = 0.0
    variation: float = 0.0
    furthest: float = 0.0

    @property
    def near(self) -> bool:
        """Whether the network comes within the goal."""
        return self.distance <= GOAL_AB if gives_ab(self.objective) else self.furthest <= GOAL_SHARE

    def in_words(self) -> str:
        """How far it is from theory, and whether that is within the goal: a sentence."""
        if gives_ab(self.objective):
            found = f"{self.objective}: {self.distance:.1f} ab units from theory; the goal is {GOAL_AB:g} at most"
        else:
            found = (
                f"{self.objective}: its paints' shares differ from theory by {self.furthest:.2f} at most; the goal is "
                f"{GOAL_SHARE:g} (over all bins the total variation is {self.variation:.2f})"
            )
        return f"{found}, and it {'reaches it.' if self.near else 'misses it; more steps come nearer.'}"


def learned(colorizer, scenes: Scenes, world: World, found: Theory) -> Learned:
    """What a network answers for a thing on the inner pixels of unseen scenes.

    colorizer: `repro.colorizer.Colorizer`.  found: `theory` of the thing.
    Raises ValueError if the scenes show no such pixel.
    """
    outputs, counts = average_outputs(colorizer, scenes, things=world.things)
    rows = [world.index[thing.name] for thing in found.things]
    pixels = int(counts[rows].sum())
    if not pixels:
        raise ValueError(f"no inner pixel of {found.thing.name} in {len(scenes.labels)} scenes; paint more of them")
    mean = counts[rows] @ outputs[rows] / pixels
    if gives_ab(colorizer.objective):
        return Learned(colorizer.objective, mean, float(np.linalg.norm(mean - found.mean)), pixels)
    bins = np.asarray(colorizer.bins, float)
    wanted = found.distributions[colorizer.objective]
    ab, mass = mean @ bins, own_mass(mean, found.thing, bins, NEAR)
    return Learned(
        colorizer.objective,
        ab,
        float(np.linalg.norm(ab - wanted @ bins)),
        pixels,
        mean,
        mass,
        float(1 - mass.sum()),
        float(np.abs(mean - wanted).sum() / 2),
        float(np.abs(mass - found.shares[colorizer.objective]).max()),
    )


def decoded(distribution: Float[np.ndarray, " q"], bins: Float[Tensor, "q 2"], temperature: float = 0.38) -> dict:
    """{"mode", "annealed", "mean": ab (2,)} of a distribution over bins, ab units."""
    logits = torch.as_tensor(distribution, dtype=torch.float32).clamp_min(1e-12).log()[None, :, None, None]
    ways = {
        "mode": decoding.mode(logits, bins),
        "annealed": decoding.annealed_mean(logits, bins, temperature),
        "mean": decoding.mean(logits, bins),
    }
    return {name: ab.flatten().numpy() for name, ab in ways.items()}
