"""PSNR of all pixels and of each image, in closed form."""

import math

import numpy as np
import pytest

from fairdraw.errors import InputError
from fairdraw.metrics import psnr as module
from fairdraw.metrics.psnr import image_psnr, psnr


def test_closed_form() -> None:
    black = np.zeros((2, 1, 4, 4), np.uint8)
    assert psnr(black, black + 255) == pytest.approx(0)
    assert psnr(black, black + 51) == pytest.approx(20 * math.log10(5))
    assert psnr(black, black) == math.inf


def test_of_each_image_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "VALUES_AT_A_TIME", 100)
    black = np.zeros((7, 3, 4, 5), np.uint8)
    shifts = np.array([0, 1, 2, 51, 255, 3, 1], np.uint8)
    found = image_psnr(black, black + shifts[:, None, None, None])
    expected = [20 * math.log10(255 / shift) if shift else math.inf for shift in shifts.tolist()]
    assert found == pytest.approx(expected)
    assert found[1] == pytest.approx(48.13, abs=0.005)


def test_the_ratio_of_the_mean_error_is_not_the_mean_of_the_ratios() -> None:
    black = np.zeros((2, 1, 4, 4), np.uint8)
    made = black + np.array([1, 100], np.uint8)[:, None, None, None]
    assert psnr(black, made) < image_psnr(black, made).mean() - 5


def test_what_are_no_pairs_is_refused() -> None:
    black = np.zeros((2, 1, 4, 4), np.uint8)
    for other, message in (
        (black.astype(np.float32), "float32"),
        (black[0], r"\[1, 4, 4\]"),
        (black[:0], "0 second images"),
        (black[:1], "2 images with 1"),
        (black.repeat(3, 1), "1 channels of first and 3 of second"),
        (black[..., :3], "4x4 first and 4x3 second"),
    ):
        with pytest.raises(InputError, match=message) as error:
            image_psnr(black, other)
        assert "\n" not in str(error.value)
