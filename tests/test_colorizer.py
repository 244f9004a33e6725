"""Photograph in, photograph out: size, type and lightness are kept; ab is enlarged where it belongs."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from repro import paths
from repro.bins import ab_bins, fingerprint
from repro.color import lab_to_rgb8, rgb8_to_lab, rgb8_to_lightness
from repro.colorizer import Colorizer, enlarge, trained_models
from repro.colorizer.enlarge import guided, interpolation, join
from repro.colorizer.model import shrink
from repro.colorizer.weights import DEFAULT, MODELS, PRETRAINED, WeightsError, models_in, save_weights
from repro.datasets.sources import Item, open_source
from repro.evaluation.raw_accuracy import auc
from repro.objectives import REGRESSION_SCALE, Objective

SHAPES = [(1, 1), (1, 40), (40, 1), (7, 5), (8, 8), (64, 64), (301, 200), (33, 700)]


@pytest.fixture
def colorizer(tiny_network, bins):
    return Colorizer(tiny_network(), bins, "classification", short_side=32)


def picture(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


# -- whole photographs
# -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("channels", [(), (3,)])
def test_size_and_type_are_kept(colorizer, shape, channels):
    photo = picture(*shape, *channels)
    before = photo.copy()
    result = colorizer.colorize(photo)
    assert result.shape == (*shape, 3) and result.dtype == np.uint8
    assert np.array_equal(photo, before), "the caller's photograph is not touched"


@pytest.mark.parametrize("decoding", ["annealed", "mean", "mode"])
def test_lightness_is_kept(colorizer, decoding):
    """To half a level a channel, that is .5 L, as long as sRGB can show the colour at that lightness.

    Here ab stays small.
    """
    photo = np.random.default_rng(0).integers(70, 190, (61, 47), dtype=np.uint8)
    colorizer.decode = lambda output, *_: torch.full((1, 2, *output.shape[2:]), 12.0)
    lightness = rgb8_to_lightness(np.repeat(photo[..., None], 3, 2))
    found = rgb8_to_lab(colorizer.colorize(photo, decoding))
    assert np.abs(found[..., 0] - lightness).max() < 0.5
    assert np.abs(found[..., 1:] - 12).max() < 2


def test_only_lightness_of_a_color_photograph_is_used(colorizer):
    """A colour and the gray of its lightness (to a level) come out alike."""
    photo = picture(32, 32, 3)
    gray = colorizer.colorize(photo)
    swapped = rgb8_to_lab(photo)
    swapped[..., 1:] *= -0.3
    other = lab_to_rgb8(swapped)
    same = np.abs(rgb8_to_lightness(other) - rgb8_to_lightness(photo)) < 0.3
    difference = np.abs(colorizer.colorize(other).astype(int) - gray)[same]
    assert same.mean() > 0.5 and np.median(difference) <= 2


def test_views_and_read_only_arrays_are_fine(colorizer):
    photo = picture(40, 60, 3)
    photo.flags.writeable = False
    expected = colorizer.colorize(np.ascontiguousarray(photo[::-1, ::2]))
    assert np.array_equal(colorizer.colorize(photo[::-1, ::2]), expected)
    assert colorizer.colorize(np.broadcast_to(np.uint8(90), (20, 30))).shape == (20, 30, 3)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "photo",
    [
        picture(8, 8).astype(np.float32),
        picture(8, 8) > 5,
        "photo.jpg",
        picture(8, 8, 4),
        picture(8, 8, 1),
        picture(2, 8, 8, 3),
        picture(8),
        picture(0, 8),
    ],
)
def test_what_is_no_photograph_is_refused(colorizer, photo):
    with pytest.raises(ValueError, match=r"expected a photograph \(H, W\) or \(H, W, 3\) uint8, got"):
        colorizer.colorize(photo)


@pytest.mark.parametrize("shape", [(3000, 3), (3, 3000), (801, 1), (1, 900), (1, 65537), (2, 2), (17, 16)])
def test_narrow_photographs_are_coloured(tiny_network, bins, shape):
    """By the model that comes along, too, which looks for a frame."""
    photo = np.full(shape, 130, np.uint8)
    model = Colorizer(tiny_network(), bins, "classification", short_side=32, as_scan=True, guided=True)
    result = model.colorize(photo)
    assert result.shape == (*shape, 3)
    assert np.abs(rgb8_to_lightness(result) - rgb8_to_lightness(result * 0 + 130)).max() < 1


@pytest.mark.parametrize("ab", [(0, 0), (90, 60), (-80, 80), (30, -100), (60, 0), (-3, 95), (199, 1)])
def test_lightness_stays_at_every_gray_whatever_the_colour(colorizer, ab):
    """Within .3 L of 8 bits; black stays black and white white.  Clipped channel by channel it is up to 24 off."""
    photo = np.arange(256, dtype=np.uint8)[None].repeat(16, 0)
    color = torch.tensor(ab, dtype=torch.float32)[None, :, None, None]
    colorizer.decode = lambda output, *_: color.expand(1, 2, *output.shape[2:])
    result = colorizer.colorize(photo)
    lightness = rgb8_to_lightness(photo[..., None].repeat(3, 2))
    assert np.abs(rgb8_to_lightness(result) - lightness).max() < 0.3
    assert (result[:, 0] == 0).all() and (result[:, 255] == 255).all()
    hue = rgb8_to_lab(result[:1])[0, 60:200, 1:]
    assert np.abs(hue @ np.array([-ab[1], ab[0]])).max() <= 2 * np.hypot(*ab), "ab moved, but not straight towards gray"
    assert not any(ab) or (np.hypot(*hue.T) > 10).all(), "colour is kept where there is room for it"


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV"])
def test_pillow_images_are_looked_at_by_what_they_show(colorizer, mode):
    """Not by what they hold: a palette's numbers are no grays."""
    image = Image.fromarray(picture(24, 32, 3)).convert(mode)
    assert np.array_equal(colorizer.colorize(image), colorizer.colorize(np.asarray(image.convert("RGB"))))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "LAB", "F", "I", "I;16"])
