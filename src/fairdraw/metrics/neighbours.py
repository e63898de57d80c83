"""Exact nearest training images: approximate search would hide the copies that one is looking for."""

import numpy as np
import torch

from fairdraw.data import Split

BLOCK = 2**23
"""Pixel values of training images compared at a time; memory is bounded by it, whatever the size of the set."""


def nearest_images(queries: np.ndarray, bank: Split) -> tuple[np.ndarray, np.ndarray]:
    """For each of the uint8 `queries` `[N, C, H, W]` its nearest image of `bank`.

    Returns positions in `bank` `[N]` and distances `[N]`: the root mean squared difference of a pixel, on [0, 1].
    Of equally near images the first is taken.
    """
    # float64 holds these whole numbers exactly: a copy is told from an image that differs by one level in one pixel,
    # and images that are equally near are equally near here.
    q = torch.from_numpy(queries.reshape(len(queries), -1)).double()
    best, where = torch.full((len(q),), torch.inf, dtype=q.dtype), torch.zeros(len(q), dtype=torch.long)
    rows = max(1, BLOCK // q.shape[1])
    for start in range(0, len(bank), rows):
        block = bank.images(np.arange(start, min(start + rows, len(bank))))
        b = torch.from_numpy(block.reshape(len(block), -1)).double()
        # |q - b|^2 = |q|^2 - 2 q.b + |b|^2; the constant |q|^2 is added at the end
        squared, index = torch.addmm(b.square().sum(1), q, b.T, alpha=-2).min(dim=1)
        nearer = squared < best
        best[nearer], where[nearer] = squared[nearer], index[nearer] + start
    distances = ((best + q.square().sum(1)) / q.shape[1]).sqrt() / 255
    return where.numpy(), distances.numpy()
