"""Figures in pictures of `scenes-figures`: one head, one body and four limbs, each of its shape and where it belongs.

A part is found by its hue, the body as what is white.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from fairdraw.data.scenes import HUES, PARTS
from fairdraw.metrics.components import check_pictures, components

BRIGHT = 128
"""Of the brightest channel: the ground stays below 41 and parts are above 203."""
COLOURED = 0.4
"""Saturation from which on a pixel is of a hue: the body has none, all other parts 0.85 or more."""
LEAST_AREA = 5
"""Pixels: half of the smallest part. What is smaller is a speck, and counts for nothing."""
REACH = 2
"""Pixels within which two parts touch."""
AREAS = {"head": (0.28, 0.86), "body": (26.0, 85.0), "limb": (0.16, 0.64)}
"""Of the body in pixels, of the others as shares of the body's. All limits of shape lie a quarter beyond the extremes
of 5,000 real pictures of 32 px."""
LENGTHS = {"head": (1.0, 1.6), "body": (1.0, 2.2), "limb": (1.73, 7.3)}
"""Times that a part is as long as wide, both as root mean squared distances from its middle."""
THICK = 1.04
"""Pixels: root mean squared distance of a limb's pixels from its axis."""


@dataclass(frozen=True)
class Figures:
    """What was found in each of N images."""

    parts: np.ndarray
    """`[N, 6]`: pieces of each of `PARTS`."""
    complete: np.ndarray
    """`[N]`: whether each part is there exactly once."""
    attached: np.ndarray
    """`[N]`: complete, the head on top of the body, arms at its upper half, legs at its lower, left and right."""
    well_formed: np.ndarray
    """`[N]`: attached, and each part of its shape and size."""


def figures(images: np.ndarray) -> Figures:
    """Read uint8 images `[N, 3, H, H]`.

    Raises:
        InputError: for other images.
    """
    unit = check_pictures(images)
    which = _part_of_pixels(images)
    found = {name: components(which == place, LEAST_AREA * unit**2) for place, name in enumerate(PARTS)}
    parts = np.stack([pieces.counts() for pieces in found.values()], 1)
    complete = (parts == 1).all(1)
    attached, shaped = complete.copy(), complete.copy()
    for image in np.flatnonzero(complete):
        masks = {name: pieces.numbers[image] > 0 for name, pieces in found.items()}
        attached[image] = _attached(masks, round(REACH * unit))
        shaped[image] = all(_shaped(name, masks, unit) for name in PARTS)
    return Figures(parts, complete, attached, attached & shaped)


def _part_of_pixels(images: np.ndarray) -> np.ndarray:
    """Place in `PARTS` of each pixel, -1 for the ground, `[N, H, W]`."""
    red, green, blue = images.astype(np.float32).transpose(1, 0, 2, 3)
    most, least = images.max(1), images.min(1)
    spread = np.maximum(most - least, 1).astype(np.float32)
    sixth = np.where(
        most == red,
        (green - blue) / spread,
        np.where(most == green, 2 + (blue - red) / spread, 4 + (red - green) / spread),
    )
    away = [
        abs((60 * sixth - HUES[name] + 180) % 360 - 180) if name in HUES else np.full_like(red, 360) for name in PARTS
    ]
    nearest = np.argmin(away, axis=0)
    white = (most - least) < COLOURED * most
    return np.where(most < BRIGHT, -1, np.where(white, PARTS.index("body"), nearest))


def _attached(masks: dict[str, np.ndarray], reach: int) -> bool:
    """Whether each part touches the body where it should."""
    body = masks["body"]
    middle = np.argwhere(body)[:, 0].mean()
    near = {n: ndimage.binary_dilation(masks[n], np.ones((3, 3), bool), reach) & body for n in HUES}
    if not all(joint.any() for joint in near.values()):
        return False
    y, x = ({name: np.argwhere(joint)[:, axis] for name, joint in near.items()} for axis in (0, 1))
    # An arm that hangs down is close to the whole side, and so is a leg that is raised: the joint is the far end.
    arms = y["left arm"].min() < middle and y["right arm"].min() < middle
    legs = y["left leg"].max() > middle and y["right leg"].max() > middle
    sides = all(x[f"left {limb}"].mean() < x[f"right {limb}"].mean() for limb in ("arm", "leg"))
    return bool(y["head"].mean() < middle and arms and legs and sides)


def _shaped(name: str, masks: dict[str, np.ndarray], unit: float) -> bool:
    points = np.argwhere(masks[name])
    kind = name if name in AREAS else "limb"
    area = len(points) / (unit**2 if name == "body" else masks["body"].sum())
    width, length = np.sqrt(np.linalg.eigvalsh(np.cov(points.T, bias=True)).clip(1e-9))
    within = [low <= value <= high for value, (low, high) in ((area, AREAS[kind]), (length / width, LENGTHS[kind]))]
    return all(within) and bool(kind != "limb" or width <= THICK * unit)
