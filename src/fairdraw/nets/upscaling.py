"""Networks that make images larger, and the discriminator that goes with them.

Ledig et al., "Photo-realistic single image super-resolution using a generative adversarial network", CVPR 2017
(arXiv:1609.04802), figure 4; Wang et al., "ESRGAN: Enhanced super-resolution generative adversarial networks", ECCV
workshops 2018 (arXiv:1809.00219), figures 3 and 4.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdraw.nets.bicubic import resized

Skip = Literal["none", "bilinear", "bicubic"]
"""What the network's output is added to: nothing, as in the papers, or the small image enlarged without it."""

SLOPE = 0.2
RESIDUAL = 0.2
"""Share of a residual that is added, in a dense block and around three of them."""
BEGIN = 0.1
"""Factor on He's deviation of the weights of dense blocks, which would grow otherwise."""
D_WIDTHS = (1, 1, 2, 2, 4, 4, 8, 8)
"""Channels of the discriminator's convolutions, as multiples of its width; every second one halves the map."""
DENSE = 1024


class Upscaler(nn.Module):
    """Colours `[B, C, H, W]` on [0, 1] to `[B, C, factor * H, factor * W]` on [-1, 1], of any height and width."""

    def __init__(self, body: nn.Module, tail: nn.Module, factor: int, skip: Skip) -> None:
        super().__init__()
        self.body, self.tail, self.factor, self.skip = body, tail, factor, skip

    def forward(self, x: Tensor) -> Tensor:
        """Not clipped: it may leave the range a little."""
        y: Tensor = self.tail(self.body(x))
        if self.skip == "none":
            return y
        if self.skip == "bicubic":
            enlarged = resized(x, float(self.factor))
        else:
            enlarged = F.interpolate(x, scale_factor=self.factor, mode="bilinear", align_corners=False)
        return y + (2 * enlarged - 1).to(y.dtype)


class Around(nn.Module):
    """x + share * inner(x)."""

    def __init__(self, *inner: nn.Module, share: float = 1.0) -> None:
        super().__init__()
        self.inner, self.share = nn.Sequential(*inner), share

    def forward(self, x: Tensor) -> Tensor:
        """Of the shape of `x`."""
        found: Tensor = self.inner(x)
        return x + (found if self.share == 1.0 else self.share * found)


def srresnet(channels: int, width: int, blocks: int, factor: int, normalise: bool, skip: Skip) -> Upscaler:
    """SRResNet: residual blocks at the size of the small image, then sub-pixel convolutions that double it."""

    def norm() -> list[nn.Module]:
        return [nn.BatchNorm2d(width)] if normalise else []

    def conv() -> nn.Module:
        return nn.Conv2d(width, width, 3, padding=1)

    residual = [Around(conv(), *norm(), nn.PReLU(), conv(), *norm()) for _ in range(blocks)]
    body = nn.Sequential(nn.Conv2d(channels, width, 9, padding=4), nn.PReLU(), Around(*residual, conv(), *norm()))
    tail: list[nn.Module] = []
    for _ in range(factor // 2):  # 2 is doubled once, 4 twice
        tail += [nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.PReLU()]
    return Upscaler(body, nn.Sequential(*tail, nn.Conv2d(width, channels, 9, padding=4)), factor, skip)


class DenseBlock(nn.Module):
    """Five convolutions, each of which sees what all before it have made."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(width + k * growth, growth if k < 4 else width, 3, padding=1) for k in range(5)
        )
        for layer in self.layers:
            assert isinstance(layer, nn.Conv2d)
            nn.init.kaiming_normal_(layer.weight)
            layer.weight.data *= BEGIN
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Without a rectifier at its end."""
        seen = x
        for layer in list(self.layers)[:-1]:
            seen = torch.cat([seen, F.leaky_relu(layer(seen), SLOPE)], dim=1)
        found: Tensor = self.layers[-1](seen)
        return found


def rrdb(channels: int, width: int, blocks: int, factor: int, skip: Skip) -> Upscaler:
    """ESRGAN's: residuals in residuals of dense blocks without normalisation, then doubling by repeated pixels."""
    growth = max(1, width // 2)
    inner = [
        Around(*(Around(DenseBlock(width, growth), share=RESIDUAL) for _ in range(3)), share=RESIDUAL)
        for _ in range(blocks)
    ]
    body = nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1), Around(*inner, nn.Conv2d(width, width, 3, padding=1))
    )
    tail: list[nn.Module] = []
    for _ in range(factor // 2):
        tail += [nn.Upsample(scale_factor=2.0, mode="nearest"), nn.Conv2d(width, width, 3, padding=1)]
        tail.append(nn.LeakyReLU(SLOPE))
    tail += [nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(SLOPE), nn.Conv2d(width, channels, 3, padding=1)]
    return Upscaler(body, nn.Sequential(*tail), factor, skip)


class CropDiscriminator(nn.Module):
    """Crops `[B, C, size, size]` to logits `[B, 1]`: eight convolutions, every second halves, and two dense layers."""

    def __init__(self, channels: int, width: int, size: int) -> None:
        super().__init__()
        stages, before = [], channels
        for place, multiple in enumerate(D_WIDTHS):
            after = width * multiple
            stages.append(
                nn.Sequential(
                    nn.Conv2d(before, after, 3, 1 + place % 2, 1),
                    nn.BatchNorm2d(after) if place else nn.Identity(),
                    nn.LeakyReLU(SLOPE),
                )
            )
            before = after
        self.stages = nn.ModuleList(stages)
        side = -(-size // 16)
        dense = DENSE * width // 64 or 1
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(before * side * side, dense), nn.LeakyReLU(SLOPE), nn.Linear(dense, 1)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits, and what leaves each convolution that halves."""
        maps = []
        for place, stage in enumerate(self.stages):
            x = stage(x)
            if place % 2:
                maps.append(x)
        logits: Tensor = self.head(x)
        return logits, maps
