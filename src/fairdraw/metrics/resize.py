"""Images resized for a feature network, anti-aliased: the choice moves a Frechet distance by more than a model does.

Parmar et al., "On aliased resizing and surprising subtleties in GAN evaluation", CVPR 2022 (arXiv:2104.11222): Pillow's
bicubic filter on each channel in floating point, nothing rounded to levels afterwards.
"""

import numpy as np
from PIL import Image

RESIZE = "bicubic, anti-aliased, float"
"""In words, for the name of a number."""


def resized(images: np.ndarray, size: int) -> np.ndarray:
    """uint8 `images` `[N, C, H, W]` as float32 `[N, C, size, size]` on [0, 255]; of that size they stay as they are."""
    count, channels, height, width = images.shape
    if (height, width) == (size, size):
        return images.astype(np.float32)
    found = np.empty((count, channels, size, size), np.float32)
    for image, into in zip(images, found, strict=True):
        for channel, plane in zip(image, into, strict=True):
            whole = Image.fromarray(channel.astype(np.float32))
            plane[:] = np.asarray(whole.resize((size, size), Image.Resampling.BICUBIC))
    return found.clip(0, 255, out=found)


def as_rgb(images: np.ndarray) -> np.ndarray:
    """uint8 `images` `[N, C, H, W]` with 3 channels: grey is repeated, transparency is laid on white."""
    channels = images.shape[1]
    if channels == 1:
        return images.repeat(3, axis=1)
    if channels == 4:
        alpha = images[:, 3:].astype(np.float32) / 255
        laid: np.ndarray = (images[:, :3] * alpha + 255 * (1 - alpha)).round().astype(np.uint8)
        return laid
    return images


def as_grey(images: np.ndarray) -> np.ndarray:
    """uint8 `images` `[N, C, H, W]` with 1 channel, by the luma weights of BT.601; transparency is laid on white."""
    if images.shape[1] == 1:
        return images
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    grey: np.ndarray = np.einsum("nchw,c->nhw", as_rgb(images).astype(np.float32), weights)
    return grey.round().astype(np.uint8)[:, None]
