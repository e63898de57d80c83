"""Parzen-window estimates of the log-likelihood, and the controls without which they must not be read.

Goodfellow et al., "Generative adversarial nets", NIPS 2014 (arXiv:1406.2661), section 5: a Gaussian on each of 10,000
samples, its width chosen on validation images, scored by test images. Theis, van den Oord & Bethge, "A note on the
evaluation of generative models", ICLR 2016 (arXiv:1511.01844), section 5: why it does not tell good samples from bad.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.cluster import KMeans

from fairdraw.capabilities import Generates
from fairdraw.data import Split
from fairdraw.order import spread

SAMPLES = 10_000
WIDTHS = np.logspace(-1, 0, 10)
"""The grid of the paper's code for the standard deviation of the window, pixels on [0, 1]."""

CENTROIDS = 1000
LLOYD_STEPS = 8
FEWEST_IN_A_CLUSTER = 10

DISTANCES_AT_A_TIME = 2**22
VALUES_CLUSTERED = 2**26
"""Pixel values of training images that k-means sees; memory is bounded by it. All of MNIST is less."""

DISTRUST = (
    "do not trust it: on MNIST it prefers k-means centroids, which nobody would take for samples, to real images, "
    "and in so many dimensions it is far from the log-likelihood (Theis 2016, section 5)"
)


@dataclass(frozen=True)
class Parzen:
    """One Parzen-window estimate: a mean log-density over images, nats, the greater the better.

    Args:
        windows: what the windows stand on.
        value: the mean.
        standard_error: of the mean, over images; None for one image.
        width: standard deviation of a window, pixels on [0, 1].
    """

    windows: str
    value: float
    standard_error: float | None
    width: float

    @classmethod
    def of(cls, windows: str, centres: np.ndarray, validation: np.ndarray, images: np.ndarray) -> "Parzen":
        """The estimate for `images` with windows on `centres`, its width chosen on `validation`; all `[..., D]`."""
        width = WIDTHS[log_densities(centres, validation, WIDTHS).mean(axis=1).argmax()]
        (found,) = log_densities(centres, images, width[None])
        error = float(found.std(ddof=1)) / len(found) ** 0.5 if len(found) > 1 else None
        return cls(windows, float(found.mean()), error, float(width))

    def __str__(self) -> str:
        error = "" if self.standard_error is None else f" +- {self.standard_error:.1f}"
        return f"{self.value:.1f}{error} nats with windows of width {self.width:.3f} on {self.windows}"


def estimates(model: Generates, train: Split, validation: Split, images: np.ndarray, seed: int = 0) -> list[Parzen]:
    """The estimate for uint8 `images` `[N, C, H, W]` of the model's draws, of training images and of their centroids.

    The draws are the first 10,000 of `seed` as the model gives them (a decoder's mean, not rounded to levels); pixels
    are on [0, 1] throughout, and no noise is added to them.
    """
    draws = (model.sample(SAMPLES, seed).numpy() + 1) / 2
    real = _unit(train.images(spread(len(train), SAMPLES)))
    centroids = _centroids(train, seed)
    chosen_on, x = _unit(validation.images(spread(len(validation), SAMPLES))), _unit(images)
    return [
        Parzen.of(windows, centres.reshape(len(centres), -1), chosen_on, x)
        for windows, centres in (
            (f"{len(draws):,} draws of the model, none picked", draws),
            (f"{len(real):,} training images (control)", real),
            (f"{len(centroids):,} k-means centroids of training images (control)", centroids),
        )
    ]


def log_densities(centres: np.ndarray, x: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """log of the mean over `centres` `[M, D]` of N(x; centre, width^2 I), nats `[S, N]`, for each of S `widths`."""
    # In float64, as |x|^2 - 2 x.c + |c|^2 loses the digits that a narrow window magnifies.
    c, points = torch.from_numpy(centres).double(), torch.from_numpy(x).double()
    norms = c.square().sum(1)
    found = torch.empty(len(widths), len(points), dtype=torch.float64)
    rows = max(1, DISTANCES_AT_A_TIME // len(c))
    for start in range(0, len(points), rows):
        part = points[start : start + rows]
        squared = torch.addmm(norms, part, c.T, alpha=-2) + part.square().sum(1, keepdim=True)
        for index, width in enumerate(widths.tolist()):
            total = torch.logsumexp(squared / (-2 * width**2), dim=1)
            constant = math.log(len(c)) + c.shape[1] * (math.log(width) + 0.5 * math.log(2 * math.pi))
            found[index, start : start + rows] = total - constant
    return found.numpy()


def _centroids(train: Split, seed: int) -> np.ndarray:
    """Means of clusters of training images, `[K, D]`, after a few steps of Lloyd's algorithm from random images."""
    x = _unit(train.images(spread(len(train), VALUES_CLUSTERED // math.prod(train.dataset.shape)))).astype(np.float32)
    clusters = max(1, min(CENTROIDS, len(x) // FEWEST_IN_A_CLUSTER))
    k_means = KMeans(clusters, init="random", n_init=1, max_iter=LLOYD_STEPS, random_state=seed % 2**32)
    centroids: np.ndarray = k_means.fit(x).cluster_centers_
    return centroids


def _unit(images: np.ndarray) -> np.ndarray:
    """uint8 images as float64 on [0, 1], `[N, D]`."""
    found: np.ndarray = images.reshape(len(images), -1) / 255
    return found
