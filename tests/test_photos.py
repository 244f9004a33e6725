"""Photographs in every mode and form, made here with Pillow, and broken ones: right pixels out, or
PhotoError."""

import pickle
import struct
import subprocess
import sys
import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from repro.datasets.photographs import (
    PHOTO_SUFFIXES,
    PhotoError,
    center_square,
    find_photos,
    is_colorful,
    read_photo,
    resize_short,
)
from repro.examples import has_color, true_ab

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encode(image, format, **settings):
    buffer = BytesIO()
    image.save(buffer, format, **settings)
    return buffer.getvalue()


def blocks(height=48, width=64, block=16):
    """A picture whose corners differ, of flat blocks that JPEG keeps: uint8 (H, W, 3)."""
    colors = np.random.default_rng(0).integers(0, 256, (height // block, width // block, 3), dtype=np.uint8)
    return colors.repeat(block, 0).repeat(block, 1)


def difference(one, other):
    assert one.shape == other.shape and one.dtype == np.uint8
    return np.abs(one.astype(int) - other.astype(int)).max()


# ---- forms ----


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP", "PPM"])
def test_lossless_formats_keep_every_pixel(format):
    assert difference(read_photo(encode(Image.fromarray(blocks()), format)), blocks()) == 0


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "AVIF", "JPEG2000", "MPO"])
def test_lossy_formats_come_close(format):
    settings = {"quality": 95, "subsampling": 0} if format == "JPEG" else {}
    photo = read_photo(encode(Image.fromarray(blocks()), format, **settings))
    assert photo.shape == blocks().shape
    assert np.abs(photo.astype(int) - blocks()).mean() < 6


# EXIF orientation -> the stored picture of an upright one; where its row 0 and column 0 lie (EXIF 2.3, 4.6.4)
STORED = {
    1: lambda up: up,  # top, left
    2: lambda up: up[:, ::-1],  # top, right
    3: lambda up: up[::-1, ::-1],  # bottom, right
    4: lambda up: up[::-1],  # bottom, left
    5: lambda up: up.transpose(1, 0, 2),  # left, top
    6: lambda up: up.transpose(1, 0, 2)[::-1],  # right, top
    7: lambda up: up.transpose(1, 0, 2)[::-1, ::-1],  # right, bottom
    8: lambda up: up.transpose(1, 0, 2)[:, ::-1],  # left, bottom
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied(orientation, format):
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](blocks())))
    exif = Image.Exif()
    exif[0x0112] = orientation
    settings = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}.get(format, {})
    photo = read_photo(encode(stored, format, exif=exif, **settings))
    assert difference(photo, blocks()) <= 8


def test_broken_exif_does_not_cost_the_photograph():
    photo = read_photo(
        encode(Image.fromarray(blocks()), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff rubbish")
    )
    assert photo.shape == blocks().shape


def test_cmyk_in_plain_form_and_inverted_as_adobe_has_it():
    cmyk = Image.fromarray(blocks()).convert("CMYK")
    jpeg = encode(cmyk, "JPEG", quality=95)
    assert b"Adobe" in jpeg
    for data in (jpeg, encode(cmyk, "TIFF")):
        assert difference(read_photo(data), blocks()) <= 12


def test_palette_with_transparency_is_put_on_white():
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *GREEN])
    image.putdata([0, 1])
    for transparency in (1, bytes([255, 0])):
        assert read_photo(encode(image, "PNG", transparency=transparency)).tolist() == [
            [list(RED), list(WHITE)]
        ]
    assert read_photo(encode(image, "PNG")).tolist() == [[list(RED), list(GREEN)]]


def test_alpha_is_composited_on_white():
    rgba = Image.new("RGBA", (4, 4), (200, 100, 0, 128))
    assert np.abs(read_photo(encode(rgba, "PNG"))[0, 0].astype(int) - (227, 177, 127)).max() <= 1
    gray = Image.new("LA", (4, 4), (0, 64))
    assert np.abs(read_photo(encode(gray, "PNG"))[0, 0].astype(int) - 191).max() <= 1
    rgb = Image.new("RGB", (4, 4), GREEN)
    assert (read_photo(encode(rgb, "PNG", transparency=GREEN)) == 255).all()


RAMP = np.linspace(0, 1, 256).reshape(16, 16)


@pytest.mark.parametrize("scale", [1.0, 255.0, 65535.0, 4000.0])
def test_float_gray_is_scaled_not_clipped(scale):
    photo = read_photo(encode(Image.fromarray((RAMP * scale).astype(np.float32)), "TIFF"))
    brightest = 4000 / 65535 if scale == 4000 else 1  # taken for sixteen bits: dark, as it would be there
    assert np.abs(photo[..., 0] - RAMP * 255 * brightest).max() <= 1
    assert (photo[..., 0] == photo[..., 2]).all()


