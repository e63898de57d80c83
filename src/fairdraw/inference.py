"""Running a model over images: a chunk at a time, without gradients, in the full precision of its weights."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from fairdraw.capabilities import Translates
from fairdraw.images import to_signed, to_uint8
from fairdraw.model import SAMPLE_CHUNK, Model
from fairdraw.noise import Noise

T = TypeVar("T")

TRANSLATION_CHUNK = 16
"""Images translated at a time: those of a translator are large, and its maps are as large as they."""


def in_chunks(
    compute: Callable[[int, Tensor], T], model: Model, images: np.ndarray, size: int = SAMPLE_CHUNK
) -> list[T]:
    """What `compute` makes of each chunk of the uint8 `images` `[N, C, H, W]`, in their order.

    It is given the place of the chunk's first image, and the chunk `[B, C, H, W]` in [-1, 1] where `model` is and in
    its type, with B up to `size`. A function and no generator: one left half-way would leave its modes switched on.
    """
    found = []
    with torch.inference_mode(), full_precision(model.device):
        for first, x in chunks(model, images, size):
            found.append(compute(first, x))
    return found


def chunks(model: Model, images: np.ndarray, size: int = SAMPLE_CHUNK) -> Iterator[tuple[int, Tensor]]:
    """The place of the first, and a chunk `[B, C, H, W]` of uint8 `images`, in [-1, 1] where `model` is."""
    for first in range(0, len(images), size):
        yield first, to_signed(torch.from_numpy(images[first : first + size])).to(model.device, model.dtype)


def translated(model: Translates, images: np.ndarray, direction: str, seed: int = 0) -> np.ndarray:
    """What the model makes of uint8 `images` `[N, C, H, W]` of one domain, of that shape and type.

    The k-th image is given the k-th row of the noise of `seed`, whatever stands before or behind it.
    """
    assert isinstance(model, Model)
    place, kind = model.device, model.dtype

    def of(first: int, x: Tensor) -> Tensor:
        return to_uint8(model.translate(x, direction, Noise(seed, len(x), first, "translate", place, kind))).cpu()

    return torch.cat(in_chunks(of, model, images, TRANSLATION_CHUNK)).numpy()


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Inside, networks compute in the precision of their weights: no autocast, and no TF32 or bfloat16 in its place."""
    backends: Any = torch.backends
    places = [backends.cuda.matmul, backends.mkldnn.matmul, backends.cudnn.conv, backends.mkldnn.conv]
    before = [place.fp32_precision for place in places]
    for place in places:
        place.fp32_precision = "ieee"
    # The older setting must agree with the newer ones: torch refuses a mixture of the two.
    older = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(older)
        for place, value in zip(places, before, strict=True):
            place.fp32_precision = value


def to_numpy(values: Tensor) -> np.ndarray:
    """`values` as float64."""
    # First to the CPU: not every device has float64.
    found: np.ndarray = values.cpu().double().numpy()
    return found
