"""A world of one's own: what can be painted, what each objective must answer, and how predictions are judged."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from repro.bins import ab_bins
from repro.checks.predictions import HINTS, QUESTIONS, _mean_mistakes, _rebalanced_mistakes, _share_mistakes, judge
from repro.color import rgb8_to_lab
from repro.colorizer import Colorizer
from repro.datasets.world import THINGS, paint
from repro.datasets.world.own import (
    MOST_PAINTS,
    PUZZLES,
    SHAPES,
    TEXTURES,
    DesignError,
    alike,
    as_seen,
    design,
    own_things,
    thing,
)
from repro.encoding import densify, soft_encode
from repro.evaluation.own_world import GOAL_AB, GOAL_SHARE, decoded, learned, theory, weights_of
from repro.network import ColorizationNet

BINS = ab_bins()
RED, TEAL = (190, 90, 90), (60, 130, 130)
TWO = {"red": (RED, 0.7), "teal": (TEAL, 0.3)}


@pytest.fixture(scope="module", params=PUZZLES)
def puzzle(request):
    """(name, World, its Scenes, Theory of its first thing)."""
    world = PUZZLES[request.param]()
    scenes = paint(3, range(300), world=world)
    return request.param, world, scenes, theory(world, own_things(world)[0].name, BINS, weights_of(scenes, BINS))


# ---- things ----


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("texture", sorted(TEXTURES))
def test_every_shape_and_texture_can_be_painted(shape, texture):
    scenes = paint(0, range(6), 32, design(thing("kite", shape, texture, TWO)))
    assert (scenes.things == 2).any() and scenes.rgb8.std() > 5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": ""}, "a thing's name must be a word; got ''"),
        ({"name": "sky"}, "the ground has sky and meadow already"),
        ({"shape": "star"}, "the shape of kite must be one of balloon, box"),
        ({"texture": "plaid"}, "the texture of kite must be one of blobs, bricks"),
        ({"paints": {}}, "at least one; got {}"),
        ({"paints": [RED]}, "the paints of kite must be {'red'"),
        ({"paints": {"red": RED}}, "a colour and its share; got (190, 90, 90)"),
        ({"paints": {"red": ((300, 0, 0), 1)}}, "red of kite must be three whole numbers 0..255; got (300, 0, 0)"),
        ({"paints": {"red": ((1.5, 0, 0), 1)}}, "three whole numbers 0..255"),
        ({"paints": {"red": ((1, 0), 1)}}, "three numbers 0..255; got (1, 0)"),
        ({"paints": {"red": (RED, 0.7), "teal": (TEAL, 0.2)}}, "must sum to 1; divide each of them by their sum"),
        ({"paints": {"red": (RED, 1.7), "teal": (TEAL, -0.7)}}, "above 0 and at most 1; got 1.7"),
        ({"paints": {"red": (RED, "much")}}, "must be a number above 0 and at most 1; got 'much'"),
        ({"paints": {"dark": ((60, 60, 60), 0.5), "light": ((190, 190, 190), 0.5)}}, "not in lightness alone"),
        ({"paints": {"yellow": ((255, 255, 0), 0.5), "blue": ((0, 0, 255), 0.5)}}, "paler, and the others too"),
        ({"paints": {str(k): (RED, 1 / 7) for k in range(7)}}, f"{MOST_PAINTS} paints at most; got 7"),
        ({"often": 0}, "must be a number above 0; got 0"),
        ({"periods": (3, 4)}, "must be two of 1, 2, 4, 8, 16, 32; got (3, 4)"),
        ({"contrast": 2}, "from 0.2 to 1; got 2"),
        ({"grain": -1}, "from 0 to 0.5; got -1"),
    ],
)  # fmt: skip
def test_what_cannot_be_painted_is_answered_in_one_line(change, said):
    with pytest.raises(DesignError, match=re.escape(said)) as error:
        thing(**({"name": "kite", "shape": "disc", "texture": "checks", "paints": TWO} | change))
    assert "\n" not in str(error.value)


def test_the_paler_paint_of_the_message_can_be_painted():
    paints = {"yellow": ((255, 255, 0), 0.5), "violet": ((120, 110, 200), 0.5)}
    with pytest.raises(DesignError) as error:
        thing("kite", "disc", "checks", paints)
    paler = tuple(map(int, re.search(r"paler, as \((\d+), (\d+), (\d+)\)", str(error.value)).groups()))
    assert thing("kite", "disc", "checks", paints | {"yellow": (paler, 0.5)}).names == ("yellow", "violet")


def test_what_cannot_stand_together():
    kite = thing("kite", "disc", "checks", TWO)
    for things, said in (
        ((), "of 1 to 8 things; got 0"),
        ((THINGS[0],), "as thing('kite', ...) makes them"),
        ((kite, kite), "a name of its own; got 'kite'"),
        ((kite, thing("bus", "car", "checks", TWO)), "share a texture and not a shape"),
        ((kite, thing("sun", "disc", "checks", {"red": ((200, 120, 40), 1)})), "are two colours; give them two names"),
    ):
        with pytest.raises(DesignError, match=re.escape(said)):
            design(*things)


def test_gray_says_nothing_about_the_paint(puzzle):
    """Lightness is drawn before the colour, from one range: the same pixels of another paint look the same in gray."""
    _, world, scenes, found = puzzle
    lightness = rgb8_to_lab(scenes.rgb8)[..., 0]
    here = np.isin(scenes.things, [world.index[one.name] for one in found.things])
    low, high = found.thing.lightness
    assert low - 1 <= lightness[here].min() and lightness[here].max() <= high + 1
    nearest = np.linalg.norm(scenes.ab[..., None, :] - found.thing.ab, axis=-1).argmin(-1)
    means = [lightness[here & (nearest == k)].mean() for k in range(len(found.thing.colours))]
    assert np.ptp(means) < 0.5, means


def test_paints_are_met_as_often_as_their_shares_say(puzzle):
    _, world, scenes, found = puzzle
    used, at = scenes.instance_colour >= 0, np.stack([scenes.instance_ab[..., k] for k in (0, 1)], -1)
    distance = np.linalg.norm(at[..., None, :] - found.thing.ab, axis=-1)
    nearest = distance.argmin(-1)[used & (distance.min(-1) < 7)]
    met = np.bincount(nearest, minlength=len(found.thing.colours)) / len(nearest)
    assert np.abs(met - found.shares["classification"]).max() < 0.04


def test_two_things_of_one_texture_and_shape_are_one_to_a_network():
    world = PUZZLES["shared texture"]()
    assert [one.name for one in alike(world, "ball")] == ["apple", "ball"]
    seen = as_seen(world, "ball")
    assert seen.name == "apple or ball" and np.allclose(seen.shares(), [0.4, 0.8 / 3, 1 / 3])
    own = own_things(world)
    assert own[0].lightness == own[1].lightness
    with pytest.raises(DesignError, match="this world has apple, ball; got 'kite'"):
        alike(world, "kite")


# ---- theory, and a network beside it ----


def test_theory_is_what_the_painted_pixels_say(puzzle):
    """Means and weighted means over the thing's own pixels, taken without the table."""
    _, world, scenes, found = puzzle
    here = np.isin(scenes.things, [world.index[one.name] for one in found.things])
    ab = torch.as_tensor(scenes.ab[here][::7].copy())
    indices, soft = soft_encode(ab, BINS)
    weights = weights_of(scenes, BINS)[indices[:, :1]]
    for objective, w in (("classification", torch.ones_like(weights)), ("rebalanced", weights)):
        dense = torch.zeros(len(BINS)).index_put_((indices.flatten(),), (soft * w).flatten().float(), accumulate=True)
        assert (dense / dense.sum() - torch.as_tensor(found.distributions[objective])).abs().sum() / 2 < 0.06, objective
    assert np.linalg.norm(ab.mean(0).numpy() - found.mean) < 4
    assert found.largest_bin == found.distributions["classification"].max()
    shares, w = found.shares["classification"], found.weights
    assert np.allclose(found.shares["rebalanced"], shares * w / (shares * w).sum())


