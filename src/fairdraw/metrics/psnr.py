"""Peak signal-to-noise ratio, of all images at once or of each.

    PSNR = 10 log10(255^2 / MSE),    MSE the mean squared difference of levels

The ratio of the mean error is not the mean of the ratios: what papers on super-resolution report is the latter.
"""

import math

import numpy as np

from fairdraw.metrics.pixels import check_pairs

PEAK = 255.0
VALUES_AT_A_TIME = 2**22


def psnr(originals: np.ndarray, made: np.ndarray) -> float:
    """In dB, of the mean squared error over all pixels of uint8 arrays of one shape; infinite where they are equal."""
    error = float(np.square(originals.astype(np.float64) - made).mean()) / PEAK**2
    return -10 * math.log10(error) if error else math.inf


def image_psnr(originals: np.ndarray, made: np.ndarray) -> np.ndarray:
    """In dB, of each pair of uint8 images `[N, C, H, W]` over all its channels, `[N]`; infinite for equal images.

    Raises:
        InputError: for other arrays, or images that differ in number, channels or size.
    """
    check_pairs(originals, made, "PSNR")
    found = np.empty(len(originals))
    chunk = max(1, VALUES_AT_A_TIME // originals[0].size)
    for start in range(0, len(originals), chunk):
        part = slice(start, start + chunk)
        found[part] = decibels(originals[part].astype(np.float64) - made[part])
    return found


def one_level_off(values: int) -> float:
    """In dB, of an image of so many values of which one is a level off: what an equal one, of which there is no ratio,
    counts as where a mean is wanted."""
    return 10 * math.log10(PEAK**2 * values)


def decibels(differences: np.ndarray) -> np.ndarray:
    """PSNR `[N]` of `differences` of levels `[N, C, H, W]`."""
    errors = np.square(differences).mean((1, 2, 3)) / PEAK**2
    with np.errstate(divide="ignore"):
        found: np.ndarray = -10 * np.log10(errors)
    return found
