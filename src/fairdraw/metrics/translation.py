"""How far translated images are from the ones that they should be, beside what needs no model."""

import numpy as np

from fairdraw.capabilities import Translates
from fairdraw.data import Split
from fairdraw.inference import translated
from fairdraw.metrics.number import Number
from fairdraw.metrics.reconstruction import mean_image

VALUES_AT_A_TIME = 2**24


def absolute_errors(originals: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Mean absolute difference of the pixels on [0, 1] of each pair of uint8 images `[N, C, H, W]`, `[N]`."""
    found = np.empty(len(originals))
    chunk = max(1, VALUES_AT_A_TIME // originals[0].size)
    for start in range(0, len(originals), chunk):
        part = slice(start, start + chunk)
        found[part] = np.abs(originals[part].astype(np.float64) - made[part]).mean((1, 2, 3)) / 255
    return found


def paired_error(model: Translates, train: Split, held_out: Split, seed: int = 0) -> Number:
    """L1 of what the model makes of the inputs of `held_out`, beside copying them and the mean image of `train`."""
    where = np.arange(len(held_out))
    images, inputs = held_out.images(where), held_out.inputs(where)
    mean = np.broadcast_to((mean_image(train) * 255).round().astype(np.uint8), images.shape)
    return Number.mean(
        absolute_errors(images, translated(model, inputs, model.directions[0], seed)),
        name=f"L1, {model.directions[0]}",
        unit="per pixel on [0, 1]",
        on=f"{held_out.name} images of {held_out.dataset.name}",
        baselines={
            "the input itself": float(absolute_errors(images, inputs).mean()),
            "the mean image": float(absolute_errors(images, mean).mean()),
        },
    )