def test_float_gray_survives_nan_and_infinity():
    values = np.array([[np.nan, np.inf, -np.inf, -3, 0.5, 1]], dtype=np.float32)
    assert read_photo(encode(Image.fromarray(values), "TIFF"))[0, :, 0].tolist() == [0, 0, 0, 0, 128, 255]


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bit_gray_is_scaled_not_clipped(format):
    image = Image.fromarray((RAMP * 65535).round().astype(np.uint16))
    assert np.abs(read_photo(encode(image, format))[..., 0] - RAMP * 255).max() <= 1


def test_thirty_two_bit_and_big_endian_gray():
    for values in (RAMP * 255, RAMP * 65535, RAMP * 2e9):
        photo = read_photo(encode(Image.fromarray(values.astype(np.int32)), "TIFF"))
        assert np.abs(photo[..., 0] - RAMP * 255).max() <= 1.01
    pgm = b"P5 16 16 65535\n" + (RAMP * 65535).round().astype(">u2").tobytes()
    assert np.abs(read_photo(pgm)[..., 0] - RAMP * 255).max() <= 1


def test_sixteen_bit_scan_whose_white_is_zero():
    image = Image.fromarray((RAMP * 65535).round().astype(np.uint16))
    photo = read_photo(encode(image, "TIFF", tiffinfo={262: 0}))
    assert np.abs(photo[..., 0] - (255 - RAMP * 255)).max() <= 1


def test_one_bit():
    bits = np.indices((8, 8)).sum(0) % 2 == 0
    for format in ("PNG", "TIFF"):
        photo = read_photo(encode(Image.fromarray(bits), format))
        assert (photo == np.where(bits, 255, 0)[..., None]).all()


def test_lab_tiff():
    lab = ImageCms.applyTransform(
        Image.fromarray(blocks()),
        ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"),
    )
    photo = read_photo(encode(lab, "TIFF"))
    assert difference(photo, blocks()) <= 16  # eight bits of Lab are coarse in saturated colours
    assert np.abs(photo.astype(int) - blocks()).mean() < 2


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_several(format):
    frames = [Image.new("RGB", (8, 6), color) for color in (RED, GREEN, BLUE)]
    settings = {"lossless": True} if format == "WEBP" else {}
    photo = read_photo(encode(frames[0], format, save_all=True, append_images=frames[1:], **settings))
    assert photo.shape == (6, 8, 3)
    assert (photo == RED).all()


# ---- colour profiles ----


def icc_profile(space, tags, device=b"mntr", connection=b"XYZ "):
    """A minimal ICC 2 profile, from tags {signature: data}."""
    table, data, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for signature, content in tags.items():
        table += struct.pack(">4sII", signature, start + len(data), len(content))
        data += content + b"\0" * (-len(content) % 4)
    kind = (0x02400000, device, space, connection, b"", b"acsp")
    header = struct.pack(">I4sI4s4s4s12s4s", start + len(data), b"", *kind)
    header += b"\0" * 28 + struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)  # the D50 white of every profile
    return header.ljust(128, b"\0") + table + data


def xyz(*values):
    return b"XYZ \0\0\0\0" + struct.pack(">iii", *(round(value * 65536) for value in values))


def gamma_curve(gamma):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


SRGB_COLUMNS = {
    b"rXYZ": xyz(0.4361, 0.2225, 0.0139),
    b"gXYZ": xyz(0.3851, 0.7169, 0.0971),
    b"bXYZ": xyz(0.1431, 0.0606, 0.7141),
}
WHITE_POINT = {b"wtpt": xyz(0.9642, 1, 0.8249)}


def test_rgb_profile_is_converted_to_srgb():
    linear = icc_profile(
        b"RGB ", SRGB_COLUMNS | WHITE_POINT | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma_curve(1.0))
    )
    photo = read_photo(encode(Image.new("RGB", (4, 4), (55, 55, 55)), "PNG", icc_profile=linear))
    assert np.abs(photo.astype(int) - 128).max() <= 2  # 55/255 of the light is sRGB 128
    swapped = SRGB_COLUMNS | {b"rXYZ": SRGB_COLUMNS[b"bXYZ"], b"bXYZ": SRGB_COLUMNS[b"rXYZ"]}
    swapped = icc_profile(
        b"RGB ", swapped | WHITE_POINT | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma_curve(2.2))
    )
    for mode, color in (("RGB", RED), ("RGBA", (*RED, 255))):
        photo = read_photo(encode(Image.new(mode, (4, 4), color), "PNG", icc_profile=swapped))
        assert np.abs(photo[0, 0].astype(int) - BLUE).max() <= 6


