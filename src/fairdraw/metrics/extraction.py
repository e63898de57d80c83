"""What networks that make features have in common: running them over many images."""

from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from fairdraw.errors import InputError
from fairdraw.inference import full_precision, to_numpy
from fairdraw.metrics.features import Classifies
from fairdraw.metrics.resize import RESIZE, as_rgb, resized


class FeatureNetwork(nn.Module, Classifies):
    """A classifier as a network: features, logits made of them, and both of many images."""

    chunk: ClassVar[int]
    """Images at a time."""
    size: int
    """Of the images that it sees."""

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """`[B, D]` of what `prepared` makes, `[B, C, size, size]` on [0, 255]."""

    @abstractmethod
    def logits(self, features: Tensor) -> Tensor:
        """`[B, K]` of features `[B, D]`."""

    def prepared(self, images: np.ndarray) -> np.ndarray:
        """uint8 `images` `[N, C, H, W]` as the network sees them: float32 on [0, 255], in three channels."""
        return resized(as_rgb(images), self.size)

    @property
    def resize(self) -> str:
        """As clean-fid does."""
        return RESIZE

    def of(self, images: np.ndarray) -> np.ndarray:
        """Features, float64 `[N, D]`."""
        return self._extracted(lambda x: (self.features(x),), images)[0]

    def judged(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features, and P(class | image) `[N, K]`."""

        def both(x: Tensor) -> tuple[Tensor, ...]:
            y = self.features(x)
            return y, self.logits(y).cpu().double().softmax(1)

        features, probabilities = self._extracted(both, images)
        return features, probabilities

    def _extracted(self, compute: Callable[[Tensor], tuple[Tensor, ...]], images: np.ndarray) -> list[np.ndarray]:
        return extracted(compute, self.prepared, images, self.chunk, next(self.parameters()).device)


def extracted(
    compute: Callable[[Tensor], tuple[Tensor, ...]],
    prepare: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    chunk: int,
    device: torch.device,
) -> list[np.ndarray]:
    """What `compute` makes of uint8 `images` `[N, C, H, W]`, each thing of N rows and float64.

    `prepare` makes float32 `[B, C, S, S]` of up to `chunk` of them, in a thread of its own: the next ones become ready
    while the network computes. Two chunks are in memory at most.

    Raises:
        InputError: for images of another kind.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3, 4):
        raise InputError(
            f"features are of uint8 images [N, C, H, W] with 1, 3 or 4 channels, not of {images.dtype} {images.shape}"
        )
    starts = range(0, max(len(images), 1), chunk)  # of no images there are features too: none, of the right width
    found: list[np.ndarray] = []
    with ThreadPoolExecutor(1) as thread, torch.inference_mode(), full_precision(device):
        coming = thread.submit(prepare, images[:chunk])
        for start in starts:
            levels = torch.from_numpy(coming.result())
            coming = thread.submit(prepare, images[start + chunk : start + 2 * chunk])
            x = levels.to(device).contiguous(memory_format=torch.channels_last)
            parts = [to_numpy(part) for part in compute(x)]
            found = found or [np.empty((len(images), *part.shape[1:])) for part in parts]
            for whole, part in zip(found, parts, strict=True):
                whole[start : start + chunk] = part
    return found
