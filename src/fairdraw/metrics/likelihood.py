"""Likelihood bounds in nats per image, and the independent-Bernoulli baseline that they must beat."""

import numpy as np
import torch

from fairdraw.data import Split
from fairdraw.images import to_signed
from fairdraw.metrics.number import Number
from fairdraw.model import Bounds, Model
from fairdraw.noise import Noise

CHUNK = 500


def negative_elbo(model: Model, images: np.ndarray, seed: int = 0) -> np.ndarray:
    """-ELBO of each of the uint8 `images` `[N, C, H, W]`, nats `[N]`, one sample of z for each.

    Raises:
        ValueError: when the model has no bound.
    """
    if not isinstance(model, Bounds):
        raise ValueError(f"{type(model).__name__} bounds no likelihood")
    found = []
    with torch.inference_mode():
        for start in range(0, len(images), CHUNK):
            x = to_signed(torch.from_numpy(images[start : start + CHUNK])).to(model.device, model.dtype)
            noise = Noise(seed, len(x), start, "likelihood", model.device, model.dtype)
            found.append(-model.elbo(model.observe(x, noise), noise).value.double().cpu().numpy())
    return np.concatenate(found)


def independent_bernoulli(train: Split, images: np.ndarray) -> np.ndarray:
    """-log p of each image, nats `[N]`, when each pixel is a coin with the training mean of that pixel.

    The expectation over binarisations of the grey `images`, which is linear in them. A pixel's count is smoothed by
    one dark and one light image (Laplace), or a pixel never lit in training would cost infinitely much.
    """
    total = np.zeros(train.dataset.shape)
    for start in range(0, len(train), CHUNK):
        total += train.images(np.arange(start, min(start + CHUNK, len(train)))).sum(axis=0, dtype=np.float64) / 255
    p = (total + 1) / (len(train) + 2)
    x = images.reshape(len(images), -1) / 255
    found: np.ndarray = -(x @ np.log(p).ravel() + (1 - x) @ np.log1p(-p).ravel())
    return found


def held_out_bound(model: Model, train: Split, held_out: Split, seed: int = 0) -> Number:
    """-ELBO on `held_out`, beside the independent-Bernoulli baseline fitted on `train`."""
    assert isinstance(model, Bounds)
    images = held_out.images(np.arange(len(held_out)))
    return Number.mean(
        negative_elbo(model, images, seed),
        name="-ELBO",
        unit="nats per image",
        on=f"{held_out.name} images of {held_out.dataset.name}",
        note=f"observation model: {model.observation}; one sample of z; an upper bound on -log p",
        baselines={"independent Bernoulli": float(independent_bernoulli(train, images).mean())},
    )
