"""Euclidean distances between features, a block at a time: memory is bounded whatever the number of images."""

from collections.abc import Iterator

import torch
from torch import Tensor

AT_A_TIME = 2**23
"""Distances held at a time."""
TILE = (512, 2048)
"""Of them, where only the least is wanted: as many as stay in a processor's cache."""


def squared_distances(x: Tensor, y: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Some rows of `x` `[N, D]` at a time: which, and their squared distances to all of `y` `[M, D]`, `[B, M]`."""
    norms, rows = y.square().sum(1), max(1, AT_A_TIME // len(y))
    for start in range(0, len(x), rows):
        part = x[start : start + rows]
        squared = torch.addmm(norms, part, y.T, alpha=-2)
        yield slice(start, start + len(part)), squared.add_(part.square().sum(1, keepdim=True)).clamp_(min=0)


def nearest(x: Tensor, y: Tensor, left_out: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The place in `y` `[M, D]` of the nearest to each of `x` `[N, D]`, and the distance; `[N]` each.

    `left_out` `[N]` are places that do not count, as each image's own. The distance is of the differences, so that it
    is exactly 0 for a copy.
    """
    best, where = torch.full((len(x),), torch.inf, dtype=x.dtype), torch.zeros(len(x), dtype=torch.long)
    halved = y.square().sum(1) / 2
    for row in range(0, len(x), TILE[0]):
        rows = slice(row, row + TILE[0])
        for column in range(0, len(y), TILE[1]):
            columns = slice(column, column + TILE[1])
            # half of |x - y|^2, but for |x|^2, which is the same for all of y
            off = torch.addmm(halved[columns], x[rows], y[columns].T, alpha=-1)
            if left_out is not None:
                _leave_out(off, left_out[rows] - column)
            least, place = off.min(1)
            nearer = least < best[rows]
            best[rows] = torch.where(nearer, least, best[rows])
            where[rows] = torch.where(nearer, place + column, where[rows])
    return where, (x - y[where]).norm(dim=1)


def _leave_out(distances: Tensor, places: Tensor) -> None:
    """Make the distance of each row `[N, M]` infinite at its place `[N]`, where that is one of the columns."""
    rows = ((places >= 0) & (places < distances.shape[1])).nonzero()[:, 0]
    distances[rows, places[rows]] = torch.inf


def radii(x: Tensor, neighbours: tuple[int, ...]) -> list[Tensor]:
    """Squared distance of each of `x` `[N, D]` to its k-th nearest other, `[N]`, for each k of `neighbours`."""
    found = []
    for rows, squared in squared_distances(x, x):
        _leave_out(squared, torch.arange(rows.start, rows.stop))
        found.append(squared.topk(max(neighbours), largest=False).values)
    near = torch.cat(found)
    return [near[:, k - 1] for k in neighbours]
