"""Lossy coding of images: the code of each, rounded, under a Gaussian for each of its dimensions.

The Gaussians have mean and deviation of the model's own prior, which for an autoencoder is that of its training codes.
A dimension is rounded the more coarsely the less the image depends on it, so that each adds the same error: what a
quantiser of many bits would do for the least error at a rate (Gersho & Gray 1992, chapter 8). A latent that a VAE
does not use so costs nothing.
"""

from typing import NamedTuple, Self

import numpy as np
import torch

from fairdraw.capabilities import Encodes, Generates
from fairdraw.compress.entropy import MOST_CELLS, Stack
from fairdraw.errors import InputError
from fairdraw.images import to_uint8
from fairdraw.inference import in_chunks
from fairdraw.model import SAMPLE_CHUNK, Model
from fairdraw.noise import Noise
from fairdraw.order import spread

PRIOR_DRAWS = 4096
PROBED = 32
"""Images at whose codes the decoder's sensitivity is measured."""

NUDGE = 0.1
"""How far a code is moved to measure that, in deviations."""

LEAST = 1e-3
"""A deviation below this share of the largest is taken for it: a unit that was always off in training may go on."""

WIDEST = 1e6


class Quantiser(NamedTuple):
    """How codes are rounded and coded: float32 `[D]` each.

    Args:
        mean: where the cell of symbol 0 is centred.
        deviation: of the Gaussian under which symbols are coded.
        step: width of a cell.
    """

    mean: np.ndarray
    deviation: np.ndarray
    step: np.ndarray

    @classmethod
    def fit(cls, model: Generates, codes: np.ndarray, step: float) -> Self:
        """Measure `model` at `codes` `[N, D]`; `step` is that of the most sensitive dimension, in its deviations."""
        prior = _prior(model)
        deviation = prior.std(0)
        deviation = np.maximum(deviation, max(LEAST * deviation.max(), np.finfo(np.float32).tiny))
        change = _sensitivity(model, codes[spread(len(codes), PROBED)], deviation)
        change = np.maximum(change, max(change.max() / WIDEST, np.finfo(np.float32).tiny))
        steps = step * deviation * change.max() / change
        return cls(*(values.astype(np.float32) for values in (prior.mean(0), deviation, steps)))

    def symbols(self, codes: np.ndarray) -> np.ndarray:
        """The cell of each entry of `codes` `[N, D]`, int32."""
        cells: np.ndarray = np.rint((codes - self.mean) / self.step)
        return cells.clip(-MOST_CELLS, MOST_CELLS).astype(np.int32)

    def codes(self, symbols: np.ndarray) -> np.ndarray:
        """The middles of the cells `[N, D]`, float32."""
        found: np.ndarray = self.mean + self.step * symbols.astype(np.float32)
        return found

    def pack(self, symbols: np.ndarray, reach: int) -> np.ndarray:
        """The symbols `[N, D]`, at most `reach` in size, as words of a stack, uint32 `[W]`."""
        stack = Stack()
        stack.push_gaussian(symbols.ravel(), reach, *self._gaussians(len(symbols)))
        return stack.words

    def unpack(self, words: np.ndarray, count: int, reach: int) -> np.ndarray:
        """The inverse of `pack`, int32 `[count, D]`."""
        return Stack(words).pop_gaussian(reach, *self._gaussians(count)).reshape(count, -1)

    def _gaussians(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        deviation = np.tile(self.deviation.astype(np.float64) / self.step.astype(np.float64), count)
        return np.zeros_like(deviation), deviation


def codes_of(model: Encodes, images: np.ndarray) -> np.ndarray:
    """The codes of uint8 `images` `[N, C, H, W]`, float32 `[N, D]`.

    Raises:
        InputError: where they are not finite.
    """
    assert isinstance(model, Model)
    codes = torch.cat(in_chunks(lambda _, x: model.encode(x), model, images))
    if not codes.isfinite().all():
        raise InputError("the model's codes are not finite, so nothing can be coded: train it again")
    return codes.float().numpy()


def images_of(model: Generates, codes: np.ndarray) -> np.ndarray:
    """The images of the codes `[N, D]`, uint8 `[N, C, H, W]`."""
    return to_uint8(_made(model, codes)).numpy()


def _made(model: Generates, codes: np.ndarray) -> torch.Tensor:
    assert isinstance(model, Model)
    with torch.inference_mode():
        parts = torch.split(torch.from_numpy(codes).to(model.dtype), SAMPLE_CHUNK)
        return torch.cat([model.generate(part) for part in parts])


def _prior(model: Generates) -> np.ndarray:
    assert isinstance(model, Model)
    with torch.inference_mode():
        return model.prior(Noise(0, PRIOR_DRAWS, purpose="compress", dtype=model.dtype)).double().numpy()


def _sensitivity(model: Generates, codes: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Root of the mean squared change of the image for one deviation of each dimension, `[D]`."""
    start = _made(model, codes)
    found = np.zeros(len(deviation))
    for d, move in enumerate(NUDGE * deviation):
        moved = codes.copy()
        moved[:, d] += move
        found[d] = float((_made(model, moved) - start).double().square().flatten(1).sum(1).mean().sqrt())
    return found
