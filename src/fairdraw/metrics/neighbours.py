"""Exact nearest training images: approximate search would hide the copies that one is looking for."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from fairdraw.data import Split
from fairdraw.metrics.distances import nearest
from fairdraw.metrics.features import Features

BLOCK = 2**23
"""Pixel values of training images compared at a time; memory is bounded by it, whatever the size of the set."""

ROUNDING = 1e-11
"""Of squared distances between features, as a share of the squares that they are made of."""


def nearest_images(queries: np.ndarray, bank: Split) -> tuple[np.ndarray, np.ndarray]:
    """For each of the uint8 `queries` `[N, C, H, W]` its nearest image of `bank`.

    Returns positions in `bank` `[N]` and distances `[N]`: the root mean squared difference of a pixel, on [0, 1].
    Of equally near images the first is taken.
    """
    # float64 holds these whole numbers exactly: a copy is told from an image that differs by one level in one pixel,
    # and images that are equally near are equally near here.
    where, distances = _nearest(_values, queries, bank)
    return where, distances / queries[0].size ** 0.5 / 255


def _values(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images.reshape(len(images), -1)).double()


def nearest_by_features(queries: np.ndarray, bank: Split, features: Features) -> tuple[np.ndarray, np.ndarray]:
    """The same by Euclidean distance between features: positions and distances, in the features' own unit.

    Images are equally near where nothing but rounding is between them.
    """
    # A copy of an image has other last digits where it stands elsewhere in a product of matrices.
    return _nearest(lambda images: torch.from_numpy(features.of(images)).double(), queries, bank, ROUNDING)


def _nearest(
    numbers_of: Callable[[np.ndarray], Tensor], queries: np.ndarray, bank: Split, rounding: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Positions and distances by float64 numbers `[N, K]` of images; as `distances.nearest`, over all of `bank`."""
    q = numbers_of(queries)
    best, where = torch.full((len(q),), torch.inf, dtype=q.dtype), torch.zeros(len(q), dtype=torch.long)
    own = q.square().sum(1)
    rows = max(1, BLOCK // queries[0].size)
    for start in range(0, len(bank), rows):
        b = numbers_of(bank.images(np.arange(start, min(start + rows, len(bank)))))
        place, distance = nearest(q, b, rounding=rounding)
        nearer = distance.square() < best.square() - rounding * (own + b.square().sum(1).max())
        best[nearer], where[nearer] = distance[nearer], place[nearer] + start
    return where.numpy(), best.numpy()
