"""The built-in scenes: what they hold, that they never change unnoticed, and that what is said of them is drawn."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from fairdraw import data
from fairdraw.data import Options
from fairdraw.data.scenes import COUNT, GAP, KINDS, PARTS, Kind, scene

ALL: tuple[Kind, ...] = ("counting", "perspective", "figure")


@pytest.fixture(scope="module")
def mixed() -> data.Dataset:
    return data.open("scenes")


def test_set_holds_as_many_of_each_kind_with_labels_and_captions(mixed: data.Dataset) -> None:
    assert mixed.images.shape == (3 * COUNT, 3, 32, 32)
    assert mixed.label_names == ALL
    assert mixed.labels is not None
    assert np.bincount(mixed.labels).tolist() == [COUNT] * 3
    assert mixed.captions is not None
    assert [mixed.captions[place * COUNT] for place in range(3)] == [scene(kind, 0).caption for kind in ALL]
    assert [len(part) / len(mixed) for part in (mixed.validation, mixed.test)] == pytest.approx([0.1, 0.1], abs=0.01)
    assert len(np.unique(mixed.digests, axis=0)) == len(mixed)


@pytest.mark.parametrize(("name", "place"), [("scenes-counting", 0), ("scenes-perspective", 1), ("scenes-figures", 2)])
def test_one_kind_alone_has_the_same_pictures_in_the_same_parts(mixed: data.Dataset, name: str, place: int) -> None:
    alone, where = data.open(name), slice(place * COUNT, (place + 1) * COUNT)
    assert alone.label_names == KINDS[name]
    assert np.array_equal(alone.images, mixed.images[where])
    assert np.array_equal(alone.parts, mixed.parts[where])
    assert alone.captions == mixed.captions[where] if mixed.captions else False
    assert alone.fingerprint != mixed.fingerprint


def test_no_pixel_changes_without_a_new_edition() -> None:
    """Who changes the drawing gives `EDITION` another value, else caches and runs take the old pictures for the new."""
    drawn = b"".join(scene(kind, number).draw(32).tobytes() for kind in ALL for number in range(50))
    assert hashlib.sha256(drawn).hexdigest()[:16] == "4f118b2b666bc322"


def test_scene_depends_on_its_number_alone_and_not_on_the_size() -> None:
    for kind in ALL:
        later, first = scene(kind, 9), scene(kind, 9)
        assert first.caption == later.caption
        assert np.array_equal(first.draw(32), later.draw(32))
        assert scene(kind, 10).caption != first.caption or kind == "counting"
        large = first.draw(64)
        assert large.shape == (64, 64, 3)
        halved = large.reshape(32, 2, 32, 2, 3).mean((1, 3))
        assert abs(halved - first.draw(32)).mean() < 12


def test_size_is_drawn_and_not_enlarged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairdraw.data.scenes.COUNT", 20)
    monkeypatch.setenv("FAIRDRAW_CACHE", str(tmp_path))
    large = data.open("scenes-counting", Options(size=64))
    assert np.array_equal(large.images[3].transpose(1, 2, 0), scene("counting", 3).draw(64))
    assert len(np.unique(large.images[3].reshape(3, -1), axis=1).T) <= 7  # crisp: the ground and the colours of objects
    assert data.open("scenes-figures", Options(size=16)).shape == (3, 16, 16)


def test_counts_are_uniform_and_objects_apart() -> None:
    captions = [scene("counting", number).caption for number in range(COUNT)]
    counts = np.array([int(caption.split()[0]) for caption in captions])
    shares = np.bincount(counts, minlength=7)[1:] / COUNT
    assert shares == pytest.approx(np.full(6, 1 / 6), abs=0.02)
    for number in range(100):
        things = scene("counting", number).draw.args[0]  # type: ignore[attr-defined]
        assert len(things) == counts[number]
        assert sum(thing.shape == "disc" for thing in things) == int(re.findall(r"(\d) disc", captions[number])[0])
        for place, one in enumerate(things):
            for other in things[:place]:
                assert max(abs(one.x - other.x), abs(one.y - other.y)) >= one.half + other.half + GAP


def test_lines_of_a_floor_all_lead_to_the_point_that_is_said() -> None:
    for number in range(100):
        one = scene("perspective", number)
        floor = one.draw.args[0]  # type: ignore[attr-defined]
        said = re.findall(r"0\.\d{4}", one.caption)
        assert [float(value) for value in said] == pytest.approx([floor.x / 32, floor.horizon / 32], abs=1e-4)
        assert one.caption.endswith(f"{len(floor.slopes)} lines to it")
        left, right = (ends[:, : len(floor.slopes)] for ends in floor.lines(np.array([floor.horizon + 1e-9, 32.0])))
        assert np.allclose((left + right)[0] / 2, floor.x)
        assert ((left + right)[1] / 2 > 0).all()
        assert ((left + right)[1] / 2 < 32).all()


def test_parts_of_a_figure_lie_in_the_picture_where_they_are_said_to_be() -> None:
    for number in range(100):
        one = scene("figure", number)
        parts, colours, _ = one.draw.args  # type: ignore[attr-defined]
        assert parts.keys() == colours.keys() == set(PARTS)
        picture = one.draw(32)
        for name in PARTS:
            x, y = (float(v) for v in re.search(rf"{name} (\S+) (\S+?)(,|$)", one.caption).groups()[:2])  # type: ignore
            places = np.argwhere((picture == colours[name]).all(2))
            assert np.linalg.norm((places.mean(0) + 0.5) / 32 - (y, x)) < 0.06
