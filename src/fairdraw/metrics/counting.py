"""Objects in pictures of `scenes-counting`: how many there are, and whether each is a disc or a block."""

from dataclasses import dataclass

import numpy as np

from fairdraw.metrics.components import check_pictures, components

BRIGHT = 128
"""Of the brightest channel: the ground stays below 41 and objects are above 216."""
LEAST_AREA = 8
"""Pixels: half of the smallest object. What is smaller is a speck, and counts for nothing."""
LARGEST = 9.5
"""Pixels across: the largest disc has 8, which may touch 9."""
LEAST_OVERLAP = 0.8
"""Of a piece with the disc or block of its box, as the share of both that is in both."""
LONGEST = 1.6
"""Times as long as wide: the edges of the smallest block may round to 3 and 4 px, or 4 and 5."""


@dataclass(frozen=True)
class Objects:
    """What was found in each of N images."""

    counts: np.ndarray
    """`[N]`: separate objects."""
    sound: np.ndarray
    """`[N]`: whether there is one at least, and each is one disc or one block: nothing merged, torn or melted."""


def objects(images: np.ndarray) -> Objects:
    """Read uint8 images `[N, 3, H, H]`.

    Raises:
        InputError: for other images.
    """
    unit = check_pictures(images)
    found = components(images.max(1) >= BRIGHT, LEAST_AREA * unit**2)
    counts, sound = found.counts(), np.ones(len(images), bool)
    for place, (image, _, _) in enumerate(found.boxes):
        sound[image.start] &= _disc_or_block(found.piece(place), unit)
    return Objects(counts, sound & (counts > 0))


def _disc_or_block(piece: np.ndarray, unit: float) -> bool:
    height, width = piece.shape
    if max(height, width) > min(LARGEST * unit, LONGEST * min(height, width)):
        return False
    return max(_like_a_disc(piece), float(piece.mean())) >= LEAST_OVERLAP


def _like_a_disc(piece: np.ndarray) -> float:
    """Overlap with the disc of the same area about the same centre."""
    piece = np.pad(piece, 1)
    y, x = np.mgrid[: piece.shape[0], : piece.shape[1]]
    area = piece.sum()
    squared = (y - y[piece].mean()) ** 2 + (x - x[piece].mean()) ** 2
    disc = squared <= area / np.pi
    return float((piece & disc).sum() / (piece | disc).sum())
