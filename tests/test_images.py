"""Images at the border: levels, sheets, and pictures that say what they are."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fairdraw.errors import InputError
from fairdraw.images import (
    GAP,
    MACHINE_MADE,
    SMALL,
    facts_of,
    make_folder,
    picture,
    save_png,
    sheet,
    to_signed,
    to_uint8,
)

MODES = {1: "L", 3: "RGB", 4: "RGBA"}


# Levels


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_all_levels_come_back(dtype: torch.dtype) -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    x = to_signed(levels, dtype)
    assert x.dtype == dtype
    assert torch.equal(to_uint8(x), levels)


def test_ends_and_middle_of_the_scale() -> None:
    x = to_signed(torch.tensor([0, 255, 51], dtype=torch.uint8), torch.float64)
    assert x.tolist() == pytest.approx([-1, 1, -0.6], abs=1e-15)


def test_signed_images_do_not_change_their_source() -> None:
    levels = torch.tensor([[7, 200]], dtype=torch.uint8)
    to_signed(levels)
    assert levels.tolist() == [[7, 200]]


def test_rounding_is_to_the_nearest_level_and_outside_is_clipped() -> None:
    step = 2 / 255
    x = torch.tensor([-1 + 0.49 * step, -1 + 0.51 * step, 1 - 0.49 * step, -7.0, 7.0, -1.001, 1.001, float("inf")])
    assert to_uint8(x).tolist() == [0, 1, 255, 0, 255, 0, 255, 255]


def test_half_precision_images_are_within_a_level() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    for dtype in (torch.float16, torch.bfloat16):
        difference = to_uint8(to_signed(levels).to(dtype)).int() - levels.int()
        assert difference.abs().max() <= 1


# Sheets


def numbered(count: int, channels: int, height: int, width: int) -> np.ndarray:
    """Images that differ in every pixel from one another."""
    values = np.arange(count * channels * height * width) % 251
    return values.astype(np.uint8).reshape(count, channels, height, width)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("count", "columns"), [(1, 1), (6, 3), (7, 3), (2, 5)])
@pytest.mark.parametrize(("height", "width"), [(5, 7), (28, 28), (64, 40), (100, 70)])
def test_every_pixel_of_a_sheet(channels: int, count: int, columns: int, height: int, width: int) -> None:
    images = numbered(count, channels, height, width)
    made = sheet(images, columns)
    assert made.mode == MODES[channels]
    factor = max(1, SMALL // max(height, width))
    down, across = height * factor + GAP, width * factor + GAP
    rows = -(-count // columns)
    assert made.size == (columns * across + GAP, rows * down + GAP)

    pixels = np.asarray(made).reshape(made.height, made.width, channels)
    expected = np.full_like(pixels, 255)
    for index in range(count):
        row, column = divmod(index, columns)
        for y in range(height * factor):
            line = images[index, :, y // factor, :].T.repeat(factor, axis=0)
            left = GAP + column * across
            expected[GAP + row * down + y, left : left + width * factor] = line
    assert np.array_equal(pixels, expected)


def test_sheet_takes_tensors_as_well() -> None:
    images = numbered(4, 3, 6, 6)
    assert sheet(torch.from_numpy(images), 2).tobytes() == sheet(images, 2).tobytes()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_picture_of_one_image(channels: int) -> None:
    image = numbered(1, channels, 3, 5)[0]
    made = picture(image)
    assert (made.mode, made.size) == (MODES[channels], (5, 3))
    for c in range(channels):
        assert np.array_equal(np.asarray(made).reshape(3, 5, channels)[..., c], image[c])


# What a picture says of itself


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_machine_made_picture_says_so_in_its_xmp_packet(tmp_path: Path, channels: int) -> None:
    image = numbered(1, channels, 8, 8)[0]
    save_png(tmp_path / "a.png", picture(image), {"seed": 3, "note": "é ✓"}, machine_made=True)
    with Image.open(tmp_path / "a.png") as opened:
        opened.load()
        packet = opened.info["xmp"]
        assert opened.tobytes() == picture(image).tobytes()
    packet = packet.decode() if isinstance(packet, bytes) else packet
    root = ElementTree.fromstring(packet)
    (description,) = root.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    key = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
    assert description.attrib[key] == MACHINE_MADE
    assert MACHINE_MADE == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    assert facts_of(tmp_path / "a.png") == {"seed": 3, "note": "é ✓", "machine_made": True}


def test_real_picture_does_not_say_that_it_is_machine_made(tmp_path: Path) -> None:
    save_png(tmp_path / "a.png", picture(numbered(1, 1, 8, 8)[0]), {"shows": "data"}, machine_made=False)
    with Image.open(tmp_path / "a.png") as opened:
        assert "xmp" not in opened.info
        assert "XML:com.adobe.xmp" not in opened.info
    assert b"trainedAlgorithmicMedia" not in (tmp_path / "a.png").read_bytes()
    assert facts_of(tmp_path / "a.png") == {"shows": "data", "machine_made": False}


def test_facts_cannot_deny_how_the_picture_was_made(tmp_path: Path) -> None:
    save_png(tmp_path / "a.png", picture(numbered(1, 1, 8, 8)[0]), {"machine_made": False}, machine_made=True)
    assert facts_of(tmp_path / "a.png")["machine_made"] is True


def test_same_picture_gives_same_bytes(tmp_path: Path) -> None:
    for name, facts in (("a.png", {"x": 1, "y": 2}), ("b.png", {"y": 2, "x": 1})):
        save_png(tmp_path / name, picture(numbered(1, 3, 8, 8)[0]), facts, machine_made=True)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot make the folder") as caught:
        save_png(tmp_path / "file" / "a.png", picture(numbered(1, 1, 8, 8)[0]), {}, machine_made=True)
    assert str(tmp_path / "file") in str(caught.value)


def test_folder_that_is_read_only_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # the superuser may write to any
    with pytest.raises(InputError, match=r"cannot write to the folder .*; choose another with --out"):
        make_folder(tmp_path)


def test_folders_on_the_way_are_made(tmp_path: Path) -> None:
    save_png(tmp_path / "a" / "b" / "c.png", picture(numbered(1, 1, 8, 8)[0]), {}, machine_made=True)
    assert facts_of(tmp_path / "a" / "b" / "c.png") == {"machine_made": True}
