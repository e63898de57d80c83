"""Pictures with all that their files hold: 16 bits, alpha, profiles, how the camera was held; and written again."""

import io
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from fairdraw.data.decode import Unreadable, bytes_of, decode
from fairdraw.data.exact import decode_exact, profile_for
from fairdraw.images import facts_of, save_exact

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
KINDS = {1: "gray16be", 2: "ya16be", 3: "rgb48be", 4: "rgba64be"}


def noise(channels: int, dtype: Any = np.uint16, height: int = 70, width: int = 9) -> np.ndarray:
    return np.random.default_rng(channels).integers(0, np.iinfo(dtype).max + 1, (height, width, channels), dtype)


def joined(data: bytes) -> np.ndarray:
    found = decode_exact(data)
    return found.pixels if found.alpha is None else np.dstack([found.pixels, found.alpha])


def written(tmp_path: Path, pixels: np.ndarray, profile: bytes | None = None) -> bytes:
    save_exact(tmp_path / "a.png", pixels, {"seed": 3}, machine_made=True, profile=profile)
    return (tmp_path / "a.png").read_bytes()


def by_ffmpeg(pixels: np.ndarray) -> bytes:
    """A 16-bit PNG by another program's encoder."""
    av = pytest.importorskip("av")
    height, width, channels = pixels.shape
    coder = av.CodecContext.create("png", "w")
    coder.width, coder.height, coder.pix_fmt, coder.time_base = width, height, KINDS[channels], Fraction(1)
    frame = av.VideoFrame(width, height, KINDS[channels])
    rows = np.zeros((height, frame.planes[0].line_size), np.uint8)
    rows[:, : 2 * width * channels] = pixels.astype(">u2").view(np.uint8).reshape(height, -1)
    frame.planes[0].update(rows.tobytes())
    frame.pts = 0
    return b"".join(bytes(packet) for packet in coder.encode(frame) + coder.encode(None))


def seen_by_ffmpeg(data: bytes, channels: int) -> np.ndarray:
    """A 16-bit PNG as another program's decoder reads it, `[H, W, C]`."""
    av = pytest.importorskip("av")
    with av.open(io.BytesIO(data), format="png_pipe") as file:
        (frame,) = file.decode(video=0)
    assert frame.format.name == KINDS[channels]
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(frame.height, plane.line_size)[:, : 2 * frame.width * channels]
    found: np.ndarray = np.ascontiguousarray(rows).view(">u2").reshape(frame.height, frame.width, channels)
    return found


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_are_read_to_the_last(channels: int) -> None:
    assert np.array_equal(joined(by_ffmpeg(noise(channels))), noise(channels))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_written_is_read_again(tmp_path: Path, channels: int, dtype: Any) -> None:
    pixels = noise(channels, dtype)
    data = written(tmp_path, pixels)
    found = joined(data)
    assert found.dtype == dtype
    assert np.array_equal(found, pixels)
    assert facts_of(tmp_path / "a.png") == {"seed": 3, "machine_made": True}
    assert b"trainedAlgorithmicMedia" in data
    decode(data)  # an ordinary picture too


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_other_programs_read_what_is_written(tmp_path: Path, channels: int) -> None:
    pixels = noise(channels)
    assert np.array_equal(seen_by_ffmpeg(written(tmp_path, pixels, SRGB), channels), pixels)


def test_a_smooth_picture_of_sixteen_bits_becomes_small(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:256, :256]
    smooth = np.dstack([rows * 200, columns * 200, (rows + columns) * 100]).astype(np.uint16)
    assert len(written(tmp_path, smooth)) < smooth.nbytes / 20


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_tiff_of_sixteen_bits_is_read_to_the_last(channels: int, byteorder: Any, compression: str | None) -> None:
    tifffile = pytest.importorskip("tifffile")
    file = io.BytesIO()
    extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    pixels = noise(channels)
    tifffile.imwrite(file, pixels, photometric="rgb", byteorder=byteorder, compression=compression, **extra)
    assert np.array_equal(joined(file.getvalue()), pixels)


