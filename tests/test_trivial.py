"""Trivial generators: each is right in what it claims to be right in, and in nothing else."""

from pathlib import Path

import numpy as np
import pytest
from toys import save_stripes

from fairdraw import data
from fairdraw.data import Split
from fairdraw.judge.trivial import TRIVIAL


@pytest.fixture
def train(tmp_path: Path) -> Split:
    return data.open(str(save_stripes(tmp_path))).train


@pytest.mark.parametrize("name", TRIVIAL)
def test_images_are_as_many_as_asked_for_and_the_seeds(train: Split, name: str) -> None:
    images = TRIVIAL[name](train, 20, 1)
    assert images.shape == (20, *train.dataset.shape)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, TRIVIAL[name](train, 20, 1))
    differs = not np.array_equal(images, TRIVIAL[name](train, 20, 2))
    assert differs == (name not in ("training images", "mean image"))


def test_copies_are_training_images_and_noisy_ones_near_them(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(90, 165, (60, 8, 8, 1), np.uint8)  # so that no noise is clipped
    np.save(tmp_path / "grey.npy", grey)
    train = data.open(str(tmp_path / "grey.npy")).train
    known = {image.tobytes() for image in train.images(np.arange(len(train)))}
    copies = TRIVIAL["training images"](train, 20, 0)
    assert all(image.tobytes() in known for image in copies)
    noisy = TRIVIAL["noisy copies"](train, 20, 0)
    assert (noisy / 255 - copies / 255).std() == pytest.approx(0.1, rel=0.1)


def test_moments_are_those_of_the_training_images(tmp_path: Path) -> None:
    # Images with room at both ends, so that hardly a value is clipped.
    noise = np.random.default_rng(0).normal(128, 12, (400, 1, 1)) + np.random.default_rng(1).normal(0, 8, (400, 8, 8))
    np.save(tmp_path / "grey.npy", noise.clip(0, 255).astype(np.uint8))
    train = data.open(str(tmp_path / "grey.npy")).train
    images = train.images(np.arange(len(train))) / 255
    np.testing.assert_allclose(TRIVIAL["mean image"](train, 2, 0)[1] / 255, images.mean(0), atol=1 / 255)
    spread = images.std(0)
    inner = (images.mean(0) - 3 * spread > 0) & (images.mean(0) + 3 * spread < 1)  # where no value is clipped
    assert inner.all()
    for name in ("pixel Gaussian", "PCA Gaussian"):
        drawn = TRIVIAL[name](train, 4_000, 0) / 255
        np.testing.assert_allclose(drawn.mean(0)[inner], images.mean(0)[inner], atol=0.02)
        np.testing.assert_allclose(drawn.std(0)[inner], spread[inner], atol=0.02)


def test_pixels_of_a_gaussian_are_independent_and_those_of_principal_directions_are_not(train: Split) -> None:
    def neighbours(images: np.ndarray) -> float:
        left, right = images[..., :-1].ravel(), images[..., 1:].ravel()
        return float(np.corrcoef(left, right)[0, 1])

    real = train.images(np.arange(len(train))) / 255
    centred = {name: TRIVIAL[name](train, 1_000, 0) / 255 for name in ("pixel Gaussian", "PCA Gaussian")}
    mean = real.mean(0)
    assert abs(neighbours(centred["pixel Gaussian"] - mean)) < 0.05
    assert neighbours(centred["PCA Gaussian"] - mean) == pytest.approx(neighbours(real - mean), abs=0.15)


@pytest.mark.parametrize("side", [8, 11])
def test_shuffled_patches_are_those_of_one_image_in_another_order(tmp_path: Path, side: int) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.integers(0, 256, (60, side, side, 3), np.uint8))
    train = data.open(str(tmp_path / "x.npy")).train
    originals, shuffled = (TRIVIAL[name](train, 12, 3) for name in ("training images", "shuffled patches"))
    whole = side - side % 4

    def patches(image: np.ndarray) -> set[bytes]:
        step = whole // 4
        return {
            image[:, y : y + step, x : x + step].tobytes() for y in range(0, whole, step) for x in range(0, whole, step)
        }

    for original, other in zip(originals, shuffled, strict=True):
        assert patches(original) == patches(other)
        assert not np.array_equal(original, other)
    np.testing.assert_array_equal(shuffled[..., whole:], originals[..., whole:])
