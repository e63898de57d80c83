"""Trivial generators: what a number says of them is what it can and cannot detect.

A judge that prefers copies of the training images to a model, or noise to a blur, should be seen to do so.
"""

from collections.abc import Callable, Mapping

import numpy as np

from fairdraw.data import Split
from fairdraw.metrics.likelihood import parts
from fairdraw.metrics.reconstruction import principal_directions
from fairdraw.order import spread

Generator = Callable[[Split, int, int], np.ndarray]
"""uint8 images `[count, C, H, W]` made from training images, a count and a seed."""

NOISE = 0.1
"""Standard deviation of the noise on copies, pixels on [0, 1]."""
COMPONENTS = 64
PATCHES = 4
"""Patches across an image, and down."""


def training_images(train: Split, count: int, seed: int) -> np.ndarray:
    """Training images themselves: the best distances there are, from a generator that has learnt nothing."""
    return train.images(spread(len(train), count))


def noisy_copies(train: Split, count: int, seed: int) -> np.ndarray:
    """The same with Gaussian noise: copies that are not equal."""
    images = training_images(train, count, seed)
    noise = np.random.default_rng(seed).normal(0, NOISE, images.shape)
    return _levels(images / 255 + noise)


def mean_image(train: Split, count: int, seed: int) -> np.ndarray:
    """The mean image, every time: a mode that has collapsed altogether."""
    return np.repeat(_levels(_moments(train)[0])[None], count, axis=0)


def pixel_gaussian(train: Split, count: int, seed: int) -> np.ndarray:
    """Each pixel from a Gaussian of its own: right in every pixel, and no picture."""
    mean, deviation = _moments(train)
    return _levels(mean + deviation * np.random.default_rng(seed).normal(size=(count, *mean.shape)))


def pca_gaussian(train: Split, count: int, seed: int) -> np.ndarray:
    """A Gaussian on 64 principal directions: right in mean and covariance, where a Frechet distance looks."""
    components = min(COMPONENTS, len(train) - 1, int(np.prod(train.dataset.shape)))
    mean, directions = principal_directions(train, components)
    squares = sum(np.square((part.reshape(len(part), -1) / 255 - mean) @ directions.T).sum(0) for part in parts(train))
    drawn = np.random.default_rng(seed).normal(size=(count, components)) * np.sqrt(squares / len(train))
    return _levels((mean + drawn @ directions).reshape(count, *train.dataset.shape))


def shuffled_patches(train: Split, count: int, seed: int) -> np.ndarray:
    """Training images with their 4 x 4 patches shuffled: right in texture, wrong in structure.

    What does not divide by 4 is left at the right and lower border.
    """
    images = training_images(train, count, seed).copy()
    height, width = (max(1, side // PATCHES) for side in images.shape[2:])
    down, across = (min(PATCHES, side) for side in images.shape[2:])
    inner = images[:, :, : down * height, : across * width]
    grid = inner.reshape(len(images), -1, down, height, across, width).transpose(0, 2, 4, 1, 3, 5)
    patches = grid.reshape(len(images), down * across, -1, height, width)
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(down * across), (len(images), 1)), axis=1)
    shuffled = np.take_along_axis(patches, order[:, :, None, None, None], axis=1)
    back = shuffled.reshape(len(images), down, across, -1, height, width).transpose(0, 3, 1, 4, 2, 5)
    inner[:] = back.reshape(inner.shape)
    return images


TRIVIAL: Mapping[str, Generator] = {
    "training images": training_images,
    "noisy copies": noisy_copies,
    "mean image": mean_image,
    "pixel Gaussian": pixel_gaussian,
    "PCA Gaussian": pca_gaussian,
    "shuffled patches": shuffled_patches,
}


def _moments(train: Split) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each pixel, on [0, 1], `[C, H, W]`."""
    total, squares = np.zeros(train.dataset.shape), np.zeros(train.dataset.shape)
    for part in parts(train):
        total += part.sum(0) / 255
        squares += np.square(part / 255).sum(0)
    mean = total / len(train)
    return mean, np.sqrt((squares / len(train) - mean**2).clip(0))


def _levels(values: np.ndarray) -> np.ndarray:
    """Pixels on [0, 1] to the nearest of 256 levels."""
    found: np.ndarray = (values * 255).round().clip(0, 255).astype(np.uint8)
    return found
