"""Pixels on principal directions, and what is known of real digits in them."""

from pathlib import Path

import numpy as np
import pytest
from toys import save_stripes, stripes

from fairdraw import data
from fairdraw.metrics.features import PixelPCA
from fairdraw.metrics.frechet import frechet_distance
from fairdraw.metrics.manifold import manifold


def test_pca_features_are_coordinates_of_pixels_on_0_1(tmp_path: Path) -> None:
    train = data.open(str(save_stripes(tmp_path))).train
    images = train.images(np.arange(len(train)))
    features = PixelPCA.fitted(train, 8)
    assert features.name == "pixels-pca8"
    found = features.of(images)
    pixels = images.reshape(len(images), -1) / 255
    largest = np.linalg.eigvalsh(np.cov(pixels.T, bias=True))[::-1][:8]
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(np.cov(found.T, bias=True), np.diag(largest), atol=1e-6)
    np.testing.assert_allclose(features.of(images[3:10]), found[3:10], atol=1e-12)


def test_pca_has_no_more_directions_than_pixels_or_images(tmp_path: Path) -> None:
    np.save(tmp_path / "few.npy", stripes(30).transpose(0, 2, 3, 1))
    train = data.open(str(tmp_path / "few.npy")).train
    features = PixelPCA.fitted(train)
    assert features.name == f"pixels-pca{len(train) - 1}"


def test_distance_between_real_digits_has_the_bias_of_few_images(real_data: Path) -> None:
    """In pixels-pca64 1,000 training images are 0.513 from 30,000 others."""
    train = data.open(real_data / "mnist.npz").train
    chosen = np.random.default_rng(0).permutation(len(train))[:31_000]
    features = PixelPCA.fitted(train).of(train.images(chosen))
    assert frechet_distance(features[1000:], features[:1000]) == pytest.approx(0.513, rel=0.15)
    shares = manifold(features[2000:3000], features[1000:2000])
    assert shares.coverage == pytest.approx(0.969, abs=0.03)
    assert shares.precision == pytest.approx(0.90, abs=0.03)
    assert shares.recall == pytest.approx(0.90, abs=0.03)
