"""Scans of old prints: frames are found and left alone, faded contrast comes back, sepia and grain do no harm."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from repro.color import lab_to_rgb8, rgb8_to_lab, rgb8_to_lightness
from repro.colorizer import Colorizer
from repro.colorizer.scans import inside_frame, picture_in, stretch
from repro.datasets.photographs import resize_short
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
    """1,001 values from 30 to 70: .5 % are below 30.2, so 30.2 becomes 0, 69.8 100, and 50 stays.

    From 20 to 80 nothing is faded, nor in an empty sky with something small in it.
    """
    faded = np.linspace(30, 70, 1001, dtype=np.float32)
    found = stretch(faded)
    assert found[0] == 0 and found[-1] == 100 and found[500] == pytest.approx(50, abs=1e-3)
    whole = np.linspace(20, 80, 1001, dtype=np.float32)
    assert np.array_equal(stretch(whole), whole)
    sky = np.full(10_000, 70, np.float32)
    sky[:40] = np.linspace(5, 95, 40)  # .4 % is a parachute: not a faded print
    assert np.array_equal(stretch(sky), sky)
    assert found[255] == pytest.approx((faded[255] - 30.2) * 100 / 39.6, abs=1e-3)


@given(st.floats(0, 60), st.sampled_from([0, 0.02, 0.3]))
def test_the_contrast_of_a_film_may_drift(span, grain):
    """A step of .1 L in contrast moves no pixel by more than 1.5 L: by 50 it would where faded is yes or no."""
    noise = np.random.default_rng(0).normal(0, grain, 500)
    one, other = (
        stretch((50 + s * np.linspace(-0.5, 0.5, 500) + noise).astype(np.float32)) for s in (span, span + 0.1)
    )
    assert np.abs(one - other).max() < 1.5


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


PHOTOGRAPHS = [item for split in ("train", "val", "test") for item in open_source("bundled").items(split)]
PAPERS = {"black": 3, "cream": 90, "gray": 62}  # L; any other kind is on white


def scan(photo, kind, seed):
    """A photograph's lightness on paper, and where it lies on it: top, bottom, left, right."""
    rng = np.random.default_rng(seed)
    height, width = photo.shape
    short, paper = min(photo.shape), PAPERS.get(kind, 97)
    margins = np.full(4, int(short * rng.uniform(0.04, 0.15)))
    if kind == "uneven":
        margins = (short * rng.uniform(0.02, 0.25, 4)).astype(int)
    if kind == "caption":
        margins[1] = short * 0.22
    top, bottom, left, right = margins
    page = np.pad(
        deckled(photo, paper, rng) if kind == "deckled" else photo,
        ((top, bottom), (left, right)),
        constant_values=paper,
    )
    image = Image.fromarray(page.astype(np.float32))
    if kind == "caption":
        place = left + width * 0.2, top + height + short * 0.07
        ImageDraw.Draw(image).text(place, "Easter morning, New York 1911", fill=20, font_size=short * 0.05)
    if kind == "tilted":
        image = image.rotate(rng.choice([-1, 1]) * rng.uniform(0.5, 1.8), Image.Resampling.BILINEAR, fillcolor=paper)
    grain = rng.normal(0, 2 if kind == "grain" else 0.6, page.shape)
    return np.asarray(image) + grain.astype(np.float32), (top, top + height, left, left + width)


def deckled(photo, paper, rng, depth=3):
    """With edges that a deckle knife has cut: up to `depth` pixels are paper."""
    photo = photo.copy()
    for side in (photo, photo[::-1], photo.T, photo.T[::-1]):
        cut = rng.integers(0, depth + 1, len(side.T) // 3 + 1).repeat(3)[: len(side.T)]
        side[:depth][np.arange(depth)[:, None] < cut] = paper
    return photo


@pytest.fixture(scope="module")
def lightnesses():
    return [rgb8_to_lightness(resize_short(open_source("bundled").read(item), 300)) for item in PHOTOGRAPHS]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["white", "black", "cream", "gray", "deckled", "uneven", "tilted", "caption", "grain"])
def test_frames_of_every_kind_are_found_around_photographs(kind, lightnesses):
    """Around at least 9 of 10, to 3 % of the side."""
    found = 0
    for seed in range(3):
        for number, photo in enumerate(lightnesses):
            page, place = scan(photo, kind, 100 * seed + number)
            found += np.abs(np.subtract(inside_frame(page), place)).max() <= 0.03 * max(page.shape)
    assert found >= 0.9 * 3 * len(lightnesses)


def test_a_photograph_without_a_frame_is_whole(lightnesses):
    for photo in lightnesses:
        assert inside_frame(photo) == (0, photo.shape[0], 0, photo.shape[1])


@pytest.mark.parametrize("ground", [97, 4, 60])
@pytest.mark.parametrize("outline", ["ellipse", "rounded", "kite", "hills", "legs"])
def test_even_ground_around_a_thing_is_no_frame(ground, outline):
    """It ends in the thing's outline: round, aslant, or straight only here and there."""
    image = Image.new("L", (300, 240), ground)
    draw = ImageDraw.Draw(image)
    box = (30, 25, 270, 215)
    if outline == "ellipse":
        draw.ellipse(box, fill=35)
    elif outline == "rounded":
        draw.rounded_rectangle(box, 75, fill=35)
    elif outline == "kite":
        draw.polygon([(150, 25), (270, 120), (150, 215), (30, 120)], fill=35)
    elif outline == "hills":
        draw.polygon([(30, 215), (30, 130), (90, 30), (160, 110), (220, 25), (270, 160), (270, 215)], fill=35)
    else:
        draw.rectangle((30, 60, 230, 130), fill=35)
        draw.ellipse((200, 25, 270, 90), fill=35)
        for left in (40, 80, 170, 215):
            draw.rectangle((left, 120, left + 14, 215), fill=35)
    noise = np.random.default_rng(0).normal(0, 1, (240, 300))
    assert inside_frame((np.asarray(image) + noise).astype(np.float32)) == (0, 240, 0, 300)


def test_a_small_copy_is_enough_to_find_the_picture_in():
    inside = np.random.default_rng(0).integers(10, 220, (50, 70), dtype=np.uint8).repeat(23, 0).repeat(23, 1)
    page = np.pad(inside, ((120, 170), (90, 100)), constant_values=245)[..., None].repeat(3, 2)
    found = picture_in(page)
    assert np.allclose(found, (120, 120 + 1150, 90, 90 + 1610), atol=12)
    assert all(isinstance(place, int) for place in found)


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
    frame = np.pad(
        np.repeat(cat.mean(2, keepdims=True), 3, 2).astype(np.uint8), ((20, 20), (24, 24), (0, 0)), constant_values=240
    )
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
