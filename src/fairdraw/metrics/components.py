"""Connected pieces of many masks at once."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from fairdraw.errors import InputError

UNITS = 32
"""Lengths are given in pixels of a picture so wide, and hold for others in proportion."""


@dataclass(frozen=True)
class Components:
    """The pieces of masks `[N, H, W]` that are large enough, numbered from 1 on through all of them."""

    numbers: np.ndarray
    """`[N, H, W]`: each pixel's piece, or 0."""
    boxes: list[tuple[slice, slice, slice]]
    """Of each piece: its image, its rows and its columns."""
    areas: np.ndarray
    """Pixels of each."""

    def counts(self) -> np.ndarray:
        """Pieces in each image, `[N]`."""
        return np.bincount([box[0].start for box in self.boxes], minlength=len(self.numbers))

    def piece(self, place: int) -> np.ndarray:
        """The mask of the piece at `place` within its box, `[h, w]`."""
        found: np.ndarray = self.numbers[self.boxes[place]][0] == place + 1
        return found


def components(masks: np.ndarray, least: float) -> Components:
    """The pieces, joined over corners too, of at least `least` pixels."""
    neighbours = np.zeros((3, 3, 3), bool)
    neighbours[1] = True  # never over to the next image
    numbers, count = ndimage.label(masks, neighbours)
    areas = np.bincount(numbers.ravel(), minlength=count + 1)
    kept = areas >= least
    kept[0] = False
    numbers = np.where(kept, np.cumsum(kept), 0)[numbers]
    return Components(numbers, ndimage.find_objects(numbers), areas[kept])


def check_pictures(images: np.ndarray) -> float:
    """Refuse what is not uint8 `[N, 3, H, H]` of 32 px or more; returns pixels per unit of length.

    Raises:
        InputError: with what was found.
    """
    shape = images.shape
    if images.dtype != np.uint8 or len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3] or shape[2] < UNITS:
        raise InputError(
            f"scenes are read from square uint8 images [N, 3, H, H] of {UNITS} px or more, not {images.dtype} {shape}"
        )
    return float(shape[2] / UNITS)
