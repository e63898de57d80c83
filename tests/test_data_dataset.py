import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import fairdraw.data as fd
from fairdraw.errors import InputError


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRDRAW_CACHE", str(tmp_path / "cache"))
    for number in range(12):
        below = tmp_path / "pictures" / ("even", "odd")[number % 2]
        below.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(below / f"{number:02d}.png")
    return tmp_path / "pictures"


def test_what_is_opened(pictures):
    data = fd.open(pictures)
    assert data.name == str(pictures)
    assert data.shape == (3, 6, 6)
    assert data.images.dtype == np.uint8
    assert isinstance(data.images, np.memmap)
    assert not data.images.flags.writeable
    assert data.names[0] == "even/00.png"
    assert list(data.names) == sorted(data.names)
    assert data.label_names == ("even", "odd")
    assert data.labels.dtype == np.int64
    assert data.labels.tolist() == [0] * 6 + [1] * 6
    for name, image in zip(data.names, data.images, strict=True):
        assert np.array_equal(image.transpose(1, 2, 0), np.asarray(Image.open(pictures / name)))


def test_gathering_copies_in_the_order_asked_for(pictures):
    data = fd.open(pictures)
    split = data.split("all")
    positions = np.array([3, 0, 3, 11])
    found = split.images(positions)
    assert found.flags.c_contiguous
    assert found.flags.writeable
    assert np.array_equal(found, data.images[positions])
    assert np.array_equal(data.train.images(np.array([1])), data.images[data.train.indices[[1]]])
    assert np.array_equal(data.train.labels, data.labels[data.train.indices])
    with pytest.raises(IndexError):
        split.images(np.array([12]))


def test_bad_pictures_are_named_or_left_out(pictures, caplog):
    (pictures / "even" / "bad.png").write_bytes(b"nonsense")
    (pictures / "odd" / "cut.png").write_bytes((pictures / "odd" / "01.png").read_bytes()[:-30])
    for _ in range(2):
        with pytest.raises(InputError, match=r"even/bad.png \(not a picture.*skip") as caught:
            fd.open(pictures)
        assert "\n" not in str(caught.value)
        data = fd.open(pictures, fd.Options(bad_images="skip"))
        assert len(data) == 12
        assert [bad.name for bad in data.rejected] == ["even/bad.png", "odd/cut.png"]
        assert "even/bad.png" not in data.names
    assert len(caplog.messages) == 2
    assert "left out 2 pictures" in caplog.messages[0]


def test_nothing_readable_is_an_error_either_way(tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRDRAW_CACHE", str(tmp_path / "cache"))
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "bad.png").write_bytes(b"")
    for bad_images in ("error", "skip"):
        with pytest.raises(InputError, match=r"bad.png \(empty file\)"):
            fd.open(tmp_path / "one", fd.Options(bad_images=bad_images))


def test_importing_is_quick():
    heavy = {"torch", "scipy", "sklearn", "pooch", "emoji"}
    code = f"import sys, fairdraw.data; print([m for m in {sorted(heavy)} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
