"""Pictures as they are: each in memory at its own size, outside of any cache."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairdraw.data.decode import Unreadable, canonical, decode, digest, fitted, probe, quiet
from fairdraw.data.options import Options, Rejected
from fairdraw.data.resolve import resolve
from fairdraw.data.scan import refuse
from fairdraw.errors import InputError


class Whole(NamedTuple):
    """A picture: its name in the source, and its pixels, uint8 `[C, H, W]`."""

    name: str
    pixels: NDArray[np.uint8]


def whole_pictures(source: str | Path, channels: int, most: int | None = None) -> list[Whole]:
    """The pictures of any source, the first `most` where so many are wanted, with `channels`, at their own sizes.

    One that is stored as grey stays grey, whatever is wanted: its luma is its own. Grey stored as colour is colour.

    Raises:
        InputError: for a source that cannot be opened, or a picture that cannot be read.
    """
    pictures = resolve(source, Options()).load()
    found: list[Whole] = []
    rejected: list[Rejected] = list(pictures.rejected)
    try:
        with quiet():
            for place, item in enumerate(pictures.items[:most]):
                try:
                    data = pictures.read(place)
                    grey = probe(data).grey if isinstance(data, bytes) else data.shape[2] < 3
                    pixels = decode(data) if isinstance(data, bytes) else canonical(data)
                    # a decoded picture is read-only, which torch takes amiss
                    found.append(Whole(item.name, np.array(fitted(pixels, 1 if grey else channels, Options()))))
                except Unreadable as error:
                    rejected.append(Rejected(item.name, str(error)))
    finally:
        pictures.close()
    if rejected:
        raise refuse(tuple(rejected), str(source))
    if not found:
        raise InputError(f"{source} holds no picture")
    return found


def seen_before(pictures: Sequence[Whole], digests: NDArray[np.uint8], tile: int) -> list[str]:
    """The names of those that are among the `digests` `[N, 32]`, whole or by one of their tiles of `tile` px."""
    known = {row.tobytes() for row in digests}

    def is_known(pixels: NDArray[np.uint8]) -> bool:
        return digest(canonical(np.ascontiguousarray(pixels.transpose(1, 2, 0)))) in known

    def parts(pixels: NDArray[np.uint8]) -> bool:
        _, height, width = pixels.shape
        corners = ((y, x) for y in range(0, height - tile + 1, tile) for x in range(0, width - tile + 1, tile))
        return any(is_known(pixels[:, y : y + tile, x : x + tile]) for y, x in corners)

    return [name for name, pixels in pictures if is_known(pixels) or parts(pixels)]
