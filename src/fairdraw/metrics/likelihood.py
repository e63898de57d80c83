"""Likelihood bounds in nats per image, and the baselines that they must beat: pixels independent of one another."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch

from fairdraw.data import Split
from fairdraw.images import to_signed
from fairdraw.metrics.number import Number
from fairdraw.model import Bounds, Model
from fairdraw.noise import Noise

CHUNK = 500

Nats = TypeVar("Nats", float, np.ndarray)


def negative_elbo(model: Model, images: np.ndarray, seed: int = 0) -> np.ndarray:
    """-ELBO of each of the uint8 `images` `[N, C, H, W]`, nats `[N]`, one sample of z for each.

    Raises:
        ValueError: when the model has no bound.
    """
    if not isinstance(model, Bounds):
        raise ValueError(f"{type(model).__name__} bounds no likelihood")
    found = []
    with torch.inference_mode(), full_precision(model.device):
        for start in range(0, len(images), CHUNK):
            x = to_signed(torch.from_numpy(images[start : start + CHUNK])).to(model.device, model.dtype)
            noise = Noise(seed, len(x), start, "likelihood", model.device, model.dtype)
            found.append(-model.elbo(model.observe(x, noise), noise).value.cpu().double().numpy())
    return np.concatenate(found)


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Inside, networks compute in the precision of their weights: no autocast, and no TF32 in convolutions."""
    with torch.autocast(device.type, enabled=False), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


def bits_per_dimension(nats: Nats, shape: tuple[int, int, int]) -> Nats:
    """Nats per image of `shape` as bits for each pixel of each channel."""
    return nats / (math.prod(shape) * math.log(2))


def independent_bernoulli(train: Split, images: np.ndarray) -> np.ndarray:
    """-log p of each image, nats `[N]`, when each pixel is a coin with the training mean of that pixel.

    The expectation over binarisations of the grey `images`, which is linear in them. A pixel's count is smoothed by
    one dark and one light image (Laplace), or a pixel never lit in training would cost infinitely much.
    """
    total = np.zeros(train.dataset.shape)
    for part in _parts(train):
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
    for part in _parts(train):
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
    """The mean over `images` of -log p in nats, by the name of the baseline that observes pixels as `model` does."""
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


def _parts(split: Split) -> Iterator[np.ndarray]:
    for start in range(0, len(split), CHUNK):
        yield split.images(np.arange(start, min(start + CHUNK, len(split))))
