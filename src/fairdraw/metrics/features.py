"""Features of images: numbers in which a distance between images means more than between their pixels."""

import hashlib
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from fairdraw.data import Split
from fairdraw.errors import InputError
from fairdraw.metrics.likelihood import CHUNK
from fairdraw.metrics.reconstruction import principal_directions


class Features(ABC):
    """Makes numbers of images. A distance between features is worth nothing without their name."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Part of the name of every number that is made with them."""

    @property
    @abstractmethod
    def sha256(self) -> str:
        """Fingerprint of the weights: with other ones the numbers are other numbers."""

    @property
    def resize(self) -> str:
        """How images are brought to the network's size, in words."""
        return "none"

    @property
    def slow(self) -> bool:
        """Whether it takes milliseconds for an image, so that fewer are worth waiting for."""
        return False

    @abstractmethod
    def of(self, images: np.ndarray) -> np.ndarray:
        """Features `[N, D]`, float64, of the uint8 `images` `[N, C, H, W]`."""

    def identity(self, some: np.ndarray) -> str:
        """Equal for features that make the same numbers of all images, of which `some` are given: the fingerprint.

        Numbers that were made with features of the same name and identity may be kept and used again.
        """
        del some
        return self.sha256


class Classifies(Features):
    """A classifier: its last layer are the features, and it has an opinion on every image."""

    @property
    @abstractmethod
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""

    @property
    def learned_from(self) -> str:
        """What it was trained on, in words: on these images it is right more often than on others."""
        return "images that are not named"

    @abstractmethod
    def judged(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features `[N, D]` and P(class | image) `[N, K]` of uint8 `images` `[N, C, H, W]`, float64, in one pass."""


def fingerprint(*arrays: np.ndarray) -> str:
    """SHA-256 of the bytes of `arrays`, in this order."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class PixelPCA(Features):
    """Coordinates on the principal directions of training images; pixels on [0, 1], not whitened.

    Args:
        mean: `[C * H * W]`.
        directions: orthonormal, `[D, C * H * W]`.
    """

    mean: np.ndarray
    directions: np.ndarray

    @classmethod
    def fitted(cls, train: Split, components: int = 64) -> "PixelPCA":
        """The directions of `train`; there are no more than pixels or images.

        Raises:
            InputError: for a part with fewer than two images, which vary in no direction.
        """
        if len(train) < 2:
            raise InputError(f"{train} has too few pictures for principal components: give at least 2")
        most = min(math.prod(train.dataset.shape), len(train) - 1)
        return cls(*principal_directions(train, min(components, most)))

    @property
    def name(self) -> str:
        """`pixels-pca64` for 64 directions."""
        return f"pixels-pca{len(self.directions)}"

    @property
    def sha256(self) -> str:
        """Of the mean and the directions."""
        return fingerprint(self.mean, self.directions)

    def of(self, images: np.ndarray) -> np.ndarray:
        """Coordinates `[N, D]` of uint8 `images`."""
        found = np.empty((len(images), len(self.directions)))
        for start in range(0, len(images), CHUNK):
            part = images[start : start + CHUNK]
            found[start : start + CHUNK] = (part.reshape(len(part), -1) / 255 - self.mean) @ self.directions.T
        return found


def check_features(real: np.ndarray, fake: np.ndarray, fewest: int, what: str) -> None:
    """Refuse features `[N, D]` and `[M, D]` of which `what`, such as `a Frechet distance`, would mean nothing.

    Raises:
        InputError: where there are fewer than `fewest` images of a kind, other widths, NaN or infinity.
    """
    for kind, values in (("real", real), ("generated", fake)):
        if values.ndim != 2 or not values.shape[1]:
            raise InputError(f"features of {kind} images have the shape {list(values.shape)}: give [images, features]")
        if len(values) < fewest:
            raise InputError(f"{len(values)} {kind} images are too few for {what}: give at least {fewest}")
        if not np.isfinite(values).all():
            bad = int((~np.isfinite(values).all(axis=1)).sum())
            raise InputError(
                f"features of {bad:,} of {len(values):,} {kind} images are not finite: look at these images"
            )
    if real.shape[1] != fake.shape[1]:
        raise InputError(
            f"{real.shape[1]} features of real and {fake.shape[1]} of generated images: take both from one network"
        )