def test_gray_profile_is_converted_to_srgb():
    linear = icc_profile(b"GRAY", WHITE_POINT | {b"kTRC": gamma_curve(1.0)})
    photo = read_photo(encode(Image.new("L", (4, 4), 55), "PNG", icc_profile=linear))
    assert np.abs(photo.astype(int) - 128).max() <= 2
    sixteen = Image.fromarray(np.full((4, 4), 55 * 257, dtype=np.uint16))
    assert np.abs(read_photo(encode(sixteen, "PNG", icc_profile=linear)).astype(int) - 128).max() <= 2


def test_cmyk_profile_is_converted_to_srgb():
    """A print profile (8-bit table from ink to Lab) in which any ink turns white paper red, and all inks
    black."""
    paper, red, black = (
        (255, 128, 128),
        (136, 128 + 80, 128 + 67),
        (0, 128, 128),
    )  # L * 2.55, a + 128, b + 128
    table = bytes(paper) + bytes(red) * 14 + bytes(black)  # 2 x 2 x 2 x 2 grid
    straight = bytes(range(256))
    identity = struct.pack(">9i", *(65536, 0, 0, 0, 65536, 0, 0, 0, 65536))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + straight * 4 + table + straight * 3
    profile = icc_profile(b"CMYK", WHITE_POINT | {b"A2B0": lut}, device=b"prtr", connection=b"Lab ")
    for inks, expected in (((0, 0, 0, 0), WHITE), ((255, 0, 0, 0), RED)):
        for format in ("JPEG", "TIFF"):
            photo = read_photo(encode(Image.new("CMYK", (8, 8), inks), format, icc_profile=profile))
            assert np.abs(photo[0, 0].astype(int) - expected).max() <= 12


@pytest.mark.parametrize("profile", [b"rubbish", b"\0" * 200, icc_profile(b"CMYK", WHITE_POINT)])
def test_useless_profile_falls_back_to_the_plain_pixels(profile):
    for image in (Image.fromarray(blocks()), Image.fromarray(blocks()).convert("L")):
        expected = np.array(image.convert("RGB"))
        assert difference(read_photo(encode(image, "PNG", icc_profile=profile)), expected) == 0


def test_srgb_profile_changes_next_to_nothing():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert (
        difference(read_photo(encode(Image.fromarray(blocks()), "PNG", icc_profile=profile)), blocks()) <= 1
    )


# ---- what cannot be read ----


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP"])
def test_truncated_files_are_named(format, share, tmp_path):
    data = encode(
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)), format
    )
    path = tmp_path / f"cut.{format.lower()}"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(PhotoError) as caught:
        read_photo(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("data, reason", [
    (b"", "empty"),
    (b"not a picture at all", "not a photograph"),
    (b"\xff\xd8\xff", "not a photograph"),
    (b"\0\0\0\x18ftypheic" + b"\0" * 100, "HEIC"),
    (b"P6 0 5 255\n", "not a photograph"),
    (b"P6 5 5 255\n", "broken"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "not a photograph"),
])  # fmt: skip
def test_reason_says_what_is_wrong(data, reason):
    with pytest.raises(PhotoError, match=reason) as caught:
        read_photo(data, "holiday.jpg")
    assert caught.value.name == "holiday.jpg" and reason in caught.value.reason


def test_missing_file_and_folder(tmp_path):
    for path in (tmp_path / "none.jpg", tmp_path, "zero\0byte.jpg"):
        with pytest.raises(PhotoError, match="cannot be opened"):
            read_photo(path)


def png_header(width, height):
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


def test_decompression_bomb_is_refused():
    with pytest.raises(PhotoError, match="refused: 10,000 megapixels is more than the 179 allowed"):
        read_photo(png_header(100_000, 100_000) + b"\0\0\1\0IDAT" + b"\0" * 100)


def test_pillows_warnings_stay_off_the_screen(tmp_path, monkeypatch):
    monkeypatch.setattr(
        Image, "MAX_IMAGE_PIXELS", 48 * 64 - 1
    )  # just inside the zone where Pillow only warns
    assert read_photo(encode(Image.fromarray(blocks()), "PNG")).shape == (48, 64, 3)
    (tmp_path / "odd.jpg").write_bytes(
        encode(Image.fromarray(blocks()), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0rubbish")
    )
    program = (
        "import sys, warnings; from PIL import Image; from repro.datasets.photographs import read_photo\n"
        "Image.MAX_IMAGE_PIXELS = 3000; read_photo(sys.argv[1])\n"
        "warnings.simplefilter('always'); read_photo(sys.argv[1])"
    )
    run = subprocess.run(
        [sys.executable, "-W", "always", "-c", program, tmp_path / "odd.jpg"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "PIL" not in run.stderr and "Warning" not in run.stdout


def test_error_survives_pickling():
    error = pickle.loads(pickle.dumps(PhotoError("a.jpg", "broken")))
    assert (str(error), error.name, error.reason) == ("a.jpg: broken", "a.jpg", "broken")


SAMPLES = [
    encode(Image.fromarray(blocks(16, 16, 8)), format)
    for format in ("JPEG", "PNG", "TIFF", "GIF", "WEBP", "BMP")
]


def reads_or_raises(data):
    try:
        photo = read_photo(data)
    except PhotoError as error:
        assert error.reason
    else:
        assert photo.dtype == np.uint8 and photo.ndim == 3 and photo.shape[2] == 3


@given(st.binary(max_size=200), st.sampled_from([b"", *(sample[:12] for sample in SAMPLES), b"P6 3 3 255\n"]))
def test_random_bytes_raise_nothing_else(data, start):
    reads_or_raises(start + data)


@given(st.data(), st.sampled_from(SAMPLES))
def test_damaged_files_raise_nothing_else(data, sample):
    damaged = bytearray(sample[: data.draw(st.integers(0, len(sample)))])
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(sample)), st.integers(0, 255)), max_size=4)
    ):
        damaged[place : place + 1] = bytes([value])
    reads_or_raises(bytes(damaged))


