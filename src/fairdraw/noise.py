"""Noise as a pure function of (seed, purpose, image number, draw).

The numbers that image number `i` receives at the `k`-th draw of its step never depend on how the images were divided
into batches, micro-batches or processes, on the device, or on what was drawn before. A checkpoint therefore holds no
generator state, and two processes or four micro-batches see the very noise that one would.

The generator is Philox 4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), numpy's own;
its counter is set to the image number, its key is derived from seed, purpose and draw.
"""

import math
import zlib

import numpy as np
import torch
from torch import Tensor

from fairdraw.errors import check_seed

FLOATS_PER_BLOCK = 8  # one Philox block: four 64-bit words, two 32-bit numbers in each


class Noise:
    """A source of random numbers for `count` consecutive images, the first of which is image number `first`.

    Each call is one draw and gives every image its own row: `noise.normal(20)` is `[count, 20]`.

    Args:
        seed: a whole number of 64 bits; the same seed gives the same numbers on every device.
        count: number of images (rows).
        first: number of the first image, counted from the start of the training or of the sheet.
        purpose: keeps streams apart that share a seed, e.g. "train" and "sample".
        device: where the numbers are put; they are always computed on the CPU, so that they are the same everywhere.
        dtype: floating-point type of the result; the numbers themselves have float32 resolution.
    """

    def __init__(
        self,
        seed: int,
        count: int,
        first: int = 0,
        purpose: str = "sample",
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        check_seed(seed)
        self.seed, self.count, self.first, self.purpose = seed, count, first, purpose
        self.device, self.dtype = torch.device(device), dtype
        self._draw = 0

    def rows(self, start: int, count: int) -> "Noise":
        """The source for `count` of these images from row `start` on, at its first draw."""
        return Noise(self.seed, count, self.first + start, self.purpose, self.device, self.dtype)

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers on [0, 1), `[count, *shape]`; multiples of 2^-24, so 1 is never reached."""
        return self._tensor(self._uniform(math.prod(shape)), shape)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, `[count, *shape]` (Box-Muller)."""
        width = math.prod(shape)
        half = (width + 1) // 2
        u = self._uniform(2 * half)
        radius = np.sqrt(-2 * np.log1p(-u[:, :half]))
        angle = np.float32(2 * np.pi) * u[:, half:]
        normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        return self._tensor(np.ascontiguousarray(normal[:, :width]), shape)

    def _uniform(self, width: int) -> np.ndarray:
        blocks = -(-width // FLOATS_PER_BLOCK)
        words = self._philox(blocks).random_raw(self.count * blocks * 4)
        bits = words.view(np.uint32).reshape(self.count, blocks * FLOATS_PER_BLOCK)[:, :width]
        return (bits >> 8).astype(np.float32) * np.float32(2**-24)

    def _philox(self, blocks_per_image: int) -> np.random.Philox:
        # A key per draw and per width class: rows of different widths must not overlap within one counter sequence.
        entropy = [self.seed % 2**64, zlib.crc32(self.purpose.encode()), self._draw, blocks_per_image]
        self._draw += 1
        key = np.random.SeedSequence(entropy).generate_state(2, np.uint64)
        start = self.first * blocks_per_image
        counter = np.array([start % 2**64, start >> 64, 0, 0], np.uint64)  # a list would pass through float64
        return np.random.Philox(key=key, counter=counter)

    def _tensor(self, values: np.ndarray, shape: tuple[int, ...]) -> Tensor:
        return torch.from_numpy(values).reshape(self.count, *shape).to(self.device, self.dtype)
