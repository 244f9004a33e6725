"""Hints are kept to, spread over what belongs together and stop at edges; alternatives divide what is predicted."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.sparse import csc_array
from scipy.sparse.linalg import spsolve

from repro.__main__ import main
from repro.bins import ab_bins
from repro.color import rgb8_to_lab, srgb_ab_hull
from repro.colorizer import Colorizer
from repro.colorizer.hints import LEAK, SIGMA, HintError, affinity, groups, outside_gamut, reach
from repro.colorizer.weights import save_weights
from repro.evaluation import hinted
from repro.evaluation.held_out import HeldOut
from repro.network import ColorizationNet
from repro.objectives import Objective

BLUE = (5.0, -25.0)


def halves(height=64, width=96, left=90, right=170, grain=0):
    """A dark thing beside a light one."""
    photo = np.full((height, width), left, np.int16)
    photo[:, width // 2 :] = right
    noise = np.random.default_rng(0).integers(-grain, grain + 1, photo.shape) if grain else 0
    return (photo + noise).astype(np.uint8)


@pytest.fixture
def colorizer(tiny_network, bins):
    """Predicts one red everywhere."""
    model = Colorizer(tiny_network(), bins, "classification", short_side=64, guided=True)
    model.predict_ab = lambda shown, *_: torch.tensor([20.0, 10.0])[None, :, None, None].expand(
        1, 2, shown.shape[2] // 4, shown.shape[3] // 4
    )
    return model


def ab(picture):
    return rgb8_to_lab(picture)[..., 1:]


# -- spreading
# ------------------------------------------------------------------------------------------------------------


def test_affinity_by_hand():
    """Like neighbours weigh 1, no pixel is its own neighbour, and what lies beyond an edge weighs next to nothing."""
    lightness = np.full((4, 5), 20.0)
    lightness[:, 3:] = 20 + 2 * SIGMA
    weights = affinity(lightness).toarray()
    assert np.array_equal(weights, weights.T) and not weights.diagonal().any()
    assert np.flatnonzero(weights[0]).tolist() == [1, 5, 6] and weights[0].sum() == 3, "a corner has three neighbours"
    assert np.count_nonzero(weights[6]) == 8 and weights[6].sum() == 8
    at_edge = weights[7].reshape(4, 5)  # row 1, column 2
    assert np.allclose(at_edge[:3, 3], np.exp(-2)) and at_edge[0, 1] == at_edge[1, 1] == 1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_reach_is_the_solution_with_the_hints_fixed(seed, number):
    """Against spsolve of the system whose rows of hints are the identity; shares are 0..1, and so is their sum."""
    rng = np.random.default_rng(seed)
    lightness = rng.uniform(0, 100, (8, 11))
    flat = rng.choice(lightness.size, number, replace=False)
    shares = reach(lightness, list(zip(*np.unravel_index(flat, lightness.shape), strict=True))).reshape(number, -1)
    weights = affinity(lightness).toarray()
    system = np.diag(weights.sum(1) + LEAK) - weights
    system[flat] = np.eye(lightness.size)[flat]
    right = np.eye(lightness.size)[:, flat]
    expected = spsolve(csc_array(system), right).reshape(lightness.size, number).T
    assert np.allclose(shares, expected, atol=1e-6)
    assert shares.min() >= 0 and shares.sum(0).max() <= 1 + 1e-9


@pytest.mark.parametrize("grain", [0, 4])
def test_a_hint_spreads_over_its_thing_and_stops_at_the_edge(colorizer, grain):
    photo = halves(grain=grain)
    found = ab(colorizer.colorize(photo, hints=[(20, 30, BLUE)]))
    before = ab(colorizer.colorize(photo))
    assert np.abs(found[30, 20] - BLUE).max() < 3
    gone = np.linalg.norm(found - before, axis=-1) / np.linalg.norm(np.subtract(BLUE, (20, 10)))
    assert np.median(gone[8:-8, 6:38]) > 0.7, "most of the way on its own side"
    assert gone[:, 58:].max() < 0.25, "little beyond the edge"


@pytest.mark.parametrize("guided", [True, False])
@pytest.mark.parametrize("shape", [(64, 96), (500, 333), (9, 200), (1, 1)])
def test_hints_are_kept_to_at_their_places(colorizer, shape, guided):
    """In the corners too, to the tolerance that `colorize` states, where sRGB has the colour."""
    colorizer.guided = guided
    photo = np.random.default_rng(1).integers(110, 150, shape, dtype=np.uint8)
    height, width = shape
    places = {(0, 0), (width - 1, height - 1), (width // 2, height // 2)}
    colors = [(12.0, -14.0), (-15.0, 12.0), (3.0, 25.0)]
    hints = [(x, y, color) for (x, y), color in zip(sorted(places), colors, strict=False)]
    found = ab(colorizer.colorize(photo, hints=hints))
    for x, y, color in hints:
        if min(shape) > 9:
            assert np.abs(found[y, x] - color).max() < 3, (x, y)


def test_without_hints_nothing_changes(colorizer):
    photo = halves(grain=9)
    assert np.array_equal(colorizer.colorize(photo), colorizer.colorize(photo, hints=[]))


def test_lightness_stays(colorizer):
    photo = halves(grain=9)
    found = rgb8_to_lab(colorizer.colorize(photo, hints=[(10, 10, (8, -9))]))[..., 0]
    assert np.abs(found - rgb8_to_lab(np.repeat(photo[..., None], 3, 2))[..., 0]).max() < 0.5


# -- bad hints
# ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hints", "said"),
    [
        (5, "must be a list"),
        ([5], r"hint 1: expected \(x, y, \(a, b\)\)"),
        ([(1, 2)], "hint 1: expected"),
        ([(1, 2, (3, 4)), (1, 2, (3, 4, 5))], "hint 2: expected two finite"),
        ([(1, 2, "blue")], "hint 1: expected"),
        ([("a", 2, (3, 4))], "hint 1: expected"),
        ([(float("nan"), 2, (3, 4))], "finite"),
        ([(1, 2, (float("nan"), 4))], "finite"),
        ([(1, 2, (3, float("inf")))], "finite"),
        ([(96, 2, (3, 4))], "outside the photograph; x is 0 to 95, y is 0 to 63"),
        ([(1, -1, (3, 4))], "outside the photograph"),
        ([(1, 2, (120, 120))], "sRGB has no colour with ab"),
        ([(5, 5, (30, 0)), (5, 5, (-30, 0))], "hints 1 and 2 ask for different colours, 60 ab"),
    ],
)
def test_a_hint_that_cannot_be_kept_to_is_named(colorizer, hints, said):
    with pytest.raises(HintError, match=said) as caught:
        colorizer.colorize(halves(), hints=hints)
    assert "\n" not in str(caught.value)


def test_a_hint_on_the_frame_is_named(colorizer):
    colorizer.as_scan = True
    photo = np.full((160, 200), 245, np.uint8)
    photo[20:-20, 20:-20] = np.random.default_rng(0).integers(0, 200, (120, 160))
    with pytest.raises(HintError, match="on the frame"):
        colorizer.colorize(photo, hints=[(3, 80, BLUE)])
    with pytest.raises(HintError, match="the place.*on the frame"):
        colorizer.alternatives(photo, 3, 80)
    colored = ab(colorizer.colorize(photo, hints=[(100, 80, (2, -3))]))
    assert np.abs(colored[:15]).max() < 1, "the frame stays gray"


def test_the_gamut_is_that_of_srgb():
    corners = srgb_ab_hull()
    assert not any(outside_gamut(corner) for corner in 0.999 * corners)
    assert all(outside_gamut(corner) for corner in 1.05 * corners)
    assert not outside_gamut(np.zeros(2))


# -- alternatives
# ------------------------------------------------------------------------------------------------------------


def test_groups_by_hand():
    """Two clouds and nothing else: their means and their probabilities."""
    bins = ab_bins().numpy().astype(float)
    share = np.zeros(len(bins))
    near = lambda a, b: np.flatnonzero((bins == (a, b)).all(1))[0]
    share[near(40, 30)], share[near(50, 30)], share[near(-40, 10)] = 0.4, 0.2, 0.4
    (first, most), (second, rest) = groups(share, bins, 2)
    assert np.allclose(first, [130 / 3, 30]) and np.isclose(most, 0.6)
    assert np.allclose(second, [-40, 10]) and np.isclose(rest, 0.4)
    assert len(groups(share, bins, 5)) == 3, "no more groups than bins that hold something"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9))
def test_groups_are_a_division(seed, most):
    bins = ab_bins().numpy().astype(float)
    share = np.random.default_rng(seed).dirichlet(np.full(len(bins), 0.05))
    found = groups(share, bins, most)
    assert len(found) <= most and np.isclose(sum(weight for _, weight in found), 1)
    assert np.allclose(sum(weight * center for center, weight in found), share @ bins), "the mean is kept"
    assert sorted((weight for _, weight in found), reverse=True) == [weight for _, weight in found]


def test_alternatives_are_of_the_thing_that_lies_there(colorizer, bins):
    """The network is sure of the left thing and in two minds about the right one."""
    near = lambda a, b: int(((bins - torch.tensor([a, b])) ** 2).sum(1).argmin())
    logits = torch.full((1, len(bins), 16, 24), -20.0)
    logits[:, near(20.0, 30.0), :, :12] = 0
    logits[:, near(-40.0, 30.0), :, 12:], logits[:, near(10.0, -40.0), :, 12:] = 1.0, 0.0
    colorizer.predict = lambda _: logits
    left = colorizer.alternatives(halves(), 20, 30)
    assert left[0].ab == pytest.approx((20, 30), abs=1) and left[0].probability > 0.9
    right = colorizer.alternatives(halves(), 80, 30)
    assert right[0].ab == pytest.approx((-40, 30), abs=2) and right[1].ab == pytest.approx((10, -40), abs=2)
    odds = right[0].probability / right[1].probability
    assert odds == pytest.approx(np.e, rel=0.1)
    found = rgb8_to_lab(np.array([[right[1].rgb8]], np.uint8))[0, 0]
    assert np.abs(found[1:] - right[1].ab).max() < 2, "a swatch at the place's own lightness"
    assert right[1].hexadecimal == "#{:02X}{:02X}{:02X}".format(*right[1].rgb8)


def test_alternatives_of_a_real_network(colorizer):
    del colorizer.predict_ab
    for x, y in [(0, 0), (95, 63), (50, 20)]:
        found = colorizer.alternatives(halves(grain=5), x, y, most=4)
        assert 1 <= len(found) <= 4 and 0 < sum(one.probability for one in found) <= 1 + 1e-9


def test_what_has_no_alternatives_says_so(colorizer, tiny_network, bins):
    with pytest.raises(HintError, match="the place: .*outside"):
        colorizer.alternatives(halves(), 96, 0)
    with pytest.raises(HintError, match="outside"):
        colorizer.alternatives(halves(), float("nan"), 0)
    with pytest.raises(HintError, match="two numbers"):
        colorizer.alternatives(halves(), None, "a")
    with pytest.raises(ValueError, match="most must be"):
        colorizer.alternatives(halves(), 1, 1, most=0)
    regression = Colorizer(tiny_network(outputs=2), bins, "regression", short_side=32)
    with pytest.raises(ValueError, match="a regression predicts one colour"):
        regression.alternatives(halves(), 1, 1)


# -- the command line
# ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, ColorizationNet(0.03), Objective("classification", ab_bins()), short_side=32)
    return str(path)


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(halves()).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_a_hint_on_the_command_line(photo, weights, tmp_path, capsys):
    arguments = ["colorize", str(photo), "--out", str(tmp_path / "out"), "--weights", weights]
    assert main([*arguments, "--hint", "20,30,#5050B4", "--hint", "80,30,b46450"]) == 0, capsys.readouterr().err
    found = ab(np.asarray(Image.open(tmp_path / "out/a.png")))
    for x, color in ((20, (0x50, 0x50, 0xB4)), (80, (0xB4, 0x64, 0x50))):
        assert np.abs(found[30, x] - ab(np.array(color, np.uint8))).max() < 3


@pytest.mark.parametrize(
    "text", [" ", "1,2", "1,2,blue", "1,2,#12345", "1.5,2,#112233", "-1,2,#112233", "1,2,#1122334"]
)
def test_a_bad_hint_is_one_line(text, photo, weights, tmp_path, capsys):
    assert main(["colorize", str(photo), "--out", str(tmp_path / "out"), "--weights", weights, f"--hint={text}"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "--hint must be X,Y,#RRGGBB" in said and repr(text) in said
    assert not (tmp_path / "out").exists()


def test_hints_that_cannot_be_kept_to_are_one_line(photo, weights, tmp_path, capsys):
    out = ["--out", str(tmp_path / "out"), "--weights", weights]
    assert main(["colorize", str(photo), *out, "--hint", "999,2,#112233"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "hint 1: (999, 2) lies outside the photograph" in said
    Image.fromarray(halves(grain=3)).save(tmp_path / "b.png")
    assert main(["colorize", str(photo), str(tmp_path / "b.png"), *out, "--hint", "1,2,#112233"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "--hint is for one photograph, and 2 are named" in said
    assert not list((tmp_path / "out").glob("*.png"))


# -- what hints are worth
# ------------------------------------------------------------------------------------------------------------


def colored_halves(number):
    rng = np.random.default_rng(0)
    photos = np.zeros((number, 64, 64, 3), np.uint8)
    for photo in photos:
        photo[:, :32], photo[:, 32:] = rng.integers(30, 220, 3), rng.integers(30, 220, 3)
    return photos


def test_revealed_hints_are_true_and_lie_apart():
    photo = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    hints = hinted.revealed(photo, 20, np.random.default_rng(1))
    assert len(hints) == 20 and hinted.revealed(photo, 0, np.random.default_rng(1)) == []
    for x, y, color in hints:
        assert np.allclose(ab(photo)[y - 3 : y + 4, x - 3 : x + 4].mean((0, 1)), color, atol=1e-4)
    apart = [max(abs(a[0] - b[0]), abs(a[1] - b[1])) for a in hints for b in hints if a is not b]
    assert min(apart) >= hinted.PATCH
    inside = hinted.revealed(photo, 5, np.random.default_rng(1), (20, 50, 30, 60))
    assert all(33 <= x < 57 and 23 <= y < 47 for x, y, _ in inside), "whole patches within the picture"
    with pytest.raises(ValueError, match="find no room"):
        hinted.revealed(photo[:20, :20], 20, np.random.default_rng(1))


def test_hints_are_worth_something_and_the_record_says_how_much(colorizer, tmp_path):
    held_out = HeldOut("halves", colored_halves(4), list("abcd"))
    record = hinted.record_of(hinted.measure_hints(held_out, colorizer, (0, 2, 10), report=lambda _: None), (0, 2, 10))
    found = record["hints"]["halves"]
    for name in ("", ", no network"):
        none, ten = (found[f"{number} hints{name}"] for number in (0, 10))
        assert ten["psnr"]["mean"] > none["psnr"]["mean"] + 3 and ten["auc"]["mean"] > none["auc"]["mean"]
    lead = record["differences"]["halves"]["10 hints - 0 hints"]["psnr"]
    assert lead["low"] <= lead["mean"] <= lead["high"]
    assert lead["mean"] == pytest.approx(found["10 hints"]["psnr"]["mean"] - found["0 hints"]["psnr"]["mean"])


def test_the_command_writes_a_record(tmp_path, weights, capsys):
    (tmp_path / "photos").mkdir()
    for number, photo in enumerate(colored_halves(2)):
        Image.fromarray(photo).save(tmp_path / f"photos/{number}.png")
    out = tmp_path / "hints.json"
    assert main(["hints", f"some={tmp_path / 'photos'}", "--weights", weights, "--out", str(out)]) == 0
    record = json.loads(out.read_text())
    assert record["photographs"] == {"some": 2} and "20 hints" in record["hints"]["some"]
    assert main(["hints", "nothing", "--weights", weights, "--out", str(out)]) == 1
    assert "expected NAME=FOLDER" in capsys.readouterr().err
