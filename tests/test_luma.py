"""PSNR and SSIM on luma: closed forms, scikit-image's luma, and the numbers of bicubic enlargement of known photos."""

import math

import numpy as np
import pytest
from PIL import Image

from fairdraw.errors import InputError
from fairdraw.metrics.luma import luma, luma_psnr, luma_ssim
from fairdraw.metrics.psnr import image_psnr
from fairdraw.metrics.ssim import ssim


def colours(count: int, side: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 3, side, side), dtype=np.uint8)


def test_luma_of_primaries() -> None:
    black, white, red, green, blue = (0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255)
    pixels = np.array([black, white, red, green, blue], np.uint8)[:, :, None, None]
    assert luma(pixels).ravel() == pytest.approx([16, 235, 81.481, 144.553, 40.966])


def test_luma_agrees_with_scikit_image() -> None:
    color = pytest.importorskip("skimage.color")
    images = colours(2, 9)
    expected = color.rgb2ycbcr(images.transpose(0, 2, 3, 1))[..., 0]
    assert luma(images)[:, 0] == pytest.approx(expected, abs=1e-9)


def test_grey_stays_and_transparency_lies_on_white() -> None:
    grey = colours(2, 9)[:, :1]
    assert np.array_equal(luma(grey), grey)
    assert np.array_equal(luma_psnr(grey, grey[::-1], 0), image_psnr(grey, grey[::-1]))
    clear = np.concatenate([colours(1, 4), np.zeros((1, 1, 4, 4), np.uint8)], axis=1)
    assert luma(clear) == pytest.approx(np.full((1, 1, 4, 4), 235.0))


def test_psnr_on_the_studio_range_is_1_32_db_above_the_full_range() -> None:
    """Of the same grey images once as colour and once as they are."""
    x, y = colours(3, 20)[:, :1], colours(3, 20, 1)[:, :1]
    difference = luma_psnr(x.repeat(3, 1), y.repeat(3, 1), 2) - luma_psnr(x, y, 2)
    assert difference == pytest.approx(np.full(3, 20 * math.log10(255 / 219)), abs=1e-9)
    assert difference[0] == pytest.approx(1.322, abs=5e-4)


def test_the_border_is_not_looked_at() -> None:
    x = colours(2, 30)
    y = x.copy()
    y[..., :4, :], y[..., -4:, :], y[..., :4], y[..., -4:] = 0, 0, 0, 0
    assert (luma_psnr(x, y, 4) == math.inf).all()
    assert luma_ssim(x, y, 4) == pytest.approx(np.ones(2), abs=1e-12)
    assert (luma_psnr(x, y, 3) < 40).all()
    assert (luma_ssim(x, y, 3) < 0.9999).all()


def test_ssim_on_luma_of_grey_images_is_ssim_of_the_middle() -> None:
    x, y = colours(2, 30)[:, :1], colours(2, 30, 1)[:, :1]
    assert luma_ssim(x, y, 3) == pytest.approx(ssim(x[..., 3:-3, 3:-3], y[..., 3:-3, 3:-3]), abs=1e-12)


@pytest.mark.parametrize(("name", "rows", "columns", "expected"), [
    ("astronaut", 512, 512, 26.84),
    ("chelsea", 300, 448, 31.47),
])  # fmt: skip
def test_bicubic_enlargement_of_photos(name: str, rows: int, columns: int, expected: float) -> None:
    """A fourth of the size and back by Pillow's bicubic filter; the PSNR of RGB is 1.5 dB lower."""
    photo = getattr(pytest.importorskip("skimage.data"), name)()[:rows, :columns]
    small = Image.fromarray(photo).resize((columns // 4, rows // 4), Image.Resampling.BICUBIC)
    again = np.asarray(small.resize((columns, rows), Image.Resampling.BICUBIC))
    x, y = (array.transpose(2, 0, 1)[None] for array in (photo, again))
    assert luma_psnr(x, y, 4)[0] == pytest.approx(expected, abs=0.02)
    assert image_psnr(x, y)[0] < expected - 1


def test_what_has_no_luma_or_no_middle_is_refused() -> None:
    x = colours(2, 16)
    for of in (luma_psnr, luma_ssim):
        for first, second, border, message in (
            (x, x[:, :1], 0, "3 channels of first and 1 of second"),
            (x[:, :2], x[:, :2], 0, "images of 2 channels have no luma"),
            (x, x, 8, "16x16 images without a border of 8"),
            (x, x, -1, "border of -1"),
            (x, x[:1], 0, "2 images with 1"),
            (x / 255, x / 255, 0, "float64"),
        ):
            with pytest.raises(InputError, match=message) as error:
                of(first, second, border)
            assert "\n" not in str(error.value)
    assert (luma_psnr(x, x, 7) == math.inf).all()
    with pytest.raises(InputError, match="at least 11x11"):
        luma_ssim(x, x, 3)
