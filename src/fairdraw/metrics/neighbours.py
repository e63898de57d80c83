"""Exact nearest training images: approximate search would hide the copies that one is looking for."""

import numpy as np
import torch

from fairdraw.data import Split

BLOCK = 8_192
"""Training images compared at a time; memory is bounded by it, whatever the size of the set."""


def nearest_images(queries: np.ndarray, bank: Split) -> tuple[np.ndarray, np.ndarray]:
    """For each of the uint8 `queries` `[N, C, H, W]` its nearest image of `bank`.

    Returns positions in `bank` `[N]` and distances `[N]`: the root mean squared difference of a pixel, on [0, 1].
    Of equally near images the first is taken.
    """
    q = torch.from_numpy(queries.reshape(len(queries), -1)).float() / 255
    best, where = torch.full((len(q),), torch.inf), torch.zeros(len(q), dtype=torch.long)
    for start in range(0, len(bank), BLOCK):
        block = bank.images(np.arange(start, min(start + BLOCK, len(bank))))
        b = torch.from_numpy(block.reshape(len(block), -1)).float() / 255
        # |q - b|^2 = |q|^2 - 2 q.b + |b|^2; the constant |q|^2 is added at the end
        squared, index = torch.addmm(b.square().sum(1), q, b.T, alpha=-2).min(dim=1)
        nearer = squared < best
        best[nearer], where[nearer] = squared[nearer], index[nearer] + start
    found = where.numpy()
    difference = queries.astype(np.float64) - bank.images(found)
    return found, np.sqrt((difference / 255).reshape(len(queries), -1) ** 2).mean(1)
