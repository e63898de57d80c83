"""Maxout layers: the largest of several linear pieces (Goodfellow et al. 2013, arXiv:1302.4389)."""

import torch.nn.functional as F
from torch import Tensor, nn


class Maxout(nn.Module):
    """Dense units `[B, inputs] -> [B, units]`, each the maximum of `pieces` linear functions."""

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.units, self.pieces = units, pieces
        self.linear = nn.Linear(inputs, units * pieces)

    def forward(self, x: Tensor) -> Tensor:
        """The maxima."""
        pieces: Tensor = self.linear(x)
        return pieces.view(-1, self.units, self.pieces).amax(2)


class MaxoutConvolution(nn.Module):
    """Convolutions `[B, inputs, H, W] -> [B, channels, H', W']`, their maximum over `pieces`, and pooling by maxima.

    Pooling windows that stick out at the far edges count, as in the released code of Goodfellow 2013.
    """

    def __init__(self, inputs: int, channels: int, pieces: int, kernel: int, padding: int, pool: int) -> None:
        super().__init__()
        self.channels, self.pieces, self.pool = channels, pieces, pool
        self.convolution = nn.Conv2d(inputs, channels * pieces, kernel, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        """The pooled maxima."""
        pieces: Tensor = self.convolution(x)
        largest = pieces.view(len(x), self.channels, self.pieces, *pieces.shape[2:]).amax(2)
        return F.max_pool2d(largest, self.pool, stride=2, ceil_mode=True)
