"""Paired differences and the rule that turns their intervals into a verdict: by hand, and by simulation."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from repro.evaluation import paired
from repro.evaluation.paired import FAILS, HOLDS, OPEN, UNTESTED, Coloured, leads, together, verdict
from repro.evaluation.raw_accuracy import RawAccuracy
from repro.evaluation.representation import LayerQuality
from repro.evaluation.semantic import Answers

# ---- the rule ----


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(0.1, 2, HOLDS), (-2, -0.1, FAILS), (-0.1, 2, OPEN), (0, 2, OPEN), (-2, 0, OPEN), (0, 0, OPEN)],
)
def test_ahead_of(low, high, word):
    """The claim that A - B is above 0: two methods with exactly the same answers cannot be told apart."""
    assert verdict(low, high) == word


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(-0.4, 0.9, HOLDS), (-1.3, -0.2, OPEN), (-2.0, -1.3, FAILS), (1.1, 1.2, FAILS), (-3, 3, OPEN), (-1.0, 0.5, OPEN)],
)
def test_level_within_a_point(low, high, word):
    assert verdict(low, high, -1, 1) == word


@pytest.mark.parametrize(("low", "high", "word"), [(0.2, 0.3, FAILS), (1.2, 3, HOLDS), (0.7, 1.1, OPEN)])
def test_needed_is_more_than_a_point(low, high, word):
    """k-means - Gaussian of +.25 [.2, .3] points is ahead, but no proof that k-means is needed."""
    assert verdict(low, high, 1) == word


@given(st.floats(-5, 5), st.floats(0, 5), st.floats(-5, 5), st.floats(0.01, 5))
def test_what_does_not_hold_is_no_claim_of_its_opposite(low, width, least, room):
    """Turned over, the verdict is the same: B - A and the range turned over."""
    high, most = low + width, least + room
    assert verdict(low, high, least, most) == verdict(-high, -low, -most, -least)
    if verdict(low, high, least, most) == HOLDS:
        assert verdict(low, high, least - 1, most + 1) == HOLDS, "a wider claim holds all the more"


@pytest.mark.parametrize(
    ("words", "one"),
    [([], UNTESTED), ([HOLDS], HOLDS), ([HOLDS, HOLDS], HOLDS), ([HOLDS, OPEN], OPEN), ([HOLDS, FAILS, OPEN], FAILS)],
)
def test_several_comparisons(words, one):
    assert together(words) == one


# ---- ab maps ----


def test_steps_and_chroma_by_hand(bins):
    """ab (3, 4) beside (0, 0), twice: chroma 5, 0, 5, 0; steps 5 across, 0 down."""
    ab = torch.tensor([[[[3.0, 4], [0, 0]], [[3, 4], [0, 0]]]])
    found = Coloured.of(ab, torch.zeros_like(ab), bins)
    assert found.chroma == pytest.approx([2.5]) and found.steps == pytest.approx([2.5])


def maps(seed, photographs=12, reach=40):
    return torch.from_numpy(np.random.default_rng(seed).uniform(-reach, reach, (photographs, 4, 4, 2))).float()


def test_a_lead_is_the_difference_of_the_two_figures_in_one_pass(bins):
    true, one, other = maps(0), maps(1), maps(2)
    found = {"truth": true, "a": one, "b": other}
    coloured = {name: Coloured.of(ab, true, bins) for name, ab in found.items()}
    lead = leads(coloured, [("a", "b"), ("a", "missing")])
    assert list(lead) == ["a - b"]
    whole = {name: RawAccuracy(bins).add(found[name], true) for name in "ab"}
    assert lead["a - b"]["auc"]["mean"] == pytest.approx(whole["a"].auc() - whole["b"].auc(), abs=1e-6)
    rebalanced = whole["a"].auc(rebalanced=True) - whole["b"].auc(rebalanced=True)
    assert lead["a - b"]["auc_rebalanced"]["mean"] == pytest.approx(rebalanced, abs=1e-6)
    assert lead["a - b"]["auc"]["low"] < lead["a - b"]["auc"]["mean"] < lead["a - b"]["auc"]["high"]


def test_vividness_is_a_share_of_the_truths(bins):
    true = maps(3)
    found = {"truth": true, "pale": true / 2, "gray": true * 0}
    lead = leads(
        {name: Coloured.of(ab, true, bins) for name, ab in found.items()}, [("pale", "truth"), ("gray", "truth")]
    )
    assert lead["pale - truth"]["chroma"]["mean"] == pytest.approx(-0.5)
    assert lead["gray - truth"]["steps"]["mean"] == pytest.approx(-1)


def test_parts_joined_are_the_whole(bins):
    true, one = maps(4), maps(5)
    parts = [Coloured.of(one[rows], true[rows], bins) for rows in (slice(0, 5), slice(5, 12))]
    whole, joined = Coloured.of(one, true, bins), Coloured.joined(parts)
    for name in Coloured.__annotations__:
        assert np.allclose(getattr(whole, name), getattr(joined, name))
    accuracy = RawAccuracy(bins).add(one, true)
    assert joined.intervals()["auc"]["mean"] == pytest.approx(accuracy.auc(), abs=1e-6)


# ---- shares, probes, people ----


def test_photographs_that_both_get_right_do_not_widen_the_interval():
    """30 of 100 right by A alone, the others right by both: .3, error sqrt(.3 x .7 / 100)."""
    one, other = np.ones(100, bool), np.arange(100) >= 30
    found = paired.share_leads({"a": one, "b": other}, [("a", "b")])["a - b"]
    assert found["mean"] == pytest.approx(0.3) and found["error"] == pytest.approx(0.0458, rel=0.05)


def test_judges_that_disagree_by_hand():
    """From gray to colour C gains the first two of four photographs, D gains the first and loses the second."""
    hits = {
        "C": {"colour": np.array([1, 1, 0, 1], bool), "gray": np.array([0, 0, 0, 1], bool)},
        "D": {"colour": np.array([1, 0, 0, 1], bool), "gray": np.array([0, 1, 0, 1], bool)},
    }
    found = paired.disagreements(hits, ("colour", "gray"))
    assert list(found) == [("C", "D")]
    assert (found["C", "D"]["differ"], found["C", "D"]["opposite"]) == (1, 1)
    assert found["C", "D"]["gap"]["mean"] == pytest.approx(0.5)  # 2/4 under C, 0 under D
    assert paired.disagreements({"C": hits["C"]}, ("colour", "gray")) == {}


def test_a_judge_never_disagrees_with_itself():
    hits = {"colour": np.arange(50) % 3 > 0, "gray": np.arange(50) % 2 > 0}
    found = paired.disagreements({"C": hits, "D": hits}, ("colour", "gray"))["C", "D"]
    assert found == {"gap": {"mean": 0, "error": 0, "low": 0, "high": 0}, "differ": 0, "opposite": 0}


def test_disputed_photographs_are_opposite_verdicts_first_then_the_widest_apart():
    def steps(before, after, surer):
        made = lambda wrong, certainty: Answers(
            np.array(wrong), np.array(wrong), np.array(certainty, np.float32), np.zeros((len(wrong), 1), int)
        )
        return made(before, np.zeros(len(before))), made(after, surer)

    first = steps([1, 1, 1, 0, 0], [0, 0, 0, 0, 1], [3, 1, 1, 9, -1])  # gains 0, 1 and 2, loses 4
    second = steps([1, 0, 1, 0, 0], [1, 1, 1, 0, 1], [0, 0, 0, -9, -1])  # loses 1 and 4
    assert paired.disputed(first, second).tolist() == [1, 0, 2]
    assert paired.disputed(first, second, most=1).tolist() == [1]
    assert paired.disputed(first, first).tolist() == []


def probe(network, seed, right):
    return LayerQuality(network, "conv1", seed, float(np.mean(right)), 9, right=np.array(right, bool))


def test_a_probes_lead_by_hand():
    """Two seeds on four photographs. Seed 0: A right on all, B on two; seed 1: A right on three, B on two.

    Leads .5 and .25, mean .375. Per photograph (0, 0, 1, 1) and (0, 0, 0, 1), mean (0, 0, .5, 1), variance .2292, / 4
    = .0573. Seeds: variance .03125 / 2 = .015625. Error sqrt(.0729) = .27; freedom .0729^2 / .015625^2 = 21.8.
    """
    rows = [
        probe("colour", 0, [1, 1, 1, 1]), probe("random", 0, [1, 1, 0, 0]),
        probe("colour", 1, [1, 1, 0, 1]), probe("random", 1, [1, 1, 0, 0]),
    ]  # fmt: skip
    found = paired.layer_leads(rows)
    assert list(found) == ["colour - random"]
    lead = found["colour - random"]["conv1"]
    assert lead["mean"] == pytest.approx(0.375) and lead["error"] == pytest.approx(0.27, abs=1e-3)
    assert lead["high"] - lead["mean"] == pytest.approx(stats.t.ppf(0.975, 21.8) * 0.27, rel=1e-2)


def test_probes_of_several_labels_count_as_unpaired():
    rows = [LayerQuality(name, "conv1", 0, quality, 9, error=0.03) for name, quality in (("x", 0.6), ("k-means", 0.5))]
    lead = paired.layer_leads(rows)["x - k-means"]["conv1"]
    assert lead["high"] - lead["mean"] == pytest.approx(1.96 * math.sqrt(2) * 0.03)


def test_two_groups_of_people_as_scipy_has_it():
    rng = np.random.default_rng(0)
    one, other = rng.normal(0.3, 0.1, 9), rng.normal(0.25, 0.2, 14)
    summary = lambda values: (values.mean(), stats.sem(values), len(values))
    found = paired.unpaired_lead(summary(one), summary(other))
    theirs = stats.ttest_ind(one, other, equal_var=False).confidence_interval()
    assert (found.low, found.high) == pytest.approx(tuple(theirs))
