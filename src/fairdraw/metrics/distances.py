"""Euclidean distances between features, a block at a time: memory is bounded whatever the number of images."""

from collections.abc import Iterator

import torch
from torch import Tensor

from fairdraw.inference import full_precision

AT_A_TIME = 2**20
"""Distances held at a time: as many as stay in a processor's cache."""
TILE = (512, 1024)
"""Of them, where only the least is wanted, by rows and columns."""
PIECE = 512
"""Features that are summed up by themselves: the fewer, the less rounding there can be."""


def squared_distances(x: Tensor, y: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Some rows of `x` `[N, D]` at a time: which, and their squared distances to all of `y` `[M, D]`, `[B, M]`."""
    norms, rows = y.square().sum(1), max(1, AT_A_TIME // len(y))
    for start in range(0, len(x), rows):
        part = x[start : start + rows]
        squared = torch.addmm(norms, part, y.T, alpha=-2)
        yield slice(start, start + len(part)), squared.add_(part.square().sum(1, keepdim=True)).clamp_(min=0)


def nearest(x: Tensor, y: Tensor, left_out: Tensor | None = None, rounding: float = 0.0) -> tuple[Tensor, Tensor]:
    """The place in `y` `[M, D]` of the nearest to each of `x` `[N, D]`, and the distance; `[N]` each, all in float64.

    `left_out` `[N]` are places that do not count, as each image's own. Of those whose squared distance is the least but
    for `rounding`, a share of |x|^2 + |y|^2, the first is taken. The distance is of the differences, so that it is
    exactly 0 for a copy.
    """
    best, where = torch.full((len(x),), torch.inf, dtype=x.dtype), torch.zeros(len(x), dtype=torch.long)
    own = x.square().sum(1)
    # In half the time of float64, float32 tells nearly everywhere that the nearest is not there.
    for columns, rows in _worth_a_look(x, y, left_out):
        part = y[columns]
        norms = part.square().sum(1)
        # half of |x - y|^2, but for |x|^2, which is the same for all of y
        off = torch.addmm(norms / 2, x[rows], part.T, alpha=-1)
        if left_out is not None:
            _leave_out(off, left_out[rows] - columns.start)
        least, slack = off.amin(1), rounding * (own[rows] + norms.max()) / 2
        nearer = least < best[rows] - slack
        found = rows[nearer]
        best[found] = least[nearer]
        where[found] = columns.start + (off <= (least + slack)[:, None]).int().argmax(1)[nearer]  # the first of them
    return where, (x - y[where]).norm(dim=1)


def _worth_a_look(x: Tensor, y: Tensor, left_out: Tensor | None) -> Iterator[tuple[slice, Tensor]]:
    """Some columns of `y` at a time: which, and the rows of `x` whose nearest may be among them."""
    tiles = [slice(start, min(start + TILE[1], len(y))) for start in range(0, len(y), TILE[1])]
    # The distances are those of centred numbers, which float32 has more digits of.
    centre = y.mean(0)
    scale = float(max((x - centre).abs().max(), (y - centre).abs().max())) or 1.0
    a = ((x - centre) / scale).float()
    pieces = [slice(start, start + PIECE) for start in range(0, x.shape[1], PIECE)]
    least, longest = torch.empty(len(x), len(tiles)), torch.zeros(())
    with full_precision(x.device):
        for tile, columns in enumerate(tiles):
            b = ((y[columns] - centre) / scale).float()
            norms = b.double().square().sum(1).float()
            longest = torch.maximum(longest, norms.max().sqrt())
            for start in range(0, len(x), TILE[0]):
                rows = slice(start, start + TILE[0])
                off = norms / 2
                for piece in pieces:
                    off = torch.addmm(off, a[rows, piece], b[:, piece].T, alpha=-1)
                if left_out is not None:
                    _leave_out(off, left_out[rows] - columns.start)
                least[rows, tile] = off.amin(1)
    # What rounding may do to a sum of so many products, and to their factors before: Higham, "Accuracy and stability of
    # numerical algorithms", 2002, section 3.1; once for the least, and once for what stands beside it.
    roundings = min(x.shape[1], PIECE) + len(pieces) + 8
    error = roundings * torch.finfo(torch.float32).eps / 2 * longest * (a.norm(dim=1) + longest)
    border = least.amin(1) + 2 * error + torch.finfo(torch.float32).tiny
    for tile, columns in enumerate(tiles):
        rows_here = (least[:, tile] <= border).nonzero()[:, 0]
        if len(rows_here):
            yield columns, rows_here


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
