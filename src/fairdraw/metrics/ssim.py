"""Structural similarity of pairs of images, at one scale and at several.

Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE TIP 13(4), 2004,
equation 13, with means, variances and the covariance under a Gaussian window of 11x11 pixels, sigma 1.5:

    SSIM(x, y) = (2 m_x m_y + C1) (2 s_xy + C2) / ((m_x^2 + m_y^2 + C1) (s_x^2 + s_y^2 + C2))
    C1 = (0.01 L)^2,  C2 = (0.03 L)^2,  L = 255

averaged over the places of the window and over channels. Border: only places where the whole window lies within the
image count, so 5 pixels at each side are seen by windows but are the centre of none. So does scikit-image with
`gaussian_weights=True, use_sample_covariance=False`; other libraries pad, and differ in the third decimal.

Wang, Simoncelli and Bovik, "Multi-scale structural similarity for image quality assessment", Asilomar 2003, equation 7:

    MS-SSIM(x, y) = l_M^w_M  c_1^w_1 s_1^w_1  ...  c_M^w_M s_M^w_M

with the second factor of SSIM for `c s`, each averaged over its scale before the power and, as it may be negative
there, not below 0. From one scale to the next the means of 2x2 pixels are taken; an odd last row or column is paired
with itself, as in the authors' program. Channels are averaged within a scale.

At the fifth scale the window fits only into images of 161 pixels and more. Smaller ones take fewer scales, the first of
the published weights divided by their sum, and the number is another one, which `ms_ssim_name` names. The code of
"Progressive growing of GANs" shrinks the window instead: its numbers at 128x128 are not comparable with these.
"""

from collections.abc import Iterator

import numpy as np

from fairdraw.errors import InputError
from fairdraw.metrics.pixels import check_pairs

WINDOW, SIGMA = 11, 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the scales from the finest on, as published: their sum is 1.0001."""
# The float64 maps of a chunk stay in the cache of a core.
VALUES_AT_A_TIME = 2**17
BLOCK = 64


def ssim(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """SSIM of each pair of uint8 images `[N, C, H, W]`, `[N]`; 1 for equal ones, and the same in either order.

    Raises:
        InputError: for other arrays, images that differ in number, channels or size, sides below 11 pixels.
    """
    check_pairs(first, second, "SSIM", WINDOW)
    return np.concatenate([similarity(x, y)[0] for x, y in _chunks(first, second)])


def ms_ssim(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """MS-SSIM of each pair of uint8 images `[N, C, H, W]` with `scales` for their size, `[N]`; 1 for equal ones.

    Raises:
        InputError: for other arrays, images that differ in number, channels or size, sides below 11 pixels.
    """
    check_pairs(first, second, "MS-SSIM", WINDOW)
    weights = _weights(scales(*first.shape[2:]))
    return np.concatenate([_over_scales(x, y, weights) for x, y in _chunks(first, second)])


def scales(height: int, width: int) -> int:
    """How many scales, 5 at most, have room for the window in images of that size.

    >>> [scales(side, side) for side in (11, 28, 64, 128, 161)]
    [1, 2, 3, 4, 5]

    Raises:
        InputError: for a side below 11 pixels.
    """
    side = min(height, width)
    if side < WINDOW:
        raise InputError(f"images of {height}x{width} are smaller than the {WINDOW}x{WINDOW} window of SSIM")
    return sum(-(-side // 2**scale) >= WINDOW for scale in range(len(WEIGHTS)))


def ms_ssim_name(height: int, width: int) -> str:
    """What to call MS-SSIM of images of that size.

    >>> ms_ssim_name(28, 28)
    'MS-SSIM(2 of 5 scales)'
    """
    count = scales(height, width)
    return f"MS-SSIM({count} of {len(WEIGHTS)} scales)" if count < len(WEIGHTS) else f"MS-SSIM({count} scales)"


def similarity(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """SSIM and its second factor, the contrast and structure, of pairs of levels `[N, C, H, W]` in float64, `[N]`."""
    mean_x, mean_y = _windowed(x), _windowed(y)
    product = mean_x * mean_y
    squares = np.square(mean_x) + np.square(mean_y)
    covariance = _windowed(x * y) - product
    variances = _windowed(np.square(x) + np.square(y)) - squares
    structure = (2 * covariance + C2) / (variances + C2)
    luminance = (2 * product + C1) / (squares + C1)
    return (luminance * structure).mean((1, 2, 3)), structure.mean((1, 2, 3))


def _over_scales(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    found = np.ones(len(x))
    for weight in weights[:-1]:
        found *= similarity(x, y)[1].clip(0) ** weight
        x, y = _halved(x), _halved(y)
    whole: np.ndarray = found * similarity(x, y)[0].clip(0) ** weights[-1]
    return whole


def _weights(count: int) -> np.ndarray:
    found = np.array(WEIGHTS[:count])
    return found if count == len(WEIGHTS) else found / found.sum()


def _halved(x: np.ndarray) -> np.ndarray:
    """The means of 2x2 pixels; an odd last row or column counts twice."""
    height, width = x.shape[2:]
    x = np.pad(x, ((0, 0), (0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    means: np.ndarray = (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4
    return means


def _chunks(first: np.ndarray, second: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    chunk = max(1, VALUES_AT_A_TIME // first[0].size)
    for start in range(0, len(first), chunk):
        part = slice(start, start + chunk)
        yield first[part].astype(np.float64), second[part].astype(np.float64)


def _windowed(x: np.ndarray) -> np.ndarray:
    """The mean of `[N, C, H, W]` under the window at each of its places, `[N, C, H - 10, W - 10]`."""
    return _along_rows(_along_columns(x))


# A product with a band matrix is several times faster than eleven shifted sums; in blocks the band fills the matrix.
def _along_columns(x: np.ndarray) -> np.ndarray:
    left = x.shape[3] - WINDOW + 1
    found = np.empty((*x.shape[:3], left))
    for start in range(0, left, BLOCK):
        size = min(BLOCK, left - start)
        found[..., start : start + size] = x[..., start : start + size + WINDOW - 1] @ _band(size)
    return found


def _along_rows(x: np.ndarray) -> np.ndarray:
    left = x.shape[2] - WINDOW + 1
    found = np.empty((*x.shape[:2], left, x.shape[3]))
    for start in range(0, left, BLOCK):
        size = min(BLOCK, left - start)
        found[:, :, start : start + size] = _band(size).T @ x[:, :, start : start + size + WINDOW - 1]
    return found


def _band(size: int) -> np.ndarray:
    """`[size + 10, size]`, with the Gaussian in each column."""
    gaussian = np.exp(-0.5 * (np.arange(WINDOW) - WINDOW // 2) ** 2 / SIGMA**2)
    found = np.zeros((size + WINDOW - 1, size))
    for column in range(size):
        found[column : column + WINDOW, column] = gaussian / gaussian.sum()
    return found
