"""How far generated images look real, and how far they show all that is real: balls around images in feature space.

Kynkaanniemi et al., "Improved precision and recall metric for assessing generative models", NeurIPS 2019
(arXiv:1904.06991), with the third nearest neighbour. Naeem et al., "Reliable fidelity and diversity metrics for
generative models", ICML 2020 (arXiv:2002.09797), with the fifth.

An image's ball reaches to its k-th nearest neighbour among images of its own kind, its border included.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fairdraw.metrics.features import check_features

PRECISION_NEIGHBOUR = 3
DENSITY_NEIGHBOUR = 5
DISTANCES_AT_A_TIME = 2**24


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
    most = max(precision_neighbour, density_neighbour)
    check_features(real, fake, most + 1, f"precision, recall, density and coverage with {most} neighbours")
    x, y = torch.from_numpy(real).double(), torch.from_numpy(fake).double()
    near, wide = _radii(x, (precision_neighbour, density_neighbour))
    (near_fake,) = _radii(y, (precision_neighbour,))
    within_real, balls = torch.zeros(len(y), dtype=torch.bool), 0
    recalled, covered = 0, 0
    for start, squared in _squared_distances(x, y):
        rows = slice(start, start + len(squared))
        within_real |= (squared <= near[rows, None]).any(0)
        recalled += int((squared <= near_fake).any(1).sum())
        inside = squared <= wide[rows, None]
        balls += int(inside.sum())
        covered += int(inside.any(1).sum())
    return Manifold(
        precision=float(within_real.double().mean()),
        recall=recalled / len(x),
        density=balls / (density_neighbour * len(y)),
        coverage=covered / len(x),
    )


def _radii(x: Tensor, neighbours: tuple[int, ...]) -> list[Tensor]:
    """Squared distance of each of `x` `[N, D]` to its k-th nearest other, `[N]`, for each k of `neighbours`."""
    found = []
    for start, squared in _squared_distances(x, x):
        own = torch.arange(len(squared))
        squared[own, own + start] = torch.inf
        found.append(squared.topk(max(neighbours), largest=False).values)
    nearest = torch.cat(found)
    return [nearest[:, k - 1] for k in neighbours]


def _squared_distances(x: Tensor, y: Tensor) -> Iterator[tuple[int, Tensor]]:
    """The place of the first of some rows of `x` `[N, D]`, and their squared distances to all of `y`, `[B, M]`."""
    norms, rows = y.square().sum(1), max(1, DISTANCES_AT_A_TIME // len(y))
    for start in range(0, len(x), rows):
        part = x[start : start + rows]
        yield start, torch.addmm(norms, part, y.T, alpha=-2).add_(part.square().sum(1, keepdim=True)).clamp_(min=0)
