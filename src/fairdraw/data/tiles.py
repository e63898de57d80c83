"""Pictures at their own resolution: each is cut into squares that do not overlap."""

import threading
from dataclasses import replace
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from fairdraw.data.decode import Pixels, Unreadable, decode, probe, quiet
from fairdraw.data.options import Rejected
from fairdraw.data.source import Item, Pictures, Source
from fairdraw.data.work import in_order, ranges
from fairdraw.errors import InputError

BATCH = 64


class Tile(NamedTuple):
    """Where a tile is: the number of its picture, and its upper left pixel."""

    picture: int
    top: int
    left: int


def tiles(source: Source, size: int | None) -> Source:
    """The pictures of `source` in tiles of `size` px; what is left at the right and at the bottom is dropped.

    The tiles of a picture form a group, so that none is tested on of a picture that another was learnt from. A picture
    that is smaller than a tile cannot be used.

    Raises:
        InputError: without a size.
    """
    if size is None:
        raise InputError("--fit tiles cuts pictures into squares of a --size: give one, such as --size 96")
    side = size
    return Source(f"{source.place} in tiles of {side}", source.stamp, lambda: _cut(source.load(), side))


def _cut(pictures: Pictures, side: int) -> Pictures:
    where: list[Tile] = []
    items: list[Item] = []
    rejected = list(pictures.rejected)
    sizes = _sizes(pictures)
    for number, (item, found) in enumerate(zip(pictures.items, sizes, strict=True)):
        reason = found if isinstance(found, str) else _too_small(*found, side)
        if reason or isinstance(found, str):
            rejected.append(Rejected(item.name, reason))
            continue
        width, height = found
        for top in range(0, height - side + 1, side):
            for left in range(0, width - side + 1, side):
                where.append(Tile(number, top, left))
                items.append(replace(item, name=_named(item.name, top, left), group=item.group or item.name))
    uniform = pictures.uniform and replace(pictures.uniform, width=side, height=side)
    if not items and (small := [min(found) for found in sizes if not isinstance(found, str)]):
        raise InputError(
            f"no picture is as large as a tile of {side} px: give larger ones, or a --size of at most {max(small)}"
        )
    latest = threading.local()  # the tiles of a picture follow one another, so each thread decodes it but once

    def read(index: int) -> Pixels:
        tile = where[index]
        if getattr(latest, "picture", None) != tile.picture:
            data = pictures.read(tile.picture)
            latest.pixels = decode(data) if isinstance(data, bytes) else data
            latest.picture = tile.picture
        part = latest.pixels[tile.top : tile.top + side, tile.left : tile.left + side]
        if part.shape[:2] != (side, side):
            raise Unreadable("its size is not what its header says")
        return np.ascontiguousarray(part)

    return replace(pictures, items=items, read=read, rejected=tuple(sorted(rejected)), uniform=uniform)


def _sizes(pictures: Pictures) -> list[tuple[int, int] | str]:
    """Width and height of each picture, or why it cannot be read."""
    count = len(pictures.items)
    if pictures.uniform is not None:
        return [(pictures.uniform.width, pictures.uniform.height)] * count

    def look(stretch: range) -> list[tuple[int, int] | str]:
        return [_size(pictures, index) for index in stretch]

    with quiet():
        return [found for results in in_order(look, ranges(count, BATCH)) for found in results]


def _size(pictures: Pictures, index: int) -> tuple[int, int] | str:
    try:
        data = pictures.read(index)
        if isinstance(data, bytes):
            found = probe(data)
            return found.width, found.height
        return data.shape[1], data.shape[0]
    except Unreadable as error:
        return str(error)


def _too_small(width: int, height: int, side: int) -> str:
    return "" if min(width, height) >= side else f"{width}x{height} pixels: smaller than a tile of {side}"


def _named(name: str, top: int, left: int) -> str:
    """Told apart before the suffix, so that tiles of two sources pair by name as their pictures do."""
    path = PurePosixPath(name)
    return name.removesuffix(path.suffix) + f"@{top},{left}{path.suffix}"
