"""Restoring images: removing a corruption from them, and filling in pixels that are not known."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fairdraw.capabilities import Denoises, Encodes, Generates
from fairdraw.errors import InputError
from fairdraw.inference import chunks, full_precision
from fairdraw.model import Model
from fairdraw.nets.corruption import Corruption, corrupt
from fairdraw.noise import Noise

UNKNOWN = 128
"""Grey level of a mask from which on a pixel is unknown."""

BLACK = -1.0

STEPS = 20


class Restored(NamedTuple):
    """Some images in a row, before and after; all but the first `[N, C, H, W]`, in [-1, 1] and on the CPU.

    Args:
        first: position of the first among all images.
        clean: the images that were given.
        given: what the model was given: the corrupted or the masked images, or the clean ones themselves.
        made: what it made of that; noise may lead out of [-1, 1] in `given`, and linear outputs here.
    """

    first: int
    clean: Tensor
    given: Tensor
    made: Tensor


Answer = Callable[[Restored], Tensor]
"""A trivial restoration: images that broadcast with `clean`, in [-1, 1]."""


def denoised(
    model: Model, images: np.ndarray, corruption: tuple[Corruption, float] | None = None, seed: int = 0
) -> Iterator[Restored]:
    """What `model`, which denoises, makes of the uint8 `images` `[N, C, H, W]`, corrupted first if so asked.

    The corruption of the k-th image is that of number k of `seed`, whatever the others are. Gaussian noise is not
    clipped.
    """
    assert isinstance(model, Denoises)
    for first, x in chunks(model, images):
        damaged = x
        if corruption:
            noise = Noise(seed, len(x), first, "corrupt", model.device, model.dtype)
            damaged = 2 * corrupt((x + 1) / 2, *corruption, noise)[0] - 1
        with torch.inference_mode(), full_precision(model.device):
            restored = model.denoise(damaged)
        yield Restored(first, x.cpu(), damaged.cpu(), restored.cpu())


def inpainted(model: Model, images: np.ndarray, unknown: np.ndarray, steps: int) -> Iterator[Restored]:
    """The uint8 `images` `[N, C, H, W]` with the pixels of `unknown`, boolean `[H, W]`, filled in by `model`.

    From black on, `steps` times: the model restores the image, and the known pixels are put back. What it makes is
    kept in [-1, 1], where pixels are.
    """
    restore = restorer(model)
    where = torch.from_numpy(unknown)
    for first, x in chunks(model, images):
        hole = where.to(x.device)
        masked = x.masked_fill(hole, BLACK)
        filled = masked
        with torch.inference_mode(), full_precision(model.device):
            for _ in range(steps):
                filled = torch.where(hole, restore(filled).clamp(-1, 1), x)
        yield Restored(first, x.cpu(), masked.cpu(), filled.cpu())


def restorer(model: Model) -> Callable[[Tensor], Tensor]:
    """How `model` makes a whole image of a damaged one: it denoises it, or else passes it through its latents.

    Raises:
        InputError: when it can do neither.
    """
    if isinstance(model, Denoises):
        return model.denoise
    if isinstance(model, Encodes) and isinstance(model, Generates):
        return lambda x: model.generate(model.encode(x))
    raise InputError(
        f"{type(model).__name__} cannot fill in, for it neither denoises nor encodes; `fairdraw models` tells which do"
    )


def steps_for(model: Model) -> int:
    """How many steps `inpainted` should take: one for a model that learnt to fill holes at once; more lead it astray.

    Raises:
        InputError: when it cannot fill in.
    """
    restorer(model)
    return 1 if isinstance(model, Denoises) and model.corruption[0] == "blocks" else STEPS


def check_mask(mask: np.ndarray, shape: tuple[int, int, int], where: str) -> np.ndarray:
    """The unknown pixels, boolean `[H, W]`, of a grey mask, uint8 `[H, W]`, for images of `shape` `(C, H, W)`.

    Raises:
        InputError: naming `where`, for a mask of another size, or one with no pixel to fill or none to go by.
    """
    _, height, width = shape
    if mask.shape != (height, width):
        rows, columns = mask.shape
        raise InputError(
            f"{where} is {columns}x{rows}, the model's images are {width}x{height}: give a mask of that size"
        )
    unknown: np.ndarray = mask >= UNKNOWN
    if unknown.all():
        raise InputError(f"{where} is all white: no known pixel is left to go by; make what is known black")
    if not unknown.any():
        raise InputError(f"{where} is all black: there is nothing to fill in; make what is unknown white")
    return unknown


def are_holed(images: np.ndarray, unknown: np.ndarray) -> bool:
    """Whether all unknown pixels are alike, as in images that have the holes already: nothing to compare with."""
    hidden = images[:, :, unknown]
    return bool((hidden == hidden[:1, :, :1]).all())


def mean_image(images: np.ndarray) -> Answer:
    """The mean of the uint8 `images`, for every one of them."""
    mean = torch.from_numpy(images.mean(0) / 127.5 - 1)
    return lambda part: mean


def mean_of_known(unknown: np.ndarray) -> Answer:
    """Each channel's mean over the known pixels of the image."""
    known = torch.from_numpy(~unknown)
    return lambda part: part.clean[..., known].mean(-1)[..., None, None]


def errors(
    parts: Iterable[Restored], answers: Mapping[str, Answer], unknown: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Squared error of each answer for each image, pixels on [0, 1], `[N]` by name; of `unknown` pixels if given."""
    where = slice(None) if unknown is None else torch.from_numpy(unknown).flatten()
    found: dict[str, list[Tensor]] = {name: [] for name in answers}
    for part in parts:
        for name, answer in answers.items():
            halved = (answer(part).double() - part.clean).flatten(2)[..., where] / 2
            found[name].append(halved.square().sum((1, 2)))
    return {name: torch.cat(values).numpy() for name, values in found.items()}


def made(part: Restored) -> Tensor:
    """The model's own answer."""
    return part.made


def given(part: Restored) -> Tensor:
    """To leave the image as it was given."""
    return part.given
