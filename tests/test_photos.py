"""Photographs in every mode and form, made here with Pillow, and broken ones: right pixels out, or PhotoError."""

import pickle
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zlib
from io import BytesIO

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from repro.datasets.deep import PhotoWarning
from repro.datasets.photographs import (
    PhotoError,
    center_square,
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
    photo = read_photo(encode(Image.fromarray(blocks()), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff rubbish"))
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
        assert read_photo(encode(image, "PNG", transparency=transparency)).tolist() == [[list(RED), list(WHITE)]]
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
    brightest = 4000 / 4095 if scale == 4000 else 1  # taken for twelve bits
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


# ---- what scanners, microscopes and telescopes write ----


def tiff(samples, **settings):
    buffer = BytesIO()
    settings = {"photometric": "minisblack", "metadata": None} | settings
    tifffile.imwrite(buffer, samples, **settings)
    return buffer.getvalue()


def read_as(samples, expected, told, **settings):
    """Reads it, and looks at whether a guess at its range was told, with the photograph's name."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        photo = read_photo(tiff(samples, **settings), "scan.tif")
    guesses = [str(warning.message) for warning in caught if warning.category is PhotoWarning]
    assert bool(guesses) == told and all(guess.startswith("scan.tif: ") for guess in guesses)
    assert np.abs(photo - np.broadcast_to(expected.reshape(*photo.shape[:2], -1), photo.shape)).max() <= 1
    return photo


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_fewer_bits_in_a_sixteen_bit_file(bits):
    """0 is black, and the first full scale that holds the brightest sample is white, told as the guess that it is."""
    most = 2**bits - 1
    read_as((RAMP * most).round().astype(np.uint16), RAMP * 255, told=bits < 16)
    read_as((RAMP * most * 0.9).round().astype(np.uint16), RAMP * 255 * 0.9, told=bits < 16)
    rgb = np.dstack((RAMP, RAMP[::-1], RAMP.T)) * most
    read_as(rgb.round().astype(np.uint16), rgb / most * 255, told=bits < 16, photometric="rgb")


def test_a_stated_full_scale_is_no_guess():
    dark = (RAMP * 900).round().astype(np.uint16)
    read_as(dark, RAMP * 900 / 4095 * 255, told=False, extratags=[(281, "H", 1, 4095, True)])
    read_as(dark, RAMP * 900 / 65535 * 255, told=False, extratags=[(281, "H", 1, 65535, True)])


@pytest.mark.parametrize("kind, most", [
    ("int8", 127), ("int16", 32767), ("int16", 4095), ("int32", 65535), ("int32", 2147483647), ("int32", 2_000_000_000),
    ("uint32", 255), ("uint32", 4095), ("uint32", 65535), ("uint32", 4294967295),
])  # fmt: skip
def test_other_integers(kind, most):
    """What fills its type is no guess."""
    read_as((RAMP * most).round().astype(kind), (RAMP * most).round() / most * 255, told=most != np.iinfo(kind).max)


@pytest.mark.parametrize("kind", ["int8", "int16", "int32"])
def test_integers_below_zero_go_from_the_darkest_to_the_brightest(kind):
    least, most = int(np.iinfo(kind).min), int(np.iinfo(kind).max)
    read_as((RAMP * (most - least) + least).clip(least, most - 1).astype(kind), RAMP * 255, told=True)
    read_as((RAMP * 100 - 60).round().astype(kind), (RAMP * 100).round() * 2.55, told=True)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
@pytest.mark.parametrize("low, high, white, told", [
    (0, 1, 1, False), (0, 1.02, 1, False), (0, 0.2, 1, False), (0, 256.5, 255, True), (0, 180, 255, True),
    (0, 4, 4, True), (0, 30, 30, True), (0, 3900, 4095, True), (0, 40_000, 65535, True),
])  # fmt: skip
def test_floats(kind, low, high, white, told):
    read_as((RAMP * high).astype(kind), (RAMP * high / white).clip(0, 1) * 255, told)


def test_floats_far_above_and_below():
    read_as((RAMP * 3e6).astype(np.float32), RAMP * 255, told=True)
    read_as((RAMP * 2 - 1).astype(np.float32), RAMP * 255, told=True)
    read_as((RAMP * 5 - 5).astype(np.float32), RAMP * 255, told=True)
    rgb = np.dstack((RAMP, RAMP[::-1], RAMP.T))
    read_as(rgb.astype(np.float32), rgb * 255, told=False, photometric="rgb")


@pytest.mark.parametrize("scale", [1e-45, 1e-38, 1e-10, 0.003, 1e30, 3e38])
def test_floats_of_any_size_are_seen(scale):
    """None of them comes out black, and the range is said to be a guess."""
    values = (np.array([[0, 0.25, 0.5, 1]] * 4) * scale).astype(np.float32)
    with pytest.warns(PhotoWarning, match="does not say its range"):
        gray = read_photo(tiff(values))[0, :, 0]
    assert gray[0] == 0 and gray[3] == 255 and (scale < 1e-44 or np.abs(gray[1:3] - np.array([64.0, 128])).max() <= 1)


@pytest.mark.parametrize("scale", [1e300, 1.7e308])
def test_doubles_beyond_32_bits(scale):
    with pytest.warns(PhotoWarning):
        assert read_photo(tiff(np.array([[-1, 0, 0.5, 1]]) * scale))[0, :, 0].tolist() == [0, 0, 128, 255]


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_floats_without_a_number_are_named(value, kind):
    with pytest.raises(PhotoError, match="bytes: none of its samples is a number"):
        read_photo(tiff(np.full((4, 4), value, kind)))


def test_separate_planes():
    for kind, most in ((np.uint8, 255), (np.uint16, 65535)):
        rgb = np.stack((RAMP, RAMP[::-1], RAMP.T))
        planes = (rgb * most).round().astype(kind)
        expected = np.moveaxis(rgb, 0, -1) * 255
        read_as(planes, expected, told=False, photometric="rgb", planarconfig="separate")
        read_as(
            planes, expected, told=False, photometric="rgb", planarconfig="separate", compression="zlib", predictor=True
        )


def test_white_is_zero_and_turned_in_sixteen_bits():
    samples = (RAMP * 65535).round().astype(np.uint16)
    read_as(samples, 255 - RAMP * 255, told=False, photometric="miniswhite")
    turned = read_photo(tiff(samples[:, :8], extratags=[(274, "H", 1, 6, True)]))
    assert turned.shape == (8, 16, 3)
    assert difference(turned, read_photo(tiff(np.rot90(samples[:, :8], -1)))) == 0


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_tiff_transparency_apart_and_multiplied_in(kind):
    most = 1 if kind is np.float32 else np.iinfo(kind).max
    cover = np.full((16, 16), 0.5)
    for colors, photometric in ((RAMP[..., None], "minisblack"), (np.dstack((RAMP, RAMP.T, RAMP)), "rgb")):
        expected = (colors * 0.5 + 0.5) * 255
        for extra, inside in (("unassalpha", colors), ("assocalpha", colors * 0.5)):
            samples = np.concatenate((inside, cover[..., None]), -1) * most
            samples = samples if kind is np.float32 else samples.round()
            photo = read_photo(
                tiff(samples.astype(kind), photometric=photometric, planarconfig="contig", extrasamples=[extra])
            )
            assert np.abs(photo - np.broadcast_to(expected, photo.shape)).max() <= 3, (extra, photometric)


def test_inks_of_sixteen_bits_and_with_transparency():
    inks = np.asarray(Image.fromarray(blocks()).convert("CMYK"))
    photo = read_photo(tiff(inks.astype(np.uint16) * 257, photometric="separated", planarconfig="contig"))
    assert difference(photo, blocks()) <= 2
    covered = np.dstack((inks, np.full(inks.shape[:2], 255, np.uint8)))
    covered[:16, :16, 4] = 0
    photo = read_photo(tiff(covered, photometric="separated", planarconfig="contig", extrasamples=["unassalpha"]))
    expected = blocks()
    expected[:16, :16] = 255
    assert difference(photo, expected) <= 2


def test_what_a_tiff_cannot_be_read_for_is_said():
    """Whole files are called neither broken nor no photograph: their kind is named."""
    five = np.zeros((16, 16, 5), np.uint8)
    packed = tiff_of_bits(14)
    whole = {"5 channels of 8 bits": tiff(five, planarconfig="contig"), "14 bits unsigned": packed,
             "2 channels of 8 bits": tiff(five[..., :2], planarconfig="contig"),
             "16 bits": lzw_of_sixteen_bit_planes()}  # fmt: skip
    for words, data in whole.items():
        with pytest.raises(PhotoError, match=f"scan.tif: a TIFF of .*{words}.* cannot be read.*save it as") as caught:
            read_photo(data, "scan.tif")
        assert "broken" not in caught.value.reason and "not a photograph" not in caught.value.reason


def tiff_of_bits(bits, width=16, height=16):
    """A gray TIFF of zeros, packed so many bits a sample, written by hand."""
    data = bytes(height * (width * bits + 7) // 8)
    tags = [
        (256, 3, width),
        (257, 3, height),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 3, height),
        (279, 4, len(data)),
    ]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(tags)) + entries + bytes(4)


def lzw_of_sixteen_bit_planes():
    """The same file, but for the tag that says how it is packed (5: LZW)."""
    data = tiff(np.zeros((3, 16, 16), np.uint16), photometric="rgb", planarconfig="separate")
    return data.replace(struct.pack("<HHII", 259, 3, 1, 1), struct.pack("<HHII", 259, 3, 1, 5))


@pytest.mark.parametrize("bits", [12, 16])
def test_what_only_pillow_unpacks(bits):
    """Gray of twelve bits packed, and of sixteen with LZW as scanners write it."""
    if bits == 12:
        assert (read_photo(tiff_of_bits(12)) == 0).all()
    else:
        image = Image.fromarray((RAMP * 65535).round().astype(np.uint16))
        photo = read_photo(encode(image, "TIFF", compression="tiff_lzw"))
        assert np.abs(photo[..., 0] - RAMP * 255).max() <= 1


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_deep_files_cut_off_are_named(share, compression):
    noise = np.random.default_rng(0).integers(0, 65536, (64, 64), dtype=np.uint16)
    data = tiff(noise, compression=compression)
    with pytest.raises(PhotoError):
        read_photo(data[: int(len(data) * share)])


# ---- PNG's own ways ----


def png(rows, width, depth, color, *chunks):
    """A PNG by hand: rows of bytes, colour type (0 gray, 2 RGB) and more chunks (name, data)."""
    pack = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    header = struct.pack(">IIBBBBB", width, len(rows), depth, color, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = (b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(pack(*part) for part in parts)


@pytest.mark.parametrize("depth, row, key, kept", [
    (1, bytes([0b01000000]), (1,), 0), (2, bytes([0b01110000]), (3,), 85), (4, bytes([0x1F]), (15,), 17),
    (8, bytes([17, 200]), (200,), 17), (16, struct.pack(">HH", 17 * 257, 60000), (60000,), 17),
])  # fmt: skip
def test_the_transparent_gray_of_every_depth(depth, row, key, kept):
    data = png([row], 2, depth, 0, (b"tRNS", struct.pack(">H", *key)))
    assert read_photo(data)[0, :, 0].tolist() == [kept, 255]


def test_the_transparent_colour_of_sixteen_bits():
    row = struct.pack(">6H", 257, 514, 771, 60000, 60001, 60002)
    data = png([row], 2, 16, 2, (b"tRNS", struct.pack(">3H", 60000, 60001, 60002)))
    assert read_photo(data)[0].tolist() == [[1, 2, 3], [255, 255, 255]]


def test_png_gamma():
    """.1 of the light is sRGB 89.0 (.3492 * 255), written as .1 with gamma 1, and as .1 ** .55 with gamma .55."""
    for gamma in (1.0, 0.55):
        chunk = b"gAMA", struct.pack(">I", round(gamma * 100_000))
        gray, deep = round(255 * 0.1**gamma), round(65535 * 0.1**gamma)
        for data in (
            png([bytes([gray] * 3)], 1, 8, 2, chunk),
            png([bytes([gray])], 1, 8, 0, chunk),
            png([struct.pack(">H", deep)], 1, 16, 0, chunk),
        ):
            assert np.abs(read_photo(data).astype(int) - 89).max() <= 2
    srgb = b"sRGB", b"\0"
    assert read_photo(png([bytes([26])], 1, 8, 0, srgb, (b"gAMA", struct.pack(">I", 100_000))))[0, 0, 0] == 26
    usual = b"gAMA", struct.pack(">I", 45455)
    assert read_photo(png([bytes(range(256))], 256, 8, 0, usual))[0, :, 0].tolist() == list(range(256))


def test_an_alpha_that_nobody_filled_in_is_none():
    rgba = np.dstack((blocks(), np.zeros(blocks().shape[:2], np.uint8)))
    for format, settings in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})):
        assert difference(read_photo(encode(Image.fromarray(rgba), format, **settings)), blocks()) == 0
    rgba[0, 0, 3] = 1
    assert (read_photo(encode(Image.fromarray(rgba), "PNG"))[1:] == 255).all()


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
    swapped = icc_profile(b"RGB ", swapped | WHITE_POINT | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma_curve(2.2)))
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
    """A print profile (8-bit table from ink to Lab) in which any ink turns white paper red, and all inks black."""
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
    assert difference(read_photo(encode(Image.fromarray(blocks()), "PNG", icc_profile=profile)), blocks()) <= 1


# ---- what cannot be read ----


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP"])
def test_truncated_files_are_named(format, share, tmp_path):
    data = encode(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)), format)
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


@pytest.mark.parametrize("kind", ["int16", "uint16", "float32", "float64"])
@pytest.mark.parametrize("side, channels", [(60_000, 1), (20_000, 1), (9_000, 60)])
def test_a_deep_tiff_says_its_size_before_anything_is_unpacked(kind, side, channels):
    """A file of some hundred bytes whose header speaks of gigabytes."""
    buffer = BytesIO()
    extra = (
        {"photometric": "rgb", "planarconfig": "contig", "extrasamples": [0] * (channels - 3)} if channels > 1 else {}
    )
    tifffile.imwrite(buffer, np.zeros((8, 8, channels)[: 2 + (channels > 1)], kind), **extra)
    data = bytearray(buffer.getvalue())
    with tifffile.TiffFile(BytesIO(data)) as tiff:
        places = [tiff.pages[0].tags[name].valueoffset for name in ("ImageWidth", "ImageLength", "RowsPerStrip")]
    for place in places:
        data[place : place + 4] = side.to_bytes(4, "little")
    with pytest.raises(PhotoError, match="refused: .* megapixels is more than the 179 allowed"):
        tracemalloc.start()
        try:
            read_photo(bytes(data))
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 20_000_000


def test_pillows_warnings_stay_off_the_screen(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 48 * 64 - 1)  # just inside the zone where Pillow only warns
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
    encode(Image.fromarray(blocks(16, 16, 8)), format) for format in ("JPEG", "PNG", "TIFF", "GIF", "WEBP", "BMP")
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
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(sample)), st.integers(0, 255)), max_size=4)):
        damaged[place : place + 1] = bytes([value])
    reads_or_raises(bytes(damaged))


# ---- looking and resizing ----


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


@pytest.mark.usefixtures("unchecked")
def test_resizing_names_the_wrong_array():
    for wrong in (np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ValueError, match="uint8"):
            center_square(wrong, 8)
    with pytest.raises(ValueError, match="1 pixel"):
        resize_short(blocks(), 0)
