"""Scans of old prints: frames are found and left alone, faded contrast comes back, sepia and grain do no harm."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.color import lab_to_rgb8, rgb8_to_lab, rgb8_to_lightness
from repro.colorizer import Colorizer
from repro.colorizer.scans import inside_frame, stretch
from repro.datasets.sources import Item, open_source


def picture(height=90, width=120, seed=0):
    """Lightness of coarse blocks, 5..95."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(5, 95, (-(-height // 6), -(-width // 6)))
    return coarse.repeat(6, 0).repeat(6, 1)[:height, :width].astype(np.float32)


def framed(inside, top, bottom, left, right, tone, noise=1.0):
    result = np.pad(inside, ((top, bottom), (left, right)), constant_values=tone)
    return result + np.random.default_rng(1).normal(0, noise, result.shape).astype(np.float32)


# ---- contrast ----


def test_stretch_by_hand():
    """1,001 values from 30 to 70: .5 % are below 30.2, so 30.2 becomes 0, 69.8 100, and 50 stays.  From 20 to 80
    nothing is faded, nor in an empty sky with something small in it."""
    faded = np.linspace(30, 70, 1001, dtype=np.float32)
    found = stretch(faded)
    assert found[0] == 0 and found[-1] == 100 and found[500] == pytest.approx(50, abs=1e-3)
    whole = np.linspace(20, 80, 1001, dtype=np.float32)
    assert np.array_equal(stretch(whole), whole)
    sky = np.full(10_000, 70, np.float32)
    sky[:40] = np.linspace(5, 95, 40)  # .4 % is a parachute: not a faded print
    assert np.array_equal(stretch(sky), sky)
    assert found[255] == pytest.approx((faded[255] - 30.2) * 100 / 39.6, abs=1e-3)


@given(st.floats(0.1, 0.5), st.floats(0, 50))
def test_fading_is_undone(contrast, veil):
    """Whatever linear fading there was, the same comes out."""
    fresh = picture()
    found, other = (stretch(fresh * np.float32(c) + np.float32(v)) for c, v in ((contrast, veil), (0.3, 20)))
    assert np.allclose(found, other, atol=0.01) and np.array_equal(stretch(fresh), fresh)


def test_a_blank_page_stays_blank():
    blank = np.full((8, 8), 63.0, np.float32)
    assert np.array_equal(stretch(blank), blank)


# ---- frames ----


@pytest.mark.parametrize("tone", [97, 3, 60])
@pytest.mark.parametrize("sides", [(9, 9, 9, 9), (5, 20, 8, 12)])
def test_a_frame_is_found(tone, sides):
    top, bottom, left, right = sides
    height, width = 90, 120
    found = inside_frame(framed(picture(height, width), *sides, tone))
    assert np.allclose(found, (top, top + height, left, left + width), atol=2)
    assert found[0] >= top and found[1] <= top + height and found[2] >= left and found[3] <= left + width


def test_of_a_large_scan_too():
    """Looked for in a copy of some 400 pixels, and found to a few of its own."""
    inside = picture(60, 90).repeat(20, 0).repeat(20, 1)
    found = inside_frame(framed(inside, 100, 140, 80, 90, 95, noise=5))
    assert np.allclose(found, (100, 1300, 80, 1880), atol=12)


@pytest.mark.parametrize(
    "lightness",
    [
        picture(),
        np.full((40, 50), 80, np.float32),
        framed(picture(), 12, 0, 0, 0, 90),  # a pale sky
        framed(picture(), 12, 12, 0, 0, 90),
        framed(picture(40, 40), 40, 40, 40, 40, 90),  # more frame than picture: a thing on white paper
        np.zeros((1, 1), np.float32),
        np.zeros((1, 700), np.float32),
        np.concatenate((np.full((20, 90), 90), picture(50, 90), np.full((20, 90), 10))).astype(np.float32),
    ],
    ids=["none", "blank", "sky", "bars", "product", "pixel", "line", "two tones"],
)
def test_what_is_no_frame(lightness):
    assert inside_frame(lightness) == (0, lightness.shape[0], 0, lightness.shape[1])


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 60), st.integers(1, 60), st.integers(0, 9))
def test_there_is_always_a_picture_inside(top, left, height, width, seed):
    lightness = framed(picture(height, width, seed), top, top, left, left, 95)
    a, b, c, d = inside_frame(lightness)
    assert 0 <= a < b <= lightness.shape[0] and 0 <= c < d <= lightness.shape[1]


# ---- with the models that come along ----


@pytest.fixture(scope="module")
def photo():
    color = open_source("bundled").read(Item("china"))[::2, ::2]
    return np.repeat(color.mean(2, keepdims=True), 3, 2).astype(np.uint8)


@pytest.fixture(scope="module")
def model():
    return Colorizer.load()


def ab(rgb8):
    return rgb8_to_lab(rgb8)[..., 1:]


def distance(one, other):
    return float(np.linalg.norm(ab(one) - ab(other), axis=-1).mean())


def test_a_frame_has_no_colour_and_the_picture_the_colours_that_it_has_alone(model):
    cat = open_source("bundled").read(Item("chelsea"))
    frame = np.pad(np.repeat(cat.mean(2, keepdims=True), 3, 2).astype(np.uint8), ((20, 20), (24, 24), (0, 0)), constant_values=240)
    found = model.colorize(frame)
    top, bottom, left, right = inside_frame(rgb8_to_lightness(frame))
    assert (20 <= top <= 23) and (24 <= left <= 27)
    picture = np.s_[top:bottom, left:right]
    assert np.array_equal(found[picture], model.colorize(frame[picture]))
    found[picture] = frame[picture]
    assert np.abs(found.astype(int) - frame).max() <= 1, "the frame is as it was"


def test_a_faded_print_gets_the_same_colours(model, photo):
    faded = (70 + photo * 0.45).astype(np.uint8)
    plain = model.colorize(photo)
    assert distance(model.colorize(faded), plain) < 0.35 * distance(plain, photo)
    careless = Colorizer.load(as_scan=False)
    assert distance(careless.colorize(faded), careless.colorize(photo)) > 2 * distance(model.colorize(faded), plain)


def test_sepia_is_taken_to_lightness_first(model, photo):
    tinted = rgb8_to_lab(photo)
    tinted[..., 1:] += (6, 22)
    assert distance(model.colorize(lab_to_rgb8(tinted)), model.colorize(photo)) < 2


def test_grain_does_little(model, photo):
    grain = np.random.default_rng(0).normal(0, 12, photo.shape[:2])[..., None]
    grainy = (photo + grain).clip(0, 255).astype(np.uint8)
    plain = model.colorize(photo)
    assert distance(model.colorize(grainy), plain) < 0.5 * distance(plain, photo)
