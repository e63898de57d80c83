import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageOps

from fairdraw.data.decode import (
    MAX_PIXELS,
    Unreadable,
    canonical,
    decode,
    digest,
    fitted,
    over_white,
    probe,
    quiet,
    scale16,
    scale_float,
)
from fairdraw.data.options import Options

GREY = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
COLOUR = np.stack([GREY, 255 - GREY, np.full_like(GREY, 7)], axis=2)
ALPHA = np.where(np.arange(6) < 3, 255, 128).astype(np.uint8) * np.ones((4, 1), np.uint8)


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def raw_png(width, height, depth, colour, rows, extra=b""):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def colour_of(channels):
    return decode(encoded(Image.fromarray(channels)))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "WEBP"])
def test_the_lossless_formats_give_the_very_pixels(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    assert np.array_equal(decode(encoded(Image.fromarray(GREY), kind, **options))[..., 0], GREY)
    if kind != "GIF":
        assert np.array_equal(decode(encoded(Image.fromarray(COLOUR), kind, **options)), COLOUR)


def test_jpeg_is_decoded_in_full():
    data = encoded(Image.fromarray(COLOUR), "JPEG")
    assert np.array_equal(decode(data), np.asarray(Image.open(io.BytesIO(data))))


def test_one_bit_and_palette():
    bits = Image.fromarray(GREY > 100)
    assert bits.mode == "1"
    assert np.array_equal(decode(encoded(bits))[..., 0], np.where(GREY > 100, 255, 0))
    palette = Image.fromarray(COLOUR).quantize(24)
    assert np.array_equal(decode(encoded(palette)), np.asarray(palette.convert("RGB")))


def test_a_palette_with_a_transparent_entry_is_laid_over_white():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0, 1])
    data = encoded(image, transparency=1)
    assert fitted(decode(data), 3, Options()).transpose(1, 2, 0).tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_half_transparent_palette_entries():
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 100, 100, 100])
    image.putdata([0, 1])
    data = encoded(image, transparency=bytes([128, 0]))
    assert fitted(decode(data), 1, Options())[0].tolist() == [[127, 255]]


def test_alpha_over_white_is_rounded():
    rgba = np.dstack([COLOUR, ALPHA])
    for array in (rgba, np.dstack([GREY, ALPHA])):
        colour, alpha = array[..., :-1].astype(float), array[..., -1:] / 255
        expected = np.floor(colour * alpha + 255 * (1 - alpha) + 0.5)
        assert np.array_equal(over_white(array), expected)
    found = fitted(decode(encoded(Image.fromarray(rgba))), 3, Options()).transpose(1, 2, 0)
    assert np.array_equal(found, over_white(rgba))
    assert np.array_equal(fitted(decode(encoded(Image.fromarray(rgba))), 4, Options()).transpose(1, 2, 0), rgba)


def test_grey_and_colour_with_one_transparent_value():
    grey = raw_png(2, 1, 8, 0, bytes([0, 10, 20]), chunk(b"tRNS", struct.pack(">H", 20)))
    assert fitted(decode(grey), 1, Options())[0].tolist() == [[10, 255]]
    colour = raw_png(2, 1, 8, 2, bytes([0, 1, 2, 3, 4, 5, 6]), chunk(b"tRNS", struct.pack(">HHH", 4, 5, 6)))
    assert fitted(decode(colour), 3, Options()).transpose(1, 2, 0).tolist() == [[[1, 2, 3], [255, 255, 255]]]


def test_cmyk():
    image = Image.fromarray(COLOUR).convert("CMYK")
    for kind in ("TIFF", "JPEG"):
        data = encoded(image, kind)
        with Image.open(io.BytesIO(data)) as opened:
            assert opened.mode == "CMYK"
            assert np.array_equal(decode(data), np.asarray(opened.convert("RGB")))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_not_clipped(kind):
    values = np.array([[0, 128, 129, 300], [32768, 65000, 65406, 65535]], np.uint16)
    found = decode(encoded(Image.fromarray(values), kind))[..., 0]
    assert np.array_equal(found, np.rint(values / 257))


def test_sixteen_bit_colour_is_scaled_not_clipped():
    values = np.array([0, 257 * 3, 65535, 257 * 200, 257 * 17, 257 * 254], ">u2")
    assert decode(raw_png(2, 1, 16, 2, b"\0" + values.tobytes())).ravel().tolist() == [0, 3, 255, 200, 17, 254]


def test_scale16_is_the_rounded_quotient_everywhere():
    values = np.arange(65536, dtype=np.uint16)
    assert np.array_equal(scale16(values), np.rint(values / 257))


def test_floats_are_taken_only_where_their_range_is_known():
    values = np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 6)
    assert np.array_equal(decode(encoded(Image.fromarray(values), "TIFF"))[..., 0], np.rint(values.astype(float) * 255))
    for bad in (values * 2, values - 0.5, np.full_like(values, np.nan)):
        with pytest.raises(Unreadable, match="outside"):
            decode(encoded(Image.fromarray(bad), "TIFF"))
    assert scale_float(np.array([-1.0, 0.0, 1.0]), "signed").tolist() == [0, 128, 255]


