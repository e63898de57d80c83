"""Frechet distance between Gaussians fitted to features of real and of generated images.

Heusel et al., "GANs trained by a two time-scale update rule converge to a local Nash equilibrium", NIPS 2017
(arXiv:1706.08500), section 4:

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^1/2)

Only with the features of the Inception network is it the FID; with others it is `FD(features)`. It is biased upwards by
about a constant over the number of images, so it means something only beside the same distance between real images,
or extrapolated to infinitely many: Chong & Forsyth, "Effectively unbiased FID and Inception score and where to find
them", CVPR 2020 (arXiv:1911.07023), section 4.
"""

from typing import NamedTuple

import numpy as np

from fairdraw.errors import InputError
from fairdraw.metrics.features import check_features
from fairdraw.metrics.number import FEWEST

POINTS = 15
"""Sizes of the sets that a line is fitted through, as in section 4 of Chong & Forsyth."""


class Extrapolated(NamedTuple):
    """The Frechet distance of infinitely many generated images.

    Args:
        value: where the line through the distances over 1/N meets 1/N = 0; the bias of finitely many real ones stays.
        standard_error: of the fitted line there; the sets overlap, so it is rather too small.
        slope: how much of the bias there is, distance times images.
    """

    value: float
    standard_error: float
    slope: float


def extrapolated_distance(real: np.ndarray, fake: np.ndarray, seed: int = 0) -> Extrapolated:
    """The distance of `frechet_distance` at 15 counts from a tenth of `fake` `[M, D]` to all, and the line beyond them.

    Each count is of generated images drawn anew by `seed`, against all of `real` `[N, D]`.

    Raises:
        InputError: where a tenth of the generated images are too few, and as `frechet_distance`.
    """
    least = len(fake) // 10
    if least < FEWEST:
        raise InputError(f"{len(fake)} generated images are too few to extrapolate from: give at least {10 * FEWEST}")
    check_features(real, fake, FEWEST, "a Frechet distance")
    generator = np.random.default_rng(seed)
    counts = np.linspace(least, len(fake), POINTS).astype(int)
    distances = [frechet_distance(real, fake[generator.permutation(len(fake))[:count]]) for count in counts]
    design = np.stack([np.ones(POINTS), 1 / counts], axis=1)
    (intercept, slope), residual, _, _ = np.linalg.lstsq(design, np.array(distances), rcond=None)
    variance = float(residual.sum()) / (POINTS - 2) * np.linalg.inv(design.T @ design)[0, 0]
    return Extrapolated(float(intercept), float(variance**0.5), float(slope))


def frechet_distance(real: np.ndarray, fake: np.ndarray) -> float:
    """The distance between Gaussians fitted to features `[N, D]` and `[M, D]`, in float64; covariances are unbiased.

    Raises:
        InputError: for fewer than 30 images of a kind, other widths, NaN or infinity.
    """
    check_features(real, fake, FEWEST, "a Frechet distance")
    real, fake = real.astype(np.float64), fake.astype(np.float64)
    if max(len(real), len(fake)) > real.shape[1]:
        return gaussian_distance(real.mean(0), _covariance(real), fake.mean(0), _covariance(fake))
    # With S1 = A A' and S2 = B B' the trace of (S1 S2)^1/2 is the nuclear norm of A'B, which is no wider than images.
    a, b = _centred(real), _centred(fake)
    shared = float(np.linalg.svd(a @ b.T, compute_uv=False).sum())
    means = float(np.square(real.mean(0) - fake.mean(0)).sum())
    return means + float(np.square(a).sum() + np.square(b).sum()) - 2 * shared


def gaussian_distance(mean: np.ndarray, covariance: np.ndarray, mean2: np.ndarray, covariance2: np.ndarray) -> float:
    """The distance between N(`mean`, `covariance`) and N(`mean2`, `covariance2`); means `[D]`, covariances `[D, D]`."""
    # The eigenvalues of S1 S2 are those of the symmetric F' S2 F with F F' = S1: none is complex, and those below 0
    # are rounding.
    factor = _factor(covariance)
    eigenvalues = np.linalg.eigvalsh(factor.T @ covariance2 @ factor)
    shared = float(np.sqrt(eigenvalues.clip(0)).sum())
    means = float(np.square(mean - mean2).sum())
    return means + float(np.trace(covariance) + np.trace(covariance2)) - 2 * shared


def _centred(features: np.ndarray) -> np.ndarray:
    """`A` `[N, D]` with A'A the unbiased covariance."""
    centred: np.ndarray = (features - features.mean(0)) / (len(features) - 1) ** 0.5
    return centred


def _covariance(features: np.ndarray) -> np.ndarray:
    centred = _centred(features)
    found: np.ndarray = centred.T @ centred
    return found


def _factor(covariance: np.ndarray) -> np.ndarray:
    """`F` with F F' = `covariance`: Cholesky's, or where that is singular the symmetric square root."""
    try:
        factor: np.ndarray = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(covariance)
        factor = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    return factor
