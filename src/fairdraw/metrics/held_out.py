"""The numbers that stand beside a training's end: measured on images that it never saw."""

import numpy as np
import torch

from fairdraw.capabilities import Bounds, Encodes, Generates, Translates, Upscales
from fairdraw.data import Dataset, Split
from fairdraw.inference import translated
from fairdraw.metrics.likelihood import held_out_bound, negative_elbo
from fairdraw.metrics.number import Number
from fairdraw.metrics.reconstruction import mean_image_squared_errors, pca_squared_errors, squared_errors
from fairdraw.metrics.translation import absolute_errors, paired_error
from fairdraw.metrics.upscaling import low_resolution, smallest, squared_luma_error, upscaled
from fairdraw.model import Model

UNIT = "per image, pixels on [0, 1], not clipped"


def held_out_numbers(model: Model, dataset: Dataset, seed: int = 0) -> list[Number]:
    """What can be said of `model` on the test images of `dataset`: nothing for one that only generates."""
    found = []
    if isinstance(model, Bounds) and len(dataset.test):
        found.append(held_out_bound(model, dataset.train, dataset.test, seed))
    if isinstance(model, Encodes) and isinstance(model, Generates) and len(dataset.test):
        found.append(reconstruction_error(model, dataset.train, dataset.test))
    if isinstance(model, Translates) and model.takes == "pairs" and len(dataset.test):
        found.append(paired_error(model, dataset.train, dataset.test, seed))
    if isinstance(model, Upscales) and len(dataset.test) and min(dataset.shape[1:]) >= smallest(model.factor):
        found.append(squared_luma_error(model, dataset.test))
    return found


def validation_means(model: Model, held_out: Split, positions: np.ndarray, seed: int) -> dict[str, float]:
    """What the log says of the validation images at `positions`, by the name of the number; lower is better."""
    images = held_out.images(positions)
    if isinstance(model, Translates) and model.takes == "pairs":
        made = translated(model, held_out.inputs(positions), model.directions[0], seed)
        return {"l1": float(absolute_errors(images, made).mean())}
    if isinstance(model, Upscales):
        if min(images.shape[2:]) < smallest(model.factor):
            return {}
        pairs = [low_resolution(image, model.factor) for image in images]
        errors = [np.square(x / 255 - upscaled(model, low) / 255).mean() for x, low in pairs]
        return {"squared_error": float(np.mean(errors))}
    if isinstance(model, Bounds):
        return {"negative_elbo": float(negative_elbo(model, images, seed).mean())}
    if isinstance(model, Encodes) and isinstance(model, Generates):
        return {"squared_error": float(squared_errors(model, images).mean())}
    return {}


def reconstruction_error(model: Model, train: Split, held_out: Split) -> Number:
    """Squared error of passing `held_out` through the latents, beside the mean image and PCA with as many numbers."""
    images = held_out.images(np.arange(len(held_out)))
    size = code_size(model)
    baselines = {"the mean image": float(mean_image_squared_errors(train, images).mean())}
    if size < min(len(train), images[0].size):
        baselines[f"PCA with {size}"] = float(pca_squared_errors(train, images, size).mean())
    return Number.mean(
        squared_errors(model, images),
        name=f"squared error through a code of {size}",
        unit=UNIT,
        on=f"{held_out.name} images of {held_out.dataset.name}",
        baselines=baselines,
    )


def code_size(model: Model) -> int:
    """Numbers in the latent that an image is encoded to."""
    assert isinstance(model, Encodes)
    with torch.inference_mode():
        code = model.encode(torch.zeros(1, *model.shape, device=model.device, dtype=model.dtype))
    return code.shape[1]


def squared_error(model: Model, originals: np.ndarray, on: str) -> Number:
    """Squared error of passing the uint8 `originals` `[N, C, H, W]` through the latents, beside their mean image."""
    return _beside_their_mean(squared_errors(model, originals), originals, UNIT, on)


def delivered_squared_error(originals: np.ndarray, made: np.ndarray, on: str) -> Number:
    """Squared error of uint8 images that are delivered as they are, `made` of `originals`, both `[N, C, H, W]`."""
    errors = (((made / 255 - originals / 255) ** 2).reshape(len(made), -1)).sum(1)
    return _beside_their_mean(errors, originals, "per image, pixels on [0, 1], clipped and rounded to levels", on)


def _beside_their_mean(errors: np.ndarray, originals: np.ndarray, unit: str, on: str) -> Number:
    x = originals.reshape(len(originals), -1) / 255
    baselines = {"their mean image": float(((x - x.mean(0)) ** 2).sum(1).mean())} if len(x) > 1 else {}
    return Number.mean(errors, name="squared error", unit=unit, on=on, baselines=baselines)
