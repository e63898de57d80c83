"""How far images are from one another in the features of a network that is not trained with them.

Ledig et al. 2017 (arXiv:1609.04802, section 2.2.1) compare features of VGG-19, scaled by 1 / 12.75 so that their
squared error has about the size of that of pixels:

    l = mean (phi(x) / 12.75 - phi(y) / 12.75)^2

The code of Wang et al. 2018 (arXiv:1809.00219) takes absolute differences of features as they are.

For any other network the features of each map are measured by their own mean square, which makes maps comparable, and
the whole is scaled to the same purpose by a factor that was measured once:

    l = s mean_k  mean (phi_k(x) - phi_k(y))^2 / mean phi_k(y)^2

with y the real image.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from fairdraw.losses import at_least_float32
from fairdraw.nets.efficientnet import Lite0
from fairdraw.nets.vgg import VGG19

Perceptual = Literal["discriminator", "efficientnet-lite0", "vgg22", "vgg54"]
"""Whose features: those of the discriminator as it is at the time; of `efficientnet-lite0`, after three of its blocks;
of VGG-19 after its 2nd convolution before the 2nd halving, or its 4th before the 5th."""

VGG_SCALE = 1 / 12.75
SCALES = {"discriminator": 0.055, "efficientnet-lite0": 0.03}
"""Measured, so that the distance is the squared error of pixels where SRResNet is trained: see docs/models/srgan.md."""
BLOCKS = (2, 4, 10)
"""Of `efficientnet-lite0`, the last ones before it halves the map again: 4, 8 and 16 pixels to a place."""

Maps = Callable[[Tensor], list[Tensor]]


@lru_cache(2)
def frozen_maps(name: Perceptual, weights: str | None, before: bool, device: torch.device, dtype: torch.dtype) -> Maps:
    """The features of images `[B, C, H, W]` in [-1, 1] of a network that comes with its weights.

    It is loaded once and belongs to no model, so that it is in no file of one.

    Args:
        name: of the network, any but `discriminator`.
        weights: a file to take in place of a download, for VGG-19.
        before: take features of VGG-19 before their rectifier (Wang et al. 2018), instead of after it.
        device: where it computes.
        dtype: of its weights.

    Raises:
        InputError: where its package or file is not there, or is another.
    """
    if name == "efficientnet-lite0":
        lite = Lite0()
        lite.take_weights()
        lite.to(device, dtype)
        return lambda x: lite.maps(127.5 * (_colours(x) + 1), BLOCKS)
    assert name != "discriminator"
    i, j = int(name[3]), int(name[4])
    vgg = VGG19(i, j, rectified=not before)
    vgg.take_weights(Path(weights) if weights else None)
    vgg.to(device, dtype)
    return lambda x: [vgg((_colours(x) + 1) / 2)]


def distance(name: Perceptual, made: Sequence[Tensor], real: Sequence[Tensor], absolute: bool = False) -> Tensor:
    """The distance of the maps `made` from those of `real` images: squared and scaled, or absolute differences."""
    compared = F.l1_loss if absolute else F.mse_loss
    pairs = [(at_least_float32(x), at_least_float32(y).detach()) for x, y in zip(made, real, strict=True)]
    if name.startswith("vgg"):
        scale = 1.0 if absolute else VGG_SCALE
        return torch.stack([compared(x * scale, y * scale) for x, y in pairs]).mean()
    sizes = [y.abs().mean() if absolute else y.square().mean() for _, y in pairs]
    relative = [compared(x, y) / size.clamp(min=1e-12) for (x, y), size in zip(pairs, sizes, strict=True)]
    return SCALES[name] * torch.stack(relative).mean()


def _colours(x: Tensor) -> Tensor:
    """Three channels: grey is repeated, transparency left out."""
    return x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x[:, :3]
