"""Figures: what a page shows can be read without colour, and a slider changes its picture."""

import ipywidgets
import numpy as np
import torch

from repro.evaluation.intervals import Interval
from repro.evaluation.known_world import Comparison
from repro.pages import figures, show
from repro.pages.widgets import Pointer


def test_a_figure_becomes_html_with_caption_and_alt_text():
    text = figures.to_html(figures.new_figure()[0], "5 < 6", 'a "plot"')
    assert 'alt="a &quot;plot&quot;"' in text and "5 &lt; 6" in text and "data:image/png;base64," in text


def test_moving_a_slider_changes_the_picture():
    def draw(height):
        figure, axis = figures.new_figure()
        axis.plot([0, height])
        axis.set_ylim(0, 10)
        return figure

    slider = ipywidgets.FloatSlider(1.0, min=0, max=10)
    demo = figures.slider_demo(draw, "a line", height=slider)
    picture = demo.children[-1].children[-1]
    before = picture.value
    slider.value = 9.0
    assert before[:4] == b"\x89PNG" and picture.value != before
    assert picture.alt == "a line" and "alt" in picture.traits(sync=True), "for those who cannot see it"


def test_pointing_at_a_figure_gives_its_units_and_redraws():
    def draw(point):
        figure, axis = figures.new_figure()
        axis.set_title(str(point))
        return figure

    figure, axis = figures.new_figure(width=4, height=3)
    axis.set(xlim=(-100, 100), ylim=(0, 10))
    pointer = Pointer(figure, (20, 5), "a plane", ("a", "b"), step=5)
    assert pointer.extent == [-100, 0, 100, 10] and pointer.width == 400
    left, bottom, right, top = pointer.frame
    assert 0 < left < right < 1 and 0 < top < bottom < 1, "from the picture's top, as a browser counts"
    demo = figures.slider_demo(draw, "a title", point=pointer)
    picture = demo.children[-1].children[-1]
    before, seen = picture.value, pointer.png
    pointer.value = [25, 5]
    assert picture.value != before
    pointer.point_into(figures.photographs([np.zeros((8, 16, 3), np.uint8)]))
    assert pointer.png != seen and pointer.extent == [-0.5, 7.5, 15.5, -0.5], "pixels, from the top"


def test_a_brush_says_how_many_of_its_bins_were_seen():
    bins, prior = torch.zeros(4, 2), torch.tensor([0.5, 0.5, 0.0, 0.0])
    figure = figures.brushed_bins(bins, torch.tensor([False, True, True, True]), prior, torch.ones(4))
    assert figure.axes[0].get_title().startswith("3 bins, 1 of them seen")


def test_each_thing_has_a_mark_of_its_own_and_a_legend():
    share = np.array([0.4, 0.6])
    things = [Comparison(name, ("red", "blue"), share, share, 100) for name in ("car", "door", "roof")]
    figure = figures.expected_against_learned(things, "shares")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["car", "door", "roof"]
    assert len({line.get_marker() for line in figure.axes[0].lines[1:]}) == 3, "not by colour alone"


def test_halves_meet_at_the_line():
    left, right = np.zeros((4, 10, 3), np.uint8), np.full((4, 10, 3), 100, np.uint8)
    found = figures.halves(left, right, 60)[0, :, 0].tolist()
    assert found == [0] * 5 + [255] + [100] * 4
    assert (figures.halves(left, right, 0) == right).all() and (figures.halves(left, right, 100) == left).all()


def test_photographs_fill_a_grid_of_any_number():
    photos = [np.zeros((8, 8, 3), np.uint8)] * 5
    figure = figures.photographs(photos, list("abcde"), columns=3)
    assert len(figure.axes) == 6 and [axis.get_title() for axis in figure.axes] == [*"abcde", ""]


def test_lightness_only_keeps_lightness_and_loses_color(photos):
    from repro.color import rgb8_to_lab

    before, after = rgb8_to_lab(photos[0]), rgb8_to_lab(figures.lightness_only(photos[0]))
    assert np.abs(after[..., 0] - before[..., 0]).max() < 0.6  # rounding to 8 bits, in the dark
    assert np.abs(after[..., 1:]).max() < 1.0


def test_table_cells(monkeypatch):
    shown = []
    monkeypatch.setattr(show, "display", lambda page: shown.append(page.data))
    figures.show_table(["", "x"], [["a<b", 1.23456], ["c", None]], "caption")
    assert "a&lt;b" in shown[0] and "1.235" in shown[0] and "&mdash;" in shown[0]


def test_every_kind_of_figure_is_drawn(bins):
    axis = figures.new_figure()[1]
    figures.gamut(axis, bins)
    figures.bin_map(figures.new_figure()[1], bins, torch.rand(313), "share", logarithmic=True)
    figures.distribution(figures.new_figure()[1], bins, torch.full((313,), 1 / 313))
    history = [{"step": k, "validation_loss": 2.0, "auc": 0.9, "auc_rebalanced": 0.6} for k in (1, 2)]
    curve = np.linspace(0, 1, 151)
    for figure in (
        axis.figure,
        figures.training_curves({"rebalanced": history}),
        figures.error_curves({"gray": curve, "rebalanced": curve}, "all"),
        figures.paired_shares(["red", "green"], np.array([[50.0, 20], [-30, 40]]), [0.6, 0.4], [0.5, 0.5], "apple"),
        figures.accuracy_by_temperature({"rebalanced": {0.38: (0.9, 0.6), 1.0: (0.9, 0.5)}}),
        figures.layer_ratios({"he": {"conv1_1": 1.0, "conv1_2": 2.0}}),
        figures.network_plan({"conv1_1": (64, 256, 256), "out": (313, 64, 64)}),
        figures.answers_for_a_pixel(bins, torch.full((313,), 1 / 313), {"mode": (0, 0), "mean": torch.zeros(2)}),
        figures.brushed_bins(bins, bins[:, 0] > 60, torch.rand(313), torch.rand(313)),
        figures.brushed_bins(bins, bins[:, 0] > 999, torch.rand(313), torch.rand(313)),
        figures.receptive_field(np.zeros((64, 64, 3), np.uint8), "conv1_1", 3, 1),
    ):
        assert figures.to_png(figure)[:4] == b"\x89PNG"


