import os

import numpy as np
import pytest
from PIL import Image

import fairdraw.data as fd
from fairdraw.data import folder
from fairdraw.errors import InputError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRDRAW_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path):
    return tmp_path / "pictures"


def save(path, value=0, size=(5, 5), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = value if mode in ("L", "1", "P") else (value,) * len(Image.new(mode, (1, 1)).getbands())
    Image.new(mode, size, colour).save(path)


def test_folders_directly_below_are_labels(root):
    for name in ("cats/1.png", "cats/deep/er/2.png", "dogs/1.png"):
        save(root / name)
    data = fd.open(root)
    assert data.names == ["cats/1.png", "cats/deep/er/2.png", "dogs/1.png"]
    assert data.label_names == ("cats", "dogs")
    assert data.labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    "names", [["1.png", "2.png"], ["only/1.png", "only/2.png"], ["cats/1.png", "dogs/1.png", "3.png"]]
)
def test_no_labels_where_folders_do_not_tell(root, names):
    for name in names:
        save(root / name)
    data = fd.open(root)
    assert data.labels is None
    assert data.label_names == ()
    assert data.train.labels is None
    lost = [note for note in fd.check(root).notes if "labels are not used" in note]
    assert len(lost) == (1 if "3.png" in names else 0)


def test_folders_named_train_and_test_are_the_official_split(root):
    for number in range(8):
        for part in ("train", "test", "val"):
            save(root / part / ("cat", "dog")[number % 2] / f"{number}.png", number)
    data = fd.open(root)
    assert data.label_names == ("cat", "dog")
    assert [len(data.split(name)) for name in ("train", "validation", "test")] == [8, 8, 8]
    assert {data.names[i].split("/")[0] for i in data.test.indices} == {"test"}


def test_train_among_other_classes_is_a_class(root):
    for name in ("train/1.png", "car/1.png"):
        save(root / name)
    assert fd.open(root).label_names == ("car", "train")


def test_what_is_ignored(root):
    save(root / "a.png")
    for name in (".DS_Store", "Thumbs.db", "notes.txt", "LICENSE", "README", "x.json", "y.csv", "z.md", ".hidden.png"):
        (root / name).write_bytes(b"?")
    save(root / ".git" / "b.png")
    save(root / "__MACOSX" / "c.png")
    for name in ("m.heic", "n.heic", "o.psd", "p"):
        (root / name).write_bytes(b"?")
    report = fd.check(root)
    assert report.count == 1
    assert report.ignored == {".heic": 2, ".psd": 1, "no suffix": 1}
    assert not report.rejected
    assert len(fd.open(root)) == 1


def test_pictures_named_like_companions_are_pictures(root):
    for name in ("readme.png", "license.jpg"):
        save(root / name)
    assert len(fd.open(root)) == 2


def test_a_folder_without_pictures_says_what_is_there(root):
    root.mkdir()
    with pytest.raises(InputError, match="only text, tables or nothing"):
        fd.open(root)
    (root / "a.pdf").write_bytes(b"")
    with pytest.raises(InputError, match=r"found 1 \.pdf") as caught:
        fd.open(root)
    assert "\n" not in str(caught.value)


def test_links_that_are_broken_or_go_round_in_circles(root, tmp_path):
    save(root / "cats" / "1.png")
    save(tmp_path / "elsewhere" / "2.png", 9)
    (root / "cats" / "up").symlink_to(root)
    (root / "self").symlink_to(root / "self")
    (root / "dogs").symlink_to(tmp_path / "elsewhere")
    (root / "dogs2").symlink_to(tmp_path / "elsewhere")
    (root / "lost.png").symlink_to(root / "nowhere.png")
    with pytest.raises(InputError, match=r"lost.png \(broken link\)"):
        fd.open(root)
    data = fd.open(root, fd.Options(bad_images="skip"))
    assert data.names == ["cats/1.png", "dogs/2.png"]
    assert [bad.reason for bad in data.rejected] == ["broken link"]


def test_what_may_not_be_read_is_named(root, monkeypatch):
    for name in ("a.png", "closed/b.png", "c.png"):
        save(root / name)
    scandir, read = os.scandir, type(root).read_bytes

    def guarded_scandir(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    def guarded_read(path):
        if path.name == "c.png":
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(folder.os, "scandir", guarded_scandir)
    monkeypatch.setattr(type(root), "read_bytes", guarded_read)
    found = {bad.name: bad.reason for bad in fd.check(root).rejected}
    assert found == {"closed/": "the folder cannot be read: permission denied", "c.png": "permission denied"}


def test_mixed_kinds_of_pixels_make_colour(root):
    for mode in ("L", "RGB", "RGBA", "1", "P", "LA", "CMYK"):
        save(root / f"{mode}.{'jpg' if mode == 'CMYK' else 'png'}", mode=mode)
    Image.fromarray(np.full((5, 5), 65535, np.uint16)).save(root / "wide.png")
    data = fd.open(root)
    assert data.shape == (3, 5, 5)
    assert (data.images[data.names.index("wide.png")] == 255).all()


def test_only_grey_pictures_make_one_channel(root):
    for mode in ("L", "1", "LA"):
        save(root / f"{mode}.png", mode=mode)
    Image.fromarray(np.zeros((5, 5), np.uint16)).save(root / "wide.png")
    grey_palette = Image.new("P", (5, 5))
    grey_palette.putpalette([value for value in range(256) for _ in range(3)])
    grey_palette.save(root / "palette.png")
    assert fd.open(root).shape == (1, 5, 5)
    assert fd.open(root, fd.Options(channels=3)).shape == (3, 5, 5)


def test_sizes_that_differ_need_a_choice(root):
    save(root / "a.png", size=(5, 5))
    save(root / "b.png", size=(70, 70))
    with pytest.raises(InputError, match=r"2 sizes, 5x5 \(1\), 70x70 \(1\); .*--size") as caught:
        fd.open(root)
    assert "\n" not in str(caught.value)
    assert fd.open(root, fd.Options(size=8)).shape == (3, 8, 8)


def test_a_wrong_suffix_does_not_matter_but_wrong_content_does(root):
    save(root / "a.png")
    (root / "a.png").rename(root / "a.jpg")
    assert len(fd.open(root)) == 1
    (root / "b.png").write_text("a text")
    with pytest.raises(InputError, match=r"b\.png"):
        fd.open(root)


def test_strange_names(root):
    for name in ("ü ñ/日本.png", "b\nc.png", "- --.png"):
        save(root / name)
    assert sorted(fd.open(root).names) == sorted(["ü ñ/日本.png", "b\nc.png", "- --.png"])
    (root / "b\nc.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"b\\nc\.png"):
        fd.open(root)
    assert "b\\nc.png: empty file" in str(fd.check(root)).splitlines()[5]


def test_uppercase_suffixes(root):
    save(root / "a.png")
    (root / "a.png").rename(root / "a.PNG")
    assert fd.open(root).names == ["a.PNG"]
