"""Squared error of reconstructions, per image and summed over pixels on [0, 1], beside the mean image and PCA.

Nothing is rounded or clipped: clipping alone takes PCA with 30 components on MNIST from 13.87 to 12.59.
"""

import math
from functools import lru_cache

import numpy as np
from torch import Tensor

from fairdraw.capabilities import Encodes, Generates
from fairdraw.data import Split
from fairdraw.inference import in_chunks, to_numpy
from fairdraw.metrics.likelihood import CHUNK, parts
from fairdraw.model import Model

MOST_PIXELS = 4_096
"""Up to here PCA is exact, from the covariance of all training images; beyond, from `FITTED` of them at random."""
FITTED = 5_000
FEW = 4
"""Pixels for each image from which on the images are few."""


def squared_errors(model: Model, images: np.ndarray) -> np.ndarray:
    """What passing through its latents costs each of the uint8 `images` `[N, C, H, W]`, `[N]`.

    Raises:
        ValueError: when the model cannot pass images through latents.
    """
    if not (isinstance(model, Encodes) and isinstance(model, Generates)):
        raise ValueError(f"{type(model).__name__} does not both encode and generate")

    def of(_: int, x: Tensor) -> np.ndarray:
        halved = to_numpy(model.generate(model.encode(x)) - x) / 2
        errors: np.ndarray = np.square(halved).sum((1, 2, 3))
        return errors

    return np.concatenate(in_chunks(of, model, images))


def pca_squared_errors(train: Split, images: np.ndarray, components: int) -> np.ndarray:
    """The same for PCA with `components`, fitted on `train`, `[N]`."""
    mean, directions = principal_directions(train, components)
    found = np.empty(len(images))
    for start in range(0, len(images), CHUNK):
        x = _flat(images[start : start + CHUNK]) - mean
        found[start : start + CHUNK] = np.square(x - x @ directions.T @ directions).sum(1)
    return found


@lru_cache(1)
def principal_directions(train: Split, components: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean `[D]` and the first `components` principal directions `[components, D]` of `train`, pixels on [0, 1].

    Those found last are kept: features and a trivial generator ask for the same.
    """
    size = math.prod(train.dataset.shape)
    if size > MOST_PIXELS:
        return _randomised(train, components)
    few = components <= len(train) <= size / FEW
    return (_of_few if few else _exact)(train, components)


def mean_image_squared_errors(train: Split, images: np.ndarray) -> np.ndarray:
    """The same for the mean image of `train`, whatever the image, `[N]`."""
    mean = mean_image(train).ravel()
    chunks = [images[start : start + CHUNK] for start in range(0, len(images), CHUNK)]
    return np.concatenate([np.square(_flat(chunk) - mean).sum(1) for chunk in chunks])


def mean_image(train: Split) -> np.ndarray:
    """The mean of all images of `train`, `[C, H, W]` on [0, 1]."""
    total: np.ndarray = sum((_flat(part).sum(0) for part in parts(train)), np.zeros(math.prod(train.dataset.shape)))
    return (total / len(train)).reshape(train.dataset.shape)


def _exact(train: Split, components: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean `[D]` and principal directions `[components, D]` of all of `train`, which is passed over in parts."""
    size = math.prod(train.dataset.shape)
    total, products = np.zeros(size), np.zeros((size, size))
    for part in parts(train):
        x = _flat(part)
        total += x.sum(0)
        products += x.T @ x
    mean = total / len(train)
    vectors = np.linalg.eigh(products / len(train) - np.outer(mean, mean)).eigenvectors
    return mean, vectors[:, ::-1][:, :components].T


def _of_few(train: Split, components: int) -> tuple[np.ndarray, np.ndarray]:
    """The same where images are few, which is far less work than with a covariance of so many pixels."""
    x = _flat(train.images(np.arange(len(train))))
    mean = x.mean(0)
    return mean, np.linalg.svd(x - mean, full_matrices=False).Vh[:components]


def _randomised(train: Split, components: int) -> tuple[np.ndarray, np.ndarray]:
    """The same by a randomised search in `FITTED` images of `train` at most."""
    from sklearn.decomposition import PCA  # takes a moment that those with few pixels need not wait for

    chosen = np.arange(len(train))
    if len(train) > FITTED:
        chosen = np.sort(np.random.default_rng(0).choice(len(train), FITTED, replace=False))
    fitted = PCA(components, svd_solver="randomized", random_state=0).fit(_flat(train.images(chosen)))
    return fitted.mean_, fitted.components_


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1) / 255
