"""Theory beside network: a network that is right by construction is found right, another one is not."""

import numpy as np
import pytest
import torch

from repro.bins import nearest_bin
from repro.colorizer import Colorizer
from repro.datasets.world import INDEX, THINGS, expected_distribution, interior, mean_color, paint, shares
from repro.decoding import annealed_mean
from repro.encoding import soft_encode
from repro.evaluation.known_world import Comparison, average_outputs, compare, ideal_predictions, in_words
from repro.examples import STRIDE
from repro.objectives import REGRESSION_SCALE
from repro.prior import rebalancing_weights

CAR = THINGS[INDEX["car"]]


@pytest.fixture(scope="module")
def scenes():
    return paint(3, range(60))


@pytest.fixture(scope="module")
def weights(bins):
    prior = torch.exp(-bins.double().norm(dim=1) / 12)  # gray is common, as in photographs
    return rebalancing_weights(prior / prior.sum())


class Oracle(Colorizer):
    """Knows which scenes it will be shown, and answers every pixel with what `answer(thing)` says."""

    def __init__(self, scenes, bins, objective, answer):
        super().__init__(torch.nn.Identity(), bins, objective)
        self.table = torch.as_tensor(np.stack([answer(thing) for thing in THINGS]), dtype=torch.float32)
        self.things, self.shown = torch.from_numpy(scenes.things[:, ::4, ::4].astype(np.int64)), 0

    def predict(self, lightness):
        things = self.things[self.shown : self.shown + len(lightness)]
        self.shown += len(lightness)
        return self.table[things].permute(0, 3, 1, 2)


def encoder(bins):
    return lambda ab: soft_encode(torch.as_tensor(ab, dtype=torch.float32), bins)


def classifier(scenes, bins, weights=None):
    def answer(thing):
        return np.log(np.asarray(expected_distribution(thing, encoder(bins), weights, len(bins))).clip(1e-12))

    return Oracle(scenes, bins, "classification", answer)


def test_a_perfect_classifier_has_no_error(scenes, bins, weights):
    for class_weights in (None, weights):
        comparisons = compare(classifier(scenes, bins, class_weights), scenes, class_weights)
        assert comparisons
        for comparison in comparisons:
            assert comparison.error < 1e-4, comparison.thing
            assert comparison.expected.sum() == pytest.approx(1) and comparison.learned.sum() == pytest.approx(1)
            assert len(comparison.colours) == len(comparison.expected) > 1


def test_stray_is_the_mass_on_other_things_colours(scenes, bins):
    """Half of what is right and half of a colour that only other things have: half of the own mass is missing."""

    def answer(thing):
        right = np.asarray(expected_distribution(thing, encoder(bins), None, len(bins)))
        far = np.linalg.norm(np.asarray(bins)[:, None] - thing.ab, axis=-1).min(1).argmax()
        return np.log((0.5 * right + 0.5 * np.eye(len(bins))[far]).clip(1e-12))

    right = {c.thing: c for c in compare(classifier(scenes, bins), scenes)}
    mixed = compare(Oracle(scenes, bins, "classification", answer), scenes)
    assert mixed and all(abs(c.stray) < 1e-4 for c in right.values())
    for comparison in mixed:
        assert 0.25 < comparison.stray < 0.5, comparison.thing  # half of what lies within 8 ab units
        assert comparison.error < 1e-4, "the shares alone do not show it"


def test_a_classifier_without_rebalancing_is_not_what_rebalancing_predicts(scenes, bins, weights):
    assert max(c.error for c in compare(classifier(scenes, bins), scenes, weights)) > 0.05


def test_a_perfect_regression_has_no_error_and_a_gray_one_misses_by_the_mean_chroma(scenes, bins):
    right = compare(Oracle(scenes, bins, "regression", lambda thing: mean_color(thing) / REGRESSION_SCALE), scenes)
    gray = compare(Oracle(scenes, bins, "regression", lambda thing: np.zeros(2)), scenes)
    assert max(c.error for c in right) < 1e-3 and all(c.colours == () for c in right)
    for comparison in gray:
        thing = THINGS[INDEX[comparison.thing]]
        assert comparison.error == pytest.approx(float(np.linalg.norm(mean_color(thing))), abs=1e-3)


