"""PSNR and SSIM on luma with the border cut off, as the literature on super-resolution reports them.

Ledig et al., "Photo-realistic single image super-resolution using a generative adversarial network", CVPR 2017
(arXiv:1609.04802), section 3.1: on the y channel, with 4 pixels removed from each border at a factor of 4.

    Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255,    R, G, B in [0, 255]

is BT.601's of studio range, from 16 to 235, as MATLAB's `rgb2ycbcr` has it; it is not rounded to levels. The peak stays
255, so that PSNR comes out 20 log10(255 / 219) = 1.32 dB higher than on the full range. Grey images have no studio
range here: they stay as they are, and their numbers are not comparable with those of the same images as colour.
"""

from collections.abc import Iterator

import numpy as np

from fairdraw.errors import InputError
from fairdraw.metrics.pixels import check_images, check_pairs
from fairdraw.metrics.psnr import decibels
from fairdraw.metrics.resize import as_rgb
from fairdraw.metrics.ssim import WINDOW, similarity

OFFSET, WEIGHTS = 16.0, np.array([65.481, 128.553, 24.966]) / 255
PIXELS_AT_A_TIME = 2**17


def luma(images: np.ndarray) -> np.ndarray:
    """Y in float64 `[N, 1, H, W]` of uint8 `images` `[N, C, H, W]`; grey as it is, transparency laid on white.

    Raises:
        InputError: for other arrays, or other than 1, 3 or 4 channels.
    """
    check_images(images, "these")
    if images.shape[1] not in (1, 3, 4):
        raise InputError(f"images of {images.shape[1]} channels have no luma: give 1, 3 or 4")
    if images.shape[1] == 1:
        return images.astype(np.float64)
    found: np.ndarray = OFFSET + np.einsum("nchw,c->nhw", as_rgb(images).astype(np.float64), WEIGHTS)[:, None]
    return found


def luma_psnr(originals: np.ndarray, made: np.ndarray, border: int) -> np.ndarray:
    """PSNR in dB on Y of each pair of uint8 images `[N, C, H, W]` without `border` pixels at each side, `[N]`.

    Infinite for equal images.

    Raises:
        InputError: for other arrays, images that differ in number, channels or size, a border that leaves nothing.
    """
    return np.concatenate([decibels(x - y) for x, y in _chunks(originals, made, border, "PSNR on luma", 1)])


def luma_ssim(originals: np.ndarray, made: np.ndarray, border: int) -> np.ndarray:
    """SSIM on Y of each pair of uint8 images `[N, C, H, W]` without `border` pixels at each side, `[N]`.

    Raises:
        InputError: for other arrays, images that differ in number, channels or size, a border that leaves sides of
            less than SSIM's window of 11 pixels.
    """
    return np.concatenate([similarity(x, y)[0] for x, y in _chunks(originals, made, border, "SSIM on luma", WINDOW)])


def _chunks(
    originals: np.ndarray, made: np.ndarray, border: int, what: str, smallest: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Y of both without the border, some images at a time."""
    check_pairs(originals, made, what)
    height, width = originals.shape[2:]
    if border < 0 or min(height, width) - 2 * border < smallest:
        raise InputError(
            f"no {what} of {height}x{width} images without a border of {border}: "
            f"give one from 0 on that leaves at least {smallest}x{smallest}"
        )
    inside = (..., slice(border, height - border), slice(border, width - border))
    chunk = max(1, PIXELS_AT_A_TIME // (height * width))
    for start in range(0, len(originals), chunk):
        part = slice(start, start + chunk)
        yield luma(originals[part][inside]), luma(made[part][inside])
