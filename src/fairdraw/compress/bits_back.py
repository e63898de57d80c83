"""Lossless coding of observed images by a VAE, at the rate of its bound.

Townsend, Bird & Barber, "Practical lossless compression with latent variables using bits back coding", ICLR 2019
(arXiv:1901.04866): on a stack of bits, to push an image x

    pop z by q(z|x);   push x by p(x|z);   push z by p(z)        bits: log q(z|x) - log p(x|z) - log p(z)

which is the bound for this z; pulling it off again runs the lines backwards and returns the bits that z was popped
from. Images are chained, the last first; the first pop takes bits that are put there from a seed and are counted.

What differs from the paper: z lies on cells of equal width and not of equal prior mass, for constriction's Gaussians.
And the top of the stack, which z is popped from, is the z of the image before as p(z) had it pushed: random only where
it came from p(z). With posteriors far from the prior the rate was up to 4 % above the bound; so these bits are turned
over by random numbers that both sides know, and z is a draw from q(z|x) whatever was there.

Both sides need the very same probabilities. Networks are evaluated for one image at a time, as the receiver has to,
in float64 on one thread of the CPU, and what they say is rounded to far more than their last digits before it is
used: so it is the same in every process, and most likely on another machine. A checksum tells where it was not.
"""

import contextlib
import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch

from fairdraw.capabilities import CodesLosslessly
from fairdraw.compress.entropy import MOST_CELLS, Stack
from fairdraw.errors import InputError
from fairdraw.images import to_signed, to_uint8
from fairdraw.model import Model
from fairdraw.noise import Noise

CELLS_A_DEVIATION = 8
"""Cells in a dimension's smallest posterior deviation: at 8 what they cost is below a thousandth of the rate."""

TAIL = 6
"""Posterior deviations from the mean beyond which z is never drawn: the coder gives each cell 2^-24 at least, and among
thousands of cells z would now and then be drawn where the image is another."""

PRIOR_TAIL = 8

WEIGHT = 2.0**20
"""Probabilities of pixels are rounded to whole parts of this."""

FRACTION = 256.0
"""Means and deviations are rounded to this fraction of a cell."""

SPARE_BITS = 64


@dataclass(frozen=True)
class Grid:
    """The values that a latent may have.

    Args:
        exponents: each dimension has multiples of 2 to the power of its own, `[D]`.
        reach: how many of them on either side of 0.
    """

    exponents: tuple[int, ...]
    reach: int

    @property
    def cells(self) -> np.ndarray:
        """The width of a cell, `[D]`; a power of two, so that multiples are exact."""
        return np.exp2(self.exponents)


class Coded(NamedTuple):
    """Images as bits.

    Args:
        words: the stack, uint32 `[W]`.
        grid: where the latents lie.
        bits: what each image added to the stack, `[N]`, to a whole bit.
        initial_bits: what was on the stack before the first.
    """

    words: np.ndarray
    grid: Grid
    bits: np.ndarray
    initial_bits: int


def binarised(model: CodesLosslessly, images: np.ndarray, seed: int) -> np.ndarray:
    """uint8 `images` `[N, C, H, W]` black and white, drawn as a model of bits observes them."""
    observed = model.observe(to_signed(torch.from_numpy(images)), Noise(seed, len(images), purpose="binarise"))
    return to_uint8(2 * observed - 1).numpy()


def encode(
    model: CodesLosslessly, images: np.ndarray, seed: int, advance: Callable[[int], None] = lambda done: None
) -> Coded:
    """Code uint8 `images` `[N, C, H, W]`, all black or white for a model of bits.

    Args:
        model: one that says nothing in `why_not_lossless`.
        images: at least one.
        seed: of the initial bits.
        advance: is told how many images are done.

    Raises:
        InputError: where the model's numbers are not finite.
    """
    with _exactly(model) as exact:
        posteriors = [exact.posterior(image) for image in images]
        grid = _grid_of(posteriors)
        stack = Stack(_initial_words(max(_Gaussian.of(posterior, grid).bits for posterior in posteriors), seed))
        initial, costs = stack.bits, np.zeros(len(images))
        for n in reversed(range(len(images))):
            before = stack.bits
            stack.scramble(initial, n)
            gaussian = _Gaussian.of(posteriors[n], grid)
            z = gaussian.centre + stack.pop_gaussian(gaussian.reach, gaussian.mean, gaussian.deviation)
            stack.push_by_table(exact.symbols(images[n]), exact.weights(z * grid.cells))
            stack.push_gaussian(z, grid.reach, *_prior(grid))
            costs[n] = stack.bits - before
            advance(len(images) - n)
        return Coded(stack.words, grid, costs, initial)