def test_only_interior_pixels_count_and_batches_do_not_matter(scenes, bins):
    oracle = lambda: Oracle(scenes, bins, "regression", lambda thing: np.array([INDEX[thing.name], 0.0]))
    averages, counts = average_outputs(oracle(), scenes)
    again, _ = average_outputs(oracle(), scenes, batch=7)
    inside = interior(scenes.instances, STRIDE)[:, ::4, ::4]
    assert counts.sum() == inside.sum() < inside.size
    assert counts.tolist() == np.bincount(scenes.things[:, ::4, ::4][inside], minlength=len(THINGS)).tolist()
    assert np.allclose(averages, again)
    seen = counts > 0
    assert np.allclose(averages[seen, 0], np.arange(len(THINGS))[seen] * REGRESSION_SCALE)


def test_rare_things_are_left_out(scenes, bins):
    oracle = lambda: Oracle(scenes, bins, "regression", lambda thing: np.zeros(2))
    assert compare(oracle(), scenes, least_pixels=10**9) == []
    assert {c.thing for c in compare(oracle(), scenes, least_pixels=2000)} < {
        c.thing for c in compare(oracle(), scenes, least_pixels=1)
    }


def test_rebalancing_by_hand(bins, weights):
    """E[w Z] / E[w]: reweighing the bins' own distribution where every colour lies on its bin would be p w / sum p w.

    Colours are jittered, so the shares of the car's paints are compared to a few hundredths.
    """
    encode = encoder(bins)
    plain = shares(np.asarray(expected_distribution(CAR, encode, None, 313)), CAR, bins)
    moved = shares(np.asarray(expected_distribution(CAR, encode, weights, 313)), CAR, bins)
    of_paint = weights[nearest_bin(torch.as_tensor(CAR.ab).float(), bins)].numpy()
    assert moved == pytest.approx(plain * of_paint / (plain * of_paint).sum(), abs=0.05)
    assert np.abs(moved - plain).max() > 0.01


def test_ideal_predictions(scenes, bins, weights):
    few = paint(3, range(2))
    ideal = ideal_predictions(few, bins, weights, lambda logits: annealed_mean(logits, bins))
    assert list(ideal) == ["regression", "classification", "rebalanced"]
    things = few.things[:, ::4, ::4]
    for ab in ideal.values():
        assert ab.shape == (*things.shape, 2) and ab.isfinite().all()
    where = np.argwhere(things == things[0, 0, 0])[0]
    assert ideal["regression"][tuple(where)].tolist() == pytest.approx(
        mean_color(THINGS[things[0, 0, 0]]).tolist(), abs=1e-3
    )
    assert not torch.allclose(ideal["classification"], ideal["rebalanced"])


def test_a_missed_goal_is_said_in_words():
    """The furthest of three things decides; 8.0 ab units are still within the goal, 8.4 are not."""
    away = lambda thing, *ab: Comparison(thing, (), np.zeros(2), np.array(ab), 500)
    near, far = [away("car", 1.0, 0.0), away("door", 0.0, 8.0)], [away("apple", 5.88, 6.0)]
    assert in_words("regression", near).startswith("Furthest from theory: door, by 8 ab units")
    assert in_words("regression", near).endswith("reaches it.")
    missed = in_words("regression", near + far)
    assert "apple, by 8.4 ab units" in missed and "misses it" in missed
    shares_off = [Comparison("jug", ("red", "gray"), np.array([0.7, 0.3]), np.array([0.58, 0.42]), 500)]
    assert "jug, by 0.12 of its colours' shares" in in_words("classification", shares_off)
    assert "misses it" in in_words("rebalanced", shares_off)
