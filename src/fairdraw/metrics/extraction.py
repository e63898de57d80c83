"""What networks that make features have in common: their weights, their speed, and running them over many images."""

import hashlib
import io
from abc import abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from fairdraw.errors import InputError
from fairdraw.inference import full_precision, to_numpy
from fairdraw.metrics.features import Classifies
from fairdraw.metrics.resize import RESIZE, as_rgb, resized

NORM_EPSILON = 1e-3
"""That of TensorFlow, where the weights of both ImageNet networks come from."""


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
            return y, self.logits(y).double().softmax(1)

        features, probabilities = self._extracted(both, images)
        return features, probabilities

    def _extracted(self, compute: Callable[[Tensor], tuple[Tensor, ...]], images: np.ndarray) -> list[np.ndarray]:
        return extracted(compute, self.prepared, images, self.chunk, next(self.parameters()).device)


class NormalisedConv(nn.Module):
    """A convolution without bias, and batch normalisation, which `fold_norms` makes one.

    Args:
        size: of the kernel.
        padding: zeros on either side; by default such that only `stride` makes an image smaller.
    """

    def __init__(
        self,
        fan_in: int,
        fan_out: int,
        size: int | tuple[int, int] = 1,
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(fan_in, fan_out, size, stride, padding, groups=groups, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(fan_out, eps=NORM_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """Without an activation."""
        y: Tensor = self.bn(self.conv(x))
        return y


def fold_norms(network: nn.Module) -> None:
    """Put each batch normalisation of `network`, in eval mode, into the weights of its convolution."""
    for module in network.modules():
        if isinstance(module, NormalisedConv) and isinstance(module.bn, nn.BatchNorm2d):
            module.conv = fuse_conv_bn_eval(module.conv, module.bn)
            module.bn = nn.Identity()


def made_fast(network: nn.Module) -> None:
    """`network` in eval mode, its normalisations folded, and its weights and activations channels last."""
    network.eval().requires_grad_(False)
    fold_norms(network)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def weights_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Of the names and values of a state dict, in its order."""
    digest = hashlib.sha256()
    for name, values in tensors.items():
        digest.update(name.encode() + values.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def load_weights(path: Path, sha256: str) -> dict[str, Tensor]:
    """The tensors of a file by `torch.save`, if it is the very file that is meant.

    Raises:
        InputError: where it cannot be read, or is another.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the weights {path}: {(error.strerror or str(error)).lower()}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise InputError(f"{path} is another file of weights: its SHA-256 is {found[:16]}..., not {sha256[:16]}...")
    tensors: dict[str, Tensor] = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    return tensors


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