def decode(
    model: CodesLosslessly,
    words: np.ndarray,
    grid: Grid,
    initial_bits: int,
    count: int,
    advance: Callable[[int], None] = lambda done: None,
) -> np.ndarray:
    """The inverse of `encode`: uint8 images `[count, C, H, W]`; others where the networks gave other numbers."""
    assert isinstance(model, Model)
    images = np.empty((count, *model.shape), np.uint8)
    with _exactly(model) as exact:
        stack = Stack(words)
        for n in range(count):
            z = stack.pop_gaussian(grid.reach, *_prior(grid))
            images[n] = exact.image(stack.pop_by_table(exact.weights(z * grid.cells)))
            gaussian = _Gaussian.of(exact.posterior(images[n]), grid)
            stack.push_gaussian(z - gaussian.centre, gaussian.reach, gaussian.mean, gaussian.deviation)
            stack.scramble(initial_bits, n)
            advance(n + 1)
    return images


class _Gaussian(NamedTuple):
    """A posterior on the grid, in cells, around the cell `centre` of its mean, `[D]` each."""

    centre: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    reach: int

    @classmethod
    def of(cls, posterior: tuple[np.ndarray, np.ndarray], grid: Grid) -> Self:
        mean, deviation = (np.rint(value / grid.cells * FRACTION) / FRACTION for value in posterior)
        deviation = deviation.clip(1 / FRACTION, grid.reach)
        reach = min(math.ceil(TAIL * deviation.max()), grid.reach)
        centre = np.rint(mean).clip(reach - grid.reach, grid.reach - reach)
        return cls(centre.astype(np.int32), (mean - centre).clip(-reach, reach), deviation, reach)

    @property
    def bits(self) -> float:
        """What a latent is popped from, on average: log2(deviation sqrt(2 pi e)) of each dimension."""
        return float(np.log2(np.maximum(self.deviation, 1) * math.sqrt(2 * math.pi * math.e)).sum())


class _Exact:
    """The model's distributions for one image at a time."""

    def __init__(self, model: CodesLosslessly) -> None:
        assert isinstance(model, Model)
        # A copy has its weights in memory of torch's own alignment, which the order of sums may depend on.
        self._model = copy.deepcopy(model).to("cpu", torch.float64).eval()
        self._white = 255 if model.observed == "bits" else 1

    def symbols(self, image: np.ndarray) -> np.ndarray:
        """The values of the pixels of uint8 `[C, H, W]`, as `weights` has them."""
        return image.ravel() // self._white

    def image(self, symbols: np.ndarray) -> np.ndarray:
        """The inverse of `symbols`."""
        return (symbols * self._white).astype(np.uint8).reshape(self._model.shape)

    def posterior(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of q(z|image), `[D]`."""
        x = to_signed(torch.from_numpy(image)[None], torch.float64)
        # Black and white pixels, and levels, are observed as they are whatever the noise.
        observed = self._model.observe(x, Noise(0, 1, purpose="compress", dtype=torch.float64))
        mean, deviation = self._model.posterior(observed)
        return _finite(mean), _finite(deviation)

    def weights(self, z: np.ndarray) -> np.ndarray:
        """P(value|z) of each pixel in whole parts, `[pixels, V]`."""
        found = self._model.pixel_probabilities(torch.from_numpy(z)[None])[0]
        return np.rint(_finite(found) * WEIGHT)


@contextlib.contextmanager
def _exactly(model: CodesLosslessly) -> Iterator[_Exact]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield _Exact(model)
    finally:
        torch.set_num_threads(threads)


def _finite(values: torch.Tensor) -> np.ndarray:
    found: np.ndarray = values.squeeze(0).numpy()
    if not np.isfinite(found).all():
        raise InputError("the model's numbers for an image are not finite, so nothing can be coded: train it again")
    return found


def _grid_of(posteriors: list[tuple[np.ndarray, np.ndarray]]) -> Grid:
    """A grid that is fine enough for each posterior and wide enough for all, as far as there are cells."""
    means, deviations = (np.stack(values) for values in zip(*posteriors, strict=True))
    finest = np.maximum(deviations.min(0) / CELLS_A_DEVIATION, PRIOR_TAIL / MOST_CELLS)
    exponents = np.floor(np.log2(finest)).astype(int)
    furthest = np.maximum((np.abs(means) + TAIL * deviations).max(0), PRIOR_TAIL) / np.exp2(exponents)
    return Grid(tuple(exponents.tolist()), min(MOST_CELLS, math.ceil(furthest.max()) + 1))


def _prior(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(len(grid.exponents)), 1 / grid.cells


def _initial_words(bits: float, seed: int) -> np.ndarray:
    """Random words of `bits` and some to spare."""
    count = math.ceil((bits + SPARE_BITS) / 32)
    words: np.ndarray = np.random.default_rng(seed % 2**64).integers(0, 2**32, count, np.uint32)
    words[-1] |= 2**31  # as the coder's last word is never 0, and the more so for a whole number of them
    return words
