"""How far translated images are from the ones that they should be, beside what needs no model."""

import numpy as np
import torch
from torch import Tensor

from fairdraw.capabilities import Translates
from fairdraw.data import Split
from fairdraw.images import to_signed, to_uint8
from fairdraw.inference import TRANSLATION_CHUNK, in_chunks, translated
from fairdraw.metrics.number import Number
from fairdraw.metrics.reconstruction import mean_image
from fairdraw.model import Model
from fairdraw.noise import Noise

VALUES_AT_A_TIME = 2**24


def absolute_errors(originals: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Mean absolute difference of the pixels on [0, 1] of each pair of uint8 images `[N, C, H, W]`, `[N]`."""
    found = np.empty(len(originals))
    chunk = max(1, VALUES_AT_A_TIME // originals[0].size)
    for start in range(0, len(originals), chunk):
        part = slice(start, start + chunk)
        found[part] = np.abs(originals[part].astype(np.float64) - made[part]).mean((1, 2, 3)) / 255
    return found


def gradient_energies(images: np.ndarray) -> np.ndarray:
    """Mean length of the gradient of each of the uint8 `images` `[N, C, H, W]`, pixels on [0, 1], `[N]`.

    Differences to the pixel on the right and to the one below; over channels the mean.
    """
    found = np.empty(len(images))
    chunk = max(1, VALUES_AT_A_TIME // images[0].size)
    for start in range(0, len(images), chunk):
        x = images[start : start + chunk].astype(np.float64) / 255
        right, down = np.diff(x, axis=3)[:, :, :-1], np.diff(x, axis=2)[..., :-1]
        found[start : start + chunk] = np.hypot(right, down).mean((1, 2, 3))
    return found


def sharpness(originals: np.ndarray, made: np.ndarray) -> tuple[float, float]:
    """Gradient energy of `made` over that of the `originals`, and its standard error; in pairs where they are as many.

    1 is as sharp as the originals, less is blurred, more is noise.
    """
    ours, theirs = gradient_energies(made), gradient_energies(originals)
    scale = max(float(theirs.mean()), 1e-12)
    ratio = float(ours.mean()) / scale
    if len(ours) == len(theirs):
        variance = (ours - ratio * theirs).var(ddof=1) / len(ours)
    else:
        variance = ours.var(ddof=1) / len(ours) + ratio**2 * theirs.var(ddof=1) / len(theirs)
    return ratio, float(variance**0.5) / scale


def cycled(model: Translates, images: np.ndarray, direction: str, seed: int, in_levels: bool) -> np.ndarray:
    """What comes back of uint8 `images` `[N, C, H, W]` after `direction` and then the other one, of that form.

    With `in_levels` the translation between is rounded to 8 bits, as a file would be: what a model hides in differences
    too small to be seen (Chu et al. 2017, arXiv:1712.02950) does not survive that.
    """
    assert isinstance(model, Model)
    back = next(other for other in model.directions if other != direction)
    place, kind = model.device, model.dtype

    def of(first: int, x: Tensor) -> Tensor:
        there = model.translate(x, direction, Noise(seed, len(x), first, "translate", place, kind))
        if in_levels:
            there = to_signed(to_uint8(there), kind)
        return to_uint8(model.translate(there, back, Noise(seed, len(x), first, "translate", place, kind))).cpu()

    return torch.cat(in_chunks(of, model, images, TRANSLATION_CHUNK)).numpy()


def paired_error(model: Translates, train: Split, held_out: Split, seed: int = 0) -> Number:
    """L1 of what the model makes of the inputs of `held_out`, beside copying them and the mean image of `train`."""
    where = np.arange(len(held_out))
    images, inputs = held_out.images(where), held_out.inputs(where)
    return Number.mean(
        absolute_errors(images, translated(model, inputs, model.directions[0], seed)),
        name=f"L1, {model.directions[0]}",
        unit="per pixel on [0, 1]",
        on=f"{held_out.name} images of {held_out.dataset.name}",
        baselines={
            "the input itself": float(absolute_errors(images, inputs).mean()),
            "the mean image": float(absolute_errors(images, mean_of(train, images)).mean()),
        },
    )


def mean_of(train: Split, images: np.ndarray) -> np.ndarray:
    """The mean image of `train` in the place of each of the uint8 `images` `[N, C, H, W]`."""
    return np.broadcast_to((mean_image(train) * 255).round().astype(np.uint8), images.shape)
