"""What a classifier sees: closed forms of the inception score, shares and classes that are covered."""

import numpy as np
import pytest

from fairdraw.errors import InputError
from fairdraw.metrics.classes import seen_by


def test_one_sure_image_of_each_class_has_the_number_of_classes() -> None:
    seen = seen_by(np.tile(np.eye(10), (20, 1)))
    assert seen.score == pytest.approx(10, rel=1e-12)
    assert seen.splits == pytest.approx([10] * 10, rel=1e-12)
    assert seen.confidence == 1
    assert seen.covered == 10
    np.testing.assert_allclose(seen.shares, 0.1)


def test_one_class_and_no_opinion_have_1() -> None:
    assert seen_by(np.tile(np.eye(10)[3], (50, 1))).score == pytest.approx(1)
    assert seen_by(np.full((50, 4), 0.25)).score == pytest.approx(1)


def test_two_opinions_in_closed_form() -> None:
    """exp of log 2 minus the entropy of (0.9, 0.1)."""
    p = np.tile([[0.9, 0.1], [0.1, 0.9]], (50, 1))
    entropy = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    assert seen_by(p).score == pytest.approx(2 * np.exp(-entropy), rel=1e-12)


def test_splits_are_in_the_order_of_the_images() -> None:
    p = np.repeat(np.eye(2), 50, axis=0)  # every split but none has both classes
    assert seen_by(p).score == pytest.approx(1)
    assert seen_by(p, splits=1).score == pytest.approx(2)


def test_a_class_counts_from_a_tenth_of_an_equal_share() -> None:
    labels = np.repeat(np.arange(4), [2_000, 1_900, 60, 40])  # an equal share is 1,000, a tenth of it 100
    seen = seen_by(np.eye(4)[labels])
    assert seen.covered == 2
    np.testing.assert_allclose(seen.shares, np.array([2_000, 1_900, 60, 40]) / 4_000)


def test_few_images_and_what_is_no_probability_are_refused() -> None:
    with pytest.raises(InputError, match="9 images are too few for 10 splits"):
        seen_by(np.full((9, 2), 0.5))
    for bad in (np.full((20, 2), 0.7), np.tile([1.5, -0.5], (20, 1)), np.full((20, 2), np.nan)):
        with pytest.raises(InputError, match="no probabilities"):
            seen_by(bad)