def test_pillow_images_that_are_not_are_named(colorizer, mode):
    with pytest.raises(ValueError, match=f"a Pillow image of mode {mode}.*read its file with read_photo"):
        colorizer.colorize(Image.new(mode, (8, 8)))
    if mode == "PA":
        palette = Image.new("P", (8, 8))
        palette.info["transparency"] = 0
        with pytest.raises(ValueError, match="mode RGBA"):
            colorizer.colorize(palette)


# -- decoding --------------------------------------------------------------------------------------------------------


def test_decodings_and_temperature_make_a_difference(colorizer):
    output = torch.randn(1, 313, 4, 4) * 3
    found = [colorizer.decode(output, *how) for how in (("annealed",), ("annealed", 1.0), ("mean",), ("mode",))]
    assert torch.equal(found[1], found[2])
    assert not torch.allclose(found[0], found[2]) and not torch.allclose(found[0], found[3])
    assert torch.equal(colorizer.decode(output), found[0])


def test_an_unknown_decoding_or_temperature_is_named(colorizer):
    with pytest.raises(ValueError, match="no decoding 'median'; there are annealed, mean, mode"):
        colorizer.colorize(picture(8, 8), "median")
    for temperature in (0, -1):
        with pytest.raises(ValueError, match="temperature must be positive"):
            colorizer.colorize(picture(8, 8), temperature=temperature)


def test_regression_ignores_decoding_and_temperature(tiny_network, bins):
    colorizer = Colorizer(tiny_network(2), bins, "regression", short_side=32)
    output = torch.randn(1, 2, 4, 4)
    for how in ((), ("mode",), ("annealed", 0.01)):
        assert torch.equal(colorizer.decode(output, *how), output * REGRESSION_SCALE)
    with pytest.raises(ValueError, match="no decoding"):
        colorizer.decode(output, "median")


# -- the small copy --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape, small",
    [
        ((640, 640), (64, 64)),
        ((640, 960), (64, 96)),
        ((30, 40), (64, 88)),  # 40 * 64 / 30 = 85.3: the nearest multiple of 8
        ((100, 1000), (24, 256)),  # long side at most 4 * 64, so the short one is 25.6
        ((1, 1000), (8, 256)),
        ((1, 1), (64, 64)),
    ],
)
def test_the_small_copy(shape, small):
    assert shrink(picture(*shape, 3), 64).shape == (*small, 3)


@pytest.mark.parametrize("shape", [(1, 1), (7, 1000), (301, 200), (700, 900), (1111, 1), (640, 960)])
def test_the_small_copy_is_pillows_bit_for_bit(shape, monkeypatch):
    """Made in strips, it is what one call of Pillow's makes, which keeps all of the photograph once more."""
    photo = picture(*shape, 3)
    monkeypatch.setattr(enlarge, "STRIP", 5000)
    found = shrink(photo, 24)
    size = found.shape[1], found.shape[0]
    whole = Image.fromarray(photo).resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    assert np.array_equal(found, whole)


# -- enlarging -------------------------------------------------------------------------------------------------------


