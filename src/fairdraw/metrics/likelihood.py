"""Likelihood bounds in nats per image, and the baselines that they must beat: pixels independent of one another."""

import math
from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from torch import Tensor

from fairdraw.capabilities import Bounds
from fairdraw.data import Split
from fairdraw.inference import in_chunks, to_numpy
from fairdraw.metrics.number import Number
from fairdraw.model import Model
from fairdraw.noise import Noise

CHUNK = 500
DECODED = 2_000
"""Draws of z decoded at a time, over all images of a chunk."""
EVERY_LEVEL = "every level alike"

Nats = TypeVar("Nats", float, np.ndarray)


def negative_elbo(model: Model, images: np.ndarray, seed: int = 0, samples: int = 1, first: int = 0) -> np.ndarray:
    """-ELBO of each of the uint8 `images` `[N, C, H, W]`, nats `[N]`, by `samples` draws of z for each.

    `first` is the place of the first of them among all that are measured, which their noise depends on.

    Raises:
        ValueError: when the model has no bound.
    """
    if not isinstance(model, Bounds):
        raise ValueError(f"{type(model).__name__} bounds no likelihood")

    def of(start: int, x: Tensor) -> np.ndarray:
        noise = likelihood_noise(model, len(x), seed, first + start)
        return -to_numpy(model.elbo(model.observe(x, noise), noise, samples).value)

    return np.concatenate(in_chunks(of, model, images, max(1, min(CHUNK, DECODED // samples))))


def likelihood_noise(model: Model, count: int, seed: int, first: int) -> Noise:
    """What `count` images from place `first` on are observed with, and then their latents drawn with."""
    return Noise(seed, count, first, "likelihood", model.device, model.dtype)


def bits_per_dimension(nats: Nats, shape: tuple[int, int, int]) -> Nats:
    """Nats per image of `shape` as bits for each pixel of each channel."""
    return nats / (math.prod(shape) * math.log(2))


def independent_bernoulli(train: Split, images: np.ndarray) -> np.ndarray:
    """-log p of each image, nats `[N]`, when each pixel is a coin with the training mean of that pixel.

    The expectation over binarisations of the grey `images`, which is linear in them. A pixel's count is smoothed by
    one dark and one light image (Laplace), or a pixel never lit in training would cost infinitely much.
    """
    total = np.zeros(train.dataset.shape)
    for part in parts(train):
        total += part.sum(axis=0, dtype=np.float64) / 255
    p = ((total + 1) / (len(train) + 2)).ravel()
    found = np.empty(len(images))
    for start in range(0, len(images), CHUNK):
        x = images[start : start + CHUNK].reshape(-1, p.size) / 255
        found[start : start + CHUNK] = -(x @ np.log(p) + (1 - x) @ np.log1p(-p))
    return found


def independent_gaussian(train: Split, images: np.ndarray) -> np.ndarray:
    """-log of a bound on the probability of each image, nats `[N]`, when each pixel is a Gaussian of its own.

    Mean and variance are those of the dequantised levels (level + u, u uniform on [0, 1)) in training, smoothed as the
    Bernoulli is, and the bound is the expectation over u (Theis 2016, section 3.1), in closed form.
    """
    first, second = np.zeros(train.dataset.shape), np.zeros(train.dataset.shape)
    for part in parts(train):
        levels = part.astype(np.float64)
        first += levels.sum(axis=0)
        second += np.square(levels).sum(axis=0)
    count = len(train) + 2
    mean = (first + 255) / count
    # u adds 1/2 to the mean of a level, which cancels below, and 1/12 to its variance
    variance = (second + 255**2) / count - mean**2 + 1 / 12
    constant = 0.5 * np.log(2 * math.pi * variance).sum()
    found = np.empty(len(images))
    for start in range(0, len(images), CHUNK):
        squared = np.square(images[start : start + CHUNK] - mean) + 1 / 12
        found[start : start + CHUNK] = constant + 0.5 * (squared / variance).sum(axis=(1, 2, 3))
    return found


def baselines(model: Model, train: Split, images: np.ndarray) -> dict[str, float]:
    """The mean over `images` of -log p in nats, by the name of each baseline that observes pixels as `model` does."""
    return independent_pixels(model, train, images) | untrained_pixels(model)


def untrained_pixels(model: Model) -> dict[str, float]:
    """-log p of any image in nats where nothing is known of it, by name; none for a density, which knows no levels."""
    assert isinstance(model, Bounds)
    levels = {"bits": 2, "levels": 256}.get(model.observed)
    return {EVERY_LEVEL: math.prod(model.shape) * math.log(levels)} if levels else {}


def independent_pixels(model: Model, train: Split, images: np.ndarray) -> dict[str, float]:
    """The mean over `images` of -log p in nats of pixels each with its own distribution in training, by name."""
    assert isinstance(model, Bounds)
    if model.observed == "bits":
        return {"independent Bernoulli": float(independent_bernoulli(train, images).mean())}
    return {"independent Gaussian": float(independent_gaussian(train, images).mean())}


def held_out_bound(model: Model, train: Split, held_out: Split, seed: int = 0) -> Number:
    """-ELBO on `held_out`, beside the baseline fitted on `train`."""
    assert isinstance(model, Bounds)
    images = held_out.images(np.arange(len(held_out)))
    return Number.mean(
        negative_elbo(model, images, seed),
        name="-ELBO",
        unit="nats per image",
        on=f"{held_out.name} images of {held_out.dataset.name}",
        note=f"observation model: {model.observation}; one sample of z; an upper bound on -log p",
        baselines=baselines(model, train, images),
    )


def parts(split: Split) -> Iterator[np.ndarray]:
    """All images of `split`, uint8 `[B, C, H, W]` with B up to `CHUNK`."""
    for start in range(0, len(split), CHUNK):
        yield split.images(np.arange(start, min(start + CHUNK, len(split))))
