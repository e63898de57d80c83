import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

import fairdraw.data as fd
from fairdraw.data import npz
from fairdraw.errors import InputError

SHARED = Path(__file__).parents[2] / "shared" / "data"

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (12, 6, 5), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (12, 6, 5, 3), dtype=np.uint8)


pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def saved(tmp_path):
    def save(array=None, **arrays):
        path = tmp_path / ("a.npz" if arrays else "a.npy")
        np.savez_compressed(path, **arrays) if arrays else np.save(path, array)
        return path

    return save


def refused(path, match):
    with pytest.raises(InputError, match=match) as caught:
        fd.open(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (GREY, GREY[:, None]),
        (GREY[..., None], GREY[:, None]),
        (GREY[:, None], GREY[:, None]),
        (COLOUR, COLOUR.transpose(0, 3, 1, 2)),
        (COLOUR.transpose(0, 3, 1, 2), COLOUR.transpose(0, 3, 1, 2)),
        (np.asfortranarray(COLOUR), COLOUR.transpose(0, 3, 1, 2)),
        (GREY > 99, np.where(GREY > 99, 255, 0)[:, None]),
        (GREY.astype(np.uint16) * 257, GREY[:, None]),
        ((GREY.astype(np.uint16) * 257).astype(">u2"), GREY[:, None]),
        (GREY.astype(np.float64) / 255, GREY[:, None]),
        (GREY.astype(np.float32) / 127.5 - 1, GREY[:, None]),
        ((GREY / 255).astype(np.float16), np.rint((GREY / 255).astype(np.float16).astype(float) * 255)[:, None]),
    ],
)
def test_layouts_and_types(saved, array, expected):
    assert np.array_equal(fd.open(saved(array)).images, expected)


def test_alpha_is_laid_over_white_or_kept(saved):
    path = saved(np.concatenate([COLOUR, np.full_like(COLOUR[..., :1], 0)], axis=3))
    assert (fd.open(path).images == 255).all()
    assert (fd.open(path, fd.Options(channels=4)).images[:, 3] == 0).all()


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (GREY.astype(np.float32), r"values from 0 to 255 fit neither"),
        (GREY.astype(np.float32) / 255 - 1.5, "fit neither"),
        (np.where(GREY > 9, np.nan, 0.5), "NaN"),
        (np.full((4, 5, 5), np.inf), "NaN or infinity"),
        (GREY.astype(np.int64), r"int64; store them as images=\[N, H, W, C\] in uint8"),
        (GREY.astype(np.uint32), "uint32 have no known range; convert the pixels to uint8"),
        (np.zeros((4, 5, 5), np.complex64), "no stack of pictures"),
        (np.zeros((3, 1, 3, 3), np.uint8), "ambiguous"),
        (np.zeros((4, 784), np.uint8), r"no stack of pictures.*\[4, 784\]"),
        (np.zeros((64, 64, 3), np.uint8), "no stack of pictures"),
        (np.zeros((0, 5, 5), np.uint8), "no stack of pictures"),
        (np.zeros((2, 5, 500), np.uint8), "strip"),
        (np.zeros((2, 5, 5, 2), np.uint8), "no stack of pictures"),
    ],
)
def test_what_is_not_clear_is_refused(saved, array, match):
    refused(saved(array), match)


def test_an_official_split_with_labels_and_class_names(saved):
    data = fd.open(
        saved(
            x_train=COLOUR,
            y_train=np.arange(12).reshape(12, 1) % 3,
            x_test=COLOUR[:4],
            y_test=np.zeros(4, np.int16),
            class_names=np.array(["a", "b", "c", "never"]),
        )
    )
    assert data.label_names == ("a", "b", "c", "never")
    assert data.labels.tolist() == [i % 3 for i in range(12)] + [0] * 4
    assert data.test.indices.tolist() == [12, 13, 14, 15]
    assert data.names[12] == "test/0"


def test_leaks_of_an_official_split_are_reported(saved):
    report = fd.check(saved(x_train=COLOUR, x_test=COLOUR[:2]))
    assert report.leaks == (("train/0", "test/0"), ("train/1", "test/1"))
    assert "leaks between splits: 2: train/0 = test/0" in str(report)
    assert fd.check(saved(COLOUR)).leaks == ()


@pytest.mark.parametrize(
    ("labels", "names", "numbers"),
    [
        (np.arange(12) % 2 * 5 + 2, ("2", "7"), [0, 1] * 6),
        (np.array(["b", "a"] * 6), ("a", "b"), [1, 0] * 6),
        (np.array([True, False] * 6), ("0", "1"), [1, 0] * 6),
        (np.array([-1, 3] * 6), ("-1", "3"), [0, 1] * 6),
    ],
)
def test_labels_by_name_and_length(saved, labels, names, numbers):
    data = fd.open(saved(images=GREY, labels=labels))
    assert data.labels.tolist() == numbers
    assert tuple(name.replace("True", "1").replace("False", "0") for name in data.label_names) == names