def test_rebalancing_lifts_the_rare_paint_and_the_gray_mean_is_gray():
    for name, holds in (
        ("gray mean", lambda found: np.linalg.norm(found.mean) < 1),
        ("rare paint", lambda found: found.shares["rebalanced"][1] > 3 * found.shares["classification"][1]),
    ):
        world = PUZZLES[name]()
        scenes = paint(3, range(200), world=world)
        assert holds(theory(world, own_things(world)[0].name, BINS, weights_of(scenes, BINS)))


def test_decoding_a_certain_distribution():
    sure = densify(*soft_encode(torch.tensor([[30.0, -40.0]]), BINS, neighbours=1), len(BINS))[0].numpy()
    assert all(np.allclose(ab, [30, -40], atol=0.1) for ab in decoded(sure, BINS).values())


class Oracle:
    """Answers every pixel with one and the same logits or ab."""

    bins = BINS

    def __init__(self, objective, answer):
        self.objective, self.answer = objective, torch.as_tensor(answer, dtype=torch.float32)

    def predict(self, lightness):
        n, _, h, w = lightness.shape
        return self.answer[None, :, None, None].expand(n, -1, h // 4, w // 4)

    def decode(self, output):
        return output


def test_a_network_that_answers_as_theory_says_reaches_the_goal(puzzle):
    _, world, scenes, found = puzzle
    answers = {"regression": found.mean} | {k: np.log(d.clip(1e-12)) for k, d in found.distributions.items()}
    for objective, answer in answers.items():
        one = learned(Oracle(objective, answer), scenes, world, found)
        assert one.near and one.distance < 0.1 and one.variation < 0.01 and "reaches it" in one.in_words()
    gray = learned(Oracle("regression", found.mean + [GOAL_AB + 1, 0]), scenes, world, found)
    assert not gray.near and gray.distance == pytest.approx(GOAL_AB + 1, abs=1e-3) and "misses it" in gray.in_words()


def test_a_share_that_lies_elsewhere_misses_the_goal(puzzle):
    _, world, scenes, found = puzzle
    wanted = found.distributions["classification"]
    mixed = 0.6 * wanted + 0.4 * np.eye(len(BINS))[int(np.argmin(((np.asarray(BINS) - [0, 90]) ** 2).sum(1)))]
    one = learned(Oracle("classification", np.log(mixed.clip(1e-12))), scenes, world, found)
    assert one.elsewhere == pytest.approx(0.4, abs=0.03) and one.variation == pytest.approx(0.4, abs=0.01)
    assert one.near == (0.4 * found.shares["classification"].max() <= GOAL_SHARE)


def test_a_thing_that_no_scene_shows_is_said(puzzle):
    _, world, scenes, found = puzzle
    empty = replace(scenes, things=np.zeros_like(scenes.things))
    with pytest.raises(ValueError, match="no inner pixel of"):
        learned(Oracle("regression", found.mean), empty, world, found)


def test_a_real_network_goes_through_the_same_door(puzzle):
    _, world, scenes, found = puzzle
    model = Colorizer(ColorizationNet(width=0.0625), BINS, "classification")
    few = replace(scenes, **{name: getattr(scenes, name)[:8] for name in scenes.__dataclass_fields__})
    assert learned(model, few, world, found).distribution.sum() == pytest.approx(1, abs=1e-4)


# ---- predictions ----


def right(found):
    shares = {
        part: dict(zip(found.thing.names, found.shares[part], strict=True)) for part in ("classification", "rebalanced")
    }
    return {"regression": tuple(found.mean), "largest bin": found.largest_bin} | shares


def test_right_predictions_are_right_in_every_form(puzzle):
    found = puzzle[-1]
    for part, told in judge(right(found), found).items():
        assert told and not told.mistake and "right" in told.message, (part, told)
    rough = {"regression": found.mean.round(), "largest bin": round(found.largest_bin, 1)}
    rough |= {part: found.thing.names[int(found.shares[part].argmax())] for part in ("classification", "rebalanced")}
    assert all(judge(rough, found).values())


def test_every_mistake_is_named_on_every_puzzle(puzzle):
    """All that lie further from the right answer than what counts as right; each puzzle tells most of them apart."""
    found, names = puzzle[-1], puzzle[-1].thing.names
    tried = [("regression", told, tuple(ab)) for told, ab in _mean_mistakes(found)]
    for part, mistakes in (("classification", _share_mistakes), ("rebalanced", _rebalanced_mistakes)):
        tried += [(part, told, dict(zip(names, shares, strict=True))) for told, shares in mistakes(found)]
    named, passed = set(), []
    for part, told, given in tried:
        answer = judge({part: given}, found)[part]
        if answer:
            passed.append((part, told))
        elif answer.mistake == told:
            named.add((part, told))
        else:  # two mistakes give the same numbers: the other one is named
            assert answer.mistake and answer.mistake in {one for of, one, _ in tried if of == part}, (part, told)
    assert len(passed) <= 4, passed
    assert {part for part, _ in named} == {"regression", "classification", "rebalanced"} and len(named) >= 12


@pytest.mark.parametrize(
    ("name", "prediction", "said"),
    [
        ("gray mean", {"regression": (-6.4, -0.9)}, "averaged in RGB"),
        ("gray mean", {"regression": (0, 0)}, "right"),
        ("gray mean", {"regression": "moss"}, "this is the likeliest paint"),
        ("gray mean", {"rebalanced": {"moss": 0.6, "violet": 0.4}}, "the weight is forgotten"),
        ("gray mean", {"classification": {"moss": 60, "violet": 40}}, "these are per cent"),
        ("gray mean", {"classification": {"moss": 0.4, "violet": 0.6}}, "the shares stand at the wrong paints"),
        ("gray mean", {"largest bin": 0.6}, "soft encoding is forgotten"),
        ("gray mean", {"largest bin": 0.12}, "the five bins do not weigh the same"),
        (
            "shared texture",
            {"regression": (13.8, 24.1)},
            "this is apple alone; nothing in gray tells it from ball",
        ),
        ("shared texture", {"classification": {"red": 0.6, "green": 0.4}}, "this is apple alone"),
        (
            "shared texture",
            {"classification": {"red": 0.3, "green": 0.2, "blue": 0.5}},
            "apple and ball count the same here",
        ),
        ("shared texture", {"regression": (-0.6, 15.8)}, "a and b are swapped"),
        ("rare paint", {"rebalanced": {"straw": 0.9, "violet": 0.1}}, "the weight is forgotten"),
        ("rare paint", {"rebalanced": {"straw": 0.98, "violet": 0.02}}, "this divides by the weight"),
        ("rare paint", {"rebalanced": "violet"}, "the largest is the likeliest paint"),
        ("rare paint", {"regression": (174, 137, 110)}, "this is the likeliest paint"),
        ("rare paint", {"regression": (60, 60)}, HINTS["regression"]),
        ("rare paint", {"classification": {"straw": 0.7, "violet": 0.3}}, "0.2 from theory"),
        ("rare paint", {"largest bin": 0.4}, HINTS["largest bin"]),
    ],
)
def test_what_a_student_is_told(name, prediction, said):
    world = PUZZLES[name]()
    found = theory(world, own_things(world)[0].name, BINS, weights_of(paint(3, range(300), world=world), BINS))
    ((part, _),) = prediction.items()
    told = judge(prediction, found)[part]
    assert said in told.message and len(told.message.splitlines()) <= 2 and told.message.startswith(f"{part}: ")
    assert bool(told) == (said == "right")


@pytest.mark.parametrize(
    "given",
    [3, "red", (1, 2, 3, 4), [1, "a"], float("nan"), {"pink": 1}, {}, (500, 0), (300, 0, 0), print, b"x", [[1, 2]],
     {"moss": -1, "violet": 2}, {"moss": "much"}, {"moss": float("inf")}, {"moss": None}, np.eye(3), {1: 2}],
)  # fmt: skip
@pytest.mark.parametrize("part", QUESTIONS)
def test_whatever_comes_is_answered_in_two_lines_at_most(part, given):
    world = PUZZLES["gray mean"]()
    found = theory(world, "kite", BINS, torch.ones(313, dtype=torch.float64))
    told = judge({part: given}, found)[part]
    assert told.state == "not yet right" and len(told.message.splitlines()) <= 2 and len(told.message) < 330


def test_what_is_no_prediction_and_what_is_not_tried():
    world = PUZZLES["gray mean"]()
    found = theory(world, "kite", BINS, torch.ones(313, dtype=torch.float64))
    assert {told.state for told in judge({}, found).values()} == {"not tried yet"}
    assert "got a int" in judge(7, found)["regression"].message
    assert "there is no question 'median'" in judge({"median": 1}, found)["median"].message
