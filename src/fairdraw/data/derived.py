"""Inputs that are made of the images themselves: a folder of pictures is enough to learn a translation to it."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fairdraw.data.decode import over_white

Plane = NDArray[np.float64]

EDGES_LOW, EDGES_HIGH = 0.1, 0.2
"""Thresholds of the gradient, as shares of the steepest that a filter of Sobel's can find; those of scikit-image."""

SPECK = 5
"""Pixels: smaller pieces of edges are dropped, as in the pairs of Isola et al. 2017 (arXiv:1611.07004, section 6)."""

BACKGROUND = 16
"""Levels by which a pixel may differ from the background and still belong to it."""

LOW = 4
"""How many times smaller each side becomes before it is enlarged again."""


def derived(kind: str, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The inputs of that `kind`, one of `options.DERIVED`, for uint8 `images` `[N, C, H, W]`, of the same shape."""
    make, found = MAKERS[kind], np.empty_like(images)
    for image, into in zip(images, found, strict=True):
        into[:] = make(image)
        if len(image) == 4:
            into[3] = 255
    return found


def edges(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Black lines of one pixel on white, `[H, W]`, where the image `[C, H, W]` changes (Canny 1986).

    Smoothed by a Gaussian of 1 px at up to 128 px, and in proportion above.
    """
    from scipy import ndimage  # takes a moment that `--help` need not wait for

    grey = _grey(image) / 255
    sigma = max(1.0, max(grey.shape) / 128)
    smooth = ndimage.gaussian_filter(grey, sigma, mode="nearest")
    down, right = (ndimage.sobel(smooth, axis, mode="nearest") / 4 for axis in (0, 1))
    steep = np.hypot(down, right)
    ridge = _thinned(steep, down, right)
    pieces, count = ndimage.label(ridge & (steep >= EDGES_LOW / sigma), np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    strong = np.zeros(count + 1, bool)
    strong[np.unique(pieces[ridge & (steep >= EDGES_HIGH / sigma)])] = True
    kept = strong & (sizes >= SPECK)
    kept[0] = False
    return np.where(kept[pieces], np.uint8(0), np.uint8(255))


def _thinned(steep: Plane, down: Plane, right: Plane) -> NDArray[np.bool_]:
    """Where no neighbour across the edge is steeper: the gradient's own direction decides which two are asked."""
    from scipy import ndimage

    rows, columns = np.indices(steep.shape, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = np.where(steep > 0, 1 / np.maximum(np.abs(down), np.abs(right)), 0)
    step_down, step_right = down * unit, right * unit
    ahead, behind = (
        ndimage.map_coordinates(steep, [rows + way * step_down, columns + way * step_right], order=1, mode="nearest")
        for way in (1, -1)
    )
    # One of two equals is kept, so that an edge between two pixels is one line.
    found: NDArray[np.bool_] = (steep > 0) & (steep >= ahead) & (steep > behind)
    return found


def grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luminance, `[H, W]`, of an image `[C, H, W]`."""
    return _grey(image).round().astype(np.uint8)


def mask(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Black where something stands before the background, `[H, W]`; the background is the commonest colour at the rim.

    What the background does not reach from the rim belongs to the thing, as the eyes of a drawn face do.
    """
    from scipy import ndimage

    pixels = _flat(image).astype(np.int16)
    rim = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    colours, counts = np.unique(rim, axis=0, return_counts=True)
    differs = np.abs(pixels - colours[counts.argmax()]).max(2) > BACKGROUND
    return np.where(ndimage.binary_fill_holes(differs), np.uint8(0), np.uint8(255))


def low(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image `[C, H, W]` at a quarter of its resolution, enlarged again: bicubic and anti-aliased both times."""
    height, width = image.shape[1:]
    small = max(1, width // LOW), max(1, height // LOW)
    planes = [
        Image.fromarray(plane).resize(small, Image.Resampling.BICUBIC).resize((width, height), Image.Resampling.BICUBIC)
        for plane in image
    ]
    return np.stack([np.asarray(plane) for plane in planes])


MAKERS: Mapping[str, Callable[[NDArray[np.uint8]], NDArray[Any]]] = {
    "edges": edges,
    "grey": grey,
    "mask": mask,
    "low": low,
}
"""What can be made of an image `[C, H, W]`, by name: `[H, W]` for all channels alike, or `[C, H, W]`."""


def _flat(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`[H, W, 1 or 3]`, transparency laid over white."""
    pixels = image.transpose(1, 2, 0)
    return over_white(pixels) if pixels.shape[2] == 4 else pixels


def _grey(image: NDArray[np.uint8]) -> Plane:
    pixels = _flat(image).astype(np.float64)
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels @ np.array([0.299, 0.587, 0.114])