def test_labels_of_another_length_or_kind_are_left_alone(saved):
    assert fd.open(saved(images=GREY, labels=np.zeros(5, int))).labels is None
    assert fd.open(saved(images=GREY, labels=np.zeros((12, 4)))).labels is None
    path = saved(images=GREY, labels=np.linspace(0, 1, 12))
    assert fd.open(path).labels is None
    assert any("labels" in note for note in fd.check(path).notes)


def test_names_captions_and_parts(saved):
    parts = np.array(["train"] * 8 + ["val"] * 2 + ["test"] * 2)
    captions = np.array([f"number {i}" for i in range(12)])
    data = fd.open(saved(x=GREY, names=np.array(list("abcdefghijkl")), caption=captions, split=parts))
    assert data.names[2] == "c"
    assert data.captions[3] == "number 3"
    assert [len(data.train), len(data.validation), len(data.test)] == [8, 2, 2]


@pytest.mark.parametrize("name", ["images", "x", "data", "arr_0", "anything"])
def test_the_array_is_found(saved, name):
    assert len(fd.open(saved(**{name: GREY, "other": np.zeros(3)}))) == 12


def test_one_of_several_arrays_is_chosen_by_name(saved):
    path = saved(photo=COLOUR, mask=GREY)
    refused(path, rf"2 arrays in .*photo \[12, 6, 5, 3\] uint8, mask .*name one: {path}:photo")
    assert np.array_equal(fd.open(f"{path}:mask").images, GREY[:, None])
    assert fd.open(f"{path}:photo").fingerprint != fd.open(f"{path}:mask").fingerprint
    refused(f"{path}:photos", "did you mean photo")
    refused(f"{saved(x=GREY, labels=np.zeros(12))}:labels", "no stack of pictures: labels")


def test_parts_of_different_shapes(saved):
    refused(saved(x_train=GREY, x_test=GREY[:, :3]), "different shapes")


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("kind", ["npy", "npz", "raw npy", "raw npz"])
def test_pickles_are_never_opened(tmp_path, kind):
    trap = tmp_path / "sprung"
    path = tmp_path / f"a.{kind[-3:]}"
    if kind == "npy":
        np.save(path, np.array([Trap(trap)], dtype=object), allow_pickle=True)
    elif kind == "npz":
        np.savez(path, images=np.array([Trap(trap)], dtype=object))
    elif kind == "raw npy":
        path.write_bytes(pickle.dumps(Trap(trap)))
    else:
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr("images.npy", pickle.dumps(Trap(trap)))
    refused(path, "pickled objects|cannot read")
    assert not trap.exists()


def test_damaged_files_are_one_line(saved, tmp_path):
    for path in (saved(GREY), saved(x=GREY)):
        whole = path.read_bytes()
        for data in (b"", b"text", whole[:20], whole[:-40]):
            path.write_bytes(data)
            refused(path, "cannot read|cut short")
    path = saved(x=GREY)
    data = bytearray(path.read_bytes())
    data[200] ^= 255
    path.write_bytes(data)
    refused(path, "cannot read")


def test_a_header_that_promises_too_much_costs_nothing(tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "|u1", "fortran_order": False, "shape": (2**40, 2**10, 2**10)}
    )
    (tmp_path / "a.npy").write_bytes(buffer.getvalue())
    refused(tmp_path / "a.npy", "cut short")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as packed:
        packed.writestr("x.npy", buffer.getvalue())
    refused(tmp_path / "a.npz", "cut short")


def test_arrays_larger_than_memory_go_through_a_temporary_file(saved, home, monkeypatch):
    monkeypatch.setattr(npz, "IN_MEMORY", 100)
    for array in (COLOUR, np.asfortranarray(COLOUR)):
        path = saved(x=array)
        assert np.array_equal(fd.open(path).images, COLOUR.transpose(0, 3, 1, 2))
        assert list((home / "scratch").iterdir()) == []


def test_resizing(saved):
    assert fd.open(saved(COLOUR), fd.Options(size=4)).shape == (3, 4, 4)
    assert fd.open(saved(COLOUR)).shape == (3, 6, 5)


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared data")
@pytest.mark.parametrize(
    ("source", "count", "shape", "labels", "test"),
    [
        ("bsds500_train_crops96.npz", 600, (3, 96, 96), 0, None),
        ("cifar10_8k.npz", 9_000, (3, 32, 32), 10, 1_000),
        ("facades128.npz:photo", 606, (3, 128, 128), 0, 106),
        ("fashion_mnist_20k.npz", 25_000, (1, 28, 28), 10, 5_000),
        ("monet2photo64.npz:monet", 300, (3, 64, 64), 0, None),
        ("nouns32.npz", 10_000, (3, 32, 32), 0, None),
        ("openmoji72.npz:line", 4_495, (1, 72, 72), 12, None),
    ],
)
def test_real_files(source, count, shape, labels, test):
    data = fd.open(f"{SHARED / source}")
    assert (len(data), data.shape, len(data.label_names)) == (count, shape, labels)
    assert test is None or len(data.test) == test


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared data")
@pytest.mark.parametrize("name", ["facades128", "monet2photo64", "openmoji72", "sr_test_set5_set14_bsd20"])
def test_real_files_that_need_a_choice(name):
    refused(SHARED / f"{name}.npz", "name one|no stack of pictures")
