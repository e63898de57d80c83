"""Resizing for feature networks: Pillow's anti-aliased bicubic in floating point, on every channel alone."""

import numpy as np
import pytest
from PIL import Image

from fairdraw.metrics.resize import as_grey, as_rgb, resized

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 3, 20, 14), np.uint8)


def test_a_size_that_is_right_changes_nothing() -> None:
    square = IMAGES[..., :14, :]
    found = resized(square, 14)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, square)


@pytest.mark.parametrize("size", [5, 14, 37])
def test_each_channel_is_pillows_bicubic_and_nothing_is_rounded(size: int) -> None:
    found = resized(IMAGES, size)
    assert found.shape == (3, 3, size, size)
    plane = Image.fromarray(IMAGES[1, 2].astype(np.float32)).resize((size, size), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(found[1, 2], np.clip(np.asarray(plane), 0, 255))
    assert (found % 1 != 0).mean() > 0.9


def test_shrinking_is_anti_aliased() -> None:
    stripes = np.zeros((1, 1, 64, 64), np.uint8)
    stripes[..., ::2] = 255  # without a filter, a quarter of the columns is all black or all white
    np.testing.assert_allclose(resized(stripes, 16)[..., 2:-2], 127.5, atol=8)


def test_colours_and_grey() -> None:
    grey = IMAGES[:, :1]
    np.testing.assert_array_equal(as_rgb(grey), grey.repeat(3, axis=1))
    np.testing.assert_array_equal(as_grey(as_rgb(grey)), grey)
    assert as_rgb(IMAGES) is IMAGES
    primary = np.zeros((3, 3, 1, 1), np.uint8)
    primary[[0, 1, 2], [0, 1, 2]] = 255
    np.testing.assert_array_equal(as_grey(primary).ravel(), [76, 150, 29])


def test_transparency_is_laid_on_white() -> None:
    image = np.zeros((1, 4, 1, 2), np.uint8)
    image[0, 3, 0] = (255, 0)  # black, and nothing
    np.testing.assert_array_equal(as_rgb(image)[0, :, 0], [[0, 255]] * 3)
    np.testing.assert_array_equal(as_grey(image).ravel(), [0, 255])
