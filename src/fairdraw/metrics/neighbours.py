"""Exact nearest training images: approximate search would hide the copies that one is looking for."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from fairdraw.data import Split
from fairdraw.metrics.distances import TILE, nearest
from fairdraw.metrics.features import Features

BLOCK = 2**23
"""Pixel values of training images compared at a time, whatever the size of their set; queries are held at once."""

PIECE = 2**15
"""Pixel values whose products are summed up in 32 bits, which hold three times their sum."""

ROUNDING = 1e-11
"""Of squared distances between features, as a share of the squares that they are made of."""


def nearest_images(queries: np.ndarray, bank: Split) -> tuple[np.ndarray, np.ndarray]:
    """For each of the uint8 `queries` `[N, C, H, W]` its nearest image of `bank`.

    Returns positions in `bank` `[N]` and distances `[N]`: the root mean squared difference of a pixel, on [0, 1].
    Of equally near images the first is taken. A copy is told from an image that differs by one level in one pixel.
    """
    # Of a single pixel value torch's product of bytes is wrong, and so would be that of a last piece of one.
    of = _by_whole_numbers if _multiplies_bytes() and queries[0].size % PIECE != 1 else _by_floats
    where, distances = of(queries, bank)
    return where, distances / queries[0].size ** 0.5 / 255


def _multiplies_bytes() -> bool:
    """Whether products of bytes are faster than those of floats: without the processor's instructions far slower."""
    asked = getattr(torch.cpu, "_is_vnni_supported", None)
    return bool(asked and asked() and torch.backends.mkldnn.enabled and hasattr(torch, "_int_mm"))


def _by_whole_numbers(queries: np.ndarray, bank: Split) -> tuple[np.ndarray, np.ndarray]:
    """By products of bytes, which processors with instructions for them form several times faster than of floats."""
    q = _signed(queries)
    best, where = torch.full((len(q),), torch.iinfo(torch.int64).max), torch.zeros(len(q), dtype=torch.long)
    for start, b in _blocks(bank, _signed):
        for column in range(0, len(b), TILE[1]):
            part = b[column : column + TILE[1]]
            norms = _squares(part)
            for row in range(0, len(q), TILE[0]):
                rows = slice(row, row + TILE[0])
                off = _off(q[rows], part, norms)
                least = off.amin(1)
                nearer = least < best[rows]
                best[rows][nearer] = least[nearer].long()
                where[rows][nearer] = start + column + off[nearer].argmin(1)  # the first of equal ones
    squared = best + torch.stack(_squares(q)).sum(0)
    return where.numpy(), np.sqrt(squared.numpy())  # torch's root is off by the last bit now and then


def _off(x: Tensor, y: Tensor, norms: list[Tensor]) -> Tensor:
    """Of int8 `x` `[N, K]` and `y` `[M, K]` the squared distances `[N, M]`, but for |x|^2, the same for all of `y`."""
    parts = [
        torch._int_mm(x[:, piece], y[:, piece].T).mul_(-2).add_(norm)
        for piece, norm in zip(_pieces(y), norms, strict=True)
    ]
    return parts[0] if len(parts) == 1 else torch.stack(parts).sum(0)  # a sum has 64 bits


def _squares(x: Tensor) -> list[Tensor]:
    """Sums of the squares of each piece of int8 `[N, K]`, int32 `[N]`."""
    return [x[:, piece].int().square().sum(1).int() for piece in _pieces(x)]


def _pieces(x: Tensor) -> list[slice]:
    return [slice(start, start + PIECE) for start in range(0, x.shape[1], PIECE)]


def _signed(images: np.ndarray) -> Tensor:
    """Levels less 128, int8 `[N, K]`: the differences are the same."""
    return torch.from_numpy((images.reshape(len(images), -1) ^ 128).view(np.int8))


def _by_floats(queries: np.ndarray, bank: Split) -> tuple[np.ndarray, np.ndarray]:
    """The same in float64, which holds these whole numbers exactly."""
    return _nearest(_values, queries, bank)


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
    for start, b in _blocks(bank, numbers_of):
        place, distance = nearest(q, b, rounding=rounding)
        nearer = distance.square() < best.square() - rounding * (own + b.square().sum(1).max())
        best[nearer], where[nearer] = distance[nearer], place[nearer] + start
    return where.numpy(), best.numpy()


def _blocks(bank: Split, numbers_of: Callable[[np.ndarray], Tensor]) -> Iterator[tuple[int, Tensor]]:
    """Numbers `[N, K]` of some images of `bank` at a time, and the position of the first."""
    rows = max(1, BLOCK // math.prod(bank.dataset.shape))
    for start in range(0, len(bank), rows):
        yield start, numbers_of(bank.images(np.arange(start, min(start + rows, len(bank)))))
