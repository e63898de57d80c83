"""Labels left out of training and validation, and kept in the test part."""

from pathlib import Path

import numpy as np
import pytest

import fairdraw.data as fd
from fairdraw.errors import InputError

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 4, 4), np.uint8)
    np.savez(tmp_path / "labelled.npz", images=pixels, labels=np.arange(300) % 3)
    return tmp_path / "labelled.npz"


def test_left_out_labels_are_in_the_test_part_alone(labelled: Path) -> None:
    whole, less = fd.open(labelled), fd.open(labelled, fd.Options(leave_out=("1",)))
    for part in ("train", "validation"):
        split, kept = whole.split(part), less.split(part)  # type: ignore[arg-type]
        assert split.labels is not None
        assert np.array_equal(kept.indices, split.indices[split.labels != 1])
        assert 0 < len(kept) < len(split)
    assert np.array_equal(less.test.indices, whole.test.indices)
    assert len(less.all) == 300


def test_pictures_and_fingerprint_do_not_depend_on_it(labelled: Path) -> None:
    whole, less = fd.open(labelled), fd.open(labelled, fd.Options(leave_out=("0", "2")))
    assert less.fingerprint == whole.fingerprint
    assert np.array_equal(less.images, whole.images)


def test_check_counts_what_is_left_out(labelled: Path) -> None:
    whole, less = fd.check(labelled), fd.check(labelled, fd.Options(leave_out=("1",)))
    kept = sum(less.splits[part] for part in ("train", "validation"))
    assert less.splits["left out"] == sum(whole.splits[part] for part in ("train", "validation")) - kept
    assert less.splits["test"] == whole.splits["test"]
    assert "left out" not in whole.splits


def test_unknown_labels_are_named(labelled: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"labelled.npz has no label 'l' to leave out; it has 0, 1, 2"):
        fd.open(labelled, fd.Options(leave_out=("l",)))
    report = fd.check(labelled, fd.Options(leave_out=("7",)))
    assert not report.ok
    assert "no label '7'" in report.problems[0]
    np.save(tmp_path / "plain.npy", np.zeros((5, 4, 4), np.uint8))
    with pytest.raises(InputError, match=r"plain.npy has no labels: do without --leave-out"):
        fd.open(tmp_path / "plain.npy", fd.Options(leave_out=("1",)))


def test_labels_are_words() -> None:
    with pytest.raises(InputError, match=r"leave_out is \(1,\); give labels, such as \('1', '7'\)"):
        fd.Options(leave_out=(1,))  # type: ignore[arg-type]
