"""Pictures in tiles: which pixels, in which part, under which names, and what is refused."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from fairdraw import InputError, data
from fairdraw.data import Options

TILES = Options(size=8, fit="tiles")


def photo(path: Path, width: int, height: int, seed: int = 0) -> np.ndarray:
    """A picture on the disk and its pixels `[H, W, 3]`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def test_a_picture_is_cut_and_what_is_left_over_is_dropped(tmp_path: Path) -> None:
    pixels = {name: photo(tmp_path / name, *size) for name, size in (("a.png", (20, 17)), ("b.png", (8, 9)))}
    found = data.open(tmp_path, TILES)
    assert found.names == ["a@0,0.png", "a@0,8.png", "a@8,0.png", "a@8,8.png", "b@0,0.png"]
    assert found.shape == (3, 8, 8)
    for place, (name, top, left) in enumerate([("a.png", y, x) for y in (0, 8) for x in (0, 8)] + [("b.png", 0, 0)]):
        expected = pixels[name][top : top + 8, left : left + 8].transpose(2, 0, 1)
        np.testing.assert_array_equal(found.images[place], expected)


def test_tiles_of_a_picture_are_in_one_part(tmp_path: Path) -> None:
    for number in range(40):
        photo(tmp_path / f"{number:02d}.png", 24, 16, number)
    found = data.open(tmp_path, TILES)
    part_of: dict[str, set[int]] = {}
    for name, part in zip(found.names, found.parts, strict=True):
        part_of.setdefault(name.partition("@")[0], set()).add(int(part))
    assert len(found) == 240
    assert all(len(parts) == 1 for parts in part_of.values())
    assert {part for parts in part_of.values() for part in parts} == {0, 1, 2}


def test_pictures_turned_by_their_note_are_cut_upright(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 9, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    found = data.open(tmp_path, TILES)
    upright = np.rot90(pixels, -1)
    assert found.names == ["turned@0,0.png", "turned@0,8.png"]
    np.testing.assert_array_equal(found.images[1], upright[:8, 8:].transpose(2, 0, 1))


def test_arrays_are_cut_as_well(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (3, 16, 20, 3), dtype=np.uint8)
    np.save(tmp_path / "a.npy", array)
    found = data.open(tmp_path / "a.npy", TILES)
    assert len(found) == 12
    np.testing.assert_array_equal(found.images[5], array[1, :8, 8:16].transpose(2, 0, 1))
    assert len({found.fingerprint, data.open(tmp_path / "a.npy", Options(size=4, fit="tiles")).fingerprint}) == 2


@pytest.mark.parametrize("bad_images", ["error", "skip"])
def test_files_that_are_all_too_small_want_another_size(tmp_path: Path, bad_images: Literal["error", "skip"]) -> None:
    photo(tmp_path / "one.png", 9, 7)
    photo(tmp_path / "other.png", 6, 30)
    with pytest.raises(InputError, match=r"as large as a tile of 8 px: .* a --size of at most 7"):
        data.open(tmp_path, Options(size=8, fit="tiles", bad_images=bad_images))
    (tmp_path / "one.png").write_text("no picture", encoding="utf-8")
    (tmp_path / "other.png").unlink()
    said = {
        "error": "1 picture cannot be read: one.png .*; remove it",
        "skip": "none of 1 picture can be read: .* others",
    }
    with pytest.raises(InputError, match=said[bad_images]):
        data.open(tmp_path, Options(size=8, fit="tiles", bad_images=bad_images))


def test_side_by_side_pictures_are_halved_before_they_are_cut(tmp_path: Path) -> None:
    pixels = photo(tmp_path / "pair.png", 32, 8)
    found = data.open(tmp_path, Options(size=8, fit="tiles", inputs="left"))
    assert found.inputs is not None
    assert found.inputs.unpaired == ""
    np.testing.assert_array_equal(found.images[1], pixels[:, 24:32].transpose(2, 0, 1))
    np.testing.assert_array_equal(found.inputs.of(found, np.array([1]))[0], pixels[:, 8:16].transpose(2, 0, 1))


def test_pictures_that_are_too_small_or_damaged_are_named(tmp_path: Path) -> None:
    photo(tmp_path / "large.png", 16, 16)
    photo(tmp_path / "small.png", 30, 7)
    (tmp_path / "torn.png").write_bytes((tmp_path / "large.png").read_bytes()[:20])
    with pytest.raises(InputError, match=r"small.png \(30x7 pixels: smaller than a tile of 8\), torn.png \(damaged"):
        data.open(tmp_path, TILES)
    found = data.open(tmp_path, Options(size=8, fit="tiles", bad_images="skip"))
    assert len(found) == 4
    assert [bad.name for bad in found.rejected] == ["small.png", "torn.png"]
    report = str(data.check(tmp_path, TILES))
    assert "cannot be read: small.png: 30x7 pixels: smaller than a tile of 8" in report
    assert "8x8 (4)" in report


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(fit="tiles"), "--size 96"),
        (Options(16, fit="tiles"), "no picture is as large as a tile of 16 px: .* a --size of at most 8"),
    ],
)
def test_without_a_size_or_with_one_too_large_nothing_is_cut(tmp_path: Path, options: Options, words: str) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 8, 8), np.uint8))
    with pytest.raises(InputError, match=words):
        data.open(tmp_path / "a.npy", options)
