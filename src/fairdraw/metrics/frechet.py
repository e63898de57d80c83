"""Frechet distance between Gaussians fitted to features of real and of generated images.

Heusel et al., "GANs trained by a two time-scale update rule converge to a local Nash equilibrium", NIPS 2017
(arXiv:1706.08500), section 4:

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^1/2)

Only with the features of the Inception network is it the FID; with others it is `FD(features)`. It is biased upwards by
about a constant over the number of images, so it means something only beside the same distance between real images.
"""

import numpy as np

from fairdraw.metrics.features import check_features
from fairdraw.metrics.number import FEWEST


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
