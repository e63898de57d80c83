"""How far generated images look real, and how far they show all that is real: balls around images in feature space.

Kynkaanniemi et al., "Improved precision and recall metric for assessing generative models", NeurIPS 2019
(arXiv:1904.06991), with the third nearest neighbour. Naeem et al., "Reliable fidelity and diversity metrics for
generative models", ICML 2020 (arXiv:2002.09797), with the fifth.

An image's ball reaches to its k-th nearest neighbour among images of its own kind, its border included.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fairdraw.metrics.distances import radii, squared_distances
from fairdraw.metrics.features import check_features

PRECISION_NEIGHBOUR = 3
DENSITY_NEIGHBOUR = 5


@dataclass(frozen=True)
class Manifold:
    """Four shares of images; of two sets of real images none is 1 (nor exactly the same for other counts).

    Args:
        precision: of generated images within the ball of a real image. One good image many times has a high one.
        recall: of real images within the ball of a generated image. One good image many times has a low one.
        density: real balls that a generated image is in, over the 5 that are expected; may exceed 1.
        coverage: of real images with a generated image in their ball.
    """

    precision: float
    recall: float
    density: float
    coverage: float


@dataclass(frozen=True)
class Memberships:
    """What `Manifold` is the mean of, an entry for each image.

    Args:
        precision: whether each generated image is in a real ball, `[M]`.
        recall: whether each real image is in a generated ball, `[N]`.
        density: how many real balls each generated image is in, `[M]`.
        coverage: whether each real ball has a generated image, `[N]`.
    """

    precision: np.ndarray
    recall: np.ndarray
    density: np.ndarray
    coverage: np.ndarray


def manifold(
    real: np.ndarray,
    fake: np.ndarray,
    precision_neighbour: int = PRECISION_NEIGHBOUR,
    density_neighbour: int = DENSITY_NEIGHBOUR,
) -> Manifold:
    """Precision and recall, density and coverage of generated features `[M, D]` against real ones `[N, D]`; exact.

    Raises:
        InputError: where there are no more images of a kind than neighbours, other widths, NaN or infinity.
    """
    found = memberships(real, fake, precision_neighbour, density_neighbour)
    density = found.density.sum() / (density_neighbour * len(fake))
    return Manifold(
        float(found.precision.mean()), float(found.recall.mean()), float(density), float(found.coverage.mean())
    )


def balls(
    real: np.ndarray, precision_neighbour: int = PRECISION_NEIGHBOUR, density_neighbour: int = DENSITY_NEIGHBOUR
) -> list[Tensor]:
    """Squared radii of the balls around real features `[N, D]` for precision, and for density and coverage."""
    return radii(torch.from_numpy(real).double(), (precision_neighbour, density_neighbour))


def memberships(
    real: np.ndarray,
    fake: np.ndarray,
    precision_neighbour: int = PRECISION_NEIGHBOUR,
    density_neighbour: int = DENSITY_NEIGHBOUR,
    real_balls: Sequence[Tensor] | None = None,
) -> Memberships:
    """The same for each image; `real_balls` are those of `real`, where many are compared with the same ones.

    Raises:
        InputError: as `manifold`.
    """
    most = max(precision_neighbour, density_neighbour)
    check_features(real, fake, most + 1, f"precision, recall, density and coverage with {most} neighbours")
    x, y = torch.from_numpy(real).double(), torch.from_numpy(fake).double()
    near, wide = real_balls or balls(real, precision_neighbour, density_neighbour)
    (near_fake,) = radii(y, (precision_neighbour,))
    precision, density = np.zeros(len(y), bool), np.zeros(len(y), int)
    recall, coverage = np.empty(len(x), bool), np.empty(len(x), bool)
    # NumPy's logic of tables is several times faster than torch's.
    to_near, to_wide, to_fake = (radius.numpy() for radius in (near[:, None], wide[:, None], near_fake))
    for rows, distances in squared_distances(x, y):
        squared = distances.numpy()
        precision |= (squared <= to_near[rows]).any(0)
        recall[rows] = (squared <= to_fake).any(1)
        inside = squared <= to_wide[rows]
        density += np.count_nonzero(inside, axis=0)
        coverage[rows] = inside.any(1)
    return Memberships(precision, recall, density, coverage)