def test_interpolation_by_hand():
    """Four values stand for pixels 0, 4, 8, 12 of 16.

    At length 16 pixel i lies at i / 4, at most 3: pixel 1 is 3/4 of value 0 and 1/4 of value 1.
    At length 8 pixel i is centred on pixel 2 i + .5: the first at 1/8.
    """
    same, half = interpolation(16, 4), interpolation(8, 4)
    assert (
        same[0].tolist() == [1, 0, 0, 0]
        and same[1].tolist() == [0.75, 0.25, 0, 0]
        and same[12].tolist() == [0, 0, 0, 1]
    )
    assert same[15].tolist() == [0, 0, 0, 1]
    assert half[0].tolist() == [0.875, 0.125, 0, 0]
    assert interpolation(3, 1).tolist() == [[1], [1], [1]]


@pytest.mark.parametrize("length", [1, 5, 16, 301, 4000])
@pytest.mark.parametrize("count", [1, 2, 16])
def test_interpolation_shares_sum_to_one(length, count):
    matrix = interpolation(length, count)
    assert matrix.shape == (length, count) and (matrix >= 0).all()
    assert matrix.sum(1).numpy() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("height, width", [(64, 96), (128, 192), (301, 455), (32, 48)])
def test_colors_linear_in_position_come_back_linear(height, width):
    """Output i of the network stands for pixel 4 i of the small copy.

    A ramp is put exactly where it was, at every size.
    """
    small = torch.arange(0, 64, 4.0), torch.arange(0, 96, 4.0)  # rows and columns that ab was sampled at
    ab = torch.stack(((small[0][:, None] / 2 - 15).expand(16, 24), (small[1] / 4 - 12).expand(16, 24)))
    result = rgb8_to_lab(join(np.full((height, width, 3), 119, np.uint8), ab))
    rows, columns = ((np.arange(n) + 0.5) * size / n - 0.5 for n, size in ((height, 64), (width, 96)))
    inside = np.ix_((rows >= 0) & (rows <= 60), (columns >= 0) & (columns <= 92))
    expected = (
        np.broadcast_to((rows / 2 - 15)[:, None], (height, width)),
        np.broadcast_to(columns / 4 - 12, (height, width)),
    )
    for channel in (0, 1):
        error = np.abs(result[..., 1 + channel] - expected[channel])[inside]
        assert error.mean() < 0.5 and error.max() < 1.5, "more than rounding to bytes"


@pytest.mark.parametrize("strip", [1, 7, 100, 5000])
def test_strips_make_no_difference(monkeypatch, strip):
    photo, ab = picture(41, 29, 3), torch.randn(2, 8, 6) * 20
    whole = join(photo, ab)
    monkeypatch.setattr(enlarge, "STRIP", strip)
    monkeypatch.setattr(enlarge, "LONG", 17)
    assert np.abs(join(photo, ab).astype(int) - whole).max() <= 1  # sums in another order may round the other way
    assert (join(photo, ab) == whole).mean() > 0.999


