"""The numbers that stand beside a training's end: measured on images that it never saw."""

import numpy as np

from fairdraw.data import Dataset
from fairdraw.metrics.likelihood import held_out_bound
from fairdraw.metrics.number import Number
from fairdraw.model import Bounds, Model


def held_out_numbers(model: Model, dataset: Dataset, seed: int = 0) -> list[Number]:
    """What can be said of `model` on the test images of `dataset`: nothing yet for models without a bound."""
    if isinstance(model, Bounds) and len(dataset.test):
        return [held_out_bound(model, dataset.train, dataset.test, seed)]
    return []


def squared_error(originals: np.ndarray, made: np.ndarray, on: str) -> Number:
    """Squared error per image, pixels on [0, 1], of uint8 `made` against `originals`, both `[N, C, H, W]`.

    The trivial answer is the originals' own mean image, for every one of them.
    """
    x = originals.reshape(len(originals), -1) / 255
    errors = ((made.reshape(x.shape) / 255 - x) ** 2).sum(1)
    baselines = {"their mean image": float(((x - x.mean(0)) ** 2).sum(1).mean())} if len(x) > 1 else {}
    return Number.mean(errors, name="squared error", unit="per image, pixels on [0, 1]", on=on, baselines=baselines)