# ---- looking, resizing, finding ----


def test_is_colorful_follows_the_released_rule():
    gray = np.full((16, 16, 3), 120, dtype=np.uint8)
    assert not is_colorful(gray)
    assert is_colorful(blocks())
    gray[8, 8] = RED
    assert is_colorful(gray)  # one pixel of the grid is enough
    gray[8, 8], gray[9, 9] = 120, RED
    assert not is_colorful(gray)  # off the grid: every 4th pixel is looked at
    faint = np.full((8, 8, 3), (120, 118, 116), dtype=np.uint8)
    assert not is_colorful(faint) and has_color(true_ab(faint[None]), threshold=0.5).all()


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 40))
def test_resizing_gives_the_stated_shape(height, width, side):
    photo = np.zeros((height, width, 3), dtype=np.uint8)
    resized = resize_short(photo, side)
    assert min(resized.shape[:2]) == side
    long, short = max(height, width), min(height, width)
    assert abs(max(resized.shape[:2]) - long * side / short) <= 0.5
    assert center_square(photo, side).shape == (side, side, 3)


def test_center_square_is_the_middle_of_the_shortened_photograph():
    gradient = np.indices((120, 200)).transpose(1, 2, 0).astype(np.uint8)
    photo = np.dstack([gradient, gradient[..., :1]])
    expected = resize_short(photo, 30)[:, 10:40]
    assert difference(center_square(photo, 30), expected) <= 2
    assert center_square(np.zeros((1, 100_000, 3), np.uint8), 64).shape == (64, 64, 3)


def test_resizing_averages_instead_of_skipping():
    checkers = np.indices((64, 64)).sum(0)[..., None].repeat(3, 2) % 2 * 255
    assert np.abs(center_square(checkers.astype(np.uint8), 8).astype(int) - 127).max() <= 8


def test_resizing_names_the_wrong_array():
    for wrong in (np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ValueError, match="uint8"):
            center_square(wrong, 8)
    with pytest.raises(ValueError, match="1 pixel"):
        resize_short(blocks(), 0)


def test_find_photos(tmp_path):
    wanted = ["a/2.JPG", "a/deep/3.tiff", "b.png", "ünï.webp"]
    for name in [*wanted, "notes.txt", ".hidden.jpg", ".thumbs/1.jpg", "a/.git/4.jpg"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_photos(tmp_path) == sorted(tmp_path / name for name in wanted)
    given_file = tmp_path / "notes.txt"
    assert find_photos([given_file, tmp_path / "a", str(tmp_path / "a" / "2.JPG")]) == [
        given_file, tmp_path / "a/2.JPG", tmp_path / "a/deep/3.tiff"
    ]  # fmt: skip
    with pytest.raises(FileNotFoundError, match="nowhere"):
        find_photos([tmp_path, tmp_path / "nowhere"])
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in PHOTO_SUFFIXES)


def test_find_photos_survives_a_link_that_leads_back(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.jpg").touch()
    try:
        (tmp_path / "a/back").symlink_to(tmp_path, target_is_directory=True)
    except OSError:
        pytest.skip("links are not allowed here")
    assert find_photos(tmp_path) == [tmp_path / "a/1.jpg"]