def test_integers_of_unknown_range_are_refused():
    with pytest.raises(Unreadable, match="32-bit"):
        decode(encoded(Image.fromarray(GREY.astype(np.int32)), "TIFF"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_their_camera_says(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(Image.fromarray(COLOUR), kind, exif=exif, **options)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(decode(data), expected)
    assert (probe(data).height, probe(data).width) == expected.shape[:2]


def test_the_first_frame_of_an_animation():
    frames = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (9, 99, 199)]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert (decode(data) == 9).all()
        assert probe(data).frames > 1


def test_ten_thousand_frames_cost_one():
    one = encoded(Image.fromarray(GREY), "GIF")
    start = one.index(b",", 13 + 3 * 2 ** ((one[10] & 7) + 1))
    data = one[:start] + one[start:-1] * 10_000 + b";"
    assert probe(data).frames > 1
    assert np.array_equal(decode(data)[..., 0], GREY)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.98])
def test_truncated_files_are_refused(kind, share):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    with quiet(), pytest.raises(Unreadable):
        decode(data[: int(share * len(data))])


def test_a_png_without_its_end_is_truncated():
    with pytest.raises(Unreadable, match="truncated"):
        decode(encoded(Image.fromarray(COLOUR))[:-12])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"this is a text", "not a picture"),
        (encoded(Image.fromarray(COLOUR), "PPM"), "not a picture"),
        (encoded(Image.fromarray(COLOUR), "TGA"), "not a picture"),
        (encoded(Image.fromarray(COLOUR), "DDS"), "not a picture"),
        (encoded(Image.fromarray(COLOUR), "ICO"), "not a picture"),
        (encoded(Image.new("1", (60_000, 1))), "strip"),
        (encoded(Image.new("1", (1, 100_000))), "strip"),
        (encoded(Image.new("1", (8_000, 7_000))), "decompression bomb"),
        (raw_png(12_000, 12_000, 8, 2, b""), "decompression bomb"),
        (raw_png(60_000, 60_000, 8, 2, b""), "decompression bomb"),
        (raw_png(0, 0, 8, 2, b""), "not a picture|nothing to see"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_picture_is_refused_by_its_header(data, reason):
    with quiet():
        for read in (probe, decode):
            with pytest.raises(Unreadable, match=reason):
                read(data)


def test_damage_behind_the_header_is_found():
    text_bomb = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(50_000_000)))
    for data in (raw_png(4, 4, 8, 0, b""), raw_png(4, 4, 8, 0, b"\0" * 20, text_bomb)):
        with pytest.raises(Unreadable, match=r"damaged|truncated"):
            decode(data)


def test_bombs_are_refused_without_being_decoded(monkeypatch):
    def load(self):
        raise AssertionError("decoded")

    monkeypatch.setattr(Image.Image, "load", load)
    side = int(MAX_PIXELS**0.5) + 1
    with pytest.raises(Unreadable, match="bomb"):
        decode(raw_png(side, side, 1, 0, b""))


def test_pillows_warnings_stay_inside():
    palette = Image.new("P", (4, 4))
    data = encoded(palette, transparency=bytes(range(200)))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with quiet(), quiet():
            decode(data)
            with pytest.raises(Unreadable):
                decode(raw_png(12_000, 12_000, 8, 2, b""))
        assert not seen
        warnings.warn("still heard", stacklevel=1)
    assert len(seen) == 1


def test_one_pixel_is_a_picture():
    pixel = decode(encoded(Image.new("RGB", (1, 1), (1, 2, 3))))
    assert (fitted(pixel, 3, Options(size=8)) == np.array([1, 2, 3])[:, None, None]).all()


def test_canonical_keeps_only_what_can_be_seen():
    grey_in_colour = np.dstack([GREY, GREY, GREY])
    opaque = np.full((4, 6, 1), 255, np.uint8)
    for form in (GREY[..., None], grey_in_colour, np.dstack([GREY, opaque]), np.dstack([grey_in_colour, opaque])):
        assert np.array_equal(canonical(form), GREY[..., None])
    hidden = np.dstack([COLOUR, np.zeros((4, 6), np.uint8)])
    assert canonical(hidden).shape == (4, 6, 2)
    assert digest(canonical(hidden)) == digest(canonical(np.zeros_like(hidden)))


def test_equal_bytes_of_another_shape_are_another_picture():
    assert digest(GREY[..., None]) != digest(GREY.reshape(6, 4, 1))
    assert digest(np.zeros((2, 2, 3), np.uint8)) != digest(np.zeros((2, 6, 1), np.uint8))


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_the_same_pixels_have_one_digest_in_every_lossless_format(array):
    image = Image.fromarray(array)
    files = [encoded(image), encoded(image, "BMP"), encoded(image, "TIFF"), encoded(image.convert("RGBA"))]
    assert {digest(decode(data)) for data in files} == {digest(canonical(array))}