def test_planes_of_a_tiff_that_would_be_cut_are_refused() -> None:
    tifffile = pytest.importorskip("tifffile")
    file = io.BytesIO()
    tifffile.imwrite(file, noise(3).transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    with pytest.raises(Unreadable, match="cannot be read in full; save as PNG"):
        decode_exact(file.getvalue())


def test_floats_become_sixteen_bits() -> None:
    file = io.BytesIO()
    values = np.linspace(0, 1, 60, dtype=np.float32).reshape(6, 10)
    Image.fromarray(values).save(file, "TIFF")
    assert np.array_equal(joined(file.getvalue())[..., 0], np.rint(values * 65535.0))
    file = io.BytesIO()
    Image.fromarray(values * 2).save(file, "TIFF")
    with pytest.raises(Unreadable, match="outside"):
        decode_exact(file.getvalue())


def test_whole_numbers_of_32_bits_have_no_range() -> None:
    file = io.BytesIO()
    Image.fromarray(np.arange(60, dtype=np.int32).reshape(6, 10)).save(file, "TIFF")
    with pytest.raises(Unreadable, match="32-bit integer pixels have no known range"):
        decode_exact(file.getvalue())


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB"])
def test_pictures_of_8_bits_are_those_that_are_learnt_from(mode: str) -> None:
    file = io.BytesIO()
    Image.fromarray(noise(4, np.uint8)).convert("RGB").convert(mode).save(file, "TIFF")
    found, expected = joined(file.getvalue()), decode(file.getvalue())
    if mode in ("LA", "RGBA"):
        found = found[..., :-1]  # nothing of it is transparent
    assert np.array_equal(np.broadcast_to(expected, found.shape), found)


def test_a_profile_is_kept_where_it_is_for_these_pixels(tmp_path: Path) -> None:
    for dtype in (np.uint8, np.uint16):
        assert decode_exact(written(tmp_path, noise(3, dtype), SRGB)).profile == SRGB
        assert decode_exact(written(tmp_path, noise(3, dtype))).profile is None
    file = io.BytesIO()
    Image.fromarray(noise(1, np.uint8)[..., 0]).save(file, "PNG", icc_profile=SRGB)
    assert decode_exact(file.getvalue()).profile is None
    assert profile_for(SRGB, 1) is None
    assert profile_for(SRGB, 3) == SRGB


@pytest.mark.parametrize("turn", range(1, 9))
def test_pictures_are_upright_with_their_alpha(turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    file = io.BytesIO()
    Image.fromarray(noise(4, np.uint8)).save(file, "PNG", exif=exif)
    expected = decode(file.getvalue())
    found = joined(file.getvalue())
    assert np.array_equal(found[..., 3], expected[..., 3])
    assert found.shape == ((70, 9, 4) if turn < 5 else (9, 70, 4))


def test_a_colour_that_stands_for_nothing_is_alpha(tmp_path: Path) -> None:
    pixels = noise(3)
    pixels[2, 5] = pixels[0, 0]
    data = bytearray(written(tmp_path, pixels))
    key = b"tRNS" + pixels[0, 0].astype(">u2").tobytes()
    place = data.index(b"iTXt") - 4
    data[place:place] = (6).to_bytes(4, "big") + key + zlib.crc32(key).to_bytes(4, "big")
    alpha = decode_exact(bytes(data)).alpha
    assert alpha is not None
    assert np.argwhere(alpha == 0).tolist() == [[0, 0], [2, 5]]
    assert set(alpha.ravel().tolist()) == {0, 65535}


def test_any_size_is_read_and_more_than_one_frame_noticed() -> None:
    file = io.BytesIO()
    Image.fromarray(noise(1, np.uint8, 1, 300)[..., 0]).save(file, "PNG")
    assert joined(file.getvalue()).shape == (1, 300, 1)
    file = io.BytesIO()
    frames = [Image.fromarray(noise(3, np.uint8) // (k + 1)) for k in range(3)]
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert decode_exact(file.getvalue()).frames == 2


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    data = written(tmp_path, noise(3))
    for broken, said in (
        (data[: len(data) // 2], "truncated|damaged"),
        (b"", "empty"),
        (b"no picture", "not a picture"),
    ):
        with pytest.raises(Unreadable, match=said):
            decode_exact(broken)
    (tmp_path / "cut.png").write_bytes(data[:-12])
    with pytest.raises(Unreadable, match="the end of the PNG is missing"):
        decode_exact(bytes_of(tmp_path / "cut.png"))
    with pytest.raises(Unreadable, match="no such file"):
        bytes_of(tmp_path / "nowhere.png")
