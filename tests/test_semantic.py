"""Semantic interpretability: what classifiers answer, how sure that is, and what is taken for what."""

import numpy as np
import pytest
import torch

from repro.colorizer import Colorizer
from repro.datasets.world import WorldSource
from repro.evaluation import semantic
from repro.evaluation.classifiers import Classifier
from repro.evaluation.semantic import Answers


def answers(rank, certainty=None, first=None):
    rank = np.array(rank)
    first = np.zeros((len(rank), 1), int) if first is None else np.array(first)
    return Answers(rank, rank, np.array(-rank if certainty is None else certainty, np.float32), first)


# ---- what a classifier of poor sight sees ----


def test_poor_sight_sees_means_of_blocks_and_the_same_noise_for_the_same_seed():
    photos = np.zeros((2, 4, 4, 3), np.uint8)
    photos[0, :2, :2], photos[0, 2:, 2:] = 200, [[[0], [100]], [[100], [200]]]
    seen = semantic.as_seen(photos, sight=2)
    assert seen.shape == (2, 2, 2, 3) and seen[0, :, :, 0].tolist() == [[200, 0], [0, 100]]
    assert semantic.as_seen(photos) is photos, "good eyes see the photographs themselves"
    gray = np.full((50, 8, 8, 3), 128, np.uint8)
    noisy = semantic.as_seen(gray, grain=20, seed=1)
    assert abs(noisy.astype(float).mean() - 127.5) < 0.5 and abs(noisy.astype(float).std() - 20) < 0.5
    assert np.array_equal(noisy, semantic.as_seen(gray, grain=20, seed=1))
    assert not np.array_equal(noisy, semantic.as_seen(gray, grain=20, seed=2))
    assert semantic.as_seen(photos, grain=300).dtype == np.uint8


# ---- measuring ----


def test_ranks_and_certainty_by_hand():
    scores = torch.tensor([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0], [0.0, 0.0, 5.0]])
    classifier = Classifier("table", ("a", "b", "c"), lambda photos: scores[photos[:, 0, 0, 0].astype(int)])
    photos = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 1, 3), np.uint8)
    found = semantic.ask(classifier, photos, [0, 1, 1], np.array([0, 1]), batch=2)
    assert found.rank.tolist() == [0, 2, 1]  # b is third, then tied with a behind c
    assert found.among.tolist() == [0, 1, 0]  # c stands for no class of the data
    assert found.certainty[2] == pytest.approx(-np.log(np.exp(5) + 2))
    assert found.first[:2].tolist() == [[0, 2, 1]] * 2 and found.first[2, 0] == 2
    assert semantic.accuracy(found.rank, top=2).mean == pytest.approx(2 / 3)


def test_a_photograph_of_a_class_without_an_output_is_refused():
    classifier = Classifier("table", ("a",), lambda photos: torch.zeros(len(photos), 1))
    with pytest.raises(ValueError, match="does not have"):
        semantic.ask(classifier, np.zeros((1, 8, 8, 3), np.uint8), [1], np.array([0, -1]))


def test_classes_that_gain_and_lose():
    before, after = np.array([0, 0, 1, 1, 1], bool), np.array([1, 0, 1, 0, 0], bool)
    rows = semantic.class_changes(before, after, [0, 0, 1, 2, 2], ("x", "y", "z"))
    assert rows == [("x", 0.5, 2), ("y", 0.0, 1), ("z", -1.0, 2)]


def test_telling_cases_are_those_whose_answer_changes_most():
    before = answers([1, 0, 2, 0, 0], [-3, -0.1, -5, -0.2, -0.3])
    after = answers([0, 3, 0, 0, 1], [-0.5, -4, -0.1, -0.2, -1])
    gained, lost = semantic.telling_cases(before, after)
    assert gained.tolist() == [2, 0] and lost.tolist() == [1, 4]
    assert semantic.telling_cases(before, after, most=1)[0].tolist() == [2]


def test_recolourings_keep_lightness_and_gray_has_no_colour(bins, tiny_network):
    from repro.color import rgb8_to_lab

    photos = WorldSource().bulk("test", 32, 6)[0]
    model = Colorizer(tiny_network(), bins, "classification", short_side=32)
    made = semantic.recolourings(photos, {"classification": model})
    assert list(made) == ["truth", "gray", "random", "classification"]
    lab = {name: rgb8_to_lab(version) for name, version in made.items()}
    assert np.abs(lab["gray"][..., 1:]).max() < 1  # 8 bits
    assert np.abs(lab["gray"][..., 0] - lab["truth"][..., 0]).max() < 0.5
    inside = np.abs(lab["random"][..., 0] - lab["truth"][..., 0])
    assert np.median(inside) < 0.5  # colours that sRGB cannot show at that lightness are clipped
    assert np.array_equal(made["truth"], photos) and made["classification"].shape == photos.shape
    assert not np.array_equal(made["random"], photos)


def test_random_recolourings_have_the_colours_of_training_photographs():
    """Of one red and one blue photograph to train on; without them, of the others of the set, here all green."""
    plain = lambda rgb, count: np.full((count, 4, 4, 3), rgb, np.uint8)
    training = np.concatenate([plain([170, 100, 100], 1), plain([100, 100, 170], 1)])
    photos = plain([90, 130, 90], 30)
    made = semantic.recolourings(photos, {}, 0, training)["random"].reshape(30, -1, 3)[:, 0].astype(int)
    reds, blues = made[:, 0] > made[:, 2] + 40, made[:, 2] > made[:, 0] + 40
    assert reds.any() and blues.any() and (reds | blues).all()
    assert np.abs(semantic.recolourings(photos, {}, 0)["random"].astype(int) - photos).max() <= 1


# ---- what is taken for what ----


def test_confusions_by_hand():
    """Four photographs of class 0 and two of class 1; outputs 0 and 1 are right for them, 2 and 3 for none.

    Before, class 0 is taken for 2 once in four; after, for 2 never, for 3 three times: -.25 and +.75.  Class 1 is
    taken for 0 once in two, before and after: no change.
    """
    outputs, labels = np.array([0, 1]), [0, 0, 0, 0, 1, 1]
    before = answers([0] * 6, first=[[0], [0], [0], [2], [1], [0]])
    after = answers([0] * 6, first=[[3], [3], [3], [0], [1], [0]])
    found = semantic.confusions(before, after, labels, outputs, top=1)
    assert [(c.label, c.output, c.before, c.after, c.photographs) for c in found] == [
        (0, 3, 0.0, 0.75, 4),
        (0, 2, 0.25, 0.0, 4),
    ]
    assert all(c.low <= c.after - c.before <= c.high for c in found)
    assert semantic.confusions(before, after, labels, outputs, top=1, most=1) == found[:1]
    assert semantic.confusions(before, before, labels, outputs) == []


def test_confusions_count_the_first_five_and_never_the_right_class():
    before = answers([1], first=[[2, 0, 1, 3, 4, 5]])
    after = answers([1], first=[[5, 0, 1, 3, 4, 2]])
    found = semantic.confusions(before, after, [0], np.array([0, 1]), top=5)
    assert {(c.output, c.after - c.before) for c in found} == {(2, -1.0), (5, 1.0)}
    assert semantic.confusions(before, after, [0], np.array([0, 1]), top=6) == []