BIG = """
import resource, sys, numpy, torch
torch.set_num_threads(1)
from repro.colorizer import Colorizer
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MiB
colorizer, shape = Colorizer.load(), tuple(map(int, sys.argv[1:]))
colorizer.colorize(numpy.zeros((900, 900), numpy.uint8))
photo = numpy.full(shape, 120, numpy.uint8)
photo[::7] = 60
before = peak()
colorizer.colorize(photo)
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is counted in other units elsewhere")
@pytest.mark.parametrize("shape, more", [((4000, 6000), 70), ((4000, 6000, 3), 70), ((3, 8_000_000), 200)])
def test_memory_of_a_big_photograph(shape, more):
    """24 megapixels by the model that users get, with its search for a frame: 69 MiB of result, and strips.

    As floats the lightness alone would take 92 more, and Lab 275.
    """
    arguments = [sys.executable, "-c", BIG, *map(str, shape)]
    run = subprocess.run(arguments, cwd=paths.ROOT, capture_output=True, text=True, check=True)
    assert float(run.stdout) < 69 + more


@pytest.mark.slow
@pytest.mark.parametrize("name", ["encoder", "rebalanced"])
def test_colouring_does_not_wait_for_torchs_compiler(name):
    """Importing it takes as long as colouring a dozen photographs, and a function of torch's may do so unasked."""
    program = (
        "import sys, numpy; from repro.colorizer import Colorizer; "
        f"Colorizer.load('{name}').colorize(numpy.eye(64, dtype='uint8')); print('torch._dynamo' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=paths.ROOT, capture_output=True, text=True)
    assert ran.stdout == "False\n", ran.stderr


def test_threads_sleep_while_they_wait_unless_the_user_has_said_otherwise():
    """Spinning ones make colouring take several times as long beside one other program."""
    program = "import os, repro, sys; print('torch' in sys.modules, os.environ['OMP_WAIT_POLICY'])"
    for given, expected in (({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active")):
        environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"} | given
        run = subprocess.run(
            [sys.executable, "-c", program], cwd=paths.ROOT, env=environment, capture_output=True, text=True, check=True
        )
        assert run.stdout.split() == ["False", expected], "set after torch, it does nothing"


# -- loading ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def places(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "OUTPUTS", tmp_path / "outputs")
    monkeypatch.setattr(paths, "SCRATCH", tmp_path / "scratch")
    return tmp_path


def save(path, network, name, **settings):
    save_weights(
        path,
        network,
        Objective(name, ab_bins(), torch.ones(313) if name == "rebalanced" else None),
        **settings,
    )


def test_load_takes_the_settings_of_the_file_and_options_over_them(tmp_path, tiny_network):
    path = tmp_path / "w.safetensors"
    save(path, tiny_network(), "classification", short_side=48)
    loaded, changed = (
        Colorizer.load(path),
        Colorizer.load(path, short_side=96, decoding="mode", temperature=0.5),
    )
    assert (loaded.objective, loaded.short_side, loaded.decoding, loaded.temperature) == (
        "classification",
        48,
        "annealed",
        0.38,
    )
    assert (changed.short_side, changed.decoding, changed.temperature) == (96, "mode", 0.5)
    assert loaded.origin == str(path)
    photo = picture(30, 40)
    assert np.array_equal(
        loaded.colorize(photo), Colorizer(tiny_network(), ab_bins(), "classification", short_side=48).colorize(photo)
    )


def test_none_means_as_the_file_says(tmp_path, tiny_network):
    path = tmp_path / "w.safetensors"
    save(path, tiny_network(), "classification", colorize={"decoding": "mode", "temperature": 0.2, "guided": True})
    model = Colorizer.load(path, decoding=None, temperature=None, guided=None, short_side=None)
    assert (model.decoding, model.temperature, model.guided, model.short_side) == ("mode", 0.2, True, 64)
    assert Colorizer.load(path, guided=False, temperature=1.0).guided is False
    assert model.header["objective"] == "classification"


def test_settings_are_given_by_name(tiny_network, bins):
    with pytest.raises(TypeError):
        Colorizer(tiny_network(), bins, "classification", 32)
    assert Colorizer(tiny_network(), bins, "classification", header={"step": 3}).header == {"step": 3}


@pytest.mark.parametrize("name", MODELS)
def test_the_models_that_come_along(name, places):
    """In half precision, small, with the bins' fingerprint; and without any pipeline run."""
    model = Colorizer.load(name)
    assert model.header["bins"] == fingerprint(ab_bins())
    assert model.objective == {"regression_finetuned": "regression", "encoder": "rebalanced"}.get(name, name)
    assert model.network.kind == ("encoder" if name == "encoder" else "paper")
    assert name in model.description and ("beyond the paper" in model.description) == (name == "encoder")
    kernels = [value for value in load_file(model.origin).values() if value.ndim == 4]
    assert kernels and all(kernel.dtype == torch.float16 for kernel in kernels)
    settings = model.header["settings"]
    assert Path(settings["initialization"]).name == settings["initialization"], "no folder of a machine"


def test_all_of_them_together_are_small_and_one_is_the_default():
    assert sum(file.stat().st_size for file in models_in(PRETRAINED).values()) < 30e6
    assert list(models_in(PRETRAINED)) == list(MODELS)
    assert Colorizer.load().description.startswith(f"{DEFAULT}: ")


def test_the_models_that_come_along_paint_photographs():
    """A photograph of their test data's kind, with known colours: nearer to them than gray is."""
    photo = open_source("bundled").read(Item("china"))
    true = torch.from_numpy(rgb8_to_lab(photo)[..., 1:].copy())
    for name in MODELS:
        found = torch.from_numpy(rgb8_to_lab(Colorizer.load(name).colorize(photo))[..., 1:].copy())
        assert auc(found, true) > auc(torch.zeros_like(true), true), name


def test_weights_with_other_bins_are_refused(tmp_path, tiny_network):
    path = tmp_path / "w.safetensors"
    save_weights(path, tiny_network(), Objective("classification", ab_bins().flip(0)))
    with pytest.raises(WeightsError, match="trained with ab bins .* but the bins here are"):
        Colorizer.load(path)


def test_models_of_a_run(places, tiny_network, monkeypatch):
    monkeypatch.setattr(paths, "READY", places / "nothing")
    with pytest.raises(FileNotFoundError, match="page 04"):
        trained_models()
    save(places / "outputs/models/rebalanced.safetensors", tiny_network(), "rebalanced")
    save(places / "outputs/models/regression.safetensors", tiny_network(2), "regression")
    assert list(trained_models()) == ["regression", "rebalanced"], "in the paper's order, those there are"


def test_by_hand_what_comes_along_stands_in_and_says_so(places, capsys):
    assert list(trained_models()) == ["regression", "classification", "rebalanced"]
    assert "come along" in capsys.readouterr().out
    with pytest.raises(FileNotFoundError, match="page 04"):
        trained_models(pipeline=True)


def test_a_short_training_by_hand_does_not_take_the_place_of_a_longer_one(places, tiny_network, capsys):
    mine = places / "scratch/models/classification.safetensors"
    save(mine, tiny_network(), "classification", step=60, settings={"batch": 16})
    assert trained_models()["classification"].origin != str(mine)
    assert "has seen 960 photographs" in capsys.readouterr().out
    save(mine, tiny_network(), "classification", step=600_000, settings={"batch": 16})
    assert trained_models()["classification"].origin == str(mine)
    save(places / "outputs/models/classification.safetensors", tiny_network(), "classification", step=1_000_000,
         settings={"batch": 16})  # fmt: skip
    os.utime(mine, (2e9, 2e9))
    assert trained_models()["classification"].origin.startswith(str(places / "outputs"))


def test_the_guided_filter_is_a_ridge_regression_in_every_window():
    """He and Sun's definition by brute force.

    It is scikit-learn's ridge regression of ab on lightness in each window, then the mean of all windows that hold
    a pixel.
    """
    from sklearn.linear_model import Ridge

    generator = torch.Generator().manual_seed(0)
    ab, lightness = 20 * torch.randn(2, 3, 4, generator=generator), 100 * torch.rand(12, 16, generator=generator)
    radius, epsilon = 2, 30.0
    rows, columns = interpolation(12, 3), interpolation(16, 4)
    fine = (rows @ ab @ columns.T).numpy()
    window = lambda y, x: (slice(max(0, y - radius), y + radius + 1), slice(max(0, x - radius), x + radius + 1))
    lines = np.zeros((4, 12, 16))  # the two offsets, the two slopes
    for y, x in np.ndindex(12, 16):
        light = lightness.numpy()[window(y, x)].ravel()
        ridge = Ridge(alpha=epsilon * light.size).fit(light[:, None], fine[:, *window(y, x)].reshape(2, -1).T)
        lines[:, y, x] = *ridge.intercept_, *ridge.coef_[:, 0]
    expected = np.zeros_like(lines)
    for y, x in np.ndindex(12, 16):
        expected[:, y, x] = lines[:, *window(y, x)].reshape(4, -1).mean(1)
    offset, slope = guided(ab, lightness, radius, epsilon)
    assert np.allclose(torch.cat((offset, slope)), expected, atol=2e-3)


@pytest.mark.parametrize("device", ["nonsense", "cuda" if not torch.cuda.is_available() else "cuda:99"])
def test_a_device_that_is_not_there_is_a_value_error(device):
    with pytest.raises(ValueError, match=f"device '{device}' cannot be used here"):
        Colorizer.load("regression", device=device)


@pytest.mark.parametrize("temperature", [-1, 0, float("nan")])
def test_a_temperature_that_is_none_is_a_value_error(temperature):
    with pytest.raises(ValueError, match="temperature must be positive"):
        Colorizer.load("rebalanced").colorize(np.zeros((16, 16, 3), np.uint8), temperature=temperature)


def test_the_coldest_temperatures_are_the_mode():
    model, photo = Colorizer.load("rebalanced"), np.arange(48 * 48, dtype=np.uint32).reshape(48, 48).astype(np.uint8)
    assert np.array_equal(model.colorize(photo, temperature=1e-300), model.colorize(photo, decoding="mode"))


@pytest.mark.parametrize(("mode", "converts"), [("I;16", False), ("F", False), ("LAB", True)])
def test_a_deep_pillow_image_is_not_to_be_converted(mode, converts):
    with pytest.raises(ValueError) as told:
        Colorizer.load("regression").colorize(Image.new(mode, (8, 8)))
    assert ("convert it" in str(told.value)) == converts
