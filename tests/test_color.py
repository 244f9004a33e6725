"""sRGB <-> Lab: values worked by hand, scikit-image as oracle, and the mistakes that must not pass."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.color import lab2rgb, rgb2lab

from repro import color
from repro.color import (
    in_gamut,
    lab_to_rgb,
    lab_to_rgb8,
    rgb8_to_lab,
    rgb8_to_lightness,
    rgb_to_lab,
    srgb_ab_hull,
)

CUBE = np.stack(np.meshgrid(*[np.arange(0, 256, 15, dtype=np.uint8)] * 3), -1).reshape(-1, 3)  # 18^3 colours


@pytest.mark.parametrize(
    "rgb, lab",
    [
        # black: f(0) = 16/116, L = 116 * 16/116 - 16 = 0
        ((0, 0, 0), (0, 0, 0)),
        # white: f(1) = 1, L = 116 - 16 = 100, a = b = 0
        ((255, 255, 255), (100, 0, 0)),
        # gray 119: ((.46667 + .055) / 1.055)^2.4 = .18447, its cube root .56926, L = 116 * .56926 - 16 =
        # 50.03
        ((119, 119, 119), (50.03, 0, 0)),
        # almost black, gray 5: 5/255/12.92 = .0015176, f = 7.787 * .0015176 + .137931 = .149749, L = 1.371
        ((5, 5, 5), (1.371, 0, 0)),
        # red: XYZ over white .43395, .21267, .017757; cube roots .75706, .59691, .26088;
        # L = 116 * .59691 - 16 = 53.24, a = 500 * .16015 = 80.08, b = 200 * .33603 = 67.21
        ((255, 0, 0), (53.24, 80.08, 67.21)),
    ],
)
def test_values_worked_by_hand(rgb, lab):
    assert rgb_to_lab(torch.tensor(rgb) / 255).numpy() == pytest.approx(lab, abs=0.02)
    assert rgb8_to_lab(np.array(rgb, np.uint8)) == pytest.approx(lab, abs=0.02)
    assert lab_to_rgb8(torch.tensor(lab, dtype=torch.float32)).tolist() == list(rgb)


def test_both_paths_agree_with_scikit_image():
    expected = rgb2lab(CUBE / 255)
    assert np.abs(rgb_to_lab(torch.from_numpy(CUBE / 255)).numpy() - expected).max() < 1e-3
    assert np.abs(rgb8_to_lab(CUBE) - expected).max() < 1e-3
    assert np.abs(rgb8_to_lightness(CUBE) - expected[:, 0]).max() < 1e-3


def test_the_inverse_agrees_with_scikit_image():
    lab = rgb2lab(CUBE / 255)
    assert np.abs(lab_to_rgb(torch.from_numpy(lab)).numpy() - lab2rgb(lab)).max() < 1e-3


def test_round_trip_of_bytes_is_exact():
    assert np.array_equal(lab_to_rgb8(rgb8_to_lab(CUBE)), CUBE)


@given(arrays(np.float32, (7, 3), elements=st.floats(0, 1, width=32)))
def test_round_trip_of_any_rgb(rgb):
    # Either side of the curve's joint the rounded standard constants leave a gap: lightness below .04 moves
    # by up to 1e-4.
    back = lab_to_rgb(rgb_to_lab(torch.from_numpy(rgb))).numpy()
    assert np.abs(back - rgb).max() < 2e-4


@given(st.integers(0, 255))
def test_grays_have_no_color(level):
    assert np.abs(rgb8_to_lab(np.full((1, 3), level, np.uint8))[0, 1:]).max() < 0.02


def test_lightness_rises_with_gray():
    assert (np.diff(rgb8_to_lightness(np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, 1))) > 0).all()


def test_shapes_are_kept():
    assert rgb_to_lab(torch.rand(2, 4, 5, 3)).shape == (2, 4, 5, 3)
    assert lab_to_rgb(torch.rand(4, 3)).shape == (4, 3)
    assert rgb8_to_lab(np.zeros((2, 4, 5, 3), np.uint8)).shape == (2, 4, 5, 3)
    assert rgb8_to_lightness(np.zeros((2, 4, 5, 3), np.uint8)).shape == (2, 4, 5)
    assert rgb_to_lab(torch.empty(0, 3)).shape == (0, 3)


def test_results_are_float32():
    assert rgb_to_lab(torch.rand(1, 3, dtype=torch.float64)).dtype == torch.float32
    assert rgb8_to_lab(CUBE[:1]).dtype == rgb8_to_lightness(CUBE[:1]).dtype == np.float32


@pytest.mark.usefixtures("unchecked")
def test_bytes_as_floats_are_refused():
    """The known mistake: 0..255 fed to a function of 0..1 piles all colours up at the gamut's corners."""
    with pytest.raises(ValueError, match="divide 0..255 by 255"):
        rgb_to_lab(torch.tensor([[200.0, 30, 30]]))
    with pytest.raises(ValueError, match="floats in 0..1"):
        rgb_to_lab(torch.tensor([[200, 30, 30]]))
    with pytest.raises(ValueError, match="uint8"):
        rgb8_to_lab(np.array([[0.8, 0.1, 0.1]]))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("function", [rgb_to_lab, lab_to_rgb])
