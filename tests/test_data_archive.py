import io
import zipfile

import numpy as np
import pytest
from PIL import Image

import fairdraw.data as fd
from fairdraw.data import archive
from fairdraw.errors import InputError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRDRAW_CACHE", str(tmp_path / "cache"))


def picture(value=0, kind="PNG", size=(5, 5)):
    buffer = io.BytesIO()
    Image.new("RGB", size, (value, 0, 0)).save(buffer, kind)
    return buffer.getvalue()


def packed(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in members:
            file.writestr(name, data)
    return path


def test_a_zip_is_read_in_place(tmp_path):
    names = ["top/cats/1.png", "top/dogs/2.png", "top/notes.txt", "top/x.heic", "__MACOSX/top/._1.png"]
    path = packed(tmp_path / "a.zip", [(name, picture(number)) for number, name in enumerate(names)])
    data = fd.open(path)
    assert data.names == ["cats/1.png", "dogs/2.png"]
    assert data.label_names == ("cats", "dogs")
    assert data.images[:, 0, 0, 0].tolist() == [0, 1]
    assert fd.check(path).ignored == {".heic": 1}
    assert {item.name for item in tmp_path.iterdir()} == {"a.zip", "cache"}


def test_tricky_names_go_nowhere(tmp_path):
    names = ["../../evil.png", "/abs.png", "C:\\win\\x.png", "a/../b.png", "./c.png"]
    data = fd.open(packed(tmp_path / "a.zip", [(name, picture(number)) for number, name in enumerate(names)]))
    assert len(data) == 5
    assert not any(".." in name or name.startswith("/") for name in data.names)
    assert not (tmp_path.parent / "evil.png").exists()


def test_bombs_and_duplicates_are_named(tmp_path):
    flat = Image.new("RGB", (1500, 1500))
    buffer = io.BytesIO()
    flat.save(buffer, "BMP")
    path = tmp_path / "a.zip"
    with pytest.warns(UserWarning, match="Duplicate"):
        packed(path, [("a.png", picture()), ("a.png", picture()), ("b.bmp", buffer.getvalue())], zipfile.ZIP_DEFLATED)
    found = {bad.name: bad.reason for bad in fd.check(path).rejected}
    assert "same name" in found["a.png"]
    assert "zip bomb" in found["b.bmp"]
    assert len(fd.open(path, fd.Options(bad_images="skip"))) == 1


def test_flat_pictures_of_a_sane_size_are_no_bombs(tmp_path):
    path = packed(tmp_path / "a.zip", [("a.bmp", picture(0, "BMP", (300, 300)))], zipfile.ZIP_DEFLATED)
    assert len(fd.open(path)) == 1


def test_too_many_entries_and_too_large_files(tmp_path, monkeypatch):
    path = packed(tmp_path / "a.zip", [(f"{number}.png", picture()) for number in range(5)])
    monkeypatch.setattr(archive, "MAX_BYTES", 10)
    with pytest.raises(InputError, match="too large"):
        fd.open(path)
    monkeypatch.setattr(archive, "MAX_ENTRIES", 5)
    with pytest.raises(InputError, match="lists 5 files"):
        fd.open(path)


def test_encrypted_members_are_named(tmp_path):
    path = packed(tmp_path / "a.zip", [("a.png", picture()), ("b.png", picture(1))])
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a.png \(encrypted"):
        fd.open(path)


def test_a_damaged_member_is_named(tmp_path):
    path = packed(tmp_path / "a.zip", [("a.png", picture()), ("b.png", picture(1))])
    data = bytearray(path.read_bytes())
    data[60] ^= 255
    path.write_bytes(data)
    report = fd.check(path)
    assert [bad.name for bad in report.rejected] == ["a.png"]
    assert report.count == 1


def test_a_header_that_lies_about_the_size(tmp_path):
    path = packed(tmp_path / "a.zip", [("a.png", picture())])
    data = bytearray(path.read_bytes())
    directory = data.index(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = (10).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a.png"):
        fd.open(path)


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06", b"no zip at all"])
def test_what_is_no_zip(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(InputError, match="cannot open the zip") as caught:
        fd.open(tmp_path / "a.zip")
    assert "\n" not in str(caught.value)


def test_a_zip_cut_short(tmp_path):
    path = packed(tmp_path / "a.zip", [("a.png", picture())])
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match="cut short"):
        fd.open(path)


def test_a_zip_without_pictures(tmp_path):
    with pytest.raises(InputError, match=r"found 1 \.pdf"):
        fd.open(packed(tmp_path / "a.zip", [("a.pdf", b"")]))


def test_somebody_elses_table_is_not_believed(tmp_path):
    path = packed(tmp_path / "a.zip", [("a.png", picture()), (archive.TABLE, b'{"items": {}}')])
    assert np.array_equal(fd.open(path).images[0, 0], np.zeros((5, 5)))
