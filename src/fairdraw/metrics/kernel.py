"""Kernel distance between features of real and of generated images: unbiased, so that of equal distributions it is 0.

Binkowski et al., "Demystifying MMD GANs", ICLR 2018 (arXiv:1801.01401), section 4 and appendix D: the squared maximum
mean discrepancy with the kernel

    k(x, y) = (x.y / D + 1)^3

Only with the features of the Inception network is it the KID; with others it is `KD(features)`. Papers print its mean
over random subsets of 1,000 images; here it is over all pairs of images at once, so that no seed enters. It may be
negative.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from fairdraw.metrics.features import check_features
from fairdraw.metrics.number import FEWEST

VALUES_AT_A_TIME = 2**20
"""Of the kernel: as many as stay in a processor's cache."""


class KernelDistance(NamedTuple):
    """Squared maximum mean discrepancy.

    Args:
        value: the unbiased estimate.
        standard_error: by the jackknife over the images of both kinds; somewhat too large where the distributions
            are equal.
    """

    value: float
    standard_error: float


def kernel_distance(real: np.ndarray, fake: np.ndarray, of_real: np.ndarray | None = None) -> KernelDistance:
    """The distance between features `[N, D]` and `[M, D]`, in float64.

    `of_real` are the `sums_over_others` of `real`, where many are compared with the same ones.

    Raises:
        InputError: for fewer than 30 images of a kind, other widths, NaN or infinity.
    """
    check_features(real, fake, FEWEST, "a kernel distance")
    x, y = real.astype(np.float64), fake.astype(np.float64)
    n, m = len(x), len(y)
    of_x, of_y = sums_over_others(x) if of_real is None else of_real, sums_over_others(y)
    across_x, across_y = _cross_sums(x, y)
    total_x, total_y, across = of_x.sum(), of_y.sum(), across_x.sum()
    value = total_x / (n * (n - 1)) + total_y / (m * (m - 1)) - 2 * across / (n * m)
    without_x = (
        (total_x - 2 * of_x) / ((n - 1) * (n - 2)) + total_y / (m * (m - 1)) - 2 * (across - across_x) / ((n - 1) * m)
    )
    without_y = (
        total_x / (n * (n - 1)) + (total_y - 2 * of_y) / ((m - 1) * (m - 2)) - 2 * (across - across_y) / (n * (m - 1))
    )
    variance = (n - 1) * without_x.var() + (m - 1) * without_y.var()
    return KernelDistance(float(value), float(variance**0.5))


def sums_over_others(x: np.ndarray) -> np.ndarray:
    """The sum of k(x, y) over the other images, for each of the features `[N, D]`, `[N]`."""
    x = x.astype(np.float64)
    sums = np.concatenate([kernel.sum(1) for _, kernel in _blocks(x, x)])
    found: np.ndarray = sums - (np.square(x).sum(1) / x.shape[1] + 1) ** 3
    return found


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    one = torch.ones((), dtype=torch.float64)
    # One pass for the product, one for the cube: NumPy would take four more.
    product = torch.addmm(one, torch.from_numpy(x), torch.from_numpy(y).T, alpha=1 / x.shape[1])
    cubed: np.ndarray = product.pow_(3).numpy()
    return cubed


def _blocks(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    rows = max(1, VALUES_AT_A_TIME // len(y))
    for start in range(0, len(x), rows):
        part = slice(start, start + rows)
        yield part, _kernel(x[part], y)


def _cross_sums(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the kernel of each of `x` with all of `y`, and the reverse, `[N]` and `[M]`, from one pass."""
    of_x, of_y = np.empty(len(x)), np.zeros(len(y))
    for part, kernel in _blocks(x, y):
        of_x[part] = kernel.sum(1)
        of_y += kernel.sum(0)
    return of_x, of_y