def test_channels_first_is_refused(function):
    with pytest.raises(ValueError, match=r"3 channels, got shape \(3, 8, 8\)"):
        function(torch.zeros(3, 8, 8))


def test_colors_out_of_gamut_are_clipped_and_told():
    wild = torch.tensor([[50.0, 120, 120], [100, 40, 0], [0, -90, 0]])
    assert not in_gamut(wild).any()
    rgb = lab_to_rgb(wild)
    assert rgb.min() >= 0 and rgb.max() <= 1
    assert in_gamut(rgb_to_lab(torch.from_numpy(CUBE / 255))).all()


def test_gradients_flow_even_if_inference_mode_asked_first():
    color._matrices.cache_clear()
    with torch.inference_mode():
        rgb_to_lab(torch.rand(2, 3))
    rgb = torch.rand(2, 3, requires_grad=True)
    rgb_to_lab(rgb).sum().backward()
    assert rgb.grad.isfinite().all()


def test_hull_holds_every_color_and_turns_left():
    hull = srgb_ab_hull()
    edges = np.roll(hull, -1, 0) - hull
    ab = rgb8_to_lab(CUBE)[:, 1:].astype(float)
    beside = edges[:, 0] * (ab[:, None, 1] - hull[:, 1]) - edges[:, 1] * (ab[:, None, 0] - hull[:, 0])
    assert (
        beside / np.linalg.norm(edges, axis=1) >= -0.2
    ).all()  # ab units: the hull is of 33^3 colours, so between them
    assert hull.min(0) == pytest.approx([-86.18, -107.86], abs=0.02)
    assert hull.max(0) == pytest.approx([98.23, 94.48], abs=0.02)


# -- the curve and f stand once --------------------------------------------------------------------------------------


def by_numpy(rgb8):
    """What arrays were converted by before the curve and f were shared with tensors: the same bits."""
    byte = np.arange(256) / 255
    linear = np.where(byte > 0.04045, ((byte + 0.055) / 1.055) ** 2.4, byte / 12.92).astype(np.float32)[rgb8]
    t = linear @ (color.RGB_TO_XYZ / color.WHITE[:, None]).astype(np.float32).T
    f = np.cbrt(t)
    np.copyto(f, np.float32(7.787) * t + np.float32(16 / 116), where=t <= np.float32(0.008856))
    lab = f @ np.array([[0, 500, 0], [116, -500, 200], [0, 0, -200]], np.float32)
    return lab - np.array([16, 0, 0], np.float32)


def by_torch(rgb01):
    """The same for tensors."""
    linear = torch.where(rgb01 > 0.04045, ((rgb01 + 0.055) / 1.055).clamp_min(0) ** 2.4, rgb01 / 12.92)
    t = linear @ torch.tensor((color.RGB_TO_XYZ / color.WHITE[:, None]).T, dtype=torch.float32)
    f = torch.where(t > 0.008856, t.clamp_min(0.008856) ** (1 / 3), 7.787 * t + 16 / 116)
    x, y, z = f.unbind(-1)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), -1)


def test_arrays_and_tensors_share_the_formula_to_the_last_bit():
    rgb01 = torch.from_numpy(CUBE).float() / 255
    assert np.array_equal(rgb8_to_lab(CUBE), by_numpy(CUBE))
    assert torch.equal(rgb_to_lab(rgb01), by_torch(rgb01))
    tensor = rgb8_to_lab(torch.from_numpy(CUBE))
    assert np.abs(tensor.numpy() - rgb8_to_lab(CUBE)).max() < 1e-3


def test_the_curve_has_a_gradient_below_zero_too():
    """A colour out of gamut, as a network may give: the straight line's slope, not NaN."""
    rgb01 = torch.tensor([[-0.2, 0.5, 0.0]], requires_grad=True)
    rgb_to_lab(rgb01)[..., 0].sum().backward()
    assert rgb01.grad.isfinite().all() and (rgb01.grad > 0).all()