def repainter(tiny_network, bins, saved, objective="classification", outputs=None):
    from repro.colorizer import Colorizer

    network = tiny_network() if outputs is None else tiny_network(outputs=outputs)
    model = Colorizer(network, bins, objective, short_side=32)
    photos = {name: np.full((64, 96), gray, np.uint8) for name, gray in (("dark", 80), ("light", 170))}
    return figures.Repainter(model, photos, lambda name, picture: saved.append((name, picture)) or f"{name}.png")


def test_a_place_is_pointed_at_repainted_and_saved(tiny_network, bins):
    saved = []
    demo = repainter(tiny_network, bins, saved)
    before = demo.pointer.png
    demo.pointer.value = [20, 30]
    choice = demo.found[0]
    assert choice.hexadecimal in demo.swatches[0].description and "%" in demo.swatches[0].description
    demo.swatches[0].click()
    assert demo.hints == [(20, 30, choice.ab)] and demo.pointer.png != before and "1 hint so far" in demo.says.value
    assert "1 hint so far" in demo.pointer.description, "who cannot see it hears it"
    demo.own.value = "#5050B4"
    assert len(demo.hints) == 1 and demo.hints[0][2] != choice.ab, "the same place again: in its stead"
    demo.pointer.value = [95.5, 63.5]
    demo.swatches[0].click()
    assert demo.hints[1][:2] == (95, 63), "the rim is the last pixel"
    demo.undo.click()
    demo.keep.click()
    (name, picture), *_ = saved
    assert name == "dark" and picture.shape == (64, 96, 3) and "Saved: dark.png" in demo.says.value
    demo.choice.value = "light"
    assert demo.hints == [] and "0 hints" in demo.pointer.description


def test_what_cannot_be_repainted_is_said(tiny_network, bins):
    demo = repainter(tiny_network, bins, [], "regression", 2)
    assert "a regression predicts one colour" in demo.says.value and all(one.disabled for one in demo.swatches)
    demo.own.value = "#5050B4"
    assert len(demo.hints) == 1, "any colour may still be chosen"

    def full(*_):
        raise OSError("no space left")

    demo.save = full
    demo.keep.click()
    assert "Not saved: no space left" in demo.says.value


def test_differences_are_drawn_with_a_line_at_0():
    lead = {"a - b": Interval(-2.0, 0.5, -3.0, -1.0)}
    axis = figures.intervals({"here, n = 9": lead}, "title", "points", differences=True).axes[0]
    assert any(list(line.get_xdata()) == [0, 0] for line in axis.lines)
    assert [text.get_text() for text in axis.texts] == ["-2.0"] and axis.get_title() == "here, n = 9"


def test_a_classifier_that_tells_no_model_from_the_truth_says_so():
    none, some = {"low": -0.1, "high": 0.1}, {"low": 0.1, "high": 0.2}
    pairs = {"a - truth": none, "b - truth": none, "a - b": none, "a - gray": some}
    assert "say nothing about the models' order" in figures.told_from_truth({"folder/eyes": pairs})[0]
    assert "differ in a - b." in figures.told_from_truth({"eyes": pairs | {"a - b": some}})[0]
    assert figures.told_from_truth({"eyes": pairs | {"b - truth": some}}) == [
        "eyes: its answers tell b from the truth."
    ]
    assert figures.told_from_truth({"eyes": {"a - gray": some}}) == [], "without the truth there is nothing to say"


def test_the_share_that_is_won_back_is_a_ratio_of_sums():
    truth, gray = np.arange(100) < 90, np.arange(100) < 50
    found = figures.won_back({"truth": truth, "gray": gray, "a": np.arange(100) < 60}, "a")
    assert found.mean == 0.25 and 0.1 < found.low < 0.25 < found.high < 0.45, "10 of the 40 photographs that gray loses"
    assert figures.won_back({"truth": truth, "gray": gray}, "truth").low == 1, "the truth wins all of it in each sample"
    assert figures.won_back({"truth": gray, "gray": gray, "a": truth}, "a").mean == 40, (
        "no loss counts as one photograph"
    )


def test_hints_are_compared_on_the_same_photographs():
    values = lambda low, high: dict.fromkeys(("auc", "auc_rebalanced", "psnr"), {"mean": 0, "low": low, "high": high})
    pairs = {"1 hints - 0 hints": values(1, 2), "0 hints - 0 hints, no network": values(-0.2, -0.1)}
    pairs |= {"5 hints - 5 hints, no network": values(-0.1, 0.1)}
    results = {"photographs": {"there": 7}, "differences": {"there": pairs}}
    _, rows = figures.hints_leads(results)
    assert [row[:3] for row in rows] == [
        ["there (7)", "0", "+0.00 [-20.00, -10.00]"], ["there (7)", "5", "+0.00 [-10.00, +10.00]"],
    ]  # fmt: skip
    expected = "there, AuC: gray is ahead with 0 hints; the two are not distinguishable with 5 hints."
    assert figures.hints_in_words(results)[0] == expected
