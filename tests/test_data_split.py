import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import fairdraw.data as fd
from fairdraw.data.source import Item
from fairdraw.data.split import NAMES, assign, position
from fairdraw.errors import InputError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRDRAW_CACHE", str(tmp_path / "cache"))


def digests_of(contents):
    return np.array([list(hashlib.sha256(content).digest()) for content in contents], np.uint8).reshape(-1, 32)


def assigned(contents, groups=None, parts=None):
    groups, parts = groups or [None] * len(contents), parts or [None] * len(contents)
    items = [Item(f"{i}", group=g, part=p) for i, (g, p) in enumerate(zip(groups, parts, strict=True))]
    return assign(items, digests_of(contents)).tolist()


content = st.binary(min_size=1, max_size=3)


@given(st.lists(content, max_size=30), st.lists(content, max_size=30))
def test_additions_move_nothing(old, new):
    assert assigned(old + new)[: len(old)] == assigned(old)
    assert assigned(new + old)[len(new) :] == assigned(old)


@given(st.lists(content, min_size=1, max_size=30))
def test_equal_pictures_are_never_in_two_parts(contents):
    where = assigned(contents + contents)
    assert where[: len(contents)] == where[len(contents) :]


@given(st.lists(content, min_size=1, max_size=30), st.randoms())
def test_order_does_not_matter(contents, random):
    shuffled = list(contents)
    random.shuffle(shuffled)
    known = dict(zip(contents, assigned(contents), strict=True))
    assert assigned(shuffled) == [known[picture] for picture in shuffled]


@given(st.lists(st.tuples(content, st.sampled_from("abcdefgh")), min_size=1, max_size=30), st.randoms())
def test_groups_and_the_pictures_that_they_share_stay_together(rows, random):
    contents, groups = [c for c, _ in rows], [g for _, g in rows]
    where = assigned(contents, groups)
    for keys in (contents, groups):
        assert len({(key, part) for key, part in zip(keys, where, strict=True)}) == len(set(keys))
    order = list(range(len(rows)))
    random.shuffle(order)
    again = assigned([contents[i] for i in order], [groups[i] for i in order])
    assert again == [where[i] for i in order]


@settings(max_examples=30)
@given(st.lists(st.tuples(content, st.sampled_from(["train", "test"])), min_size=1, max_size=30))
def test_an_official_test_part_stays(rows):
    where = assigned([c for c, _ in rows], parts=[p for _, p in rows])
    for (_, part), found in zip(rows, where, strict=True):
        assert (part == "test") == (found == 2) or {p for _, p in rows} == {"train"}


def test_shares():
    where = np.array(assigned([b"%d" % i for i in range(20_000)]))
    shares = np.bincount(where) / len(where)
    assert np.allclose(shares, [0.8, 0.1, 0.1], atol=0.01)
    official = np.array(assigned([b"%d" % i for i in range(20_000)], parts=["train"] * 15_000 + ["test"] * 5_000))
    assert (official[15_000:] == 2).all()
    assert np.isclose((official[:15_000] == 1).mean(), 0.05, atol=0.01)
    no_test = np.array(assigned([b"%d" % i for i in range(9_000)], parts=["train"] * 8_000 + ["validation"] * 1_000))
    assert np.isclose((no_test[:8_000] == 2).mean(), 0.05, atol=0.01)
    assert (no_test[8_000:] == 1).all()


def test_the_rule_is_pinned():
    # Changing any of these would move test pictures of trained models into somebody's training set.
    assert position(bytes(32)) == 0.0
    assert position(b"\x80" + bytes(31)) == 0.5
    assert assigned([b"%d" % i for i in range(12)]) == assigned([b"%d" % i for i in range(12)])
    data = fd.open("digits8")
    assert [len(data.split(name)) for name in NAMES] == [1449, 152, 196]


def save(folder, number, name, kind="png"):
    pixels = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    folder.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(folder / f"{name}.{kind}")


def parts_by_name(folder):
    data = fd.open(folder)
    return {name: int(part) for name, part in zip(data.names, data.parts, strict=True)}


def test_files_keep_their_part_when_renamed_copied_or_joined_by_others(tmp_path):
    for number in range(30):
        save(tmp_path / "one", number, number)
    before = parts_by_name(tmp_path / "one")
    assert set(before.values()) == {0, 1, 2}
    for number in range(30):
        save(tmp_path / "two", number, f"again{99 - number}", "bmp")
        save(tmp_path / "two", number, number)
        save(tmp_path / "two", 1000 + number, f"new{number}")
    after = parts_by_name(tmp_path / "two")
    for number in range(30):
        assert after[f"again{99 - number}.bmp"] == after[f"{number}.png"] == before[f"{number}.png"]


def test_the_size_asked_for_does_not_move_a_picture(tmp_path):
    for number in range(30):
        save(tmp_path / "one", number, number)
    assert np.array_equal(fd.open(tmp_path / "one").parts, fd.open(tmp_path / "one", fd.Options(size=3)).parts)


def test_a_split_may_be_empty_and_a_wrong_name_is_an_error(tmp_path):
    save(tmp_path / "one", 0, 0)
    data = fd.open(tmp_path / "one")
    assert sorted(len(data.split(name)) for name in NAMES) == [0, 0, 1]
    assert len(data.all) == 1
    empty = next(data.split(name) for name in NAMES if len(data.split(name)) == 0)
    assert empty.images(np.array([], np.int64)).shape == (0, 3, 6, 6)
    with pytest.raises(InputError, match="did you mean test"):
        data.split("tests")
