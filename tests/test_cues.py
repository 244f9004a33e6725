"""Low-level cues: what each change does, that it is undone exactly, and models for which the answer is known."""

import numpy as np
import pytest
import torch

from repro.color import lab_to_rgb8, rgb8_to_lab, rgb8_to_lightness
from repro.evaluation import cues
from repro.evaluation.cues import CHANGES


class ByLightness:
    """Colours that follow from each pixel's lightness alone: a = L, b = 0, as every 4th pixel."""

    def predict_ab(self, lightness):
        return torch.cat((lightness, 0 * lightness), 1)[..., ::4, ::4]


class ByPlace:
    """Colours that follow from the place alone, as of a network that knows where sky is: a = 0 above, 40 below."""

    def predict_ab(self, lightness):
        ab = torch.zeros(len(lightness), 2, lightness.shape[2] // 4, lightness.shape[3] // 4)
        ab[:, 0, ab.shape[2] // 2 :] = 40
        return ab


@pytest.fixture
def two():
    """Two photographs: smooth ones, so that what a value between two pixels is can be worked out."""
    down, along = torch.meshgrid(torch.arange(32.0), torch.arange(48.0), indexing="ij")
    return torch.stack((40 + down / 2, 45 + along / 4))[:, None]


def test_each_change_by_hand(two):
    found = {change: cues.changed(two, change)[0] for change in CHANGES}
    assert torch.equal(found["lighter"], two + 10) and torch.equal(found["darker"], two - 10)
    assert found["less contrast"].mean() == pytest.approx(two.mean()) and found["upside down"][0, 0, 0, 0] == 55.5
    assert found["less contrast"].std(dim=(2, 3)) / two.std(dim=(2, 3)) == pytest.approx(0.6, abs=1e-4)
    step = torch.zeros(1, 1, 16, 16)
    step[..., 8:] = 100
    assert 0 < cues.changed(step, "blurred")[0][0, 0, 8, 7] < 50 < cues.changed(step, "blurred")[0][0, 0, 8, 8] < 100
    tiles, order = cues.changed(two, CHANGES[-1])
    assert sorted(order.tolist()) == list(range(6)) and tiles.flatten().sort()[0].equal(two.flatten().sort()[0])
    assert cues.changed(torch.full((1, 1, 16, 16), 95.0), "lighter")[0].max() == 100
    with pytest.raises(ValueError, match="no change 'louder'; there are lighter"):
        cues.changed(two, "louder")


def test_tiles_are_put_in_order_and_back():
    maps = torch.arange(2 * 3 * 4 * 6.0).reshape(2, 3, 4, 6)
    order = torch.tensor([5, 0, 3, 1, 4, 2])
    there = cues.tiles_in_order(maps, 2, order)
    assert there[1, 2, :2, :2].equal(maps[1, 2, 2:, 4:]) and there[0, 0, :2, 2:4].equal(maps[0, 0, :2, :2])
    assert cues.tiles_in_order(there, 2, order.argsort()).equal(maps)


def test_colours_that_follow_from_lightness_move_with_it_and_stay_where_only_places_change(two):
    found = cues.moves(ByLightness(), two)
    assert found["lighter"] == pytest.approx([10, 10]) and found["darker"] == pytest.approx([10, 10])
    assert found[CHANGES[-1]] == pytest.approx([0, 0])
    assert found["upside down"].max() < 0.2  # of the first row, which has no value before it
    spread = (two - two.mean((2, 3), keepdim=True)).abs()[..., ::4, ::4].mean((1, 2, 3))
    assert found["less contrast"] == pytest.approx(0.4 * spread, abs=1e-3)


def test_colours_that_follow_from_the_place_move_only_when_places_change(two):
    found = cues.moves(ByPlace(), two)
    assert all(found[change].max() == 0 for change in ("lighter", "darker", "less contrast", "blurred"))
    assert found["upside down"] == pytest.approx([(7 * 40 + 10) / 8] * 2), "one row in eight lies between two values"
    assert 0 < found[CHANGES[-1]].min()


def test_the_chart_is_drawn_and_judged():
    chart = cues.gray_chart()
    assert chart.shape == (128, 192, 3) and chart[16, 16].tolist() == [115, 82, 68] and chart[0, 0].tolist() == [30] * 3
    assert chart[48, 176].tolist() == [224, 163, 46]
    assert cues.chart_distances(chart, chart)[0] == 0
    gray = np.stack([rgb8_to_lightness(chart), *np.zeros((2, 128, 192))], -1)
    distance, gray_distance = cues.chart_distances(lab_to_rgb8(torch.tensor(gray, dtype=torch.float32)), chart)
    assert distance == pytest.approx(gray_distance, abs=0.2)
    true = np.linalg.norm(rgb8_to_lab(cues.CHART[:3])[..., 1:], axis=-1)
    assert gray_distance == pytest.approx(true.mean(), abs=1e-4)
