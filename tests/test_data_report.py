import json

import numpy as np
import pytest
from PIL import Image

import fairdraw.data as fd
from fairdraw.errors import InputError

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def messy(tmp_path):
    root = tmp_path / "messy"
    for name in ("cats", "dogs"):
        (root / name).mkdir(parents=True)
        for number in range(5):
            pixels = np.random.default_rng([number, len(name), name == "cats"]).integers(0, 256, (6, 8, 3), np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    Image.open(root / "cats" / "0.png").save(root / "dogs" / "same.bmp")
    Image.open(root / "cats" / "0.png").convert("RGBA").save(root / "dogs" / "alpha.png")
    frames = [Image.new("L", (6, 6), value) for value in (0, 99)]
    frames[0].save(root / "cats" / "moving.gif", save_all=True, append_images=frames[1:])
    Image.new("L", (1, 1)).save(root / "cats" / "dot.png")
    (root / "cats" / "cut.png").write_bytes((root / "cats" / "0.png").read_bytes()[:-40])
    (root / "dogs" / "text.png").write_text("a text")
    (root / "dogs" / "b.heic").write_bytes(b"")
    return root


def test_everything_is_said(messy, home):
    report = fd.check(messy)
    assert report.count == 14
    assert report.sizes == {"8x6": 12, "6x6": 1, "1x1": 1}
    assert report.formats == {"PNG": 12, "BMP": 1, "GIF": 1}
    assert report.modes["RGBA"] == 1
    assert report.labels == {"cats": 7, "dogs": 7}
    assert sum(report.splits.values()) == 14
    assert [bad.name for bad in report.rejected] == ["cats/cut.png", "dogs/text.png"]
    assert report.ignored == {".heic": 1}
    assert report.duplicates == (("cats/0.png", "dogs/alpha.png", "dogs/same.bmp"),)
    assert report.leaks == ()
    assert not report.ok
    text = str(report)
    for expected in (
        "14 pictures",
        "8x6 (12)",
        "cannot be read: dogs/text.png: not a picture",
        "cats/0.png = dogs/alpha.png = dogs/same.bmp",
        "leaks between splits: 0",
        "only the first frame or page is used of 1 file: cats/moving.gif",
        "one pixel wide or high: cats/dot.png",
        "--bad-images skip",
        "--size",
    ):
        assert expected in text
    assert not (home / "data").exists()


def test_json(messy):
    told = json.loads(fd.check(messy).to_json())
    assert told["ok"] is False
    assert told["count"] == 14
    assert told["rejected"][0]["name"] == "cats/cut.png"
    assert told["duplicates"] == [["cats/0.png", "dogs/alpha.png", "dogs/same.bmp"]]


def test_the_verdict_is_that_of_open(messy):
    for options in (
        fd.Options(),
        fd.Options(size=4),
        fd.Options(bad_images="skip"),
        fd.Options(size=4, bad_images="skip"),
    ):
        report = fd.check(messy, options)
        try:
            data = fd.open(messy, options)
        except InputError:
            assert not report.ok
        else:
            assert report.ok
            assert report.count == len(data)
            assert report.splits == {name: len(data.split(name)) for name in report.splits}
            assert report.rejected == data.rejected


def test_progress_and_arrays(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((100, 4, 4), np.uint8))
    calls = []
    report = fd.check(tmp_path / "a.npy", progress=lambda done, total: calls.append((done, total)))
    assert calls == [(64, 100), (100, 100)]
    assert len(report.duplicates[0]) == 100
    assert report.formats == {"array": 100}
    assert sorted(report.splits.values()) == [0, 0, 100]
    assert any("no picture falls into" in note for note in report.notes)


def test_nothing_readable(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.png").write_bytes(b"")
    report = fd.check(tmp_path / "one", fd.Options(bad_images="skip"))
    assert not report.ok
    assert report.count == 0
    assert "no picture can be read" in str(report)
