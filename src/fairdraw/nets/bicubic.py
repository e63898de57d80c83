"""Bicubic resizing as MATLAB's `imresize` does it, which the literature on super-resolution makes its small images by.

Keys, "Cubic convolution interpolation for digital image processing", IEEE TASSP 29(6), 1981, with a = -1/2:

    k(x) = 3/2 |x|^3 - 5/2 |x|^2 + 1            for |x| <= 1
         = -1/2 |x|^3 + 5/2 |x|^2 - 4 |x| + 2   for 1 < |x| <= 2

Where an image becomes smaller by s < 1, the kernel is stretched to s k(s x), so that nothing aliases: without that the
small images of a factor of 4 differ by 4 to 10 levels, and numbers by over 1 dB. Each row of weights sums to 1, and
beyond its edge an image is mirrored, the edge pixel included. Nothing is rounded between rows and columns.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fairdraw.nets.eager import eager

REACH = 2
"""Beyond this distance the kernel is 0."""


def resized(x: Tensor, scale: float | None = None, size: tuple[int, int] | None = None) -> Tensor:
    """The images `x` `[..., H, W]` by a `scale`, to sides of ceil(scale * side), or to a `size` `(height, width)`.

    Computed in the type of `x`, and never in less than float32; the result may leave the range of `x` at edges.
    """
    assert (scale is None) != (size is None), "one of the two says how large"
    height, width = x.shape[-2:]
    dtype = torch.promote_types(x.dtype, torch.float32)
    rows: Tensor = _matrix(height, scale, size and size[0]).to(x.device, dtype)
    columns: Tensor = _matrix(width, scale, size and size[1]).to(x.device, dtype)
    with torch.autocast(x.device.type, enabled=False):
        return rows @ x.to(dtype) @ columns.T


def resized_levels(
    images: NDArray[np.uint8], scale: float | None = None, size: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """uint8 `images` `[..., H, W]` likewise, in float64 and rounded to levels at the end."""
    found = resized(torch.from_numpy(images.astype(np.float64)), scale, size)
    return as_levels(found).numpy().astype(np.uint8)


def as_levels(values: Tensor) -> Tensor:
    """Values on [0, 255] rounded to whole ones as MATLAB rounds: halves away from 0."""
    return (values + 0.5).floor().clamp(0, 255)


def weights(before: int, after: int, scale: float) -> NDArray[np.float64]:
    """The matrix `[after, before]` that resizes a side by `scale`; every row sums to 1."""
    stretch = min(scale, 1.0)
    width = 2 * REACH / stretch
    centre = (np.arange(1, after + 1)[:, None]) / scale + 0.5 * (1 - 1 / scale)
    places = np.floor(centre - width / 2) + np.arange(math.ceil(width) + 2)
    taps = _kernel(stretch * (centre - places))
    taps /= taps.sum(1, keepdims=True)
    mirrored = (places.astype(np.int64) - 1) % (2 * before)
    mirrored = np.minimum(mirrored, 2 * before - 1 - mirrored)
    found = np.zeros((after, before))
    np.add.at(found, (np.arange(after)[:, None], mirrored), taps)
    return found


@eager  # the compiler would look through the cache, and warn
@lru_cache(64)
def _matrix(before: int, scale: float | None, after: int | None) -> Tensor:
    if scale is None:
        assert after is not None
        scale = after / before
    return torch.from_numpy(weights(before, after or math.ceil(before * scale), scale))


def _kernel(x: NDArray[np.float64]) -> NDArray[np.float64]:
    near = np.abs(x)
    inner = (1.5 * near - 2.5) * near**2 + 1
    outer = ((-0.5 * near + 2.5) * near - 4) * near + 2
    return np.where(near <= 1, inner, np.where(near <= REACH, outer, 0.0))
